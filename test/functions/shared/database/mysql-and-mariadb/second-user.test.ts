import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  LoginRefused,
  MissingPrivilege,
  OldPasswordInUse,
  RotationBusy,
  RotationRefused,
} from '../../../../../functions/shared/database/contract/errors.ts';
import type { Migration } from '../../../../../functions/shared/database/contract/migration.ts';
import { randomPassword } from '../../../../../functions/shared/database/credential/password.ts';
import { MARIADB } from '../../../../../functions/shared/database/mariadb/rotation.ts';
import { mysqlDialect } from '../../../../../functions/shared/database/mysql/rotation.ts';
import {
  makeSecondUser,
  unlockBothUsers,
} from '../../../../../functions/shared/database/mysql-and-mariadb/second-user.ts';
import { withMysql } from '../../../../../functions/shared/database/mysql-and-mariadb/session.ts';
import { credentialRotation } from '../../../../../functions/shared/database/registry.ts';
import {
  anyPassword,
  databaseFor,
  mariadbDatabase,
  mysqlDatabase,
} from '../../../rotate-secret/databases.ts';
import { rejected, secretOf } from '../helpers.ts';

/** What an application's user may have been given over the years; `APP` stands for it, on one of its hosts. */
const RICH = {
  both: [
    'ALTER USER APP REQUIRE SSL WITH MAX_USER_CONNECTIONS 50 MAX_QUERIES_PER_HOUR 70000',
    'GRANT SELECT, CREATE ROUTINE ON *.* TO APP',
    'GRANT ALL ON waweb.* TO APP',
    'GRANT INSERT, UPDATE (id) ON elsewhere.things TO APP WITH GRANT OPTION',
    'GRANT SELECT ON `under\\_score`.* TO APP',
    'GRANT EXECUTE ON PROCEDURE waweb.p TO APP',
    "GRANT PROXY ON other@'%' TO APP WITH GRANT OPTION",
    'GRANT reader TO APP',
    'GRANT writer TO APP WITH ADMIN OPTION',
  ],
  mysql: [
    'GRANT BACKUP_ADMIN ON *.* TO APP',
    'GRANT APPLICATION_PASSWORD_ADMIN, FLUSH_TABLES ON *.* TO APP WITH GRANT OPTION',
    'REVOKE SELECT ON mysql.* FROM APP',
    'SET DEFAULT ROLE reader, writer TO APP',
    `ALTER USER APP PASSWORD EXPIRE INTERVAL 900 DAY PASSWORD HISTORY 4 FAILED_LOGIN_ATTEMPTS 9 PASSWORD_LOCK_TIME 2 COMMENT 'it''s ACCOUNT UNLOCK, "APP"?'`,
  ],
  mariadb: ['SET DEFAULT ROLE reader FOR APP', 'ALTER USER APP PASSWORD EXPIRE INTERVAL 900 DAY'],
};

for (const [engine, start, dialect] of [
  ['mysql', mysqlDatabase, mysqlDialect(false)],
  ['mariadb', mariadbDatabase, MARIADB],
] as const)
  test(`${engine}: a second user is made that has all of the first`, async (t) => {
    const database = await databaseFor(t, start, { kind: 'dual-password' });
    if (database === undefined) return;
    const { address, query, rotator, logIn } = database;
    const administrator = { username: 'root_of_all', password: anyPassword() };
    const small = { username: 'small', password: anyPassword() };
    for (const { username, password } of [administrator, small])
      await query('CREATE USER ? IDENTIFIED BY ?', [username, password]);
    await query('GRANT ALL ON *.* TO root_of_all WITH GRANT OPTION');
    await query('GRANT CREATE USER ON *.* TO small');
    await query('GRANT SELECT ON mysql.* TO small');
    await query('CREATE USER other');
    // Nobody here may grant it who does not have it.
    for (const user of ['administrator', administrator.username])
      await query(
        "INSERT INTO mysql.proxies_priv (Host, User, Proxied_host, Proxied_user, With_grant, Grantor) VALUES ('%', ?, '', '', 1, '')",
        [user],
      );
    await query('FLUSH PRIVILEGES');
    if (engine === 'mysql') await query('SET GLOBAL partial_revokes = ON');
    await query('SET GLOBAL sql_quote_show_create = OFF');
    await query('CREATE DATABASE elsewhere');
    await query('CREATE TABLE elsewhere.things (id BIGINT, name TEXT)');
    await query('CREATE DATABASE under_score');
    await query('CREATE PROCEDURE waweb.p() SELECT 1');
    for (const role of ['reader', 'writer']) {
      await query(`CREATE ROLE ${role}`);
      await query(`GRANT ${role} TO root_of_all WITH ADMIN OPTION`);
    }
    await query('GRANT SELECT ON elsewhere.* TO reader');

    const user = { username: "a`p'p $& %", password: anyPassword(), dbname: 'waweb' };
    const second = `${user.username}_clone`;
    const HOSTS = ['%', '10.1.%'];
    for (const host of HOSTS) {
      await query('CREATE USER ?@? IDENTIFIED BY ?', [user.username, host, user.password]);
      const name = `'a\`p\\'p $& %'@'${host}'`;
      for (const statement of [...RICH.both, ...RICH[engine]])
        await query(statement.replace(/(?<!")\bAPP\b/, () => name));
    }
    const migrate = (migration: Partial<Migration> = {}, admin = administrator) =>
      makeSecondUser(address, admin, dialect, { current: user, ...migration });
    const accounts = (username: string) =>
      query('SELECT Host AS host FROM mysql.user WHERE User = ? ORDER BY Host', [username]);
    /** As the server tells it, without password, lock and names. */
    const toldOf = async (username: string) => {
      const told: string[] = [];
      for (const { host } of await accounts(username)) {
        for (const statement of ['SHOW CREATE USER ?@?', 'SHOW GRANTS FOR ?@?'])
          for (const row of await query(statement, [username, host]))
            told.push(
              String(Object.values(row)[0])
                .replace(/ IDENTIFIED (BY PASSWORD|WITH|VIA) .*?(?= REQUIRE| DEFAULT ROLE|$)/s, '')
                .replace(/ ACCOUNT (UN)?LOCK(?!,)/, '')
                .replaceAll(second.replaceAll('`', '``'), () => user.username.replaceAll('`', '``'))
                .replaceAll(second, () => user.username),
            );
      }
      return told.sort();
    };

    await t.test('what would be done is told, and nothing is done', async () => {
      const { outcome, statements, notes } = await migrate({ dryRun: true });
      assert.equal(outcome, 'would-migrate');
      for (const host of HOSTS)
        assert.ok(
          notes.some((note) =>
            new RegExp(
              `^Compared on ${host}: \\d\\d rights on \\d things, .* 2 roles, .* is not there yet\\.$`,
            ).test(note),
          ),
          notes.join('\n'),
        );
      assert.equal(
        statements.filter((statement) => statement.startsWith('CREATE USER')).length,
        HOSTS.length,
      );
      assert.deepEqual(await accounts(second), []);
    });

    await t.test('it is refused where something asks who has logged in', async () => {
      await query('CREATE SQL SECURITY INVOKER VIEW waweb.mine AS SELECT current_user() AS me');
      await query('CREATE TRIGGER waweb.who BEFORE INSERT ON waweb.messages FOR EACH ROW SET @who = USER()');
      await query(
        'CREATE VIEW waweb.own AS SELECT user AS me FROM information_schema.processlist WHERE id = connection_id()',
      );
      await query(
        'CREATE VIEW waweb.thread AS SELECT processlist_user AS me FROM performance_schema.threads WHERE processlist_id = connection_id()',
      );
      // A table of that name.
      await query('CREATE PROCEDURE waweb.adds() INSERT INTO user (id) VALUES (1)');
      // Who has made it, for whoever looks.
      await query('CREATE VIEW waweb.maker AS SELECT current_user() AS me');
      await query(
        'CREATE TABLE waweb.made (who VARCHAR(99) DEFAULT (current_user()), user_id INT DEFAULT 7)',
      );
      await query(
        'CREATE FUNCTION waweb.asks() RETURNS VARCHAR(99) SQL SECURITY INVOKER RETURN CURRENT_USER',
      );
      // MySQL has no such column.
      const virtual = engine === 'mariadb' ? ['column waweb.made.mine'] : [];
      if (engine === 'mariadb')
        await query('ALTER TABLE waweb.made ADD mine VARCHAR(99) AS (current_user()) VIRTUAL');
      const { message } = await rejected(migrate(), RotationRefused);
      const asking = [
        ...virtual,
        'column waweb.made.who',
        'function waweb.asks',
        'trigger waweb.who',
        'view waweb.mine',
        'view waweb.own',
        'view waweb.thread',
      ];
      assert.ok(message.includes(`: ${asking.join('; ')}. Nothing was changed`), message);
      await query('DROP TABLE waweb.made');
      await query('DROP FUNCTION waweb.asks');
      const { notes } = await migrate({ acceptLoginNames: true, dryRun: true });
      assert.match(notes.join(), /view waweb\.mine/);
      await query('DROP TRIGGER waweb.who');
      await query('DROP VIEW waweb.mine');
      await query('DROP VIEW waweb.own');
      await query('DROP VIEW waweb.thread');
      await query('DROP VIEW waweb.maker');
    });

    await t.test('an administrator who may not is told what, and nothing is left', async () => {
      const blind = await rejected(migrate({}, rotator), MissingPrivilege);
      assert.match(blind.message, /GRANT SELECT ON mysql\.\* TO rotator/);
      const { message } = await rejected(migrate({}, small), RotationRefused);
      assert.match(message, /small may not say, .*: GRANT .* WITH GRANT OPTION/s);
      const tried = await rejected(migrate({ dryRun: true }, small), RotationRefused);
      assert.match(tried.message, /\(by its own grants\): GRANT .*; GRANT `reader`.*WITH GRANT OPTION/s);
      assert.ok(!tried.message.includes('CREATE USER `'), tried.message);
      assert.ok(!message.includes(user.password));
      assert.deepEqual(await accounts(second), []);
    });

    await t.test('it has the same hosts, rights, roles and terms, and is locked', async () => {
      const before = await toldOf(user.username);
      assert.equal((await migrate()).outcome, 'migrated');
      assert.deepEqual(await toldOf(user.username), before);
      assert.deepEqual(await toldOf(second), before);
      assert.ok(before.some((line) => line.startsWith('GRANT PROXY ON')));
      for (const { host } of await accounts(second)) {
        const [made] = await query('SHOW CREATE USER ?@?', [second, host]);
        assert.match(String(Object.values(made ?? {})[0]), / ACCOUNT LOCK/);
      }
      await logIn(user);
      const again = await migrate();
      assert.deepEqual([again.outcome, again.statements], ['was-migrated', []]);
    });

    await t.test('the rotation finds nothing missing, and a way back', async () => {
      await query(
        "CREATE DEFINER = 'a`p\\'p $& %'@'%' SQL SECURITY DEFINER VIEW waweb.his AS SELECT id FROM waweb.messages",
      );
      const rotation = await credentialRotation(address, { kind: 'alternating-users' });
      const pending = { ...user, username: second, password: randomPassword() };
      const request = { current: async () => user, previous: async () => undefined };
      assert.equal(await rotation.set({ admin: administrator, pending, ...request }), 'set');
      await rotation.test(pending, async () => user);
      const read = async () => ({ current: secretOf(pending), pending: undefined });
      const retire = (state = read) =>
        rotation.retire({ admin: administrator, username: second, read: state });
      const { promise: until, resolve: end } = Promise.withResolvers<void>();
      const { promise: isOpen, resolve: opened } = Promise.withResolvers<void>();
      const idle = logIn(user, { until: () => until, opened });
      await isOpen;
      const { message } = await rejected(retire(), OldPasswordInUse);
      assert.match(message, /\(1 idle from .*All are idle: a pooler may keep them/);
      end();
      await idle;
      // Another function rotates while it is looked for sessions.
      let reads = 0;
      const rotated = async () => {
        reads += 1;
        return { current: reads === 1 ? secretOf(pending) : secretOf(user), pending: undefined };
      };
      await rejected(retire(rotated), RotationBusy);
      await rotation.test(user);
      assert.equal(await retire(), 'retired');
      await rejected(rotation.test(user), LoginRefused);
      // What runs with the locked one's rights goes on.
      const seen = await withMysql(address, pending, (session) => session.query('SELECT * FROM waweb.his'));
      assert.deepEqual(seen, []);
      await query('DROP VIEW waweb.his');
      const back = { current: pending };
      const unlocked = await unlockBothUsers(address, administrator, dialect, back);
      assert.deepEqual(unlocked, { outcome: 'opened', other: user.username });
      assert.equal((await unlockBothUsers(address, administrator, dialect, back)).outcome, 'was-open');
      await rejected(rotation.test(user), LoginRefused);
      // What AWS's function does next.
      await query(engine === 'mysql' ? 'ALTER USER ? IDENTIFIED BY ?' : 'SET PASSWORD FOR ? = PASSWORD(?)', [
        user.username,
        user.password,
      ]);
      await rotation.test(user);
    });

    await t.test('nothing that somebody has named like something of ours is run by any session', async () => {
      const log = await database.logs();
      const traps: string[] = [];
      const make = async (statement: string) => {
        if (
          await query(statement).then(
            () => true,
            () => false,
          )
        )
          traps.push(statement);
      };
      await query('CREATE TABLE waweb.trapped (id INT)');
      // His, in the database that containers log in to: what he may do, whoever calls it.
      await query('CREATE USER mallory');
      await query('GRANT ALL ON waweb.* TO mallory');
      const trap = 'BEGIN INSERT INTO waweb.trapped VALUES (1); RETURN 1; END';
      for (const name of namesIn(log, /\b([a-z_]+)\(/gi))
        await make(`CREATE DEFINER = mallory FUNCTION waweb.\`${name}\`() RETURNS INT ${trap}`);
      for (const name of namesIn(log, /\b(?:information_schema|performance_schema|mysql)\.([a-z_]+)/gi))
        await make(`CREATE DEFINER = mallory VIEW waweb.\`${name}\` AS SELECT waweb.\`count\`() AS trapped`);
      for (const name of ['COUNT', 'CURRENT_USER', 'PROCESSLIST', 'TABLES'])
        assert.ok(
          traps.some((statement) => statement.includes(`\`${name}\``)),
          name,
        );
      const trapped = async () => (await query('SELECT id FROM waweb.trapped')).length;
      await query('SELECT waweb.`count`()');
      assert.equal(await trapped(), 1);
      await query('TRUNCATE waweb.trapped');

      const rotation = await credentialRotation(
        { ...address, database: 'waweb' },
        { kind: 'alternating-users' },
      );
      const [first] = await query('SHOW GRANTS FOR mallory');
      const current = { ...user, username: second, password: anyPassword() };
      const locked = { ...user, password: anyPassword() };
      for (const { host } of await accounts(second))
        await query('ALTER USER ?@? IDENTIFIED BY ? ACCOUNT UNLOCK', [second, host, current.password]);
      const admin = administrator;
      const read = async () => ({ current, pending: undefined });
      await rotation.retire({ admin, username: second, read });
      const request = { current: async () => current, previous: async () => undefined };
      await rotation.set({ admin, pending: locked, ...request });
      await rotation.test(locked, async () => current);
      await rotation.sessions(admin, second);
      await rotation.logins(admin, { usernames: [second], addresses: [] });
      await rotation.refusedLogins(admin);
      await rotation.preflight(admin, current);
      assert.equal((await migrate({ current, acceptLoginNames: true })).outcome, 'was-migrated');
      assert.equal(await trapped(), 0);
      assert.deepEqual((await query('SHOW GRANTS FOR mallory'))[0], first);
    });

    await t.test('one that there is gets what it lacks, and is refused where it has more hosts', async () => {
      const one = { username: 'shop', password: anyPassword() };
      await query('CREATE USER shop IDENTIFIED BY ? REQUIRE SSL', [one.password]);
      await query('GRANT SELECT ON waweb.* TO shop');
      await query('GRANT reader TO shop');
      await query(`SET DEFAULT ROLE reader ${engine === 'mysql' ? 'TO' : 'FOR'} shop`);
      // As AWS's functions leave it: open, its grants played again, without a default role.
      await query('CREATE USER shop_clone IDENTIFIED BY ? WITH MAX_USER_CONNECTIONS 5', [anyPassword()]);
      await query('GRANT reader TO shop_clone');
      const { outcome, statements, notes } = await migrate({ current: one });
      assert.equal(outcome, 'migrated');
      assert.deepEqual(statements, [
        'ALTER USER `shop_clone`@`%` REQUIRE SSL WITH MAX_USER_CONNECTIONS 0',
        'GRANT SELECT ON `waweb`.* TO `shop_clone`@`%`',
        engine === 'mysql'
          ? 'SET DEFAULT ROLE `reader`@`%` TO `shop_clone`@`%`'
          : 'SET DEFAULT ROLE `reader` FOR `shop_clone`@`%`',
      ]);
      assert.match(notes.join(), /shop_clone may log in beside shop\. The next run/);
      assert.equal((await migrate({ current: one })).outcome, 'was-migrated');
      if (engine === 'mysql') {
        await query('GRANT INSERT ON *.* TO shop');
        await query('GRANT INSERT ON *.* TO shop_clone');
        await query('REVOKE INSERT ON elsewhere.* FROM shop_clone');
        const revoked = await migrate({ current: one });
        assert.deepEqual(revoked.statements, ['GRANT INSERT ON `elsewhere`.* TO `shop_clone`@`%`']);
        assert.equal((await migrate({ current: one })).outcome, 'was-migrated');
      }
      // The server goes by the nearest name of a database.
      await query('GRANT ALL ON `else%`.* TO shop');
      await query('GRANT SELECT ON elsewhere.* TO shop_clone');
      const narrow = await rejected(migrate({ current: one }), RotationRefused);
      await query(/REVOKE ALL .*?(?=\. Then)/.exec(narrow.message)?.[0] ?? '');
      assert.equal((await migrate({ current: one })).outcome, 'migrated');
      await query("CREATE USER shop_clone@'10.9.%'");
      const { message } = await rejected(migrate({ current: one }), RotationRefused);
      assert.match(message, /DROP USER `shop_clone`@`10\.9\.%`/);
    });

    await t.test(
      'an account of it on a host of its own stays closed, for nobody is let in there now',
      async () => {
        const one = { username: 'near', password: anyPassword() };
        await query("CREATE USER near@'127.0.0.%' IDENTIFIED BY ?", [one.password]);
        await query("GRANT SELECT ON waweb.* TO near@'127.0.0.%'");
        for (const host of ['127.0.0.%', '10.9.%'])
          await query('CREATE USER near_clone@? IDENTIFIED BY ?', [host, anyPassword()]);
        const { outcome, notes } = await migrate({ current: one });
        assert.equal(outcome, 'migrated');
        assert.match(notes.join('\n'), /near_clone has an account on 10\.9\.% too, .* closes it\.$/m);
        const rotation = await credentialRotation(address, { kind: 'alternating-users' });
        let current = secretOf(one);
        const retire = () =>
          rotation.retire({
            admin: administrator,
            username: 'near',
            read: async () => ({ current, pending: undefined }),
          });
        assert.equal(await retire(), 'retired');
        for (const username of ['near_clone', 'near', 'near_clone']) {
          const pending = secretOf({ username, password: randomPassword() });
          const previous = async () => undefined;
          const request = { admin: administrator, pending, current: async () => current, previous };
          assert.equal(await rotation.set(request), 'set');
          await rotation.test(pending, async () => current);
          current = pending;
          assert.equal(await retire(), 'retired');
          assert.equal(await rotation.retained(administrator, current), false);
          const [made] = await query("SHOW CREATE USER near_clone@'10.9.%'");
          assert.match(String(Object.values(made ?? {})[0]), / ACCOUNT LOCK/);
        }
        assert.equal((await migrate({ current })).outcome, 'was-migrated');
      },
    );
  });

function namesIn(log: string, pattern: RegExp): Set<string> {
  return new Set([...log.matchAll(pattern)].map(([, name = '']) => name.toUpperCase()));
}
