import { setTimeout as delay } from 'node:timers/promises';
import type { Login } from '../../../functions/shared/database/contract/engine.ts';
import type { Container } from '../../../rehearsal/aws/containers/container.ts';
import type { TestDatabase } from '../rotate-secret/databases.ts';

/** What containers see that log in again and again with the credential that they were given at their start. */
export interface Logins {
  made: number;
  failed: number;
  reasons: string[];
  /** A container that has just started logs in from now on, until it stops. */
  begin(container: Container, login: Login): void;
  /** Has every container that runs log in now, once. */
  round(): Promise<void>;
  /** Waits until no container logs in any more; they must have been stopped. */
  stop(): Promise<void>;
}

/** How long a login's connection is kept, and how long it is until the next one. Milliseconds. */
const SESSION = 150;
const PAUSE = 350;

export function startLogins(database: TestDatabase): Logins {
  const loops: Promise<void>[] = [];
  const attempts = new Map<Container, (until?: Promise<unknown>) => Promise<void>>();
  const logins: Logins = {
    made: 0,
    failed: 0,
    reasons: [],
    begin: (container, login) => {
      /** A container that stops breaks its connections off. */
      const atMost = (milliseconds: number) => Promise.race([delay(milliseconds), container.stopped]);
      const attempt = async (until?: Promise<unknown>) => {
        try {
          await database.logIn(login, { transport: 'plain', ...(until && { until }) });
          logins.made += 1;
        } catch (error) {
          if (!container.running) return;
          logins.failed += 1;
          logins.reasons.push(`${container.name}: ${error instanceof Error ? error.message : error}`);
        }
      };
      const loop = async () => {
        while (container.running) {
          await attempt(atMost(SESSION));
          await atMost(PAUSE);
        }
        attempts.delete(container);
      };
      attempts.set(container, attempt);
      loops.push(loop());
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
