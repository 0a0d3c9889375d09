import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { startPostgres } from '../../../rehearsal/databases/postgres.ts';
import { inboundMessages } from '../../../rehearsal/whatsapp/message-rows.ts';
import { openMessageStore } from '../../../rehearsal/whatsapp/message-store.ts';

const NEWEST = Date.parse('2026-03-10T01:00:00Z');

test('serves until it is stopped, and wants the password', async () => {
  const server = await startPostgres();
  try {
    const { host, port, user, password, database } = server;
    const client = new Client({ host, port, user, password, database });
    await client.connect();
    const { rows } = await client.query<{ version: string }>('SELECT version()');
    assert.match(rows[0]?.version ?? '', /^PostgreSQL 18\./);
    await client.end();
    await assert.rejects(new Client({ host, port, user, password: 'wrong', database }).connect(), {
      code: '28P01',
    });
  } finally {
    await server.stop();
  }
  assert.equal(await isServing(server.port), false);
});

for (const signal of ['SIGINT', 'SIGKILL'] as const) {
  test(`leaves no server behind when its starter ends by ${signal}`, { timeout: 60_000 }, async () => {
    const { starter, port } = await startInOtherProcess();
    assert.equal(await isServing(port), true);
    starter.kill(signal);
    await once(starter, 'exit');
    while (await isServing(port)) await delay(50);
  });
}

test('keeps several deployments apart, under the names that the client would give', async () => {
  const server = await startPostgres();
  try {
    const [one, two] = [await openMessageStore(server, 'One_'), await openMessageStore(server, 'Two_')];
    assert.deepEqual(one.databases, [
      'One_messageStore',
      'One_callbackStore',
      'One_axolotlStore',
      'One_contactStore',
      'one_waweb',
    ]);
    await one.fill({ sent: 7, pending: 1, read: 2, unread: 3, unusedMedia: 4, usedMedia: 5, newest: NEWEST });
    await two.insertInbound(
      inboundMessages({ count: 5, conversations: 2, oldest: NEWEST - 1000, newest: NEWEST }),
    );
    const counts = { messages: 13, sent: 7, pending: 1, read: 2, unread: 3, media: 9 };
    assert.deepEqual(await one.count(), counts);
    assert.deepEqual(await two.count(), {
      messages: 5,
      sent: 0,
      pending: 0,
      read: 0,
      unread: 5,
      media: 0,
    });
    const reopened = await openMessageStore(server, 'One_');
    assert.deepEqual(await reopened.count(), counts);
    await Promise.all([one, two, reopened].map((store) => store.close()));
  } finally {
    await server.stop();
  }
});

test('fills hundreds of thousands of rows and deletes them by shard', { timeout: 120_000 }, async () => {
  const server = await startPostgres();
  try {
    const store = await openMessageStore(server, '');
    await store.fill({ sent: 190_000, unread: 10_000, newest: NEWEST });
    let deleted = 0;
    for (const shard of [0, 1]) {
      for (let after = '0'; await store.hasGarbage(shard, 2, after); ) {
        const chunk = await store.deleteMessages({ shard, shards: 2, after, limit: 50_000 });
        deleted += chunk.deleted;
        after = chunk.last;
      }
    }
    assert.equal(deleted, 190_000);
    assert.equal((await store.count()).messages, 10_000);
    await store.close();
  } finally {
    await server.stop();
  }
});

/** A process that starts a server, says its port, and stays. */
async function startInOtherProcess(): Promise<{ starter: ChildProcess; port: number }> {
  const postgres = JSON.stringify(import.meta.resolve('../../../rehearsal/databases/postgres.ts'));
  const script = `
    const { startPostgres } = await import(${postgres});
    console.log((await startPostgres()).port);
    setInterval(() => {}, 1000);
  `;
  const starter = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(starter.stdout, 'data');
  return { starter, port: Number(line) };
}

function isServing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
