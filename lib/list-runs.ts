import type { UpkeepFunction } from './upkeep-function.ts';

/** What listing the durable executions of a function needs, on the function and on its versions. */
export const LIST_RUNS = ['lambda:ListDurableExecutionsByFunction', 'lambda:ListVersionsByFunction'];

/**
 * Lets a function find the durable executions of jobs, of all versions of their functions.
 * @param sid what for, in letters and digits.
 */
export function letListRuns(upkeepFunction: UpkeepFunction, sid: string, functionArns: string[]): void {
  const versions = functionArns.map((arn) => `${arn}:*`);
  upkeepFunction.allow(
    sid,
    LIST_RUNS,
    functionArns.flatMap((arn, index) => [arn, versions[index] ?? arn]),
  );
  for (const resource of versions)
    upkeepFunction.acceptWildcard(
      resource,
      "Runs are listed by the version of the job's function, one more after each deploy.",
    );
}
