import { randomBytes } from 'node:crypto';
import { type Connection, createConnection } from 'mysql2/promise';
import pg from 'pg';
import type { DatabaseAddress, Login } from '../../../../../functions/shared/database/contract/engine.ts';
import { startMariadb } from '../../../../../rehearsal/databases/mariadb.ts';
import { startMysql } from '../../../../../rehearsal/databases/mysql.ts';
import type { DatabaseServer, StartOptions } from '../../../../../rehearsal/databases/mysql-family.ts';
import { startPostgres } from '../../../../../rehearsal/databases/postgres.ts';
import { serverCertificate } from '../../../../../rehearsal/databases/tls-certificate.ts';

export const ROWS = 500_000;
export const DATABASE = 'wa1_messageStore';
export const MESSAGES = { table: 'messages', databases: [DATABASE] };

/** A real server with a database that has a table `messages`, and a login that may do no more than it must. */
export interface SizedServer {
  address: DatabaseAddress;
  login: Login;
  /** Runs a statement as the administrator. */
  run(statement: string): Promise<Record<string, unknown>[]>;
  /** How many rows of `messages` the server has read, for anybody, by its own counters. */
  rowsRead(): Promise<number>;
  /** Takes the strongest lock on `messages`, in a session of its own. Returns its release. */
  lock(): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

/** What differs between MySQL and MariaDB. */
export interface InnodbServer {
  label: string;
  engine: 'mysql' | 'mariadb';
  start(options: StartOptions): Promise<DatabaseServer>;
  options: string[];
  /** Selects columns for each whole number `n` from 1 on. */
  numbers(columns: string, count: number): string;
  /** Makes the server count the rows that are read of each table. */
  startCounting?: string;
  /** Rows read of `messages`, as `rowsRead`. */
  rowsRead: string;
  /** What shows others' connections, as the error names it, without `TO user`. */
  idleGrant: string;
}

export const MYSQL: InnodbServer = {
  label: 'MySQL',
  engine: 'mysql',
  start: startMysql,
  options: ['--innodb-redo-log-capacity=1G', '--cte-max-recursion-depth=10000000'],
  numbers: (columns, count) =>
    `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count}) SELECT ${columns} FROM numbers`,
  rowsRead:
    "SELECT sum(COUNT_READ) AS rowsRead FROM performance_schema.table_io_waits_summary_by_table WHERE OBJECT_SCHEMA = 'wa1_messageStore' AND OBJECT_NAME = 'messages'",
  idleGrant: 'SELECT (PROCESSLIST_COMMAND, PROCESSLIST_TIME, PROCESSLIST_DB) ON performance_schema.threads',
};

export const MARIADB: InnodbServer = {
  label: 'MariaDB',
  engine: 'mariadb',
  start: startMariadb,
  options: ['--innodb-log-file-size=512M'],
  numbers: (columns, count) => `SELECT ${columns} FROM (SELECT seq AS n FROM seq_1_to_${count}) numbers`,
  startCounting: 'SET GLOBAL userstat = ON',
  rowsRead:
    "SELECT sum(ROWS_READ) AS rowsRead FROM information_schema.TABLE_STATISTICS WHERE TABLE_SCHEMA = 'wa1_messageStore' AND TABLE_NAME = 'messages'",
  idleGrant: 'PROCESS ON *.*',
};

/** Of rows that are written at once: a transaction of MySQL's undoes them one by one if it fails, and MySQL counts no further at once. */
const BATCH = 5_000_000;

/**
 * @param rows of `messages`, whose text is left out where there are more than {@link ROWS}
 * @throws ServerUnavailable where this machine has no such server.
 */
export async function startSizedInnodb(
  { engine, start, options, numbers, startCounting, rowsRead }: InnodbServer,
  rows = ROWS,
): Promise<SizedServer & { connect(): Promise<Connection> }> {
  const server = await start({
    options: ['--innodb-buffer-pool-size=600M', '--innodb-doublewrite=0', ...options],
  });
  const connect = (database?: string) =>
    createConnection({
      host: server.host,
      port: server.port,
      user: server.user,
      password: server.password,
      ssl: { ca: server.certificateAuthority, verifyIdentity: true },
      ...(database && { database }),
    });
  const admin = await connect();
  const run = async (statement: string) => {
    const [rows] = await admin.query(statement);
    return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
  };
  const password = randomBytes(12).toString('hex');
  await run(`CREATE USER size@'%' IDENTIFIED BY '${password}'`);
  await run(`CREATE DATABASE \`${DATABASE}\``);
  await run("GRANT REFERENCES ON `wa1\\_messageStore`.* TO size@'%'");
  await run(`USE \`${DATABASE}\``);
  await run('CREATE TABLE messages (id bigint PRIMARY KEY, key_remote_jid varchar(64), body varchar(200))');
  const text = rows > ROWS ? 'NULL' : "repeat('m', 20 + n % 50)";
  for (let from = 0; from < rows; from += BATCH)
    await run(
      `INSERT INTO messages ${numbers(`n + ${from}, concat('49', n + ${from}), ${text}`, Math.min(BATCH, rows - from))}`,
    );
  if (startCounting) await run(startCounting);
  return {
    address: {
      engine,
      host: server.host,
      port: server.port,
      certificateAuthority: server.certificateAuthority,
    },
    login: { username: 'size', password },
    connect: () => connect(DATABASE),
    run,
    rowsRead: async () => Number((await run(rowsRead))[0]?.rowsRead ?? 0),
    async lock() {
      const holder = await connect(DATABASE);
      await holder.query('LOCK TABLES messages WRITE');
      return () => holder.end();
    },
    async stop() {
      await admin.end();
      await server.stop();
    },
  };
}

/** @param rows of `messages`, whose text is left out where there are more than {@link ROWS} */
export async function startSizedPostgres(
  rows = ROWS,
): Promise<SizedServer & { connection(database?: string): pg.ClientConfig }> {
  const tls = await serverCertificate();
  const server = await startPostgres({ tls, settings: { autovacuum: 'off' } });
  const connection = (database = DATABASE): pg.ClientConfig => ({
    host: server.host,
    port: server.port,
    user: server.user,
    password: server.password,
    database,
  });
  const password = randomBytes(12).toString('hex');
  const first = new pg.Client(connection(server.database));
  await first.connect();
  await first.query(`CREATE ROLE size LOGIN PASSWORD '${password}'`);
  await first.query(`CREATE DATABASE "${DATABASE}"`);
  await first.query(`CREATE DATABASE "${DATABASE}2"`);
  await first.end();
  const loader = new pg.Client(connection());
  await loader.connect();
  await loader.query(
    'CREATE UNLOGGED TABLE messages (id bigint PRIMARY KEY, key_remote_jid text, body text)',
  );
  await loader.query(
    `INSERT INTO messages SELECT n, '49' || n, ${rows > ROWS ? 'NULL' : "repeat('m', 20 + n % 50)"} FROM generate_series(1, ${rows}) n`,
  );
  // A session writes its counters at its end at the latest.
  await loader.end();
  const admin = new pg.Client(connection());
  await admin.connect();
  const run = async (statement: string) => {
    const { rows } = await admin.query(statement);
    await admin.query('SELECT pg_stat_force_next_flush()');
    await admin.query('SELECT 1');
    return rows;
  };
  const address: DatabaseAddress = {
    engine: 'postgres',
    host: 'localhost',
    port: server.port,
    certificateAuthority: tls.authority,
  };
  return {
    address,
    login: { username: 'size', password },
    connection,
    run,
    async rowsRead() {
      const [row] = await run(
        "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) AS read FROM pg_stat_user_tables WHERE relname = 'messages'",
      );
      return Number(row?.read);
    },
    async lock() {
      const holder = new pg.Client(connection());
      await holder.connect();
      await holder.query('BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE');
      return () => holder.end();
    },
    async stop() {
      await admin.end();
      await server.stop();
    },
  };
}
