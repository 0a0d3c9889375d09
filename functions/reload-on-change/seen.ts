import { GetParameterCommand, PutParameterCommand, type SSMClient } from '@aws-sdk/client-ssm';
import * as v from 'valibot';
import { logger } from '../shared/run/publish-report.ts';
import type { Noted, Versions } from './versions.ts';

/** What a run has seen, by the name of what is watched. */
export type Seen = Record<string, Noted>;

const schema = v.record(
  v.string(),
  v.record(
    v.string(),
    v.object({ version: v.string(), since: v.number(), replaced: v.exactOptional(v.string()) }),
  ),
);

/** One call. What cannot be understood is as if nothing had been seen yet. */
export async function readSeen(ssm: SSMClient, parameter: string): Promise<Seen> {
  const { Parameter: found } = await ssm.send(new GetParameterCommand({ Name: parameter }));
  try {
    return v.parse(schema, JSON.parse(found?.Value ?? ''));
  } catch {
    logger.warn(`The parameter ${parameter} does not hold what a run has noted there. It is written anew.`);
    return {};
  }
}

/** One call. Of a secret whose versions could not be seen, what was noted before stays. */
export async function writeSeen(ssm: SSMClient, parameter: string, seen: Seen): Promise<void> {
  await ssm.send(new PutParameterCommand({ Name: parameter, Value: JSON.stringify(seen), Overwrite: true }));
}

/** With what is seen now: of each label that somebody reads, or that had been noted. */
export function notedWith(
  before: Seen,
  versions: Record<string, Versions>,
  read: (name: string) => string[],
): Seen {
  const now = Object.entries(versions).map(([name, byLabel]): [string, Noted] => {
    const labels = new Set([...read(name), ...Object.keys(before[name] ?? {})]);
    const noted = Object.entries(byLabel).filter(([label]) => labels.has(label));
    return [name, Object.fromEntries(noted.map(([label, { isNew: _, ...version }]) => [label, version]))];
  });
  return { ...before, ...Object.fromEntries(now) };
}
