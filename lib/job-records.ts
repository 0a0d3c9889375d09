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
  const { deployment, encryptionKey, logRetention, startRun } = upkeep;
  if (startRun.jobNames.includes(job)) return;
  const functionName = `${deployment}-${job}`;
  const place = path.reduce<Construct>((outer, id) => new Construct(outer, id), scope);
  functionLog(new Construct(place, 'Function'), {
    functionName,
    ...(encryptionKey && { encryptionKey }),
    ...(logRetention && { logRetention }),
  });
  letterQueue(new Construct(place, 'DeadLetters'), {
    queueName: `${functionName}-dead-letters`,
    encryptionKey,
  });
}
