import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scramVerifier } from '../../functions/shared/database/scram.ts';
import { sizeReader } from '../../functions/shared/database/size.ts';
import {
  type AdministeredServer,
  DOCUMENTED_PASSWORD,
  documentedSql,
  mysqlFamilyServer,
  postgresServer,
} from './documented-sql.ts';

const sql = documentedSql('database-size.md');
const SIZE = { username: 'size', password: DOCUMENTED_PASSWORD };
const DATABASE = 'wa1_messageStore';
const MESSAGES = { table: 'messages', databases: [DATABASE] };

for (const engine of ['mysql', 'mariadb'] as const)
  test(`the statements of docs/database-size.md suffice on ${engine}, and let no row be read`, async (t) => {
    const server = await mysqlFamilyServer(t, engine);
    if (server === undefined) return;
    await server.run(`CREATE DATABASE ${DATABASE}`);
    await server.run(`${TABLE}; ANALYZE TABLE messages`, server.administrator, DATABASE);
    await server.run(sql(engine));
    await testSizes(server);
  });

test('the statements of docs/database-size.md suffice on PostgreSQL, and let no row be read', async (t) => {
  const server = await postgresServer(t);
  const { run, administrator } = server;
  await run(`CREATE DATABASE "${DATABASE}"`);
  // Else everybody might connect, and the statement would prove nothing.
  await run(`REVOKE CONNECT ON DATABASE "${DATABASE}" FROM PUBLIC`);
  await run(`${TABLE}; ANALYZE messages`, administrator, DATABASE);
  await run(sql('postgresql'), administrator, DATABASE);
  // What psql's \password sends.
  await run(`ALTER ROLE size PASSWORD '${scramVerifier(SIZE.password)}'`);
  await testSizes(server);
});

const TABLE =
  "CREATE TABLE messages (id BIGINT PRIMARY KEY, body VARCHAR(9)); INSERT INTO messages VALUES (1, 'x'), (2, 'y')";

async function testSizes({ address, run }: AdministeredServer): Promise<void> {
  const reader = await sizeReader(address);
  const { database, rows, bytes } = await reader.table(SIZE, MESSAGES);
  assert.deepEqual([database, rows.kind, bytes.kind], [DATABASE, 'estimate', 'known']);
  assert.deepEqual(await reader.count(SIZE, MESSAGES, 60_000), { kind: 'counted', rows: 2 });
  assert.equal(await reader.idleConnections(SIZE, [DATABASE], 3600), 0);
  const largest = await reader.largestTable(SIZE, [DATABASE]);
  assert.ok(largest.kind === 'known' && largest.table === 'messages');
  await assert.rejects(run('SELECT body FROM messages', SIZE, DATABASE), /denied/);
}
