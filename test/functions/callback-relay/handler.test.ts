import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LambdaFunctionURLEvent } from 'aws-lambda';
import {
  captureOutput,
  metricsOf,
  restoreOutput,
  SECRET,
  settingsFor,
  startBus,
  startWebhook,
  useBus,
} from './stage.ts';

describe('the handler', () => {
  it('is the relay of the settings in its environment', async () => {
    const [webhook, bus] = await Promise.all([startWebhook(), startBus()]);
    const output = captureOutput();
    try {
      useBus(bus);
      process.env.UPKEEP_SETTINGS = JSON.stringify(settingsFor(webhook, { maximumBytes: 1_000 }));
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
