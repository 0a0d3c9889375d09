import { containerState, type Target } from './container-state.ts';
import type { Question, Reply, Take } from './conversation.ts';
import {
  AccessDeniedError,
  EcsExecError,
  NoShellError,
  SessionRefusedError,
  StartError,
  TargetNotConnectedError,
} from './errors.ts';
import { type Asking, type Clients, openSession, Session } from './session.ts';
import { type Resolvers, withResolvers, withTimeout } from './timers.ts';

/** What is known of a run after a question. */
export type Answer =
  | Reply
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
  /** For a run to take its lock once it was asked to start. @default 10,000 */
  longestStart: number;
  /** For an agent to be connected, which it is not in a task's first seconds, and sometimes later. @default 120,000 */
  longestConnect: number;
  /** For one answer, however much comes meanwhile. @default 60,000 */
  longestAnswer: number;
}

export const ATTENDANCE_TIMING: AttendanceTiming = {
  watchAfter: 5_000,
  lostAfter: 60_000,
  lostAfterResuming: 10_000,
  attempts: 5,
  firstPause: 500,
  longestStart: 10_000,
  longestConnect: 120_000,
  longestAnswer: 60_000,
};

export interface AttendanceOptions {
  clients: Clients;
  target: Target;
  /** The wrapper's command line that can start the run; undefined if it is only asked after. */
  start: string | undefined;
  /** The wrapper's command line that cannot. */
  status: string;
  timing: AttendanceTiming;
}

/** Asks after a run, over as many sessions as it takes: when one breaks it is resumed or ended, and another opened. */
export class Attendance {
  readonly #options: AttendanceOptions;
  #session: Session | undefined;
  /** When it was asked to start for the last time, on the clock that never goes back: it may have. */
  askedToStartAt = Number.NEGATIVE_INFINITY;
  #started = false;
  /** Of the container's shell, that it got no process: whether the command did is then to be asked. */
  #complaint: string | undefined;
  /** Why no session can be opened, while none could be. */
  #unopened: EcsExecError | undefined;
  #asking: Promise<unknown> = Promise.resolve();
  #interruption: Resolvers<true> | undefined;

  constructor(options: AttendanceOptions) {
    this.#options = options;
  }

  get #mayHaveStarted(): boolean {
    return this.askedToStartAt > Number.NEGATIVE_INFINITY;
  }

  /**
   * Asks the wrapper, and asks again over another session if the one at hand breaks. One question at a time.
   *
   * @param take is given the output that comes with the answer, perhaps again from its beginning
   * @throws EcsExecError while nothing can have been started
   */
  ask(question: Question, take?: Take): Promise<Answer> {
    const answer = this.#ask(question, take);
    this.#asking = answer.catch(() => {});
    return answer;
  }

  /**
   * Breaks off the question at hand if its answer does not come soon, so that another can be asked.
   *
   * @throws EcsExecError if no session could be opened so far: then nothing was started
   */
  async interrupt(): Promise<void> {
    const settled = this.#asking.then(() => true);
    if (!(await withTimeout(settled, this.#session === undefined ? 0 : PATIENCE))) {
      this.#interruption = withResolvers();
      this.#interruption.resolve(true);
      this.#woken.resolve(true);
      await this.close();
      await this.#asking;
      this.#interruption = undefined;
      this.#woken = withResolvers();
    }
    if (!this.#mayHaveStarted && this.#unopened !== undefined) throw this.#unopened;
  }

  /**
   * Takes leave of the run: its files are removed, or stay for a later question.
   *
   * @param token of the input that was brought for it
   */
  async leave(how: 'forget' | 'leave', token?: string): Promise<void> {
    const left = this.#leave(how, token).then(() => true);
    if (await withTimeout(left, LONGEST_LEAVE)) return;
    this.#interruption = withResolvers();
    this.#woken.resolve(true);
    await this.close();
  }

  /** Ends what may still be open. To be called however the attendance went. */
  async close(): Promise<void> {
    await this.#session?.abandon();
    this.#session = undefined;
  }

  async #leave(how: 'forget' | 'leave', token: string | undefined): Promise<void> {
    const question = token === undefined ? how : { end: how, token };
    if (how === 'forget') await this.ask(question);
    else if (this.#session !== undefined) await this.#askOver(this.#session, question);
    await this.#session?.finish();
    this.#session = undefined;
  }

  async #ask(question: Question, take: Take | undefined): Promise<Answer> {
    const { timing, target } = this.#options;
    const askedAt = performance.now();
    let reason = '';
    for (let [failures, pauses] = [0, 0]; failures < timing.attempts && !this.#interruption; pauses += 1) {
      if (pauses > 0) await this.#pause(Math.min(timing.firstPause * 2 ** (pauses - 1), LONGEST_PAUSE));
      if (this.#interruption) break;
      const session = this.#session ?? (await this.#open(askedAt));
      if (!(session instanceof Session)) {
        reason = session.reason;
        if (session.run === 'gone') return { run: 'gone', reason };
        if (session.run === 'lost') failures += 1;
        continue;
      }
      if (this.#interruption) break;
      if (this.#complaint !== undefined) {
        const check = await this.#askOver(session, 'check');
        if ('run' in check && check.run === 'absent') throw notStarted(this.#complaint);
        this.#started ||= 'run' in check;
        this.#complaint = undefined;
      }
      if (typeof question === 'object' && 'start' in question) this.askedToStartAt = performance.now();
      const answer = await this.#askOver(session, question, take);
      if ('run' in answer) {
        if (answer.run === 'absent' && this.#started) return { run: 'gone', reason: STARTED_ANEW };
        this.#started ||= answer.run !== 'absent';
        return answer;
      }
      failures += 1;
      reason = describe(answer);
      await this.close();
      if (!this.#started) throwRefusal(answer);
      if (!this.#started && NO_PROCESS.test(session.aside)) this.#complaint = session.aside;
      const gone = await this.#whyGone();
      if (gone !== undefined) return { run: 'gone', reason: gone };
    }
    if (this.#interruption) await this.close();
    reason = `no session in container ${target.container} of task ${target.task} answers: ${reason}`;
    if (this.#options.start !== undefined && !this.#mayHaveStarted && !this.#interruption)
      throw new StartError(`The command was not started, for ${reason}.`);
    return { run: 'lost', reason };
  }

  async #open(askedAt: number): Promise<Session | { run: 'gone' | 'lost' | 'not-yet'; reason: string }> {
    const { clients, target, start, status, timing } = this.#options;
    try {
      const opening = await openSession(clients, target, this.#started ? status : (start ?? status));
      if (opening.opening === 'gone') return { run: 'gone', reason: opening.reason };
      this.#unopened = undefined;
      if (opening.opening === 'unknown') return { run: 'lost', reason: opening.reason };
      this.#session = opening.session;
      return opening.session;
    } catch (error) {
      if (!(error instanceof EcsExecError)) throw error;
      this.#unopened = error;
      const waited = performance.now() - askedAt;
      if (error instanceof TargetNotConnectedError && waited < timing.longestConnect)
        return { run: 'not-yet', reason: error.message };
      if (!this.#mayHaveStarted && !this.#started) throw error;
      return { run: 'lost', reason: error.message };
    }
  }

  /** Asks over one session; resumes it once if it is cut. */
  async #askOver(session: Session, question: Question, take?: Take): Promise<Answer | Broken> {
    const { timing } = this.#options;
    const result = await this.#watched(session, session.ask(question, take), timing.lostAfter);
    if (!isCut(result) || !(await session.resume())) return result;
    return await this.#watched(session, session.answer(), timing.lostAfterResuming);
  }

  #woken = withResolvers<true>();

  async #pause(milliseconds: number): Promise<void> {
    await withTimeout(this.#woken.promise, milliseconds);
  }

  /** Waits for an answer, and asks ECS whether the container still is when nothing comes. */
  async #watched(session: Session, asking: Promise<Asking>, lostAfter: number): Promise<Answer | Broken> {
    const { watchAfter, longestAnswer } = this.#options.timing;
    const askedAt = performance.now();
    for (;;) {
      const sinceLast = Math.max(0, watchAfter - session.silentFor);
      const result = await withTimeout(asking, sinceLast > 0 ? sinceLast : watchAfter);
      if (result?.asking === 'answered') return result.reply;
      if (result !== undefined) return result;
      if (performance.now() - askedAt >= longestAnswer) return { asking: 'silent' };
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

/** What a session says that ends before the run is known to have started, if that is clear. */
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
  if (broken.end.cause !== 'closed') return;
  const { failure } = broken.end;
  if (failure === '') return;
  if (NO_PROGRAM.test(failure)) {
    throw new NoShellError(
      `The container has no shell, as distroless images have none, so commands cannot be run in it by ECS Exec: ${failure}`,
    );
  }
  throw new SessionRefusedError(`The session was ended before it began: ${failure}`);
}

function notStarted(complaint: string): StartError {
  return new StartError(
    `The container let no further process be made, so the command was not started and nothing has run: ${complaint}`,
  );
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

/** How shells word it that fork was refused. */
const NO_PROCESS = /\bfork\b/i;
/** How the agent words it that there is no such program. */
const NO_PROGRAM = /Failed to start pty.*(no such file|not found)/;
/** Milliseconds. */
const LONGEST_PAUSE = 5_000;
/** Milliseconds: the run's end is known by then, and is not to wait for its files' removal. */
const LONGEST_LEAVE = 15_000;
/** Milliseconds that a question that is to be broken off still gets. */
const PATIENCE = 3_000;
