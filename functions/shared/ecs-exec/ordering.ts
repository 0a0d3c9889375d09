/** What became of a message that arrived. */
export type Arrival<Message> =
  /** It is next: here it is, with those that had waited for it. Acknowledge it. */
  | { outcome: 'ready'; messages: Message[] }
  /** It waits for an earlier one. Acknowledge it. */
  | { outcome: 'waiting' }
  /** It came before. Acknowledge it again: the first acknowledgement may have been lost. */
  | { outcome: 'repeated' }
  /** Too far ahead to be kept. Don't acknowledge it: it will be sent again. */
  | { outcome: 'refused' };

/** Puts the messages of a stream back in order: each is handed out once. */
export class OrderedArrivals<Message> {
  #next = 0n;
  readonly #waiting = new Map<bigint, Message>();
  readonly #capacity: number;

  /** @param capacity messages kept that are ahead of order: the plugin's buffer. */
  constructor(capacity = 10_000) {
    this.#capacity = capacity;
  }

  /** Messages are kept that wait for an earlier one. */
  get hasGap(): boolean {
    return this.#waiting.size > 0;
  }

  take(sequenceNumber: bigint, message: Message): Arrival<Message> {
    if (sequenceNumber < this.#next || this.#waiting.has(sequenceNumber)) return { outcome: 'repeated' };
    if (sequenceNumber > this.#next) {
      if (this.#waiting.size >= this.#capacity) return { outcome: 'refused' };
      this.#waiting.set(sequenceNumber, message);
      return { outcome: 'waiting' };
    }
    this.#next += 1n;
    const messages = [message];
    for (let next = this.#waiting.get(this.#next); next !== undefined; next = this.#waiting.get(this.#next)) {
      this.#waiting.delete(this.#next);
      this.#next += 1n;
      messages.push(next);
    }
    return { outcome: 'ready', messages };
  }
}
