// In one file though long: all of it is played with one relay, one webhook and one bus.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { CallbackRelaySettings } from '../../../functions/callback-relay/contract.ts';
import { type FunctionUrl, serveFunctionUrl } from '../../../rehearsal/aws/lambda/function-url.ts';
import {
  BUS,
  type Bus,
  captureOutput,
  hashOf,
  MESSAGE,
  metricsOf,
  NOTIFICATION,
  post,
  restoreOutput,
  SECRET,
  startBus,
  startWebhook,
  useBus,
  type Webhook,
} from './stand-ins.ts';

describe('the relay, between a client and a webhook over HTTP', () => {
  let webhook: Webhook;
  let bus: Bus;
  let url: FunctionUrl;
  let output: string[];

  before(async () => {
    [webhook, bus] = await Promise.all([startWebhook(), startBus()]);
    useBus(bus);
    url = await startRelay();
  });
  beforeEach(() => {
    webhook.reset();
    bus.reset();
    output = captureOutput();
  });
  after(async () => {
    await Promise.all([url.close(), webhook.close(), bus.close()]);
    restoreOutput();
  });

  async function startRelay(change: Partial<CallbackRelaySettings> = {}): Promise<FunctionUrl> {
    const { createRelay } = await import('../../../functions/callback-relay/relay.ts');
    return serveFunctionUrl(
      createRelay({
        deployment: 'latam',
        secretPathHashes: [hashOf(SECRET)],
        webhookUrl: webhook.url,
        webhookTimeoutMilliseconds: 5_000,
        busTimeoutMilliseconds: 5_000,
        maximumBytes: 5 * 1024 * 1024,
        bus: BUS,
        eventSource: 'shop',
        eventDetailType: 'Shop Callback',
        ...change,
      }),
    );
  }

  /** A relay of other settings, for one test. */
  async function using<T>(
    change: Partial<CallbackRelaySettings>,
    work: (relay: FunctionUrl) => Promise<T>,
  ): Promise<T> {
    const relay = await startRelay(change);
    try {
      return await work(relay);
    } finally {
      await relay.close();
    }
  }

  it('passes a callback on to the byte, and puts it on the bus beside it', async () => {
    assert.equal(await post(url, MESSAGE), 200);
    assert.equal(webhook.requests[0]?.body.toString(), MESSAGE);
    assert.deepEqual(bus.entries, [
      { EventBusName: BUS, Source: 'shop', DetailType: 'Shop Callback', Detail: MESSAGE },
    ]);
    const [metrics] = metricsOf(output);
    assert.deepEqual(
      {
        namespace: metrics?._aws.CloudWatchMetrics[0].Namespace,
        dimensions: metrics?._aws.CloudWatchMetrics[0].Dimensions,
        deployment: metrics?.deployment,
        job: metrics?.job,
        counts: [
          metrics?.CallbacksRelayed,
          metrics?.CallbacksNotTaken,
          metrics?.CallbacksNotOnBus,
          metrics?.CallbacksTooLargeForBus,
        ],
      },
      {
        namespace: 'Upkeep',
        dimensions: [['deployment', 'job']],
        deployment: 'latam',
        job: 'callback-relay',
        counts: [1, 0, 0, 0],
      },
    );
  });

  for (const { what, body, type = 'application/json' } of [
    { what: 'text of every length of UTF-8', body: Buffer.from('{"text":"é — 👋 \\u0000 \\/ \t\r\n"}\n') },
    { what: 'a byte order mark', body: Buffer.from('\uFEFF{"a":1}') },
    { what: 'bytes that are no text', body: randomBytes(10_000) },
    { what: 'bytes of a type that is no text', body: randomBytes(10_000), type: 'application/octet-stream' },
    { what: 'nothing', body: Buffer.alloc(0) },
  ])
    it(`passes on ${what} unchanged`, async () => {
      assert.equal(await post(url, body, { 'content-type': type }), 200);
      assert.deepEqual(webhook.requests[0]?.body, body);
      assert.equal(webhook.requests[0]?.headers['content-length'], String(body.length));
    });

  it('passes on all headers but those of the connection, of this hop and of Lambda', async () => {
    await post(url, '{}', {
      'content-type': 'application/json; charset=utf-8',
      'user-agent': 'WhatsApp/2.57',
      'x-hub-signature': 'sha1=abc',
      authorization: 'Bearer something',
      'x-twice': ['one', 'two'],
      cookie: 'a=1; b=2',
      connection: 'keep-alive, x-of-this-hop',
      'x-of-this-hop': 'yes',
      te: 'trailers',
      'keep-alive': 'timeout=5',
      'proxy-authorization': 'Basic secret',
      expect: '',
    });
    const [request] = webhook.requests;
    assert.ok(request);
    const { headers, rawNames } = request;
    const expected = {
      'content-type': 'application/json; charset=utf-8',
      'user-agent': 'WhatsApp/2.57',
      'x-hub-signature': 'sha1=abc',
      authorization: 'Bearer something',
      'x-twice': 'one,two',
      cookie: 'a=1; b=2',
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(headers[name], value, name);
    assert.equal(headers.host, new URL(webhook.url).host);
    assert.equal(headers['x-forwarded-proto'], 'https');
    assert.deepEqual(
      rawNames.filter((name) => !(name in expected) && !name.startsWith('x-forwarded-')).sort(),
      ['connection', 'content-length', 'host'],
    );
    assert.equal(headers.connection, 'keep-alive');
  });

  it("keeps the webhook's own path and query, and adds the client's query", async () => {
    await using({ webhookUrl: `${webhook.url}?key=1` }, (relay) =>
      post(relay, '{}', {}, `${SECRET}?a=%20b&c`),
    );
    assert.equal(webhook.requests[0]?.url, '/whatsapp?key=1&a=%20b&c');
    await post(url, '{}', {}, `${SECRET}?a=1`);
    assert.equal(webhook.requests[1]?.url, '/whatsapp?a=1');
    await post(url, '{}');
    assert.equal(webhook.requests[2]?.url, '/whatsapp');
  });

  for (const status of [200, 201, 204, 302, 400, 401, 404, 429, 500, 503])
    it(`returns the status ${status} of the webhook`, async () => {
      webhook.answer = (response) => response.writeHead(status, { location: '/elsewhere' }).end();
      assert.equal(await post(url, MESSAGE), status);
      assert.equal(webhook.requests.length, 1);
      assert.equal(metricsOf(output)[0]?.CallbacksNotTaken, status === 200 ? 0 : 1);
      assert.equal(bus.entries.length, 1);
    });

  it('calls webhook and bus at once: either may wait for the other', async () => {
    let release = () => {};
    const arrived = new Promise<void>((resolve) => {
      release = resolve;
    });
    bus.onRequest = release;
    webhook.answer = async (response) => {
      await arrived;
      response.writeHead(200).end();
    };
    assert.equal(await post(url, MESSAGE), 200);
    webhook.answer = (response) => response.writeHead(200).end();
    bus.reset();
    const reached = once(webhook.server, 'request');
    bus.onRequest = () => reached;
    assert.equal(await post(url, MESSAGE), 200);
    assert.equal(bus.entries.length, 1);
  });

  describe('a notification of garbage collection', () => {
    it('gets on the bus once the webhook took it, and not before', async () => {
      let onBusBefore = -1;
      webhook.answer = (response) => {
        onBusBefore = bus.requests;
        setTimeout(() => {
          onBusBefore += bus.requests;
          response.writeHead(200).end();
        }, 100);
      };
      assert.equal(await post(url, NOTIFICATION), 200);
      assert.equal(onBusBefore, 0);
      assert.deepEqual(
        bus.entries.map(({ Detail }) => Detail),
        [NOTIFICATION],
      );
    });

    it('is on the bus once although the webhook took it at the third time', async () => {
      for (const status of [503, 500, 200]) {
        webhook.answer = (response) => response.writeHead(status).end();
        assert.equal(await post(url, NOTIFICATION), status);
      }
      assert.equal(bus.entries.length, 1);
      assert.ok(metricsOf(output).every(({ CallbacksNotOnBus }) => CallbacksNotOnBus === 0));
    });

    it('is passed on although there is no bus for it, and that is counted', async () => {
      bus.respond = (response) => response.writeHead(500).end('{}');
      await using({ busTimeoutMilliseconds: 2_000 }, async (relay) => {
        assert.equal(await post(relay, NOTIFICATION), 200);
      });
      assert.equal(metricsOf(output)[0]?.CallbacksNotOnBus, 1);
    });
  });

  describe('when our side does not do', () => {
    for (const { what, set, code } of [
      {
        what: 'denies',
        set: () => {
          bus.respond = (response) =>
            response
              .writeHead(400)
              .end(JSON.stringify({ __type: 'AccessDeniedException', message: `no: ${MESSAGE}` }));
        },
        code: 'AccessDeniedException',
      },
      {
        what: 'refuses the entry',
        set: () => {
          bus.respond = (response) =>
            response.end(
              JSON.stringify({
                FailedEntryCount: 1,
                Entries: [{ ErrorCode: 'MalformedDetail', ErrorMessage: `bad: ${MESSAGE}` }],
              }),
            );
        },
        code: 'MalformedDetail',
      },
      {
        what: 'answers without an entry',
        set: () => {
          bus.respond = (response) => response.end('{}');
        },
        code: 'NoEntry',
      },
    ])
      it(`passes the callback on although the bus ${what}, and counts it`, async () => {
        set();
        assert.equal(await post(url, MESSAGE), 200);
        assert.equal(webhook.requests.length, 1);
        assert.equal(metricsOf(output)[0]?.CallbacksNotOnBus, 1);
        assert.match(output.join(''), new RegExp(`did not get on the bus.*${code}`));
        assert.doesNotMatch(output.join(''), /16315551234/);
      });

    it('passes the callback on although there is no bus', async () => {
      const nowhere = await startBus();
      await nowhere.close();
      useBus(nowhere);
      try {
        await using({ busTimeoutMilliseconds: 2_000 }, async (relay) => {
          assert.equal(await post(relay, MESSAGE), 200);
        });
      } finally {
        useBus(bus);
      }
      assert.equal(webhook.requests.length, 1);
      assert.equal(metricsOf(output)[0]?.CallbacksNotOnBus, 1);
    });

    it('waits for a bus that hangs once, then no more for a while, and puts callbacks there nonetheless', async () => {
      bus.respond = () => {};
      const wait = 1_000;
      await using({ busTimeoutMilliseconds: wait }, async (relay) => {
        for (let call = 0; call < 11; call += 1) assert.equal(await post(relay, MESSAGE), 200);
        assert.equal(webhook.requests.length, 11);
        const [first, ...others] = metricsOf(output);
        assert.ok(first?.RelayAddedMilliseconds > wait / 2);
        const added = others.reduce((sum, { RelayAddedMilliseconds }) => sum + RelayAddedMilliseconds, 0);
        assert.ok(added < wait, `ten callbacks waited ${added} ms, and one may ${wait}`);
        assert.ok(metricsOf(output).every(({ CallbacksNotOnBus }) => CallbacksNotOnBus === 1));
        // The bus is back, and faster than the webhook: it is taken up again.
        bus.reset();
        webhook.answer = (response) => setTimeout(() => response.writeHead(200).end(), 200);
        assert.equal(await post(relay, MESSAGE), 200);
        assert.equal(metricsOf(output).at(-1)?.CallbacksNotOnBus, 0);
      });
    });

    it('passes on what is too large for the bus, counts it, and does not try', async () => {
      const large = JSON.stringify({ text: 'x'.repeat(1024 * 1024) });
      assert.equal(await post(url, large), 200);
      assert.equal(webhook.requests[0]?.body.toString(), large);
      assert.equal(bus.requests, 0);
      assert.equal(metricsOf(output)[0]?.CallbacksTooLargeForBus, 1);
      assert.equal(metricsOf(output)[0]?.CallbacksNotOnBus, 0);
    });

    it('puts on the bus what just fits', async () => {
      const room = 1024 * 1024 - 'shop'.length - 'Shop Callback'.length;
      const fits = `{"t":"${'x'.repeat(room - '{"t":""}'.length)}"}`;
      assert.equal(await post(url, fits), 200);
      assert.equal(bus.entries[0]?.Detail, fits);
      assert.equal(metricsOf(output)[0]?.CallbacksTooLargeForBus, 0);
    });

    it('passes on what is no UTF-8, which the bus cannot take', async () => {
      assert.equal(await post(url, Buffer.from([0x7b, 0xff, 0x7d])), 200);
      assert.equal(bus.requests, 0);
      assert.equal(metricsOf(output)[0]?.CallbacksNotOnBus, 1);
    });
  });

  describe('when the webhook does not do', () => {
    it('answers 502 where nobody listens, and has the callback on the bus all the same', async () => {
      const gone = await startWebhook();
      await gone.close();
      await using({ webhookUrl: gone.url }, async (relay) => {
        assert.equal(await post(relay, MESSAGE), 502);
      });
      assert.equal(bus.entries.length, 1);
      assert.equal(metricsOf(output)[0]?.CallbacksNotTaken, 1);
      assert.match(output.join(''), /gave no answer.*ECONNREFUSED/);
    });

    it('answers 504 where it takes too long', async () => {
      webhook.answer = () => {};
      await using({ webhookTimeoutMilliseconds: 200 }, async (relay) => {
        assert.equal(await post(relay, MESSAGE), 504);
      });
    });

    it('tries once more where a kept connection broke, as after a freeze', async () => {
      assert.equal(await post(url, MESSAGE), 200);
      webhook.answer = (response) => response.destroy();
      webhook.onRequest = (count) => {
        if (count === 2) webhook.answer = (response) => response.writeHead(200).end();
      };
      assert.equal(await post(url, MESSAGE), 200);
      assert.equal(webhook.requests.length, 3);
    });

    it('answers 502 where the new connection breaks too', async () => {
      webhook.answer = (response) => response.destroy();
      assert.equal(await post(url, MESSAGE), 502);
      assert.equal(webhook.requests.length, 2);
    });

    it('takes its status although its body never ends', async () => {
      webhook.answer = (response) => response.writeHead(200).write('…');
      assert.equal(await post(url, MESSAGE), 200);
    });

    it('logs no address of it: a webhook may have a secret in its own', async () => {
      await using({ webhookUrl: 'http://127.0.0.1:1/hook/very-secret' }, (relay) => post(relay, MESSAGE));
      assert.doesNotMatch(output.join(''), /very-secret/);
    });
  });

  describe('who may call', () => {
    for (const { what, path } of [
      { what: 'no path', path: '' },
      { what: 'another path', path: randomBytes(32).toString('hex') },
      { what: 'a part of the path', path: SECRET.slice(0, -1) },
      { what: 'more than the path', path: `${SECRET}/` },
      { what: 'the path in capitals', path: SECRET.toUpperCase() },
      { what: 'the hash of the path', path: hashOf(SECRET) },
      { what: 'the secret in the query', path: `?${SECRET}` },
    ])
      it(`is nobody with ${what}`, async () => {
        assert.equal(await post(url, MESSAGE, {}, path), 404);
        assert.equal(webhook.requests.length + bus.requests, 0);
        assert.deepEqual(
          metricsOf(output).map(({ RelayRequestsRefused }) => RelayRequestsRefused),
          [1],
        );
      });

    it('is who knows either of two paths, while one replaces the other', async () => {
      const next = randomBytes(32).toString('hex');
      await using({ secretPathHashes: [hashOf(SECRET), hashOf(next)] }, async (relay) => {
        assert.equal(await post(relay, MESSAGE, {}, next), 200);
        assert.equal(await post(relay, MESSAGE), 200);
      });
    });

    for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS'])
      it(`is nobody who asks by ${method}; without the path it is not told so`, async () => {
        assert.equal(await post(url, '', {}, SECRET, method), 405);
        assert.equal(await post(url, '', {}, 'other', method), 404);
        assert.equal(webhook.requests.length + bus.requests, 0);
      });

    it('is nobody who sends too much, and that is counted apart', async () => {
      await using({ maximumBytes: 10 }, async (relay) => {
        assert.equal(await post(relay, '0123456789'), 200);
        assert.equal(await post(relay, '0123456789a'), 413);
        assert.equal(await post(relay, '012345678é'), 413);
      });
      assert.equal(webhook.requests.length, 1);
      assert.equal(metricsOf(output).filter(({ CallbacksOverLimit }) => CallbacksOverLimit === 1).length, 2);
    });

    it('leaves the secret path in no log line', async () => {
      await post(url, MESSAGE);
      await post(url, MESSAGE, {}, SECRET, 'GET');
      webhook.answer = (response) => response.destroy();
      await post(url, MESSAGE);
      assert.ok(output.length > 0);
      assert.doesNotMatch(output.join(''), new RegExp(SECRET));
    });
  });
});
