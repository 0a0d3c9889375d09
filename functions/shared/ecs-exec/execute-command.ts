import { type Answer, ATTENDANCE_TIMING, Attendance, type AttendanceTiming } from './attendance.ts';
import type { Target } from './container-state.ts';
import { EncoderMissingError, StartError } from './errors.ts';
import {
  type Output,
  OutputKeeper,
  type OutputLimits,
  type Sink,
  SinkFeeder,
  textDecoder,
} from './output.ts';
import { type Clients, ecsExecClients } from './session.ts';
import { sleep, withTimeout } from './timers.ts';
import { type Command, wrap } from './wrapper.ts';

/** What all questions about a run have in common. */
export interface RunOptions extends Target {
  /**
   * Names the run in the container, so that it is started once however often it is asked for: letters, digits, `.`,
   * `_`, `-`, at most 100.
   */
  runId: string;
  /** @default {@link ecsExecClients} for the environment's region and credentials */
  clients?: Clients;
  /** Bytes kept of the output. */
  keep?: OutputLimits;
  /** When the command must have ended. @default never */
  deadline?: Date;
  /** Stops the command; the function then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** The container's shell. @default ['sh'] */
  shell?: string[];
  /** Folders of the container for the run's files: the first that can be written. @default /run, /tmp, /var/tmp, /dev/shm */
  folders?: string[];
  timing?: Partial<AttendanceTiming>;
}

/** Output as text, as most commands print it. */
export interface TextOptions {
  bytes?: false;
  sink?: Sink<string>;
}

/** Output byte for byte, for which it is encoded in the container (by base64 or od). */
export interface ByteOptions {
  bytes: true;
  sink?: Sink<Uint8Array>;
}

export interface CommandOptions extends RunOptions {
  command: Command;
}

export interface ExecuteOptions extends CommandOptions {
  /**
   * Keeps the status in the container, for a caller that could be interrupted before it has noted the result. Then
   * {@link forgetCommand} is to follow.
   *
   * @default false: the run's files are removed, and the same run id would start the command anew
   */
  keepStatus?: boolean;
}

/** How a command ended. */
export type CommandResult<Content extends string | Uint8Array = string> =
  | ({ outcome: 'exited'; exitCode: number } & Printed<Content>)
  /** The container or its task stopped meanwhile. */
  | ({ outcome: 'gone'; reason: string } & Printed<Content>)
  /** `stopped`: it was seen to have ended after the signals TERM and KILL. */
  | ({ outcome: 'timed-out'; stopped: boolean } & Printed<Content>)
  /** Nothing tells how it ended, or whether it has. */
  | ({ outcome: 'lost'; reason: string } & Printed<Content>);

/** How a command stands. */
export type CommandStatus<Content extends string | Uint8Array = string> =
  | CommandResult<Content>
  | ({ outcome: 'running' } & Printed<Content>)
  /** The container knows no run of this id: not started there, or forgotten. */
  | ({ outcome: 'unknown' } & Printed<Content>);

export interface Printed<Content extends string | Uint8Array> {
  output: Output<Content>;
  /** Bytes that the sink did not get: it was too slow, or had failed. */
  skippedBySink: number;
  /** What the sink threw. */
  sinkError?: unknown;
}

/**
 * Runs a command in a container and says how it ended. Standard input is empty; standard error comes with the
 * output.
 *
 * @throws EcsExecError if it could not be started: one class per cause
 * @throws the signal's reason, after the command was stopped
 */
export async function executeCommand(
  options: ExecuteOptions & ByteOptions,
): Promise<CommandResult<Uint8Array>>;
export async function executeCommand(options: ExecuteOptions & TextOptions): Promise<CommandResult>;
export async function executeCommand(options: ExecuteOptions & AnyOptions): Promise<CommandResult<Any>> {
  return await withRun(options, options.command, async (run) => {
    const end = await follow(run, options);
    const files = options.keepStatus === true ? 'leave' : 'forget';
    return await run.conclude(end, files);
  });
}

/**
 * Starts a command, or finds it started, and leaves it running: for one that outlives its caller. Ask for its end by
 * {@link commandStatus}, and {@link forgetCommand} when that is noted.
 *
 * @returns the command's end instead, if it comes within `attendFor`
 * @throws EcsExecError if it could not be started: one class per cause
 */
export async function startCommand(
  options: CommandOptions &
    TextOptions & {
      /** Milliseconds. @default 3,000 */
      attendFor?: number;
    },
): Promise<CommandStatus> {
  return await withRun<string>(options, options.command, async (run) => {
    const until = Date.now() + (options.attendFor ?? 3_000);
    const end = await follow(run, options, until);
    return end.run === 'left' ? await run.leave('running') : await run.conclude(end, 'leave');
  });
}

/**
 * How a command stands that was started before. Its output is that since its start.
 *
 * @throws EcsExecError if no session could be opened: one class per cause
 */
export async function commandStatus(options: RunOptions & ByteOptions): Promise<CommandStatus<Uint8Array>>;
export async function commandStatus(options: RunOptions & TextOptions): Promise<CommandStatus>;
export async function commandStatus(options: RunOptions & AnyOptions): Promise<CommandStatus<Any>> {
  return await withRun(options, undefined, async (run) => {
    const answer = await run.attendance.ask('more');
    if (answer.run === 'absent' || answer.run === 'forgotten') return await run.leave('unknown');
    if (answer.run === 'running') return await run.leave('running');
    return await run.conclude(answer, 'leave');
  });
}

/** Ends a command that was started before: TERM to its process group, then KILL. Its status is kept. */
export async function stopCommand(options: RunOptions & TextOptions): Promise<CommandStatus> {
  return await withRun<string>(options, undefined, async (run) => {
    const answer = await run.attendance.ask('more');
    if (answer.run === 'absent' || answer.run === 'forgotten') return await run.leave('unknown');
    const end: FollowEnd = answer.run === 'running' ? { run: 'interrupted' } : answer;
    return await run.conclude(end, 'leave');
  });
}

/** Removes what a command that has ended left in the container: its status and its output. */
export async function forgetCommand(options: RunOptions): Promise<void> {
  await withRun(options, undefined, async (run) => await run.attendance.leave('forget'));
}

type Any = string | Uint8Array;
type AnyOptions = TextOptions | ByteOptions;

/** What following a run came to. */
type FollowEnd =
  | Exclude<Answer, { run: 'running' | 'absent' | 'forgotten' }>
  /** The deadline has passed, or the signal came. */
  | { run: 'interrupted' }
  /** It runs on, and was attended for as long as wished. */
  | { run: 'left' };

/** One run, from the first question to the result. */
class Run<Content extends Any> {
  readonly attendance: Attendance;
  readonly #options: RunOptions & AnyOptions;
  readonly #keeper: OutputKeeper;
  readonly #feeder: SinkFeeder<string> | SinkFeeder<Uint8Array> | undefined;

  constructor(options: RunOptions & AnyOptions, command: Command | undefined) {
    const { cluster, task, container, runId, shell, folders, keep } = options;
    const wrapped = { runId, shell, folders, transport: options.bytes === true ? 'bytes' : 'text' } as const;
    this.#options = options;
    this.#keeper = new OutputKeeper(keep);
    this.#feeder = feederFor(options);
    const status = wrap(wrapped);
    this.attendance = new Attendance({
      clients: options.clients ?? defaultClients(),
      target: { cluster, task, container },
      start: command === undefined ? status : wrap({ ...wrapped, command }),
      status,
      onOutput: (bytes) => {
        this.#keeper.take(bytes);
        this.#feeder?.take(bytes);
      },
      timing: { ...ATTENDANCE_TIMING, ...options.timing },
    });
  }

  get outputBytes(): number {
    return this.#keeper.totalBytes;
  }

  /** The result of a run that has ended, or is ended here because its time is over. */
  async conclude(
    end: Exclude<FollowEnd, { run: 'left' }>,
    files: 'forget' | 'leave',
  ): Promise<CommandResult<Content>> {
    switch (end.run) {
      case 'exited':
        await this.attendance.leave(files);
        return { outcome: 'exited', exitCode: end.exitCode, ...(await this.#printed()) };
      case 'interrupted': {
        await this.attendance.interrupt();
        const state = await this.attendance.ask('more');
        // It has ended by itself meanwhile, or its container has.
        if (state.run === 'exited' || state.run === 'gone') {
          const result = await this.conclude(state, files);
          this.#options.signal?.throwIfAborted();
          return result;
        }
        const stopped = await this.#stop();
        await this.attendance.leave(files);
        this.#options.signal?.throwIfAborted();
        return { outcome: 'timed-out', stopped, ...(await this.#printed()) };
      }
      case 'no-encoder':
        await this.attendance.leave('leave');
        throw new EncoderMissingError(
          `The container has neither base64 nor od, so the output of run ${this.#options.runId} cannot be had ` +
            'byte for byte. If it was to be started, it was not.',
        );
      case 'died':
        await this.attendance.leave(files);
        return {
          outcome: 'lost',
          reason: 'the process that was to keep the status was killed',
          ...(await this.#printed()),
        };
      case 'gone':
      case 'lost':
        return { outcome: end.run, reason: end.reason, ...(await this.#printed()) };
    }
  }

  /** The status of a run that goes on, or is not known. */
  async leave(outcome: 'running' | 'unknown'): Promise<CommandStatus<Content>> {
    await this.attendance.leave('leave');
    return { outcome, ...(await this.#printed()) };
  }

  /** Sends TERM and later KILL. @returns whether the command was seen to have ended */
  async #stop(): Promise<boolean> {
    for (const [signal, patience] of [
      ['TERM', TERM_PATIENCE],
      ['KILL', KILL_PATIENCE],
    ] as const) {
      const until = performance.now() + patience;
      let { run } = await this.attendance.ask(signal);
      while (run === 'running' && performance.now() < until) {
        await sleep(STOP_CHECK);
        ({ run } = await this.attendance.ask('more'));
      }
      if (run !== 'running') return run === 'exited' || run === 'died' || run === 'gone';
    }
    return false;
  }

  async #printed(): Promise<Printed<Content>> {
    if (this.#feeder !== undefined) await withTimeout(this.#feeder.finish(), SINK_PATIENCE);
    const { skippedBytes: skippedBySink = 0, failure } = this.#feeder ?? {};
    // `Content` is what `bytes` says, which the types of the exported functions tie together.
    const output = (
      this.#options.bytes === true ? this.#keeper.bytes() : this.#keeper.text()
    ) as Output<Content>;
    return { output, skippedBySink, ...(failure === undefined ? {} : { sinkError: failure }) };
  }
}

async function withRun<Content extends Any, Result = CommandStatus<Content>>(
  options: RunOptions & AnyOptions,
  command: Command | undefined,
  work: (run: Run<Content>) => Promise<Result>,
): Promise<Result> {
  options.signal?.throwIfAborted();
  const run = new Run<Content>(options, command);
  try {
    return await work(run);
  } finally {
    await run.attendance.close();
  }
}

/**
 * Asks for more until the run has ended, the deadline has passed or the signal has come.
 *
 * @param attendUntil epoch milliseconds
 */
async function follow(run: Run<Any>, options: CommandOptions): Promise<Exclude<FollowEnd, { run: 'left' }>>;
async function follow(run: Run<Any>, options: CommandOptions, attendUntil: number): Promise<FollowEnd>;
async function follow(
  run: Run<Any>,
  { deadline, signal, runId, timing }: CommandOptions,
  attendUntil = Number.POSITIVE_INFINITY,
): Promise<FollowEnd> {
  const { longestStart } = { ...ATTENDANCE_TIMING, ...timing };
  const interruption = interruptionOf(deadline, signal);
  try {
    let absentSince: number | undefined;
    for (let pause = FIRST_PAUSE; ; ) {
      const before = run.outputBytes;
      const answer = await Promise.race([run.attendance.ask('more'), interruption.promise]);
      switch (answer.run) {
        case 'exited':
        case 'died':
        case 'gone':
        case 'lost':
        case 'no-encoder':
        case 'interrupted':
          return answer;
        case 'running':
          absentSince = undefined;
          if (Date.now() >= attendUntil) return { run: 'left' };
          break;
        case 'absent':
        case 'forgotten':
          absentSince ??= performance.now();
          if (performance.now() - absentSince > longestStart) {
            throw new StartError(
              `Run ${runId} was not started: no folder for its files could be written in the container.`,
            );
          }
      }
      pause = run.outputBytes > before ? FIRST_PAUSE : Math.min(pause * PAUSE_GROWTH, LONGEST_PAUSE);
      const left = Math.max(0, attendUntil - Date.now());
      const interrupted = await withTimeout(interruption.promise, Math.min(pause, left));
      if (interrupted !== undefined) return interrupted;
    }
  } finally {
    interruption.dispose();
  }
}

let clients: Clients | undefined;

function defaultClients(): Clients {
  clients ??= ecsExecClients();
  return clients;
}

interface Interruption {
  promise: Promise<{ run: 'interrupted' }>;
  dispose: () => void;
}

function interruptionOf(deadline: Date | undefined, signal: AbortSignal | undefined): Interruption {
  const { promise, resolve } = Promise.withResolvers<{ run: 'interrupted' }>();
  const interrupt = () => resolve({ run: 'interrupted' });
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
    dispose: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', interrupt);
    },
  };
}

function feederFor(options: AnyOptions): SinkFeeder<string> | SinkFeeder<Uint8Array> | undefined {
  if (options.bytes === true) return options.sink && new SinkFeeder(options.sink, (bytes) => bytes);
  return options.sink && new SinkFeeder(options.sink, textDecoder());
}

// Milliseconds, all our own: quick commands are answered quickly, long ones cost a small message a second.
const FIRST_PAUSE = 50;
const PAUSE_GROWTH = 1.5;
const LONGEST_PAUSE = 1_000;
const STOP_CHECK = 250;
/** What a command gets to clean up after TERM: as ECS gives a task, less Lambda's own need. */
const TERM_PATIENCE = 10_000;
const KILL_PATIENCE = 5_000;
/** What a sink gets to take the last output. */
const SINK_PATIENCE = 10_000;
/** The deadline may be on a clock that jumps, so it is looked at now and then. */
const LONGEST_TIMER = 1_000;
