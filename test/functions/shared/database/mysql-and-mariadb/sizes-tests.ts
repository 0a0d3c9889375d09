import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  MissingPrivilege,
  RotationRefused,
  TableNotFound,
} from '../../../../../functions/shared/database/contract/errors.ts';
import { sizeReader } from '../../../../../functions/shared/database/registry.ts';
import { ServerUnavailable } from '../../../../../rehearsal/databases/server-program.ts';
import {
  assertScansShow,
  assertUnknown,
  assertWithin,
  reader,
  sizeWithoutReading,
  underLock,
} from '../sizes/checks.ts';
import { DATABASE, type InnodbServer, MESSAGES, ROWS, startSizedInnodb } from '../sizes/servers.ts';

/** The same promises, on MySQL and on MariaDB. */
export function testInnodbSizes(engine: InnodbServer): void {
  const { label } = engine;
  test(`${label} tells the size of a table and counts it`, async (t) => {
    let server: Awaited<ReturnType<typeof startSizedInnodb>>;
    try {
      server = await startSizedInnodb(engine);
    } catch (error) {
      if (!(error instanceof ServerUnavailable) || process.env.CI) throw error;
      return t.skip(error.message);
    }
    t.after(() => server.stop());
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

    await t.test('the largest of all tables with its indexes, of the databases that it may see', async () => {
      await server.run('CREATE TABLE small (id bigint PRIMARY KEY)');
      const largest = await underLock(server, () => sizes.largestTable(login, ['wa1_nowhere', DATABASE]));
      assert.ok(largest.kind === 'known' && largest.table === 'messages' && largest.bytes > ROWS);
      assert.equal(largest.database, DATABASE);
      await rejectsWithGrant(
        sizes.largestTable(login, ['wa1_nowhere']),
        'GRANT REFERENCES ON `wa1\\_nowhere`.* TO size',
      );
    });

    await t.test('without waiting behind a change of the table that waits itself', async () => {
      const holder = await server.connect();
      await holder.query('LOCK TABLES messages READ');
      const changer = await server.connect();
      const changed = changer.query("ALTER TABLE messages COMMENT = 'changed'");
      const waits =
        "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table metadata lock'";
      while ((await server.run(waits)).length === 0) await delay(20);
      assertWithin((await sizeWithoutReading(server)).rows, ROWS / 10);
      await holder.end();
      await changed;
      await changer.end();
    });

    await t.test('as unknown, where its statistics are not kept up to date', async () => {
      await server.run('ALTER TABLE messages STATS_AUTO_RECALC = 0');
      assertUnknown((await sizeWithoutReading(server)).rows, /STATS_AUTO_RECALC is off/);
    });

    await t.test('within its error or as unknown, just after all rows were deleted', async () => {
      await server.run('ALTER TABLE messages STATS_AUTO_RECALC = 1');
      await server.run('DELETE FROM messages');
      const { rows } = await sizeWithoutReading(server);
      if (rows.kind === 'unknown') assert.match(rows.reason, /nearly all rows were deleted just now/);
      else assertWithin(rows, 0);
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
