/** One message of the queue: a callback with one or more of the client's messages in it. */
export interface QueueItem {
  receiptHandle: string;
  /** How many of its messages are still to be dealt with. It is deleted when none is. */
  left: number;
  /** One of them was asked for, and is not dealt with. */
  isRefused?: boolean;
}

/** `sentAt` in epoch milliseconds. */
export interface UnreadMessage {
  id: string;
  from: string;
  sentAt: number;
  item: QueueItem;
}

/**
 * What was received and is to be marked, while more is received: whoever marks takes one conversation after the other. Messages of a
 * sender that is still waiting join those of before, for one request marks them all.
 */
export class UnreadConversations {
  readonly #waiting = new Map<string, UnreadMessage[]>();
  readonly #takers: (() => void)[] = [];
  readonly #whole = Promise.withResolvers<void>();
  #messages = 0;
  #isWhole = false;

  /** Those that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** In those that wait. */
  get messages(): number {
    return this.#messages;
  }

  add(message: UnreadMessage): void {
    const conversation = this.#waiting.get(message.from);
    if (conversation) conversation.push(message);
    else this.#waiting.set(message.from, [message]);
    this.#messages += 1;
    this.#takers.shift()?.();
  }

  /** Nothing is added any more. */
  end(): void {
    this.#isWhole = true;
    this.#whole.resolve();
    for (const taker of this.#takers.splice(0)) taker();
  }

  /** Waits until nothing is added any more, so that each sender's are together, but no longer than that. */
  async gather(milliseconds: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    await Promise.race([this.#whole.promise, late]);
    clearTimeout(timer);
  }

  /** Waits until there is one, or there will be none. */
  async wait(): Promise<void> {
    while (this.#waiting.size === 0 && !this.#isWhole)
      await new Promise<void>((resolve) => this.#takers.push(resolve));
  }

  /** The one that waits longest, or `undefined` at the end. */
  async next(): Promise<UnreadMessage[] | undefined> {
    await this.wait();
    const [first] = this.#waiting;
    if (!first) return undefined;
    const [sender, conversation] = first;
    this.#waiting.delete(sender);
    this.#messages -= conversation.length;
    return conversation;
  }
}
