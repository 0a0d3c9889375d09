import { setTimeout as delay } from 'node:timers/promises';
import { StatementRefused } from '../contract/errors.ts';
import type { LoginMark, LoginQuestion, SeenLogins } from '../contract/rotation.ts';
import { clientAddress } from '../rotation/client-addresses.ts';
import type { MysqlDialect } from './dialect.ts';
import { type MysqlSession, maySeeAllSessions } from './session.ts';

/** Who has logged in from where, by the sessions that there are and, where the server keeps them, by its counts. */
export async function mysqlLogins(
  session: MysqlSession,
  { loginCounts, refusedLoginsStatus }: Pick<MysqlDialect, 'loginCounts' | 'refusedLoginsStatus'>,
  rotator: string,
  { usernames, since, olderSessions = false, addresses, patience = 0 }: LoginQuestion,
): Promise<SeenLogins> {
  const number = await connectionNumber(session);
  // A server that was started anew counts connections, and all else, from the beginning.
  const before = since && Number(since.at) < number ? since : undefined;
  // Everybody sees the own ones.
  const seesSessions = usernames.every((name) => name === rotator) || (await maySeeAllSessions(session));
  const firstNumber = olderSessions ? 0 : Number(before?.at ?? 0);
  const seen = new Map<string, { address: string; username: string }>();
  const end = Date.now() + patience * 1000;
  for (;;) {
    const counts = await loginCounts(session, rotator, usernames);
    const refused = await statusOf(session, refusedLoginsStatus);
    const note = (address: string, username: string) =>
      seen.set(`${address} ${username}`, { address, username });
    if (seesSessions)
      for (const { address, username } of await sessionsSince(session, usernames, firstNumber))
        note(address, username);
    for (const [key, count] of Object.entries(counts.logins ?? {})) {
      const [address = '', ...username] = key.split(' ');
      if (count > (before?.logins[key] ?? 0)) note(address, username.join(' '));
    }
    const from = [...seen.values()];
    const complete = addresses.every((wanted) => from.some(({ address }) => address === wanted));
    if (!complete && Date.now() < end) {
      await delay(LOOK_MILLISECONDS);
      continue;
    }
    const mark: LoginMark = {
      at: String(number),
      logins: counts.logins ?? {},
      refusedFrom: counts.refusedFrom ?? {},
      ...(refused !== undefined && { refused }),
    };
    const grants = [...(seesSessions ? [] : [`GRANT PROCESS ON *.* TO ${rotator}`]), ...counts.grants];
    const isComparable = since === undefined || before !== undefined;
    return {
      mark,
      ...(seesSessions && { from }),
      ...(counts.refusedFrom && { refusedFrom: increases(counts.refusedFrom, before?.refusedFrom) }),
      ...(refused !== undefined && isComparable && { refused: refused - (before?.refused ?? 0) }),
      ...(grants.length > 0 && { grant: grants.join('; ') }),
    };
  }
}

/** Between two looks: each is a few small statements. */
const LOOK_MILLISECONDS = 100;

/** Rows of a table that the administrator may not read, or that the server does not have: `undefined`. */
export async function rowsIfReadable(
  session: MysqlSession,
  statement: string,
  values: readonly unknown[] = [],
): Promise<Record<string, unknown>[] | undefined> {
  try {
    return await session.query(statement, values);
  } catch (error) {
    if (error instanceof StatementRefused) return undefined;
    throw error;
  }
}

/** Sums counts by the addresses of their hosts. */
export async function sumByAddress(
  rows: readonly { host: string; rest?: string; count: number }[],
): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const { host, rest, count } of rows) {
    const key = [await clientAddress(host), ...(rest === undefined ? [] : [rest])].join(' ');
    sums[key] = (sums[key] ?? 0) + count;
  }
  return sums;
}

async function connectionNumber(session: MysqlSession): Promise<number> {
  const [row] = await session.query('SELECT CONNECTION_ID() AS number');
  return Number(row?.number);
}

/** Not those that are only logging in or being refused, nor those that were killed. */
async function sessionsSince(session: MysqlSession, usernames: readonly string[], number: number) {
  const rows = await session.query(
    `SELECT USER AS username, HOST AS host FROM information_schema.PROCESSLIST
      WHERE USER IN (?) AND ID > ? AND ID <> CONNECTION_ID() AND COMMAND NOT IN ('Connect', 'Killed')`,
    [usernames, number],
  );
  return Promise.all(
    rows.map(async ({ username, host }) => ({
      username: String(username),
      address: await clientAddress(String(host).replace(/:\d+$/, '')),
    })),
  );
}

async function statusOf(session: MysqlSession, name: string): Promise<number | undefined> {
  const [row] = await session.query('SHOW GLOBAL STATUS LIKE ?', [name]);
  return row === undefined ? undefined : Number(row.Value);
}

function increases(now: Record<string, number>, before: Record<string, number> = {}): Record<string, number> {
  return Object.fromEntries(
    Object.entries(now)
      .map(([key, count]): [string, number] => [key, count - (before[key] ?? 0)])
      .filter(([, count]) => count > 0),
  );
}
