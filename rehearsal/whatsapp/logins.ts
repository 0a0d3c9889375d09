import { setTimeout as delay } from 'node:timers/promises';
import type { Login } from '../../functions/shared/database/secret.ts';
import type { Clock } from '../clock.ts';
import type { Container } from '../containers/container.ts';

/** What the logins of a client's containers came to. */
export interface LoginCount {
  made: number;
  failed: number;
}

/** Real milliseconds between two logins of a container: two or three a second. */
const PAUSE = 350;

/** Containers that log in to their database all the time, as a pool of connections that is renewed does. */
export class Logins {
  readonly count: LoginCount = { made: 0, failed: 0 };
  /** Of each login that failed: the container, and what the driver said. */
  readonly failures: string[] = [];
  readonly #clock: Clock;
  readonly #logIn: (login: Login) => Promise<void>;
  readonly #loops = new Set<Promise<void>>();
  #ended = false;

  /** @param logIn opens a connection of its own, uses it and closes it. */
  constructor(clock: Clock, logIn: (login: Login) => Promise<void>) {
    this.#clock = clock;
    this.#logIn = logIn;
  }

  /** Has a container log in at once, and again and again while it runs. Resolves after the first time. */
  async begin(container: Container, login: Login): Promise<void> {
    let latest = this.#once(container, login);
    // Time must not jump over a login that was begun: what follows would come too early for it.
    void container.stopped.then(() => this.#clock.hold(() => latest));
    await latest;
    const loop = async () => {
      for (;;) {
        await delay(PAUSE);
        if (!container.running || this.#ended) return;
        latest = this.#once(container, login);
        await latest;
      }
    };
    const running = loop().finally(() => this.#loops.delete(running));
    this.#loops.add(running);
  }

  /** Lets nobody log in any more. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#loops);
  }

  async #once({ name }: Container, login: Login): Promise<void> {
    try {
      await this.#logIn(login);
      this.count.made += 1;
    } catch (error) {
      this.count.failed += 1;
      this.failures.push(`${name}: ${error instanceof Error ? error.message : error}`);
    }
  }
}
