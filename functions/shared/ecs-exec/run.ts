import { randomBytes } from 'node:crypto';
import { type Answer, ATTENDANCE_TIMING, Attendance } from './attendance.ts';
import type { CommandStatus, Printed } from './command-result.ts';
import { StartError } from './errors.ts';
import { InputReader, typedLines } from './input.ts';
import { type Output, OutputKeeper, SinkFeeder, textDecoder } from './output.ts';
import type { ByteOptions, CommandOptions, LookOptions, RunOptions, TextOptions } from './run-options.ts';
import { type Clients, ecsExecClients } from './session.ts';
import { withTimeout } from './timers.ts';
import { wrap } from './wrapper.ts';

export type Any = string | Uint8Array;
export type AnyOptions = TextOptions | ByteOptions;

/** What only our own callers set. */
export interface RunHabits {
  /**
   * Milliseconds that a sink gets to take what waits for it, before it is passed over.
   *
   * @default 10,000
   */
  sinkPatience?: number;
}

/** One run, from the first question to the result: it starts the command, reads what it prints, and takes leave. */
export class Run<Content extends Any> {
  readonly attendance: Attendance;
  readonly options: RunOptions & AnyOptions;
  /** The process that was to keep the status was found dead. */
  wasOrphaned = false;
  readonly #keeper: OutputKeeper;
  readonly #feeder: SinkFeeder<string> | SinkFeeder<Uint8Array> | undefined;
  readonly #sinkPatience: number;
  readonly #limits: { head: number; tail: number };
  readonly #token = randomBytes(16).toString('hex');
  readonly #input: InputReader | undefined;
  #inputIsThere = false;
  /** Where in the output file we are. */
  #next: number;
  #size: number | undefined;
  #askedToStart = Number.NEGATIVE_INFINITY;
  #skippedBySink = 0;
  #sinkIsStuck = false;

  constructor(
    options: RunOptions & AnyOptions & Partial<CommandOptions & LookOptions>,
    { sinkPatience = SINK_PATIENCE }: RunHabits = {},
  ) {
    const { cluster, task, container, runId, shell, folders, keep, command, supersedes, from = 0 } = options;
    const wrapped = { runId, shell, folders, transport: options.bytes === true ? 'bytes' : 'text' } as const;
    const status = wrap(wrapped);
    const takesInput = options.stdin !== undefined;
    this.options = options;
    this.#sinkPatience = sinkPatience;
    this.#limits = { head: keep?.head ?? DEFAULT_KEPT, tail: keep?.tail ?? DEFAULT_KEPT };
    this.#keeper = new OutputKeeper(this.#limits);
    this.#feeder = feederFor(options);
    this.#next = from;
    this.#keeper.skip(from);
    this.attendance = new Attendance({
      clients: options.clients ?? defaultClients(),
      target: { cluster, task, container },
      start: 'command' in options ? wrap({ ...wrapped, command, supersedes, takesInput }) : undefined,
      status,
      timing: { ...ATTENDANCE_TIMING, ...options.timing },
    });
    if (options.stdin !== undefined) this.#input = new InputReader(options.stdin);
  }

  /** Bytes of output that were read or passed over. */
  get position(): number {
    return this.#next;
  }

  /** It was asked to start so lately that it may yet do so. */
  get mayYetStart(): boolean {
    return performance.now() - this.attendance.askedToStartAt < START_SETTLES;
  }

  /** It was asked to start, and may have. */
  get wasAskedToStart(): boolean {
    return this.attendance.askedToStartAt > Number.NEGATIVE_INFINITY;
  }

  /** There is output that was not read yet, and is wanted now. */
  get isBehind(): boolean {
    return this.#wantsMore() && (this.#size ?? 0) > this.#next;
  }

  /**
   * Asks the container to start the command, when its input is there: again now and then, for as long as it knows
   * nothing of it.
   *
   * @param isInterrupted that it is not to be started any more
   */
  async start(isInterrupted: () => boolean): Promise<Answer> {
    if (performance.now() - this.#askedToStart < START_AGAIN)
      return this.noted(await this.attendance.ask('state'));
    if (this.#input !== undefined && !this.#inputIsThere) {
      try {
        const answer = await this.#bringInput(this.#input, isInterrupted);
        if (answer !== undefined) return this.noted(answer);
      } catch (error) {
        await this.takeLeave('leave');
        throw error;
      }
      this.#inputIsThere = true;
    }
    this.#askedToStart = performance.now();
    const question = { start: this.#token, ...(this.#input && { input: this.#input.position }) };
    return this.noted(await this.attendance.ask(question));
  }

  /** How it stands, with as much of its output as is wanted and one answer may have. */
  async look(): Promise<Answer> {
    if (!this.#wantsMore()) return this.noted(await this.attendance.ask('state'));
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
      await this.#waitForSink(until);
      const wantsAll = this.#feeder !== undefined && !this.#sinkIsStuck && Date.now() < until;
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

  /** The status of a run that goes on, or is not known. */
  async leave(outcome: 'running' | 'unknown'): Promise<CommandStatus<Content>> {
    await this.takeLeave('leave');
    return { outcome, ...(await this.printed()) };
  }

  /** Ends the conversation: the run's files are removed, or stay for a later question. */
  async takeLeave(how: 'forget' | 'leave'): Promise<void> {
    await this.attendance.leave(how, this.#input && this.#token);
  }

  async printed(): Promise<Printed<Content>> {
    const patience = this.#sinkIsStuck ? 0 : this.#sinkPatience;
    if (this.#feeder !== undefined) await withTimeout(this.#feeder.finish(), patience);
    const { skippedBytes = 0, failure } = this.#feeder ?? {};
    const skippedBySink = skippedBytes + this.#skippedBySink;
    // `Content` is what `bytes` says, which the types of the exported functions tie together.
    const output = (
      this.options.bytes === true ? this.#keeper.bytes() : this.#keeper.text()
    ) as Output<Content>;
    return { output, skippedBySink, ...(failure === undefined ? {} : { sinkError: failure }) };
  }

  noted(answer: Answer): Answer {
    if ('size' in answer) this.#size = answer.size;
    this.wasOrphaned ||= answer.run === 'orphaned';
    return answer;
  }

  async close(): Promise<void> {
    this.#input?.close();
    await this.attendance.close();
  }

  /**
   * @returns undefined when the input is there; else an answer: the run is known already, or the container is gone
   */
  async #bringInput(input: InputReader, isInterrupted: () => boolean): Promise<Answer | undefined> {
    // Asked first: a run that is there already takes none.
    let answer = await this.attendance.ask('check');
    // The first answer tells whether it may be more at once.
    let length = INPUT_LINE;
    while (answer.run === 'absent' && !isInterrupted()) {
      const reading = input.peek(length).then((piece) => ({ piece }));
      const next = await withTimeout(reading, INPUT_PATIENCE);
      if (isInterrupted() || input.isClosed) break;
      if (next === undefined) {
        // While a slow input gives nothing: so that the session is not idle, nor the container gone unseen.
        answer = await this.attendance.ask('check');
        continue;
      }
      const { piece } = next;
      if (piece === undefined && input.position > 0) return undefined;
      const lines = typedLines(piece ?? new Uint8Array());
      answer = await this.attendance.ask({ put: this.#token, at: input.position, lines });
      if (answer.run !== 'absent') break;
      const arrived = (answer.size ?? -1) - input.position;
      if (piece === undefined && arrived === 0) return undefined;
      if (arrived <= 0 || arrived > (piece?.length ?? 0)) throw this.#inputFailure(answer.size);
      input.pass(arrived);
      if (answer.takesOneShortLine !== true) length = INPUT_PIECE;
    }
    return isInterrupted() ? { run: 'lost', reason: 'It was broken off.' } : answer;
  }

  #inputFailure(size: number | undefined): StartError {
    const why =
      size === undefined
        ? 'no file for it could be made, or nothing there (stat, wc, busybox) tells its size'
        : `its file did not grow beyond ${size} bytes, as when the disk is full`;
    return new StartError(
      `The input of run ${this.options.runId} could not be brought into the container, so the command was not started: ${why}.`,
    );
  }

  #wantsMore(): boolean {
    if (this.#feeder !== undefined) return this.#feeder.hasRoomFor(ONE_ANSWER);
    return this.#readsHead();
  }

  /** Without a sink only the head and the tail of the output are read. */
  #readsHead(): boolean {
    return this.#feeder === undefined && this.#next < this.#limits.head;
  }

  async #waitForSink(until: number): Promise<void> {
    const feeder = this.#feeder;
    if (feeder === undefined || this.#sinkIsStuck || feeder.hasRoomFor(ONE_ANSWER)) return;
    const patience = Math.min(this.#sinkPatience, until - Date.now());
    if (patience <= 0) return;
    this.#sinkIsStuck =
      (await withTimeout(
        feeder.room(ONE_ANSWER).then(() => true),
        patience,
      )) === undefined;
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
    return this.noted(answer);
  }

  #passOver(bytes: number): void {
    this.#next += bytes;
    this.#keeper.skip(bytes);
    if (this.#feeder !== undefined) this.#skippedBySink += bytes;
  }
}

/** Does the work with a run, and ends what may still be open of it. */
export async function withRun<Content extends Any, Result = CommandStatus<Content>>(
  options: RunOptions & AnyOptions & Partial<CommandOptions>,
  work: (run: Run<Content>) => Promise<Result>,
  habits?: RunHabits,
): Promise<Result> {
  options.signal?.throwIfAborted();
  const run = new Run<Content>(options, habits);
  try {
    return await work(run);
  } finally {
    await run.close();
  }
}

let clients: Clients | undefined;

function defaultClients(): Clients {
  clients ??= ecsExecClients();
  return clients;
}

function feederFor(options: AnyOptions): SinkFeeder<string> | SinkFeeder<Uint8Array> | undefined {
  if (options.bytes === true) return options.sink && new SinkFeeder(options.sink, (bytes) => bytes);
  return options.sink && new SinkFeeder(options.sink, textDecoder());
}

/** Milliseconds. What a sink gets to take the last output. */
const SINK_PATIENCE = 10_000;
/** Milliseconds between two askings to start a run that the container does not know yet. */
const START_AGAIN = 2_000;
/** Milliseconds from asking a run to start until it has taken its lock, or will not: longer than it waits for another's. */
const START_SETTLES = 5_000;
/** Milliseconds after which the container is asked whether it still is, while the input gives nothing. */
const INPUT_PATIENCE = 60_000;
/** Bytes of input with one question where the shell takes no more: 1,023 characters on a terminal, in ksh93. */
const INPUT_LINE = 160;
/** Bytes of input with one question. */
const INPUT_PIECE = 32_768;
/** Bytes: a third of a second of the agent's best, so that a signal is never far behind. */
const ONE_ANSWER = 262_144;
/** Bytes: what the wrapper reads at once. */
const ONE_BLOCK = 4_096;
/** Bytes. */
const DEFAULT_KEPT = 65_536;
