import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, createConnection } from 'mysql2/promise';
import { MissingPrivilege, RotationRefused } from '../../../../functions/shared/database/errors.ts';
import type { Engine } from '../../../../functions/shared/database/secret.ts';
import { sizeReader, TableNotFound } from '../../../../functions/shared/database/size.ts';
import type { DatabaseServer, StartOptions } from '../../../../rehearsal/databases/mysql-family.ts';
import { ServerUnavailable } from '../../../../rehearsal/databases/server-program.ts';
import {
  assertScansShow,
  assertUnknown,
  assertWithin,
  DATABASE,
  MESSAGES,
  ROWS,
  reader,
  type SizedServer,
  sizeWithoutReading,
  underLock,
} from './size-checks.ts';

export interface InnodbServer {
  label: string;
  engine: Engine;
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

/** The same promises, on MySQL and on MariaDB. */
export function testInnodbSizes(engine: InnodbServer): void {
  const { label } = engine;
  test(`${label} tells the size of a table and counts it`, async (t) => {
    const server = await startSized(engine, t);
    if (!server) return;
    const { login } = server;
    const sizes = await reader(server);
    const rejectsWithGrant = (asked: Promise<unknown>, grant: string) =>
      assert.rejects(asked, (error) => {
        assert.ok(error instanceof MissingPrivilege, String(error));
        assert.ok(error.message.includes(grant), error.message);
        return true;
      });

    await t.test('within its error, just loaded and never analyzed', async () => {
      const { database, rows } = await sizeWithoutReading(server);
      assert.equal(database, DATABASE);
      assertWithin(rows, ROWS);
      await assertScansShow(server, ROWS);
    });

    await t.test('without waiting while another session holds its strongest lock', async () => {
      assertWithin((await underLock(server, () => sizeWithoutReading(server))).rows, ROWS);
    });

    await t.test('counting, only with a right to read, which the error names', async () => {
      await rejectsWithGrant(
        sizes.count(login, MESSAGES, 60_000),
        'GRANT SELECT (id) ON `wa1_messageStore`.`messages` TO size',
      );
      await server.run("GRANT SELECT (id) ON `wa1_messageStore`.messages TO size@'%'");
      assert.deepEqual(await sizes.count(login, MESSAGES, 60_000), { kind: 'counted', rows: ROWS });
    });

    await t.test('counting, no longer than the time limit', async () => {
      assert.deepEqual(await sizes.count(login, MESSAGES, 2), { kind: 'too-slow' });
    });

    await t.test('counting, not while another session holds its strongest lock', async () => {
      const count = await underLock(server, () => sizes.count(login, MESSAGES, 60_000));
      assert.deepEqual(count, { kind: 'locked' });
    });

    await t.test('within its error, just after nine in ten were deleted', async () => {
      await server.run('DELETE FROM messages WHERE id % 10 <> 0');
      assertWithin((await sizeWithoutReading(server)).rows, ROWS / 10);
    });

    await t.test('within its error, and bytes, once it is analyzed', async () => {
      await server.run('ANALYZE TABLE messages');
      const { rows, bytes } = await sizeWithoutReading(server);
      assertWithin(rows, ROWS / 10);
      assert.ok(bytes.kind === 'known' && bytes.from === 'statistics' && bytes.table > ROWS);
    });

    await t.test('as unknown, where its statistics are not kept up to date', async () => {
      await server.run('ALTER TABLE messages STATS_AUTO_RECALC = 0');
      assertUnknown((await sizeWithoutReading(server)).rows, /STATS_AUTO_RECALC is off/);
    });

    await t.test('of an empty table with an index', async () => {
      await server.run('CREATE TABLE media (id bigint PRIMARY KEY, hash varchar(64), KEY (hash))');
      const { rows, bytes } = await sizes.table(login, { table: 'media', databases: [DATABASE] });
      assertWithin(rows, 0);
      assert.deepEqual(bytes, { kind: 'known', table: 16_384, indexes: 16_384, from: 'statistics' });
    });

    await t.test('in the first of the databases that has it, of the very name', async () => {
      await server.run('CREATE DATABASE `wa1_contactStore`');
      await server.run('CREATE DATABASE `wa10contactStore`');
      await server.run('CREATE TABLE `wa10contactStore`.media (id int PRIMARY KEY)');
      await server.run("GRANT REFERENCES ON `wa1\\_contactStore`.* TO size@'%'");
      const search = { table: 'media', databases: ['wa1_contactStore', 'wa1_nowhere', DATABASE] };
      assert.equal((await sizes.table(login, search)).database, DATABASE);
      await assert.rejects(
        sizes.table(login, { table: 'media', databases: ['wa1_contactStore', 'wa1_nowhere'] }),
        (error) => {
          assert.ok(error instanceof TableNotFound);
          assert.match(
            error.message,
            /no table media in wa1_contactStore, and does not show size wa1_nowhere/,
          );
          return true;
        },
      );
    });

    await t.test('only of databases that it may see, or the error names the grant', async () => {
      for (const [database, escaped] of [
        ['wa10contactStore', 'wa10contactStore'],
        ['wa1_messagestore', 'wa1\\_messagestore'],
        ['wa1%', 'wa1\\%'],
      ] as const)
        await rejectsWithGrant(
          sizes.table(login, { table: 'media', databases: [database] }),
          `GRANT REFERENCES ON \`${escaped}\`.* TO size`,
        );
    });

    await t.test('and idle connections, only if it may see them', async () => {
      await rejectsWithGrant(
        sizes.idleConnections(login, [DATABASE], 0),
        `GRANT ${engine.idleGrant} TO size`,
      );
      await server.run(`GRANT ${engine.idleGrant} TO size@'%'`);
      const idle = await server.connect();
      // The server tells whole seconds.
      await delay(2100);
      // That one and the administrator's.
      assert.equal(await sizes.idleConnections(login, [DATABASE], 0), 2);
      assert.equal(await sizes.idleConnections(login, [DATABASE], 3600), 0);
      assert.equal(await sizes.idleConnections(login, ['wa1_contactStore'], 0), 0);
      await idle.end();
    });

    await t.test('unless the configured engine is another one', async () => {
      const other = engine.engine === 'mysql' ? 'mariadb' : 'mysql';
      const wrong = await sizeReader({ ...server.address, engine: other });
      await assert.rejects(wrong.table(login, MESSAGES), RotationRefused);
    });
  });
}

async function startSized(
  { engine, start, options, numbers, startCounting, rowsRead }: InnodbServer,
  t: TestContext,
): Promise<(SizedServer & { connect(): Promise<Connection> }) | undefined> {
  let server: DatabaseServer;
  try {
    server = await start({
      options: ['--innodb-buffer-pool-size=600M', '--innodb-doublewrite=0', ...options],
    });
  } catch (error) {
    if (!(error instanceof ServerUnavailable) || process.env.CI) throw error;
    t.skip(error.message);
    return undefined;
  }
  t.after(() => server.stop());
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
  t.after(() => admin.end());
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
  await run(`INSERT INTO messages ${numbers("n, concat('49', n), repeat('m', 20 + n % 50)", ROWS)}`);
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
    stop: server.stop,
  };
}
