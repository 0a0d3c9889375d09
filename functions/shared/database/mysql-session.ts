import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { type Connection, createConnection } from 'mysql2/promise';
import {
  DatabaseUnreachable,
  LoginRefused,
  RotationBusy,
  RotationRefused,
  StatementRefused,
} from './errors.ts';
import {
  CONNECT_TIMEOUT_MS,
  countPatiently,
  type DatabaseAddress,
  LOCK_TIMEOUT_SECONDS,
  missingPrivilege,
  trustedCertificates,
} from './rotation.ts';
import type { Login } from './secret.ts';

/** A connection to MySQL or MariaDB whose errors never quote a statement. */
export interface MysqlSession {
  /**
   * @param statement with `?` for each value, which the driver quotes.
   * @throws {@link StatementRefused}, {@link DatabaseUnreachable}
   */
  query(statement: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
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
): Promise<T> {
  const connection = await connect(address, login);
  try {
    return await work({
      query: async (statement, values = []) => {
        try {
          const [rows] = await connection.query(statement, [...values]);
          return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
        } catch (error) {
          throw statementError(error, address, statement);
        }
      },
      logInAs: ({ username: user, password }) =>
        connection.changeUser({ user, password }).then(
          () => true,
          () => false,
        ),
    });
  } finally {
    await connection.end().catch(() => connection.destroy());
  }
}

/**
 * Does the work while holding the lock of a credential, which the server frees when the connection closes.
 * @throws {@link RotationBusy}
 */
export async function withMysqlLock<T>(
  address: DatabaseAddress,
  admin: Login,
  credential: string,
  work: (session: MysqlSession) => Promise<T>,
): Promise<T> {
  return withMysql(address, admin, async (session) => {
    const name = `upkeep:${createHash('sha256').update(credential).digest('hex').slice(0, 40)}`;
    const [row] = await session.query(
      `SELECT GET_LOCK('${name}', ${LOCK_TIMEOUT_SECONDS}) AS locked, @@SESSION.sql_mode AS mode`,
    );
    if (Number(row?.locked) !== 1) {
      throw new RotationBusy(
        `Another rotation or retirement of ${credential} on ${address.host} is going on. Try again when it has ended.`,
      );
    }
    // The driver quotes with backslashes.
    if (String(row?.mode).includes('NO_BACKSLASH_ESCAPES')) {
      await session.query("SET SESSION sql_mode = REPLACE(@@SESSION.sql_mode, 'NO_BACKSLASH_ESCAPES', '')");
    }
    return work(session);
  });
}

/** A change of a user's accounts. */
export interface AccountChange {
  /** Who makes it. */
  admin: Login;
  username: string;
  hosts: readonly string[];
  /** What `ALTER USER` is told for each account, with `?` for each of the values. */
  option: string;
  values?: readonly unknown[];
  /** What it is told for all of them together. */
  suffix?: string;
  /** The statement that allows it. */
  grant: string;
}

/**
 * Changes all of a user's accounts (`user@host`) by one statement, so that all change or none.
 * @throws {@link MissingPrivilege}, {@link StatementRefused}, {@link DatabaseUnreachable}
 */
export async function alterAccounts(session: MysqlSession, change: AccountChange): Promise<void> {
  const { admin, username, hosts, option, values = [], suffix = '', grant } = change;
  const list = hosts.map(() => `?@? ${option}`).join(', ');
  try {
    await session.query(
      `ALTER USER ${list} ${suffix}`,
      hosts.flatMap((host) => [username, host, ...values]),
    );
  } catch (error) {
    if (!lacksPrivilege(error)) throw error;
    throw missingPrivilege(admin.username, `change ${username} on ${hosts.join(', ')}`, grant);
  }
}

/**
 * Reads accounts, which needs a privilege of its own.
 * @param request the statement, with one `?` for the list of users, what allows it, and the first version of the server
 * that has what it reads.
 * @throws {@link MissingPrivilege}, {@link RotationRefused}, {@link StatementRefused}, {@link DatabaseUnreachable}
 */
export async function readAccounts(
  session: MysqlSession,
  admin: Login,
  usernames: readonly string[],
  { statement, grant, since }: { statement: string; grant: string; since: string },
): Promise<Record<string, unknown>[]> {
  try {
    return await session.query(statement, [usernames]);
  } catch (error) {
    if (error instanceof StatementRefused && ABSENCE_ERRORS.has(error.code)) {
      throw new RotationRefused(
        `The server is older than ${since}, which this strategy needs. Upgrade it, or use another strategy.`,
      );
    }
    if (!lacksPrivilege(error)) throw error;
    throw missingPrivilege(admin.username, `see the state of ${usernames.join(' and ')}`, grant);
  }
}

/** Logs in and makes one request. */
export async function proveMysqlLogin(address: DatabaseAddress, login: Login): Promise<void> {
  await withMysql(address, login, (session) => session.query('SELECT 1'));
}

/**
 * Sessions of a user besides this one; `undefined` where there may be some that the session's user does not see: without
 * a privilege it sees its own account's alone.
 */
export async function mysqlSessions(
  session: MysqlSession,
  username: string,
  patience = 0,
): Promise<number | undefined> {
  const count = async () => {
    const [row] = await session.query(
      'SELECT COUNT(*) AS count FROM information_schema.PROCESSLIST WHERE USER = ? AND ID <> CONNECTION_ID()',
      [username],
    );
    return Number(row?.count);
  };
  const sessions = await count();
  if (sessions > 0) return sessions;
  const grants = await session.query('SHOW GRANTS');
  const all = grants.flatMap((row) => Object.values(row)).join('\n');
  return /\b(ALL PRIVILEGES|PROCESS)\b.* ON \*\.\*/.test(all) ? countPatiently(count, patience) : undefined;
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

/** Codes of a column and of a table that the server does not have. */
const ABSENCE_ERRORS = new Set(['ER_BAD_FIELD_ERROR', 'ER_NO_SUCH_TABLE']);

/** Codes of a missing privilege: for the server, a database, a table, a column. */
const PRIVILEGE_ERRORS = new Set([
  'ER_SPECIFIC_ACCESS_DENIED_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_COLUMNACCESS_DENIED_ERROR',
]);

function lacksPrivilege(error: unknown): boolean {
  return error instanceof StatementRefused && PRIVILEGE_ERRORS.has(error.code);
}

/** Wrong password; no password; account locked on MySQL, on MariaDB; password expired. */
const LOGIN_ERRORS = new Set([1045, 1698, 3118, 4151, 1862]);

async function connect(address: DatabaseAddress, login: Login): Promise<Connection> {
  const { host, port, database, engine } = address;
  if (isIP(host) !== 0) {
    throw new RotationRefused(
      `The database's host is the address ${host}, whose certificate the driver cannot check. Configure its host name.`,
    );
  }
  const ca = await trustedCertificates(address.certificateAuthority);
  try {
    const connection = await createConnection({
      host,
      port,
      user: login.username,
      password: login.password,
      ...(database === undefined ? {} : { database }),
      // Without verifyIdentity any certificate of the authority would do, whatever name it is for.
      ssl: { ca: ca as string, verifyIdentity: true, minVersion: 'TLSv1.2' },
      connectTimeout: CONNECT_TIMEOUT_MS,
    });
    // A connection that breaks while nobody waits for it is found by the next statement.
    connection.on('error', () => {});
    return connection;
  } catch (error) {
    const { code, errno } = codesOf(error);
    if (LOGIN_ERRORS.has(errno)) {
      throw new LoginRefused(
        `${host}:${port} (${engine}) refuses to log in ${login.username} with the password it was given (${code}).`,
      );
    }
    throw unreachable(address, code, error);
  }
}

function unreachable(address: DatabaseAddress, code: string, error: unknown): DatabaseUnreachable {
  // A server's own text, unlike the network's and TLS's, may quote what it was sent.
  const detail = codesOf(error).fromServer || !(error instanceof Error) ? '' : `: ${error.message}`;
  return new DatabaseUnreachable(
    `No trusted connection to ${address.host}:${address.port} (${address.engine}): ${code}${detail}. ` +
      "Check the host, the port, the security groups between the function and the database, and the server's certificate authority.",
  );
}

function statementError(error: unknown, address: DatabaseAddress, statement: string): Error {
  const { code, errno, fromServer } = codesOf(error);
  const verb = statement.trim().split(/\s+/).slice(0, 2).join(' ');
  if (!fromServer) return unreachable(address, code, error);
  return new StatementRefused(
    `${address.host}:${address.port} (${address.engine}) refused ${verb}: ${code} (${errno}). ${adviceFor(code)}`,
    code,
  );
}

function adviceFor(code: string): string {
  switch (code) {
    case 'ER_OPTION_PREVENTS_STATEMENT':
    case 'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION':
      return 'It is read-only: configure the address of the writer.';
    case 'ER_NOT_VALID_PASSWORD':
      return "The new password does not satisfy the server's policy: change its length or alphabet in the configuration.";
    case 'ER_CREDENTIALS_CONTRADICT_TO_HISTORY':
      return "The server's password history forbids it: lower password_history for this account.";
    case 'ER_MISSING_CURRENT_PASSWORD':
    case 'ER_CURRENT_PASSWORD_NOT_REQUIRED':
      return 'The account must give its password to change it: ALTER USER … PASSWORD REQUIRE CURRENT OPTIONAL, or configure an administrator.';
    default:
      return "Look the code up in the server's manual; the statement is not shown because it may hold a password.";
  }
}

function codesOf(error: unknown): { code: string; errno: number; fromServer: boolean } {
  const fields: { code?: unknown; errno?: unknown; sqlState?: unknown } =
    typeof error === 'object' && error !== null ? error : {};
  return {
    // The driver has no names for the errors that only MariaDB has.
    code: typeof fields.code === 'string' ? fields.code : String(fields.errno ?? 'no code'),
    errno: typeof fields.errno === 'number' ? fields.errno : 0,
    fromServer: typeof fields.sqlState === 'string' && fields.sqlState !== '',
  };
}
