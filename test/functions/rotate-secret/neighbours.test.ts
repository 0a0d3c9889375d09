import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Login } from '../../../functions/shared/database/contract/engine.ts';
import { RotationRefused } from '../../../functions/shared/database/contract/errors.ts';
import type { Strategy } from '../../../functions/shared/database/contract/rotation.ts';
import { MARIADB } from '../../../functions/shared/database/mariadb/rotation.ts';
import { mysqlDialect } from '../../../functions/shared/database/mysql/rotation.ts';
import {
  makeSecondUser,
  unlockBothUsers,
} from '../../../functions/shared/database/mysql-and-mariadb/second-user.ts';
import { migrateToAlternatingUsers } from '../../../functions/shared/database/postgres/migration.ts';
import { scramVerifier } from '../../../functions/shared/database/postgres/scram.ts';
import { openBothUsers } from '../../../functions/shared/database/postgres/undo-migration.ts';
import { rejected } from '../shared/database/helpers.ts';
import { startContainers } from './containers.ts';
import {
  anyPassword,
  databaseFor,
  mariadbDatabase,
  mysqlDatabase,
  postgresDatabase,
  type TestDatabase,
} from './databases.ts';
import { rotationBench } from './rotation-tests.ts';

/**
 * What AWS's published functions do to a database (commit b4b8eca of aws-secrets-manager-rotation-lambdas), each statement as
 * theirs: those of SecretsManagerRDS…RotationMultiUser for the first clone and its later passwords, and …SingleUser.
 */
const THEIRS = {
  mysql: {
    clone: async ({ query, user }: TestDatabase, { username, password }: Login) => {
      await query('CREATE USER ? IDENTIFIED BY ?', [username, password]);
      for (const row of await query('SHOW GRANTS FOR ?', [user.username]))
        await query(`${String(Object.values(row)[0]).split(' TO ')[0]} TO ?`, [username]);
      await query('ALTER USER ? REQUIRE NONE', [username]);
    },
    setPassword: ({ query }: TestDatabase, { username, password }: Login) =>
      query('SET PASSWORD FOR ? = ?', [username, password]),
  },
  mariadb: {
    clone: async ({ query, user }: TestDatabase, { username, password }: Login) => {
      for (const row of await query('SHOW GRANTS FOR ?', [user.username]))
        await query(`${String(Object.values(row)[0]).split(' TO ')[0]} TO ? IDENTIFIED BY ?`, [
          username,
          password,
        ]);
      await query("ALTER USER ?@'%' REQUIRE NONE", [username]);
    },
    setPassword: ({ query }: TestDatabase, { username, password }: Login) =>
      query('GRANT USAGE ON *.* TO ? IDENTIFIED BY ?', [username, password]),
  },
  postgres: {
    clone: async ({ query, user, logIn }: TestDatabase, { username, password }: Login) => {
      await query(`CREATE ROLE ${username} WITH LOGIN PASSWORD '${password}'`);
      await query(`GRANT ${user.username} TO ${username}`);
      await logIn({ username, password });
    },
    setPassword: ({ query }: TestDatabase, { username, password }: Login) =>
      query(`ALTER USER ${username} WITH PASSWORD '${password}'`),
  },
};

for (const [engine, start] of [
  ['mysql', mysqlDatabase],
  ['mariadb', mariadbDatabase],
  ['postgres', postgresDatabase],
] as const)
  test(`${engine}: from AWS's functions to ours and back`, async (t) => {
    const isPostgres = engine === 'postgres';
    const single: Strategy = isPostgres ? { kind: 'single-password', user: 'wa' } : { kind: 'dual-password' };
    const database = await databaseFor(t, start, single);
    if (database === undefined) return;
    const theirs = THEIRS[engine];
    const { query, address } = database;
    let user = database.user;

    await t.test('with one user they take turns where nothing is left to retire', async () => {
      const { versions, runSteps, retire } = await rotationBench(t, database);
      for (let round = 0; round < 2; round += 1) {
        await runSteps(versions.beginRotation());
        await retire();
        const old = versions.read('AWSCURRENT');
        await database.logIn(old);
        user = { ...old, password: anyPassword() };
        await theirs.setPassword(database, user);
        // The one of these tests' hosts of which theirs does not know.
        if (engine === 'mariadb') await query("ALTER USER wa@'10.0.0.%' IDENTIFIED BY ?", [user.password]);
        versions.put({ SecretString: JSON.stringify({ ...old, ...user }) });
        await database.logIn(user);
        await assert.rejects(database.logIn(old));
      }
    });

    await t.test('with alternating users, without a refused login', async () => {
      const administrator = await administratorOf(database);
      const clone = { username: 'wa_clone', password: anyPassword() };
      if (engine === 'mariadb') {
        await assert.rejects(theirs.clone(database, clone), { errno: 1064, sql: /^SET DEFAULT ROLE/ });
        await query('DROP USER wa_clone');
      }
      if (!isPostgres)
        for (const { host } of await query("SELECT Host AS host FROM mysql.user WHERE User = 'wa'")) {
          await query('GRANT ALL ON waweb.* TO wa@?', [host]);
          if (engine === 'mariadb') await query('SET DEFAULT ROLE NONE FOR wa@?', [host]);
        }
      await theirs.clone(database, clone);

      // Its turn has come, and some containers still have the password before.
      const users: [string, string] = ['wa', 'wa_clone'];
      const strategy = { kind: 'alternating-users' as const, users };
      const { versions, runSteps, retire } = await rotationBench(t, { ...database, user: clone, strategy });
      const containers = startContainers(() => versions.read('AWSCURRENT'), database.logIn);
      const before = startContainers(() => user, database.logIn);
      t.after(() => Promise.all([containers.stop(), before.stop()]));
      const dialect = engine === 'mysql' ? mysqlDialect(false) : MARIADB;
      const migrate = () =>
        isPostgres
          ? migrateToAlternatingUsers(address, administrator, { current: clone, users, rotator: 'rotator' })
          : makeSecondUser(address, administrator, dialect, { current: clone, users });
      if (engine === 'mariadb') {
        // Of which theirs has made no second one.
        const { message } = await rejected(migrate(), RotationRefused);
        await query(/DROP USER \S+/.exec(message)?.[0].replace(/\.$/, '') ?? '');
      }
      const { outcome } = await migrate();
      assert.match(outcome, /^(was-)?migrated$/);
      await before.stop();
      assert.deepEqual(before.logins.reasons, []);
      // The first run of credential-rotation closes the one, the next ones rotate.
      assert.equal(await retire(), 'retired');
      for (let round = 0; round < 2; round += 1) {
        await runSteps(versions.beginRotation());
        await containers.roll();
        assert.equal(await retire(), 'retired');
      }
      const current = versions.read('AWSCURRENT');
      assert.equal(current.username, 'wa_clone');
      await assert.rejects(database.logIn(user));

      const opened = isPostgres
        ? await openBothUsers(address, administrator, { current, users })
        : await unlockBothUsers(address, administrator, dialect, { current, users });
      assert.deepEqual(opened, { outcome: 'opened', other: 'wa' });
      const next = { username: 'wa', password: anyPassword() };
      await theirs.setPassword(database, next);
      await database.logIn(next);
      await containers.stop();
      assert.deepEqual(containers.logins.reasons, []);
      assert.ok(containers.logins.made > 5);
    });
  });

/** Somebody who may do everything, with a login of his own. */
async function administratorOf({ query, address }: TestDatabase): Promise<Login> {
  const login = { username: 'everything', password: anyPassword() };
  if (address.engine === 'postgres') {
    await query(`CREATE ROLE everything SUPERUSER LOGIN PASSWORD '${scramVerifier(login.password)}'`);
  } else {
    await query('CREATE USER everything IDENTIFIED BY ?', [login.password]);
    await query('GRANT ALL ON *.* TO everything WITH GRANT OPTION');
  }
  return login;
}
