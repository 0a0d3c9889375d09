import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { LoginQuestion, SeenLogins } from '../contract/rotation.ts';
import type { PostgresSession } from './session.ts';

/**
 * Who has logged in from where, by the sessions that there are: the server keeps no count of logins by user or address, and
 * none at all of those that it refuses.
 */
export async function postgresLogins(
  session: PostgresSession,
  rotator: string,
  { usernames, since, olderSessions = false, addresses, patience = 0 }: LoginQuestion,
): Promise<SeenLogins> {
  // Without the privilege addresses of others' sessions are hidden.
  const [row] = await session.query(
    `SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees, clock_timestamp()::text AS at`,
  );
  const mark = { at: String(row?.at), logins: {}, refusedFrom: {} };
  if (row?.sees !== true)
    return { mark, grant: `GRANT pg_read_all_stats TO ${pg.escapeIdentifier(rotator)}` };
  const seen = new Map<string, { address: string; username: string }>();
  const end = Date.now() + patience * 1000;
  for (;;) {
    const rows = await session.query(
      `SELECT DISTINCT usename AS username, host(client_addr) AS address FROM pg_stat_activity
        WHERE usename = ANY ($1) AND backend_type = 'client backend' AND pid <> pg_backend_pid()
          AND client_addr IS NOT NULL AND backend_start > $2::timestamptz`,
      [usernames, (olderSessions ? undefined : since?.at) ?? '-infinity'],
    );
    for (const found of rows) {
      const address = String(found.address).replace(/^::ffff:(?=\d+\.)/i, '');
      const username = String(found.username);
      seen.set(`${address} ${username}`, { address, username });
    }
    const from = [...seen.values()];
    if (addresses.every((wanted) => from.some(({ address }) => address === wanted)) || Date.now() >= end)
      return { mark, from };
    await delay(LOOK_MILLISECONDS);
  }
}

/** Between two looks. */
const LOOK_MILLISECONDS = 100;
