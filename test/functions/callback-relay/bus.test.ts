import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import type { FunctionUrl } from '../../../rehearsal/aws/lambda/function-url.ts';
import { type Bus, MESSAGE, metricsOf, onStage, post, startBus, useBus, type Webhook } from './stage.ts';

const NOTIFICATION = '{"services":[{"message":{"gc":{"messages_deleted":11,"status":"complete"}}}]}';

describe('the relay, between a client and a webhook over HTTP', () => {
  let webhook: Webhook;
  let bus: Bus;
  let url: FunctionUrl;
  let output: string[];
  const { using } = onStage((stage) => {
    ({ webhook, bus, url, output } = stage);
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
});
