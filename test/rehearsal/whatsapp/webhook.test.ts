import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { request } from 'undici';
import { listen, stopListening } from '../../../rehearsal/aws/listen.ts';
import { MALFORMED_NOTIFICATIONS, startWebhook, type Webhook } from '../../../rehearsal/whatsapp/webhook.ts';

const BUS = 'arn:aws:events:eu-west-1:111122223333:event-bus/callbacks';

test('puts a payload verbatim on the bus, then answers 200', async () => {
  await using bus = await startBus();
  const payload = '{ "services": [{"message": {"gc": {"messages_deleted": 11, "status": "complete"}}}]}';
  assert.equal(await post(bus.webhook, payload), 200);
  assert.deepEqual(bus.entries, [
    { EventBusName: BUS, Source: 'whatsapp', DetailType: 'WhatsApp Callback', Detail: payload },
  ]);
  assert.deepEqual([bus.webhook.taken, bus.webhook.refused], [1, 0]);
});

test('answers 500 to the payload that the bus refuses, and 200 to those beside it', async () => {
  await using bus = await startBus();
  bus.refuse = (detail) => detail.includes('refuse me');
  const statuses = await Promise.all(
    Array.from({ length: 40 }, (_, index) => post(bus.webhook, index % 8 ? '{}' : '{"text":"refuse me"}')),
  );
  assert.deepEqual(
    statuses,
    Array.from({ length: 40 }, (_, index) => (index % 8 ? 200 : 500)),
  );
  assert.equal(bus.webhook.refused, 5);
  assert.match(bus.webhook.lastRefusal ?? '', /ThrottlingException: Slow down/);
});

test('answers 500 while there is no bus', async () => {
  await using bus = await startBus();
  bus.isDenied = true;
  assert.equal(await post(bus.webhook, '{}'), 500);
  assert.match(bus.webhook.lastRefusal ?? '', /AccessDenied/);
  bus.isDenied = false;
  assert.equal(await post(bus.webhook, '{}'), 200);
});

test('sends what comes at once in requests of at most ten', async () => {
  await using bus = await startBus();
  const statuses = await Promise.all(
    Array.from({ length: 500 }, (_, index) => post(bus.webhook, JSON.stringify({ index }))),
  );
  assert.ok(statuses.every((status) => status === 200));
  assert.equal(bus.entries.length, 500);
  assert.equal(new Set(bus.entries.map(({ Detail }) => Detail)).size, 500);
  assert.ok(bus.requests < 300, `${bus.requests} requests`);
  assert.ok(bus.largest <= 10);
});

test('puts junk on the bus', async () => {
  await using bus = await startBus();
  for (const junk of MALFORMED_NOTIFICATIONS) await bus.webhook.put(junk);
  assert.deepEqual(
    bus.entries.map(({ Detail }) => JSON.parse(Detail)),
    MALFORMED_NOTIFICATIONS,
  );
});

test('goes down and comes back at the same place', async () => {
  await using bus = await startBus();
  const { url } = bus.webhook;
  await bus.webhook.goDown();
  await assert.rejects(post(bus.webhook, '{}'), { code: 'ECONNREFUSED' });
  await bus.webhook.comeBack();
  assert.equal(bus.webhook.url, url);
  assert.equal(await post(bus.webhook, '{}'), 200);
});

interface Entry {
  EventBusName: string;
  Source: string;
  DetailType: string;
  Detail: string;
}

interface Bus extends AsyncDisposable {
  webhook: Webhook;
  entries: Entry[];
  requests: number;
  largest: number;
  refuse: (detail: string) => boolean;
  isDenied: boolean;
}

/** The little of EventBridge's protocol that a webhook sees, refusals included; a webhook that speaks to it. */
async function startBus(): Promise<Bus> {
  const server = createServer(async (incoming, response) => {
    let text = '';
    for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    bus.requests += 1;
    if (bus.isDenied) {
      response.writeHead(400).end(JSON.stringify({ __type: 'AccessDeniedException', message: 'no' }));
      return;
    }
    assert.equal(incoming.headers['x-amz-target'], 'AWSEvents.PutEvents');
    const { Entries } = JSON.parse(text) as { Entries: Entry[] };
    bus.largest = Math.max(bus.largest, Entries.length);
    const answers = Entries.map((entry) => {
      if (bus.refuse(entry.Detail)) return { ErrorCode: 'ThrottlingException', ErrorMessage: 'Slow down' };
      bus.entries.push(entry);
      return { EventId: String(bus.entries.length) };
    });
    const FailedEntryCount = answers.filter((answer) => 'ErrorCode' in answer).length;
    response.end(JSON.stringify({ FailedEntryCount, Entries: answers }));
  });
  const port = await listen(server, 0);
  const webhook = await startWebhook({
    bus: BUS,
    region: 'eu-west-1',
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'example' },
  });
  const bus: Bus = {
    webhook,
    entries: [],
    requests: 0,
    largest: 0,
    refuse: () => false,
    isDenied: false,
    async [Symbol.asyncDispose]() {
      await webhook.close();
      await stopListening(server);
    },
  };
  return bus;
}

async function post(webhook: Webhook, body: string): Promise<number> {
  const answer = await request(webhook.url, { method: 'POST', body });
  await answer.body.dump();
  return answer.statusCode;
}
