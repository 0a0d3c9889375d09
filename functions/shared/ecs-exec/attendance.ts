import { containerState, type Target } from './container-state.ts';
import type { Question, RunState } from './conversation.ts';
import { AccessDeniedError, EcsExecError, SessionRefusedError, TargetNotConnectedError } from './errors.ts';
import { type Asking, type Clients, openSession, Session } from './session.ts';
import { sleep, withTimeout } from './timers.ts';

/** What is known of a run after a question. */
export type Answer =
  | RunState
  /** The container or its task has stopped. */
  | { run: 'gone'; reason: string }
  /** No session answers any more. */
  | { run: 'lost'; reason: string };

/** Milliseconds, and how often. */
export interface AttendanceTiming {
  /** Silence after which DescribeTasks is asked whether the container still is. @default 5,000 */
  watchAfter: number;
  /** Silence after which a session counts as lost. @default 60,000 */
  lostAfter: number;
  /** The same for one that was resumed, which ECS Exec may not support. @default 10,000 */
  lostAfterResuming: number;
  /** Sessions opened in a row without an answer, before the run counts as lost. @default 5 */
  attempts: number;
  /** Before another session is opened; doubled each time. @default 500 */
  firstPause: number;
  /** For a run to take its lock once its session has opened. @default 10,000 */
  longestStart: number;
}

export const ATTENDANCE_TIMING: AttendanceTiming = {
  watchAfter: 5_000,
  lostAfter: 60_000,
  lostAfterResuming: 10_000,
  attempts: 5,
  firstPause: 500,
  longestStart: 10_000,
};

export interface AttendanceOptions {
  clients: Clients;
  target: Target;
  /** The wrapper's command line: for the first session, and for later ones until the run is known to have started. */
  start: string;
  /** The wrapper's command line that starts nothing. */
  status: string;
  onOutput: (bytes: Buffer) => void;
  timing: AttendanceTiming;
}

/**
 * Asks after a run, over as many sessions as it takes: when one breaks it is resumed or ended, and another opened.
 * Output is handed on once, although each session sends it from its beginning.
 */
export class Attendance {
  readonly #options: AttendanceOptions;
  #session: Session | undefined;
  #mayHaveStarted = false;
  #started = false;
  #startsOnTheirWay = false;
  #received = 0;
  #asking: Promise<unknown> = Promise.resolve();
  #interrupted = false;

  constructor(options: AttendanceOptions) {
    this.#options = options;
  }

  /**
   * Asks the wrapper, and asks again over another session if the one at hand breaks. One question at a time.
   *
   * @throws EcsExecError if the very first session cannot be opened
   */
  ask(question: Question): Promise<Answer> {
    const answer = this.#ask(question);
    this.#asking = answer.catch(() => {});
    return answer;
  }

  /** Breaks off the question at hand if its answer does not come soon, so that another can be asked. */
  async interrupt(): Promise<void> {
    const settled = this.#asking.then(() => true);
    if (await withTimeout(settled, PATIENCE)) return;
    this.#interrupted = true;
    await this.close();
    await this.#asking;
    this.#interrupted = false;
  }

  /**
   * Takes leave of the run: its files are removed, or stay for a later question. Its lock and status stay in any
   * case if ExecuteCommand once gave no answer: that start may still be on its way, and must find them.
   */
  async leave(how: 'forget' | 'leave'): Promise<void> {
    const left = this.#leave(how).then(() => true);
    if (await withTimeout(left, LONGEST_LEAVE)) return;
    this.#interrupted = true;
    await this.close();
  }

  /** Ends what may still be open. To be called however the attendance went. */
  async close(): Promise<void> {
    await this.#session?.abandon();
    this.#session = undefined;
  }

  async #leave(how: 'forget' | 'leave'): Promise<void> {
    if (how === 'forget') await this.ask(this.#startsOnTheirWay ? 'clear' : 'forget');
    else if (this.#session !== undefined) await this.#askOver(this.#session, 'leave');
    await this.#session?.finish();
    this.#session = undefined;
  }

  async #ask(question: Question): Promise<Answer> {
    const { timing, target } = this.#options;
    let reason = '';
    for (let attempt = 0; attempt < timing.attempts && !this.#interrupted; attempt += 1) {
      if (attempt > 0) await sleep(Math.min(timing.firstPause * 2 ** (attempt - 1), LONGEST_PAUSE));
      const session = this.#session ?? (await this.#open(attempt));
      if (!(session instanceof Session)) {
        if (session.run === 'gone') return session;
        reason = session.reason;
        continue;
      }
      if (this.#interrupted) break;
      const answer = await this.#askOver(session, question);
      if ('run' in answer) {
        if (answer.run === 'absent' && this.#started) return { run: 'gone', reason: STARTED_ANEW };
        this.#started ||= answer.run !== 'absent';
        return answer;
      }
      reason = describe(answer);
      await this.close();
      if (!session.hasAnswered && !this.#started) throwRefusal(answer);
      const gone = await this.#whyGone();
      if (gone !== undefined) return { run: 'gone', reason: gone };
    }
    if (this.#interrupted) await this.close();
    return {
      run: 'lost',
      reason: `no session in container ${target.container} of task ${target.task} answers: ${reason}`,
    };
  }

  async #open(attempt: number): Promise<Session | { run: 'gone' | 'lost'; reason: string }> {
    const { clients, target, start, status } = this.#options;
    try {
      const line = this.#started ? status : start;
      const opening = await openSession(clients, target, line, this.#onlyNewOutput());
      if (opening.opening === 'gone') return { run: 'gone', reason: opening.reason };
      this.#mayHaveStarted = true;
      if (opening.opening === 'unknown') {
        this.#startsOnTheirWay ||= line === start;
        return { run: 'lost', reason: opening.reason };
      }
      this.#session = opening.session;
      return opening.session;
    } catch (error) {
      if (!(error instanceof EcsExecError)) throw error;
      // Just after a task's start this passes.
      const passing = error instanceof TargetNotConnectedError && attempt < this.#options.timing.attempts - 1;
      if (!this.#mayHaveStarted && !passing) throw error;
      return { run: 'lost', reason: error.message };
    }
  }

  /** Each session sends the output from its beginning: what an earlier one has brought is passed over. */
  #onlyNewOutput(): (bytes: Buffer) => void {
    let sent = 0;
    return (bytes) => {
      const known = Math.min(bytes.length, Math.max(0, this.#received - sent));
      sent += bytes.length;
      if (known === bytes.length) return;
      this.#received += bytes.length - known;
      this.#options.onOutput(bytes.subarray(known));
    };
  }

  /** Asks over one session; resumes it once if it is cut. */
  async #askOver(session: Session, question: Question): Promise<Answer | Broken> {
    const { timing } = this.#options;
    const result = await this.#watched(session, session.ask(question), timing.lostAfter);
    if (!isCut(result) || !(await session.resume())) return result;
    return await this.#watched(session, session.answer(), timing.lostAfterResuming);
  }

  /** Waits for an answer, and asks ECS whether the container still is when nothing comes. */
  async #watched(session: Session, asking: Promise<Asking>, lostAfter: number): Promise<Answer | Broken> {
    const { watchAfter } = this.#options.timing;
    for (;;) {
      const sinceLast = Math.max(0, watchAfter - session.silentFor);
      const result = await withTimeout(asking, sinceLast > 0 ? sinceLast : watchAfter);
      if (result?.asking === 'answered') return result.state;
      if (result !== undefined) return result;
      if (session.silentFor < watchAfter) continue;
      const gone = await this.#whyGone();
      if (gone !== undefined) return { run: 'gone', reason: gone };
      if (session.silentFor >= lostAfter) return { asking: 'silent' };
    }
  }

  async #whyGone(): Promise<string | undefined> {
    try {
      const state = await containerState(this.#options.clients.ecs, this.#options.target);
      return state.state === 'gone' ? state.reason : undefined;
    } catch {
      // Not known now: asked again while the silence lasts.
      return undefined;
    }
  }
}

type Broken = Exclude<Asking, { asking: 'answered' }>;

function isCut(result: Answer | Broken): boolean {
  return 'asking' in result && result.asking === 'broken' && result.end.cause === 'cut';
}

function throwRefusal(broken: Broken): void {
  if (broken.asking !== 'broken') return;
  if (broken.end.cause === 'handshake-failed') throw broken.end.error;
  if (broken.end.cause === 'refused') {
    const { status, detail } = broken.end;
    const what = `Session Manager refused to open the session's data channel with ${status}: ${detail}`;
    if (status !== 401 && status !== 403) throw new SessionRefusedError(what);
    throw new AccessDeniedError(
      `${what}. The caller needs ssmmessages:OpenDataChannel on the sessions of ECS Exec, session/ecs-execute-command-*.`,
    );
  }
  if (broken.end.cause === 'closed' && broken.end.failure !== '') {
    throw new SessionRefusedError(`The session was ended before it began: ${broken.end.failure}`);
  }
}

function describe(broken: Broken): string {
  if (broken.asking === 'silent') return 'the session fell silent';
  switch (broken.end.cause) {
    case 'closed':
      return `the session was closed${broken.end.failure === '' ? '' : `: ${broken.end.failure}`}`;
    case 'cut':
      return `the websocket broke (${broken.end.detail})`;
    case 'refused':
      return `the websocket was refused with ${broken.end.status}: ${broken.end.detail}`;
    case 'handshake-failed':
      return broken.end.error.message;
    case 'left':
      return 'it was broken off';
  }
}

const STARTED_ANEW =
  'the container no longer knows the run: it was started anew, or someone has forgotten the run';

/** Milliseconds. */
const LONGEST_PAUSE = 10_000;
/** Milliseconds: the run's end is known by then, and is not to wait for its files' removal. */
const LONGEST_LEAVE = 15_000;
/** Milliseconds that a question that is to be broken off still gets. */
const PATIENCE = 3_000;
