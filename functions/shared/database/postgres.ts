import { createHash } from 'node:crypto';
import pg from 'pg';
import {
  DatabaseUnreachable,
  LoginRefused,
  RotationBusy,
  RotationRefused,
  StatementRefused,
} from './errors.ts';
import {
  alternatingUsers,
  CONNECT_TIMEOUT_MS,
  type CredentialRotation,
  countPatiently,
  currentRefused,
  type DatabaseAddress,
  LOCK_TIMEOUT_SECONDS,
  missingPrivilege,
  type SetOutcome,
  type SetRequest,
  type Strategy,
  stillConnected,
  trustedCertificates,
  unfinished,
  unretired,
  whyImpossible,
} from './rotation.ts';
import { scramVerifier } from './scram.ts';
import type { Login } from './secret.ts';

/**
 * Rotation on PostgreSQL and Aurora PostgreSQL. The server is sent SCRAM verifiers only: it logs statements that
 * fail, whatever is configured. It takes a verifier that is not well-formed for the password itself, without a
 * word: only the login of {@link CredentialRotation.test} shows that.
 */
export function postgresRotation(address: DatabaseAddress, strategy: Strategy): CredentialRotation {
  const owner = strategy.kind === 'alternating-users' ? strategy.owner : undefined;
  return {
    ...methodsOf(address, strategy),

    test: (login) =>
      withPostgres(address, login, async (session) => {
        const [row] = await session.query('SELECT current_user AS role');
        if (owner !== undefined && row?.role !== owner) {
          throw new RotationRefused(
            `${login.username} acts as ${row?.role} and not as ${owner}, so what it makes would be closed to the other user. ` +
              `GRANT ${pg.escapeIdentifier(owner)} TO ${pg.escapeIdentifier(login.username)}; ` +
              `ALTER ROLE ${pg.escapeIdentifier(login.username)} SET role = ${pg.escapeLiteral(owner)}`,
          );
        }
      }),

    sessions: (admin, username, patience = 0) =>
      withPostgres(address, admin, (session) =>
        countPatiently(() => countSessions(session, username), patience),
      ),

    refusedLogins: async () => undefined,
    warnings: async () => [],
  };
}

type StrategyMethods = Pick<CredentialRotation, 'nextUsername' | 'set' | 'retained' | 'retire' | 'undo'>;

function methodsOf(address: DatabaseAddress, strategy: Strategy): StrategyMethods {
  switch (strategy.kind) {
    case 'alternating-users':
      return alternating(address, strategy);
    case 'single-password':
      return singlePassword(address, strategy.user);
    case 'dual-password':
      throw new RotationRefused(whyImpossible(address.engine, strategy));
  }
}

/**
 * Two users by turns, who act as one owner. The one not in use may not log in (NOLOGIN): that is how a retired
 * credential is told from one that containers may still have.
 */
function alternating(
  address: DatabaseAddress,
  strategy: { users?: readonly [string, string]; owner?: string },
): StrategyMethods {
  return {
    nextUsername: (current) => alternatingUsers(strategy, current).other,

    set: ({ admin, pending, current: read, previous }) => {
      const { lockName } = alternatingUsers(strategy, pending.username);
      return withPostgresLock(address, admin, lockName, async (session) => {
        const current = await read();
        if (current === undefined) return 'was-finished';
        return openOther(address, session, { admin, current, pending, previous });
      });
    },

    retained: (admin, current) =>
      withPostgres(address, admin, (session) =>
        canLogIn(session, alternatingUsers(strategy, current.username).other),
      ).then((state) => state === true),

    retire: ({ admin, username, read, patience = 0 }) =>
      withPostgresLock(address, admin, alternatingUsers(strategy, username).lockName, async (session) => {
        const { current, pending } = await read();
        const { other } = alternatingUsers(strategy, current.username);
        if ((await canLogIn(session, other)) !== true) return 'nothing-to-retire';
        if (pending?.username === other && (await postgresAccepts(address, pending))) {
          throw unfinished(username);
        }
        const sessions = await countPatiently(() => countSessions(session, other), patience);
        if (sessions > 0) throw stillConnected(other, sessions);
        if (!(await postgresAccepts(address, current))) throw currentRefused(current);
        await alterRole(session, admin, other, 'NOLOGIN');
        return 'retired';
      }),

    undo: ({ admin, current, abandoned }) => {
      const { other, lockName } = alternatingUsers(strategy, current.username);
      return withPostgresLock(address, admin, lockName, async (session) => {
        if (abandoned.username !== other || (await canLogIn(session, other)) !== true)
          return 'nothing-to-undo';
        // Before our own login with it.
        const sessions = await countSessions(session, other);
        if (!(await postgresAccepts(address, abandoned))) return 'nothing-to-undo';
        if (sessions > 0) throw stillConnected(other, sessions);
        await alterRole(session, admin, other, 'NOLOGIN');
        return 'undone';
      });
    },
  };
}

async function openOther(
  address: DatabaseAddress,
  session: PostgresSession,
  { admin, current, pending, previous }: Omit<SetRequest, 'current'> & { current: Login },
): Promise<SetOutcome> {
  const { username } = pending;
  const open = await canLogIn(session, username);
  if (open === undefined) {
    throw new RotationRefused(
      `There is no user ${username} to alternate with ${current.username}. Make both of one by migrateToAlternatingUsers, ` +
        `or create it with NOLOGIN, as a member of the owner's role that acts as that role.`,
    );
  }
  if (open) {
    if (await postgresAccepts(address, pending)) return 'was-set';
    const before = await previous();
    if (before?.username !== username || (await postgresAccepts(address, before))) {
      throw unretired(current.username, `${username}, the user before ${current.username}, may still log in`);
    }
    // Neither the last nor the pending password: a rotation that was abandoned left one that nobody knows.
  }
  const verifier = pg.escapeLiteral(scramVerifier(pending.password));
  await alterRole(session, admin, username, `LOGIN PASSWORD ${verifier}`);
  return open ? 'healed' : 'set';
}

/** One user with one password: what still has the old one cannot log in until it is restarted. */
function singlePassword(address: DatabaseAddress, user: string): StrategyMethods {
  return {
    nextUsername: (current) => {
      if (current === user) return user;
      throw new RotationRefused(
        `The secret's user is ${current}; configured is ${user}. Correct the one or the other.`,
      );
    },
    set: ({ admin, pending, current }) =>
      withPostgresLock(address, admin, user, async (session) => {
        if ((await current()) === undefined) return 'was-finished';
        const verifier = pg.escapeLiteral(scramVerifier(pending.password));
        await alterRole(session, admin, user, `PASSWORD ${verifier}`);
        return 'set';
      }),
    retained: async () => false,
    retire: async () => 'nothing-to-retire',
    undo: async () => 'nothing-to-undo',
  };
}

/** A connection to PostgreSQL whose errors never quote a statement. */
export interface PostgresSession {
  /** @throws {@link StatementRefused}, {@link DatabaseUnreachable} */
  query(statement: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
}

/**
 * Logs in, does the work and logs out, whatever happens.
 * @throws {@link LoginRefused}, {@link DatabaseUnreachable} and what the work throws.
 */
export async function withPostgres<T>(
  address: DatabaseAddress,
  login: Login,
  work: (session: PostgresSession) => Promise<T>,
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
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'credential rotation',
  });
  // A connection that breaks while nobody waits for it is found by the next query.
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => {});
    throw connectError(error, address, login);
  }
  try {
    return await work({
      query: async (statement, values) => {
        try {
          return (await client.query(statement, values)).rows;
        } catch (error) {
          throw statementError(error, address, statement);
        }
      },
    });
  } finally {
    await client.end().catch(() => {});
  }
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
 * @throws {@link RotationBusy}
 */
export async function withPostgresLock<T>(
  address: DatabaseAddress,
  admin: Login,
  credential: string,
  work: (session: PostgresSession) => Promise<T>,
): Promise<T> {
  return withPostgres(address, admin, async (session) => {
    const key = createHash('sha256').update(`upkeep:${credential}`).digest().readBigInt64BE();
    try {
      await session.query(`SET lock_timeout = '${LOCK_TIMEOUT_SECONDS}s'`);
      await session.query(`SELECT pg_advisory_lock(${key})`);
    } catch (error) {
      if (!(error instanceof StatementRefused) || error.code !== LOCK_NOT_AVAILABLE) throw error;
      throw new RotationBusy(
        `Another rotation or retirement of ${credential} on ${address.host} is going on. Try again when it has ended.`,
      );
    }
    return work(session);
  });
}

/** `undefined` if there is no such role. */
async function canLogIn(session: PostgresSession, role: string): Promise<boolean | undefined> {
  const [row] = await session.query('SELECT rolcanlogin AS open FROM pg_roles WHERE rolname = $1', [role]);
  return row === undefined ? undefined : row.open === true;
}

async function countSessions(session: PostgresSession, username: string): Promise<number> {
  const [row] = await session.query(
    'SELECT count(*) AS count FROM pg_stat_activity WHERE usename = $1 AND pid <> pg_backend_pid()',
    [username],
  );
  return Number(row?.count);
}

async function alterRole(
  session: PostgresSession,
  admin: Login,
  role: string,
  change: string,
): Promise<void> {
  try {
    await session.query(`ALTER ROLE ${pg.escapeIdentifier(role)} ${change}`);
  } catch (error) {
    if (!(error instanceof StatementRefused) || error.code !== INSUFFICIENT_PRIVILEGE) throw error;
    const rotator = pg.escapeIdentifier(admin.username);
    throw missingPrivilege(
      admin.username,
      `change ${role}`,
      `ALTER ROLE ${rotator} CREATEROLE, and from PostgreSQL 16 on also ` +
        `GRANT ${pg.escapeIdentifier(role)} TO ${rotator} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE; ` +
        'where RDS restricts password commands, also GRANT rds_password.',
    );
  }
}

// SQLSTATEs, from PostgreSQL's Appendix A.
export const INSUFFICIENT_PRIVILEGE = '42501';
const LOCK_NOT_AVAILABLE = '55P03';
/** Wrong password; no such role, NOLOGIN, or nothing in pg_hba.conf that lets it in. */
const LOGIN_ERRORS = new Set(['28P01', '28000']);

function connectError(error: unknown, address: DatabaseAddress, { username }: Login): Error {
  const code = codeOf(error);
  if (code !== undefined && LOGIN_ERRORS.has(code)) {
    return new LoginRefused(
      `${address.host}:${address.port} (${address.engine}) refuses to log in ${username} with the password it was given (${code}).`,
    );
  }
  return unreachable(error, address);
}

function statementError(error: unknown, address: DatabaseAddress, statement: string): Error {
  const code = codeOf(error);
  if (code === undefined) return unreachable(error, address);
  // Class 57: the server shut down or ended the session.
  if (code.startsWith('57P')) return unreachable(error, address);
  const verb = statement.trim().split(/\s+/).slice(0, 2).join(' ');
  return new StatementRefused(
    `${address.host}:${address.port} (${address.engine}) refused ${verb}: SQLSTATE ${code}. ` +
      (code === '25006'
        ? 'It is read-only: configure the address of the writer.'
        : "Look the code up in PostgreSQL's manual; the statement is not shown because it may hold a password."),
    code,
  );
}

function unreachable(error: unknown, address: DatabaseAddress): DatabaseUnreachable {
  const detail = codeOf(error) ?? (error instanceof Error ? error.message : 'no reason');
  return new DatabaseUnreachable(
    `No trusted connection to ${address.host}:${address.port} (${address.engine}): ${detail}. ` +
      "Check the host, the port, the security groups between the function and the database, and the server's certificate authority.",
  );
}

/** The SQLSTATE of an error that the server sent. */
function codeOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}
