import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Login } from '../../../../../functions/shared/database/contract/engine.ts';
import {
  DatabaseReadOnly,
  DatabaseUnreachable,
  LoginRefused,
  MissingPrivilege,
  OldPasswordInUse,
  RotationBusy,
  RotationRefused,
  StatementRefused,
} from '../../../../../functions/shared/database/contract/errors.ts';
import type { Strategy } from '../../../../../functions/shared/database/contract/rotation.ts';
import { randomPassword } from '../../../../../functions/shared/database/credential/password.ts';
import { withMysqlLock } from '../../../../../functions/shared/database/mysql-and-mariadb/session.ts';
import { credentialRotation } from '../../../../../functions/shared/database/registry.ts';
import { anyPassword, databaseFor, mysqlDatabase } from '../../../rotate-secret/databases.ts';
import { grantIn, knowingCurrent, rejected, secretOf } from '../helpers.ts';
import { logOfEarlierLife, testLogins } from './logins-tests.ts';

test('MySQL', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'error-log-'));
  t.after(() => rm(folder, { recursive: true }));
  const log = join(folder, 'error.log');
  await writeFile(log, logOfEarlierLife());
  const start = (strategy: Strategy) => mysqlDatabase(strategy, { options: [`--log-error=${log}`] });
  const database = await databaseFor(t, start, { kind: 'dual-password' });
  if (database === undefined) return;
  const { address, query, logIn, rotator } = database;
  const rotation = knowingCurrent(await credentialRotation(address, { kind: 'dual-password' }));
  const previous = async () => undefined;
  let number = 0;
  /** A new user with a password, on two hosts. */
  const user = async (password = anyPassword()) => {
    number += 1;
    const username = `user${number}`;
    for (const host of ['%', '10.0.0.%']) {
      await query('CREATE USER ?@? IDENTIFIED BY ?', [username, host, password]);
      await query('GRANT SELECT ON waweb.* TO ?@?', [username, host]);
    }
    return secretOf({ username, password });
  };
  const next = ({ username }: Login) => secretOf({ username, password: randomPassword() });
  const expectBoth = async (...logins: Login[]) => {
    for (const login of logins) await logIn(login);
  };
  const secondaries = (username: string) =>
    query("SELECT User_attributes->>'$.additional_password' AS hash FROM mysql.user WHERE User = ?", [
      username,
    ]);

  await t.test('changes all accounts of a user, by one statement', async () => {
    const current = await user();
    const pending = next(current);
    assert.equal(await rotation.set({ admin: rotator, current, pending, previous }), 'set');
    const rows = await secondaries(current.username);
    assert.equal(rows.length, 2);
    assert.ok(rows.every(({ hash }) => typeof hash === 'string'));
    const statements = (await database.logs()).split('\n').filter((line) => line.includes('RETAIN CURRENT'));
    assert.equal(statements.filter((line) => line.includes(`'${current.username}'@`)).length, 1);
  });

  await t.test('of two attempts at once, one sets and the other finds it set', async () => {
    const current = await user();
    const pending = next(current);
    const request = { admin: rotator, current, pending, previous };
    const outcomes = await Promise.all([rotation.set(request), rotation.set(request)]);
    assert.deepEqual(outcomes.sort(), ['set', 'was-set']);
    await expectBoth(current, pending);
  });

  await t.test('makes the current password valid again after somebody retained twice', async () => {
    const current = await user();
    const pending = next(current);
    for (let twice = 0; twice < 2; twice += 1) {
      for (const host of ['%', '10.0.0.%']) {
        await query('ALTER USER ?@? IDENTIFIED BY ? RETAIN CURRENT PASSWORD', [
          current.username,
          host,
          pending.password,
        ]);
      }
    }
    await assert.rejects(logIn(current));
    assert.equal(await rotation.set({ admin: rotator, current, pending, previous }), 'healed');
    await expectBoth(current, pending);
    // The old one is the secondary: what the retirement drops.
    const retired = await rotation.retire({
      admin: rotator,
      username: current.username,
      read: async () => ({ current: pending, pending: undefined }),
    });
    assert.equal(retired, 'retired');
    await expectBoth(pending);
    await assert.rejects(logIn(current));
  });

  await t.test('takes a host that was added since, with the old password, along', async () => {
    const current = await user();
    const pending = next(current);
    await rotation.set({ admin: rotator, current, pending, previous });
    await query("CREATE USER ?@'192.168.0.%' IDENTIFIED BY ?", [current.username, current.password]);
    assert.equal(await rotation.set({ admin: rotator, current, pending, previous }), 'set');
    assert.equal((await secondaries(current.username)).filter(({ hash }) => hash !== null).length, 3);
    await expectBoth(current, pending);
  });

  await t.test(
    "a secret that names a user without knowing its password changes nobody's password",
    async () => {
      const victim = await user();
      const guess = next(victim);
      await rejected(
        rotation.set({ admin: rotator, current: guess, pending: next(victim), previous }),
        LoginRefused,
      );
      const alternating = knowingCurrent(await credentialRotation(address, { kind: 'alternating-users' }));
      const clone = { username: `${victim.username}_clone`, password: anyPassword() };
      assert.equal(alternating.nextUsername(clone.username), victim.username);
      await rejected(
        alternating.set({ admin: rotator, current: secretOf(clone), pending: next(victim), previous }),
        LoginRefused,
      );
      await expectBoth(victim);
    },
  );

  await t.test('retires what an abandoned rotation left, and never the password in use', async () => {
    const current = await user();
    await rotation.set({ admin: rotator, current, pending: next(current), previous });
    const retired = await rotation.retire({
      admin: rotator,
      username: current.username,
      read: async () => ({ current, pending: undefined }),
    });
    assert.equal(retired, 'retired');
    await expectBoth(current);
    assert.equal(await rotation.retained(rotator, current), false);
  });

  await t.test(
    'does not retire when the secret holds a password that the database does not know',
    async () => {
      const current = await user();
      const pending = next(current);
      await rotation.set({ admin: rotator, current, pending, previous });
      await rejected(
        rotation.retire({
          admin: rotator,
          username: current.username,
          read: async () => ({ current: next(current), pending: undefined }),
        }),
        LoginRefused,
      );
      await expectBoth(current, pending);
    },
  );

  await t.test('any password in use is quoted, also where backslashes do not escape', async () => {
    const mode = await query('SELECT @@GLOBAL.sql_mode AS mode');
    for (const extra of ['', ',NO_BACKSLASH_ESCAPES,ANSI_QUOTES']) {
      await query('SET GLOBAL sql_mode = ?', [`${mode[0]?.mode}${extra}`]);
      const current = await user(`${anyPassword()}'"\\' OR 1 -- \``);
      await rotation.set({ admin: rotator, current, pending: next(current), previous });
      // Abandoned: healing needs the current password in a statement.
      const pending = next(current);
      assert.equal(await rotation.set({ admin: rotator, current, pending, previous }), 'healed');
      await expectBoth(current, pending);
    }
    await query('SET GLOBAL sql_mode = ?', [mode[0]?.mode]);
  });

  await t.test(
    'the default password satisfies validate_password; one that does not is refused by name',
    async () => {
      await query("INSTALL COMPONENT 'file://component_validate_password'");
      const current = await user();
      assert.equal(await rotation.set({ admin: rotator, current, pending: next(current), previous }), 'set');
      const other = await user();
      const weak = secretOf({ ...other, password: 'onlylowercase' });
      const error = await rejected(
        rotation.set({ admin: rotator, current: other, pending: weak, previous }),
        StatementRefused,
      );
      assert.match(error.message, /policy/);
      assert.doesNotMatch(error.message, /onlylowercase/);
      await query("UNINSTALL COMPONENT 'file://component_validate_password'");
    },
  );

  await t.test(
    'a user changes its own password; each grant that is missing is named, and is enough',
    async () => {
      const password = anyPassword();
      const own = secretOf({ username: 'own', password });
      const pending = next(own);
      await query("CREATE USER own@'%' IDENTIFIED BY ?", [password]);
      await query("GRANT SELECT ON waweb.* TO own@'%'");
      for (const privilege of [
        /SELECT \(User, Host, plugin, authentication_string, account_locked, User_attributes\)/,
        /APPLICATION_PASSWORD_ADMIN/,
      ]) {
        const error = await rejected(
          rotation.set({ admin: own, current: own, pending, previous }),
          MissingPrivilege,
        );
        assert.match(error.message, privilege);
        await query(grantIn(error));
      }
      assert.equal(await rotation.set({ admin: own, current: own, pending, previous }), 'set');
      await expectBoth(own, pending);
      const read = async () => ({ current: pending, pending: undefined });
      assert.equal(await rotation.retire({ admin: pending, username: 'own', read }), 'retired');
      await assert.rejects(logIn(own));
    },
  );

  await t.test('an administrator who may not change users is told the grant, and it is enough', async () => {
    const admin = { username: 'weak', password: anyPassword() };
    await query("CREATE USER weak@'%' IDENTIFIED BY ?", [admin.password]);
    await query(
      "GRANT SELECT (User, Host, plugin, authentication_string, account_locked, User_attributes) ON mysql.user TO weak@'%'",
    );
    const current = await user();
    const request = { admin, current, pending: next(current), previous };
    await query(grantIn(await rejected(rotation.set(request), MissingPrivilege)));
    assert.equal(await rotation.set(request), 'set');
  });

  await t.test(
    'a connection that the server ends meanwhile is an error, and not the end of the process',
    async () => {
      const { set } = await credentialRotation(address, { kind: 'dual-password' });
      const current = await user();
      const pending = next(current);
      const cut = async () => {
        const sessions = await query(
          "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = 'rotator'",
        );
        for (const { id } of sessions) await query('KILL ?', [id]);
        // Long enough for the end to arrive while nobody waits for an answer.
        await delay(100);
        return current;
      };
      await rejected(set({ admin: rotator, pending, current: cut, previous }), DatabaseUnreachable);
      await expectBoth(current);
      assert.equal(await rotation.set({ admin: rotator, current, pending, previous }), 'set');
    },
  );

  await t.test('an account that logs in by something else than a password is refused', async () => {
    await query("INSTALL PLUGIN mysql_no_login SONAME 'mysql_no_login.so'");
    await query("CREATE USER passwordless@'%' IDENTIFIED WITH mysql_no_login");
    const current = secretOf({ username: 'passwordless', password: anyPassword() });
    const error = await rejected(
      rotation.set({ admin: rotator, current, pending: next(current), previous }),
      RotationRefused,
    );
    assert.match(error.message, /mysql_no_login/);
  });

  await t.test('a user that is not there is refused', async () => {
    const current = secretOf({ username: 'nobody', password: anyPassword() });
    await rejected(
      rotation.set({ admin: rotator, current, pending: next(current), previous }),
      RotationRefused,
    );
  });

  await t.test('waits for the lock of the credential, and gives up with the reason', async () => {
    const current = await user();
    const release = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const holder = withMysqlLock(address, rotator, current.username, () => {
      held.resolve();
      return release.promise;
    });
    await held.promise;
    const attempt = () => withMysqlLock(address, rotator, current.username, async () => {}, 0);
    assert.match(
      (await rejected(attempt(), RotationBusy)).message,
      /holds its lock: the connection \d+ of rotator from \S+\. .* KILL \d+$/,
    );
    const waiting = rotation.retained(rotator, current);
    while (
      (await query("SELECT ID FROM information_schema.PROCESSLIST WHERE STATE = 'User lock'")).length === 0
    )
      await delay(10);
    release.resolve();
    await holder;
    assert.equal(await waiting, false);
  });

  await testLogins(t, { database, rotation, user, next });

  await t.test(
    'a history of passwords is warned of, for it has no rotation put right; the way out is told, and is one',
    async () => {
      const current = await user();
      const { username } = current;
      const hosts = ['%', '10.0.0.%'];
      await query("GRANT SELECT (Password_reuse_history, Password_reuse_time) ON mysql.user TO rotator@'%'");
      for (const host of hosts) {
        await query('ALTER USER ?@? IDENTIFIED BY ? PASSWORD HISTORY 5', [username, host, current.password]);
        // A password that only a rotation knew that was given up.
        await query('ALTER USER ?@? IDENTIFIED BY ? RETAIN CURRENT PASSWORD', [
          username,
          host,
          anyPassword(),
        ]);
      }
      const [warning = ''] = await rotation.preflight(rotator, current);
      assert.match(warning, /history of the passwords of .*3638/);
      const request = { admin: rotator, current, pending: next(current), previous };
      assert.match((await rejected(rotation.set(request), StatementRefused)).message, /PASSWORD HISTORY 0/);
      await query(/ALTER USER .* DAY/.exec(warning)?.[0] ?? '');
      assert.equal(await rotation.set(request), 'healed');
      await rotation.test(current);
    },
  );

  await t.test(
    'a server that has become read-only is told as that, and the rotation goes on when it no longer is',
    async () => {
      const current = await user();
      const request = { admin: rotator, current, pending: next(current), previous };
      await query('SET GLOBAL super_read_only = ON');
      assert.match(
        (await rejected(rotation.set(request), DatabaseReadOnly)).message,
        /read-only .*address of the writer/,
      );
      await query('SET GLOBAL super_read_only = OFF');
      await query('SET GLOBAL read_only = OFF');
      assert.equal(await rotation.set(request), 'set');
    },
  );

  await t.test('a retained password that nobody here knows is taken for one in use', async () => {
    const current = await user();
    for (const host of ['%', '10.0.0.%']) {
      await query('ALTER USER ?@? IDENTIFIED BY ? RETAIN CURRENT PASSWORD', [
        current.username,
        host,
        anyPassword(),
      ]);
      await query('ALTER USER ?@? IDENTIFIED BY ? RETAIN CURRENT PASSWORD', [
        current.username,
        host,
        current.password,
      ]);
    }
    await rejected(
      rotation.set({ admin: rotator, current, pending: next(current), previous }),
      OldPasswordInUse,
    );
    assert.equal(await rotation.retained(rotator, current), true);
  });

  await t.test(
    'a certificate of another authority, an address and a dead port are not connected to',
    async () => {
      const elsewhere = { ...address, certificateAuthority: 'rds' };
      const bad: [typeof address, new (...words: never[]) => Error, RegExp][] = [
        [elsewhere, DatabaseUnreachable, /self-signed|unable to/],
        [{ ...address, host: '127.0.0.1' }, RotationRefused, /host name/],
        [{ ...address, port: 9 }, DatabaseUnreachable, /ECONNREFUSED/],
      ];
      for (const [where, kind, message] of bad) {
        const unreachable = await credentialRotation(where, { kind: 'dual-password' });
        assert.match((await rejected(unreachable.test(rotator), kind)).message, message);
      }
    },
  );
});
