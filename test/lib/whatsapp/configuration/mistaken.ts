import assert from 'node:assert/strict';
import {
  ConfigurationError,
  checkConfiguration,
} from '../../../../lib/whatsapp/configuration/configuration.ts';
import sample from '../../../../upkeep.config.ts';

export const REPOSITORY = new URL('../../../../', import.meta.url).pathname;

/** The sample with one thing changed. `undefined` removes the field. */
export function changed(path: string, value: unknown): unknown {
  const configuration = structuredClone(sample) as unknown;
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  const parent = keys.reduce<Record<string, unknown>>(
    (object, key) => object[key] as Record<string, unknown>,
    configuration as Record<string, unknown>,
  );
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return configuration;
}

export function mistakesOf(configuration: unknown, folder = REPOSITORY): string[] {
  try {
    checkConfiguration(configuration, { file: 'upkeep.config.ts', folder });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error));
    return error.mistakes;
  }
}
