import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import type { DatabaseAddress, Engine, Login } from '../../../functions/shared/database/contract/engine.ts';
import type { Strategy } from '../../../functions/shared/database/contract/rotation.ts';
import { nativePasswordHash } from '../../../functions/shared/database/mysql-and-mariadb/password-hash.ts';
import { migrateToAlternatingUsers } from '../../../functions/shared/database/postgres/migration.ts';
import { scramVerifier } from '../../../functions/shared/database/postgres/scram.ts';
import { socketFrom } from '../../../rehearsal/aws/containers/client-socket.ts';
import { startMariadb } from '../../../rehearsal/databases/mariadb.ts';
import { startMysql } from '../../../rehearsal/databases/mysql.ts';
import type { DatabaseServer, StartOptions } from '../../../rehearsal/databases/mysql-family.ts';
import { type Postgres, type PostgresOptions, startPostgres } from '../../../rehearsal/databases/postgres.ts';
import { ServerUnavailable } from '../../../rehearsal/databases/server-program.ts';
import { serverCertificate, type TlsCertificate } from '../../../rehearsal/databases/tls-certificate.ts';

/** A real server with an application's user, and a rotator that has no more rights than the documentation asks for. */
export interface TestDatabase {
  address: DatabaseAddress;
  strategy: Strategy;
  /** The application's first login. */
  user: Login;
  /** Who changes passwords. */
  rotator: Login;
  /** Connects as an application does, uses the connection and closes it. */
  logIn(login: Login, options?: LogInOptions): Promise<void>;
  /** As an administrator of everything. */
  query(statement: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** What the server's log has of logins and statements since its start. */
  counts(): Promise<Counts>;
  logs(): Promise<string>;
  stop(): Promise<void>;
}

export interface LogInOptions {
  /**
   * `plain`: as containers may connect within a VPC. It is a third of the work, and MySQL's cache of passwords, which a
   * rotation empties, then counts.
   * @default 'tls'
   */
  transport?: 'tls' | 'plain';
  /** Called once the connection is open: until that settles it is kept. @default it is closed at once */
  until?: () => Promise<unknown>;
  /** Called once it is open. */
  opened?: () => void;
  /** From which address. @default any */
  from?: string | undefined;
}

export interface Counts {
  connections: number;
  /** Among the connections. */
  refused: number;
  statements: number;
}

type Started = (strategy: Strategy) => Promise<TestDatabase>;

/**
 * Starts a database for a test; `undefined` after skipping the test if there is no server and it is not CI.
 * @throws ServerUnavailable in CI.
 */
export async function databaseFor(
  t: TestContext,
  start: Started,
  strategy: Strategy,
): Promise<TestDatabase | undefined> {
  try {
    const database = await start(strategy);
    t.after(() => database.stop());
    return database;
  } catch (error) {
    if (!(error instanceof ServerUnavailable) || process.env.CI) throw error;
    t.skip(error.message);
    return undefined;
  }
}

/** Random, of the classes that password policies ask for. */
export function anyPassword(): string {
  return `Pw1-${randomBytes(15).toString('base64url')}`;
}

/** Names of the tests' users. */
const USER = 'wa';
const SECOND_USER = 'wa_clone';
const ROTATOR = 'rotator';

/** Two accounts of each user: what is done to one must be done to the other. */
const HOSTS = ['%', '10.0.0.%'];

export async function mysqlDatabase(strategy: Strategy, options: StartOptions = {}): Promise<TestDatabase> {
  const database = ofMysqlFamily(await startMysql({ generalLog: true, ...options }), 'mysql', strategy);
  const { user, rotator, query } = database;
  // Each account costs the time of its hashes, thousands of rounds each; shared/database/mysql/rotation.test.ts has several.
  const hosts = strategy.kind === 'dual-password' ? ['%'] : HOSTS;
  for (const host of hosts) await query('CREATE USER ?@? IDENTIFIED BY ?', [USER, host, user.password]);
  await query("CREATE USER rotator@'%' IDENTIFIED BY ?", [rotator.password]);
  await query("GRANT CREATE USER ON *.* TO rotator@'%'");
  await query(
    "GRANT SELECT (User, Host, plugin, authentication_string, account_locked, User_attributes) ON mysql.user TO rotator@'%'",
  );
  await letSeeLogins(query, ['accounts', 'events_errors_summary_by_account_by_error']);
  await query('CREATE DATABASE waweb');
  await query('CREATE TABLE waweb.messages (id BIGINT)');
  if (strategy.kind === 'alternating-users') await query("GRANT SELECT ON mysql.* TO rotator@'%'");
  await query('CREATE ROLE wa_rights');
  await query('GRANT ALL ON waweb.* TO wa_rights');
  for (const name of strategy.kind === 'alternating-users' ? [USER, SECOND_USER] : [USER]) {
    for (const host of hosts) {
      if (name === SECOND_USER) {
        await query('CREATE USER ?@? IDENTIFIED BY ? ACCOUNT LOCK', [name, host, anyPassword()]);
      }
      await query('GRANT wa_rights TO ?@?', [name, host]);
      await query('SET DEFAULT ROLE wa_rights TO ?@?', [name, host]);
    }
  }
  return database;
}

export async function mariadbDatabase(strategy: Strategy): Promise<TestDatabase> {
  const database = ofMysqlFamily(await startMariadb({ generalLog: true }), 'mariadb', strategy);
  const { user, rotator, query } = database;
  const native = 'IDENTIFIED VIA mysql_native_password USING ?';
  const userHash = nativePasswordHash(user.password);
  for (const host of HOSTS) await query(`CREATE USER ?@? ${native}`, [USER, host, userHash]);
  await query(`CREATE USER rotator@'%' ${native}`, [nativePasswordHash(rotator.password)]);
  await query("GRANT CREATE USER ON *.* TO rotator@'%'");
  await query("GRANT SELECT ON mysql.global_priv TO rotator@'%'");
  await letSeeLogins(query, []);
  await query('CREATE DATABASE waweb');
  await query('CREATE TABLE waweb.messages (id BIGINT)');
  if (strategy.kind === 'alternating-users') await query("GRANT SELECT ON mysql.* TO rotator@'%'");
  await query('CREATE ROLE wa_rights');
  await query('GRANT ALL ON waweb.* TO wa_rights');
  for (const name of strategy.kind === 'alternating-users' ? [USER, SECOND_USER] : [USER]) {
    for (const host of HOSTS) {
      if (name === SECOND_USER) {
        const hash = nativePasswordHash(anyPassword());
        await query(`CREATE USER ?@? ${native} ACCOUNT LOCK`, [name, host, hash]);
      }
      await query('GRANT wa_rights TO ?@?', [name, host]);
      await query('SET DEFAULT ROLE wa_rights FOR ?@?', [name, host]);
    }
  }
  return database;
}

/** As the documentation asks for proofs. */
async function letSeeLogins(query: TestDatabase['query'], tables: string[]): Promise<void> {
  await query("GRANT PROCESS ON *.* TO rotator@'%'");
  for (const table of tables) await query(`GRANT SELECT ON performance_schema.${table} TO rotator@'%'`);
}

function ofMysqlFamily(server: DatabaseServer, engine: Engine, strategy: Strategy): TestDatabase {
  const { host, port, certificateAuthority, logs, stop } = server;
  const connect = (login: Login, transport: LogInOptions['transport'] = 'tls', from?: string) =>
    createConnection({
      host,
      stream: () => {
        const socket = socketFrom(from);
        socket.connect(port, '127.0.0.1');
        return socket;
      },
      user: login.username,
      password: login.password,
      // The driver makes room for so many at once, and by default for thousands.
      maxPreparedStatements: 1,
      ...(transport === 'tls' && { ssl: { ca: certificateAuthority, verifyIdentity: true } }),
    });
  const administrator = connect({ username: server.user, password: server.password });
  // Its failure shows at the first query.
  administrator.catch(() => {});
  return {
    address: { engine, host, port, certificateAuthority },
    strategy,
    user: { username: USER, password: anyPassword() },
    rotator: { username: ROTATOR, password: anyPassword() },
    logIn: async (login, { transport, until, opened, from } = {}) => {
      const connection = await connect(login, transport, from);
      await connection.query('SELECT COUNT(*) FROM waweb.messages');
      opened?.();
      await until?.();
      await connection.end();
    },
    query: async (statement, values = []) => {
      const [rows] = await (await administrator).query(statement, values);
      return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
    },
    counts: async () => {
      // A refused login has a second line in the general log, and one in the error log.
      const text = await logs();
      return {
        connections: occurrences(text, /\bConnect\t(?!Access denied)/g),
        refused: occurrences(text, /\bConnect\tAccess denied/g),
        statements: occurrences(text, /\bQuery\t/g),
      };
    },
    logs,
    stop: async () => {
      (await administrator).destroy();
      await stop();
    },
  };
}

function occurrences(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

/** The last major version whose CREATEROLE reaches every role, where Debian and PostgreSQL's own packages put it. */
export const POSTGRES_15 = ['/usr/lib/postgresql/15/bin', '/usr/pgsql-15/bin'].find((folder) =>
  existsSync(folder),
);

/** Rounds that a login costs its client and the server. Tests log in thousands of times, and keep no secret. */
const ITERATIONS = 64;

interface PostgresDatabase extends TestDatabase {
  server: Postgres;
  tls: TlsCertificate;
}

/** @param options as of `startPostgres` */
export async function postgresDatabase(
  strategy: Strategy,
  options: Omit<PostgresOptions, 'tls'> = {},
): Promise<PostgresDatabase> {
  const tls = await serverCertificate();
  const settings = {
    log_statement: 'all',
    log_connections: 'on',
    ...(options.binaries === undefined && { scram_iterations: String(ITERATIONS) }),
    ...options.settings,
  };
  const server = await startPostgres({ ...options, tls, settings });
  const address: DatabaseAddress = {
    engine: 'postgres',
    host: 'localhost',
    port: server.port,
    database: server.database,
    certificateAuthority: tls.authority,
  };
  const connect = async (login: Login, transport: LogInOptions['transport'] = 'tls', from?: string) => {
    const { host, port, database } = address;
    const client = new pg.Client({
      host,
      port,
      stream: () => socketFrom(from),
      database,
      user: login.username,
      password: login.password,
      ssl: transport === 'tls' && { ca: tls.authority },
    });
    await client.connect();
    return client;
  };
  const superuser = { username: server.user, password: server.password };
  const administrator = await connect(superuser);
  const query: TestDatabase['query'] = async (statement, values) =>
    (await administrator.query(statement, values)).rows;
  const user = { username: USER, password: anyPassword() };
  const rotator = { username: ROTATOR, password: anyPassword() };
  const iterations = Number(settings.scram_iterations ?? ITERATIONS);
  const verifier = ({ password }: Login) => pg.escapeLiteral(scramVerifier(password, { iterations }));
  await query(`CREATE ROLE rotator LOGIN CREATEROLE PASSWORD ${verifier(rotator)}`);
  await query('GRANT pg_read_all_stats TO rotator');
  await query(`CREATE ROLE wa LOGIN PASSWORD ${verifier(user)}`);
  await query('CREATE SCHEMA wa AUTHORIZATION wa');
  if (strategy.kind === 'alternating-users') {
    await migrateToAlternatingUsers(address, superuser, { current: user, rotator: ROTATOR });
  } else {
    if (options.binaries === undefined) {
      await query('GRANT wa TO rotator WITH ADMIN TRUE, INHERIT FALSE, SET FALSE');
    }
  }
  return {
    server,
    tls,
    address,
    strategy,
    user,
    rotator,
    logIn: async (login, { transport, until, opened, from } = {}) => {
      const client = await connect(login, transport, from);
      await client.query('SELECT 1');
      opened?.();
      await until?.();
      await client.end();
    },
    query,
    counts: async () => ({
      connections: occurrences(server.logs(), /LOG: {2}connection received/g),
      refused: occurrences(server.logs(), /FATAL: .*(?:authentication failed|not permitted)/g),
      statements: occurrences(server.logs(), /LOG: {2}(?:statement|execute [^:]+):/g),
    }),
    logs: async () => server.logs(),
    stop: async () => {
      administrator.on('error', () => {});
      await administrator.end();
      await server.stop();
    },
  };
}
