import { type Answer, ATTENDANCE_TIMING } from './attendance.ts';
import { InvalidCommandError, StartError } from './errors.ts';
import type { Any, Run } from './run.ts';
import type { CommandOptions } from './run-options.ts';
import { withResolvers, withTimeout } from './timers.ts';

/** What following a run came to. */
export type FollowEnd =
  | Ended
  /** The deadline has passed, or the signal came. */
  | { run: 'interrupted' }
  /** It runs on, and was attended for as long as wished. */
  | { run: 'left' };

type Ended = Exclude<Answer, { run: 'running' | 'orphaned' | 'absent' | 'forgotten' }>;

/**
 * Starts the command and asks for more until it has ended, the deadline has passed or the signal has come.
 *
 * @param attendUntil epoch milliseconds
 */
export async function follow(
  run: Run<Any>,
  options: CommandOptions,
): Promise<Exclude<FollowEnd, { run: 'left' }>>;
export async function follow(run: Run<Any>, options: CommandOptions, attendUntil: number): Promise<FollowEnd>;
export async function follow(
  run: Run<Any>,
  { command, deadline, signal, runId, timing }: CommandOptions,
  attendUntil = Number.POSITIVE_INFINITY,
): Promise<FollowEnd> {
  // For those whom no compiler tells.
  if (command === undefined) throw new InvalidCommandError('There is no command to run.');
  const { longestStart } = { ...ATTENDANCE_TIMING, ...timing };
  const interruption = interruptionOf(deadline, signal);
  try {
    let absentSince: number | undefined;
    let started = false;
    for (let pause = FIRST_PAUSE; ; ) {
      const before = run.position;
      const asking = started ? run.look() : run.start(interruption.happened);
      // Also if it fails after an interruption, when nobody waits for it any more.
      asking.catch(() => {});
      const answer = await Promise.race([asking, interruption.promise]);
      switch (answer.run) {
        case 'running':
        case 'orphaned':
          started = true;
          if (Date.now() >= attendUntil) return { run: 'left' };
          break;
        case 'absent':
        case 'forgotten':
          absentSince ??= performance.now();
          if (performance.now() - absentSince > longestStart) {
            throw new StartError(
              `Run ${runId} was not started: in none of the folders for its files could they be made. They are ` +
                'not there, read-only or full.',
            );
          }
          break;
        default:
          return answer;
      }
      pause = run.position > before ? FIRST_PAUSE : Math.min(pause * PAUSE_GROWTH, LONGEST_PAUSE);
      const left = Math.max(0, attendUntil - Date.now());
      const wait = run.isBehind ? 0 : Math.min(pause, left);
      const interrupted = await withTimeout(interruption.promise, wait);
      if (interrupted !== undefined) return interrupted;
    }
  } finally {
    interruption.dispose();
  }
}

interface Interruption {
  promise: Promise<{ run: 'interrupted' }>;
  happened: () => boolean;
  dispose: () => void;
}

function interruptionOf(deadline: Date | undefined, signal: AbortSignal | undefined): Interruption {
  const { promise, resolve } = withResolvers<{ run: 'interrupted' }>();
  let happened = false;
  const interrupt = () => {
    happened = true;
    resolve({ run: 'interrupted' });
  };
  let timer: NodeJS.Timeout | undefined;
  const check = () => {
    if (deadline === undefined) return;
    const left = deadline.getTime() - Date.now();
    if (left <= 0) interrupt();
    else timer = setTimeout(check, Math.min(left, LONGEST_TIMER));
  };
  check();
  signal?.addEventListener('abort', interrupt, { once: true });
  return {
    promise,
    happened: () => happened,
    dispose: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', interrupt);
    },
  };
}

// Milliseconds, all our own: quick commands are answered quickly, long ones cost a small message a second.
const FIRST_PAUSE = 20;
const PAUSE_GROWTH = 1.5;
const LONGEST_PAUSE = 1_000;
/** The deadline may be on a clock that jumps, so it is looked at now and then. */
const LONGEST_TIMER = 1_000;
