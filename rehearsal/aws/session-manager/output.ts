/**
 * What Session Manager's agent makes of what it reads from a terminal: it cuts between characters of UTF-8, and
 * loses some bytes on the way.
 */
export class AgentOutput {
  #held = Buffer.alloc(0);

  /** The payload to send for one reading. May be empty. */
  take(reading: Uint8Array): Buffer {
    const bytes = Buffer.concat([this.#held, reading]);
    const kept: number[] = [];
    for (let at = 0; at < bytes.length; ) {
      const { length, replacement } = characterAt(bytes, at);
      if (replacement) {
        // Either not UTF-8 or a real U+FFFD, which the agent cannot tell apart.
        if (bytes.length - at < LONGEST_CHARACTER) {
          this.#held = bytes.subarray(at);
          return Buffer.from(kept);
        }
        kept.push(bytes[at] ?? 0);
      } else {
        for (let i = at; i < at + length; i += 1) kept.push(bytes[i] ?? 0);
      }
      at += length;
    }
    this.#held = Buffer.alloc(0);
    return Buffer.from(kept);
  }

  /** What is lost if the output ends now. */
  get held(): Buffer {
    return this.#held;
  }
}

const LONGEST_CHARACTER = 4;

/** The character of UTF-8 at a place; as in Go, bytes that are none count one by one as replacement characters. */
function characterAt(bytes: Buffer, at: number): { length: number; replacement: boolean } {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return { length: 1, replacement: false };
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const text = bytes.toString('utf8', at, at + length);
  const valid = at + length <= bytes.length && Buffer.from(text).equals(bytes.subarray(at, at + length));
  if (!valid || [...text].length !== 1) return { length: 1, replacement: true };
  return { length, replacement: text === '\ufffd' };
}
