import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import type { LambdaFunctionURLEvent } from 'aws-lambda';
import type { FunctionUrl } from '../../../rehearsal/aws/lambda/function-url.ts';
import {
  BUS,
  type Bus,
  hashOf,
  MESSAGE,
  metricsOf,
  onStage,
  post,
  SECRET,
  settingsFor,
  startWebhook,
  type Webhook,
} from './stage.ts';

describe('the relay, between a client and a webhook over HTTP', () => {
  let webhook: Webhook;
  let bus: Bus;
  let url: FunctionUrl;
  let output: string[];
  const { using } = onStage((stage) => {
    ({ webhook, bus, url, output } = stage);
  });

  it('passes a callback on to the byte, and puts it on the bus beside it', async () => {
    assert.equal(await post(url, MESSAGE), 200);
    assert.equal(webhook.requests[0]?.body.toString(), MESSAGE);
    assert.deepEqual(bus.entries, [
      {
        EventBusName: BUS,
        Source: 'whatsapp',
        DetailType: 'WhatsApp Callback',
        Resources: ['latam'],
        Detail: MESSAGE,
      },
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

    it('answers 504 where it takes too long, and counts that as not taken alone', async () => {
      webhook.answer = () => {};
      await using({ webhookTimeoutMilliseconds: 200 }, async (relay) => {
        assert.equal(await post(relay, MESSAGE), 504);
      });
      // Of one cause one alarm tells: it is not slow besides.
      const [metrics] = metricsOf(output);
      assert.deepEqual([metrics?.CallbacksNotTaken, metrics?.WebhookMilliseconds], [1, undefined]);
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

    it('passes interim answers by, and sends the request once', async () => {
      webhook.answer = (response) => {
        response.writeContinue();
        response.writeProcessing();
        response.writeEarlyHints({ link: '</style.css>; rel=preload' });
        response.writeHead(202).end();
      };
      assert.equal(await post(url, MESSAGE), 202);
      assert.equal(webhook.requests.length, 1);
    });

    it('passes on 304, which has no body', async () => {
      webhook.answer = (response) => response.writeHead(304).end();
      assert.equal(await post(url, MESSAGE), 304);
      assert.equal(webhook.requests.length, 1);
    });

    it('sends header values beyond Latin-1 as the UTF-8 that they came as', async () => {
      const { createRelay } = await import('../../../functions/callback-relay/relay.ts');
      const relay = createRelay(settingsFor(webhook, { maximumBytes: 1_000 }));
      const event: Partial<LambdaFunctionURLEvent> = {
        rawPath: `/${SECRET}`,
        rawQueryString: '',
        headers: { 'content-type': 'application/json', 'x-name': 'Jürgen 👋' },
        body: MESSAGE,
        isBase64Encoded: false,
        requestContext: { http: { method: 'POST' } } as LambdaFunctionURLEvent['requestContext'],
      };
      assert.deepEqual(await relay(event as LambdaFunctionURLEvent), { statusCode: 200 });
      const name = Buffer.from(webhook.requests[0]?.headers['x-name'] ?? '', 'latin1').toString();
      assert.equal(name, 'Jürgen 👋');
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
