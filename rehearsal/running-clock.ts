import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from './aws/clock.ts';

/** Real milliseconds between two looks at what is due. */
const TICK = 100;

/**
 * Lets a simulated clock run by itself: as real time does, or faster, until somebody moves it on. While work is going on time
 * is real at any speed, as in a night.
 */
export class RunningClock {
  /** How many times as fast as real time. */
  speed: number;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #moves: { time: number; done: () => void }[] = [];
  #wake = new AbortController();
  #stopped = false;
  readonly #ended: Promise<void>;

  /** @param onError is told what a task threw; the clock goes on. */
  constructor(clock: Clock, speed: number, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.speed = speed;
    this.#onError = onError;
    this.#ended = this.#run();
  }

  /** Epoch milliseconds. */
  now(): number {
    return this.#clock.now();
  }

  /** Moves it on; what is due on the way is done by the end. A time that is past is reached already. */
  moveTo(time: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((done) => {
      this.#moves.push({ time, done });
      this.#wake.abort();
    });
  }

  /** Resolves when nothing more happens: where work is going on, after the clock itself was closed. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#wake.abort();
    return this.#ended;
  }

  async #run(): Promise<void> {
    let last = performance.now();
    while (!this.#stopped) {
      const move = this.#moves.shift();
      // Real time passes by itself.
      const ahead = (performance.now() - last) * (this.speed - 1);
      const target = Math.max(Math.floor(this.now() + ahead), move?.time ?? 0);
      do await this.#clock.runUntil(target).catch(this.#onError);
      while (this.now() < target && !this.#stopped);
      move?.done();
      last = performance.now();
      if (this.#moves.length > 0) continue;
      this.#wake = new AbortController();
      await delay(TICK, undefined, { signal: this.#wake.signal }).catch(() => {});
    }
    for (const { done } of this.#moves) done();
  }
}
