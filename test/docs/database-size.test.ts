import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MissingPrivilege } from '../../functions/shared/database/contract/errors.ts';
import { scramVerifier } from '../../functions/shared/database/postgres/scram.ts';
import { sizeReader } from '../../functions/shared/database/registry.ts';
import { rejected } from '../functions/shared/database/helpers.ts';
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
    const { administrator, run } = server;
    await run(`CREATE DATABASE ${DATABASE}`);
    await run(`${TABLE}; ANALYZE TABLE messages`, administrator, DATABASE);
    await testSizes(server, sql(engine));
    if (engine === 'mariadb') return;

    await t.test('where partial_revokes is on, with the name as it is', async () => {
      await run('DROP USER size; SET GLOBAL partial_revokes = ON');
      const [user = '', sized = ''] = steps(sql(engine));
      await run(user + sized);
      const reader = await sizeReader(server.address);
      await rejected(reader.table(SIZE, MESSAGES), MissingPrivilege);
      await run(sized.replace('\\_', '_'));
      await reader.table(SIZE, MESSAGES);
    });
  });

test('the statements of docs/database-size.md suffice on PostgreSQL, and let no row be read', async (t) => {
  const server = await postgresServer(t);
  const { run, administrator } = server;
  await run(`CREATE DATABASE "${DATABASE}"`);
  // Else everybody might connect, and the statement would prove nothing.
  await run(`REVOKE CONNECT ON DATABASE "${DATABASE}" FROM PUBLIC`);
  await run(`${TABLE}; ANALYZE messages`, administrator, DATABASE);
  // What psql's \password sends.
  const password = `ALTER ROLE size PASSWORD '${scramVerifier(SIZE.password)}'`;
  await testSizes(server, sql('postgresql'), password);
});

const TABLE =
  "CREATE TABLE messages (id BIGINT PRIMARY KEY, body VARCHAR(9)); INSERT INTO messages VALUES (1, 'x'), (2, 'y')";

/** The statements up to the first comment, which make the user, and after each: for sizes, connections, a count. */
function steps(statements: string): string[] {
  return statements.split(/^(?=-- )/m);
}

/** Each step suffices, and is needed. */
async function testSizes(
  { address, run, connected, administrator }: AdministeredServer,
  statements: string,
  password = '',
): Promise<void> {
  const reader = await sizeReader(address);
  const grant = (step: string) => run(step, administrator, DATABASE);
  const all = steps(statements);
  const sample = all.find((step) => step.startsWith('-- The last sample'));
  assert.equal(sample === undefined, address.engine === 'postgres');
  const [user = '', sized = '', connections = '', counted = '', files, ...others] = all.filter(
    (step) => step !== sample,
  );
  assert.deepEqual(others, []);
  await grant(`${user}${password}`);

  await assert.rejects(reader.table(SIZE, MESSAGES));
  await grant(sized);
  const { database, rows, bytes } = await reader.table(SIZE, MESSAGES);
  assert.deepEqual([database, rows.kind, bytes.kind], [DATABASE, 'estimate', 'known']);
  const largest = async () => {
    const told = await reader.largestTable(SIZE, [DATABASE]);
    return told.kind === 'known' ? told.table : told.kind;
  };
  if (address.engine !== 'postgres') assert.equal(await largest(), 'unknown');

  const end = await connected(DATABASE);
  const idle = () => reader.idleConnections(SIZE, [DATABASE], 3600);
  await rejected(idle(), MissingPrivilege);
  await grant(connections);
  assert.equal(await idle(), 0);
  await end();

  const count = () => reader.count(SIZE, MESSAGES, 60_000);
  await rejected(count(), MissingPrivilege);
  await grant(counted);
  assert.deepEqual(await count(), { kind: 'counted', rows: 2 });
  if (files !== undefined) {
    assert.equal(await largest(), 'unknown');
    await grant(files);
  }
  assert.equal(await largest(), 'messages');
  if (sample !== undefined) {
    const atMost = async () => {
      const { rows } = await reader.table(SIZE, MESSAGES);
      return rows.kind === 'estimate' ? rows.atMost : assert.fail(rows.reason);
    };
    const before = await atMost();
    await grant(sample);
    assert.ok((await atMost()) < before, 'the sample is not seen');
  }
  await assert.rejects(run('SELECT body FROM messages', SIZE, DATABASE), /denied/);
}
