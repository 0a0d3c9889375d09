import { createHash } from 'node:crypto';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { Problem } from '../run/report.ts';
import { limited, whereIs } from './container-report.ts';
import type { Discovery, FoundContainer } from './discover-containers.ts';
import { isThrottled, type Reach } from './reach.ts';
import { type EachContainerOptions, type Ran, runInEachContainer } from './run-in-each-container.ts';

/** What became of a command for one container, whichever it is. */
export interface RanInOne<Read> {
  /** The last one. */
  discovery: Discovery;
  /** The one in which it was begun, or the last that was tried; none where there was none. */
  ran: Ran<Read>[];
  /** Those in which it was not begun. */
  passedOver: Ran<Read>[];
}

/** Containers that are tried, and looks for others while tasks are starting. */
const TRIES = 10;
/** Between two looks: a task is started within one or two. */
const PAUSE_SECONDS = 60;
/** Where AWS asks for fewer calls, ever more rarely: a run has room for 3,000 operations. */
const LONGEST_PAUSE_SECONDS = 600;

/**
 * Runs the command in one of the containers that are there, another one in each run, and in the next where it was certainly not
 * begun: the container has gone away before, its agent does not run, all its sessions are taken. Never in two.
 */
export async function runInOneContainer<Read>(
  discover: (context: DurableContext) => Promise<Discovery>,
  options: EachContainerOptions<Read>,
  runId: string,
  context: DurableContext,
): Promise<RanInOne<Read>> {
  const passedOver: Ran<Read>[] = [];
  const reach = withoutWaiting(options.reach);
  for (let tries = 1, throttled = 0; ; tries++) {
    const discovery = await discover(context);
    const next = choose(discovery.containers, passedOver, runId);
    const mayLookAgain = async () =>
      tries < TRIES &&
      (await context.step('time', async () => Date.now())) + PAUSE_SECONDS * 1000 < options.endBy;
    if (next === undefined) {
      const [last] = passedOver.slice(-1);
      const mayCome =
        discovery.notReady.length > 0 || passedOver.some(({ ended }) => ended.outcome === 'gone');
      if (!mayCome || !(await mayLookAgain()))
        return { discovery, ran: last ? [last] : [], passedOver: passedOver.slice(0, -1) };
      await context.wait('another task starts', { seconds: PAUSE_SECONDS });
      continue;
    }
    let isFirstLook = false;
    await context.step('choose', async () => {
      isFirstLook = true;
      return next.runtimeId;
    });
    const ran = await runInEachContainer(
      [next],
      { ...options, reach, retryFailed: options.retryFailed && 'if-begun' },
      context,
    );
    if (ran.some(wasBegun)) return { discovery, ran, passedOver };
    // Of what an invocation did that ended by force nothing is known. On record, for in a replay the step above is not done again.
    const isKnown = await context.step('in one invocation', async () => isFirstLook);
    if (!isKnown) return { discovery, ran, passedOver };
    // It was not begun: what is there then is looked at anew, for this one may have gone away.
    if (ran.every(({ ended }) => isThrottled(ended))) {
      const seconds = Math.min(PAUSE_SECONDS * 1.5 ** throttled, LONGEST_PAUSE_SECONDS);
      const now = await context.step('time', async () => Date.now());
      if (now + seconds * 1000 >= options.endBy) return { discovery, ran, passedOver };
      await context.wait('fewer calls', { seconds: Math.round(seconds) });
      throttled += 1;
      tries -= 1;
      continue;
    }
    if (tries >= TRIES) return { discovery, ran, passedOver };
    passedOver.push(...ran);
  }
}

/**
 * One that is told to wait does so here, between two tries: of a look that another invocation goes on with it would not be known whether
 * it has begun the command.
 */
function withoutWaiting(reach: Reach): Reach {
  return {
    follow: (...at) => reach.follow(...at),
    async start(...at) {
      const seen = await reach.start(...at);
      return seen.outcome === 'not-now'
        ? { outcome: 'not-started', detail: seen.detail, isThrottled: true }
        : seen;
    },
  };
}

/** By the run: no order of ECS's, and the same in a replay. */
function choose(
  containers: FoundContainer[],
  passedOver: Ran<unknown>[],
  runId: string,
): FoundContainer | undefined {
  const rank = ({ runtimeId }: FoundContainer) =>
    createHash('sha256').update(`${runId} ${runtimeId}`).digest('hex');
  const tried = new Set(passedOver.map(({ container }) => container.runtimeId));
  return containers
    .filter(({ runtimeId }) => !tried.has(runtimeId))
    .sort((one, other) => (rank(one) < rank(other) ? -1 : 1))[0];
}

function wasBegun({ ended }: Ran<unknown>): boolean {
  if (ended.outcome === 'gone') return ended.beforeStart !== true;
  return ended.outcome !== 'not-started';
}

/** Of each container that was passed over, why. */
export function passedOverProblems(deployment: string, passedOver: Ran<unknown>[]): Problem[] {
  return limited(
    passedOver.map(({ container, ended }) => ({
      what: `The command was not begun in this container, and another one was tried: ${'detail' in ended ? ended.detail : ended.outcome}`,
      where: whereIs(deployment, container),
      next: 'Nothing, if the task was being replaced; else mend this, for such a container is of no use to the job.',
    })),
  );
}
