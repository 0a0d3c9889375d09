import { seededRandom } from '../aws/seeded-random.ts';
import type { Aws } from '../aws/server.ts';

/** Lambda's fifteen minutes, scaled. */
export const SCALED_TIMEOUT = 15_000;
/** Within which a cut invocation's time ends: of an invocation that takes its process as long to start, nothing is done. */
const SHORTEST = 1000;
const LONGEST = 5000;

/** A job's invocations, and its calls of AWS, among which the moments of its cuts are drawn; its short runs have not many more. */
const FIRST_INVOCATIONS = 4;
const FIRST_CALLS = 30;

export interface RandomCuts {
  /** By their names. */
  functions: readonly string[];
  /** The same one, the same moments. */
  seed: string;
  /** So often each function is cut, at most: a run gives up after three in a row. */
  cuts: number;
}

/**
 * Has functions work with a timeout of fifteen seconds, and ends each by force some times, as Lambda's timeout does: at a
 * random call of AWS, of which some are lost with it, or after a random time of an invocation, which the function is told as
 * Lambda tells it.
 * @returns how often each was ended by a call so far.
 */
export function cutAtRandom(aws: Aws, { functions, seed, cuts }: RandomCuts): Map<string, number> {
  const random = seededRandom(seed);
  const upTo = (most: number) => 1 + Math.floor(random() * most);
  const killed = new Map<string, number>();
  const drawn = new Map(
    functions.map((name) => {
      const moments = { calls: [] as number[], invocations: new Map<number, number>() };
      for (let cut = 0; cut < cuts; cut++)
        if (random() < 0.5) moments.calls.push(upTo(FIRST_CALLS));
        else moments.invocations.set(upTo(FIRST_INVOCATIONS), SHORTEST + random() * (LONGEST - SHORTEST));
      return [name, { ...moments, called: 0 }];
    }),
  );
  for (const [name, { invocations }] of drawn) {
    let invocation = 0;
    aws.lambda.scaleTimeout(name, () => {
      invocation += 1;
      return invocations.get(invocation) ?? SCALED_TIMEOUT;
    });
  }
  aws.onCall(({ caller, input }) => {
    const name = caller.function?.name ?? '';
    const moments = drawn.get(name);
    if (moments === undefined) return undefined;
    // A report is told at least once: cut while it is told, a run would tell the same one twice.
    if (beginsReport(input)) {
      moments.calls = [];
      moments.invocations.clear();
    }
    moments.called += 1;
    if (!moments.calls.includes(moments.called)) return undefined;
    aws.killFunction(name);
    killed.set(name, (killed.get(name) ?? 0) + 1);
    return random() < 0.5 ? 'drop' : undefined;
  });
  return killed;
}

function beginsReport({ Updates: updates }: Record<string, unknown>): boolean {
  return Array.isArray(updates) && updates.some(({ Name: name }) => name === 'report');
}
