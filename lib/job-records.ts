import { Construct } from 'constructs';
import { letterQueue } from './dead-letter-queue.ts';
import type { Upkeep } from './upkeep.ts';
import { functionLog } from './upkeep-function.ts';

/**
 * Keeps the log, with the reports, and the dead letters of a job that a stack has no longer: makes them where the job made
 * them, so that CloudFormation leaves them as they are. Once the stack has the job again, that goes on with them. They go
 * with the stack.
 * @param path of the job's `UpkeepJob`, from the scope on: the ids that it was made with. Nothing is done where it is there.
 */
export function keepRecords(
  scope: Construct,
  path: readonly [string, ...string[]],
  { upkeep, job }: { readonly upkeep: Upkeep; readonly job: string },
): void {
  const { deployment, encryptionKey, startRun } = upkeep;
  if (startRun.jobNames.includes(job)) return;
  keepLog(scope, [...path, 'Function'], { upkeep, part: job });
  letterQueue(constructAt(scope, [...path, 'DeadLetters']), {
    queueName: `${deployment}-${job}-dead-letters`,
    encryptionKey,
  });
}

/**
 * Likewise the log of a function that is no job's.
 * @param path of its `UpkeepFunction`, from the scope on. Nothing is done where that is there.
 * @param part its name without the deployment's.
 */
export function keepLog(
  scope: Construct,
  path: readonly string[],
  { upkeep, part }: { readonly upkeep: Upkeep; readonly part: string },
): void {
  const { deployment, encryptionKey, logRetention } = upkeep;
  const place = constructAt(scope, path);
  if (place.node.children.length > 0) return;
  functionLog(place, {
    functionName: `${deployment}-${part}`,
    ...(encryptionKey && { encryptionKey }),
    ...(logRetention && { logRetention }),
  });
}

function constructAt(scope: Construct, path: readonly string[]): Construct {
  return path.reduce<Construct>(
    (outer, id) => (outer.node.tryFindChild(id) as Construct | undefined) ?? new Construct(outer, id),
    scope,
  );
}
