import { createHash } from 'node:crypto';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import {
  ConflictException,
  DescribeTasksCommand,
  type ECSClient,
  paginateListTasks,
  RunTaskCommand,
  type RunTaskCommandInput,
  StopTaskCommand,
  type Task,
} from '@aws-sdk/client-ecs';
import { howItEnded, notStarted, passes, type TaskEnd } from './how-it-ended.ts';
import type { Launch } from './launch.ts';

/** What is to run, and how long. */
export interface TaskOrder {
  clusterArn: string;
  launch: Launch;
  /** In whose place the command runs. */
  container: string;
  /** What is not of the service itself. */
  request: Pick<RunTaskCommandInput, 'overrides' | 'startedBy' | 'tags'> & { startedBy: string };
  /** Names the run, and which of its tries this is: the same is started once. */
  id: string;
  timeoutSeconds: number;
  /** Epoch milliseconds: no task is started any more, and one that runs is stopped. */
  endBy: number;
}

/** What became of it. */
export interface RanTask {
  ended: TaskEnd;
  /** Undefined where none was started. */
  taskArn?: string;
  /** From its container's start. */
  seconds: number;
  /** Tasks that did not come to run for want of a place or of capacity. */
  withoutPlace: number;
}

type Watch =
  /** Tasks of earlier runs, of which nobody knows any more, are looked for. `found`: those that are not over. */
  | { stage: 'clearing'; looks: number; found: string[] }
  /**
   * `why`: of the last one that found no place. `refused`: how often ECS has said that it started nothing. `unsure`: it has not said so
   * the last time.
   */
  | { stage: 'placing'; withoutPlace: number; refused: number; why: string; unsure: boolean }
  | {
      stage: 'going';
      taskArn: string;
      withoutPlace: number;
      refused: number;
      since: number;
      looks: number;
      startedAt?: number;
      /** The container that was seen to have ended before the others. */
      first?: string;
      /** Why it is being stopped, and since when. */
      stopped?: { why: 'late' | 'done'; at: number };
    }
  | ({ stage: 'over' } & RanTask);

type Stage<Name extends Watch['stage']> = Extract<Watch, { stage: Name }>;

/** ECS's limit, of tasks described at once and of a page of ListTasks. */
const TASKS = 100;
/** Seconds between two looks: growing from the first to the longest. */
const PAUSES = { going: [10, 300], placing: [30, 300], clearing: [30, 60] } as const;
/** ECS knows a task some moments after it has answered that it is started. */
const UNKNOWN_MILLISECONDS = 60_000;
/** Between StopTask and the end of a task: `stopTimeout` is 120 seconds at most, and its network is given back. */
const STOPPING_MILLISECONDS = 10 * 60_000;

/**
 * Starts a task, waits for its end and says how it ended: one durable operation, and one for each look. Started once for its id:
 * RunTask takes the same client token for the same one. What finds no place is tried again until `endBy`.
 * @throws what the SDK throws, but for what passes.
 */
export async function runTask(ecs: ECSClient, order: TaskOrder, context: DurableContext): Promise<RanTask> {
  const last = await context.waitForCondition<Watch>('task', (before) => look(ecs, order, before), {
    initialState: { stage: 'clearing', looks: 0, found: [] },
    waitStrategy: (watch) =>
      watch.stage === 'over'
        ? { shouldContinue: false }
        : { shouldContinue: true, delay: { seconds: pauseSeconds(watch, order) } },
  });
  if (last.stage !== 'over') throw new Error('The task was left before its end.');
  const { stage, ...ran } = last;
  return ran;
}

/** Where ECS cannot be asked, it is asked again: of a task that goes on something may be learned later, and it is to be stopped in time. */
async function look(ecs: ECSClient, order: TaskOrder, before: Watch): Promise<Watch> {
  try {
    return await lookOnce(ecs, order, before);
  } catch (error) {
    if (
      before.stage === 'over' ||
      !(error instanceof Error) ||
      !(isUnanswered(error) || passes(wordsOf(error)))
    )
      throw error;
    const patience = before.stage === 'clearing' ? 0 : STOPPING_MILLISECONDS;
    if (Date.now() >= order.endBy + patience) return unaskable(before, error);
    return before.stage === 'placing' ? before : { ...before, looks: before.looks + 1 };
  }
}

/** Of what was asked for nothing is known: ECS did not answer, or with an error of its own. */
function isUnanswered(error: Error): boolean {
  const { name, $metadata }: { name: string; $metadata?: { httpStatusCode?: number } } = error;
  const status = $metadata?.httpStatusCode;
  return name === 'ServerException' || ($metadata !== undefined && (status === undefined || status >= 500));
}

function wordsOf({ name, message }: Error): string {
  return `${name}: ${message}`;
}

function unaskable(before: Exclude<Watch, { stage: 'over' }>, error: Error): Watch {
  const why = `ECS could not be asked until the window ended: ${wordsOf(error)}`;
  const next =
    'Look in ECS and in its log for a task. One that goes on is found by the next run, which waits for it.';
  if (before.stage === 'clearing')
    return over({
      ended: { outcome: 'not-started', detail: why, next: 'See whether AWS tells of a fault of ECS.' },
      seconds: 0,
      withoutPlace: 0,
    });
  return over({
    ended: { outcome: 'lost', detail: why, next },
    ...(before.stage === 'going' && { taskArn: before.taskArn }),
    seconds: 0,
    withoutPlace: before.withoutPlace,
  });
}

async function lookOnce(ecs: ECSClient, order: TaskOrder, before: Watch): Promise<Watch> {
  switch (before.stage) {
    case 'clearing':
      return clear(ecs, order, before);
    case 'placing':
      return place(ecs, order, before);
    case 'going':
      return follow(ecs, order, before);
    case 'over':
      return before;
  }
}

/** A task of a run that gave up may go on, and one that is stopped may take its time for it: never two beside each other. */
async function clear(ecs: ECSClient, order: TaskOrder, { looks, found }: Stage<'clearing'>): Promise<Watch> {
  const { clusterArn: cluster, timeoutSeconds, endBy } = order;
  const left = await livingTasks(ecs, order, found);
  // By itself, so that what this run starts is never taken for an earlier one's.
  if (left.length === 0) return { stage: 'placing', withoutPlace: 0, refused: 0, why: '', unsure: false };
  const now = Date.now();
  for (const { taskArn = '', createdAt, startedAt = createdAt, desiredStatus } of left) {
    const isLate = now >= (startedAt?.getTime() ?? 0) + timeoutSeconds * 1000;
    if (isLate && desiredStatus !== 'STOPPED')
      await stop(ecs, cluster, taskArn, 'upkeep: it was left over from an earlier run, past its time');
  }
  const arns = left.flatMap(({ taskArn }) => taskArn ?? []);
  if (now >= endBy)
    return over({
      ended: { outcome: 'not-started', ...stillThere(left, arns) },
      seconds: 0,
      withoutPlace: 0,
    });
  return { stage: 'clearing', looks: looks + 1, found: arns };
}

function stillThere(left: readonly Task[], arns: readonly string[]): { detail: string; next: string } {
  const isToldToStop = left.every(({ desiredStatus }) => desiredStatus === 'STOPPED');
  return {
    detail: `A task of an earlier run${isToldToStop ? ', which was told to stop,' : ''} was still there when the window ended: ${arns.join(', ')}.`,
    next: isToldToStop
      ? 'See in ECS why it does not end, such as a container instance whose agent answers no more. The next run waits for it, too.'
      : 'See in ECS what it does, and stop it there if it is to end. The next run waits for it, too, and stops it after its time.',
  };
}

/**
 * Tasks of the job's that are not over. Beside `startedBy` ListTasks takes no other filter, and without one it lists what is to run: a
 * task that is being stopped, for up to its `stopTimeout` of 120 seconds, is among those of the cluster that have ended within the
 * hour. Its family would tell less: the service may have another one since.
 */
async function livingTasks(
  ecs: ECSClient,
  { clusterArn: cluster, request: { startedBy } }: TaskOrder,
  found: string[],
): Promise<Task[]> {
  const filters = [{ startedBy }, { desiredStatus: 'STOPPED' as const }];
  const arns = new Set(found);
  for (const filter of filters)
    for await (const { taskArns = [] } of paginateListTasks(
      { client: ecs, pageSize: TASKS },
      { cluster, ...filter },
    ))
      for (const each of taskArns) arns.add(each);
  const left: Task[] = [];
  for (let from = 0; from < arns.size; from += TASKS) {
    const some = [...arns].slice(from, from + TASKS);
    const { tasks = [] } = await ecs.send(new DescribeTasksCommand({ cluster, tasks: some }));
    left.push(...tasks.filter((task) => task.startedBy === startedBy && !isOver(task)));
  }
  return left;
}

function isOver({ lastStatus }: Task): boolean {
  return lastStatus === 'STOPPED' || lastStatus === 'DELETED';
}

async function place(
  ecs: ECSClient,
  order: TaskOrder,
  { withoutPlace, refused, why, unsure }: Stage<'placing'>,
): Promise<Watch> {
  const { clusterArn: cluster, launch, request, id, endBy } = order;
  const now = Date.now();
  if (unsure) {
    // Nothing of the job's was there when it was asked for.
    const [task] = await livingTasks(ecs, order, []);
    if (task?.taskArn !== undefined)
      return { stage: 'going', taskArn: task.taskArn, withoutPlace, refused, since: now, looks: 0 };
    if (now >= endBy) return neverTold(why, withoutPlace);
  }
  if (now >= endBy)
    return over({
      ended: {
        ...notStarted(why),
        detail: why
          ? `It found no place until the window ended: ${why}`
          : 'The window ended before it was started.',
      },
      seconds: 0,
      withoutPlace,
    });
  const again = (reason: string, more: number): Watch => ({
    stage: 'placing',
    withoutPlace: withoutPlace + 1,
    refused: refused + more,
    why: reason,
    unsure: more === 0,
  });
  // The same for the same try, whatever happens to this invocation; another one where ECS said that it started nothing.
  const clientToken = createHash('sha256').update(`${id} ${refused}`).digest('hex');
  try {
    const { tasks = [], failures = [] } = await ecs.send(
      new RunTaskCommand({ cluster, ...launch.request, ...request, clientToken, count: 1 }),
    );
    const taskArn = tasks[0]?.taskArn;
    if (taskArn !== undefined)
      return { stage: 'going', taskArn, withoutPlace, refused, since: now, looks: 0 };
    const reason = failures[0]?.reason ?? 'ECS started no task, and gives no reason';
    return passes(reason) ? again(reason, 1) : over({ ended: notStarted(reason), seconds: 0, withoutPlace });
  } catch (error) {
    const [taskArn] = error instanceof ConflictException ? (error.resourceIds ?? []) : [];
    if (taskArn !== undefined)
      return { stage: 'going', taskArn, withoutPlace, refused, since: now, looks: 0 };
    if (!(error instanceof Error)) throw error;
    // It may have started one: asked with the same token it tells of that one.
    if (isUnanswered(error)) return again(error.message, 0);
    if (passes(wordsOf(error))) return again(error.message, 1);
    throw error;
  }
}

function neverTold(why: string, withoutPlace: number): Watch {
  return over({
    ended: {
      outcome: 'lost',
      detail: `ECS did not say until the window ended whether it had started the task: ${why}`,
      next: 'Look in ECS and in its log for one. A task that goes on is found by the next run, which waits for it.',
    },
    seconds: 0,
    withoutPlace,
  });
}

async function follow(ecs: ECSClient, order: TaskOrder, before: Stage<'going'>): Promise<Watch> {
  const { clusterArn: cluster, container: name, launch, endBy } = order;
  const { taskArn, withoutPlace, refused } = before;
  const now = Date.now();
  const lost = (detail: string): Watch =>
    over({
      ended: {
        outcome: 'lost',
        detail,
        next: 'Look in its log whether it did its work. The next scheduled run starts it again.',
      },
      taskArn,
      seconds: 0,
      withoutPlace,
    });
  const { tasks: [task] = [] } = await ecs.send(new DescribeTasksCommand({ cluster, tasks: [taskArn] }));
  if (task === undefined) {
    if (now < before.since + UNKNOWN_MILLISECONDS) return { ...before, looks: before.looks + 1 };
    return lost('ECS knows the task no more: it shows one for an hour after its end.');
  }
  if (isOver(task)) {
    const ended = howItEnded(task, name, launch.essential, before.stopped?.why, before.first);
    if (ended.outcome === 'not-started' && ended.passes && before.stopped === undefined && now < endBy)
      return {
        stage: 'placing',
        withoutPlace: withoutPlace + 1,
        refused: refused + 1,
        why: ended.detail,
        unsure: false,
      };
    return over({ ended, taskArn, seconds: secondsOf(task, before.startedAt, now), withoutPlace });
  }
  const startedAt = task.startedAt?.getTime() ?? before.startedAt;
  const first = before.first ?? firstToEnd(task, name, launch.essential);
  const after: Watch = {
    ...before,
    looks: before.looks + 1,
    ...(startedAt !== undefined && { startedAt }),
    ...(first !== undefined && { first }),
  };
  if (before.stopped) {
    if (now < before.stopped.at + STOPPING_MILLISECONDS) return after;
    return lost(`It was told to stop, and ECS has it as ${task.lastStatus} since.`);
  }
  const own = task.containers?.find((container) => container.name === name);
  const isDone = own?.lastStatus === 'STOPPED' && task.desiredStatus === 'RUNNING';
  if (!isDone && now < deadlineOf(startedAt, order)) return after;
  const why = isDone ? 'done' : 'late';
  await stop(ecs, cluster, taskArn, `upkeep: ${isDone ? 'its command has ended' : 'its time is over'}`);
  return { ...after, stopped: { why, at: now } };
}

/** The command's container, or an essential one beside it, where the one has ended and the other has not. */
function firstToEnd(
  { containers = [] }: Task,
  own: string,
  essential: readonly string[],
): string | undefined {
  const hasEnded = ({ lastStatus }: { lastStatus?: string | undefined }) => lastStatus === 'STOPPED';
  const others = containers.filter(({ name = '' }) => name !== own && essential.includes(name));
  const command = containers.find(({ name }) => name === own);
  if (command === undefined) return undefined;
  if (hasEnded(command)) return others.some(hasEnded) ? undefined : own;
  return others.find(hasEnded)?.name;
}

async function stop(ecs: ECSClient, cluster: string, task: string, reason: string): Promise<void> {
  await ecs.send(new StopTaskCommand({ cluster, task, reason }));
}

function over(ran: RanTask): Watch {
  return { stage: 'over', ...ran };
}

function secondsOf({ startedAt, stoppedAt }: Task, seen: number | undefined, now: number): number {
  const from = startedAt?.getTime() ?? seen;
  return from === undefined ? 0 : Math.round(((stoppedAt?.getTime() ?? now) - from) / 100) / 10;
}

/** Until its container runs, ECS has all the time that is left. */
function deadlineOf(startedAt: number | undefined, { timeoutSeconds, endBy }: TaskOrder): number {
  return startedAt === undefined ? endBy : Math.min(startedAt + timeoutSeconds * 1000, endBy);
}

function pauseSeconds(watch: Exclude<Watch, { stage: 'over' }>, order: TaskOrder): number {
  const [first, longest] = PAUSES[watch.stage];
  switch (watch.stage) {
    case 'clearing':
      return watch.looks === 0 ? 1 : Math.min(first * watch.looks, longest);
    case 'placing':
      return watch.withoutPlace === 0 ? 1 : Math.min(first * 1.5 ** (watch.withoutPlace - 1), longest);
    case 'going': {
      if (watch.stopped) return first;
      const pace = Math.min(first * 1.5 ** watch.looks, longest);
      const left = Math.ceil((deadlineOf(watch.startedAt, order) - Date.now()) / 1000);
      // Past it where ECS cannot be asked to stop it.
      return left > 0 ? Math.min(Math.round(pace), left) : first;
    }
  }
}
