import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as v from 'valibot';
import { checkDeployments, type Deployment } from './checks.ts';
import { type Mistake, shapeMistakes } from './mistakes.ts';
import { configurationSchema } from './schema.ts';

export type { Deployment } from './checks.ts';

/** What `upkeep.config.ts` exports: see docs/configuration.md. */
export type UpkeepConfiguration = v.InferInput<typeof configurationSchema>;

/** Types a configuration file: `export default defineUpkeep({ … })`. It is checked when it is loaded. */
export function defineUpkeep(configuration: UpkeepConfiguration): UpkeepConfiguration {
  return configuration;
}

/** A configuration with mistakes. Each is one sentence that names the field and what is allowed. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly mistakes: string[];

  constructor(file: string, mistakes: string[]) {
    const count = mistakes.length === 1 ? 'one mistake' : `${mistakes.length} mistakes`;
    super([`${file} has ${count}:`, ...mistakes.map((mistake) => `- ${mistake}`)].join('\n'));
    this.mistakes = mistakes;
  }
}

/**
 * Loads a configuration file and checks it.
 * @param file a path from the working directory.
 * @throws ConfigurationError with all mistakes at once.
 */
export async function loadConfiguration(file: string): Promise<Deployment[]> {
  const path = resolve(file);
  if (!existsSync(path))
    throw new ConfigurationError(file, [
      'The file does not exist; name the configuration by -c config=FILE, as a path from the working directory.',
    ]);
  const module: { default?: unknown } = await import(pathToFileURL(path).href);
  if (module.default === undefined)
    throw new ConfigurationError(file, [
      'The file must export its configuration: export default defineUpkeep({ … }).',
    ]);
  return checkConfiguration(module.default, { file, folder: dirname(path) });
}

/**
 * Checks a configuration, fills in the defaults and reads the certificates that it names.
 * @param source the file for messages, and the folder that paths are relative to.
 * @throws ConfigurationError with all mistakes at once.
 */
export function checkConfiguration(
  configuration: unknown,
  source: { file: string; folder: string },
): Deployment[] {
  const parsed = v.safeParse(configurationSchema, configuration);
  const mistakes = shapeMistakes(configurationSchema, configuration, parsed.issues ?? []);
  const { deployments, mistakes: more } = checkDeployments(parsed.output, source.folder, mistakes);
  const all: Mistake[] = [...mistakes, ...more];
  if (all.length > 0)
    throw new ConfigurationError(
      source.file,
      all.map(({ sentence }) => sentence),
    );
  return deployments;
}
