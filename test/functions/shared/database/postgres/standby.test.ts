import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { NotKnown } from '../../../../../functions/shared/database/contract/errors.ts';
import { sizeReader } from '../../../../../functions/shared/database/registry.ts';
import { type Postgres, STREAMING, startPostgres } from '../../../../../rehearsal/databases/postgres.ts';
import { serverCertificate } from '../../../../../rehearsal/databases/tls-certificate.ts';
import { assertUnknown, assertWithin } from '../sizes/checks.ts';

test('a standby does not tell as empty what lies on its primary alone, and all else as a range', async (t) => {
  const tls = await serverCertificate();
  const primary = await startPostgres({ tls, settings: { ...STREAMING, autovacuum: 'off' } });
  t.after(() => primary.stop());
  const connect = async ({ port, user, password, database }: Postgres) => {
    const client = new pg.Client({ host: '127.0.0.1', port, user, password, database });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const admin = await connect(primary);
  t.after(() => admin.end());
  await admin.query('CREATE TABLE messages AS SELECT generate_series(1, 20000) AS id');
  await admin.query('CREATE UNLOGGED TABLE media AS SELECT generate_series(1, 20000) AS id');
  await admin.query('ANALYZE');
  await admin.query("CREATE ROLE strict LOGIN PASSWORD 'strict'");
  await admin.query("ALTER ROLE strict SET default_transaction_isolation = 'serializable'");
  await admin.query('GRANT SELECT ON messages TO strict');
  const standby = await startPostgres({ tls, settings: { autovacuum: 'off' }, standbyOf: primary });
  t.after(() => standby.stop());
  const { port, user: username, password, database } = standby;
  const sizes = await sizeReader({
    engine: 'postgres',
    host: 'localhost',
    port,
    certificateAuthority: tls.authority,
  });
  const sizeOf = (table: string) => sizes.table({ username, password }, { table, databases: [database] });
  const media = await sizeOf('media');
  assertUnknown(media.rows, /is a standby, which has nothing of an unlogged table/);
  assert.equal(media.bytes.kind, 'unknown');
  const largest = await sizes.largestTable({ username, password }, [database]);
  assert.match(
    largest.kind === 'unknown' ? largest.reason : '',
    /what media in postgres takes: the server is a standby/,
  );
  await assert.rejects(
    sizes.count({ username, password }, { table: 'media', databases: [database] }, 10_000),
    (error) =>
      error instanceof NotKnown &&
      /"public"\."media" .* is a standby, which has nothing of an unlogged table: ask its primary/.test(
        error.message,
      ),
  );
  // A standby has no serializable transactions.
  const strict = { username: 'strict', password: 'strict' };
  const messages = { table: 'messages', databases: [database] };
  assertWithin((await sizes.table(strict, messages)).rows, 20_000);
  assert.deepEqual(await sizes.count(strict, messages, 10_000), { kind: 'counted', rows: 20_000 });
  // What is deleted there no counter here knows.
  assertWithin((await sizeOf('messages')).rows, 20_000);
  assertWithin((await sizeOf('messages')).rows, 100);
});
