import { createHash } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import pg from 'pg';
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
import {
  DatabaseUnreachable,
  LoginRefused,
  RotationRefused,
  StatementRefused,
  verbOf,
} from '../contract/errors.ts';
import { lockHeld } from '../rotation/refusals.ts';
import { connectError, FEATURE_NOT_SUPPORTED, LOCK_NOT_AVAILABLE, statementError } from './errors.ts';

/** A connection to PostgreSQL whose errors never quote a statement. */
export interface PostgresSession {
  /**
   * @param answerMs how long the answer may take. @default the session's own limit
   * @throws {@link StatementRefused}, {@link DatabaseUnreachable}
   */
  query(statement: string, values?: unknown[], answerMs?: number): Promise<Record<string, unknown>[]>;
  /** How the server had the password proven; `undefined` if it took it in the clear, or a pooler asked in its place. */
  exchange: PasswordExchange | undefined;
  /** A pooler stands before the server, which may give each transaction another of the server's sessions. */
  isPooled: boolean;
}

/** How a server has a password proven, by the form in which it keeps it. */
export type PasswordExchange = 'md5' | 'scram';

/**
 * Logs in, does the work and logs out, whatever happens.
 * @throws {@link LoginRefused}, {@link DatabaseUnreachable} and what the work throws.
 */
export async function withPostgres<T>(
  address: DatabaseAddress,
  login: Login,
  work: (session: PostgresSession) => Promise<T>,
  limits: ConnectionLimits = CONNECTION_LIMITS,
): Promise<T> {
  const { host, port, database = 'postgres', certificateAuthority } = address;
  const client = new pg.Client({
    host,
    port,
    database,
    user: login.username,
    password: login.password,
    // Checks the name too; a server without TLS is an error.
    ssl: { ca: await trustedCertificates(certificateAuthority), minVersion: 'TLSv1.2' },
    connectionTimeoutMillis: limits.connectMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
    application_name: 'credential rotation',
  });
  let exchange: PasswordExchange | undefined;
  const { connection } = client as unknown as { connection: EventEmitter };
  connection.once('authenticationMD5Password', () => {
    exchange = 'md5';
  });
  connection.once('authenticationSASL', () => {
    exchange = 'scram';
  });
  // A connection that breaks while nobody waits for it is found by the next query.
  client.on('error', () => {});
  let isSilent = false;
  const cut = () => streamOf(client)?.destroy();
  const giveUp = () => {
    isSilent = true;
    cut();
  };
  const waitFor = <T>(asked: Promise<T>, what: string, limitMs: number) =>
    answered(asked, address, { what, limitMs, giveUp });
  try {
    await waitFor(client.connect(), 'the login', limits.connectMs);
  } catch (error) {
    if (!isSilent) await ended(client.end(), cut);
    throw error instanceof DatabaseUnreachable ? error : connectError(error, address, login);
  }
  const query = async (statement: string, values?: unknown[], answerMs = limits.answerMs) => {
    try {
      return (await waitFor(client.query(statement, values), verbOf(statement), answerMs)).rows;
    } catch (error) {
      throw error instanceof DatabaseUnreachable ? error : statementError(error, address, statement);
    }
  };
  try {
    const { processID = null } = client as unknown as { processID?: number | null };
    const [own] = await setOwn(query, processID);
    const isPooled = own?.pooled === true;
    return await work(
      isPooled
        ? { query: eachInItsTransaction(query), exchange: undefined, isPooled }
        : { query, exchange, isPooled },
    );
  } finally {
    if (!isSilent) await ended(client.end(), cut);
  }
}

/** The driver has no other way to end a connection whose server is silent. */
function streamOf(client: pg.Client): { destroy(): unknown } | undefined {
  const { connection } = client as unknown as { connection?: { stream?: { destroy(): unknown } } };
  return connection?.stream;
}

/**
 * What no session of ours takes from the role, the database or a pooler: the path in which functions and operators are found
 * (as in CVE-2018-1058), whether policies of row level security are run, which are anybody's code with the rights of whoever
 * reads the table (a table that has them is refused instead), how backslashes in our own statements are read, and what
 * transactions see (serializable ones may fail for what others do, and a standby has none).
 */
const OWN_SETTINGS = Object.entries({
  search_path: 'pg_catalog, pg_temp',
  row_security: 'off',
  standard_conforming_strings: 'on',
  default_transaction_isolation: 'read committed',
});

/**
 * The first statement of each session. It also tells whether the server's session is the one that the login was answered for:
 * a pooler answers with a number of its own, and then nothing is set.
 */
const OWN_FIRST = `SELECT pid OPERATOR(pg_catalog.<>) $1::pg_catalog.int4 AS pooled,
    ${OWN_SETTINGS.map(([name, value]) => `pg_catalog.set_config('${name}', '${value}', pid OPERATOR(pg_catalog.<>) $1::pg_catalog.int4)`).join(', ')}
  FROM (SELECT pg_catalog.pg_backend_pid() AS pid) AS own`;

async function setOwn(
  query: PostgresSession['query'],
  processID: number | null,
): Promise<Record<string, unknown>[]> {
  try {
    return await query(OWN_FIRST, [processID]);
  } catch (error) {
    if (!(error instanceof StatementRefused) || error.code !== FEATURE_NOT_SUPPORTED) throw error;
    // On a standby, of which the role or the database wants serializable transactions.
    await query(`BEGIN; ${READ_COMMITTED}`);
    const own = await query(OWN_FIRST, [processID]);
    await query('COMMIT');
    return own;
  }
}

const READ_COMMITTED = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED';

/**
 * Behind a pooler a setting of the session may stay with a server's session that others are given next, and the next
 * statement come to one without it. So each statement is a transaction with the settings of its own.
 */
function eachInItsTransaction(query: PostgresSession['query']): PostgresSession['query'] {
  const settings = OWN_SETTINGS.map(
    ([name, value]) => `SET LOCAL ${name} = '${value.replaceAll(', ', "', '")}'`,
  );
  let isOpen = false;
  return async (statement, values, answerMs) => {
    if (/^SET /.test(statement)) {
      settings.push(statement.replaceAll(/(^|;\s*)SET (?!LOCAL )/g, '$1SET LOCAL '));
      return [];
    }
    const [verb] = /^(?:BEGIN|COMMIT|ROLLBACK)/.exec(statement) ?? [];
    if (verb !== undefined) {
      const rows = await query(statement, values, answerMs);
      isOpen = verb === 'BEGIN';
      if (isOpen) await query(settings.join('; '));
      return rows;
    }
    if (isOpen) return query(statement, values, answerMs);
    await query('BEGIN');
    try {
      await query([READ_COMMITTED, ...settings].join('; '));
      const rows = await query(statement, values, answerMs);
      await query('COMMIT');
      return rows;
    } catch (error) {
      // A statement of which no answer came has no session any more.
      if (!(error instanceof DatabaseUnreachable)) await query('ROLLBACK');
      throw error;
    }
  };
}

/** Takes from a session the limits that its user has for work of another kind. Each version has some of them. */
export async function withoutTimeouts({ query }: PostgresSession): Promise<void> {
  const limits = await query(
    `SELECT name FROM pg_settings
      WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout', 'idle_session_timeout')`,
  );
  await query(limits.map(({ name }) => `SET ${name} = 0`).join('; '));
}

/** Why nothing is changed through a pooler. */
export function pooled({ host, port, engine }: DatabaseAddress): RotationRefused {
  return new RotationRefused(
    `At ${host}:${port} (${engine}) a pooler such as pgbouncer or RDS Proxy answers, not the server: a lock may not hold behind it, and two rotations could meet. Configure the address of the server itself; containers may go on by the pooler.`,
  );
}

/** Whether the database accepts a login. */
export async function postgresAccepts(address: DatabaseAddress, login: Login): Promise<boolean> {
  try {
    await withPostgres(address, login, async () => {});
    return true;
  } catch (error) {
    if (error instanceof LoginRefused) return false;
    throw error;
  }
}

/**
 * Does the work while holding the advisory lock of a credential, which ends with the connection. Two changes of
 * roles at once fail otherwise.
 *
 * @param waitSeconds for whoever holds it
 * @throws {@link RotationBusy}; {@link RotationRefused} behind a pooler, which may give the lock to somebody else's session
 */
export async function withPostgresLock<T>(
  address: DatabaseAddress,
  admin: Login,
  credential: string,
  work: (session: PostgresSession) => Promise<T>,
  waitSeconds = LOCK_TIMEOUT_SECONDS,
): Promise<T> {
  return withPostgres(address, admin, async (session) => {
    if (session.isPooled) throw pooled(address);
    const key = createHash('sha256').update(`upkeep:${credential}`).digest().readBigInt64BE();
    try {
      await session.query(`SET lock_timeout = '${waitSeconds * 1000}ms'`);
      await session.query(`SELECT pg_advisory_lock(${key})`);
    } catch (error) {
      if (!(error instanceof StatementRefused) || error.code !== LOCK_NOT_AVAILABLE) throw error;
      const holders = await session.query(
        `SELECT pid, usename, application_name AS program, host(client_addr) AS address
           FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
          WHERE locktype = 'advisory' AND granted AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (classid::int8 << 32 | objid::int8) = $1::int8 AND objsubid = 1`,
        [String(key)],
      );
      const told = holders.map(
        ({ pid, usename, program, address: from }) =>
          `the session ${pid} of ${usename ?? 'a user that is not shown'}${program ? ` as ${JSON.stringify(program)}` : ''}${from ? ` from ${from}` : ''}`,
      );
      // A shared lock has several, and each of them keeps us out.
      const ends = holders.map(({ pid }) => `pg_terminate_backend(${pid})`);
      throw lockHeld(credential, address, told, `SELECT ${ends.join(', ')}`);
    }
    return work(session);
  });
}
