import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import type { Login } from '../../../../../functions/shared/database/contract/engine.ts';
import {
  DatabaseUnreachable,
  LoginRefused,
  OldPasswordInUse,
} from '../../../../../functions/shared/database/contract/errors.ts';
import type { LoginMark } from '../../../../../functions/shared/database/contract/rotation.ts';
import type { DatabaseSecret } from '../../../../../functions/shared/database/credential/secret.ts';
import { socketFrom } from '../../../../../rehearsal/aws/containers/client-socket.ts';
import { anyPassword, type TestDatabase } from '../../../rotate-secret/databases.ts';
import { type knowingCurrent, rejected, secretOf } from '../helpers.ts';
import { testLoggingIn } from '../mysql-and-mariadb/logging-in-tests.ts';
import { keyless } from './keyless.ts';

const previous = async () => undefined;

/** Who logs in, with which of two passwords, and who still can: on a server whose error log begins with `logOfEarlierLife()`. */
export async function testLogins(
  t: TestContext,
  {
    database,
    rotation,
    user,
    next,
  }: {
    database: TestDatabase;
    rotation: ReturnType<typeof knowingCurrent>;
    /** A new user with a password, on two hosts. */
    user: () => Promise<DatabaseSecret>;
    next: (current: Login) => DatabaseSecret;
  },
): Promise<void> {
  const { address, query, logIn, rotator } = database;

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

  await testLoggingIn(t, { database, rotation, user });

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
}

const RESTARTED = 'restarted';

/** What the server has written of connections before it was started anew, whose numbers are given again. */
export function logOfEarlierLife(): string {
  return Array.from({ length: 2000 }, (_, number) => noteOfEarlierLife(number)).join('');
}

function noteOfEarlierLife(number: number): string {
  return `2026-01-02T03:04:05.678901Z ${number} [Note] [MY-013302] [Server] Second password was used for login by user: '${RESTARTED}'@'localhost'.\n`;
}
