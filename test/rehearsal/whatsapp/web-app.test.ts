import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Postgres, startPostgres } from '../../../rehearsal/databases/postgres.ts';
import { createCertificate } from '../../../rehearsal/whatsapp/certificate.ts';
import { writeMediaFolder } from '../../../rehearsal/whatsapp/media-folder.ts';
import { inboundMessages, MEDIA_UNUSED_MS } from '../../../rehearsal/whatsapp/message-rows.ts';
import { codeOf, gcOf, HOST, night, payloads, START, USER } from './fixture.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const GC = '/v1/services/message/gc';
const processing = { status: 'processing' };

let server: Postgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

test('gives a token for the right password, which says when it ends', async () => {
  await using a = await night(server);
  const { status, body } = await a.call('POST', '/v1/users/login', { basic: USER });
  assert.equal(status, 200);
  const { users, meta } = body as { users: [{ token: string; expires_after: string }]; meta: unknown };
  assert.ok(users[0].token.length > 20);
  assert.equal(Math.round((Date.parse(users[0].expires_after) - START) / DAY_MS), 7);
  assert.ok(meta);
});

for (const [what, basic] of [
  ['a wrong password', { username: 'upkeep', password: 'wrong' }],
  ['an unknown user', { username: 'nobody', password: USER.password }],
] as const) {
  test(`refuses ${what} with 1005`, async () => {
    await using a = await night(server);
    const reply = await a.call('POST', '/v1/users/login', { basic });
    assert.deepEqual([reply.status, codeOf(reply)], [401, 1005]);
  });
}

test("wants a new and strong password at admin's first login", async () => {
  await using a = await night(server, {
    users: [{ username: 'admin', password: 'secret', firstLogin: true }],
  });
  const basic = { username: 'admin', password: 'secret' };
  const login = (body?: object) => a.call('POST', '/v1/users/login', { basic, ...(body && { body }) });
  assert.equal(codeOf(await login()), 1008);
  assert.equal(codeOf(await login({ new_password: 'simple' })), 1009);
  assert.equal((await login({ new_password: 'Not-Simple-5' })).status, 200);
  assert.equal(codeOf(await login()), 1005);
});

test('takes a token until logout, expiry or revocation', async () => {
  await using a = await night(server, { tokenLifetimeSeconds: 3600 });
  const [left, expired, revoked] = [await a.token(), await a.token(), await a.token()];
  const health = async (token: string) => (await a.call('GET', '/v1/health', { token })).status;
  assert.equal(await health(left), 200);
  assert.equal((await a.call('POST', '/v1/users/logout', { token: left })).status, 200);
  assert.equal(await health(left), 401);
  assert.equal((await a.call('POST', '/v1/users/logout', { token: left })).status, 401);
  assert.equal(await health(revoked), 200);
  a.webApp.revokeTokens();
  assert.equal(await health(revoked), 401);
  const late = await a.token();
  await a.play(3601);
  assert.equal(await health(late), 401);
  assert.equal(await health(expired), 401);
  assert.equal((await a.call('GET', '/v1/health')).status, 401);
});

test('deletes the rows that are sent or read, and no others, and then says how many', async () => {
  await using a = await night(server);
  await a.store.fill({ sent: 3_000, pending: 40, read: 500, unread: 60, newest: START });
  const reply = await a.call('PUT', GC, { token: await a.token() });
  assert.equal(reply.status, 200);
  assert.deepEqual((reply.body as { services: unknown }).services, { message: { gc: processing } });
  assert.equal((await a.store.count()).messages, 3_600);
  await a.play(60);
  assert.deepEqual(await a.store.count(), {
    messages: 100,
    sent: 0,
    pending: 40,
    read: 0,
    unread: 60,
    media: 0,
  });
  assert.deepEqual(payloads(a.receiver), [
    { services: [{ message: { gc: { messages_deleted: 3_500, status: 'complete' } } }] },
  ]);
});

test('takes its time on the clock', async () => {
  await using a = await night(server, { rowsPerSecond: 100 });
  await a.store.fill({ sent: 6_000, newest: START });
  await a.call('PUT', GC, { token: await a.token() });
  await a.play(50);
  assert.equal(a.receiver.received.length, 0);
  await a.play(15);
  assert.equal(a.receiver.received.length, 1);
});

test('with Multiconnect, names every CoreApp, each of which collects its own conversations', async () => {
  await using a = await night(server, { coreApps: 2 });
  await a.store.fill({ sent: 4_000, unread: 10, newest: START });
  const reply = await a.call('PUT', GC, { token: await a.token() });
  const [first = '', second = ''] = a.webApp.nodes();
  assert.match(first, /^wacore1:[0-9a-f]{12}$/);
  assert.deepEqual((reply.body as { services: unknown }).services, {
    message: { gc: { [first]: processing, [second]: processing } },
  });
  await a.play(60);
  const [one, two] = a.webApp.collections;
  assert.equal((one?.deleted ?? 0) + (two?.deleted ?? 0), 4_000);
  assert.ok(one?.deleted && two?.deleted);
  assert.deepEqual(
    new Map(payloads(a.receiver).map((payload) => [gcOf(payload).node, gcOf(payload)])),
    new Map([
      [first, { messages_deleted: one.deleted, node: first, status: 'complete' }],
      [second, { messages_deleted: two.deleted, node: second, status: 'complete' }],
    ]),
  );
  assert.equal((await a.store.count()).messages, 10);
});

test('ends with errors when there is more than one call deletes, until nothing is left', async () => {
  await using a = await night(server, { rowsPerCall: 2_000, rowsPerStatement: 700 });
  await a.store.fill({ sent: 5_000, newest: START });
  const token = await a.token();
  const outcomes: unknown[] = [];
  for (let call = 0; call < 3; call += 1) {
    await a.call('PUT', GC, { token });
    await a.play(60);
    outcomes.push(gcOf(a.receiver.received.at(-1)?.payload));
  }
  const errors = [{ code: 1014, details: 'Could not delete all messages' }];
  assert.deepEqual(outcomes, [
    { messages_deleted: 2_000, errors, status: 'failed' },
    { messages_deleted: 2_000, errors, status: 'failed' },
    { messages_deleted: 1_000, status: 'complete' },
  ]);
});

test('media GC deletes what was unused for 30 days, never per node, under either key', async () => {
  for (const key of ['message', 'media'] as const) {
    await using a = await night(server, { coreApps: 2, mediaCallbackKey: key });
    await a.store.fill({ unusedMedia: 30, usedMedia: 5, newest: START });
    const reply = await a.call('PUT', '/v1/services/media/gc', { token: await a.token() });
    assert.deepEqual((reply.body as { services: unknown }).services, { media: { gc: processing } });
    await a.play(60);
    assert.equal((await a.store.count()).media, 5);
    assert.deepEqual(payloads(a.receiver), [
      { services: [{ [key]: { gc: { items_deleted: 30, status: 'complete' } } }] },
    ]);
  }
});

test('media GC fails as Meta shows it', async () => {
  await using a = await night(server, { rowsPerCall: 10 });
  await a.store.fill({ unusedMedia: 30, newest: START });
  await a.call('PUT', '/v1/services/media/gc', { token: await a.token() });
  await a.play(60);
  const errors = [{ code: 1014, details: 'Could not delete media files' }];
  assert.deepEqual(payloads(a.receiver), [
    { services: [{ media: { gc: { items_deleted: 10, errors, status: 'failed' } } }] },
  ]);
});

test('media GC deletes the files of what it deletes, and keeps the entry of one that it cannot delete', async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'media-'));
  t.after(() => rmSync(path, { recursive: true }));
  const media = writeMediaFolder(path, []);
  await using a = await night(server, { media });
  await a.store.fill({ unusedMedia: 30, usedMedia: 5, newest: START });
  const before = writeMediaFolder(path, await a.store.media()).files();
  assert.equal(before.size, 35);
  const [held] = await a.store.unusedMedia(START - MEDIA_UNUSED_MS, '0', 1);
  assert.ok(held);
  media.undeletable.add(held.path);
  const token = await a.token();
  for (const mended of [false, true]) {
    if (mended) media.undeletable.clear();
    await a.call('PUT', '/v1/services/media/gc', { token });
    await a.play(60);
    const left = media.files();
    assert.deepEqual(new Set(left.keys()), new Set((await a.store.media()).map(({ path }) => path)));
    for (const [name, file] of left) assert.deepEqual(file, before.get(name));
    assert.equal(left.has(held.path), !mended);
    assert.equal(left.size, mended ? 5 : 6);
  }
  const errors = [{ code: 1014, details: 'Could not delete media files' }];
  assert.deepEqual(payloads(a.receiver), [
    { services: [{ media: { gc: { items_deleted: 29, errors, status: 'failed' } } }] },
    { services: [{ message: { gc: { items_deleted: 1, status: 'complete' } } }] },
  ]);
});

test('refuses GC with 1014 while CoreApp cannot be reached', async () => {
  await using a = await night(server);
  a.webApp.faults.unreachableCoreApp = 2;
  const token = await a.token();
  const codes = [];
  for (let call = 0; call < 3; call += 1) codes.push(codeOf(await a.call('PUT', GC, { token })));
  assert.deepEqual(codes, [1014, 1014, undefined]);
});

for (const [whileRunning, code, callbacks] of [
  ['ignore', undefined, 1],
  ['refuse', 1014, 1],
  ['again', undefined, 2],
] as const) {
  test(`a second request while GC runs: ${whileRunning}`, async () => {
    await using a = await night(server, { whileRunning });
    await a.store.fill({ sent: 100, newest: START });
    const token = await a.token();
    await a.call('PUT', GC, { token });
    assert.equal(codeOf(await a.call('PUT', GC, { token })), code);
    await a.play(60);
    assert.equal(a.receiver.received.length, callbacks);
    assert.ok(a.webApp.collections.every(({ outcome }) => outcome === 'complete'));
  });
}

test('marks a message and the earlier ones of its conversation, and no later or other one', async () => {
  await using a = await night(server);
  const messages = inboundMessages({ count: 6, conversations: 2, oldest: START - 6 * DAY_MS, newest: START });
  await a.webApp.deliverInbound(messages);
  const reply = await a.call('PUT', `/v1/messages/${messages[2]?.id}`, {
    token: await a.token(),
    body: { status: 'read' },
  });
  assert.deepEqual(reply, { status: 200, body: {} });
  const { rows } = await a.store.pool.query<{ key_id: string }>(
    "SELECT key_id FROM messages WHERE status = 'read' ORDER BY timestamp",
  );
  assert.deepEqual(
    rows.map(({ key_id }) => key_id),
    [messages[0]?.id, messages[2]?.id],
  );
});

test('marks neither what it does not know nor what is older than 30 days nor with another status', async () => {
  await using a = await night(server);
  const token = await a.token();
  const messages = inboundMessages({
    count: 2,
    conversations: 2,
    oldest: START - 31 * DAY_MS,
    newest: START,
  });
  await a.webApp.deliverInbound(messages);
  const [old, recent] = messages;
  const mark = async (id: string | undefined, body: object = { status: 'read' }) =>
    codeOf(await a.call('PUT', `/v1/messages/${id}`, { token, body }));
  assert.equal(await mark(old?.id), 1009);
  assert.equal(await mark('ABEG00'), 1006);
  assert.equal(await mark(recent?.id, {}), 1008);
  assert.equal(await mark(recent?.id, { status: 'delivered' }), 1009);
  await a.store.forget([recent?.id ?? '']);
  assert.equal(await mark(recent?.id), 1006);
  assert.equal((await a.store.count()).read, 0);
});

test('delivers thousands of inbound messages, each as a row and as a callback', async () => {
  await using a = await night(server);
  const messages = inboundMessages({
    count: 3_000,
    conversations: 400,
    oldest: START - DAY_MS,
    newest: START,
  });
  await a.webApp.deliverInbound(messages);
  assert.equal((await a.store.count()).unread, 3_000);
  assert.equal(a.receiver.received.length, 3_000);
  const [first] = messages;
  const payload = payloads(a.receiver).find((one) => messageOf(one).id === first?.id);
  assert.deepEqual(messageOf(payload), {
    from: first?.from,
    id: first?.id,
    timestamp: String(Math.floor((first?.timestamp ?? 0) / 1000)),
    text: { body: 'Where is my parcel?' },
    type: 'text',
  });
});

test('answers 1015 above the rate', async () => {
  await using a = await night(server, { requestsPerSecond: 2 });
  const token = await a.token();
  await a.play(1);
  const codes = await Promise.all(
    Array.from({ length: 9 }, async () => codeOf(await a.call('GET', '/v1/health', { token }))),
  );
  assert.ok(codes.includes(1015));
  assert.ok(codes.includes(undefined));
});

test('tells the health of a single instance, and of each container of a cluster', async () => {
  await using single = await night(server);
  await using cluster = await night(server, { coreApps: 2 });
  const health = async (a: typeof single) => {
    const { body } = await a.call('GET', '/v1/health', { token: await a.token() });
    return (body as { health: Record<string, unknown> }).health;
  };
  assert.deepEqual(await health(single), { gateway_status: 'connected' });
  const containers = await health(cluster);
  assert.deepEqual(
    cluster.webApp.nodes().map((node) => containers[node]),
    Array(2).fill({ gateway_status: 'connected', role: 'coreapp' }),
  );
  assert.deepEqual(Object.values(containers).slice(2), [
    { gateway_status: 'connected', role: 'primary_master' },
    { gateway_status: 'disconnected', role: 'secondary_master' },
  ]);
});

test('answers 1006 for what it does not have', async () => {
  await using a = await night(server);
  const reply = await a.call('GET', '/v1/nothing', { token: await a.token() });
  assert.deepEqual([reply.status, codeOf(reply)], [404, 1006]);
});

test('is not trusted with another certificate', async () => {
  await using a = await night(server);
  await a.token();
  a.webApp.useCertificate(await createCertificate(HOST));
  await assert.rejects(a.token(), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
});

test('goes down with its connections, goes on collecting, and comes back at the same place', async () => {
  await using a = await night(server);
  await a.store.fill({ sent: 10, newest: START });
  const token = await a.token();
  await a.call('PUT', GC, { token });
  await a.webApp.goDown();
  await assert.rejects(a.call('GET', '/v1/health', { token }), { code: 'ECONNREFUSED' });
  await a.play(60);
  assert.equal(a.receiver.received.length, 1);
  await a.webApp.comeBack();
  assert.equal((await a.call('GET', '/v1/health', { token })).status, 200);
});

test('lets a fault strike at a request', async () => {
  const seen: string[] = [];
  await using a = await night(server, {
    onRequest: ({ method, path }) => {
      seen.push(`${method} ${path}`);
      if (path === GC) a.webApp.revokeTokens();
    },
  });
  assert.equal((await a.call('PUT', GC, { token: await a.token() })).status, 401);
  assert.deepEqual(seen, ['POST /v1/users/login', `PUT ${GC}`]);
});

test('logs requests without what is secret in them', async () => {
  await using a = await night(server);
  const token = await a.token();
  await a.call('GET', '/v1/health', { token });
  await a.call('POST', '/v1/users/login', { basic: { ...USER, password: 'Falsch-17' } });
  assert.deepEqual(
    a.webApp.requests.map(({ method, path, status, code }) => [method, path, status, code]),
    [
      ['POST', '/v1/users/login', 200, undefined],
      ['GET', '/v1/health', 200, undefined],
      ['POST', '/v1/users/login', 401, 1005],
    ],
  );
  const log = JSON.stringify(a.webApp.requests);
  assert.ok(![token, USER.password, 'Falsch-17'].some((secret) => log.includes(secret)));
});

function messageOf(payload: unknown): { id: string } {
  return (payload as { messages: [{ id: string }] }).messages[0];
}
