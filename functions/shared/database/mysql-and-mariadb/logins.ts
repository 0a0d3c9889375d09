import { setTimeout as delay } from 'node:timers/promises';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { ConnectionRefused, DatabaseUnreachable, StatementRefused } from '../contract/errors.ts';
import type { LoginMark, LoginQuestion, SeenLogin, SeenLogins } from '../contract/rotation.ts';
import { clientAddress } from '../rotation/client-addresses.ts';
import type { Account, MysqlDialect, SecondPasswordLogins } from './dialect.ts';
import { isHashOf } from './password-hash.ts';
import { addressOf, type MysqlSession, maySeeAllSessions, withMysql } from './session.ts';

/**
 * Who has logged in from where, by the sessions that there are and, where the server keeps them, by its counts.
 * @throws DatabaseUnreachable where another server answers than before, which has counted what is older than the mark
 */
export async function mysqlLogins(
  session: MysqlSession,
  {
    loginCounts,
    refusedLoginsStatus,
    secondPasswordLogins,
  }: Pick<MysqlDialect, 'loginCounts' | 'refusedLoginsStatus' | 'secondPasswordLogins'>,
  rotator: string,
  {
    usernames,
    since,
    olderSessions = false,
    addresses,
    patience = 0,
    noted,
  }: LoginQuestion & { noted: number | undefined },
): Promise<SeenLogins> {
  const number = Math.max(await connectionNumber(session), noted ?? 0);
  const life = await lifeOf(session);
  const isSame = !since?.life || Math.abs(since.life.startedAt - life.startedAt) <= CLOCK_SECONDS;
  if (since?.life && !isSame && life.startedAt < since.life.at - CLOCK_SECONDS)
    throw new DatabaseUnreachable(
      `Another server answers than before, which runs since ${new Date(life.startedAt * 1000).toISOString()}, so that a failover must have taken place. ` +
        'What it has counted may be older than the roll.',
    );
  // A server that was started anew counts connections, and all else, from the beginning.
  const before = since && isSame && Number(since.at) < number ? since : undefined;
  // Everybody sees the own ones.
  const seesSessions = usernames.every((name) => name === rotator) || (await maySeeAllSessions(session));
  const firstNumber = olderSessions ? 0 : Number(before?.at ?? 0);
  const seen = new Map<string, SeenLogin>();
  const end = Date.now() + patience * 1000;
  for (;;) {
    const counts = await loginCounts(session, rotator, usernames);
    const refused = await statusOf(session, refusedLoginsStatus);
    const note = (login: SeenLogin) => seen.set(`${login.address} ${login.username} ${login.isOld}`, login);
    const sessions = seesSessions ? await sessionsSince(session, usernames, firstNumber) : [];
    // After the sessions: each of them is noted by then.
    const second = await secondPasswordLogins?.(session, usernames);
    const since = before?.tellsPasswords ? Number(before.at) : Number.POSITIVE_INFINITY;
    for (const { number, ...login } of sessions) note({ ...login, ...passwordOf(number, second, since) });
    // Of those that have ended the server does not tell which is which.
    const noneIsOld =
      second !== undefined &&
      Number.isFinite(since) &&
      since >= second.forgottenTo &&
      ![...second.numbers].some((each) => each > since);
    for (const [key, count] of Object.entries(counts.logins ?? {})) {
      const [address = '', ...username] = key.split(' ');
      if (count > (before?.logins[key] ?? 0))
        note({ address, username: username.join(' '), ...(noneIsOld && { isOld: false }) });
    }
    const from = [...seen.values()];
    const complete = addresses.every((wanted) => from.some(({ address }) => address === wanted));
    if (!complete && Date.now() < end) {
      await delay(LOOK_MILLISECONDS);
      continue;
    }
    const mark: LoginMark = {
      at: String(number),
      life,
      logins: counts.logins ?? {},
      refusedFrom: counts.refusedFrom ?? {},
      ...(refused !== undefined && { refused }),
      ...(noted !== undefined && { tellsPasswords: true }),
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

/**
 * Logs in with the old one of a user's two passwords, and looks whether the server has noted that. A log at the right level may
 * leave it out all the same: by a filter of its own (`log_filter_dragnet`), by a provider's.
 * @returns the number of that connection; `undefined` where the server does not tell, or the password is not valid any more
 */
export async function notedLogin(
  address: DatabaseAddress,
  session: MysqlSession,
  { admin, dialect, old }: { admin: Login; dialect: MysqlDialect; old: Login | undefined },
): Promise<number | undefined> {
  const { secondPasswordLogins } = dialect;
  if (old === undefined || secondPasswordLogins === undefined) return undefined;
  const { username } = old;
  if ((await secondPasswordLogins(session, [username])) === undefined) return undefined;
  // Nothing of ours is to be refused.
  const accounts = await dialect.accounts(session, admin, [username]);
  const isSecond = ({ hashes: [, second] }: Account) =>
    second !== undefined && isHashOf(old.password, second) === true;
  if (accounts.length === 0 || !accounts.every(isSecond)) return undefined;
  const number = await withMysql(address, old, connectionNumber).catch((error) => {
    // Such as a limit of connections that its containers have reached.
    if (error instanceof ConnectionRefused || error instanceof DatabaseUnreachable) return undefined;
    throw error;
  });
  if (number === undefined) return undefined;
  const noted = await secondPasswordLogins(session, [username]);
  return noted?.numbers.has(number) ? number : undefined;
}

/** @param since connections after this one are noted if they are with the second password */
function passwordOf(
  number: number,
  second: SecondPasswordLogins | undefined,
  since: number,
): Pick<SeenLogin, 'isOld'> {
  if (second?.numbers.has(number)) return { isOld: true };
  return second && number > Math.max(since, second.forgottenTo) ? { isOld: false } : {};
}

/**
 * Sessions that have logged in with the second one of a user's two passwords, and logins with it that come meanwhile.
 * @param patience seconds for which to look while there is none
 * @returns where they come from; `undefined` where the server does not tell
 */
export async function secondPasswordUse(
  session: MysqlSession,
  { secondPasswordLogins }: Pick<MysqlDialect, 'secondPasswordLogins'>,
  username: string,
  patience: number,
): Promise<string[] | undefined> {
  const begun = await connectionNumber(session);
  const end = Date.now() + patience * 1000;
  for (;;) {
    const sessions = await sessionsSince(session, [username], 0);
    const second = await secondPasswordLogins?.(session, [username]);
    if (second === undefined) return undefined;
    const open = sessions.filter(({ number }) => second.numbers.has(number));
    const ended = [...second.numbers].filter(
      (number) => number > begun && !open.some((each) => each.number === number),
    );
    const from = [
      ...new Set([...open.map(({ address }) => address), ...ended.map(() => 'a session that has ended')]),
    ];
    if (from.length > 0 || Date.now() >= end) return from;
    await delay(LOOK_MILLISECONDS);
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

/** Of two seconds that are read one after the other, and each rounded. */
const CLOCK_SECONDS = 2;

async function lifeOf(session: MysqlSession): Promise<NonNullable<LoginMark['life']>> {
  const uptime = await statusOf(session, 'Uptime');
  const [row] = await session.query('SELECT UNIX_TIMESTAMP() AS now');
  const at = Number(row?.now);
  return { startedAt: at - (uptime ?? 0), at };
}

async function connectionNumber(session: MysqlSession): Promise<number> {
  const [row] = await session.query('SELECT CONNECTION_ID() AS number');
  return Number(row?.number);
}

/** Not those that are only logging in or being refused, nor those that were killed. */
async function sessionsSince(session: MysqlSession, usernames: readonly string[], number: number) {
  const rows = await session.query(
    `SELECT ID AS number, USER AS username, HOST AS host FROM information_schema.PROCESSLIST
      WHERE USER IN (?) AND ID > ? AND ID <> CONNECTION_ID() AND COMMAND NOT IN ('Connect', 'Killed')`,
    [usernames, number],
  );
  return Promise.all(
    rows.map(async ({ number, username, host }) => ({
      number: Number(number),
      username: String(username),
      address: await clientAddress(addressOf(String(host))),
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
