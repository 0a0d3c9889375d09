import { setTimeout as delay } from 'node:timers/promises';
import type { Login } from '../../functions/shared/database/contract/engine.ts';
import type { Clock } from '../aws/clock.ts';
import type { TaskContainer } from '../aws/containers/container.ts';

/** What a container takes for its credential. */
export interface GivenLogin extends Login {
  /** It is another one than the container was given: that it is refused is as it should be. */
  isMisread?: boolean;
}

/** Opens a connection of its own and uses it; returns the way to close it. `address`: from which. */
export type LogIn = (login: Login, address?: string) => Promise<() => Promise<void>>;

/** A login that was tried. */
export interface TriedLogin {
  /** Epoch milliseconds by this machine's own clock. */
  realTime: number;
  /** Epoch milliseconds on the rehearsal's clock. */
  time: number;
  /** Which of the credentials that were given out: 0 for the first one, 1 for that which took its place, and so on. */
  credential: number;
  /** `misread`: refused, as what the container took for its credential has to be. */
  outcome: 'made' | 'failed' | 'misread';
}

/** Who logs in. */
type LoggingIn = Pick<TaskContainer, 'name' | 'address' | 'running' | 'stopped'>;

/** What the logins of a client's containers came to. */
export interface LoginCount {
  made: number;
  failed: number;
}

/** Real milliseconds between two logins of a container: two or three a second. */
const LOGIN_PAUSE = 350;

/**
 * Containers that log in to their database all the time, as those with a pool of connections that are renewed do: each
 * keeps its connection until it has the next one.
 */
export class Logins {
  readonly count: LoginCount = { made: 0, failed: 0 };
  /** Of each login that failed: the container, and what the driver said. */
  readonly failures: string[] = [];
  /** Each one, as they ended. */
  readonly tried: TriedLogin[] = [];
  /** How many containers have begun. */
  containers = 0;
  readonly #clock: Clock;
  readonly #logIn: LogIn;
  readonly #pause: number;
  readonly #loops = new Set<Promise<void>>();
  /** Those that were given out, in order, each as its user name and password. */
  readonly #credentials: string[] = [];
  #ended = false;

  /** @param pause real milliseconds between two logins of a container */
  constructor(clock: Clock, logIn: LogIn, pause = LOGIN_PAUSE) {
    this.#clock = clock;
    this.#logIn = logIn;
    this.#pause = pause;
  }

  /**
   * Has a container log in at once, again and again while it runs, and once more at its end or that of the rehearsal, so
   * that however fast simulated time goes its credential is tried at both. Resolves after the first time.
   */
  async begin(container: LoggingIn, login: GivenLogin): Promise<void> {
    this.containers += 1;
    const loop = this.#loop(container, login, await this.#once(container, login));
    this.#loops.add(loop);
    // Time must not jump over the last one: what comes after the container's end would come too early for it.
    void container.stopped.then(() => this.#clock.hold(() => loop));
    void loop.then(() => this.#loops.delete(loop));
  }

  /** Lets everybody log in for the last time. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#loops);
  }

  async #loop(container: LoggingIn, login: GivenLogin, closeFirst: () => Promise<void>): Promise<void> {
    let close = closeFirst;
    for (let isLast = false; !isLast; ) {
      const pause = new AbortController();
      await Promise.race([container.stopped, delay(this.#pause, undefined, { signal: pause.signal })]);
      pause.abort();
      isLast = !container.running || this.#ended;
      const next = await this.#once(container, login);
      await close();
      close = next;
    }
    await close();
  }

  async #once({ name, address }: LoggingIn, login: GivenLogin): Promise<() => Promise<void>> {
    try {
      const close = await this.#logIn(login, address);
      this.count.made += 1;
      this.#note(login, 'made');
      return close;
    } catch (error) {
      this.#note(login, login.isMisread ? 'misread' : 'failed');
      if (login.isMisread) return async () => {};
      this.count.failed += 1;
      this.failures.push(`${name}: ${error instanceof Error ? error.message : error}`);
      return async () => {};
    }
  }
  #note({ username, password }: GivenLogin, outcome: TriedLogin['outcome']): void {
    const given = JSON.stringify([username, password]);
    const known = this.#credentials.indexOf(given);
    const credential = known >= 0 ? known : this.#credentials.push(given) - 1;
    this.tried.push({ realTime: Date.now(), time: this.#clock.now(), credential, outcome });
  }
}
