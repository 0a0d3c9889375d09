import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LambdaFunctionURLEvent } from 'aws-lambda';
import type { CallbackRelaySettings } from '../../../functions/callback-relay/contract.ts';
import {
  BUS,
  captureOutput,
  hashOf,
  metricsOf,
  restoreOutput,
  SECRET,
  startBus,
  startWebhook,
  useBus,
} from './stand-ins.ts';

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
        eventSource: 'shop',
        eventDetailType: 'Shop Callback',
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
