import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { leftOfInvocation } from '../run/time-left.ts';
import type { FoundContainer } from './discover-containers.ts';
import { mixedByRole, type Places, placesFor } from './places.ts';
import { type Ended, isThrottled, type Order, type Reach } from './reach.ts';
import { tellEnd } from './tell-end.ts';
import { firstWords } from './words.ts';

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
  /** `if-begun`: those only in which it was begun. */
  retryFailed: boolean | 'if-begun';
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
  /** Before the second try, where a container's sessions were all taken. */
  full: number;
}

/** Containers that one durable operation has in view, so that 5,000 of them are some fifty: AWS allows 3,000 in a run. When
 * half of them are done, the next ones take their places: none waits for the slowest of those before it. */
const IN_VIEW = 100;
/**
 * Bytes of what is known of ended commands in one operation, after which no more is begun in it. With what may be going on
 * then, a hundred at most, its result stays under the 262,144 that AWS allows.
 */
const KNOWN_BYTES = 80_000;
/** Of why a command did not go well. */
const DETAIL_BYTES = 800;
/** How long one look stays with a part: most commands end within it, and Lambda is not paid for longer ones. */
const PATIENCE_SECONDS = 60;
const LEAST_PATIENCE_SECONDS = 5;
/** Of an invocation, for killing what ran too long and for recording what is known: 90 of 900 seconds. */
const RESERVED_SHARE = 1 / 10;
/**
 * `notNow` is longer than a look, so that the invocation can end meanwhile. `full`: Session Manager ends a session after twenty
 * minutes in which nothing goes over it (ECS' guide, ECS Exec).
 */
export const PAUSES: Pauses = { first: 15, longest: 300, notNow: PATIENCE_SECONDS, full: 21 * 60 };

/**
 * Runs the command in every container, a few at a time, and never in all of a role, or in all tasks of a service, at once (unless
 * there is but one). Nor in two containers of one task: those that share process ids (`pidMode: task`) have one session at once.
 * Those in which it failed are tried once more at the end, later where sessions were in the way. A command that takes long is waited for without paying for
 * a function.
 */
export async function runInEachContainer<Read>(
  containers: FoundContainer[],
  options: EachContainerOptions<Read>,
  context: DurableContext,
): Promise<Ran<Read>[]> {
  const first = await runOnce('first try', containers, { ...options, attempt: 1 }, context);
  const again = first.filter(({ ended }) => deservesAnotherTry(ended, options.retryFailed));
  if (again.length === 0) return first;
  const { full } = options.pauses ?? PAUSES;
  const isFull = again.some(({ ended }) => ended.outcome === 'not-started' && ended.isFull);
  const now = await context.step('time before the second try', async () => Date.now());
  if (now >= options.endBy) return first;
  if (isFull && now + full * 1000 < options.endBy)
    await context.wait('sessions that nobody uses end', { seconds: full });

  const before = new Map(again.map((ran) => [ran.container.runtimeId, ran.ended.outcome]));
  // A command of which nothing is known may still go on, or have ended well: its own id finds it again.
  const orderOf = (container: FoundContainer) => {
    const outcome = before.get(container.runtimeId);
    const order = options.orderOf(container);
    return outcome === 'lost' || outcome === 'not-started' ? order : { ...order, id: `${order.id}-2` };
  };
  const second = await runOnce(
    'second try',
    again.map(({ container }) => container),
    { ...options, attempt: 2, orderOf },
    context,
  );
  const last = new Map(second.map((ran) => [ran.container.runtimeId, ran]));
  return first.map((ran) => last.get(ran.container.runtimeId) ?? ran);
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
  const places = placesFor(containers, options.concurrency);
  const ran = new Map<string, Ran<Read>>();
  const mixed = mixedByRole(containers);
  let view: Watched<Read>[] = [];
  for (let next = 0; next < mixed.length || view.length > 0; ) {
    const fresh = mixed.slice(next, next + IN_VIEW - view.length);
    const which = fresh.length > 0 ? `${next + 1} to ${next + fresh.length}` : 'the last';
    next += fresh.length;
    view.push(...fresh.map((container): Watched<Read> => ({ container, watch: WAITING })));
    const watches = await watchAll(
      mixed.length > IN_VIEW ? `${name}, ${which}` : name,
      view,
      places,
      { ...options, isLast: next === mixed.length },
      context,
    );
    const after = view.map(({ container, watch }, index) => ({ container, watch: watches[index] ?? watch }));
    for (const { container, watch } of after)
      if (watch.stage === 'done') {
        const { ended, seconds } = watch;
        ran.set(container.runtimeId, { container, ended, seconds, attempts: options.attempt });
      }
    view = after.filter(({ watch }) => watch.stage !== 'done');
  }
  return containers.flatMap(({ runtimeId }) => ran.get(runtimeId) ?? []);
}

/** Where the watching of one command stands. */
type Watch<Read> =
  | { stage: 'waiting'; detail: string }
  | { stage: 'running'; begunAt: number; lookedAt: number; looks: number; handle: string }
  | { stage: 'done'; ended: EndedAndRead<Read>; seconds: number };

const WAITING = { stage: 'waiting', detail: '' } as const;

interface Watched<Read> {
  container: FoundContainer;
  watch: Watch<Read>;
}

/** Until all are done, or so many that the next ones can take their places. */
async function watchAll<Read>(
  name: string,
  view: Watched<Read>[],
  places: Places,
  options: Try<Read> & {
    /** None are to come. */
    isLast: boolean;
  },
  context: DurableContext,
): Promise<Watch<Read>[]> {
  const part = view.map(({ container }) => container);
  return context.waitForCondition<Watch<Read>[]>(
    name,
    (before) => lookAtAll(part, before, places, options, leftOfInvocation(context, RESERVED_SHARE)),
    {
      initialState: view.map(({ watch }) => watch),
      waitStrategy: (watches) => {
        const done = watches.filter(({ stage }) => stage === 'done');
        const isEnough = !options.isLast && done.length >= IN_VIEW / 2;
        if (done.length === watches.length || isEnough || sum(done.map(bytesOf)) > KNOWN_BYTES)
          return { shouldContinue: false };
        const pauses = watches.flatMap((watch) => pauseSeconds(watch, options) ?? []);
        // Only the time for one look was over.
        if (pauses.length === 0) pauses.push(1);
        return { shouldContinue: true, delay: { seconds: Math.min(...pauses) } };
      },
    },
  );
}

function bytesOf(watch: Watch<unknown>): number {
  return watch.stage === 'done' ? Buffer.byteLength(JSON.stringify(watch)) : 0;
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/**
 * Looks at each container of the part: as many of a role at once as it has places, of which a command that was left
 * running keeps its own. Ends when the time for one look is over, or as much is known as one result can hold.
 */
async function lookAtAll<Read>(
  part: FoundContainer[],
  before: Watch<Read>[],
  places: Places,
  options: Try<Read>,
  /** Milliseconds that it may take. */
  most: number,
): Promise<Watch<Read>[]> {
  const watches = [...before];
  const until = Date.now() + Math.min(PATIENCE_SECONDS * 1000, most);
  const busy = new Map<string, number>();
  const serviceOf = (index: number) => part[index]?.service ?? '';
  const count = (index: number, change: 1 | -1) =>
    busy.set(serviceOf(index), (busy.get(serviceOf(index)) ?? 0) + change);
  for (const [index, { stage }] of watches.entries()) if (stage === 'running') count(index, 1);
  let known = sum(watches.map(bytesOf));
  const sessions = new Map<string, Promise<unknown>>();
  const hasRoom = (index: number) =>
    (busy.get(serviceOf(index)) ?? 0) < (places.byService.get(serviceOf(index)) ?? 1);
  /** A command in one of its containers goes on. */
  const isBusy = (taskArn: string) =>
    watches.some(({ stage }, index) => stage === 'running' && part[index]?.taskArn === taskArn);
  const taskIsFree = (index: number) => {
    const { taskArn = '' } = part[index] ?? {};
    return !sessions.has(taskArn) && !isBusy(taskArn);
  };
  await Promise.all(
    [...places.byRole].map(async ([role, placesOfRole]) => {
      const ofRole = [...part.keys()].filter((index) => part[index]?.role === role);
      const inStage = (stage: Watch<Read>['stage']) =>
        ofRole.filter((index) => watches[index]?.stage === stage);
      const running = inStage('running');
      const waiting = inStage('waiting');
      let throttled = false;
      const lookAt = async (index: number) => {
        const [container, watch] = [part[index], watches[index]];
        if (container === undefined || watch === undefined) return;
        if (watch.stage !== 'running') count(index, 1);
        const after = await oneAtATime(sessions, container.taskArn, async () =>
          watch.stage === 'waiting' && !isOver(options) && isBusy(container.taskArn)
            ? watch
            : lookSafely(container, watch, options, until),
        );
        if (after.stage !== 'running') count(index, -1);
        watches[index] = after;
        if (after.stage === 'done' && !isThrottled(after.ended)) tellEnd(container, after, options.attempt);
        known += bytesOf(after);
        throttled ||= after.stage === 'waiting' && after !== watch;
      };
      await Promise.all(
        Array.from({ length: Math.max(placesOfRole, running.length) }, async (_, place) => {
          const own = running[place];
          if (own !== undefined) await lookAt(own);
          // A command that goes on keeps its place.
          if (place >= placesOfRole || (own !== undefined && watches[own]?.stage === 'running')) return;
          const mayBegin = () => known <= KNOWN_BYTES && (Date.now() < until || isOver(options));
          while (waiting.length > 0 && !throttled && mayBegin()) {
            // Of a service that is as busy as it may be, whoever ends one begins the next.
            const free = waiting.findIndex((index) => hasRoom(index) && taskIsFree(index));
            const turn = free === -1 ? waiting.findIndex(hasRoom) : free;
            const [next] = turn === -1 ? [] : waiting.splice(turn, 1);
            if (next === undefined) return;
            await lookAt(next);
            if (watches[next]?.stage === 'running') return;
          }
        }),
      );
    }),
  );
  return watches;
}

/** Does the work when what was begun before under that name is over. */
async function oneAtATime<Result>(
  going: Map<string, Promise<unknown>>,
  name: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const before = going.get(name);
  const own = (async () => {
    await before;
    return await work();
  })();
  going.set(name, own);
  try {
    return await own;
  } finally {
    if (going.get(name) === own) going.delete(name);
  }
}

function isOver({ endBy }: Try<unknown>): boolean {
  return Date.now() >= endBy;
}

/** A way into containers that breaks for one does not stop the others. */
async function lookSafely<Read>(
  container: FoundContainer,
  watch: Watch<Read>,
  options: Try<Read>,
  until: number,
): Promise<Watch<Read>> {
  try {
    return await look(container, watch, options, until);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return {
      stage: 'done',
      ended: { outcome: 'lost', detail: firstWords(detail, DETAIL_BYTES) },
      seconds: 0,
    };
  }
}

function pauseSeconds<Read>(watch: Watch<Read>, options: Try<Read>): number | undefined {
  const { first, longest, notNow } = options.pauses ?? PAUSES;
  switch (watch.stage) {
    case 'waiting':
      // Without a word it only waits for its turn.
      return watch.detail === '' ? undefined : notNow;
    case 'running': {
      const pace = Math.min(first * 1.5 ** (watch.looks - 1), longest);
      const left = Math.ceil((deadlineOf(watch.begunAt, options) - watch.lookedAt) / 1000);
      return Math.max(1, Math.min(Math.round(pace), left));
    }
    case 'done':
      return undefined;
  }
}

function deadlineOf<Read>(begunAt: number, { timeoutSeconds, endBy }: Try<Read>): number {
  return Math.min(begunAt + timeoutSeconds * 1000, endBy);
}

async function look<Read>(
  container: FoundContainer,
  before: Watch<Read>,
  options: Try<Read>,
  /** Epoch milliseconds: no look stays longer. */
  until: number,
): Promise<Watch<Read>> {
  const { reach, endBy } = options;
  // Copied, for a part of a text would keep all of it in memory.
  const readOutput = (output: string) => structuredClone(options.readOutput(output, container));
  if (before.stage === 'done') return before;
  const now = Date.now();
  if (before.stage === 'waiting') {
    const because = before.detail && `, and until then: ${before.detail}`;
    const detail = `The window ended before its turn${because}.`;
    if (now >= endBy) return { stage: 'done', ended: { outcome: 'not-started', detail }, seconds: 0 };
  }
  const order = options.orderOf(container);
  const begunAt = before.stage === 'running' ? before.begunAt : now;
  const stay = {
    deadline: deadlineOf(begunAt, options),
    patienceMilliseconds: Math.max(LEAST_PATIENCE_SECONDS * 1000, until - now),
  };
  const seen = await (before.stage === 'running'
    ? reach.follow(container, order, before.handle, stay)
    : reach.start(container, order, stay));
  const lookedAt = Date.now();
  const seconds = Math.round((lookedAt - begunAt) / 100) / 10;
  switch (seen.outcome) {
    case 'not-now':
      return { stage: 'waiting', detail: firstWords(seen.detail, DETAIL_BYTES) };
    case 'running':
      return {
        stage: 'running',
        begunAt,
        lookedAt,
        looks: before.stage === 'running' ? before.looks + 1 : 1,
        handle: seen.handle,
      };
    case 'exited':
      return {
        stage: 'done',
        ended: { outcome: 'exited', exitCode: seen.exitCode, read: readOutput(seen.output) },
        seconds,
      };
    case 'timed-out':
      return {
        stage: 'done',
        ended: { outcome: 'timed-out', read: readOutput(seen.output) },
        seconds,
      };
    default:
      return { stage: 'done', ended: { ...seen, detail: firstWords(seen.detail, DETAIL_BYTES) }, seconds };
  }
}

function deservesAnotherTry(ended: EndedAndRead<unknown>, retry: boolean | 'if-begun'): boolean {
  if (ended.outcome === 'not-started') return retry === true && ended.isFinal !== true;
  return retry !== false && ended.outcome !== 'gone' && !(ended.outcome === 'exited' && ended.exitCode === 0);
}
