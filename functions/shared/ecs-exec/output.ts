import { type Resolvers, withResolvers } from './timers.ts';

/** What a command printed: all of it, or its beginning and end if that was too much to keep. */
export interface Output<Content extends string | Uint8Array = string> {
  /** Its beginning. */
  head: Content;
  /** Empty if nothing was left out. */
  tail: Content;
  /** Bytes between the two that were counted only. */
  omittedBytes: number;
  /** How many bytes there were, kept or not. */
  totalBytes: number;
}

/** Bytes kept at most of a command's output. */
export interface OutputLimits {
  /** @default 65,536 */
  head?: number | undefined;
  /** @default 65,536 */
  tail?: number | undefined;
}

/** Keeps the head and the tail of a stream of bytes, in bounded memory. */
export class OutputKeeper {
  readonly #headLimit: number;
  readonly #tailLimit: number;
  readonly #head: Uint8Array[] = [];
  #tail: Uint8Array[] = [];
  #headLength = 0;
  #tailLength = 0;
  #total = 0;
  #skipped = false;

  constructor({ head = 65_536, tail = 65_536 }: OutputLimits = {}) {
    this.#headLimit = head;
    this.#tailLimit = tail;
  }

  get totalBytes(): number {
    return this.#total;
  }

  take(bytes: Uint8Array): void {
    this.#total += bytes.length;
    const forHead = bytes.subarray(0, this.#skipped ? 0 : this.#headLimit - this.#headLength);
    const forTail = bytes.subarray(forHead.length);
    if (forHead.length > 0) {
      this.#head.push(Buffer.from(forHead));
      this.#headLength += forHead.length;
    }
    if (forTail.length === 0) return;
    this.#tail.push(Buffer.from(forTail));
    this.#tailLength += forTail.length;
    // Joined only now and then, so that many small pieces cost no more than few large ones.
    if (this.#tailLength > 2 * this.#tailLimit || this.#tail.length > 1_024) this.#trim();
  }

  /** Counts bytes that were not fetched. */
  skip(bytes: number): void {
    if (bytes <= 0) return;
    this.#total += bytes;
    this.#skipped = true;
    this.#tail = [];
    this.#tailLength = 0;
  }

  /** As text: invalid bytes become U+FFFD, and no character is cut in two. */
  text(): Output {
    const { head, tail, omittedBytes, totalBytes } = this.bytes();
    if (omittedBytes === 0) {
      return { head: decode(Buffer.concat([head, tail])), tail: '', omittedBytes, totalBytes };
    }
    const headEnd = wholeCharacters(head);
    const tailStart = firstCharacter(tail);
    return {
      head: decode(head.subarray(0, headEnd)),
      tail: decode(tail.subarray(tailStart)),
      omittedBytes: omittedBytes + (head.length - headEnd) + tailStart,
      totalBytes,
    };
  }

  bytes(): Output<Uint8Array> {
    this.#trim();
    const omittedBytes = this.#total - this.#headLength - this.#tailLength;
    const [head, tail] = [Buffer.concat(this.#head), Buffer.concat(this.#tail)];
    if (omittedBytes > 0) return { head, tail, omittedBytes, totalBytes: this.#total };
    const all = Buffer.concat([head, tail]);
    return { head: all, tail: Buffer.alloc(0), omittedBytes, totalBytes: this.#total };
  }

  #trim(): void {
    const tail = Buffer.concat(this.#tail);
    const kept = tail.subarray(Math.max(0, tail.length - this.#tailLimit));
    this.#tail = [kept];
    this.#tailLength = kept.length;
  }
}

/** Head and tail in one text, with a line between them that says how much is missing. */
export function outputText({ head, tail, omittedBytes }: Output): string {
  return omittedBytes === 0 ? head + tail : `${head}\n[… ${omittedBytes} bytes left out …]\n${tail}`;
}

/** Takes output as it comes. A promise that it returns is waited for before the next piece. */
export type Sink<Content extends string | Uint8Array> = (content: Content) => void | Promise<void>;

/**
 * Feeds a sink in its own time, so that a slow one delays nothing else. What it falls behind by is kept up to a
 * limit and counted beyond it: whoever wants nothing lost waits for room.
 */
export class SinkFeeder<Content extends string | Uint8Array> {
  /** Bytes that the sink never got. */
  skippedBytes = 0;
  /** What the sink threw, if it did: it gets nothing after that. */
  failure: unknown;
  readonly #sink: Sink<Content>;
  readonly #convert: (bytes: Uint8Array) => Content;
  readonly #backlogLimit: number;
  #backlog: Uint8Array[] = [];
  #backlogLength = 0;
  #feeding: Promise<void> | undefined;
  #taken: Resolvers<void> | undefined;

  /**
   * @param convert makes a piece of output what the sink takes
   * @param backlogLimit bytes; 1 MiB by default: a second of the agent's best
   */
  constructor(sink: Sink<Content>, convert: (bytes: Uint8Array) => Content, backlogLimit = 1_048_576) {
    this.#sink = sink;
    this.#convert = convert;
    this.#backlogLimit = backlogLimit;
  }

  take(bytes: Uint8Array): void {
    if (this.failure !== undefined || this.#backlogLength + bytes.length > this.#backlogLimit) {
      this.skippedBytes += bytes.length;
      return;
    }
    this.#backlog.push(Buffer.from(bytes));
    this.#backlogLength += bytes.length;
    this.#feeding ??= this.#feed();
  }

  /** So many bytes more can be kept; always, if the sink takes nothing any more. */
  hasRoomFor(bytes: number): boolean {
    return this.failure !== undefined || this.#backlogLength + bytes <= this.#backlogLimit;
  }

  /** Fulfilled when there is room for so many bytes. */
  async room(bytes: number): Promise<void> {
    while (!this.hasRoomFor(bytes)) {
      this.#taken ??= withResolvers();
      await this.#taken.promise;
    }
  }

  /** Fulfilled when the sink has had everything. */
  async finish(): Promise<void> {
    await this.#feeding;
  }

  #someTaken(): void {
    this.#taken?.resolve();
    this.#taken = undefined;
  }

  async #feed(): Promise<void> {
    while (this.#backlog.length > 0) {
      // A turn of the event loop before each piece: acknowledgements go first, even if the sink never waits.
      await new Promise(setImmediate);
      const piece = Buffer.concat(this.#backlog);
      this.#backlog = [];
      this.#backlogLength = 0;
      this.#someTaken();
      try {
        const content = this.#convert(piece);
        if (content.length > 0) await this.#sink(content);
      } catch (error) {
        this.failure = error ?? new Error('The sink failed.');
        for (const { length } of this.#backlog) this.skippedBytes += length;
        this.#backlog = [];
        this.#backlogLength = 0;
        this.#someTaken();
      }
    }
    this.#feeding = undefined;
  }
}

/** Text from pieces of UTF-8 that may end inside a character. */
export function textDecoder(): (bytes: Uint8Array) => string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return (bytes) => decoder.decode(bytes, { stream: true });
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

/** Where a text's last whole character ends. */
function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte >= 0xc0) {
      const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return needed > back ? bytes.length - back : bytes.length;
    }
    if (byte < 0x80) break;
  }
  return bytes.length;
}

/** Where a text's first whole character begins. */
function firstCharacter(bytes: Uint8Array): number {
  let start = 0;
  while (start < Math.min(3, bytes.length) && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1;
  return start;
}
