import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Login } from '../../../../../functions/shared/database/contract/engine.ts';
import {
  ConnectionRefused,
  DatabaseReadOnly,
  DatabaseUnreachable,
  LoginRefused,
  MissingPrivilege,
  OldPasswordInUse,
  RotationBusy,
  RotationRefused,
} from '../../../../../functions/shared/database/contract/errors.ts';
import { randomPassword } from '../../../../../functions/shared/database/credential/password.ts';
import { migrateToAlternatingUsers } from '../../../../../functions/shared/database/postgres/migration.ts';
import { scramVerifier } from '../../../../../functions/shared/database/postgres/scram.ts';
import { withPostgresLock } from '../../../../../functions/shared/database/postgres/session.ts';
import { credentialRotation } from '../../../../../functions/shared/database/registry.ts';
import { startPostgres } from '../../../../../rehearsal/databases/postgres.ts';
import { serverCertificate } from '../../../../../rehearsal/databases/tls-certificate.ts';
import { anyPassword, postgresDatabase } from '../../../rotate-secret/databases.ts';
import { knowingCurrent, rejected, secretOf } from '../helpers.ts';
import { connect } from './sessions.ts';

test('PostgreSQL', async (t) => {
  const database = await postgresDatabase({ kind: 'single-password', user: 'wa' });
  t.after(() => database.stop());
  const { address, query, rotator, user } = database;
  const strategy = { kind: 'alternating-users', users: ['wa', 'wa_clone'] } as const;
  const rotation = knowingCurrent(await credentialRotation(address, strategy));
  const previous = async () => undefined;
  const superuser = { username: 'superuser', password: anyPassword() };
  await query(`CREATE ROLE superuser SUPERUSER LOGIN PASSWORD '${scramVerifier(superuser.password)}'`);
  /** Runs statements as a user, with errors of its own. */
  const as = async (login: Login, ...statements: string[]) => {
    const client = new pg.Client({
      ...{ host: address.host, port: address.port, database: address.database },
      ...{ user: login.username, password: login.password },
      ssl: { ca: address.certificateAuthority as string },
    });
    await client.connect();
    try {
      const results = [];
      for (const statement of statements) results.push((await client.query(statement)).rows);
      return results;
    } finally {
      await client.end();
    }
  };

  await t.test('single-password: the new password replaces the old one, sent as a verifier', async () => {
    const single = knowingCurrent(await credentialRotation(address, { kind: 'single-password', user: 'wa' }));
    const old = secretOf(user);
    const pending = secretOf({ ...user, password: randomPassword() });
    await single.set({ admin: rotator, current: old, pending, previous });
    await single.test(pending);
    await rejected(single.test(old), LoginRefused);
    // Abandoned: the next rotation does not need to know what was left.
    await single.set({ admin: rotator, current: old, pending: old, previous });
    await single.test(old);
  });

  await t.test('a verifier that the server took for the password itself does not pass the test', async () => {
    const malformed = scramVerifier('Secret-1').replace('$4096:', '$4096;');
    await query(`CREATE ROLE mistaken LOGIN PASSWORD '${malformed}'`);
    const single = knowingCurrent(await credentialRotation(address, { kind: 'single-password', user: 'wa' }));
    await rejected(single.test({ username: 'mistaken', password: 'Secret-1' }), LoginRefused);
  });

  await query('GRANT CREATE ON SCHEMA public TO PUBLIC');
  await migrateToAlternatingUsers(address, superuser, { current: user, rotator: rotator.username });

  let current = secretOf(user);
  await t.test('what one user makes, the other alters', async () => {
    const pending = secretOf({ username: rotation.nextUsername('wa'), password: randomPassword() });
    assert.equal(pending.username, 'wa_clone');
    assert.equal(await rotation.set({ admin: rotator, current, pending, previous }), 'set');
    await rotation.test(pending);
    await as(current, 'CREATE TABLE wa.later (id INT)');
    await as(pending, 'ALTER TABLE later ADD COLUMN name TEXT', 'CREATE TABLE latest (id INT)');
    await as(current, 'DROP TABLE latest');
    current = pending;
  });

  await t.test('does not retire a user who still has sessions', async () => {
    const client = new pg.Client({
      ...{ host: address.host, port: address.port, database: address.database },
      ...{ user: user.username, password: user.password },
      ssl: { ca: address.certificateAuthority as string },
    });
    await client.connect();
    const retire = () =>
      rotation.retire({
        admin: rotator,
        username: 'wa',
        read: async () => ({ current, pending: undefined }),
      });
    await query('GRANT pg_read_all_stats TO rotator');
    assert.match(
      (await rejected(retire(), OldPasswordInUse)).message,
      /1 sessions of wa \(1 idle from 127\.0\.0\.1.*All are idle: a pooler may keep them/,
    );
    assert.equal(await rotation.sessions(rotator, 'wa'), 1);
    await client.end();
    // The server ends a session a moment after its client.
    for (let n = 0; n < 200 && (await rotation.sessions(rotator, 'wa')) !== 0; n += 1) await delay(10);
    assert.equal(await retire(), 'retired');
    await rejected(rotation.test(user), LoginRefused);
    assert.equal(await rotation.retained(rotator, current), false);
  });

  await t.test('does not retire a user whose turn has come while it was looked at', async () => {
    await query('ALTER ROLE wa LOGIN');
    // The server ends a session a moment after its client.
    for (let n = 0; n < 200 && (await rotation.sessions(rotator, 'wa')) !== 0; n += 1) await delay(10);
    let reads = 0;
    const read = async () => {
      reads += 1;
      return {
        current: reads === 1 ? current : secretOf({ ...current, username: 'wa' }),
        pending: undefined,
      };
    };
    const retired = rotation.retire({ admin: rotator, username: 'wa', read });
    assert.match((await rejected(retired, RotationBusy)).message, /rotated while its old user was looked at/);
    assert.equal(await rotation.retained(rotator, current), true);
    await query('ALTER ROLE wa NOLOGIN');
  });

  await t.test('a user who does not act as the owner does not pass the test', async () => {
    await query(`CREATE ROLE stranger LOGIN PASSWORD '${scramVerifier('Stranger-1')}'`);
    const error = await rejected(
      rotation.test({ username: 'stranger', password: 'Stranger-1' }),
      RotationRefused,
    );
    assert.match(error.message, /ALTER ROLE "stranger" SET role = 'wa'/);
  });

  await t.test('a user who begins with another path, or is not let in, does not pass the test', async () => {
    await query('CREATE DATABASE closed');
    await query('REVOKE CONNECT ON DATABASE closed FROM PUBLIC');
    await query('GRANT CONNECT ON DATABASE closed TO wa_clone');
    const one = { username: 'wa_clone', password: current.password };
    const other = { username: 'wa', password: anyPassword() };
    await query(`ALTER ROLE wa LOGIN PASSWORD '${scramVerifier(other.password)}'`);
    await rotation.test(other, async () => one);
    const isIn = (dbname: string) => rotation.test({ ...other, dbname }, async () => ({ ...one, dbname }));
    await rejected(isIn('closed'), ConnectionRefused);
    for (const scope of ['', ' IN DATABASE postgres']) {
      await query(`ALTER ROLE wa_clone${scope} SET search_path = "$user", "o, dd", public`);
      const { message } = await rejected(isIn('postgres'), RotationRefused);
      assert.match(message, /^wa begins with the search path "\$user", public and wa_clone with /);
      await query(/mends it: (.*)$/.exec(message)?.[1] ?? '');
      await isIn('postgres');
      await query(`ALTER ROLE wa_clone${scope} RESET search_path`);
      const back = await rejected(isIn('postgres'), RotationRefused);
      await query(/mends it: (.*)$/.exec(back.message)?.[1] ?? '');
      await isIn('postgres');
    }
    await query('ALTER ROLE wa NOLOGIN');
  });

  await t.test('a user who cannot use a right of the other one does not pass the test', async () => {
    const [one, other] = ['shop', 'shop_clone'].map((username) => ({ username, password: anyPassword() }));
    assert.ok(one && other);
    for (const { username, password } of [one, other])
      await query(`CREATE ROLE ${username} LOGIN PASSWORD '${scramVerifier(password)}'`);
    await query('CREATE ROLE shop_owner');
    for (const { username } of [one, other]) {
      await query(`GRANT shop_owner TO ${username}`);
      await query(`ALTER ROLE ${username} SET role = shop_owner`);
    }
    // The one still acts by himself there, and has a right that the owner's role has not.
    await query(`ALTER ROLE shop IN DATABASE ${address.database} SET role = shop`);
    await query('CREATE TABLE public.things (id INT)');
    await query('GRANT SELECT ON public.things TO shop');
    const { test } = await credentialRotation(address, {
      ...{ kind: 'alternating-users', users: ['shop', 'shop_clone'], owner: 'shop_owner' },
    });
    const { message } = await rejected(
      test(other, async () => one),
      RotationRefused,
    );
    assert.match(message, /shop_clone may not read public\.things as shop may/);
    await query('GRANT SELECT ON public.things TO shop_owner');
    await test(other, async () => one);
  });

  await t.test('an administrator without the right is told the statements, and they are enough', async () => {
    const weak = { username: 'weak', password: anyPassword() };
    await query(`CREATE ROLE weak LOGIN PASSWORD '${scramVerifier(weak.password)}'`);
    const pending = secretOf({ username: 'wa', password: randomPassword() });
    const request = { admin: weak, current, pending, previous };
    const { message } = await rejected(rotation.set(request), MissingPrivilege);
    const [, create, grant] = /(ALTER ROLE "weak" CREATEROLE).*(GRANT "wa" TO [^;]*);/.exec(message) ?? [];
    await query(`${create}`);
    await rejected(rotation.set(request), MissingPrivilege);
    await query(`${grant}`);
    assert.equal(await rotation.set(request), 'set');
    await rotation.test(pending);
  });

  await t.test('of two attempts at once, one sets and the other finds it set', async () => {
    await query('ALTER ROLE wa NOLOGIN');
    const pending = secretOf({ username: 'wa', password: randomPassword() });
    const request = { admin: rotator, current, pending, previous };
    const outcomes = await Promise.all([rotation.set(request), rotation.set(request)]);
    assert.deepEqual(outcomes.sort(), ['set', 'was-set']);
  });

  await t.test(
    'a server that has become read-only is told as that, and the rotation goes on when it no longer is',
    async () => {
      await query('ALTER ROLE wa NOLOGIN');
      const pending = secretOf({ username: 'wa', password: randomPassword() });
      const request = { admin: rotator, current, pending, previous };
      await query('ALTER ROLE rotator SET default_transaction_read_only = on');
      assert.match(
        (await rejected(rotation.set(request), DatabaseReadOnly)).message,
        /read-only .*address of the writer/,
      );
      await query('ALTER ROLE rotator RESET default_transaction_read_only');
      assert.equal(await rotation.set(request), 'set');
    },
  );

  await t.test('waits for the lock of the credential, and gives up with the reason', async () => {
    const held = await withPostgresLock(address, rotator, 'wa', ({ query: ask }) =>
      ask("SELECT (classid::int8 << 32 | objid::int8) AS key FROM pg_locks WHERE locktype = 'advisory'"),
    );
    // Of two others who have it in common, one of a name that goes on as our own words would.
    const others = [await connect(address, rotator), await connect(address, rotator)];
    for (const other of others) {
      await other.query(`SET application_name = 'x"; DROP it'`);
      await other.query('SELECT pg_advisory_lock_shared($1)', [held[0]?.key]);
    }
    assert.match(
      (
        await rejected(
          withPostgresLock(address, rotator, 'wa', async () => {}, 0.001),
          RotationBusy,
        )
      ).message,
      /holds its lock: the session \d+ of rotator as "x\\"; DROP it" from \S+; .* SELECT pg_terminate_backend\(\d+\), pg_terminate_backend\(\d+\)$/,
    );
    const waiting = withPostgresLock(address, rotator, 'wa', async () => 'got it');
    while ((await query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")).length === 0)
      await delay(10);
    for (const other of others) await other.end();
    assert.equal(await waiting, 'got it');
  });

  await t.test(
    'a certificate of another authority, another name, and a dead port are not connected to',
    async () => {
      const bad = [
        [{ ...address, certificateAuthority: 'rds' }, /self-signed|unable to/],
        [{ ...address, host: '127.0.0.1' }, /127\.0\.0\.1/],
        [{ ...address, port: 9 }, /ECONNREFUSED/],
      ] as const;
      for (const [where, message] of bad) {
        const unreachable = await credentialRotation(where, strategy);
        assert.match((await rejected(unreachable.test(rotator), DatabaseUnreachable)).message, message);
      }
    },
  );

  await t.test('a user that is not one of the two is refused', async () => {
    const named = await credentialRotation(address, { ...strategy, users: ['a', 'b'] });
    assert.equal(named.nextUsername('b'), 'a');
    assert.throws(() => named.nextUsername('wa'), RotationRefused);
  });
});

test('PostgreSQL: a server without TLS is not connected to', async (t) => {
  const server = await startPostgres();
  t.after(() => server.stop());
  const { authority } = await serverCertificate();
  const rotation = knowingCurrent(
    await credentialRotation(
      { engine: 'postgres', host: 'localhost', port: server.port, certificateAuthority: authority },
      { kind: 'single-password', user: 'wa' },
    ),
  );
  const error = await rejected(
    rotation.test({ username: server.user, password: server.password }),
    DatabaseUnreachable,
  );
  assert.match(error.message, /does not support SSL/);
});

test('PostgreSQL keeps each password in the form that the one before has, with the iterations of the server', async (t) => {
  const database = await postgresDatabase(
    { kind: 'single-password', user: 'wa' },
    { authentication: 'md5', settings: { scram_iterations: '5000' } },
  );
  t.after(() => database.stop());
  const { address, query, rotator, user } = database;
  const superuser = { username: 'superuser', password: anyPassword() };
  await query(`CREATE ROLE superuser SUPERUSER LOGIN PASSWORD '${scramVerifier(superuser.password)}'`);
  const storedForm = async (name: string) => {
    const [row] = await query('SELECT rolpassword AS stored FROM pg_authid WHERE rolname = $1', [name]);
    return /^(md5|SCRAM-SHA-256\$\d+)/.exec(String(row?.stored))?.[1];
  };
  const single = knowingCurrent(await credentialRotation(address, { kind: 'single-password', user: 'wa' }));
  const previous = async () => undefined;
  let current = secretOf(user);
  const rotate = async (form: string | undefined) => {
    const pending = secretOf({ ...user, password: randomPassword() });
    await single.set({ admin: rotator, current, pending, previous });
    await single.test(pending);
    assert.equal(await storedForm('wa'), form);
    current = pending;
  };
  await rotate('SCRAM-SHA-256$5000');
  await query('ALTER ROLE rotator SET scram_iterations = 2000000');
  const { message } = await rejected(rotate(undefined), RotationRefused);
  assert.match(message, /scram_iterations is 2000000, .* Nothing was changed/);
  await single.test(current);
  await query('ALTER ROLE rotator RESET scram_iterations');
  // Without regard to what the server would do with a new one.
  await query(`SET password_encryption = 'md5'`);
  await query(`ALTER ROLE wa PASSWORD '${current.password}'`);
  await rotate('md5');
  await migrateToAlternatingUsers(address, superuser, { current, rotator: rotator.username });
  const alternating = knowingCurrent(
    await credentialRotation(address, { kind: 'alternating-users', users: ['wa', 'wa_clone'] }),
  );
  const pending = secretOf({ username: 'wa_clone', password: randomPassword() });
  await alternating.set({ admin: rotator, current, pending, previous });
  await alternating.test(pending);
  assert.equal(await storedForm('wa_clone'), 'md5');
  assert.match((await single.preflight(rotator, current)).join(), /keeps the password of wa by md5/);

  const configured = knowingCurrent(
    await credentialRotation(address, { kind: 'single-password', user: 'wa', storeAs: 'scram-sha-256' }),
  );
  const modern = secretOf({ ...user, password: randomPassword() });
  await configured.set({ admin: rotator, current, pending: modern, previous });
  await configured.test(modern);
  assert.equal(await storedForm('wa'), 'SCRAM-SHA-256$5000');
  assert.deepEqual(await configured.preflight(rotator, modern), []);
  assert.deepEqual(await single.preflight(rotator, modern), []);
});
