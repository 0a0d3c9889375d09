import { createHash } from 'node:crypto';
import { connect as connectSocket, isIP } from 'node:net';
import { type Connection, createConnection } from 'mysql2/promise';
import {
  answered,
  CONNECTION_LIMITS,
  type ConnectionLimits,
  ended,
  KEEP_ALIVE_DELAY_MS,
  LOCK_TIMEOUT_SECONDS,
  trustedCertificates,
} from '../connection.ts';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { DatabaseUnreachable, RotationRefused, verbOf } from '../contract/errors.ts';
import { countPatiently } from '../rotation/count-patiently.ts';
import { lockHeld, type SeenSessions } from '../rotation/refusals.ts';
import { connectError, statementError } from './errors.ts';

/** A connection to MySQL or MariaDB whose errors never quote a statement. */
export interface MysqlSession {
  /**
   * @param statement with `?` for each value, which the driver quotes.
   * @param answerMs how long the answer may take. @default the session's own limit
   * @throws {@link StatementRefused}, {@link DatabaseUnreachable}
   */
  query(
    statement: string,
    values?: readonly unknown[],
    answerMs?: number,
  ): Promise<Record<string, unknown>[]>;
  /**
   * Logs in as somebody else on the same connection. What the session held, such as locks, is free then.
   * @returns whether the server accepts that
   */
  logInAs(login: Login): Promise<boolean>;
}

/**
 * Logs in, does the work and logs out, whatever happens.
 * @throws {@link LoginRefused}, {@link DatabaseUnreachable} and what the work throws.
 */
export async function withMysql<T>(
  address: DatabaseAddress,
  login: Login,
  work: (session: MysqlSession) => Promise<T>,
  limits: ConnectionLimits = CONNECTION_LIMITS,
): Promise<T> {
  const connection = await connect(address, login, limits);
  let isSilent = false;
  const cut = () => connection.destroy();
  const giveUp = () => {
    isSilent = true;
    cut();
  };
  const waitFor = <T>(asked: Promise<T>, what: string, limitMs: number) =>
    answered(asked, address, { what, limitMs, giveUp });
  const query: MysqlSession['query'] = async (statement, values = [], answerMs = limits.answerMs) => {
    try {
      const [rows] = await waitFor(connection.query(statement, [...values]), verbOf(statement), answerMs);
      return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
    } catch (error) {
      throw error instanceof DatabaseUnreachable ? error : statementError(error, address, statement);
    }
  };
  try {
    await query(OWN_MODE);
    return await work({
      query,
      logInAs: async ({ username: user, password }) => {
        const changed = connection.changeUser({ user, password }).then(
          () => true,
          () => false,
        );
        return waitFor(changed, 'the login', limits.answerMs);
      },
    });
  } finally {
    if (!isSilent) await ended(connection.end(), cut);
  }
}

/**
 * The first statement of each session, whatever the server, its init_connect or a pooler has by default. The driver quotes with
 * backslashes (NO_BACKSLASH_ESCAPES), and other modes read quotes, spaces or whole statements otherwise (ANSI_QUOTES,
 * IGNORE_SPACE, MariaDB's ORACLE). Names that the server tells are quoted, so that they can be told from its words. Answers are whole
 * (sql_select_limit), and texts rather than bytes (SET NAMES binary); no statement begins a transaction that stays open.
 */
const OWN_MODE =
  "SET SESSION sql_mode = '', sql_quote_show_create = 1, sql_select_limit = 18446744073709551615, sql_big_selects = 1, autocommit = 1, " +
  'character_set_client = utf8mb4, character_set_results = utf8mb4, collation_connection = utf8mb4_general_ci';

/**
 * Does the work while holding the lock of a credential, which the server frees when the connection closes.
 * @param waitSeconds for whoever holds it; whole seconds
 * @throws {@link RotationBusy}
 */
export async function withMysqlLock<T>(
  address: DatabaseAddress,
  admin: Login,
  credential: string,
  work: (session: MysqlSession) => Promise<T>,
  waitSeconds = LOCK_TIMEOUT_SECONDS,
): Promise<T> {
  return withMysql(address, admin, async (session) => {
    const name = `upkeep:${createHash('sha256').update(credential).digest('hex').slice(0, 40)}`;
    const [row] = await session.query(`SELECT GET_LOCK('${name}', ${waitSeconds}) AS locked`);
    if (Number(row?.locked) !== 1) {
      const [holder] = await session.query(
        `SELECT IS_USED_LOCK('${name}') AS id, USER AS username, HOST AS host FROM (SELECT 1) AS one
           LEFT JOIN information_schema.PROCESSLIST ON ID = IS_USED_LOCK('${name}')`,
      );
      const { id, username, host } = holder ?? {};
      const who = username ? `of ${username} from ${host}` : 'whose user is not shown (GRANT PROCESS)';
      throw lockHeld(credential, address, id ? [`the connection ${id} ${who}`] : [], `KILL ${id}`);
    }
    return work(session);
  });
}

/**
 * Sessions of a user besides this one, not those that are only logging in; `undefined` where there may be some that the session's user does not see: without
 * a privilege it sees its own account's alone.
 */
export async function mysqlSessions(
  session: MysqlSession,
  username: string,
  patience = 0,
): Promise<number | undefined> {
  const count = async () => {
    const [row] = await session.query(
      `SELECT COUNT(*) AS count FROM information_schema.PROCESSLIST
        WHERE USER = ? AND ID <> CONNECTION_ID() AND COMMAND NOT IN ('Connect', 'Killed')`,
      [username],
    );
    return Number(row?.count);
  };
  const sessions = await count();
  if (sessions > 0) return sessions;
  return (await maySeeAllSessions(session)) ? countPatiently(count, patience) : undefined;
}

/** Without a privilege a session sees those of its own account alone. */
export async function maySeeAllSessions(session: MysqlSession): Promise<boolean> {
  const grants = await session.query('SHOW GRANTS');
  const all = grants.flatMap((row) => Object.values(row)).join('\n');
  return /\b(ALL PRIVILEGES|PROCESS)\b.* ON \*\.\*/.test(all);
}

/** Where the sessions come from that {@link mysqlSessions} counts: the most first. */
export async function seeSessions(session: MysqlSession, username: string): Promise<SeenSessions[]> {
  const rows = await session.query(
    `SELECT COMMAND = 'Sleep' AS idle, HOST AS host FROM information_schema.PROCESSLIST
      WHERE USER = ? AND ID <> CONNECTION_ID() AND COMMAND NOT IN ('Connect', 'Killed')`,
    [username],
  );
  const alike = new Map<string, SeenSessions>();
  for (const { idle, host } of rows) {
    const place = addressOf(String(host));
    const key = `${idle} ${place}`;
    const count = (alike.get(key)?.count ?? 0) + 1;
    alike.set(key, { count, idle: Number(idle) === 1, place });
  }
  return [...alike.values()].sort((a, b) => b.count - a.count);
}

/** Of a client as the list of processes has it: with its port, which an address of IPv6 also ends like. */
export function addressOf(host: string): string {
  return host.replace(/:\d+$/, '');
}

/** A count of the server's global status, which everybody may read. */
export async function mysqlStatus(
  address: DatabaseAddress,
  admin: Login,
  name: string,
): Promise<number | undefined> {
  return withMysql(address, admin, async (session) => {
    const [row] = await session.query('SHOW GLOBAL STATUS LIKE ?', [name]);
    return row === undefined ? undefined : Number(row.Value);
  });
}

async function connect(
  address: DatabaseAddress,
  login: Login,
  { connectMs }: ConnectionLimits,
): Promise<Connection> {
  const { host, port, database } = address;
  if (isIP(host) !== 0) {
    throw new RotationRefused(
      `The database's host is the address ${host}, whose certificate the driver cannot check. Configure its host name.`,
    );
  }
  const ca = await trustedCertificates(address.certificateAuthority);
  // Our own, so that it can be cut while the server is silent: the driver gives nothing to do that with before the login.
  const socket = connectSocket({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
  });
  try {
    const connecting = createConnection({
      stream: socket,
      host,
      port,
      user: login.username,
      password: login.password,
      ...(database === undefined ? {} : { database }),
      // Without verifyIdentity any certificate of the authority would do, whatever name it is for.
      ssl: { ca: ca as string, verifyIdentity: true, minVersion: 'TLSv1.2' },
      connectTimeout: connectMs,
    });
    // The driver's own limit ends with the first byte from the server.
    const connection = await answered(connecting, address, {
      what: 'the login',
      limitMs: connectMs,
      giveUp: () => socket.destroy(),
    });
    // A connection that breaks while nobody waits for it is found by the next statement.
    connection.on('error', () => {});
    return connection;
  } catch (error) {
    socket.destroy();
    throw error instanceof DatabaseUnreachable ? error : connectError(error, address, login);
  }
}
