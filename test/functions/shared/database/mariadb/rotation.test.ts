import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Login } from '../../../../../functions/shared/database/contract/engine.ts';
import {
  DatabaseReadOnly,
  DatabaseUnreachable,
  LoginRefused,
  MissingPrivilege,
  OldPasswordInUse,
  RotationRefused,
} from '../../../../../functions/shared/database/contract/errors.ts';
import { randomPassword } from '../../../../../functions/shared/database/credential/password.ts';
import { nativePasswordHash } from '../../../../../functions/shared/database/mysql-and-mariadb/password-hash.ts';
import { credentialRotation } from '../../../../../functions/shared/database/registry.ts';
import { anyPassword, databaseFor, mariadbDatabase } from '../../../rotate-secret/databases.ts';
import { grantIn, knowingCurrent, rejected, secretOf } from '../helpers.ts';
import { testLoggingIn } from '../mysql-and-mariadb/logging-in-tests.ts';

test('MariaDB', async (t) => {
  const database = await databaseFor(t, mariadbDatabase, { kind: 'dual-password' });
  if (database === undefined) return;
  const { address, query, logIn, rotator } = database;
  const rotation = knowingCurrent(await credentialRotation(address, { kind: 'dual-password' }));
  const previous = async () => undefined;
  let number = 0;
  /** A new user of some methods to log in, on two hosts. */
  const user = async (
    password = anyPassword(),
    method = 'mysql_native_password USING ?',
    ...values: string[]
  ) => {
    number += 1;
    const username = `user${number}`;
    const hashes = values.length > 0 ? values : [nativePasswordHash(password)];
    for (const host of ['%', '10.0.0.%']) {
      await query(`CREATE USER ?@? IDENTIFIED VIA ${method}`, [username, host, ...hashes]);
      await query('GRANT SELECT ON waweb.* TO ?@?', [username, host]);
    }
    return secretOf({ username, password });
  };
  const next = ({ username }: Login) => secretOf({ username, password: randomPassword() });
  const expectBoth = async (...logins: Login[]) => {
    for (const login of logins) await logIn(login);
  };
  const TWO = 'mysql_native_password USING ? OR mysql_native_password USING ?';

  await t.test('changes all accounts of a user, and sends hashes only', async () => {
    const current = await user();
    const pending = next(current);
    assert.equal(await rotation.set({ admin: rotator, current, pending, previous }), 'set');
    const rows = await query('SELECT Priv AS privileges FROM mysql.global_priv WHERE User = ?', [
      current.username,
    ]);
    assert.equal(rows.length, 2);
    for (const { privileges } of rows) {
      assert.ok(JSON.stringify(privileges).includes(nativePasswordHash(pending.password)));
    }
    await expectBoth(current, pending);
  });

  await t.test('of two attempts at once, one sets and the other finds it set', async () => {
    const current = await user();
    const pending = next(current);
    const request = { admin: rotator, current, pending, previous };
    const outcomes = await Promise.all([rotation.set(request), rotation.set(request)]);
    assert.deepEqual(outcomes.sort(), ['set', 'was-set']);
    await expectBoth(current, pending);
  });

  await t.test('makes the current password valid again where only the pending one was left', async () => {
    const current = await user();
    const pending = next(current);
    for (const host of ['%', '10.0.0.%']) {
      await query('ALTER USER ?@? IDENTIFIED VIA mysql_native_password USING ?', [
        current.username,
        host,
        nativePasswordHash(pending.password),
      ]);
    }
    assert.equal(await rotation.set({ admin: rotator, current, pending, previous }), 'healed');
    await expectBoth(current, pending);
  });

  await t.test('retires what an abandoned rotation left, and never the password in use', async () => {
    const current = await user();
    await rotation.set({ admin: rotator, current, pending: next(current), previous });
    const read = async () => ({ current, pending: undefined });
    assert.equal(await rotation.retire({ admin: rotator, username: current.username, read }), 'retired');
    assert.equal(
      await rotation.retire({ admin: rotator, username: current.username, read }),
      'nothing-to-retire',
    );
    await expectBoth(current);
  });

  await t.test('a second password that nobody here knows is taken for one in use', async () => {
    const password = anyPassword();
    const other = anyPassword();
    const current = await user(password, TWO, nativePasswordHash(password), nativePasswordHash(other));
    await rejected(
      rotation.set({ admin: rotator, current, pending: next(current), previous }),
      OldPasswordInUse,
    );
    await expectBoth(current, { username: current.username, password: other });
  });

  await t.test(
    'neither sets nor retires when the database does not know the password of the secret',
    async () => {
      const real = await user();
      const current = next(real);
      await rejected(
        rotation.set({ admin: rotator, current, pending: next(current), previous }),
        LoginRefused,
      );
      const read = async () => ({ current, pending: undefined });
      await rejected(rotation.retire({ admin: rotator, username: real.username, read }), LoginRefused);
      await expectBoth(real);
    },
  );

  await t.test('each grant that is missing is named, and is enough', async () => {
    const admin = { username: 'weak', password: anyPassword() };
    await query("CREATE USER weak@'%' IDENTIFIED VIA mysql_native_password USING ?", [
      nativePasswordHash(admin.password),
    ]);
    const current = await user();
    const request = { admin, current, pending: next(current), previous };
    for (const privilege of [/SELECT ON mysql.global_priv/, /CREATE USER/]) {
      const error = await rejected(rotation.set(request), MissingPrivilege);
      assert.match(error.message, privilege);
      await query(grantIn(error));
    }
    assert.equal(await rotation.set(request), 'set');
  });

  await t.test('a method that common drivers cannot combine is refused by name', async () => {
    await query("INSTALL SONAME 'auth_ed25519'");
    const password = anyPassword();
    const hash = 'F'.repeat(43);
    const method = 'mysql_native_password USING ? OR ed25519 USING ?';
    const current = await user(password, method, nativePasswordHash(password), hash);
    const error = await rejected(
      rotation.set({ admin: rotator, current, pending: next(current), previous }),
      RotationRefused,
    );
    assert.match(error.message, /ed25519/);
    assert.ok(!error.message.includes(nativePasswordHash(password)));
  });

  await t.test('a server that takes no hashes is refused by the name of its plugin', async () => {
    const current = await user();
    await query("INSTALL SONAME 'simple_password_check'");
    const request = { admin: rotator, current, pending: next(current), previous };
    const error = await rejected(rotation.set(request), RotationRefused);
    assert.match(error.message, /simple_password_check/);
    await expectBoth(current);
    // Before anything is begun too.
    assert.equal(
      (await rejected(rotation.preflight(rotator, current), RotationRefused)).message,
      error.message,
    );
    await query('SET GLOBAL strict_password_validation = OFF');
    assert.deepEqual(await rotation.preflight(rotator, current), []);
    assert.equal(await rotation.set(request), 'set');
    await query("UNINSTALL SONAME 'simple_password_check'");
  });

  await t.test(
    'a server that has become read-only is told as that, and the rotation goes on when it no longer is',
    async () => {
      const current = await user();
      const request = { admin: rotator, current, pending: next(current), previous };
      await query('SET GLOBAL read_only = ON');
      assert.match(
        (await rejected(rotation.set(request), DatabaseReadOnly)).message,
        /read-only .*address of the writer/,
      );
      await query('SET GLOBAL read_only = OFF');
      assert.equal(await rotation.set(request), 'set');
    },
  );

  await t.test('counts refused logins of its own, and sessions', async () => {
    const before = (await rotation.refusedLogins(rotator)) ?? 0;
    await rejected(rotation.test({ username: 'wa', password: 'wrong' }), LoginRefused);
    assert.equal(await rotation.refusedLogins(rotator), before + 1);
    await query("GRANT PROCESS ON *.* TO rotator@'%'");
    assert.equal(await rotation.sessions(rotator, 'administrator'), 1);
  });

  await testLoggingIn(t, { database, rotation, user });

  await t.test('a certificate of another authority is not connected to', async () => {
    const elsewhere = await credentialRotation(
      { ...address, certificateAuthority: 'rds' },
      { kind: 'dual-password' },
    );
    await rejected(elsewhere.test(rotator), DatabaseUnreachable);
  });

  await t.test(
    'alternating users: a second user that is missing is refused, with what to create',
    async () => {
      const alternating = knowingCurrent(await credentialRotation(address, { kind: 'alternating-users' }));
      const current = await user();
      const pending = secretOf({
        username: alternating.nextUsername(current.username),
        password: randomPassword(),
      });
      assert.equal(pending.username, `${current.username}_clone`);
      const error = await rejected(
        alternating.set({ admin: rotator, current, pending, previous }),
        RotationRefused,
      );
      assert.match(error.message, /CREATE USER .* ACCOUNT LOCK/);
    },
  );
});
