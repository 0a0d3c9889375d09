import type { Aws } from '../../rehearsal/aws/server.ts';
import { type ClientSize, RUN_CALLS } from '../docs/run-calls.ts';

/** What functions ask of AWS, by their names, counted from now on. */
export function countCalls(aws: Pick<Aws, 'onCall'>): Map<string, number> {
  const calls = new Map<string, number>();
  aws.onCall(({ caller }) => {
    const { name = '' } = caller.function ?? {};
    calls.set(name, (calls.get(name) ?? 0) + 1);
    return undefined;
  });
  return calls;
}

/** Where a run is beyond its formula, or asks for less than half of it: then the formula says nothing. */
export function besideFormula(
  formula: string,
  size: Partial<ClientSize>,
  measured: { calls: number; operations?: number; invocations?: number },
): string[] {
  const { [formula]: known } = RUN_CALLS;
  if (!known) return [`There is no formula for ${formula}.`];
  const client = { containers: 0, services: 0, oneByOne: 0, collections: 1, ...size };
  return Object.entries(measured).flatMap(([what, value]) => {
    const most = known[what as keyof typeof measured](client);
    if (value <= most && value >= most / 2) return [];
    return `${formula} of ${JSON.stringify(client)}: ${value} ${what}, by its formula ${most}`;
  });
}

/**
 * Of the one execution of a function: its operations and invocations, beside its calls.
 * @param before executions of it that were there when the calls began to be counted
 */
export function measuredRun(
  aws: Pick<Aws, 'lambda'>,
  calls: ReadonlyMap<string, number>,
  name: string,
  before = 0,
) {
  const runs = aws.lambda.durable
    .list()
    .filter(({ arn }) => arn.split(':')[6] === name)
    .slice(before);
  const [run] = runs;
  if (!run || runs.length > 1) throw new Error(`${name} ran ${runs.length} times.`);
  return { calls: calls.get(name) ?? 0, operations: run.counted, invocations: run.invocations };
}
