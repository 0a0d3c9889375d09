import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import pg from 'pg';
import type { CredentialRotationSettings } from '../../../functions/credential-rotation/contract.ts';
import { retireOldCredential } from '../../../functions/credential-rotation/database.ts';
import { rotateSecret } from '../../../functions/rotate-secret/rotate-secret.ts';
import type { Login } from '../../../functions/shared/database/contract/engine.ts';
import { DatabaseReadOnly, LoginRefused } from '../../../functions/shared/database/contract/errors.ts';
import { STREAMING, startPostgres } from '../../../rehearsal/databases/postgres.ts';
import { postgresDatabase } from '../rotate-secret/databases.ts';
import { rotationBench, SECRET_ARN } from '../rotate-secret/rotation-tests.ts';
import { stepEvents } from '../rotate-secret/steps.ts';
import { rejected } from '../shared/database/helpers.ts';

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

  // The address under which the database is known, as that of a cluster: it leads to the one or the other.
  let port = primary.address.port;
  const address = createServer((socket) => {
    const server = connect(port, '127.0.0.1');
    for (const [end, other] of [
      [socket, server],
      [server, socket],
    ] as const)
      end.on('error', () => other.destroy()).pipe(other);
  });
  await new Promise<void>((resolve) => address.listen(0, '127.0.0.1', resolve));
  t.after(() => address.close());
  const listening = address.address();
  assert.ok(listening && typeof listening === 'object');
  const bench = await rotationBench(t, { ...primary, address: { ...primary.address, port: listening.port } });
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

      port = standby.port;
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
