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
 */
export function howItEnded(
  task: Task,
  name: string,
  essential: readonly string[],
  stopped: 'late' | 'done' | undefined,
): TaskEnd {
  const { containers = [], stopCode, stoppedReason = 'ECS gives no reason', startedAt } = task;
  const own = containers.find((container) => container.name === name);
  const { exitCode, reason } = own ?? {};
  if (stopCode === 'TaskFailedToStart' || (startedAt === undefined && exitCode === undefined)) {
    if (stopped === 'late')
      return { ...notStarted(`It had not come to run when its time was over: ${stoppedReason}`) };
    return notStarted([stoppedReason, reason].filter(Boolean).join(': '));
  }
  // One that was stopped while it ran may end with 0 as well, for it heeds TERM: its work is not done for that.
  const wasStopped =
    stopped === 'late' || (stopped === undefined && stopCode !== undefined && essential.includes(name));
  if (exitCode === 0 && (stopCode === 'EssentialContainerExited' || !wasStopped))
    return { outcome: 'exited', exitCode };
  if (reason?.includes('OutOfMemory'))
    return {
      outcome: 'exited',
      exitCode: exitCode ?? 137,
      why: {
        detail: `It was killed for want of memory (${reason}).`,
        next: "Give the container more memory in the service's task definition, or let the command take less.",
      },
    };
  if (stopped === 'late') return { outcome: 'timed-out' };
  if (stopCode === 'EssentialContainerExited' && (exitCode === undefined || bySignal(exitCode))) {
    const other = containers.find((each) => isCause(each, name, essential));
    if (other)
      return {
        outcome: 'exited',
        exitCode: exitCode ?? 137,
        why: {
          detail: `It was stopped because the essential container ${other.name} beside it ended with exit code ${other.exitCode}${other.reason ? ` (${other.reason})` : ''}.`,
          next: `See in the log of ${other.name} what ended it, or let it not be essential in the task definition.`,
        },
      };
  }
  if (stopCode !== 'EssentialContainerExited' && stopped !== 'done')
    return {
      outcome: 'gone',
      detail: `${stoppedReason} (${stopCode ?? 'no stop code'}).`,
      next: 'The next scheduled run starts another task. See in ECS who or what stopped this one.',
    };
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

function bySignal(exitCode: number): boolean {
  return STOPPED_BY_SIGNAL.includes(exitCode);
}

/** The one that ended by itself, or for want of memory. */
function isCause(
  { name = '', exitCode, reason }: Container,
  own: string,
  essential: readonly string[],
): boolean {
  if (name === own || !essential.includes(name) || exitCode === undefined) return false;
  return !bySignal(exitCode) || (reason?.includes('OutOfMemory') ?? false);
}
