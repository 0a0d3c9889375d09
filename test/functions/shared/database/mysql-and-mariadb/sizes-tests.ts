// In one file though long: all of it is asked of one server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  MissingPrivilege,
  RotationRefused,
  TableNotFound,
} from '../../../../../functions/shared/database/contract/errors.ts';
import type { RowEstimate } from '../../../../../functions/shared/database/contract/sizes.ts';
import { sizeReader } from '../../../../../functions/shared/database/registry.ts';
import { ServerUnavailable } from '../../../../../rehearsal/databases/server-program.ts';
import {
  assertScansShow,
  assertUnknown,
  assertWithin,
  grantsAndAnswers,
  reader,
  sizeWithoutReading,
  underLock,
} from '../sizes/checks.ts';
import { DATABASE, type InnodbServer, MESSAGES, ROWS, startSizedInnodb } from '../sizes/servers.ts';
import { LAST_SAMPLE, SAMPLED_PAGES, testRolledBack } from './rolled-back-tests.ts';

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
        'GRANT SELECT (`id`) ON `wa1_messageStore`.`messages` TO size',
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

    await t.test('within its error, and bytes, once it is analyzed', async () => {
      await server.run('ANALYZE TABLE messages');
      const { rows, bytes } = await sizeWithoutReading(server);
      assertWithin(rows, ROWS);
      assert.ok(bytes.kind === 'known' && bytes.from === 'statistics' && bytes.table > ROWS);
    });

    await t.test('not the largest of all tables, without a right to see what files take', async () => {
      const largest = await sizes.largestTable(login, [DATABASE]);
      assert.ok(largest.kind === 'unknown' && largest.reason.includes('GRANT PROCESS ON *.* TO size'));
    });

    await t.test('without waiting behind a change of the table that waits itself', async () => {
      const holder = await server.connect();
      await holder.query('LOCK TABLES messages READ');
      const changer = await server.connect();
      const changed = changer.query("ALTER TABLE messages COMMENT = 'changed'");
      const waits =
        "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table metadata lock'";
      while ((await server.run(waits)).length === 0) await delay(20);
      assertWithin((await sizeWithoutReading(server)).rows, ROWS);
      await holder.end();
      await changed;
      await changer.end();
    });

    await t.test(
      'as unknown, rows and bytes, where its statistics are not kept, or of few pages',
      async () => {
        for (const [option, usual, reason] of [
          ['STATS_AUTO_RECALC = 0', 'STATS_AUTO_RECALC = DEFAULT', /STATS_AUTO_RECALC is off/],
          ['STATS_PERSISTENT = 0', 'STATS_PERSISTENT = DEFAULT', /STATS_PERSISTENT is off/],
          ['STATS_SAMPLE_PAGES = 2', 'STATS_SAMPLE_PAGES = DEFAULT', /of 2 pages only/],
        ] as const) {
          await server.run(`ALTER TABLE messages ${option}`);
          const { rows, bytes } = await sizeWithoutReading(server);
          assertUnknown(rows, reason);
          assert.ok(bytes.kind === 'unknown' && reason.test(bytes.reason));
          await server.run(`ALTER TABLE messages ${usual}`);
        }
      },
    );

    await t.test('of an empty table with an index', async () => {
      await server.run('CREATE TABLE media (id bigint PRIMARY KEY, hash varchar(64), KEY (hash))');
      const { rows, bytes } = await sizes.table(login, { table: 'media', databases: [DATABASE] });
      assertWithin(rows, 0);
      assert.deepEqual(bytes, { kind: 'known', table: 16_384, indexes: 16_384, from: 'statistics' });
      await server.run('CREATE TABLE parted (id bigint PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 5');
      assertWithin((await sizes.table(login, { table: 'parted', databases: [DATABASE] })).rows, 0);
      await server.run('DROP TABLE parted');
    });

    await t.test(
      'the largest of its name, of the databases that it may see; another is unknown by name',
      async () => {
        await server.run('CREATE DATABASE `wa1_contactStore`');
        await server.run('CREATE DATABASE `wa10contactStore`');
        await server.run('CREATE TABLE `wa10contactStore`.media (id int PRIMARY KEY)');
        await server.run("GRANT REFERENCES ON `wa1\\_contactStore`.* TO size@'%'");
        const search = (...databases: string[]) => ({ table: 'media', databases });
        assert.equal((await sizes.table(login, search('wa1_contactStore', DATABASE))).database, DATABASE);
        const hidden = await sizes.table(login, search('wa1_nowhere', DATABASE));
        assertUnknown(
          hidden.rows,
          /does not show size wa1_nowhere, where a larger table .*GRANT REFERENCES ON `wa1\\_nowhere`/,
        );
        await rejectsWithGrant(
          sizes.count(login, search('wa1_nowhere', DATABASE), 1000),
          'GRANT REFERENCES ON `wa1\\_nowhere`.* TO size',
        );
        await server.run('CREATE TABLE `wa1_contactStore`.media LIKE media');
        await server.run(`INSERT INTO \`wa1_contactStore\`.media ${engine.numbers('n, n', 20_000)}`);
        await server.run('ANALYZE TABLE `wa1_contactStore`.media');
        const { database, others, rows } = await sizes.table(login, search(DATABASE, 'wa1_contactStore'));
        assert.deepEqual([database, others], ['wa1_contactStore', [DATABASE]]);
        assertWithin(rows, 20_000);
        await assert.rejects(
          sizes.table(login, { table: 'nothing', databases: ['wa1_contactStore', 'wa1_nowhere'] }),
          (error) => {
            assert.ok(error instanceof TableNotFound);
            assert.match(
              error.message,
              /no table nothing in wa1_contactStore, and does not show size wa1_nowhere/,
            );
            return true;
          },
        );
        // Where it has a right, what is not shown is not there.
        await server.run("GRANT REFERENCES ON `wa1\\_no%`.* TO size@'%'");
        assertWithin((await sizes.table(login, search('wa1_nowhere', 'wa1_contactStore'))).rows, 20_000);
        await server.run("REVOKE REFERENCES ON `wa1\\_no%`.* FROM size@'%'");
      },
    );

    await t.test(
      'as unknown, where it may see a database and not its tables, which may have a larger one',
      async () => {
        const search = { table: 'media', databases: [DATABASE, 'wa10contactStore'] };
        for (const [grant, revoke] of [
          [
            "GRANT EXECUTE ON wa10contactStore.* TO size@'%'",
            "REVOKE EXECUTE ON wa10contactStore.* FROM size@'%'",
          ],
          ["GRANT RELOAD ON *.* TO size@'%'", "REVOKE RELOAD ON *.* FROM size@'%'"],
          // The more exact line holds alone.
          [
            "GRANT EXECUTE ON wa10contactStore.* TO size@'%'; GRANT REFERENCES ON `wa10%`.* TO size@'%'",
            "REVOKE EXECUTE ON wa10contactStore.* FROM size@'%'; REVOKE REFERENCES ON `wa10%`.* FROM size@'%'",
          ],
        ] as const) {
          for (const statement of grant.split('; ')) await server.run(statement);
          const told = await sizes.table(login, search);
          assertUnknown(told.rows, /does not show size wa10contactStore, where a larger table/);
          await assert.rejects(sizes.count(login, search, 1000), MissingPrivilege);
          for (const statement of revoke.split('; ')) await server.run(statement);
        }
        if (engine.engine === 'mysql') {
          await server.run('SET GLOBAL partial_revokes = ON');
          await server.run("GRANT SELECT ON *.* TO size@'%'");
          await server.run("REVOKE SELECT ON wa10contactStore.* FROM size@'%'");
          assertUnknown((await sizes.table(login, search)).rows, /does not show size wa10contactStore/);
          await server.run("REVOKE SELECT ON *.* FROM size@'%'");
          await server.run('SET GLOBAL partial_revokes = OFF');
        }
        // Of a table on which it has a right itself it is told.
        await server.run("GRANT SELECT (id) ON wa10contactStore.media TO size@'%'");
        assertWithin((await sizes.table(login, search)).rows, 0);
        await server.run("REVOKE SELECT (id) ON wa10contactStore.media FROM size@'%'");
      },
    );

    await t.test(
      'the larger of two by their rows, where the server has sampled neither; unknown, where it keeps none of one',
      async () => {
        await server.run('CREATE DATABASE wa1_late');
        await server.run("GRANT REFERENCES ON `wa1\\_late`.* TO size@'%'");
        await server.run('CREATE TABLE late (id bigint PRIMARY KEY)');
        await server.run('CREATE TABLE wa1_late.late (id bigint PRIMARY KEY)');
        await server.run(`INSERT INTO wa1_late.late ${engine.numbers('n', 9_000)}`);
        const search = { table: 'late', databases: [DATABASE, 'wa1_late'] };
        const told = await sizes.table(login, search);
        assert.equal(told.database, 'wa1_late', JSON.stringify(told));
        await server.run('INSERT INTO late VALUES (1)');
        await server.run('ANALYZE TABLE late');
        await server.run('ALTER TABLE wa1_late.late STATS_AUTO_RECALC = 0');
        await server.run('DELETE FROM mysql.innodb_table_stats WHERE database_name = "wa1_late"');
        assertUnknown((await sizes.table(login, search)).rows, /STATS_AUTO_RECALC is off/);
        await server.run('DROP DATABASE wa1_late');
        await server.run("REVOKE REFERENCES ON `wa1\\_late`.* FROM size@'%'");
      },
    );

    await t.test('of two the one that has more rows, which need not have the larger file', async () => {
      await server.run('CREATE TABLE twofold (id bigint PRIMARY KEY, body longtext)');
      await server.run('CREATE TABLE `wa1_contactStore`.twofold (id bigint PRIMARY KEY)');
      await server.run(`INSERT INTO twofold ${engine.numbers("n, repeat('m', 6000)", 1500)}`);
      await server.run(`INSERT INTO \`wa1_contactStore\`.twofold ${engine.numbers('n', 20_000)}`);
      for (const database of [DATABASE, 'wa1_contactStore']) {
        await server.run(`ANALYZE TABLE \`${database}\`.twofold`);
        await server.run(`GRANT SELECT (id) ON \`${database}\`.twofold TO size@'%'`);
      }
      const search = { table: 'twofold', databases: [DATABASE, 'wa1_contactStore'] };
      const { rows, database, others } = await sizes.table(login, search);
      assertWithin(rows, 20_000);
      assert.deepEqual([database, others], ['wa1_contactStore', [DATABASE]]);
      assert.deepEqual(await sizes.count(login, search, 60_000), { kind: 'counted', rows: 20_000 });
      for (const database of [DATABASE, 'wa1_contactStore'])
        await server.run(`DROP TABLE \`${database}\`.twofold`);
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

    await t.test('by its files, with a right to see them, whatever the statistics say', async () => {
      await server.run("GRANT PROCESS ON *.* TO size@'%'");
      const small = await sizes.table(login, { table: 'media', databases: ['wa1_contactStore'] });
      assert.ok(
        small.bytes.kind === 'known' && small.bytes.from === 'files' && small.bytes.table > 20_000 * 10,
      );
      // A table that the server does not look at again, with a full-text index, which has files of its own.
      await server.run(
        'CREATE TABLE texts (id bigint PRIMARY KEY, body varchar(3000), word varchar(20), FULLTEXT (word)) STATS_AUTO_RECALC = 0',
      );
      await server.run(
        `INSERT INTO texts ${engine.numbers("n, repeat('m', 500), concat('word', n)", 20_000)}`,
      );
      const texts = await sizes.table(login, { table: 'texts', databases: [DATABASE] });
      assert.ok(texts.bytes.kind === 'known' && texts.bytes.table + texts.bytes.indexes > 20_000 * 500);
      assertUnknown(texts.rows, /STATS_AUTO_RECALC is off/);
      // A column without an index that grows: MariaDB does not count that as a change.
      await server.run("UPDATE texts SET body = repeat('u', 1500)");
      const grown = await sizes.table(login, { table: 'texts', databases: [DATABASE] });
      assert.ok(grown.bytes.kind === 'known' && grown.bytes.table + grown.bytes.indexes > 20_000 * 1500);
      const largest = await sizes.largestTable(login, [DATABASE, 'wa1_contactStore']);
      assert.equal(largest.kind, 'known');
      // Also a table that is not shown.
      await server.run('CREATE DATABASE `wa1_hidden`');
      await server.run('CREATE TABLE `wa1_hidden`.secret (id bigint PRIMARY KEY, body longtext)');
      await server.run(`INSERT INTO \`wa1_hidden\`.secret ${engine.numbers("n, repeat('m', 4000)", 500)}`);
      const hidden = await sizes.largestTable(login, ['wa1_hidden', 'wa1_contactStore']);
      assert.ok(hidden.kind === 'known' && hidden.table === 'secret' && hidden.bytes > 500 * 4000);
      await server.run('DROP TABLE texts');
      // A name that a folder cannot have as it is.
      await server.run('CREATE DATABASE `wa-1.store`');
      await server.run('CREATE TABLE `wa-1.store`.`sent-messages` (id bigint PRIMARY KEY, body longtext)');
      await server.run(
        `INSERT INTO \`wa-1.store\`.\`sent-messages\` ${engine.numbers("n, repeat('m', 4000)", 500)}`,
      );
      const odd = await sizes.largestTable(login, ['wa-1.store']);
      assert.ok(odd.kind === 'known' && odd.table === 'sent-messages', JSON.stringify(odd));
      assert.ok(odd.bytes > 500 * 4000);
      // What is no table, and what has no file of InnoDB's.
      await server.run("GRANT REFERENCES ON `wa-1.store`.* TO size@'%'");
      await server.run('CREATE VIEW `wa-1.store`.seen AS SELECT 1 AS id');
      await assert.rejects(
        sizes.table(login, { table: 'seen', databases: ['wa-1.store'] }),
        /no table seen in wa-1\.store, but a view in wa-1\.store, of which no size is told/,
      );
      await server.run('CREATE TABLE `wa-1.store`.old (id bigint) ENGINE = MyISAM');
      const old = await sizes.table(login, { table: 'old', databases: ['wa-1.store'] });
      assert.match(
        old.bytes.kind === 'unknown' ? old.bytes.reason : '',
        /tells of no file of it .* engine MyISAM/,
      );
      await server.run('DROP DATABASE `wa-1.store`');
    });

    await testRolledBack(t, engine, { server, sizes });

    await t.test(
      'within its error, just after rows were deleted, with a right to see the last sample; or once it is sampled anew',
      async () => {
        const search = { table: 'purged', databases: [DATABASE] };
        const rowsNow = async () => (await sizes.table(login, search)).rows;
        for (const [left, where] of [
          [20_000, 'id % 10 <> 0'],
          [200, 'id % 1000 <> 0'],
          [0, 'id > 0'],
        ] as const) {
          await server.run('TRUNCATE TABLE purged');
          await server.run(`INSERT INTO purged ${engine.numbers("n, repeat('m', 100)", 200_000)}`);
          // The server samples no table twice within ten seconds: what follows is subtracted from this one.
          await server.run('ANALYZE TABLE purged');
          await server.run(`GRANT ${LAST_SAMPLE} TO size@'%'`);
          const before = await rowsNow();
          assertWithin(before, 200_000);
          await server.run(`DELETE FROM purged WHERE ${where}`);
          const justAfter = await rowsNow();
          assertWithinOrNearlyEmpty(justAfter, left);
          if (justAfter.kind === 'estimate' && before.kind === 'estimate')
            assert.ok(justAfter.atLeast === 0 && justAfter.atMost < before.atMost, JSON.stringify(justAfter));
          await server.run(`REVOKE ${LAST_SAMPLE} FROM size@'%'`);
          await server.run('ANALYZE TABLE purged');
          assertWithinOrNearlyEmpty(await rowsNow(), left);
        }
      },
    );

    await t.test(
      'as unknown, where the last sample was made of few pages, with a right to see that',
      async () => {
        const search = { table: 'sampled', databases: [DATABASE] };
        await server.run('CREATE TABLE sampled LIKE purged');
        await server.run(`INSERT INTO sampled ${engine.numbers("n, repeat('m', 100)", 20_000)}`);
        await server.run('SET GLOBAL innodb_stats_persistent_sample_pages = 2');
        await server.run('ANALYZE TABLE sampled');
        await server.run('SET GLOBAL innodb_stats_persistent_sample_pages = DEFAULT');
        await server.run(`GRANT ${LAST_SAMPLE} TO size@'%'`);
        await server.run(`GRANT ${SAMPLED_PAGES} TO size@'%'`);
        assertUnknown((await sizes.table(login, search)).rows, /last sample is of \d pages only/);
        await server.run('ANALYZE TABLE sampled');
        assertWithin((await sizes.table(login, search)).rows, 20_000);
        // All of a small table's pages are enough.
        await server.run('TRUNCATE TABLE sampled');
        await server.run(`INSERT INTO sampled ${engine.numbers("n, 'm'", 100)}`);
        await server.run('ANALYZE TABLE sampled');
        assertWithin((await sizes.table(login, search)).rows, 100);
        await server.run(`REVOKE ${LAST_SAMPLE} FROM size@'%'`);
        await server.run(`REVOKE ${SAMPLED_PAGES} FROM size@'%'`);
      },
    );

    await t.test(
      'as a range, where the last sample has far fewer rows than an index has entries, with a right to see both',
      async () => {
        const search = { table: 'sampled', databases: [DATABASE] };
        await server.run('ALTER TABLE sampled ADD KEY (body)');
        await server.run('TRUNCATE TABLE sampled');
        await server.run(`INSERT INTO sampled ${engine.numbers("n, concat('m', n)", 20_000)}`);
        await server.run('ANALYZE TABLE sampled');
        // As a sample of some pages says where these have very long rows, and others nearly all that there are.
        const ofIt = "database_name = 'wa1_messageStore' AND table_name = 'sampled'";
        await server.run(`UPDATE mysql.innodb_table_stats SET n_rows = 800 WHERE ${ofIt}`);
        await server.run(
          `UPDATE mysql.innodb_index_stats SET stat_value = 800 WHERE ${ofIt} AND index_name = 'PRIMARY' AND stat_name LIKE 'n_diff%'`,
        );
        // Still as it was sampled: what is added up must not be of two samples.
        for (const grant of [LAST_SAMPLE, SAMPLED_PAGES]) await server.run(`GRANT ${grant} TO size@'%'`);
        assertWithin((await sizes.table(login, search)).rows, 20_000);
        await server.run('RENAME TABLE sampled TO resampled');
        const { rows } = await sizes.table(login, { ...search, table: 'resampled' });
        assertWithin(rows, 20_000);
        assertWithin(rows, 800);
        assert.ok(rows.kind === 'estimate' && rows.rows > 15_000, JSON.stringify(rows));
        await server.run('RENAME TABLE resampled TO sampled');
        for (const grant of [LAST_SAMPLE, SAMPLED_PAGES]) await server.run(`REVOKE ${grant} FROM size@'%'`);
      },
    );

    await t.test(
      'as a range, where the server has fallen back to a sample of before, by the files',
      async () => {
        await server.run("GRANT PROCESS ON *.* TO size@'%'");
        await server.run('CREATE TABLE filled (id bigint PRIMARY KEY, body varchar(200))');
        await server.run(`INSERT INTO filled ${engine.numbers("n, repeat('m', 100)", 60_000)}`);
        await server.run('RENAME TABLE filled TO refilled');
        assertWithin((await sizes.table(login, { table: 'refilled', databases: [DATABASE] })).rows, 60_000);
        await server.run('DROP TABLE refilled');
      },
    );

    await t.test('bytes as unknown, where a part of it lies in a tablespace that is shared', async () => {
      await server.run('SET GLOBAL innodb_file_per_table = OFF');
      await server.run(
        'CREATE TABLE split (id bigint PRIMARY KEY, body varchar(200)) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (20000))',
      );
      await server.run('SET GLOBAL innodb_file_per_table = ON');
      await server.run('ALTER TABLE split ADD PARTITION (PARTITION b VALUES LESS THAN MAXVALUE)');
      await server.run(`INSERT INTO split ${engine.numbers("n, repeat('m', 100)", 21_000)}`);
      const { rows, bytes } = await sizes.table(login, { table: 'split', databases: [DATABASE] });
      assertWithin(rows, 21_000);
      assert.ok(bytes.kind === 'unknown' || bytes.from === 'statistics', JSON.stringify(bytes));
      const largest = await sizes.largestTable(login, [DATABASE]);
      assert.match(
        largest.kind === 'unknown' ? largest.reason : '',
        /what split in .*a tablespace that it shares/,
      );
      await server.run('DROP TABLE split');
      await server.run("REVOKE PROCESS ON *.* FROM size@'%'");
    });

    await t.test('whatever the server sets for a session at its login', async () => {
      await server.run('CREATE DATABASE wa1_other');
      await server.run("GRANT REFERENCES ON `wa1\\_other`.* TO size@'%'");
      await server.run('CREATE TABLE wa1_other.messages (id bigint)');
      const search = { table: 'messages', databases: ['wa1_other', DATABASE] };
      for (const setting of [
        'SET NAMES binary',
        'SET sql_select_limit = 1',
        'SET sql_big_selects = 0, max_join_size = 1',
      ]) {
        await server.run(`SET GLOBAL init_connect = '${setting}'`);
        const { rows, database, others } = await sizes.table(login, search);
        assertWithin(rows, ROWS);
        assert.deepEqual([database, others], [DATABASE, ['wa1_other']], setting);
      }
      await server.run("SET GLOBAL init_connect = ''");
      await server.run('DROP DATABASE wa1_other');
    });

    await t.test('counting, what is committed, also where sessions see more by default', async () => {
      await server.run('SET GLOBAL TRANSACTION ISOLATION LEVEL READ UNCOMMITTED');
      const purge = await server.connect();
      await purge.query('START TRANSACTION');
      await purge.query('DELETE FROM messages WHERE id > 490000');
      assert.deepEqual(await sizes.count(login, MESSAGES, 60_000), { kind: 'counted', rows: ROWS });
      await purge.query('ROLLBACK');
      await purge.end();
      await server.run('SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    });

    await t.test('counting, until somebody ends it, which is not taken for the time limit', async () => {
      // It waits for the lock, for a second, and is found in that.
      const release = await server.lock();
      const counted = sizes.count(login, MESSAGES, 60_000);
      for (let isKilled = false; !isKilled; await delay(10))
        for (const { id } of await server.run(
          "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = 'size' AND INFO LIKE '%COUNT(*) AS count FROM `wa1%'",
        )) {
          await server.run(`KILL QUERY ${id}`);
          isKilled = true;
        }
      assert.deepEqual(await counted, { kind: 'cancelled' });
      await release();
    });

    await t.test(
      'as unknown, rows and bytes, where its data is gone, with and without a right to see files',
      async () => {
        const search = { table: 'discarded', databases: [DATABASE] };
        await server.run('CREATE TABLE discarded (id bigint PRIMARY KEY, body varchar(200))');
        await server.run(`INSERT INTO discarded ${engine.numbers("n, repeat('m', 100)", 20_000)}`);
        await server.run('ANALYZE TABLE discarded');
        await server.run('ALTER TABLE discarded DISCARD TABLESPACE');
        for (const statement of [
          'SET GLOBAL max_error_count = 0',
          "GRANT PROCESS ON *.* TO size@'%'",
          'SET GLOBAL max_error_count = DEFAULT',
          "REVOKE PROCESS ON *.* FROM size@'%'",
        ]) {
          await server.run(statement);
          const { rows, bytes } = await sizes.table(login, search);
          assertUnknown(rows, /tablespace was discarded, or the file is missing/);
          assert.ok(bytes.kind === 'unknown' && /tablespace was discarded/.test(bytes.reason));
        }
        await server.run("GRANT SELECT (id) ON `wa1_messageStore`.discarded TO size@'%'");
        await assert.rejects(sizes.count(login, search, 1000), /cannot be counted: its data is not there/);
        await server.run('DROP TABLE discarded');
      },
    );

    if (engine.engine === 'mariadb')
      await t.test(
        'as unknown, where it keeps the history of the rows; a sequence is called one',
        async () => {
          await server.run('CREATE TABLE versioned (id bigint PRIMARY KEY, body int) WITH SYSTEM VERSIONING');
          await server.run(`INSERT INTO versioned ${engine.numbers('n, n', 1000)}`);
          await server.run('UPDATE versioned SET body = 0');
          assertUnknown(
            (await sizes.table(login, { table: 'versioned', databases: [DATABASE] })).rows,
            /keeps their history/,
          );
          await server.run('CREATE SEQUENCE numbers');
          await assert.rejects(
            sizes.table(login, { table: 'numbers', databases: [DATABASE] }),
            /but a sequence in wa1_messageStore, of which no size is told/,
          );
        },
      );

    await t.test(
      'and each right that lacks is named as it is granted; what none is told of keeps the range true',
      async () => {
        // An account of one host's, as they are made for a network.
        const [{ host } = {}] = await server.run("SELECT SUBSTRING_INDEX(USER(), '@', -1) AS host");
        const own = `narrow@'${host}'`;
        const narrow = { username: 'narrow', password: login.password };
        await server.run(`CREATE USER ${own} IDENTIFIED BY '${login.password}'`);
        await server.run('CREATE DATABASE `wa%1_granted`');
        await server.run('CREATE TABLE `wa%1_granted`.granted (`_id` bigint PRIMARY KEY, body varchar(9))');
        await server.run(`INSERT INTO \`wa%1_granted\`.granted ${engine.numbers("n, 'm'", 3000)}`);
        await server.run('ANALYZE TABLE `wa%1_granted`.granted');
        const needed = [
          'REFERENCES ON `wa\\%1\\_granted`.*',
          'SELECT (`_id`) ON `wa%1_granted`.`granted`',
          'PROCESS ON *.*',
          ...(engine.engine === 'mysql' ? [engine.idleGrant] : []),
        ];
        const further = [LAST_SAMPLE, SAMPLED_PAGES];
        for (const grant of [...needed, ...further]) await server.run(`GRANT ${grant} TO ${own}`);
        const search = { table: 'granted', databases: ['wa%1_granted'] };
        const ask = async () =>
          grantsAndAnswers([
            sizes.table(narrow, search),
            sizes.count(narrow, search, 60_000),
            sizes.largestTable(narrow, search.databases),
            sizes.idleConnections(narrow, search.databases, 3600),
          ]);
        const whole = await ask();
        assert.deepEqual(whole.grants, []);
        for (const lacks of [...needed.map((grant) => [grant]), needed.slice(0, 2), needed]) {
          for (const grant of lacks) await server.run(`REVOKE ${grant} FROM ${own}`);
          const named = new Set<string>();
          for (;;) {
            const told = await ask();
            const grants = told.grants.filter((grant) => !named.has(grant));
            if (grants.length === 0) {
              assert.deepEqual(told, whole, lacks.join());
              break;
            }
            for (const grant of grants) {
              await server.run(grant);
              named.add(grant);
            }
          }
          // Where a table is shown by the right to count it, no other is needed; nor, with PROCESS, one to see threads.
          const unneeded = lacks.length === 1 && [needed[0], needed[3]].includes(lacks[0]);
          assert.deepEqual(
            [...named].toSorted(),
            unneeded ? [] : lacks.map((grant) => `GRANT ${grant} TO ${own}`).toSorted(),
          );
          for (const grant of needed) await server.run(`GRANT ${grant} TO ${own}`);
        }
        for (const grant of further) {
          await server.run(`REVOKE ${grant} FROM ${own}`);
          assert.deepEqual((await ask()).grants, []);
          assertWithin((await sizes.table(narrow, search)).rows, 3000);
          await server.run(`GRANT ${grant} TO ${own}`);
        }
        await server.run(`DROP USER ${own}`);
        await server.run('DROP DATABASE `wa%1_granted`');
      },
    );

    await t.test('unless the configured engine is another one', async () => {
      const other = engine.engine === 'mysql' ? 'mariadb' : 'mysql';
      const wrong = await sizeReader({ ...server.address, engine: other });
      await assert.rejects(wrong.table(login, MESSAGES), RotationRefused);
    });
  });
}

function assertWithinOrNearlyEmpty(rows: RowEstimate, truth: number): void {
  if (rows.kind === 'unknown')
    assert.match(
      rows.reason,
      /nearly all were deleted just now .*, or such a delete is open or was rolled back/,
    );
  else assertWithin(rows, truth);
}
