import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { sizeReader } from '../../../../../functions/shared/database/registry.ts';
import { startPostgres } from '../../../../../rehearsal/databases/postgres.ts';
import { serverCertificate } from '../../../../../rehearsal/databases/tls-certificate.ts';
import { POSTGRES_15 } from '../../../rotate-secret/databases.ts';
import { assertWithin } from '../sizes/checks.ts';

const ROWS = 300_000;
const NEW_ROWS = 20_000;
const DATABASE = 'postgres';

for (const [version, binaries] of [
  ['18', undefined],
  ['15', POSTGRES_15],
] as const)
  test(`after a crash of PostgreSQL ${version}, which loses the counters, new rows are not taken for all that there are`, {
    skip: version === '15' && binaries === undefined && 'There is no PostgreSQL 15: install postgresql-15.',
  }, async (t) => {
    const tls = await serverCertificate();
    const server = await startPostgres({
      tls,
      settings: { autovacuum: 'off' },
      ...(binaries !== undefined && { binaries }),
    });
    t.after(() => server.stop());
    const { host, port, user, password } = server;
    const connect = async () => {
      const client = new pg.Client({ host, port, user, password, database: DATABASE });
      client.on('error', () => {});
      await client.connect();
      return client;
    };
    const before = await connect();
    await before.query('CREATE TABLE messages (id bigint)');
    await before.query(`INSERT INTO messages SELECT generate_series(1, ${ROWS})`);
    await before.query('ANALYZE messages');
    await before.query('CHECKPOINT');
    const { rows } = await before.query('SELECT pg_backend_pid() AS pid');
    // One of its processes dies, as for want of memory: the server ends the others and recovers.
    process.kill(rows[0].pid, 'SIGKILL');
    const recovered = () => (server.logs().match(/ready to accept connections/g) ?? []).length === 2;
    while (!recovered()) await new Promise((resolve) => setTimeout(resolve, 20));

    const after = await connect();
    t.after(() => after.end());
    const counted = async () => {
      const found = await after.query(
        "SELECT n_live_tup::int AS live FROM pg_stat_user_tables WHERE relname = 'messages'",
      );
      return found.rows[0]?.live;
    };
    assert.equal(await counted(), 0, 'the counters survived');
    await after.query(`INSERT INTO messages SELECT generate_series(1, ${NEW_ROWS})`);
    await after.query('SELECT pg_stat_force_next_flush()');
    await after.query('SELECT 1');
    assert.equal(await counted(), NEW_ROWS);

    const sizes = await sizeReader({
      engine: 'postgres',
      host: 'localhost',
      port,
      certificateAuthority: tls.authority,
    });
    const { rows: estimate } = await sizes.table(
      { username: user, password },
      { table: 'messages', databases: [DATABASE] },
    );
    assertWithin(estimate, ROWS + NEW_ROWS);
    assert.ok(estimate.kind === 'estimate' && estimate.rows >= ROWS, JSON.stringify(estimate));
  });
