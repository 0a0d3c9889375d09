import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { contradictedBy } from '../../../../../functions/database-size/held-against-history.ts';
import type { RowEstimate, SizeReader } from '../../../../../functions/shared/database/contract/sizes.ts';
import { assertWithin } from '../sizes/checks.ts';
import { DATABASE, type InnodbServer, type startSizedInnodb } from '../sizes/servers.ts';

export const LAST_SAMPLE = 'SELECT (database_name, table_name, n_rows) ON mysql.innodb_table_stats';
export const SAMPLED_PAGES =
  'SELECT (database_name, table_name, index_name, stat_name, stat_value, sample_size) ON mysql.innodb_index_stats';

const DAY_MS = 24 * 3600 * 1000;

/** What large transactions that are open, or were rolled back, leave of the number. Leaves a table `purged`, and takes PROCESS away. */
export async function testRolledBack(
  t: TestContext,
  engine: InnodbServer,
  { server, sizes }: { server: Awaited<ReturnType<typeof startSizedInnodb>>; sizes: SizeReader },
): Promise<void> {
  const { login } = server;
  await t.test(
    'with what the files can hold, where a large delete was rolled back; an insert within its error',
    async () => {
      const rows = 200_000;
      await server.run('CREATE TABLE purged (id bigint PRIMARY KEY, body varchar(200) NOT NULL)');
      await server.run(`INSERT INTO purged ${engine.numbers("n, repeat('m', 100)", rows)}`);
      await server.run('ANALYZE TABLE purged');
      const search = { table: 'purged', databases: [DATABASE] };
      const told = async () => {
        const { rows } = await sizes.table(login, search);
        assert.equal(rows.kind, 'estimate');
        return rows.kind === 'estimate' ? rows : assert.fail();
      };
      await server.run('START TRANSACTION');
      await server.run(`DELETE FROM purged WHERE id > ${rows / 10}`);
      const open = await told();
      assert.ok(Math.max(open.atMost, open.filesHold ?? 0) >= rows, 'while the transaction is open');
      await server.run('ROLLBACK');
      const after = await told();
      assert.ok(Math.max(after.atMost, after.filesHold ?? 0) >= rows, JSON.stringify(after));
      assert.ok((after.filesHold ?? 0) < 20 * rows, JSON.stringify(after));
      // Sampled meanwhile, nothing of the server's own shows it: but the pages that have rows are as many as of the number before.
      const before = { at: Date.now() - 1, rows };
      for (const grant of [LAST_SAMPLE, SAMPLED_PAGES]) await server.run(`GRANT ${grant} TO size@'%'`);
      await server.run('ANALYZE TABLE purged');
      const whole = await told();
      assert.equal(contradictedBy(whole, [before], Date.now()), undefined);
      if (engine.engine === 'mysql')
        assert.ok(Math.abs(Date.now() - (whole.madeAt ?? 0)) < DAY_MS, `made at ${whole.madeAt}`);
      const purge = await server.connect();
      await purge.query('START TRANSACTION');
      await purge.query(`DELETE FROM purged WHERE id > ${rows / 10}`);
      await server.run('ANALYZE TABLE purged');
      await purge.query('ROLLBACK');
      await purge.end();
      const left = await told();
      const isWrong = left.atMost < rows;
      assert.equal(isWrong, engine.engine === 'mysql', JSON.stringify(left));
      const contradicted = contradictedBy(left, [before], Date.now());
      if (isWrong) assert.match(contradicted ?? '', /and told 200000 at .* may have been rolled back since/);
      else assert.equal(contradicted, undefined);
      await server.run('ANALYZE TABLE purged');
      assert.equal(contradictedBy(await told(), [before], Date.now()), undefined);
      for (const grant of [LAST_SAMPLE, SAMPLED_PAGES]) await server.run(`REVOKE ${grant} FROM size@'%'`);
      // Columns that were added instantly are in none of the rows.
      await server.run('CREATE TABLE widened (id bigint PRIMARY KEY)');
      await server.run(`INSERT INTO widened ${engine.numbers('n', 50_000)}`);
      await server.run(
        `ALTER TABLE widened ${Array.from({ length: 30 }, (_, column) => `ADD c${column} bigint NOT NULL DEFAULT 7`).join(', ')}, ALGORITHM = INSTANT`,
      );
      await server.run('ANALYZE TABLE widened');
      await server.run('START TRANSACTION');
      await server.run('DELETE FROM widened WHERE id > 10000');
      await server.run('ROLLBACK');
      const widened = (await sizes.table(login, { table: 'widened', databases: [DATABASE] })).rows;
      assert.ok(
        widened.kind === 'estimate' && Math.max(widened.atMost, widened.filesHold ?? 0) >= 50_000,
        JSON.stringify(widened),
      );
      await server.run('DROP TABLE widened');
      // An insert likewise: MySQL goes on to count what is gone, also when it sampled in between; its pages are free again.
      await server.run('CREATE TABLE imported LIKE purged');
      await server.run(`INSERT INTO imported ${engine.numbers("n, repeat('m', 100)", 10_000)}`);
      const imports = { table: 'imported', databases: [DATABASE] };
      for (const [grant, sampledMeanwhile] of [
        [LAST_SAMPLE, false],
        [undefined, true],
      ] as const) {
        await server.run('ANALYZE TABLE imported');
        if (grant) await server.run(`GRANT ${grant} TO size@'%'`);
        const importer = await server.connect();
        await importer.query('START TRANSACTION');
        await importer.query(
          `INSERT INTO imported ${engine.numbers("n + 10000, repeat('m', 100)", 100_000)}`,
        );
        assertWithin((await sizes.table(login, imports)).rows, 10_000);
        if (sampledMeanwhile) await server.run('ANALYZE TABLE imported');
        assertWithin((await sizes.table(login, imports)).rows, 10_000);
        await importer.query('ROLLBACK');
        await importer.end();
        const gone = (await sizes.table(login, imports)).rows;
        assertWithin(gone, 10_000);
        if (engine.engine === 'mysql') assert.ok(gone.kind === 'estimate' && gone.rows > 90_000);
        if (grant) await server.run(`REVOKE ${grant} FROM size@'%'`);
      }
      // Also where pages of before are not given back, and the rows are small.
      await server.run('CREATE TABLE replaced (id bigint PRIMARY KEY, body varchar(50))');
      await server.run(`INSERT INTO replaced ${engine.numbers("n, 'x'", 20_000)}`);
      await server.run('ANALYZE TABLE replaced');
      await server.run('UPDATE replaced SET id = id + 1000000');
      await server.run(`GRANT ${LAST_SAMPLE} TO size@'%'`);
      await server.run('START TRANSACTION');
      await server.run(`INSERT INTO replaced ${engine.numbers("n + 5000000, 'z'", 100_000)}`);
      await server.run('ROLLBACK');
      assertWithin((await sizes.table(login, { table: 'replaced', databases: [DATABASE] })).rows, 20_000);
      // And of a compressed one, sampled in between.
      await server.run(
        'CREATE TABLE squeezed (id bigint PRIMARY KEY, body varchar(3000)) ROW_FORMAT=COMPRESSED',
      );
      const squeezer = await server.connect();
      await squeezer.query('START TRANSACTION');
      await squeezer.query(`INSERT INTO squeezed ${engine.numbers('n, repeat(uuid(), 50)', 12_000)}`);
      await server.run('ANALYZE TABLE squeezed');
      await squeezer.query('ROLLBACK');
      assertNone((await sizes.table(login, { table: 'squeezed', databases: [DATABASE] })).rows);
      await server.run('DROP TABLE squeezed');
      // And of a small one whose keys come in no order.
      await server.run('CREATE TABLE shuffled (id char(36) PRIMARY KEY)');
      await squeezer.query('START TRANSACTION');
      await squeezer.query(`INSERT INTO shuffled ${engine.numbers('uuid()', 10_000)}`);
      await server.run('ANALYZE TABLE shuffled');
      await squeezer.query('ROLLBACK');
      assertNone((await sizes.table(login, { table: 'shuffled', databases: [DATABASE] })).rows);
      await server.run('DROP TABLE shuffled');
      await squeezer.end();
      await server.run(`REVOKE ${LAST_SAMPLE} FROM size@'%'`);
      await server.run('DROP TABLE replaced');
      await server.run('DROP TABLE imported');
      await server.run("REVOKE PROCESS ON *.* FROM size@'%'");
      assert.equal((await told()).filesHold, Number.MAX_SAFE_INTEGER);
    },
  );
}

/** MariaDB, which puts its number right at the rollback, tells that it has none where pages are left. */
function assertNone(rows: RowEstimate): void {
  if (rows.kind === 'estimate') assertWithin(rows, 0);
  else assert.match(rows.reason, /tells no row of a table whose pages were full/);
}
