import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Postgres, startPostgres } from '../../../rehearsal/databases/postgres.ts';
import { gcOf, night, payloads, START } from './fixture.ts';

const GC = '/v1/services/message/gc';

let server: Postgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

test('sends a callback that is not taken again, 3 s later, 6 s later and so on', async () => {
  await using a = await night(server);
  a.receiver.answers.push(500, 204, 302, 503);
  await a.call('PUT', GC, { token: await a.token() });
  await a.play(3600);
  const times = a.receiver.received.map(({ at }) => at);
  const waits = times.slice(1).map((time, index) => Math.round((time - (times[index] ?? 0)) / 1000));
  assert.deepEqual(waits, [3, 6, 9, 12]);
  assert.equal(new Set(payloads(a.receiver).map((payload) => JSON.stringify(payload))).size, 1);
  assert.deepEqual(
    a.webApp.callbacks.map(({ attempt, result }) => [attempt, result]),
    [
      [1, 500],
      [2, 204],
      [3, 302],
      [4, 503],
      [5, 200],
    ],
  );
});

test('never waits longer than 15 minutes between attempts', async () => {
  await using a = await night(server);
  a.receiver.answers.push(...Array<number>(320).fill(500));
  await a.webApp.sendCallback({ statuses: [] });
  await a.play(3 * 24 * 3600);
  const times = a.receiver.received.map(({ at }) => at);
  assert.equal(times.length, 321);
  assert.equal(Math.round(((times[320] ?? 0) - (times[319] ?? 0)) / 1000), 900);
});

test('keeps callbacks for a webhook that is down', async () => {
  await using a = await night(server);
  await a.receiver.close();
  await a.webApp.sendCallback({ statuses: [] });
  await a.play(10);
  assert.deepEqual(
    a.webApp.callbacks.map(({ result }) => result),
    ['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED'],
  );
});

for (const [callback, expected] of [
  ['never', []],
  ['twice', ['complete', 'complete']],
  ['failed-then-complete', ['failed', 'complete']],
] as const) {
  test(`callback ${callback}`, async () => {
    await using a = await night(server);
    a.webApp.faults.callback = callback;
    await a.store.fill({ sent: 10, newest: START });
    await a.call('PUT', GC, { token: await a.token() });
    await a.play(60);
    assert.deepEqual(
      payloads(a.receiver).map((payload) => gcOf(payload).status),
      expected,
    );
    assert.equal((await a.store.count()).messages, 0);
  });
}

test('callback also of a node that is not there', async () => {
  await using a = await night(server, { coreApps: 2 });
  a.webApp.faults.callback = 'also-unknown-node';
  await a.call('PUT', GC, { token: await a.token() });
  await a.play(60);
  const nodes = new Set(payloads(a.receiver).map((payload) => String(gcOf(payload).node)));
  assert.equal(nodes.size, 4);
  assert.ok(a.webApp.nodes().every((node) => nodes.has(node)));
});

test('fails and deletes nothing, and the next request succeeds', async () => {
  await using a = await night(server);
  a.webApp.faults.failingRequests = 1;
  await a.store.fill({ sent: 10, newest: START });
  const token = await a.token();
  await a.call('PUT', GC, { token });
  await a.play(60);
  assert.equal((await a.store.count()).messages, 10);
  await a.call('PUT', GC, { token });
  await a.play(60);
  assert.deepEqual(
    payloads(a.receiver).map((payload) => [gcOf(payload).status, gcOf(payload).messages_deleted]),
    [
      ['failed', 0],
      ['complete', 10],
    ],
  );
});

test('a replaced node stops, never calls back, and its successor collects the rest', async () => {
  await using a = await night(server, { coreApps: 2, rowsPerSecond: 100, rowsPerStatement: 100 });
  await a.store.fill({ sent: 4_000, newest: START });
  const token = await a.token();
  await a.call('PUT', GC, { token });
  await a.play(5);
  const [old = '', other] = a.webApp.nodes();
  const replacement = a.webApp.replaceNode(old);
  await a.play(300);
  assert.deepEqual(
    payloads(a.receiver).map((payload) => gcOf(payload).node),
    [other],
  );
  assert.equal(a.webApp.collections[0]?.outcome, 'abandoned');
  const left = (await a.store.count()).messages;
  assert.ok(left > 0 && left < 4_000);
  assert.deepEqual(a.webApp.nodes(), [replacement, other]);
  await a.call('PUT', GC, { token });
  await a.play(300);
  assert.equal((await a.store.count()).messages, 0);
});

test('collects unasked and says so', async () => {
  await using a = await night(server);
  await a.store.fill({ sent: 10, newest: START });
  a.webApp.collectUnasked('message');
  await a.play(60);
  assert.deepEqual(a.webApp.requests, []);
  assert.equal(a.receiver.received.length, 1);
  assert.equal((await a.store.count()).messages, 0);
});
