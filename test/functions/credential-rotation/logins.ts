import { setTimeout as delay } from 'node:timers/promises';
import type { Login } from '../../../functions/shared/database/contract/engine.ts';
import type { Container } from '../../../rehearsal/aws/containers/container.ts';
import type { TestDatabase } from '../rotate-secret/databases.ts';

/** What containers see that log in again and again with the credential that they were given at their start. */
export interface Logins {
  made: number;
  failed: number;
  reasons: string[];
  /** A container that has just started logs in from now on, until it stops. Resolves after the first time. */
  begin(container: Container, login: Login): Promise<void>;
  /** Has every container that runs log in now, once. */
  round(): Promise<void>;
  /** Waits until no container logs in any more; they must have been stopped. */
  stop(): Promise<void>;
}

/** From one login to the next. Besides, all log in at the end of each of a run's operations. Real milliseconds. */
const PAUSE = 3000;

export function startLogins(database: TestDatabase): Logins {
  const loops: Promise<void>[] = [];
  const attempts = new Map<Container, () => Promise<void>>();
  const logins: Logins = {
    made: 0,
    failed: 0,
    reasons: [],
    begin: (container, login) => {
      /** A container that stops breaks its connections off. */
      const atMost = (milliseconds: number) => Promise.race([delay(milliseconds), container.stopped]);
      const attempt = async (until?: () => Promise<unknown>, opened?: () => void) => {
        try {
          await database.logIn(login, {
            transport: 'plain',
            from: container.address,
            ...(until && { until }),
            ...(opened && { opened }),
          });
          logins.made += 1;
        } catch (error) {
          if (!container.running) return;
          logins.failed += 1;
          logins.reasons.push(`${container.name}: ${error instanceof Error ? error.message : error}`);
        }
      };
      /** It keeps its session until it has the next one, however long that takes on a busy machine. */
      const loop = async (tried: () => void) => {
        const sessions: Promise<void>[] = [];
        let endLast = () => {};
        while (container.running) {
          let end = () => {};
          const ended = new Promise<void>((resolve) => {
            end = resolve;
          });
          const session = attempt(
            () => Promise.race([ended, container.stopped]),
            () => {
              endLast();
              endLast = end;
              tried();
            },
          );
          void session.then(tried);
          sessions.push(session);
          await atMost(PAUSE);
        }
        attempts.delete(container);
        await Promise.all(sessions);
      };
      attempts.set(container, attempt);
      return new Promise((resolve) => loops.push(loop(resolve)));
    },
    round: async () => {
      await Promise.all([...attempts.values()].map((attempt) => attempt()));
    },
    stop: async () => {
      await Promise.all(loops);
    },
  };
  return logins;
}

/** Containers that log in to two databases. */
export function bothLogins(first: Logins, second: Logins): Logins {
  return {
    get made() {
      return first.made + second.made;
    },
    get failed() {
      return first.failed + second.failed;
    },
    get reasons() {
      return [...first.reasons, ...second.reasons];
    },
    begin: (...values) => first.begin(...values),
    round: async () => {
      await first.round();
      await second.round();
    },
    stop: async () => {
      await first.stop();
      await second.stop();
    },
  };
}
