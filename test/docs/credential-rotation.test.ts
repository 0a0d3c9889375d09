import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DatabaseAddress, Login } from '../../functions/shared/database/contract/engine.ts';
import { LoginRefused } from '../../functions/shared/database/contract/errors.ts';
import type { Strategy } from '../../functions/shared/database/contract/rotation.ts';
import { randomPassword } from '../../functions/shared/database/credential/password.ts';
import type { DatabaseSecret } from '../../functions/shared/database/credential/secret.ts';
import { migrateToAlternatingUsers } from '../../functions/shared/database/postgres/migration.ts';
import { scramVerifier } from '../../functions/shared/database/postgres/scram.ts';
import { credentialRotation } from '../../functions/shared/database/registry.ts';
import { anyPassword, POSTGRES_15 } from '../functions/rotate-secret/databases.ts';
import { rejected, secretOf } from '../functions/shared/database/helpers.ts';
import {
  type AdministeredServer,
  DOCUMENTED_PASSWORD,
  documentedSql,
  mysqlFamilyServer,
  postgresServer,
} from './documented-sql.ts';

const sql = documentedSql('credential-rotation.md');
const ROTATOR = { username: 'rotator', password: DOCUMENTED_PASSWORD };

for (const engine of ['mysql', 'mariadb'] as const)
  test(`the statements of docs/credential-rotation.md suffice on ${engine}`, async (t) => {
    const server = await mysqlFamilyServer(t, engine);
    if (server === undefined) return;
    const { address, run } = server;
    const client = secretOf({ username: 'client', password: anyPassword() });
    await run(
      `CREATE DATABASE waweb; CREATE TABLE waweb.messages (id BIGINT); CREATE USER client IDENTIFIED BY '${client.password}'`,
    );
    let current = client;

    if (engine === 'mysql')
      await t.test('for a user that changes its own password', async () => {
        await run(sql('mysql-own-password'));
        current = await rotated(address, { kind: 'dual-password' }, current);
      });

    await t.test('for an administrator of dual passwords', async () => {
      await run(sql(`${engine}-administrator`));
      current = await rotated(address, { kind: 'dual-password' }, current, ROTATOR);
      if (engine !== 'mysql') return;
      await run('ALTER USER client PASSWORD HISTORY 3');
      const rotation = await credentialRotation(address, { kind: 'dual-password' });
      assert.match(
        (await rotation.preflight(ROTATOR, current)).join(),
        /keeps a history of the passwords of/,
      );
      await run('ALTER USER client PASSWORD HISTORY DEFAULT');
      assert.deepEqual(await rotation.preflight(ROTATOR, current), []);
    });

    await t.test('for an administrator who is to see the sessions', async () => {
      const rotation = await credentialRotation(address, { kind: 'dual-password' });
      assert.equal(await rotation.sessions(ROTATOR, 'client'), undefined);
      const question = { usernames: ['client'], addresses: [] };
      const blind = await rotation.logins(ROTATOR, question);
      assert.equal(blind.from, undefined);
      assert.ok(blind.grant?.split('; ').every((grant) => sql(`${engine}-sessions`).includes(grant)));
      await run(sql(`${engine}-sessions`));
      assert.equal(await rotation.sessions(ROTATOR, 'client'), 0);
      const seeing = await rotation.logins(ROTATOR, question);
      assert.ok(seeing.from !== undefined && seeing.grant === undefined);
      if (engine !== 'mysql') return;
      const old = current;
      current = secretOf({ ...old, password: randomPassword() });
      await run(`ALTER USER client IDENTIFIED BY '${current.password}' RETAIN CURRENT PASSWORD`);
      assert.equal((await rotation.logins(ROTATOR, { ...question, old })).mark.tellsPasswords, true);
      await run('ALTER USER client DISCARD OLD PASSWORD');
    });

    await t.test('for alternating users, either of whom has the rights of the role', async () => {
      // What it needed to change its own password the second one is not given by hand.
      await run('REVOKE ALL PRIVILEGES, GRANT OPTION FROM client');
      await run(sql(`${engine}-alternating-users`));
      await run(sql(`${engine}-alternating-users-administrator`));
      for (const username of ['client_clone', 'client']) {
        current = await rotated(address, { kind: 'alternating-users' }, current, ROTATOR);
        assert.equal(current.username, username);
        await run('INSERT INTO waweb.messages VALUES (1); SELECT * FROM waweb.messages', current);
      }
    });
  });

test('the statements of docs/credential-rotation.md suffice on PostgreSQL', async (t) => {
  await testPostgres(await postgresServer(t), async (run) => run(sql('postgresql-16-administrator')));
});

test(
  'the statements of docs/credential-rotation.md for PostgreSQL up to 15 suffice',
  {
    skip:
      POSTGRES_15 === undefined && 'There is no PostgreSQL 15 in /usr/lib/postgresql: install postgresql-15.',
  },
  async (t) => testPostgres(await postgresServer(t, POSTGRES_15)),
);

/** The administrator both changes the passwords and makes two users of one, and may do no more than is documented. */
async function testPostgres(
  { address, run }: AdministeredServer,
  beside?: (run: AdministeredServer['run']) => Promise<void>,
): Promise<void> {
  const client = secretOf({ username: 'client', password: anyPassword() });
  await run(`CREATE ROLE client LOGIN PASSWORD '${scramVerifier(client.password)}'`);
  await run('CREATE TABLE messages (id BIGINT); ALTER TABLE messages OWNER TO client');
  await run(sql('postgresql-administrator'));
  // What psql's \password sends.
  await run(`ALTER ROLE rotator PASSWORD '${scramVerifier(ROTATOR.password)}'`);
  await beside?.(run);

  const single = await credentialRotation(address, { kind: 'single-password', user: 'client' });
  let current = secretOf({ username: 'client', password: randomPassword() });
  const request = { pending: current, current: async () => client, previous: async () => undefined };
  assert.equal(await single.set({ admin: ROTATOR, ...request }), 'set');
  await single.test(current);
  await rejected(single.test(client), LoginRefused);

  const users = ['client', 'client_clone'] as const;
  const migration = { current, users, rotator: ROTATOR.username };
  assert.equal((await migrateToAlternatingUsers(address, ROTATOR, migration)).outcome, 'migrated');
  const question = { usernames: [...users], addresses: [] };
  const blind = await single.logins(ROTATOR, question);
  assert.equal(blind.from, undefined);
  await run(sql('postgresql-sessions'));
  assert.deepEqual((await single.logins(ROTATOR, question)).from, []);
  for (const username of ['client_clone', 'client']) {
    current = await rotated(address, { kind: 'alternating-users', users }, current, ROTATOR);
    assert.equal(current.username, username);
    await run(
      'INSERT INTO messages VALUES (1); ALTER TABLE messages ADD COLUMN IF NOT EXISTS name TEXT',
      current,
    );
  }
}

/**
 * Sets, tests and retires, and shows that both credentials are valid in between.
 * @param admin @default the user itself
 */
async function rotated(
  address: DatabaseAddress,
  strategy: Strategy,
  current: DatabaseSecret,
  admin?: Login,
): Promise<DatabaseSecret> {
  const rotation = await credentialRotation(address, strategy);
  const pending = secretOf({ username: rotation.nextUsername(current.username), password: randomPassword() });
  const request = { pending, current: async () => current, previous: async () => undefined };
  assert.equal(await rotation.set({ admin: admin ?? current, ...request }), 'set');
  await rotation.test(pending);
  await rotation.test(current);
  const read = async () => ({ current: pending, pending: undefined });
  assert.equal(
    await rotation.retire({ admin: admin ?? pending, username: current.username, read }),
    'retired',
  );
  await rejected(rotation.test(current), LoginRefused);
  await rotation.test(pending);
  return pending;
}
