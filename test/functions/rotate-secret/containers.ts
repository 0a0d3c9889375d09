import { setTimeout as delay } from 'node:timers/promises';
import type { Login } from '../../../functions/shared/database/contract/engine.ts';

/** Containers that read the credential at their start and log in with it again and again. */
export interface Containers {
  logins: { made: number; failed: number; reasons: string[] };
  /** Restarts all, with the credential of that time. */
  roll(): Promise<void>;
  stop(): Promise<void>;
}

const CONTAINERS = 2;
/** Between two logins of one container. */
const PAUSE_MS = 400;

/**
 * Starts containers, and one that is started anew for each login, as when a service scales.
 * @param read the credential that a container started now is given.
 * @param logIn a new connection, used and closed.
 */
export function startContainers(read: () => Login, logIn: (login: Login) => Promise<void>): Containers {
  const logins = { made: 0, failed: 0, reasons: [] as string[] };
  let stopped = false;
  const attempt = async (login: Login) => {
    try {
      await logIn(login);
      logins.made += 1;
    } catch (error) {
      logins.failed += 1;
      logins.reasons.push(`${login.username}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const starting = (async () => {
    while (!stopped) {
      await attempt(read());
      await delay(PAUSE_MS);
    }
  })();
  const containers = Array.from({ length: CONTAINERS }, () => startOne(read, attempt));
  return {
    logins,
    roll: async () => {
      await Promise.all(containers.map((container) => container.restart()));
    },
    stop: async () => {
      stopped = true;
      await Promise.all([starting, ...containers.map((container) => container.stop())]);
    },
  };
}

function startOne(read: () => Login, attempt: (login: Login) => Promise<void>) {
  let stopped = false;
  let login = read();
  const run = async () => {
    while (!stopped) {
      await attempt(login);
      await delay(PAUSE_MS);
    }
  };
  let running = run();
  const stop = async () => {
    stopped = true;
    await running;
  };
  return {
    stop,
    restart: async () => {
      await stop();
      stopped = false;
      login = read();
      running = run();
    },
  };
}
