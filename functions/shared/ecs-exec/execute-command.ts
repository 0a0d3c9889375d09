// In one file though long: a command is started, followed, stopped and forgotten by the same conversation, and its types say it together.
import { randomBytes } from 'node:crypto';
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
import { sleep, withResolvers, withTimeout } from './timers.ts';
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
  /**
   * Run ids that begin so are over: what they left in the container is removed when this run starts. For a job that
   * does not forget its runs one by one, which would take a session more. @default nothing is removed
   */
  supersedes?: string;
}

export interface LookOptions extends RunOptions {
  /** Bytes of the output that the caller has: `output.totalBytes` of its look before. @default 0 */
  from?: number;
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
  return await withRun(options, async (run) => {
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
  return await withRun<string>(options, async (run) => {
    const until = Date.now() + (options.attendFor ?? 3_000);
    const end = await follow(run, options, until);
    return end.run === 'left' ? await run.leave('running') : await run.conclude(end, 'leave');
  });
}

/**
 * How a command stands that was started before. Of its output only the beginning and the end are fetched, however
 * much there is; a sink gets what there is behind `from`.
 *
 * @throws EcsExecError if no session could be opened: one class per cause
 */
export async function commandStatus(options: LookOptions & ByteOptions): Promise<CommandStatus<Uint8Array>>;
export async function commandStatus(options: LookOptions & TextOptions): Promise<CommandStatus>;
export async function commandStatus(options: LookOptions & AnyOptions): Promise<CommandStatus<Any>> {
  return await withRun(options, async (run) => {
    const answer = await run.look();
    switch (answer.run) {
      case 'absent':
      case 'forgotten':
        return await run.leave('unknown');
      case 'running':
      case 'orphaned':
        await run.readTo(answer);
        return await run.leave('running');
      default:
        return await run.conclude(answer, 'leave');
    }
  });
}

/** Ends a command that was started before: TERM to its process group, then KILL. Its status is kept. */
export async function stopCommand(options: RunOptions & TextOptions): Promise<CommandStatus> {
  return await withRun<string>(options, async (run) => {
    const answer = await run.attendance.ask('TERM');
    if (answer.run === 'absent' || answer.run === 'forgotten') return await run.leave('unknown');
    if (answer.run === 'running' || answer.run === 'orphaned') return await run.stop(answer, 'leave');
    return await run.conclude(answer, 'leave');
  });
}

/** Removes what a command that has ended left in the container: its status and its output. */
export async function forgetCommand(options: RunOptions): Promise<void> {
  await withRun(options, async (run) => await run.attendance.leave('forget'));
}

type Any = string | Uint8Array;
type AnyOptions = TextOptions | ByteOptions;

/** What following a run came to. */
type FollowEnd =
  | Ended
  /** The deadline has passed, or the signal came. */
  | { run: 'interrupted' }
  /** It runs on, and was attended for as long as wished. */
  | { run: 'left' };

type Ended = Exclude<Answer, { run: 'running' | 'orphaned' | 'absent' | 'forgotten' }>;

/** One run, from the first question to the result. */
class Run<Content extends Any> {
  readonly attendance: Attendance;
  readonly #options: RunOptions & AnyOptions;
  readonly #keeper: OutputKeeper;
  readonly #feeder: SinkFeeder<string> | SinkFeeder<Uint8Array> | undefined;
  readonly #limits: { head: number; tail: number };
  readonly #token = randomBytes(16).toString('hex');
  /** Where in the output file we are. */
  #next: number;
  #size: number | undefined;
  #askedToStart = Number.NEGATIVE_INFINITY;
  #skippedBySink = 0;
  #orphaned = false;

  constructor(options: RunOptions & AnyOptions & Partial<CommandOptions & LookOptions>) {
    const { cluster, task, container, runId, shell, folders, keep, command, supersedes, from = 0 } = options;
    const wrapped = { runId, shell, folders, transport: options.bytes === true ? 'bytes' : 'text' } as const;
    this.#options = options;
    this.#limits = { head: keep?.head ?? DEFAULT_KEPT, tail: keep?.tail ?? DEFAULT_KEPT };
    this.#keeper = new OutputKeeper(this.#limits);
    this.#feeder = feederFor(options);
    this.#next = from;
    this.#keeper.skip(from);
    this.attendance = new Attendance({
      clients: options.clients ?? defaultClients(),
      target: { cluster, task, container },
      start: command === undefined ? undefined : wrap({ ...wrapped, command, supersedes }),
      status: wrap(wrapped),
      timing: { ...ATTENDANCE_TIMING, ...options.timing },
    });
  }

  /** Bytes of output that were read or passed over. */
  get position(): number {
    return this.#next;
  }

  /** There is output that was not read yet, and is wanted. */
  get isBehind(): boolean {
    return this.#wantsMore() && (this.#size ?? 0) > this.#next;
  }

  /** Asks the container to start the command: again now and then, for as long as it knows nothing of it. */
  async start(): Promise<Answer> {
    const now = performance.now();
    if (now - this.#askedToStart < START_AGAIN) return this.#noted(await this.attendance.ask('state'));
    this.#askedToStart = now;
    return this.#noted(await this.attendance.ask({ start: this.#token }));
  }

  /** How it stands, with as much of its output as is wanted and one answer may have. */
  async look(): Promise<Answer> {
    if (!this.#wantsMore()) return this.#noted(await this.attendance.ask('state'));
    const wanted = this.#feeder === undefined ? this.#limits.head - this.#next : ONE_ANSWER;
    return await this.#read(Math.min(wanted, ONE_ANSWER));
  }

  /**
   * Reads the output as far as an answer has told of it: all of it for a sink, as long as there is time; else only
   * its end.
   *
   * @param until epoch milliseconds
   */
  async readTo(answer: Answer, until = Number.POSITIVE_INFINITY): Promise<void> {
    let size = 'size' in answer ? answer.size : undefined;
    for (;;) {
      const before = this.#next;
      if (size !== undefined && this.#next >= size) return;
      const wantsAll = this.#feeder !== undefined && Date.now() < until;
      if (size !== undefined && !wantsAll && this.#next >= (this.#feeder ? 0 : this.#limits.head)) {
        const left = size - this.#limits.tail - this.#next;
        if (left > ONE_BLOCK) this.#passOver(left);
      }
      const end = size ?? Number.POSITIVE_INFINITY;
      const read = await this.#read(
        Math.min((this.#readsHead() ? Math.min(this.#limits.head, end) : end) - this.#next, ONE_ANSWER),
      );
      if (read.run === 'gone' || read.run === 'lost' || this.#next === before) return;
      if (size === undefined && Date.now() >= until) return;
      size ??= read.run === 'running' ? read.size : undefined;
    }
  }

  /** The result of a run that has ended, or is ended here because its time is over. */
  async conclude(
    end: Exclude<FollowEnd, { run: 'left' }>,
    files: 'forget' | 'leave',
  ): Promise<CommandResult<Content>> {
    const { runId, deadline, signal } = this.#options;
    switch (end.run) {
      case 'exited':
        await this.readTo(end, deadline?.getTime());
        await this.attendance.leave(files);
        return { outcome: 'exited', exitCode: end.exitCode, ...(await this.#printed()) };
      case 'interrupted': {
        await this.attendance.interrupt();
        const first = await this.attendance.ask('TERM');
        // It has ended by itself meanwhile, or its container has.
        if (first.run === 'exited' || first.run === 'gone') {
          const result = await this.conclude(first, files);
          signal?.throwIfAborted();
          return result;
        }
        return await this.stop(first, files);
      }
      case 'no-encoder':
        await this.attendance.leave('leave');
        throw new EncoderMissingError(
          `The container has neither base64 nor od, so the output of run ${runId} cannot be had ` +
            'byte for byte. If it was to be started, it was not.',
        );
      case 'refused':
        await this.attendance.leave(files);
        throw new StartError(
          `Run ${runId} ended before its command began, so nothing has run: the container let no further process be ` +
            'made (it is at its limit of processes, or out of memory), or was told to kill it.',
        );
      case 'died':
        await this.readTo(end, deadline?.getTime());
        await this.attendance.leave(files);
        return {
          outcome: 'lost',
          reason: this.#orphaned
            ? 'the process that was to keep the status was killed (by KILL, or for want of memory); the command went on and has ended since'
            : 'all its processes were killed (by KILL, or for want of memory) and left no exit code',
          ...(await this.#printed()),
        };
      case 'gone':
      case 'lost':
        return { outcome: end.run, reason: end.reason, ...(await this.#printed()) };
    }
  }

  /** The result of a run that was sent TERM: waits for that, and sends KILL. */
  async stop(first: Answer, files: 'forget' | 'leave'): Promise<CommandResult<Content>> {
    const last = await this.#stopped(first);
    await this.readTo(last, Date.now());
    await this.attendance.leave(files);
    this.#options.signal?.throwIfAborted();
    return { outcome: 'timed-out', stopped: isOver(last), ...(await this.#printed()) };
  }

  /** The status of a run that goes on, or is not known. */
  async leave(outcome: 'running' | 'unknown'): Promise<CommandStatus<Content>> {
    await this.attendance.leave('leave');
    return { outcome, ...(await this.#printed()) };
  }

  #wantsMore(): boolean {
    return this.#feeder !== undefined || this.#readsHead();
  }

  /** Without a sink only the head and the tail of the output are read. */
  #readsHead(): boolean {
    return this.#feeder === undefined && this.#next < this.#limits.head;
  }

  async #read(count: number): Promise<Answer> {
    const question = { more: this.#next, count: Math.ceil(count / ONE_BLOCK) * ONE_BLOCK };
    const answer = await this.attendance.ask(question, (bytes, place) => {
      const known = Math.max(0, this.#next - place);
      if (known >= bytes.length) return;
      this.#next = place + bytes.length;
      this.#keeper.take(bytes.subarray(known));
      this.#feeder?.take(bytes.subarray(known));
    });
    // The agent can lose a byte on the way: the container knows better where we are.
    if ('next' in answer && answer.next !== undefined && answer.next >= question.more)
      this.#next = answer.next;
    return this.#noted(answer);
  }

  #passOver(bytes: number): void {
    this.#next += bytes;
    this.#keeper.skip(bytes);
    if (this.#feeder !== undefined) this.#skippedBySink += bytes;
  }

  #noted(answer: Answer): Answer {
    if ('size' in answer) this.#size = answer.size;
    this.#orphaned ||= answer.run === 'orphaned';
    return answer;
  }

  async #stopped(first: Answer): Promise<Answer> {
    let answer = first;
    for (const [signal, patience] of [
      ['TERM', TERM_PATIENCE],
      ['KILL', KILL_PATIENCE],
    ] as const) {
      if (signal === 'KILL') answer = await this.attendance.ask(signal);
      for (const until = performance.now() + patience; goesOn(answer) && performance.now() < until; ) {
        await sleep(STOP_CHECK);
        answer = await this.attendance.ask('state');
      }
      if (!goesOn(answer)) break;
    }
    return answer;
  }

  async #printed(): Promise<Printed<Content>> {
    if (this.#feeder !== undefined) await withTimeout(this.#feeder.finish(), SINK_PATIENCE);
    const { skippedBytes = 0, failure } = this.#feeder ?? {};
    const skippedBySink = skippedBytes + this.#skippedBySink;
    // `Content` is what `bytes` says, which the types of the exported functions tie together.
    const output = (
      this.#options.bytes === true ? this.#keeper.bytes() : this.#keeper.text()
    ) as Output<Content>;
    return { output, skippedBySink, ...(failure === undefined ? {} : { sinkError: failure }) };
  }
}

function goesOn({ run }: Answer): boolean {
  return run === 'running' || run === 'orphaned';
}

function isOver({ run }: Answer): boolean {
  return run !== 'lost' && !goesOn({ run } as Answer);
}

async function withRun<Content extends Any, Result = CommandStatus<Content>>(
  options: RunOptions & AnyOptions & Partial<CommandOptions>,
  work: (run: Run<Content>) => Promise<Result>,
): Promise<Result> {
  options.signal?.throwIfAborted();
  const run = new Run<Content>(options);
  try {
    return await work(run);
  } finally {
    await run.attendance.close();
  }
}

/**
 * Starts the command and asks for more until it has ended, the deadline has passed or the signal has come.
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
    let started = false;
    for (let pause = FIRST_PAUSE; ; ) {
      const before = run.position;
      const asking = started ? run.look() : run.start();
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
  const { promise, resolve } = withResolvers<{ run: 'interrupted' }>();
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
const FIRST_PAUSE = 20;
const PAUSE_GROWTH = 1.5;
const LONGEST_PAUSE = 1_000;
const STOP_CHECK = 250;
/** What a command gets to clean up after TERM: as ECS gives a task, less Lambda's own need. */
const TERM_PATIENCE = 10_000;
const KILL_PATIENCE = 5_000;
/** What a sink gets to take the last output. */
const SINK_PATIENCE = 10_000;
/** Between two askings to start a run that the container does not know yet. */
const START_AGAIN = 2_000;
/** Bytes: a third of a second of the agent's best, so that a signal is never far behind. */
const ONE_ANSWER = 262_144;
/** Bytes: what the wrapper reads at once. */
const ONE_BLOCK = 4_096;
/** Bytes. */
const DEFAULT_KEPT = 65_536;
/** The deadline may be on a clock that jumps, so it is looked at now and then. */
const LONGEST_TIMER = 1_000;
