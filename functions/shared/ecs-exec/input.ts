/** Standard input: text in UTF-8, bytes, or a stream of either, such as a Readable of Node. */
export type Input = string | Uint8Array | AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>;

/** Gives an input in pieces of a length, and each again until it is passed. */
export class InputReader {
  readonly #iterator: AsyncIterator<string | Uint8Array> | Iterator<string | Uint8Array>;
  #reading: Promise<Buffer | undefined> | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #stopWaiting = () => {};
  /** Bytes that were passed. */
  position = 0;
  isClosed = false;

  constructor(input: Input) {
    const pieces = typeof input === 'string' || input instanceof Uint8Array ? [input] : input;
    this.#iterator =
      Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]();
  }

  /**
   * The next bytes, so many at most; undefined at the end, and when it is closed. Asked again before they are passed, it
   * gives the same.
   *
   * @throws what the input throws
   */
  async peek(length: number): Promise<Buffer | undefined> {
    while (this.#rest.length === 0) {
      this.#reading ??= this.#next();
      const read = await this.#unlessClosed(this.#reading);
      this.#reading = undefined;
      if (read === undefined) return undefined;
      this.#rest = read;
    }
    return this.#rest.subarray(0, length);
  }

  pass(bytes: number): void {
    this.#rest = this.#rest.subarray(bytes);
    this.position += bytes;
  }

  /** No more of it is wanted, nor waited for. */
  close(): void {
    this.isClosed = true;
    this.#stopWaiting();
    void Promise.resolve(this.#iterator.return?.()).catch(() => {});
  }

  #unlessClosed(reading: Promise<Buffer | undefined>): Promise<Buffer | undefined> {
    return new Promise((resolve, reject) => {
      this.#stopWaiting = () => resolve(undefined);
      reading.then(resolve, reject);
    });
  }

  async #next(): Promise<Buffer | undefined> {
    const { done, value } = await this.#iterator.next();
    if (done === true) return undefined;
    return typeof value === 'string' ? Buffer.from(value) : Buffer.from(value);
  }
}

/**
 * Bytes as lines that can be typed into a terminal, for `printf %b` of a POSIX shell to undo: printable ASCII as it is,
 * everything else by its number. Each line says how long it is.
 */
export function typedLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let start = 0; start < bytes.length; start += BYTES_IN_LINE) {
    let line = '';
    for (const byte of bytes.subarray(start, start + BYTES_IN_LINE)) line += typed(byte);
    // A shell takes spaces from the end of what it reads.
    const whole = line.replace(/ +$/, (spaces) => '\\0040'.repeat(spaces.length));
    lines.push(`${whole.length}:${whole}`);
  }
  return lines;
}

function typed(byte: number): string {
  if (byte === 0x5c) return '\\\\';
  if (byte === 0x0a) return '\\n';
  if (byte >= 0x20 && byte < 0x7f) return String.fromCharCode(byte);
  return `\\0${byte.toString(8).padStart(3, '0')}`;
}

/** With five characters for a byte at most, and a question before it, a line stays under the 4,095 that a terminal takes. */
const BYTES_IN_LINE = 780;
