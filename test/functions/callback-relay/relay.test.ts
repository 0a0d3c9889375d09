// In one file though long: all of it is played with one relay, one webhook and one bus.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  request as send,
} from 'node:http';
import { after, before, beforeEach, describe, it } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import type { LambdaFunctionURLEvent } from 'aws-lambda';
import type { CallbackRelaySettings } from '../../../functions/callback-relay/contract.ts';
import { type FunctionUrl, serveFunctionUrl } from '../../../rehearsal/aws/lambda/function-url.ts';
import { listen, stopListening } from '../../../rehearsal/aws/listen.ts';

const BUS = 'arn:aws:events:eu-west-1:111111111111:event-bus/latam-callbacks';
const SECRET = randomBytes(32).toString('hex');
const MESSAGE =
  '{ "messages": [{"from": "16315551234", "id": "ABGGFlA5FpafAgo6tHcN", "text": {"body": "Hi"}}]}';
const NOTIFICATION = '{"services":[{"message":{"gc":{"messages_deleted":11,"status":"complete"}}}]}';

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

    it('is known however its name is spelled', async () => {
      webhook.answer = (response) => response.writeHead(503).end();
      for (const spelled of [
        NOTIFICATION.replace('"gc"', '"\\u0067c"'),
        NOTIFICATION.replace('gc', '\\u0067\\u0063'),
        NOTIFICATION.replace('"gc"', '"gc" \n'),
        // Of two of one name a parser shows the last only.
        NOTIFICATION.replace(/\}$/, ',"services":[]}'),
      ])
        assert.equal(await post(url, spelled), 503);
      assert.deepEqual(bus.entries, []);
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
      const room = 1024 * 1024 - 'whatsapp'.length - 'WhatsApp Callback'.length - 24;
      const fits = `{"t":"${'x'.repeat(room - '{"t":""}'.length)}"}`;
      assert.equal(await post(url, fits), 200);
      assert.equal(bus.entries[0]?.Detail, fits);
      assert.equal(metricsOf(output)[0]?.CallbacksTooLargeForBus, 0);
    });

    for (const { what, body } of [
      { what: 'no UTF-8', body: Buffer.from([0x7b, 0xff, 0x7d]) },
      { what: 'nothing', body: Buffer.alloc(0) },
      { what: 'text', body: Buffer.from('ping') },
      { what: 'JSON, and no object', body: Buffer.from('[{"gc":1}]') },
    ])
      it(`passes on what is ${what}, which is no callback: the bus is not tried, and nothing is lost`, async () => {
        assert.equal(await post(url, body), 200);
        assert.deepEqual(webhook.requests[0]?.body, body);
        assert.equal(bus.requests, 0);
        assert.equal(metricsOf(output)[0]?.CallbacksNotOnBus, 0);
      });

    it('tries an entry again that failed inside of EventBridge, as it would a request, and not for ever', async () => {
      const failing = (times: number) => {
        bus.respond = (response) => {
          if (--times === 0) bus.respond = undefined;
          response.end(
            JSON.stringify({
              FailedEntryCount: 1,
              Entries: [{ ErrorCode: 'InternalFailure', ErrorMessage: '' }],
            }),
          );
        };
      };
      failing(2);
      assert.equal(await post(url, MESSAGE), 200);
      assert.equal(bus.entries.length, 1);
      failing(9);
      assert.equal(await post(url, MESSAGE), 200);
      assert.equal(bus.requests, 6);
      assert.deepEqual(
        metricsOf(output).map(({ CallbacksNotOnBus }) => CallbacksNotOnBus),
        [0, 1],
      );
    });

    for (const [coding, compress] of [
      ['gzip', gzipSync],
      ['br', brotliCompressSync],
      ['deflate', deflateSync],
    ] as const)
      it(`puts on the bus what a ${coding} body holds, and passes it on as it is`, async () => {
        const body = compress(MESSAGE);
        const headers = { 'content-type': 'application/json', 'content-encoding': coding };
        assert.equal(await post(url, body, headers), 200);
        assert.deepEqual(webhook.requests[0]?.body, body);
        assert.equal(webhook.requests[0]?.headers['content-encoding'], coding);
        assert.deepEqual(
          bus.entries.map(({ Detail }) => Detail),
          [MESSAGE],
        );
      });

    it('puts on the bus what is in no coding though its header names one, as where a proxy has decoded it', async () => {
      for (const coding of ['gzip', 'br', 'gzip, br', 'compress', 'constructor']) {
        const headers = { 'content-type': 'application/json', 'content-encoding': coding };
        assert.equal(await post(url, MESSAGE, headers), 200);
      }
      assert.deepEqual(
        bus.entries.map(({ Detail }) => Detail),
        Array.from({ length: 5 }, () => MESSAGE),
      );
    });

    it('does not unpack what grows beyond what the bus takes', async () => {
      const body = gzipSync(Buffer.alloc(200 * 1024 * 1024, ' '));
      assert.equal(
        await post(url, body, { 'content-type': 'application/json', 'content-encoding': 'gzip' }),
        200,
      );
      assert.equal(bus.requests, 0);
      assert.equal(metricsOf(output)[0]?.CallbacksTooLargeForBus, 1);
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
      const relay = createRelay({
        deployment: 'latam',
        secretPathHashes: [hashOf(SECRET)],
        webhookUrl: webhook.url,
        webhookTimeoutMilliseconds: 5_000,
        busTimeoutMilliseconds: 5_000,
        maximumBytes: 1_000,
        bus: BUS,
      });
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

describe('the handler', () => {
  it('is the relay of the settings in its environment', async () => {
    const [webhook, bus] = await Promise.all([startWebhook(), startBus()]);
    const output = captureOutput();
    try {
      useBus(bus);
      process.env.UPKEEP_SETTINGS = JSON.stringify({
        deployment: 'latam',
        secretPathHashes: [hashOf(SECRET)],
        webhookUrl: webhook.url,
        webhookTimeoutMilliseconds: 5_000,
        busTimeoutMilliseconds: 5_000,
        maximumBytes: 1_000,
        bus: BUS,
      } satisfies CallbackRelaySettings);
      const { handler } = await import('../../../functions/callback-relay/handler.ts');
      const event: Partial<LambdaFunctionURLEvent> = {
        rawPath: `/${SECRET}`,
        rawQueryString: '',
        headers: {},
        body: '{}',
        isBase64Encoded: false,
        requestContext: { http: { method: 'POST' } } as LambdaFunctionURLEvent['requestContext'],
      };
      assert.deepEqual(await handler(event as LambdaFunctionURLEvent), { statusCode: 200 });
      assert.equal(bus.entries.length, 1);
      assert.equal(metricsOf(output).length, 1);
    } finally {
      restoreOutput();
      await Promise.all([webhook.close(), bus.close()]);
    }
  });
});

function hashOf(path: string): string {
  return createHash('sha256').update(path).digest('hex');
}

async function post(
  { url }: FunctionUrl,
  body: string | Buffer,
  headers: Record<string, string | string[]> = { 'content-type': 'application/json' },
  path = SECRET,
  method = 'POST',
): Promise<number> {
  const { expect: _expect, ...sent } = headers;
  const request = send(`${url}${path}`, { method, headers: sent, agent: false });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  return response.statusCode ?? 0;
}

interface Webhook {
  url: string;
  server: Server;
  requests: { url: string; headers: Record<string, string | undefined>; rawNames: string[]; body: Buffer }[];
  answer: (response: ServerResponse) => unknown;
  onRequest: (count: number) => void;
  reset(): void;
  close(): Promise<void>;
}

async function startWebhook(): Promise<Webhook> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    webhook.requests.push({
      url: request.url ?? '',
      headers: Object.fromEntries(
        Object.entries(request.headersDistinct).map(([name, values]) => [name, values?.join('|')]),
      ),
      rawNames: request.rawHeaders.filter((_name, index) => index % 2 === 0),
      body: Buffer.concat(chunks),
    });
    const { answer } = webhook;
    webhook.onRequest(webhook.requests.length);
    answer(response);
  });
  const port = await listen(server, 0);
  const webhook: Webhook = {
    url: `http://127.0.0.1:${port}/whatsapp`,
    server,
    requests: [],
    answer: () => {},
    onRequest: () => {},
    reset() {
      webhook.requests = [];
      webhook.answer = (response) => response.writeHead(200).end();
      webhook.onRequest = () => {};
    },
    close: () => stopListening(server),
  };
  webhook.reset();
  return webhook;
}

interface Bus {
  port: number;
  entries: { EventBusName: string; Source: string; DetailType: string; Detail: string }[];
  requests: number;
  onRequest: () => unknown;
  /** In place of taking the entry. */
  respond: ((response: ServerResponse) => unknown) | undefined;
  reset(): void;
  close(): Promise<void>;
}

/** The little of EventBridge's protocol that the relay sees, refusals included. */
async function startBus(): Promise<Bus> {
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    bus.requests += 1;
    const { respond } = bus;
    await bus.onRequest();
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    if (respond) {
      respond(response);
      return;
    }
    bus.entries.push(...JSON.parse(text).Entries);
    response.end(JSON.stringify({ FailedEntryCount: 0, Entries: [{ EventId: String(bus.requests) }] }));
  });
  const port = await listen(server, 0);
  const bus: Bus = {
    port,
    entries: [],
    requests: 0,
    onRequest: () => {},
    respond: undefined,
    reset() {
      bus.entries = [];
      bus.requests = 0;
      bus.onRequest = () => {};
      bus.respond = undefined;
    },
    close: () => stopListening(server),
  };
  return bus;
}

/** Points the SDK's clients that are made from now on at a bus. */
function useBus({ port }: Bus): void {
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_EVENTBRIDGE: `http://127.0.0.1:${port}`,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'example',
  });
}

const streams = [process.stdout, process.stderr];
const writes = streams.map((stream) => stream.write);

/** What the function logs from now on: its log lines and metrics, each a line of JSON. */
function captureOutput(): string[] {
  const lines: string[] = [];
  streams.forEach((stream, index) => {
    const write = writes[index];
    stream.write = ((chunk: unknown, ...others: unknown[]) => {
      if (typeof chunk !== 'string' || !chunk.startsWith('{'))
        return Reflect.apply(write ?? (() => true), stream, [chunk, ...others]);
      lines.push(chunk);
      return true;
    }) as typeof stream.write;
  });
  return lines;
}

function restoreOutput(): void {
  streams.forEach((stream, index) => {
    const write = writes[index];
    if (write) stream.write = write;
  });
}

// biome-ignore lint/suspicious/noExplicitAny: a line of the embedded metric format.
function metricsOf(lines: string[]): Record<string, any>[] {
  return lines.map((line) => JSON.parse(line)).filter((line) => '_aws' in line);
}
