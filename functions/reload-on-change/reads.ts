import type { TaskDefinition } from '@aws-sdk/client-ecs';
import { isParameter, isSameSecret, secretReference } from '../shared/roll/secret-references.ts';
import type { Watched } from './contract.ts';
import { CURRENT } from './versions.ts';

/** What containers are given of what is watched. */
export interface Read {
  /** The name of what is watched. */
  of: string;
  /** Whichever version bears it when a task starts. */
  label: string;
}

/** A version that is named itself, which no new task gets another one of. */
export interface Pinned {
  of: string;
  version: string;
}

/** By its containers' `secrets`, and by those of their log configuration: both are given to a task when it starts. */
export function readsOf(
  definition: TaskDefinition | undefined,
  watched: readonly Watched[],
): { reads: Read[]; pinned: Pinned[] } {
  const references = (definition?.containerDefinitions ?? []).flatMap(({ secrets = [], logConfiguration }) =>
    [...secrets, ...(logConfiguration?.secretOptions ?? [])].map(({ valueFrom = '' }) => valueFrom),
  );
  const reads = new Map<string, Read>();
  const pinned = new Map<string, Pinned>();
  for (const reference of references)
    for (const each of watched) {
      const found = match(reference, each);
      if (found === undefined) continue;
      if ('version' in found) pinned.set(`${found.of} ${found.version}`, found);
      else reads.set(`${found.of} ${found.label}`, found);
    }
  return { reads: [...reads.values()], pinned: [...pinned.values()] };
}

function match(reference: string, watched: Watched): Read | Pinned | undefined {
  const { name: of } = watched;
  if ('parameter' in watched)
    return isParameter(reference, watched.parameter) ? { of, label: CURRENT } : undefined;
  const secret = secretReference(reference);
  if (secret === undefined || !isSameSecret(secret.arn, watched.secretArn)) return undefined;
  return secret.id === '' ? { of, label: secret.stage || CURRENT } : { of, version: secret.id };
}
