import type { Container, Task } from '@aws-sdk/client-ecs';

/** How a task ended, or why none ran. `next` completes a problem of the report. */
export type TaskEnd =
  | { outcome: 'exited'; exitCode: number; why?: Why }
  /** It was stopped at its deadline. */
  | { outcome: 'timed-out'; why?: Why }
  /** Something else than the command ended it. */
  | { outcome: 'gone'; detail: string; next: string }
  | { outcome: 'lost'; detail: string; next: string }
  /** `passes`: for want of a place or of capacity, of which there may be more soon. */
  | { outcome: 'not-started'; detail: string; next: string; passes?: true };

/** What an exit code does not say. */
export interface Why {
  detail: string;
  next: string;
}

/** In ECS's words: of no place on the container instances, of no capacity, of no network interface in time (Developer Guide, API failure reasons and stopped tasks' error messages). */
const PASSES =
  /^RESOURCE:|^AGENT$|capacity is unavailable|no capacity|insufficient|unable to (provision|place)|timeout waiting for network interface|limit on the number of|throttl|rate exceeded|EMPTY CAPACITY PROVIDER|no container instances were found/i;

/** Exit codes of what was stopped by a signal: ECS sends TERM, then KILL. */
const STOPPED_BY_SIGNAL = [137, 143];

/** Whether ECS's reason may be another one soon. */
export function passes(reason: string): boolean {
  return PASSES.test(reason);
}

/** What to do about a task that did not come to run, by ECS's words. */
export function notStarted(reason: string): Extract<TaskEnd, { outcome: 'not-started' }> {
  return {
    outcome: 'not-started',
    detail: reason,
    next: nextFor(reason),
    ...(passes(reason) && { passes: true as const }),
  };
}

function nextFor(reason: string): string {
  if (/CannotPull|ImageManifest|pull image/i.test(reason))
    return "See that the image and its tag are there, that the execution role may pull it, and that the task's subnets have a way to the registry.";
  if (/CannotStartContainer|executable file not found|permission denied/i.test(reason))
    return 'The program cannot be started in the container: correct its path. An ENTRYPOINT of the image stays before the command.';
  if (/ResourceInitialization|secret/i.test(reason))
    return "See that the execution role may read the secrets of the task definition, and that the task's subnets have a way to them.";
  if (/^RESOURCE:|^ATTRIBUTE|No Container Instances/.test(reason))
    return 'No container instance has room for it: add one, or let the cluster grow.';
  if (passes(reason))
    return 'AWS had no room for it: let the job run at another time, or in more availability zones.';
  return 'See the task definition of the service, and the task in ECS.';
}

/**
 * What a stopped task tells.
 * @param essential containers with whose end the task ends.
 * @param stopped why we had it stopped, if so.
 * @param first the container that was seen to have ended while the others went on. ECS tells afterwards how each ended, and not which
 *   was the first; with the end of an essential one it stops the others by a signal.
 */
export function howItEnded(
  task: Task,
  name: string,
  essential: readonly string[],
  stopped: 'late' | 'done' | undefined,
  first?: string,
): TaskEnd {
  const { containers = [], stopCode, stoppedReason = 'ECS gives no reason', startedAt } = task;
  const own = containers.find((container) => container.name === name);
  const { exitCode, reason } = own ?? {};
  if (stopCode === 'TaskFailedToStart' || (startedAt === undefined && exitCode === undefined)) {
    if (stopped === 'late')
      return { ...notStarted(`It had not come to run when its time was over: ${stoppedReason}`) };
    return notStarted([stoppedReason, reason].filter(Boolean).join(': '));
  }
  if (reason?.includes('OutOfMemory') && exitCode !== 0)
    return {
      outcome: 'exited',
      exitCode: exitCode ?? 137,
      why: {
        detail: `It was killed for want of memory (${reason}).`,
        next: "Give the container more memory in the service's task definition, or let the command take less.",
      },
    };
  const byItself = stopCode === 'EssentialContainerExited';
  if (stopped === 'late' && (!byItself || exitCode === undefined || bySignal(exitCode)))
    return { outcome: 'timed-out' };
  // One that was stopped while it ran may end with 0 as well, for it heeds TERM: its work is not done for that.
  if (!byItself && stopped !== 'done' && first !== name && (stopCode !== undefined || exitCode !== 0)) {
    const why = `${stoppedReason} (${stopCode ?? 'no stop code'})`;
    return exitCode === 0 && !essential.includes(name)
      ? {
          outcome: 'lost',
          detail: `The command ended with exit code 0, and its task was stopped: ${why}. ECS does not tell which of the two was first.`,
          next: 'Look in its log whether it did its work, and see in ECS who or what stopped the task.',
        }
      : {
          outcome: 'gone',
          detail: `${why}.`,
          next: 'The next scheduled run starts another task. See in ECS who or what stopped this one.',
        };
  }
  const cause =
    stopped === 'done' || first === name ? undefined : causeOf(containers, name, essential, first);
  if (byItself && cause) return besideCause(cause, exitCode, { isSeen: cause.name === first });
  if (exitCode === undefined)
    return {
      outcome: 'lost',
      detail: `ECS tells no exit code of the container ${name}: ${[stoppedReason, reason].filter(Boolean).join(': ')}`,
      next: 'Look in its log whether it did its work. The next scheduled run starts it again.',
    };
  return {
    outcome: 'exited',
    exitCode,
    ...(reason && { why: { detail: reason, next: 'See the task in ECS.' } }),
  };
}

/** An essential container beside the command's by which the task may have ended. */
interface Cause {
  name: string;
  ended: string;
  /** It ended as one does that was asked to: as the first one, or because the command had ended. */
  isClean: boolean;
}

function causeOf(
  containers: readonly Container[],
  own: string,
  essential: readonly string[],
  first: string | undefined,
): Cause | undefined {
  const causes = containers.flatMap(({ name = '', exitCode, reason }) => {
    if (name === own || !essential.includes(name) || exitCode === undefined) return [];
    const isOutOfMemory = reason?.includes('OutOfMemory') ?? false;
    // By a signal one ends that was stopped with the task, where the command's own end can have stopped it.
    const isStopped = bySignal(exitCode) && !isOutOfMemory && essential.includes(own);
    if (isStopped && name !== first) return [];
    return [
      {
        name,
        ended: `ended with exit code ${exitCode}${reason ? ` (${reason})` : ''}`,
        // A command whose container is not essential cannot have ended the task.
        isClean: exitCode === 0 && essential.includes(own),
      },
    ];
  });
  const [likeliest] = [
    ...causes.filter(({ name }) => name === first),
    ...causes.filter(({ isClean }) => !isClean),
    ...causes,
  ];
  return likeliest;
}

function besideCause(
  { name, ended, isClean }: Cause,
  exitCode: number | undefined,
  { isSeen }: { isSeen: boolean },
): TaskEnd {
  const next = `See in the log of ${name} what ended it, or let it not be essential in the task definition.`;
  if (exitCode === undefined || bySignal(exitCode))
    return {
      outcome: 'exited',
      exitCode: exitCode ?? 137,
      why: {
        detail: isSeen
          ? `It was stopped because the essential container ${name} beside it ${ended}.`
          : `It was ended by a signal, probably because the essential container ${name} beside it ${ended}.`,
        next,
      },
    };
  if (isSeen)
    return {
      outcome: 'gone',
      detail: `The essential container ${name} beside it ${ended}; the command was stopped for that, and ended with exit code ${exitCode}.`,
      next,
    };
  const unknown = `The essential container ${name} beside it ${ended}, too: ECS does not tell which of the two was first, and stops each when the other has ended`;
  if (exitCode === 0 && !isClean)
    return {
      outcome: 'lost',
      detail: `The command ended with exit code 0. ${unknown}.`,
      next: `Look in both logs whether the command did its work. Let ${name} not be essential in the task definition, or end with 0 when it is stopped: then this is no problem.`,
    };
  return { outcome: 'exited', exitCode, why: { detail: `${unknown}.`, next } };
}

function bySignal(exitCode: number): boolean {
  return STOPPED_BY_SIGNAL.includes(exitCode);
}
