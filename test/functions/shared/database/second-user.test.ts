import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Login } from '../../../../functions/shared/database/contract/engine.ts';
import { RotationRefused } from '../../../../functions/shared/database/contract/errors.ts';
import { credentialRotation } from '../../../../functions/shared/database/registry.ts';
import { anyPassword, databaseFor, mariadbDatabase, mysqlDatabase } from '../../rotate-secret/databases.ts';
import { rejected, secretOf } from './helpers.ts';

for (const [engine, start] of [
  ['mysql', mysqlDatabase],
  ['mariadb', mariadbDatabase],
] as const)
  test(`${engine}: a second user that cannot do what the first one can is refused with what mends it`, async (t) => {
    const database = await databaseFor(t, start, { kind: 'dual-password' });
    if (database === undefined) return;
    const { address, query, rotator } = database;
    const rotation = await credentialRotation(address, { kind: 'alternating-users' });
    await query('CREATE TABLE waweb.chats (id BIGINT, name TEXT)');
    await query('CREATE ROLE reader');
    await query('GRANT SELECT ON waweb.* TO reader');
    const defaultRole = (role: string, name: string) =>
      query(`SET DEFAULT ROLE ${role} ${engine === 'mysql' ? 'TO' : 'FOR'} ${name}@'%'`);

    let number = 0;
    /** A first user with what the statements give, a second one with what the others do, and both as they log in. */
    const pair = async (first: string[], second: string[], options = ['', '']) => {
      number += 1;
      const one = { username: `user${number}`, password: anyPassword() };
      const other = { username: `user${number}_clone`, password: anyPassword() };
      for (const [index, { username, password }] of [one, other].entries()) {
        await query(`CREATE USER ${username}@'%' IDENTIFIED BY '${password}' ${options[index]}`);
        for (const statement of index === 0 ? first : second)
          await query(
            `${statement} ${username}@'%'`.replace(/ WITH GRANT OPTION (\S+)$/, ' $1 WITH GRANT OPTION'),
          );
      }
      return { one, other };
    };
    const prove = ({ one, other }: { one: Login; other: Login }) =>
      rotation.test({ ...other, dbname: 'waweb' }, async () => ({ ...one, dbname: 'waweb' }));

    const CASES: [what: string, first: string[], second: string[], mends: RegExp, options?: string[]][] = [
      [
        'a privilege',
        ['GRANT SELECT, INSERT ON waweb.* TO'],
        ['GRANT SELECT ON waweb.* TO'],
        /: GRANT INSERT ON `waweb`\.\* TO `user\d_clone`@`%`$/,
      ],
      [
        'a column and the right to pass it on',
        [
          'GRANT SELECT ON waweb.* TO',
          'GRANT UPDATE (name) ON waweb.chats TO',
          'GRANT SELECT ON waweb.messages TO WITH GRANT OPTION',
        ],
        ['GRANT SELECT ON waweb.* TO'],
        /GRANT UPDATE \(`?name`?\) ON `waweb`\.`chats` TO .*|GRANT USAGE ON `waweb`\.`messages` TO .* WITH GRANT OPTION/,
      ],
      [
        'the right to log in into the database',
        ['GRANT ALL ON waweb.* TO'],
        [],
        /database|GRANT ALL PRIVILEGES ON `waweb`/,
      ],
      [
        'its terms',
        ['GRANT SELECT ON waweb.* TO'],
        ['GRANT SELECT ON waweb.* TO'],
        /: ALTER USER `user\d_clone`@`%` REQUIRE SSL WITH MAX_USER_CONNECTIONS 50 MAX_QUERIES_PER_HOUR 0$/,
        ['REQUIRE SSL WITH MAX_USER_CONNECTIONS 50', 'WITH MAX_QUERIES_PER_HOUR 9000'],
      ],
    ];
    for (const [what, first, second, mends, options] of CASES)
      await t.test(`lacks ${what}`, async () => {
        const users = await pair(first, second, options);
        const error = await rejected(prove(users), Error);
        assert.match(error.message, mends);
        for (const { password } of [users.one, users.other]) assert.ok(!error.message.includes(password));
        if (!(error instanceof RotationRefused)) return;
        const [, statements = ''] = /mends it: (.*)$/.exec(error.message) ?? [];
        for (const statement of statements.split('; ')) await query(statement);
        await prove(users);
      });

    await t.test('has the role, and not as its default one', async () => {
      const users = await pair(['GRANT reader TO'], ['GRANT reader TO', 'GRANT USAGE ON waweb.* TO']);
      await defaultRole('reader', users.one.username);
      // It may enter the database otherwise, and read nothing there.
      await query(`GRANT INSERT ON waweb.* TO ${users.other.username}@'%'`);
      const error = await rejected(prove(users), RotationRefused);
      assert.match(error.message, /mends it: SET DEFAULT ROLE `reader`\S* (TO|FOR) `user\d_clone`@`%`$/);
      const [, statement = ''] = /mends it: (.*)$/.exec(error.message) ?? [];
      await query(statement);
      await prove(users);
    });

    await t.test('has more: that is no loss', async () => {
      await prove(await pair(['GRANT SELECT ON waweb.messages TO'], ['GRANT ALL ON waweb.* TO']));
    });

    await t.test(
      'lacks something: an administrator who may see it refuses before anything is changed',
      async () => {
        const admin = { username: 'seeing', password: anyPassword() };
        await query('CREATE USER seeing IDENTIFIED BY ?', [admin.password]);
        await query('GRANT CREATE USER ON *.* TO seeing');
        await query('GRANT SELECT ON mysql.* TO seeing');
        const { one, other } = await pair(
          ['GRANT SELECT, INSERT ON elsewhere.* TO', 'GRANT reader TO'],
          ['GRANT SELECT ON elsewhere.* TO'],
        );
        await query('CREATE ROLE inner_role');
        await query('GRANT UPDATE ON elsewhere.* TO inner_role');
        await query('GRANT inner_role TO reader');
        await defaultRole('reader', one.username);
        await query(`ALTER USER ${other.username}@'%' ACCOUNT LOCK`);
        const pending = secretOf({ ...other, password: anyPassword() });
        const set = () =>
          rotation.set({
            admin,
            pending,
            current: async () => secretOf(one),
            previous: async () => undefined,
          });
        const { message } = await rejected(set(), RotationRefused);
        assert.match(
          message,
          /Nothing was changed\. An administrator mends it: GRANT `reader`\S* TO .*; SET DEFAULT ROLE/,
        );
        await assert.rejects(database.logIn(pending));
        // The rights may come otherwise.
        await query(`GRANT SELECT ON waweb.* TO ${other.username}@'%'`);
        await query(`GRANT INSERT ON elsewhere.* TO ${other.username}@'%'`);
        assert.match((await rejected(set(), RotationRefused)).message, /mends it: GRANT `reader`/);
        await query(`GRANT UPDATE ON elsewhere.* TO ${other.username}@'%'`);
        assert.equal(await set(), 'set');
        await query('REVOKE inner_role FROM reader');
      },
    );

    await t.test(
      'lacks something: where the administrator may not see it, sessions of the two tell, and it is closed again',
      async () => {
        const { one, other } = await pair(
          ['GRANT SELECT, INSERT ON waweb.* TO'],
          ['GRANT SELECT ON waweb.* TO'],
        );
        await query(`ALTER USER ${other.username}@'%' ACCOUNT LOCK`);
        const pending = secretOf({ ...other, password: anyPassword() });
        const current = async () => secretOf(one);
        const request = { admin: rotator, pending, current, previous: async () => undefined };
        const { message } = await rejected(rotation.set(request), RotationRefused);
        assert.match(message, /mends it: GRANT INSERT ON `waweb`/);
        await assert.rejects(database.logIn(pending));
        assert.equal(await rotation.retained(rotator, secretOf(one)), false);
        const [, statement = ''] = /mends it: (.*)$/.exec(message) ?? [];
        await query(statement);
        assert.equal(await rotation.set(request), 'set');
      },
    );

    await t.test('lacks a host: nothing is changed', async () => {
      const { one, other } = await pair(['GRANT SELECT ON waweb.* TO'], ['GRANT SELECT ON waweb.* TO']);
      await query(`CREATE USER ${one.username}@'10.1.%' IDENTIFIED BY '${one.password}'`);
      await query(`ALTER USER ${other.username}@'%' ACCOUNT LOCK`);
      const current = secretOf(one);
      const pending = secretOf({ ...other, password: anyPassword() });
      const error = await rejected(
        rotation.set({
          admin: rotator,
          pending,
          current: async () => current,
          previous: async () => undefined,
        }),
        RotationRefused,
      );
      assert.match(
        error.message,
        /no user user\d_clone on 10\.1\.% .*CREATE USER `user\d_clone`@`10\.1\.%` .* ACCOUNT LOCK/,
      );
      assert.ok(!error.message.includes(one.password));
      await assert.rejects(database.logIn(pending));
    });
  });
