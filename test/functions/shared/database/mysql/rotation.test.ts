// In one file though long: one server, which takes seconds to start, is asked all of it.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
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
import type { LoginMark, Strategy } from '../../../../../functions/shared/database/contract/rotation.ts';
import { randomPassword } from '../../../../../functions/shared/database/credential/password.ts';
import { withMysqlLock } from '../../../../../functions/shared/database/mysql-and-mariadb/session.ts';
import { credentialRotation } from '../../../../../functions/shared/database/registry.ts';
import { socketFrom } from '../../../../../rehearsal/aws/containers/client-socket.ts';
import { anyPassword, databaseFor, mysqlDatabase } from '../../../rotate-secret/databases.ts';
import { grantIn, knowingCurrent, rejected, secretOf } from '../helpers.ts';
import { beginLogin } from '../mysql-and-mariadb/unfinished-login.ts';
import { keyless } from './keyless.ts';

test('MySQL', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'error-log-'));
  t.after(() => rm(folder, { recursive: true }));
  const log = join(folder, 'error.log');
  await writeFile(log, Array.from({ length: 2000 }, (_, number) => noteOfEarlierLife(number)).join(''));
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

  await t.test('counts sessions where it may, and refused logins', async () => {
    await query("REVOKE PROCESS ON *.* FROM rotator@'%'");
    assert.equal(await rotation.sessions(rotator, 'administrator'), undefined);
    await query("GRANT PROCESS ON *.* TO rotator@'%'");
    assert.equal(await rotation.sessions(rotator, 'administrator'), 1);
    const before = (await rotation.refusedLogins(rotator)) ?? 0;
    await assert.rejects(rotation.test({ username: 'wa', password: 'wrong' }), LoginRefused);
    assert.equal(await rotation.refusedLogins(rotator), before + 1);
  });

  await t.test('a limit of connections that is reached is no evidence against a password', async () => {
    const { username, password } = await user();
    await query("ALTER USER ?@'%' WITH MAX_USER_CONNECTIONS 1", [username]);
    const from = process.platform === 'linux' ? '127.7.0.1' : undefined;
    const logIn = (given: string) =>
      createConnection({
        host: address.host,
        stream: () => {
          const socket = socketFrom(from);
          socket.connect(address.port, '127.0.0.1');
          return socket;
        },
        user: username,
        password: given,
        ssl: { ca: address.certificateAuthority, verifyIdentity: true },
      });
    const question = { usernames: [username], addresses: [] };
    const { mark: since } = await rotation.logins(rotator, question);
    const connection = await logIn(password);
    await assert.rejects(logIn(password), { errno: 1226 });
    assert.deepEqual((await rotation.logins(rotator, { ...question, since })).refusedFrom, {});
    await assert.rejects(logIn('wrong'), { errno: 1045 });
    const { refusedFrom } = await rotation.logins(rotator, { ...question, since });
    assert.deepEqual(Object.values(refusedFrom ?? {}), [1]);
    await connection.end();
  });

  await t.test('a login with the old one of two passwords is told where the server notes it', async () => {
    const current = await user();
    const pending = next(current);
    await rotation.set({ admin: rotator, pending, current, previous });
    const retire = () =>
      rotation.retire({
        admin: rotator,
        username: current.username,
        read: async () => ({ current: pending, pending: undefined }),
        patience: 0.3,
      });
    const from = (login: Login, { ends = false } = {}) => {
      const address = `127.9.0.${login === pending ? 1 : 2}`;
      return new Promise<() => Promise<void>>((resolve, reject) => {
        const { promise, resolve: close } = Promise.withResolvers<void>();
        const until = () => (ends ? Promise.resolve() : promise);
        const session = logIn(login, {
          ...(process.platform === 'linux' && { from: address }),
          until,
          opened: () =>
            resolve(() => {
              close();
              return session;
            }),
        });
        session.catch(reject);
      });
    };
    const asked = { usernames: [current.username], addresses: [] };
    const mark = async () => (await rotation.logins(rotator, { ...asked, old: current })).mark;
    const told = async (since: LoginMark) =>
      (await rotation.logins(rotator, { ...asked, since })).from?.map(({ isOld }) => isOld).sort();

    // As by default: nobody can tell.
    await query('SET GLOBAL log_error_verbosity = 2');
    await query('GRANT SELECT ON performance_schema.error_log TO rotator');
    let since = await mark();
    assert.equal(since.tellsPasswords, undefined);
    await (await from(current))();
    assert.deepEqual(await told(since), [undefined]);

    await query('SET GLOBAL log_error_verbosity = 3');
    // What came before may not have been noted.
    assert.deepEqual(await told(since), [undefined]);
    // Nor is it known without trying.
    for (const old of [{}, { old: pending }])
      assert.equal((await rotation.logins(rotator, { ...asked, ...old })).mark.tellsPasswords, undefined);
    since = await mark();
    assert.equal(since.tellsPasswords, true);
    const sessions = [await from(pending), await from(current)];
    assert.deepEqual(await told(since), [false, true]);
    const { message } = await rejected(retire(), OldPasswordInUse);
    assert.match(
      message,
      /still logs in as user\d+ with the old password \(from 127\.\S+\).*Nothing was retired/,
    );
    for (const close of sessions) await close();
    // Its connection has ended, and which of the two was whose is not known any more.
    assert.deepEqual(
      await told(since),
      [undefined, undefined].slice(0, process.platform === 'linux' ? 2 : 1),
    );

    // One that comes and goes while it is looked.
    const [refused] = await Promise.allSettled([
      retire(),
      delay(100).then(() => from(current, { ends: true })),
    ]);
    assert.match(refused.status === 'rejected' ? refused.reason.message : '', /with the old password/);

    // Each plugin has a code of its own: one that this server still has.
    const sha256 = secretOf({ username: 'sha256', password: anyPassword() });
    await query("CREATE USER sha256@'%' IDENTIFIED WITH sha256_password BY ?", [sha256.password]);
    await query("ALTER USER sha256@'%' IDENTIFIED BY ? RETAIN CURRENT PASSWORD", [anyPassword()]);
    await query("GRANT SELECT ON waweb.* TO sha256@'%'");
    await logIn(sha256);
    const codes = await query(
      "SELECT DISTINCT ERROR_CODE AS code FROM performance_schema.error_log WHERE DATA LIKE '%Second password was used%' ORDER BY 1",
    );
    assert.deepEqual(codes, [{ code: 'MY-013301' }, { code: 'MY-013302' }]);

    await query("SET GLOBAL log_error_suppression_list = 'MY-013302'");
    assert.equal((await mark()).tellsPasswords, undefined);
    await query("SET GLOBAL log_error_suppression_list = ''");
    // A filter that no setting of the log's level shows.
    const [services] = await query('SELECT @@GLOBAL.log_error_services AS names');
    await query("INSTALL COMPONENT 'file://component_log_filter_dragnet'");
    await query("SET GLOBAL dragnet.log_error_filter_rules = 'IF err_code == 13302 THEN drop.'");
    await query("SET GLOBAL log_error_services = 'log_filter_dragnet; log_sink_internal'");
    assert.equal((await mark()).tellsPasswords, undefined);
    await query('SET GLOBAL log_error_services = ?', [services?.names]);
    await query("UNINSTALL COMPONENT 'file://component_log_filter_dragnet'");
    // Its containers have all connections that the user may have: whether it is noted cannot be tried, and all else is told.
    await query("ALTER USER ?@'%' WITH MAX_USER_CONNECTIONS 1", [current.username]);
    const close = await from(pending);
    assert.equal((await mark()).tellsPasswords, undefined);
    await close();
    await query("ALTER USER ?@'%' WITH MAX_USER_CONNECTIONS 0", [current.username]);
    await query('REVOKE SELECT ON performance_schema.error_log FROM rotator');
    assert.equal((await mark()).tellsPasswords, undefined);
    await query('GRANT SELECT ON performance_schema.error_log TO rotator');

    since = await mark();
    await (await from(pending))();
    // Nobody came with the old one since.
    assert.deepEqual(await told(since), [false]);
    assert.equal(await retire(), 'retired');
    await query('REVOKE SELECT ON performance_schema.error_log FROM rotator');
  });

  await t.test('what the server has noted before it was started anew is of other connections', async () => {
    const current = secretOf({ username: RESTARTED, password: anyPassword() });
    const pending = next(current);
    await query("CREATE USER ?@'%' IDENTIFIED BY ?", [current.username, current.password]);
    await query("GRANT SELECT ON waweb.* TO ?@'%'", [current.username]);
    await rotation.set({ admin: rotator, pending, current, previous });
    await query('GRANT SELECT ON performance_schema.error_log TO rotator');
    const [noted] = await query(
      'SELECT COUNT(*) AS count FROM performance_schema.error_log WHERE DATA LIKE ?',
      [`%login by user: '${RESTARTED}'@%`],
    );
    assert.ok(Number(noted?.count) >= 2000, 'the server takes in what it wrote before');
    const asked = { usernames: [current.username], addresses: [] };
    const { mark: since } = await rotation.logins(rotator, { ...asked, old: current });
    assert.equal(since.tellsPasswords, true);
    await logIn(pending, {
      until: async () => {
        const { from } = await rotation.logins(rotator, { ...asked, since });
        assert.deepEqual(
          from?.map(({ isOld }) => isOld),
          [false],
        );
        const read = async () => ({ current: pending, pending: undefined });
        const request = { admin: rotator, username: current.username, read };
        assert.equal(await rotation.retire(request), 'retired');
      },
    });
    await query('REVOKE SELECT ON performance_schema.error_log FROM rotator');
  });

  await t.test(
    'what another server has counted before the mark is not taken for new, after a failover',
    async () => {
      const { username, password } = await user();
      const question = { usernames: [username], addresses: [] };
      const { mark } = await rotation.logins(rotator, question);
      assert.ok(mark.life);
      const { at } = mark.life;
      await logIn({ username, password });
      // From a server that was started a day before this one; and from this one, before it was started anew.
      const ofOther = { ...mark, at: '1', logins: {}, life: { startedAt: mark.life.startedAt - 86_400, at } };
      const { message } = await rejected(
        rotation.logins(rotator, { ...question, since: ofOther }),
        DatabaseUnreachable,
      );
      assert.match(message, /Another server answers than before/);
      const ofBefore = { ...ofOther, life: { ...ofOther.life, at: mark.life.startedAt - 60 } };
      const { from, refused } = await rotation.logins(rotator, { ...question, since: ofBefore });
      assert.deepEqual([from?.length, refused], [1, undefined]);
      assert.equal((await rotation.logins(rotator, { ...question, since: mark })).from?.length, 1);
    },
  );

  await t.test('a connection that is only logging in is no session', async () => {
    const { username } = await user();
    const end = await beginLogin(address.port, username);
    const commands = await query(
      "SELECT COMMAND AS command FROM information_schema.PROCESSLIST WHERE USER IN (?, 'unauthenticated user')",
      [username],
    );
    assert.deepEqual(commands, [{ command: 'Connect' }]);
    assert.equal(await rotation.sessions(rotator, username), 0);
    const { from } = await rotation.logins(rotator, { usernames: [username], addresses: [] });
    end();
    assert.deepEqual(from, []);
  });

  await t.test('without a privilege a user sees the sessions of its own account, and no others', async () => {
    const own = await user();
    assert.equal(await rotation.sessions(own, own.username), undefined);
    const { host, port, certificateAuthority: ca } = address;
    const { username, password } = own;
    const ssl = { ca, verifyIdentity: true };
    const connection = await createConnection({ host, port, user: username, password, ssl });
    assert.equal(await rotation.sessions(own, username), 1);
    assert.equal(await rotation.sessions(own, 'administrator'), undefined);
    await connection.end();
  });

  await t.test('clients without TLS that do not ask for the RSA key go on logging in', async () => {
    const { host, port } = address;
    const logsInPlainly = ({ username: user, password }: Login) =>
      createConnection({
        host,
        port,
        user,
        password,
        authPlugins: { caching_sha2_password: keyless(password) },
      })
        .then((connection) => connection.end())
        .then(
          () => true,
          () => false,
        );
    const current = await user();
    const pending = next(current);
    assert.equal(await logsInPlainly(current), false, 'nobody has logged in with TLS before');
    await logIn(current);
    assert.equal(await logsInPlainly(current), true);
    const { refused, connections } = await database.counts();
    await rotation.set({ admin: rotator, current, pending, previous });
    const after = await database.counts();
    assert.deepEqual([after.refused - refused, after.connections - connections], [0, 1]);
    assert.equal(await logsInPlainly(current), true, 'set has logged in with it');
    assert.equal(await logsInPlainly(pending), false);
    await rotation.test(pending);
    assert.equal(await logsInPlainly(pending), true);
    // An attempt that ended right after the statement is made good by the next.
    await query('FLUSH PRIVILEGES');
    assert.equal(await logsInPlainly(current), false);
    assert.equal(await rotation.set({ admin: rotator, current, pending, previous }), 'was-set');
    assert.equal(await logsInPlainly(current), true);
    await rotation.test(pending);
    const read = async () => ({ current: pending, pending: undefined });
    assert.equal(await rotation.retire({ admin: rotator, username: current.username, read }), 'retired');
    assert.equal(await logsInPlainly(pending), true, 'DISCARD leaves the cache as it is');
    assert.equal(await logsInPlainly(current), false);
  });

  await t.test('warns of such clients where an account of another address is changed too', async () => {
    const several = await user();
    const [warning = '', ...others] = await rotation.preflight(rotator, several);
    assert.deepEqual(others, []);
    assert.match(warning, /user\d+@%, user\d+@10\.0\.0\.%|user\d+@10\.0\.0\.%, user\d+@%/);
    await query('SET GLOBAL require_secure_transport = ON');
    assert.deepEqual(await rotation.preflight(rotator, several), []);
    const pending = next(several);
    assert.equal(await rotation.set({ admin: rotator, current: several, pending, previous }), 'set');
    await rotation.test(pending);
    await query('SET GLOBAL require_secure_transport = OFF');
    await query("CREATE USER single@'%' IDENTIFIED BY ?", [several.password]);
    assert.deepEqual(await rotation.preflight(rotator, secretOf({ ...several, username: 'single' })), []);
  });

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

const RESTARTED = 'restarted';

/** What the server has written of a connection before it was started anew, whose number is given again. */
function noteOfEarlierLife(number: number): string {
  return `2026-01-02T03:04:05.678901Z ${number} [Note] [MY-013302] [Server] Second password was used for login by user: '${RESTARTED}'@'localhost'.\n`;
}
