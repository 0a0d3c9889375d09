import { type DurableContext, NestingType } from '@aws/durable-execution-sdk-js';
import PQueue from 'p-queue';
import { type FoundContainer, taskIdOf } from './discover-containers.ts';
import type { Ended, Order, Reach } from './reach.ts';

/** What became of the command in a container; of its output, what the job reads from it. */
export interface Ran<Read> {
  container: FoundContainer;
  ended: EndedAndRead<Read>;
  /** From its start to the look that found it ended. */
  seconds: number;
  /** 2 if it was tried once more. */
  attempts: number;
}

export type EndedAndRead<Read> =
  | { outcome: 'exited'; exitCode: number; read: Read }
  | { outcome: 'timed-out'; read: Read }
  | Exclude<Ended, { output: string }>;

export interface EachContainerOptions<Read> {
  reach: Reach;
  /** The command for a container. Its id is the run's. */
  orderOf: (container: FoundContainer) => Order;
  /** What is kept of an output, beside how the command ended. */
  readOutput: (output: string, container: FoundContainer) => Read;
  /** How long the command may take in a container. */
  timeoutSeconds: number;
  /** In how many containers, over all, work goes on at once. */
  concurrency: number;
  retryFailed: boolean;
  /** Epoch milliseconds: what still runs then is killed, and nothing is begun any more. */
  endBy: number;
  /** @default {@link PAUSES} */
  pauses?: Pauses;
}

/** Seconds between two looks at the same container. */
export interface Pauses {
  /** At a command that runs: at first, growing to the longest. */
  first: number;
  longest: number;
  /** Where nothing could be started. */
  notNow: number;
}

/** How long one look stays with a command: most end within it, and Lambda is not paid for longer ones. */
const PATIENCE_SECONDS = 60;
/** What is left of the invocation when no look is begun any more: the longest look, and time to kill and to save. */
const INVOCATION_RESERVE_SECONDS = PATIENCE_SECONDS + 60;
/** What a few minutes do not remove is left: it ends with its container. */
const LONGEST_REMOVING_SECONDS = 300;
/** `notNow` is longer than a look, so that the invocation can end meanwhile. */
export const PAUSES: Pauses = { first: 15, longest: 300, notNow: PATIENCE_SECONDS };

/**
 * Runs the command in every container, a few at a time, and never in all of a role at once (unless there is but one).
 * Those in which it failed are tried once more at the end. Each container is one durable operation, or two if tried
 * again: a thousand fit into a run. A command that takes long is waited for without paying for a function.
 */
export async function runInEachContainer<Read>(
  containers: FoundContainer[],
  options: EachContainerOptions<Read>,
  context: DurableContext,
): Promise<Ran<Read>[]> {
  const ran = await runTwice(containers, options, context);
  await context.step('remove the kept statuses', () =>
    forgetAll(ran.tries, options, context.lambdaContext.getRemainingTimeInMillis() / 1000),
  );
  return ran.last;
}

async function runTwice<Read>(
  containers: FoundContainer[],
  options: EachContainerOptions<Read>,
  context: DurableContext,
): Promise<{ last: Ran<Read>[]; tries: { ran: Ran<Read>; order: Order }[] }> {
  const first = await runOnce('first try', containers, { ...options, attempt: 1 }, context);
  const firstTries = first.map((ran) => ({ ran, order: options.orderOf(ran.container) }));
  const again = options.retryFailed ? first.filter(({ ended }) => deservesAnotherTry(ended)) : [];
  if (again.length === 0) return { last: first, tries: firstTries };
  const now = await context.step('time before the second try', async () => Date.now());
  if (now >= options.endBy) return { last: first, tries: firstTries };

  const of = (ran: Ran<Read>[], { runtimeId }: FoundContainer) =>
    ran.find(({ container }) => container.runtimeId === runtimeId);
  // A command of which nothing is known may still go on, or have ended well: its own id finds it again.
  const orderOf = (container: FoundContainer) => {
    const outcome = of(first, container)?.ended.outcome;
    const order = options.orderOf(container);
    return outcome === 'lost' || outcome === 'not-started' ? order : { ...order, id: `${order.id}-2` };
  };
  const second = await runOnce(
    'second try',
    again.map(({ container }) => container),
    { ...options, attempt: 2, orderOf },
    context,
  );
  return {
    last: first.map((ran) => of(second, ran.container) ?? ran),
    tries: [...firstTries, ...second.map((ran) => ({ ran, order: orderOf(ran.container) }))],
  };
}

/** Only once their results are recorded: until then each may be asked for again, and must not start anew. */
async function forgetAll<Read>(
  tries: { ran: Ran<Read>; order: Order }[],
  { reach, concurrency }: EachContainerOptions<Read>,
  /** Until Lambda ends this invocation. */
  secondsLeft: number,
): Promise<void> {
  const queue = new PQueue({ concurrency });
  const kept = tries.filter(({ ran }) => 'read' in ran.ended);
  // What cannot be removed is left to end with the container.
  const removing = queue.addAll(
    kept.map(
      ({ ran, order }) =>
        () =>
          reach.forget(ran.container, order).catch(() => {}),
    ),
  );
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.min(LONGEST_REMOVING_SECONDS, secondsLeft / 2) * 1000);
  });
  await Promise.race([removing, limit]);
  clearTimeout(timer);
  queue.clear();
}

/** How many containers of each role are worked in at once: a share of the whole, and less than all of them. */
export function concurrencyByRole(containers: FoundContainer[], concurrency: number): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { role } of containers) sizes.set(role, (sizes.get(role) ?? 0) + 1);
  const shares = new Map([...sizes.keys()].map((role) => [role, 1]));
  const room = (role: string) => Math.floor((sizes.get(role) ?? 0) / 2) - (shares.get(role) ?? 0);
  for (let left = concurrency - shares.size; left > 0; left--) {
    // To the role with the most containers for each place that it has.
    const [neediest] = [...shares.keys()]
      .filter((role) => room(role) > 0)
      .sort((a, b) => perPlace(b) - perPlace(a));
    if (neediest === undefined) break;
    shares.set(neediest, (shares.get(neediest) ?? 0) + 1);
  }
  return shares;

  function perPlace(role: string): number {
    return (sizes.get(role) ?? 0) / (shares.get(role) ?? 1);
  }
}

/**
 * A role's containers in lanes, each of which is worked through one after the other: as many as may be busy at once, and of each
 * service in half as many as it has containers, or in one.
 */
export function lanesOf(containers: FoundContainer[], lanes: number): FoundContainer[][] {
  const filled = Array.from({ length: lanes }, (): FoundContainer[] => []);
  const services = Map.groupBy(containers, ({ service }) => service);
  for (const ofService of [...services.values()].sort((a, b) => b.length - a.length)) {
    const own = filled
      .toSorted((a, b) => a.length - b.length)
      .slice(0, Math.max(1, Math.floor(ofService.length / 2)));
    for (const container of ofService) own.toSorted((a, b) => a.length - b.length)[0]?.push(container);
  }
  return filled.filter((lane) => lane.length > 0);
}

interface Try<Read> extends EachContainerOptions<Read> {
  /** 1 or 2. */
  attempt: number;
}

async function runOnce<Read>(
  name: string,
  containers: FoundContainer[],
  options: Try<Read>,
  context: DurableContext,
): Promise<Ran<Read>[]> {
  const byRole = await context.parallel(
    name,
    [...concurrencyByRole(containers, options.concurrency)].map(([role, maxConcurrency]) => ({
      name: role,
      func: async (context: DurableContext) => {
        const ofRole = containers.filter((container) => container.role === role);
        // Of one service any may stand in for any: as many at once as there are places.
        if (new Set(ofRole.map(({ service }) => service)).size === 1)
          return runInTurn(`${role}, ${name}`, ofRole, maxConcurrency, options, context);
        const lanes = await context.parallel(
          `${role}, ${name}`,
          lanesOf(ofRole, maxConcurrency).map((lane, index) => ({
            name: `${role} ${index + 1}`,
            func: (context: DurableContext) =>
              runInTurn(`${role} ${index + 1}, ${name}`, lane, 1, options, context),
          })),
        );
        lanes.throwIfError();
        return lanes.getResults().flat();
      },
    })),
  );
  byRole.throwIfError();
  const ran = byRole.getResults().flat();
  return containers.flatMap(
    (container) => ran.find((each) => each.container.runtimeId === container.runtimeId) ?? [],
  );
}

async function runInTurn<Read>(
  name: string,
  containers: FoundContainer[],
  maxConcurrency: number,
  options: Try<Read>,
  context: DurableContext,
): Promise<Ran<Read>[]> {
  const batch = await context.map(
    name,
    containers,
    (context, container) => runInOne(container, options, context),
    { maxConcurrency, nesting: NestingType.FLAT, completionConfig: NONE_STOPS_THE_OTHERS },
  );
  return containers.map((container, index): Ran<Read> => {
    const item = batch.all.find((each) => each.index === index);
    const detail = item?.error?.message ?? 'Nothing was heard of it.';
    return (
      item?.result ?? { container, ended: { outcome: 'lost', detail }, seconds: 0, attempts: options.attempt }
    );
  });
}

/** Left out, the first failure would end the whole batch. */
const NONE_STOPS_THE_OTHERS = { toleratedFailurePercentage: 100 };

/** Where the watching of one command stands. */
type Watch<Read> =
  | { stage: 'waiting'; detail: string }
  | { stage: 'running'; begunAt: number; lookedAt: number; handle: string }
  | { stage: 'done'; ended: EndedAndRead<Read>; seconds: number };

async function runInOne<Read>(
  container: FoundContainer,
  options: Try<Read>,
  context: DurableContext,
): Promise<Ran<Read>> {
  const order = options.orderOf(container);
  const initialState: Watch<Read> = { stage: 'waiting', detail: '' };
  const watch = await context.waitForCondition<Watch<Read>>(
    `${container.container} ${taskIdOf(container.taskArn)}`,
    (before) =>
      look(container, order, before, options, context.lambdaContext.getRemainingTimeInMillis() / 1000),
    {
      initialState,
      waitStrategy: (watch, attempt) => {
        if (watch.stage === 'done') return { shouldContinue: false };
        return { shouldContinue: true, delay: { seconds: pauseSeconds(watch, attempt, options) } };
      },
    },
  );
  if (watch.stage !== 'done')
    throw new Error(`The watch over ${order.id} ended while it was ${watch.stage}.`);
  return { container, ended: watch.ended, seconds: watch.seconds, attempts: options.attempt };
}

function pauseSeconds<Read>(watch: Watch<Read>, attempt: number, options: Try<Read>): number {
  const { first, longest, notNow } = options.pauses ?? PAUSES;
  switch (watch.stage) {
    case 'waiting':
      return notNow;
    case 'running': {
      const pace = Math.min(first * 1.5 ** (attempt - 1), longest);
      const left = Math.ceil((deadlineOf(watch.begunAt, options) - watch.lookedAt) / 1000);
      return Math.max(1, Math.min(Math.round(pace), left));
    }
    default:
      return 1;
  }
}

function deadlineOf<Read>(begunAt: number, { timeoutSeconds, endBy }: Try<Read>): number {
  return Math.min(begunAt + timeoutSeconds * 1000, endBy);
}

async function look<Read>(
  container: FoundContainer,
  order: Order,
  before: Watch<Read>,
  options: Try<Read>,
  /** Until Lambda ends this invocation. */
  secondsLeft: number,
): Promise<Watch<Read>> {
  const { reach, endBy, readOutput } = options;
  if (before.stage === 'done') return before;
  const now = Date.now();
  if (before.stage === 'waiting') {
    const because = before.detail && `, and until then: ${before.detail}`;
    const detail = `The window ended before its turn${because}.`;
    if (now >= endBy) return { stage: 'done', ended: { outcome: 'not-started', detail }, seconds: 0 };
    if (secondsLeft < INVOCATION_RESERVE_SECONDS) return before;
  }
  const begunAt = before.stage === 'running' ? before.begunAt : now;
  const stay = {
    deadline: deadlineOf(begunAt, options),
    patienceMilliseconds: Math.min(PATIENCE_SECONDS, Math.max(5, secondsLeft - 60)) * 1000,
  };
  const seen = await (before.stage === 'running'
    ? reach.follow(container, order, before.handle, stay)
    : reach.start(container, order, stay)
  ).catch((error): Ended => ({ outcome: 'lost', detail: String(error) }));
  const lookedAt = Date.now();
  const seconds = Math.round((lookedAt - begunAt) / 100) / 10;
  switch (seen.outcome) {
    case 'not-now':
      return { stage: 'waiting', detail: seen.detail };
    case 'running':
      return { stage: 'running', begunAt, lookedAt, handle: seen.handle };
    case 'exited':
      return {
        stage: 'done',
        ended: { outcome: 'exited', exitCode: seen.exitCode, read: readOutput(seen.output, container) },
        seconds,
      };
    case 'timed-out':
      return {
        stage: 'done',
        ended: { outcome: 'timed-out', read: readOutput(seen.output, container) },
        seconds,
      };
    default:
      return { stage: 'done', ended: seen, seconds };
  }
}

function deservesAnotherTry(ended: EndedAndRead<unknown>): boolean {
  return ended.outcome !== 'gone' && !(ended.outcome === 'exited' && ended.exitCode === 0);
}
