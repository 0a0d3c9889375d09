import { type Resolvers, withResolvers } from './timers.ts';

/** Hands things over one by one: who gives is told when the thing was taken. */
export class HandOver<Thing> {
  readonly #waiting: { thing: Thing; taken: Resolvers<void> }[] = [];
  #news = withResolvers<void>();
  #isEnded = false;

  /** Fulfilled when it was taken, or nothing is taken any more. */
  give(thing: Thing): Promise<void> {
    if (this.#isEnded) return Promise.resolve();
    const taken = withResolvers<void>();
    this.#waiting.push({ thing, taken });
    this.#news.resolve();
    return taken.promise;
  }

  /** Nothing more comes; what waits is given up. */
  end(): void {
    this.#isEnded = true;
    for (const { taken } of this.#waiting) taken.resolve();
    this.#news.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Thing, void> {
    for (;;) {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        try {
          yield next.thing;
        } finally {
          next.taken.resolve();
        }
      }
      if (this.#isEnded) return;
      await this.#news.promise;
      this.#news = withResolvers();
    }
  }
}
