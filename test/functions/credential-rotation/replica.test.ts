import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import type { CredentialRotationSettings } from '../../../functions/credential-rotation/contract.ts';
import { retireOldCredential } from '../../../functions/credential-rotation/database.ts';
import { rotateSecret } from '../../../functions/rotate-secret/rotate-secret.ts';
import type { Login } from '../../../functions/shared/database/contract/engine.ts';
import { DatabaseReadOnly, LoginRefused } from '../../../functions/shared/database/contract/errors.ts';
import { startMysql } from '../../../rehearsal/databases/mysql.ts';
import { STREAMING, startPostgres } from '../../../rehearsal/databases/postgres.ts';
import { serverCertificate } from '../../../rehearsal/databases/tls-certificate.ts';
import { anyPassword, databaseFor, mysqlDatabase, postgresDatabase } from '../rotate-secret/databases.ts';
import { rotationBench, SECRET_ARN } from '../rotate-secret/rotation-tests.ts';
import { stepEvents } from '../rotate-secret/steps.ts';
import { rejected } from '../shared/database/helpers.ts';

/** The address under which a database is known, as that of a cluster: it leads to the one server or the other. */
async function movingAddress(t: TestContext, first: number) {
  let target = first;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const other = connect(target, '127.0.0.1');
    for (const [end, far] of [
      [socket, other],
      [other, socket],
    ] as const) {
      sockets.add(end);
      end.on('error', () => far.destroy()).pipe(far);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const listening = server.address();
  assert.ok(listening && typeof listening === 'object');
  return {
    port: listening.port,
    leadTo(port: number) {
      target = port;
    },
  };
}

/** Longer than a standby needs to be where its primary is. */
const PATIENCE = 60;

test('a replica that streams: its sessions keep the old user open, and it takes over in the middle of a rotation', async (t) => {
  const strategy = { kind: 'alternating-users', users: ['wa', 'wa_clone'], owner: 'wa' } as const;
  const primary = await postgresDatabase(strategy, { settings: STREAMING });
  t.after(() => primary.stop());
  const standby = await startPostgres({ tls: primary.tls, standbyOf: primary.server });
  t.after(() => standby.stop());
  const { database: name } = standby;
  const session = async ({ username, password }: Login) => {
    const ssl = { ca: primary.tls.authority };
    const client = new pg.Client({
      host: 'localhost',
      port: standby.port,
      database: name,
      ssl,
      user: username,
      password,
    });
    // The administrator's is there until the server ends.
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const administrator = await session({ username: standby.user, password: standby.password });
  const ask = async (statement: string) => (await administrator.query(statement)).rows[0]?.is;
  const caughtUp = async () => {
    const [{ at } = {}] = await primary.query('SELECT pg_current_wal_insert_lsn()::text AS at');
    while (!(await ask(`SELECT pg_last_wal_replay_lsn() >= '${at}' AS is`))) await delay(10);
  };

  const address = await movingAddress(t, primary.address.port);
  const bench = await rotationBench(t, { ...primary, address: { ...primary.address, port: address.port } });
  const { settings, secretsManager, parts, versions, runSteps } = bench;
  const waits: number[] = [];
  let onWait = async (_number: number) => {};
  const retire = (replicas: { host: string; port: number }[] = []) => {
    waits.length = 0;
    const context = {
      step: (_: string, work: () => Promise<unknown>) => work(),
      wait: async (_: string, { seconds }: { seconds: number }) => {
        waits.push(seconds);
        await onWait(waits.length);
      },
    } as unknown as DurableContext;
    return retireOldCredential(
      context,
      { ...settings, replicas, retirementPatienceSeconds: PATIENCE } as unknown as CredentialRotationSettings,
      secretsManager.client,
      Number.POSITIVE_INFINITY,
    );
  };

  await t.test(
    'the old user is closed when the replica has no session of it, within the patience for that',
    async () => {
      const { user } = primary;
      const replicas = [{ host: 'localhost', port: standby.port }];
      await runSteps(versions.beginRotation());
      await caughtUp();
      await (await session(versions.read('AWSCURRENT'))).end();
      const old = await session(user);
      const kept = await retire(replicas);
      assert.ok(kept.kind === 'failed' && kept.error === 'OldPasswordInUse', JSON.stringify(kept));
      assert.match(kept.message, new RegExp(`The replica localhost:${standby.port} has 1 sessions of wa`));
      assert.deepEqual(waits, [30, 30], 'as long as it is to be waited for, and no longer');
      await primary.logIn(user);
      onWait = async (number) => {
        if (number === 2) await old.end();
      };
      assert.deepEqual(await retire(replicas), { kind: 'done', value: 'retired' });
      assert.deepEqual(waits, [30, 30]);
      await caughtUp();
      await assert.rejects(session(user), { code: '28000' });
      await assert.rejects(primary.logIn(user));
    },
  );

  await t.test(
    'a step that meets a replica says so; once that is the primary the rotation is ended there',
    async () => {
      const old = versions.read('AWSCURRENT');
      const token = versions.beginRotation();
      const [create, set, prove, finish] = stepEvents(SECRET_ARN, token);
      assert.ok(create && set && prove && finish);
      // The last thing that the primary does has not reached the replica when it takes over.
      await ask("ALTER SYSTEM SET primary_conninfo = ''");
      await ask('SELECT pg_reload_conf() AS is');
      while (await ask('SELECT count(*) > 0 AS is FROM pg_stat_wal_receiver')) await delay(10);
      await rotateSecret(parts, create);
      await rotateSecret(parts, set);
      await primary.logIn(versions.read('AWSPENDING'));

      address.leadTo(standby.port);
      await rejected(rotateSecret(parts, prove), LoginRefused);
      const { message } = await rejected(rotateSecret(parts, set), DatabaseReadOnly);
      assert.match(message, /replica|primary/);
      await (await session(old)).end();
      assert.equal((await retire()).kind, 'done');
      await (await session(old)).end();

      assert.equal(await ask('SELECT pg_promote() AS is'), true);
      // Secrets Manager repeats all four.
      for (const event of [create, set, prove, finish]) await rotateSecret(parts, event);
      const current = versions.read('AWSCURRENT');
      assert.notEqual(current.username, old.username);
      for (const login of [old, current]) await (await session(login)).end();
      assert.deepEqual(await retire(), { kind: 'done', value: 'retired' });
      await assert.rejects(session(old), { code: '28000' });
      await (await session(current)).end();
    },
  );
});

test('MySQL: a replica takes over in the middle of a rotation, and the rotation is ended there', async (t) => {
  const strategy = { kind: 'dual-password' } as const;
  const certificate = await serverCertificate();
  const started = (id: number) => ({
    certificate,
    options: [
      '--log-bin=binlog',
      `--server-id=${id}`,
      '--gtid-mode=ON',
      '--enforce-gtid-consistency=ON',
      // Of the administrator, whom both have made.
      '--replica-skip-errors=1396',
    ],
  });
  const primary = await databaseFor(t, (kind) => mysqlDatabase(kind, started(1)), strategy);
  if (primary === undefined) return;
  const replica = await startMysql(started(2));
  t.after(() => replica.stop());
  const password = anyPassword();
  await primary.query("CREATE USER follower@'%' IDENTIFIED BY ?", [password]);
  await primary.query("GRANT REPLICATION SLAVE ON *.* TO follower@'%'");
  const loggedIn = ({ username: user, password }: Login) =>
    createConnection({
      host: 'localhost',
      port: replica.port,
      user,
      password,
      ssl: { ca: certificate.authority, verifyIdentity: true },
    });
  const administrator = await loggedIn({ username: replica.user, password: replica.password });
  t.after(() => administrator.destroy());
  const logIn = async (login: Login) => (await loggedIn(login)).end();
  const { port } = primary.address;
  await administrator.query(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${port}, SOURCE_USER = 'follower',
       SOURCE_PASSWORD = '${password}', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1`,
  );
  await administrator.query('SET GLOBAL super_read_only = ON');
  await administrator.query('START REPLICA');
  const caughtUp = async () => {
    const [{ at } = {}] = await primary.query('SELECT @@GLOBAL.gtid_executed AS at');
    const [rows] = await administrator.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60) AS late', [at]);
    assert.deepEqual(rows, [{ late: 0 }]);
  };
  const address = await movingAddress(t, port);
  const bench = await rotationBench(t, { ...primary, address: { ...primary.address, port: address.port } });
  const { parts, versions, retire } = bench;
  const old = versions.read('AWSCURRENT');
  await caughtUp();
  await logIn(old);

  const [create, set, prove, finish] = stepEvents(SECRET_ARN, versions.beginRotation());
  assert.ok(create && set && prove && finish);
  // The last thing that the primary does has not reached the replica when it takes over.
  await administrator.query('STOP REPLICA');
  await rotateSecret(parts, create);
  await rotateSecret(parts, set);
  await primary.logIn(versions.read('AWSPENDING'));
  address.leadTo(replica.port);
  await rejected(rotateSecret(parts, prove), LoginRefused);
  assert.match((await rejected(rotateSecret(parts, set), DatabaseReadOnly)).message, /replica|primary/);
  await logIn(old);

  await administrator.query('RESET REPLICA ALL');
  await administrator.query('SET GLOBAL super_read_only = OFF');
  await administrator.query('SET GLOBAL read_only = OFF');
  // Secrets Manager repeats all four.
  for (const event of [create, set, prove, finish]) await rotateSecret(parts, event);
  const current = versions.read('AWSCURRENT');
  assert.notEqual(current.password, old.password);
  for (const login of [old, current]) await logIn(login);
  assert.equal(await retire(), 'retired');
  await assert.rejects(logIn(old), { errno: 1045 });
  await logIn(current);
});
