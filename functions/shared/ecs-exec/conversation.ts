import { randomBytes } from 'node:crypto';
import { type Resolvers, withResolvers } from './timers.ts';

/** What the wrapper can be asked: see {@link wrap}. */
export type Question =
  | 'state'
  /** As `state` without the output's size: the one question that needs no process. */
  | 'check'
  | 'TERM'
  | 'KILL'
  | 'forget'
  | 'leave'
  /** The same where input was brought, which may still lie there under that token. */
  | { end: 'forget' | 'leave'; token: string }
  /** `input`: the bytes of input that must have arrived. */
  | { start: string; input?: number }
  /** Input, of which so many bytes are there already. */
  | { put: string; at: number; lines: string[] }
  | { more: number; count: number };

/** What the wrapper says of a run. */
export type RunState =
  /** The container knows no such run. */
  | {
      run: 'absent';
      /** The shell takes no more than one line of input with a question, and a short one. */
      takesOneShortLine?: true;
    }
  | {
      run: 'running';
      /** The command itself is not there yet, and was not sent TERM. */
      isEarly?: true;
    }
  /** The process that keeps the status is gone, the command is not. */
  | { run: 'orphaned' }
  | { run: 'exited'; exitCode: number }
  /** Its processes are gone and left no status. */
  | { run: 'died' }
  /** The container let no process be made for the command. */
  | { run: 'refused' }
  | { run: 'forgotten' }
  /** Bytes were asked for, and the container has no program to encode them. */
  | { run: 'no-encoder' }
  /** It was not started, for its input is not there as it should be. */
  | { run: 'no-input' };

/** An answer of the wrapper. */
export type Reply = RunState & OutputPlaces;

export interface OutputPlaces {
  /** Bytes of output that there are; undefined where the container cannot tell. */
  size: number | undefined;
  /** Where the output goes on behind what was sent with this answer; undefined where the container cannot tell. */
  next: number | undefined;
}

/** Takes a piece of the output that begins at a place of it. */
export type Take = (bytes: Buffer, place: number) => void;

/** Bytes of the terminal's output beside the answers that are remembered, for errors. */
const ASIDE = 1_000;

/**
 * Questions and answers over a terminal: finds the answers in its output, where echo, prompts and other people's
 * words may stand between them, and undoes what the terminal did to them.
 */
export class Conversation {
  #place: 'outside' | 'inside' = 'outside';
  #mark: Buffer | undefined;
  #answer: Resolvers<Reply> | undefined;
  #take: Take = () => {};
  #at = 0;
  #decode: (bytes: Buffer) => Buffer = (bytes) => bytes;
  #rest: Buffer = Buffer.alloc(0);
  #aside: Buffer = Buffer.alloc(0);
  #carriageReturn = false;

  /** What the terminal said lately that was no answer: a shell's complaints, for example. */
  get aside(): string {
    const lines = Buffer.concat([this.#aside, this.#rest]).toString().split('\n');
    return lines
      .filter((line) => line !== '' && line !== 'ecs-exec' && !/^[0-9a-f]{32}[ :]/.test(line))
      .join('\n');
  }

  /**
   * One question at a time: the line to type, and what will be answered.
   *
   * @param take is given the output that comes with the answer, as the command wrote it
   */
  ask(question: Question, take: Take = () => {}): { line: Buffer; answer: Promise<Reply> } {
    const nonce = randomBytes(16).toString('hex');
    this.#mark = Buffer.from(`\n${nonce}:`);
    this.#place = 'outside';
    this.#rest = Buffer.alloc(0);
    this.#take = take;
    this.#answer = withResolvers();
    return { line: Buffer.from(`${nonce} ${words(question)}\n`), answer: this.#answer.promise };
  }

  /** Takes what came from the terminal. */
  take(bytes: Uint8Array): void {
    const text = this.#undoLineEnds(bytes);
    if (this.#mark === undefined) {
      this.#remember(text);
      return;
    }
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
      const [encoding = '', place] = said.split(' ');
      this.#decode = decoder(encoding);
      this.#at = Number(place) || 0;
    } else {
      this.#mark = undefined;
      this.#answer?.resolve(readReply(said));
    }
    return this.#mark !== undefined;
  }

  #advance(length: number): void {
    const passed = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    if (length === 0) return;
    if (this.#place === 'outside') {
      this.#remember(passed);
      return;
    }
    const output = this.#decode(passed);
    if (output.length === 0) return;
    this.#take(output, this.#at);
    this.#at += output.length;
  }

  #remember(text: Buffer): void {
    this.#aside = Buffer.concat([this.#aside, text]).subarray(-ASIDE);
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

function words(question: Question): string {
  if (typeof question === 'string') return question;
  if ('end' in question) return `${question.end} ${question.token}`;
  if ('start' in question) return `start ${question.start} ${question.input ?? ''}`;
  if ('more' in question) return `more ${question.more} ${question.count}`;
  const { put, at, lines } = question;
  return `put ${put} ${at} ${lines.length} ${lines.join('\n')}`;
}

function readReply(said: string): Reply {
  const [size, next, ...state] = said.split(' ');
  return { ...readState(state), size: readCount(size), next: readCount(next) };
}

function readCount(word: string | undefined): number | undefined {
  return word !== undefined && /^\d+$/.test(word) ? Number(word) : undefined;
}

function readState([word = '', detail]: string[]): RunState {
  switch (word) {
    case 'exit':
      return { run: 'exited', exitCode: Number(detail) };
    case 'running':
      return { run: word, ...(detail === 'early' && { isEarly: true }) };
    case 'orphaned':
    case 'died':
    case 'refused':
    case 'forgotten':
    case 'no-encoder':
    case 'no-input':
      return { run: word };
    default:
      return { run: 'absent', ...(detail === 'alone' && { takesOneShortLine: true }) };
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
