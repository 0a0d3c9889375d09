/** A line of a function's log. */
export interface LogLine {
  /** Epoch milliseconds. */
  time: number;
  stream: string;
  text: string;
}

/** The lines between an invocation's first and its last in a stream. */
interface Invocation {
  requestId: string;
  isOurs: boolean;
  held: LogLine[];
}

/**
 * Picks a run's lines out of its function's log. An execution environment has one invocation at a time and a stream of its own,
 * in which Lambda tells where each begins: so what an invocation wrote is known, whoever wrote it.
 */
export class RunLines {
  /** What only the run's own lines name. */
  readonly #names: string[];
  readonly #requestIds = new Set<string>();
  readonly #current = new Map<string, Invocation>();
  #waiting: Invocation[] = [];
  #given: LogLine[] = [];

  constructor(names: string[]) {
    this.#names = names;
  }

  /** Invocations that were the run's. */
  learn(requestIds: string[]): void {
    for (const id of requestIds) this.#requestIds.add(id);
    for (const invocation of this.#waiting)
      if (this.#requestIds.has(invocation.requestId)) this.#claim(invocation);
    this.#waiting = this.#waiting.filter(({ isOurs }) => !isOurs);
  }

  take(line: LogLine): void {
    const [, started] = /^START RequestId: (\S+)/.exec(line.text) ?? [];
    if (started !== undefined) {
      const invocation = { requestId: started, isOurs: this.#requestIds.has(started), held: [] };
      this.#current.set(line.stream, invocation);
      if (!invocation.isOurs) this.#waiting.push(invocation);
    }
    const invocation = this.#current.get(line.stream);
    if (invocation === undefined) {
      // What Lambda writes of one that never began.
      if ([...this.#requestIds].some((id) => line.text.includes(id))) this.#given.push(line);
      return;
    }
    if (!invocation.isOurs && this.#names.some((name) => line.text.includes(name))) this.#claim(invocation);
    if (invocation.isOurs) this.#given.push(line);
    else invocation.held.push(line);
    if (line.text.startsWith(`REPORT RequestId: ${invocation.requestId}`)) this.#current.delete(line.stream);
  }

  /** Those of the run that were not given yet, in the order of their times. */
  given(): LogLine[] {
    const given = this.#given.sort((one, other) => one.time - other.time);
    this.#given = [];
    return given;
  }

  #claim(invocation: Invocation): void {
    invocation.isOurs = true;
    this.#given.push(...invocation.held);
    invocation.held = [];
  }
}
