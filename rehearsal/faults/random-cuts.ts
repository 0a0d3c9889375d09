import { seededRandom } from '../aws/seeded-random.ts';
import type { Aws } from '../aws/server.ts';

/** Lambda's fifteen minutes, scaled. */
export const SCALED_TIMEOUT = 15_000;
/** Within which a cut invocation's time ends: of an invocation that takes its process as long to start, nothing is done. */
const SHORTEST = 1000;
const LONGEST = 5000;

/** A job's invocations, and its calls of AWS, among which the moments of its cuts are drawn. */
const FIRST_INVOCATIONS = 4;
const FIRST_CALLS = 30;

export interface RandomCuts {
  /** By their names. */
  functions: readonly string[];
  /** The same one, the same moments. */
  seed: string;
  /** So often each function is cut before its report, and then once more: a run gives up after three in a row. */
  cuts: number;
}

interface Moments {
  calls: number[];
  invocations: Map<number, number>;
  called: number;
  /** While it tells its report, and still to come: a job with a short run does not reach each of the moments before. */
  atReport: ('checkpoint' | 'event')[];
}

/**
 * Has functions work with a timeout of fifteen seconds, and ends each by force some times, as Lambda's timeout does: at a
 * random call of AWS, of which some are lost with it, or after a random time of an invocation, which the function is told as
 * Lambda tells it; and once while it tells its report. What is drawn and not reached before the report comes there.
 * @returns how often each was cut so far: in the end, where it ran, once more than `cuts`.
 */
export function cutAtRandom(aws: Aws, { functions, seed, cuts }: RandomCuts): Map<string, number> {
  const random = seededRandom(seed);
  const upTo = (most: number) => 1 + Math.floor(random() * most);
  const isHead = () => random() < 0.5;
  const came = new Map<string, number>();
  const count = (name: string) => came.set(name, (came.get(name) ?? 0) + 1);
  const drawn = new Map(
    functions.map((name) => {
      const moments: Moments = { calls: [], invocations: new Map(), called: 0, atReport: [] };
      while (moments.calls.length + moments.invocations.size < cuts)
        if (isHead()) moments.calls.push(upTo(FIRST_CALLS));
        else moments.invocations.set(upTo(FIRST_INVOCATIONS), SHORTEST + random() * (LONGEST - SHORTEST));
      return [name, moments];
    }),
  );
  for (const [name, { invocations }] of drawn) {
    let invocation = 0;
    aws.lambda.scaleTimeout(name, () => {
      invocation += 1;
      const shortened = invocations.get(invocation);
      if (shortened === undefined) return SCALED_TIMEOUT;
      invocations.delete(invocation);
      count(name);
      return shortened;
    });
  }
  const reporting = new Set<string>();
  aws.onCall(({ caller, operation, input }) => {
    const name = caller.function?.name ?? '';
    const moments = drawn.get(name);
    if (moments === undefined) return undefined;
    const isReport = beginsReport(input);
    if (isReport && !reporting.has(name)) {
      reporting.add(name);
      const left = 1 + moments.calls.length + moments.invocations.size;
      moments.calls = [];
      moments.invocations.clear();
      moments.atReport = Array.from({ length: left }, () => (isHead() ? 'checkpoint' : 'event'));
    }
    moments.called += 1;
    const call = moments.calls.indexOf(moments.called);
    const atReport = moments.atReport.indexOf(isReport ? 'checkpoint' : 'event');
    if (call >= 0) moments.calls.splice(call, 1);
    else if (atReport >= 0 && (isReport || (reporting.has(name) && operation === 'PutEvents')))
      moments.atReport.splice(atReport, 1);
    else return undefined;
    aws.killFunction(name);
    count(name);
    return isHead() ? 'drop' : undefined;
  });
  return came;
}

function beginsReport({ Updates: updates }: Record<string, unknown>): boolean {
  return Array.isArray(updates) && updates.some(({ Name: name }) => name === 'report' || name === 'tell');
}
