// In one file though long: all of it is asked of one or two servers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import {
  MissingPrivilege,
  NotKnown,
  TableNotFound,
} from '../../../../../functions/shared/database/contract/errors.ts';
import {
  assertScansShow,
  assertUnknown,
  assertWithin,
  grantsAndAnswers,
  reader,
  sizeWithoutReading,
  underLock,
} from '../sizes/checks.ts';
import { DATABASE, MESSAGES, ROWS, startSizedPostgres } from '../sizes/servers.ts';

test('PostgreSQL tells the size of a table', async (t) => {
  const server = await startSizedPostgres();
  t.after(() => server.stop());
  const sizes = await reader(server);

  await t.test('within its error, just loaded and never analyzed', async () => {
    const { database, rows, bytes } = await sizeWithoutReading(server);
    assert.equal(database, DATABASE);
    assertWithin(rows, ROWS);
    assert.ok(bytes.kind === 'known' && bytes.from === 'files' && bytes.table > ROWS * 50);
    await assertScansShow(server, ROWS);
  });

  await t.test('as unknown, never analyzed, while another session holds its strongest lock', async () => {
    const { rows, bytes } = await underLock(server, () => sizeWithoutReading(server));
    // The counters alone do not show whether they are complete.
    assertUnknown(rows, /never analyzed, and somebody holds a lock/);
    assert.equal(bytes.kind, 'unknown');
  });

  await t.test('within its error, just after nine in ten were deleted', async () => {
    await server.run('DELETE FROM messages WHERE id % 10 <> 0');
    assertWithin((await sizeWithoutReading(server)).rows, ROWS / 10);
  });

  await t.test('as unknown, never analyzed, when its counters are lost', async () => {
    await server.run("SELECT pg_stat_reset_single_table_counters('messages'::regclass)");
    assertUnknown((await sizeWithoutReading(server)).rows, /never analyzed, and the server's counters/);
  });

  await t.test('within its error, analyzed, also under the strongest lock', async () => {
    await server.run('ANALYZE messages');
    assertWithin((await sizeWithoutReading(server)).rows, ROWS / 10);
    const { rows, bytes } = await underLock(server, () => sizeWithoutReading(server));
    assertWithin(rows, ROWS / 10);
    assert.ok(bytes.kind === 'known' && bytes.from === 'statistics' && bytes.table > ROWS);
  });

  await t.test('within its error, when the counters were lost since it was analyzed', async () => {
    await server.run("SELECT pg_stat_reset_single_table_counters('messages'::regclass)");
    await server.run('DELETE FROM messages WHERE id % 100 <> 0');
    const { rows } = await sizeWithoutReading(server);
    assertWithin(rows, ROWS / 100);
    assert.ok(rows.kind === 'estimate' && rows.atLeast === 0);
  });

  await t.test(
    'the largest of all tables with its indexes, or as unknown under the strongest lock',
    async () => {
      await server.run('CREATE TABLE small (id bigint PRIMARY KEY)');
      const largest = await sizes.largestTable(server.login, ['wa1_nowhere', DATABASE]);
      assert.ok(largest.kind === 'known' && largest.table === 'messages' && largest.bytes > ROWS);
      assert.equal(largest.database, DATABASE);
      const locked = await underLock(server, () => sizes.largestTable(server.login, [DATABASE]));
      assert.ok(locked.kind === 'unknown' && /holds a lock/.test(locked.reason));
      const none = await sizes.largestTable(server.login, ['wa1_nowhere']);
      assert.deepEqual(none, { kind: 'unknown', reason: 'there is no table in wa1_nowhere' });
    },
  );

  await t.test('with all that inherits from it, and of a table in parts', async () => {
    await server.run('CREATE TABLE parent (id bigint)');
    await server.run('CREATE TABLE child () INHERITS (parent)');
    await server.run('INSERT INTO child SELECT generate_series(1, 30000)');
    await server.run('CREATE TABLE parted (id bigint) PARTITION BY RANGE (id)');
    for (const [part, from, to] of [
      ['a', 0, 20_000],
      ['b', 20_000, 40_000],
    ])
      await server.run(
        `CREATE TABLE parted_${part} PARTITION OF parted FOR VALUES FROM (${from}) TO (${to})`,
      );
    await server.run('INSERT INTO parted SELECT generate_series(0, 39999)');
    await server.run('ANALYZE');
    for (const [table, rows] of [
      ['parent', 30_000],
      ['parted', 40_000],
    ] as const) {
      const size = await sizes.table(server.login, { table, databases: [DATABASE] });
      assertWithin(size.rows, rows);
      assert.ok(size.rows.kind === 'estimate' && size.rows.rows > 0);
      assert.ok(size.bytes.kind === 'known' && size.bytes.table > rows * 20);
    }
  });

  await t.test('the largest of its name, whichever schema that is in; a view is called a view', async () => {
    await server.run('CREATE SCHEMA client');
    await server.run('CREATE TABLE client.queue AS SELECT generate_series(1, 50000) AS id');
    await server.run('CREATE TABLE public.queue (id bigint)');
    await server.run('ANALYZE client.queue');
    const { rows, others } = await sizes.table(server.login, { table: 'queue', databases: [DATABASE] });
    assertWithin(rows, 50_000);
    assert.deepEqual(others, [`${DATABASE}.public`]);
    await server.run('CREATE VIEW shown AS SELECT 1');
    await assert.rejects(
      sizes.table(server.login, { table: 'shown', databases: [DATABASE] }),
      /has no table shown in wa1_messageStore, but a view in schema public of wa1_messageStore/,
    );
  });

  await t.test('as a range, where rows came while the counters were off', async () => {
    await server.run('CREATE TABLE loaded (id bigint)');
    await server.run('INSERT INTO loaded SELECT generate_series(1, 10000)');
    await server.run('ANALYZE loaded');
    const search = { table: 'loaded', databases: [DATABASE] };
    assertWithin((await sizes.table(server.login, search)).rows, 10_000);
    await server.run('SET track_counts = off');
    await server.run('INSERT INTO loaded SELECT generate_series(1, 300000)');
    await server.run('SET track_counts = on');
    assertWithin((await sizes.table(server.login, search)).rows, 310_000);
    // By a third only.
    await server.run('ANALYZE loaded');
    await server.run('SET track_counts = off');
    await server.run('INSERT INTO loaded SELECT generate_series(1, 100000)');
    await server.run('SET track_counts = on');
    assertWithin((await sizes.table(server.login, search)).rows, 410_000);
    // It was empty, and of some the counters know.
    await server.run('TRUNCATE loaded');
    await server.run('VACUUM ANALYZE loaded');
    await server.run('SET track_counts = off');
    await server.run('INSERT INTO loaded SELECT generate_series(1, 50000)');
    await server.run('SET track_counts = on');
    await server.run('INSERT INTO loaded SELECT generate_series(1, 50)');
    assertWithin((await sizes.table(server.login, search)).rows, 50_050);
  });

  await t.test('as a range, where VACUUM or ANALYZE follows at once in the session that wrote', async () => {
    const search = { table: 'twice', databases: [DATABASE] };
    const told = async () => (await sizes.table(server.login, search)).rows;
    await server.run('CREATE UNLOGGED TABLE twice (id bigint)');
    await server.run('INSERT INTO twice SELECT generate_series(1, 60000)');
    // What a session has written it adds to the counters a second later at the earliest: in one it is counted by ANALYZE, and added then.
    const session = new pg.Client(server.connection());
    await session.connect();
    await session.query('INSERT INTO twice SELECT generate_series(1, 60000)');
    await session.query('ANALYZE twice');
    await session.end();
    assertWithin(await told(), 120_000);
    const purge = new pg.Client(server.connection());
    await purge.connect();
    await purge.query('DELETE FROM twice WHERE id > 20000');
    await purge.query('VACUUM twice');
    await purge.end();
    assertWithin(await told(), 40_000);
    // Rows that have come since, as the pages show, make the number no vaguer.
    await server.run('TRUNCATE twice');
    await server.run('INSERT INTO twice SELECT generate_series(1, 20000)');
    await server.run('ANALYZE twice');
    await server.run('INSERT INTO twice SELECT generate_series(1, 180000)');
    const grown = await told();
    assertWithin(grown, 200_000);
    assert.ok(grown.kind === 'estimate' && grown.atLeast > 140_000, JSON.stringify(grown));
    await server.run('DROP TABLE twice');
  });

  await t.test(
    'as a range, never analyzed, where deletes are written to the counters before the inserts',
    async () => {
      await server.run('CREATE TABLE soon_gone (id bigint)');
      const session = new pg.Client(server.connection());
      await session.connect();
      await session.query('SELECT 1');
      await session.query('INSERT INTO soon_gone SELECT generate_series(1, 20000)');
      await server.run('DELETE FROM soon_gone WHERE id > 2000');
      await session.query('SELECT pg_stat_force_next_flush()');
      await session.query('SELECT 1');
      assertWithin(
        (await sizes.table(server.login, { table: 'soon_gone', databases: [DATABASE] })).rows,
        2_000,
      );
      await session.end();
      await server.run('DROP TABLE soon_gone');
    },
  );

  await t.test('as none, where its files are empty, whatever the counters still say', async () => {
    await server.run('CREATE TABLE emptied_now AS SELECT generate_series(1, 20000) AS id');
    const session = new pg.Client(server.connection());
    await session.connect();
    await session.query('SELECT pg_stat_force_next_flush()');
    await session.query('TRUNCATE emptied_now');
    const { rows } = await sizes.table(server.login, { table: 'emptied_now', databases: [DATABASE] });
    assert.deepEqual(rows, { kind: 'estimate', rows: 0, atLeast: 0, atMost: 0 });
    await session.end();
    await server.run('DROP TABLE emptied_now');
  });

  await t.test('as unknown, where changes are not counted for somebody', async () => {
    const search = { table: 'uncounted', databases: [DATABASE] };
    await server.run('CREATE TABLE uncounted AS SELECT generate_series(1, 20000) AS id');
    await server.run('ANALYZE uncounted');
    assertWithin((await sizes.table(server.login, search)).rows, 20_000);
    await server.run('CREATE ROLE purge');
    for (const [set, reset] of [
      [
        `ALTER DATABASE "${DATABASE}" SET track_counts = 'no'`,
        `ALTER DATABASE "${DATABASE}" RESET track_counts`,
      ],
      ['ALTER ROLE purge SET track_counts = off', 'ALTER ROLE purge RESET track_counts'],
    ] as const) {
      await server.run(set);
      assertUnknown((await sizes.table(server.login, search)).rows, /track_counts is off/);
      await server.run(reset);
    }
    // Of another database it is nothing to us.
    await server.run(`ALTER ROLE purge IN DATABASE "${DATABASE}2" SET track_counts = off`);
    assertWithin((await sizes.table(server.login, search)).rows, 20_000);
    await server.run('DROP ROLE purge');
    await server.run('DROP TABLE uncounted');
  });

  await t.test('within its error, sampled in few of its pages, nearly all of which are empty', async () => {
    await server.run('CREATE UNLOGGED TABLE emptied (id bigint, body text)');
    await server.run("INSERT INTO emptied SELECT n, repeat('m', 150) FROM generate_series(1, 120000) n");
    await server.run('DELETE FROM emptied WHERE id <= 118000');
    await server.run(`ALTER DATABASE "${DATABASE}" SET default_statistics_target = 1`);
    await server.run('SET default_statistics_target = 1');
    for (let look = 0; look < 12; look++) {
      await server.run('ANALYZE emptied');
      assertWithin(
        (await sizes.table(server.login, { table: 'emptied', databases: [DATABASE] })).rows,
        2_000,
      );
    }
    await server.run(`ALTER DATABASE "${DATABASE}" RESET default_statistics_target`);
    await server.run('RESET default_statistics_target');
    await server.run('DROP TABLE emptied');
  });

  await t.test('as a range, where vacuums alone have looked since, and the pages are uneven', async () => {
    const search = { table: 'uneven', databases: [DATABASE] };
    await server.run('CREATE UNLOGGED TABLE uneven (id bigint, seen int, body text) WITH (fillfactor = 90)');
    await server.run("INSERT INTO uneven SELECT n, 0, repeat('m', 100) FROM generate_series(1, 60000) n");
    await server.run('DELETE FROM uneven WHERE id <= 54000');
    await server.run('VACUUM (TRUNCATE off, ANALYZE) uneven');
    // Each goes by the density of before for the pages that it does not read.
    for (let night = 0; night < 20; night++) {
      await server.run('UPDATE uneven SET seen = seen + 1 WHERE id > 54000 AND id % 60 = 0');
      await server.run('VACUUM uneven');
    }
    const { rows } = await sizes.table(server.login, search);
    assertWithin(rows, 6_000);
    assert.ok(rows.kind === 'estimate' && rows.rows > 3 * 6_000, JSON.stringify(rows));
    // Where what was inserted and deleted says the same, it is as near as ever.
    await server.run('DROP TABLE uneven');
    await server.run('CREATE UNLOGGED TABLE uneven (id bigint)');
    await server.run('INSERT INTO uneven SELECT generate_series(1, 20000)');
    await server.run('ANALYZE uneven');
    await server.run('DELETE FROM uneven WHERE id > 18000');
    await server.run('VACUUM uneven');
    const even = (await sizes.table(server.login, search)).rows;
    assertWithin(even, 18_000);
    assert.ok(even.kind === 'estimate' && even.atMost < 30_000, JSON.stringify(even));
    await server.run('DROP TABLE uneven');
  });

  await t.test('within its error, sampled in few of its pages by what its columns say', async () => {
    await server.run('CREATE UNLOGGED TABLE emptied (id bigint, body text)');
    await server.run('ALTER TABLE emptied ALTER id SET STATISTICS 1, ALTER body SET STATISTICS 1');
    await server.run("INSERT INTO emptied SELECT n, repeat('m', 150) FROM generate_series(1, 120000) n");
    await server.run('DELETE FROM emptied WHERE id <= 118000');
    for (let look = 0; look < 12; look++) {
      await server.run('ANALYZE emptied');
      assertWithin(
        (await sizes.table(server.login, { table: 'emptied', databases: [DATABASE] })).rows,
        2_000,
      );
    }
    await server.run('DROP TABLE emptied');
  });

  await t.test('without what who asks for it does not see as its own', async () => {
    const search = { table: 'seen', databases: [DATABASE] };
    await server.run('CREATE TABLE seen (id bigint)');
    await server.run('INSERT INTO seen SELECT generate_series(1, 2000)');
    const other = new pg.Client(server.connection());
    await other.connect();
    await other.query('CREATE TEMPORARY TABLE mine () INHERITS (seen)');
    await other.query('INSERT INTO mine SELECT generate_series(1, 20000)');
    await other.query('ANALYZE mine');
    await server.run('ANALYZE seen');
    const told = (await sizes.table(server.login, search)).rows;
    assertWithin(told, 2_000);
    assert.ok(told.kind === 'estimate' && told.atMost < 20_000);
    await other.end();
    await server.run('DROP TABLE seen');
    // A partition whose detaching was interrupted.
    await server.run('CREATE TABLE seen (id bigint) PARTITION BY RANGE (id)');
    await server.run('CREATE TABLE seen_a PARTITION OF seen FOR VALUES FROM (0) TO (1000)');
    await server.run('CREATE TABLE seen_b PARTITION OF seen FOR VALUES FROM (1000) TO (40000)');
    await server.run('INSERT INTO seen SELECT generate_series(0, 39999)');
    await server.run('ANALYZE seen');
    const reading = new pg.Client(server.connection());
    await reading.connect();
    await reading.query('BEGIN');
    await reading.query('SELECT count(*) FROM seen');
    const detaching = new pg.Client(server.connection());
    await detaching.connect();
    await detaching.query("SET statement_timeout = '200ms'");
    await assert.rejects(detaching.query('ALTER TABLE seen DETACH PARTITION seen_b CONCURRENTLY'));
    await reading.end();
    await detaching.end();
    assertWithin((await sizes.table(server.login, search)).rows, 1_000);
    const largest = await sizes.largestTable(server.login, [DATABASE]);
    assert.equal(largest.kind, 'known');
    await server.run('ALTER TABLE seen DETACH PARTITION seen_b FINALIZE');
    await server.run('DROP TABLE seen_b');
    // A lock on the whole is one on each part.
    const holder = new pg.Client(server.connection());
    await holder.connect();
    await holder.query('BEGIN; LOCK TABLE seen IN ACCESS EXCLUSIVE MODE');
    const locked = await sizes.table(server.login, search);
    assertWithin(locked.rows, 1_000);
    assert.ok(locked.bytes.kind === 'known' && locked.bytes.from === 'statistics');
    await holder.end();
    await server.run('DROP TABLE seen');
  });

  await t.test('of a local part of a foreign table, the largest', async () => {
    await server.run('CREATE DATABASE wa1_abroad');
    const abroad = new pg.Client(server.connection('wa1_abroad'));
    await abroad.connect();
    await abroad.query('CREATE FOREIGN DATA WRAPPER nowhere');
    await abroad.query('CREATE SERVER far FOREIGN DATA WRAPPER nowhere');
    await abroad.query('CREATE FOREIGN TABLE parent (id bigint) SERVER far');
    await abroad.query('CREATE TABLE child () INHERITS (parent)');
    await abroad.query('INSERT INTO child SELECT generate_series(1, 2000)');
    const largest = await sizes.largestTable(server.login, ['wa1_abroad']);
    assert.ok(largest.kind === 'known' && largest.bytes > 2000 * 20, JSON.stringify(largest));
    await abroad.end();
  });

  await t.test('in all its digits, whatever a session shows', async () => {
    await server.run('CREATE TABLE digits AS SELECT generate_series(1, 14800) AS id');
    await server.run('ANALYZE digits');
    await server.run("SELECT pg_stat_reset_single_table_counters('digits'::regclass)");
    await server.run('ALTER ROLE size SET extra_float_digits = -15');
    const { rows } = await sizes.table(server.login, { table: 'digits', databases: [DATABASE] });
    assert.ok(rows.kind === 'estimate' && rows.rows === 14_800, JSON.stringify(rows));
    await server.run('ALTER ROLE size RESET extra_float_digits');
    await server.run('DROP TABLE digits');
  });

  await t.test('of an empty table', async () => {
    await server.run('CREATE TABLE media (id bigint PRIMARY KEY)');
    const { rows, bytes } = await sizes.table(server.login, { table: 'media', databases: [DATABASE] });
    assertWithin(rows, 0);
    assert.ok(bytes.kind === 'known' && bytes.table === 0 && bytes.indexes > 0);
  });
});

test('PostgreSQL counts rows', async (t) => {
  const server = await startSizedPostgres();
  t.after(() => server.stop());
  const sizes = await reader(server);

  await t.test('only with a right to read, which the error names', async () => {
    await assert.rejects(sizes.count(server.login, MESSAGES, 60_000), (error) => {
      assert.ok(error instanceof MissingPrivilege);
      assert.match(error.message, /GRANT SELECT \("id"\) ON "public"\."messages" TO "size"/);
      return true;
    });
    await server.run('GRANT SELECT (id) ON messages TO size');
    assert.deepEqual(await sizes.count(server.login, MESSAGES, 60_000), { kind: 'counted', rows: ROWS });
  });

  await t.test('no longer than the time limit', async () => {
    assert.deepEqual(await sizes.count(server.login, MESSAGES, 2), { kind: 'too-slow' });
  });

  await t.test('not while another session holds its strongest lock', async () => {
    const count = await underLock(server, () => sizes.count(server.login, MESSAGES, 60_000));
    assert.deepEqual(count, { kind: 'locked' });
  });

  await t.test('until somebody ends it, which is not taken for the time limit', async () => {
    // It is found while it waits for the lock, for a tenth of a second.
    const counted = async () => {
      const count = sizes.count(server.login, MESSAGES, 60_000);
      let isOver = false;
      void count.finally(() => {
        isOver = true;
      });
      while (!isOver)
        await server.run(
          "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'size' AND query LIKE 'SELECT count%' AND state = 'active'",
        );
      return count;
    };
    const told = await underLock(server, async () => {
      for (;;) {
        const count = await counted();
        if (count.kind !== 'locked') return count;
      }
    });
    assert.deepEqual(told, { kind: 'cancelled' });
  });

  await t.test('only if no policy hides some of them, or the error says so', async () => {
    await server.run('ALTER TABLE messages ENABLE ROW LEVEL SECURITY');
    await assert.rejects(
      sizes.count(server.login, MESSAGES, 60_000),
      (error) =>
        error instanceof MissingPrivilege &&
        /policies \(row-level security\) show it a part only/.test(error.message) &&
        error.message.includes('ALTER ROLE "size" BYPASSRLS'),
    );
    await server.run('ALTER TABLE messages DISABLE ROW LEVEL SECURITY');
  });

  await t.test('not in a database of another owner that is called alike in lower case', async () => {
    await server.run('CREATE ROLE neighbour');
    await server.run('CREATE DATABASE wa2_contactstore OWNER neighbour');
    await assert.rejects(
      sizes.largestTable(server.login, [DATABASE, 'wa2_contactStore']),
      /wa2_contactstore differs from it in case only, which may be another deployment's/,
    );
  });

  await t.test(
    'of tables of one name the one that has most rows, which need not have the largest files',
    async () => {
      await server.run('CREATE SCHEMA old');
      await server.run(
        "CREATE TABLE old.twofold AS SELECT n AS id, repeat('m', 1900) AS body FROM generate_series(1, 3000) n",
      );
      await server.run('CREATE TABLE public.twofold AS SELECT generate_series(1, 20000) AS id');
      await server.run('DELETE FROM old.twofold WHERE id > 40');
      await server.run('ANALYZE old.twofold');
      await server.run('ANALYZE public.twofold');
      for (const schema of ['old', 'public'])
        await server.run(`GRANT SELECT (id) ON ${schema}.twofold TO size`);
      await server.run('GRANT USAGE ON SCHEMA old TO size');
      const search = { table: 'twofold', databases: [DATABASE] };
      const { rows, others } = await sizes.table(server.login, search);
      assertWithin(rows, 20_000);
      assert.deepEqual(others, [`${DATABASE}.old`]);
      assert.deepEqual(await sizes.count(server.login, search, 60_000), { kind: 'counted', rows: 20_000 });
      await server.run('DROP SCHEMA old CASCADE');
      await server.run('DROP TABLE twofold');
    },
  );

  await t.test('in the database of the very name, whatever else begins like it', async () => {
    await server.run('CREATE DATABASE wa1_waweb');
    for (const name of ['WA1_waweb', 'wa1_waweb'])
      await assert.rejects(
        sizes.table(server.login, { table: 'messages', databases: [name] }),
        /no table messages in wa1_waweb\./,
      );
    await server.run('CREATE DATABASE "WA1_WAWEB"');
    await assert.rejects(
      sizes.table(server.login, { table: 'messages', databases: ['WA1_waweb'] }),
      /differ from it in case only/,
    );
    for (const name of ['wa1_message', 'wa1_', 'wa1_messageStore_b'])
      await assert.rejects(
        sizes.table(server.login, { table: 'messages', databases: [name] }),
        (error) => error instanceof TableNotFound && /there are no such databases/.test(error.message),
      );
  });

  await t.test('only where it may connect, or the error names the grant', async () => {
    await server.run('REVOKE CONNECT ON DATABASE "wa1_messageStore" FROM PUBLIC');
    await assert.rejects(
      sizes.table(server.login, MESSAGES),
      (error) =>
        error instanceof MissingPrivilege &&
        error.message.includes('GRANT CONNECT ON DATABASE "wa1_messageStore" TO "size"'),
    );
    await assert.rejects(sizes.largestTable(server.login, ['wa1_waweb', DATABASE]), MissingPrivilege);
    await server.run('GRANT CONNECT ON DATABASE "wa1_messageStore" TO size');
    await sizes.table(server.login, MESSAGES);
    // One that nobody may enter is not one that is not there.
    await server.run('CREATE DATABASE "wa1_shut" ALLOW_CONNECTIONS false');
    const search = { table: 'messages', databases: ['wa1_shut', DATABASE] };
    await assert.rejects(sizes.table(server.login, search), /lets nobody into the database wa1_shut/);
    await assert.rejects(sizes.largestTable(server.login, search.databases), /lets nobody into .*wa1_shut/);
    await server.run('DROP DATABASE "wa1_shut"');
  });

  await t.test('and idle connections, only if it may see them', async () => {
    const release = await server.lock();
    const idle = new pg.Client(server.connection());
    await idle.connect();
    await assert.rejects(
      sizes.idleConnections(server.login, [DATABASE], 0),
      (error) =>
        error instanceof MissingPrivilege && error.message.includes('GRANT pg_read_all_stats TO "size"'),
    );
    await server.run('GRANT pg_read_all_stats TO size');
    // That of the administrator and `idle`; not that in a transaction.
    assert.equal(await sizes.idleConnections(server.login, [DATABASE], 0), 2);
    assert.equal(await sizes.idleConnections(server.login, [DATABASE], 3600), 0);
    assert.equal(await sizes.idleConnections(server.login, ['wa1_waweb'], 0), 0);
    await idle.end();
    await release();
    // What a session does that is told to say nothing of it nobody knows.
    await server.run("CREATE ROLE quiet LOGIN PASSWORD 'quiet'");
    await server.run('ALTER ROLE quiet SET track_activities = off');
    await server.run(`GRANT CONNECT ON DATABASE "${DATABASE}" TO quiet`);
    const quiet = new pg.Client({ ...server.connection(), user: 'quiet', password: 'quiet' });
    await quiet.connect();
    await assert.rejects(
      sizes.idleConnections(server.login, [DATABASE], 0),
      (error) => error instanceof NotKnown && /track_activities is off/.test(error.message),
    );
    await quiet.end();
  });

  await t.test('the same, whatever its role and its database set for a session', async () => {
    await server.run('CREATE TABLE set_up AS SELECT generate_series(1, 30000) AS id');
    await server.run('ALTER TABLE set_up ENABLE ROW LEVEL SECURITY');
    await server.run('CREATE POLICY a_part ON set_up USING (id <= 10)');
    await server.run('ANALYZE set_up');
    await server.run('CREATE ROLE reader BYPASSRLS');
    await server.run('GRANT SELECT (id) ON set_up TO reader');
    await server.run('GRANT SELECT (id) ON set_up TO size');
    await server.run('GRANT reader TO size');
    await server.run('ALTER ROLE size BYPASSRLS');
    const search = { table: 'set_up', databases: [DATABASE] };
    const told = async () => ({
      size: await sizes.table(server.login, search),
      count: await sizes.count(server.login, search, 60_000),
      largest: await sizes.largestTable(server.login, [DATABASE]),
      idle: await sizes.idleConnections(server.login, [DATABASE], 3600),
    });
    const expected = await told();
    assert.deepEqual(expected.count, { kind: 'counted', rows: 30_000 });
    // All at once, for each costs a dozen logins.
    for (const whose of ['ROLE size', `DATABASE "${DATABASE}"`]) {
      for (const setting of ROLE_SETTINGS) await server.run(`ALTER ${whose} SET ${setting}`);
      assert.deepEqual(await told(), expected, whose);
      await server.run(`ALTER ${whose} RESET ALL`);
    }
    // Another's rights are those that are named.
    await server.run('ALTER ROLE size SET role = reader');
    await server.run('REVOKE SELECT (id) ON set_up FROM reader');
    await assert.rejects(
      sizes.count(server.login, search, 60_000),
      /GRANT SELECT \("id"\) ON .* TO "reader"/,
    );
    await assert.rejects(
      sizes.idleConnections(server.login, [DATABASE], 0),
      /GRANT pg_read_all_stats TO "reader"/,
    );
    await server.run('ALTER ROLE size RESET role');
    await server.run('ALTER ROLE size NOBYPASSRLS');
    await server.run('DROP TABLE set_up');
  });

  await t.test('and each right that lacks is named as it is granted', async () => {
    await server.run('CREATE SCHEMA client');
    await server.run('CREATE TABLE client.granted AS SELECT generate_series(1, 3000) AS "Key", 0 AS body');
    await server.run('ANALYZE client.granted');
    await server.run('CREATE TABLE client.notes (id int)');
    for (const grant of [
      'USAGE ON SCHEMA client',
      'SELECT ("Key") ON client.granted',
      'pg_read_all_stats',
      `CONNECT ON DATABASE "${DATABASE}"`,
    ])
      await server.run(`GRANT ${grant} TO size`);
    const ask = async () => {
      const search = { table: 'granted', databases: [DATABASE] };
      return grantsAndAnswers([
        sizes.table(server.login, search),
        sizes.count(server.login, search, 60_000),
        sizes.largestTable(server.login, [DATABASE]),
        sizes.idleConnections(server.login, [DATABASE], 3600),
      ]);
    };
    const whole = await ask();
    assert.deepEqual(whole.grants, []);
    for (const [lacks, ...grants] of [
      ['REVOKE USAGE ON SCHEMA client FROM size', 'GRANT USAGE ON SCHEMA "client" TO "size"'],
      [
        'REVOKE SELECT ("Key") ON client.granted FROM size',
        'GRANT SELECT ("Key") ON "client"."granted" TO "size"',
      ],
      [
        'REVOKE SELECT ("Key") ON client.granted FROM size; REVOKE USAGE ON SCHEMA client FROM size',
        'GRANT USAGE ON SCHEMA "client" TO "size"',
        'GRANT SELECT ("Key") ON "client"."granted" TO "size"',
      ],
      ['REVOKE pg_read_all_stats FROM size', 'GRANT pg_read_all_stats TO "size"'],
      [
        `REVOKE CONNECT ON DATABASE "${DATABASE}" FROM size`,
        `GRANT CONNECT ON DATABASE "${DATABASE}" TO "size"`,
      ],
      [
        'ALTER TABLE client.granted ENABLE ROW LEVEL SECURITY; REVOKE USAGE ON SCHEMA client FROM size',
        'GRANT USAGE ON SCHEMA "client" TO "size"',
        'ALTER ROLE "size" BYPASSRLS',
      ],
    ] as const) {
      await server.run(lacks);
      assert.deepEqual((await ask()).grants, grants, lacks);
      for (const grant of grants) await server.run(grant);
      assert.deepEqual(await ask(), whole, lacks);
    }
    await server.run('ALTER ROLE size NOBYPASSRLS');
    await server.run('DROP SCHEMA client CASCADE');
  });

  await t.test('no nearer than others sample, whatever statistics its own role asks for', async () => {
    const search = { table: 'thin', databases: [DATABASE] };
    await server.run('CREATE UNLOGGED TABLE thin (id bigint, body text)');
    await server.run("INSERT INTO thin SELECT n, repeat('m', 150) FROM generate_series(1, 120000) n");
    await server.run('DELETE FROM thin WHERE id <= 118000');
    await server.run('ALTER ROLE size SET default_statistics_target = 10000');
    // A client's own role makes the ANALYZE, after its purge.
    await server.run('CREATE ROLE purger');
    await server.run('ALTER ROLE purger SET default_statistics_target = 1');
    await server.run('SET default_statistics_target = 1');
    for (let look = 0; look < 12; look++) {
      await server.run('ANALYZE thin');
      assertWithin((await sizes.table(server.login, search)).rows, 2_000);
    }
    await server.run('ALTER ROLE size RESET default_statistics_target');
    await server.run('ANALYZE thin');
    assertWithin((await sizes.table(server.login, search)).rows, 2_000);
    await server.run('RESET default_statistics_target');
    await server.run('DROP ROLE purger');
    await server.run('DROP TABLE thin');
  });
});

/** What real servers set for roles and databases, and what would make an answer another one. */
const ROLE_SETTINGS = [
  "statement_timeout = '1s'",
  "lock_timeout = '1ms'",
  "idle_in_transaction_session_timeout = '1ms'",
  "transaction_timeout = '1s'",
  "idle_session_timeout = '1s'",
  'row_security = on',
  "search_path = ''",
  'search_path = nowhere',
  "work_mem = '64kB'",
  "default_transaction_isolation = 'serializable'",
  'default_transaction_deferrable = on',
  'default_transaction_read_only = on',
  "client_encoding = 'SQL_ASCII'",
  "DateStyle = 'German, DMY'",
  "TimeZone = 'Pacific/Kiritimati'",
  "IntervalStyle = 'sql_standard'",
  "bytea_output = 'escape'",
  'extra_float_digits = -15',
  'standard_conforming_strings = off',
  'enable_seqscan = off',
  'quote_all_identifiers = on',
  'array_nulls = off',
  'from_collapse_limit = 1',
  'max_parallel_workers_per_gather = 0',
];
