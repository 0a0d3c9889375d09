import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import { type Mistake, pathText, shapeMistakes } from '../../checks/mistakes.ts';
import { checkDeployments, type Deployment } from './checks.ts';
import { loadModule } from './load-module.ts';
import { plainValue } from './plain-value.ts';
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
  /** One sentence a mistake, each naming its field. */
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
  const loaded = await loadModule(file, (mistake) => {
    console.error(new ConfigurationError(file, [mistake]).message);
    process.exitCode = 1;
  });
  if ('mistake' in loaded) throw new ConfigurationError(file, [loaded.mistake]);
  return checkConfiguration(loaded.value, { file, folder: dirname(resolve(file)) });
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
  const { value, mistakes: unreadable } = plainValue(configuration);
  const parsed = v.safeParse(configurationSchema, value);
  const shape = shapeMistakes(configurationSchema, value, parsed.issues ?? [], { name: 'The configuration' });
  const isUnreadable = ({ path }: Mistake) =>
    unreadable.some((mistake) => pathText(mistake.path) === pathText(path));
  // What cannot be read is not missing.
  const mistakes = [...unreadable, ...shape.filter((mistake) => !isUnreadable(mistake))];
  const { deployments, mistakes: more } = checkDeployments(parsed.output, source.folder, mistakes);
  const all: Mistake[] = [...mistakes, ...more];
  if (all.length > 0)
    throw new ConfigurationError(
      source.file,
      all.map(({ sentence }) => sentence),
    );
  return deployments;
}
