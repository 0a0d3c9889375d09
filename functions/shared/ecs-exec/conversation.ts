import { randomBytes } from 'node:crypto';

/** What the wrapper can be asked: see {@link wrap}. */
export type Question = 'more' | 'state' | 'TERM' | 'KILL' | 'clear' | 'forget' | 'leave';

/** What the wrapper says of a run. */
export type RunState =
  /** The container knows no such run. */
  | { run: 'absent' }
  | { run: 'running' }
  | { run: 'exited'; exitCode: number }
  /** Its process is gone and left no status. */
  | { run: 'died' }
  | { run: 'forgotten' }
  /** Bytes were asked for, and the container has no program to encode them. */
  | { run: 'no-encoder' };

/**
 * Questions and answers over a terminal: finds the answers in its output, where echo, prompts and other people's
 * words may stand between them, and undoes what the terminal did to them.
 */
export class Conversation {
  readonly #onOutput: (bytes: Buffer) => void;
  #place: 'outside' | 'inside' = 'outside';
  #mark: Buffer | undefined;
  #answer: PromiseWithResolvers<RunState> | undefined;
  #decode: (bytes: Buffer) => Buffer = (bytes) => bytes;
  #rest: Buffer = Buffer.alloc(0);
  #carriageReturn = false;

  /** @param onOutput is given the command's output as the command wrote it */
  constructor(onOutput: (bytes: Buffer) => void) {
    this.#onOutput = onOutput;
  }

  /** One question at a time: the line to type, and what will be answered. */
  ask(question: Question): { line: Buffer; answer: Promise<RunState> } {
    const nonce = randomBytes(16).toString('hex');
    this.#mark = Buffer.from(`\n${nonce}:`);
    this.#place = 'outside';
    this.#rest = Buffer.alloc(0);
    this.#answer = Promise.withResolvers();
    return { line: Buffer.from(`${nonce} ${question}\n`), answer: this.#answer.promise };
  }

  /** Takes what came from the terminal. */
  take(bytes: Uint8Array): void {
    const text = this.#undoLineEnds(bytes);
    if (this.#mark === undefined) return;
    this.#rest = this.#rest.length === 0 ? text : Buffer.concat([this.#rest, text]);
    while (this.#readOn(this.#mark)) {
      if (this.#mark === undefined) return;
    }
  }

  /** @returns whether there may be more to read at once */
  #readOn(mark: Buffer): boolean {
    const at = this.#rest.indexOf(mark);
    if (at === -1) {
      // The mark may have begun.
      this.#advance(Math.max(0, this.#rest.length - mark.length + 1));
      return false;
    }
    this.#advance(at);
    const end = this.#rest.indexOf('\n', mark.length);
    if (end === -1) return false;
    const said = this.#rest.toString('utf8', mark.length, end);
    this.#rest = this.#rest.subarray(end + 1);
    if (this.#place === 'outside') {
      this.#place = 'inside';
      this.#decode = decoder(said);
    } else {
      this.#mark = undefined;
      this.#answer?.resolve(readState(said));
    }
    return this.#mark !== undefined;
  }

  #advance(length: number): void {
    const passed = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    if (this.#place === 'outside' || length === 0) return;
    const output = this.#decode(passed);
    if (output.length > 0) this.#onOutput(output);
  }

  /** A terminal puts one CR before each LF. */
  #undoLineEnds(bytes: Uint8Array): Buffer {
    const given = Buffer.from(bytes);
    const text = this.#carriageReturn ? Buffer.concat([CR, given]) : given;
    this.#carriageReturn = text.at(-1) === CR[0];
    const end = this.#carriageReturn ? text.length - 1 : text.length;
    let length = 0;
    for (let from = 0; from < end; ) {
      const found = text.indexOf('\r\n', from);
      const to = found === -1 || found >= end ? end : found;
      text.copy(text, length, from, to);
      length += to - from;
      from = to === end ? end : to + 1;
      if (to !== end) {
        text[length++] = 0x0a;
        from += 1;
      }
    }
    return text.subarray(0, length);
  }
}

const CR = Buffer.from('\r');

function readState(said: string): RunState {
  const [, exitCode] = /^exit (\d+)$/.exec(said) ?? [];
  if (exitCode !== undefined) return { run: 'exited', exitCode: Number(exitCode) };
  switch (said) {
    case 'running':
    case 'died':
    case 'forgotten':
    case 'no-encoder':
      return { run: said };
    default:
      return { run: 'absent' };
  }
}

/** Decodes what comes in pieces: base64 and hexadecimal digits in lines, or plain bytes. */
function decoder(encoding: string): (bytes: Buffer) => Buffer {
  if (encoding !== 'base64' && encoding !== 'hex') return (bytes) => bytes;
  const together = encoding === 'base64' ? 4 : 2;
  let left = '';
  return (bytes) => {
    const digits = left + bytes.toString('latin1').replace(/\s+/g, '');
    const whole = digits.length - (digits.length % together);
    left = digits.slice(whole);
    return Buffer.from(digits.slice(0, whole), encoding);
  };
}
