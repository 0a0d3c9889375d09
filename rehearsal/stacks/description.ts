import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import { parseOrThrow } from '../../functions/shared/run/settings.ts';

const container = v.strictObject({
  /** A command line that runs in it from its start on. Without it, it sleeps. */
  command: v.exactOptional(v.string()),
  /** Folders of this machine that are copied into it: by their absolute path there. */
  folders: v.exactOptional(v.record(v.string(), v.string())),
});

const schema = v.strictObject({
  /** By their names, in whichever services they are. */
  containers: v.exactOptional(v.record(v.string(), container), {}),
  /** How many tasks a service has, by its name. @default 2 */
  tasks: v.exactOptional(
    v.record(v.string(), v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(50))),
    {},
  ),
  /** What stands in secrets that the stacks name, by ARN or name: text, or an object that is kept as JSON. */
  secrets: v.exactOptional(
    v.record(v.string(), v.union([v.string(), v.record(v.string(), v.unknown())])),
    {},
  ),
});

/** What a rehearsal is to know of an application that its stacks do not say. */
export type Description = v.InferOutput<typeof schema>;

export const DESCRIPTION_FILE = 'rehearsal.json';

/**
 * Reads it; folders in it are relative to the file.
 * @param file @default `rehearsal.json`, if it is there
 * @throws Error naming the file and the field.
 */
export function readDescription(file: string | undefined): Description {
  const path = file ?? DESCRIPTION_FILE;
  if (file === undefined && !existsSync(path)) return v.parse(schema, {});
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`${path} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
  const description = parseOrThrow(schema, value, path);
  for (const described of Object.values(description.containers))
    for (const [inContainer, folder] of Object.entries(described.folders ?? {})) {
      const from = resolve(dirname(path), folder);
      if (!existsSync(from)) throw new Error(`${path}: there is no folder ${from}, for ${inContainer}.`);
      if (described.folders) described.folders[inContainer] = from;
    }
  return description;
}
