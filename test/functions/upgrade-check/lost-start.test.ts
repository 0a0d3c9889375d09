import assert from 'node:assert/strict';
import { afterEach, it, mock } from 'node:test';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { LambdaClient } from '@aws-sdk/client-lambda';
import type { RunEvent } from '../../../functions/shared/run/run-event.ts';
import type { UpgradeCheckSettings } from '../../../functions/upgrade-check/contract.ts';
import type { Look } from '../../../functions/upgrade-check/look.ts';
import { prepare } from '../../../functions/upgrade-check/prepare.ts';

const START = Date.UTC(2027, 0, 11, 3);
const HOUR = 3_600_000;

afterEach(() => mock.reset());

for (const { what, listed, says, hours } of [
  { what: 'of which nothing is ever seen', listed: [], says: /Lambda shows no such run since/, hours: 0.5 },
  {
    what: 'that goes on',
    listed: [{ DurableExecutionArn: 'arn', DurableExecutionName: 'shop-message-gc-1' }],
    says: /still went on when the downtime window ended/,
    hours: 3.1,
  },
])
  it(`preparing an upgrade waits for a run ${what} no longer than it must, and says what it saw`, async () => {
    let now = START;
    mock.timers.enable({ apis: ['Date'], now });
    const pass = (seconds: number) => {
      now += seconds * 1000;
      mock.timers.setTime(now);
    };
    mock.method(LambdaClient.prototype, 'send', async ({ input }: { input: Record<string, unknown> }) => {
      if ('Payload' in input)
        return { Payload: Buffer.from('{"outcome":"started","runId":"shop-message-gc-1"}') };
      if ('DurableExecutionArn' in input) return { Status: 'RUNNING' };
      return { DurableExecutions: input.DurableExecutionName === undefined ? [] : listed };
    });
    const context = {
      step: (_: string, work: () => unknown) => work(),
      wait: async (_: string, { seconds }: { seconds: number }) => pass(seconds),
      async waitForCondition(_: string, look: () => unknown, options: { waitStrategy: CallableFunction }) {
        for (;;) {
          const state = await look();
          const { shouldContinue, delay } = options.waitStrategy(state, 1);
          if (!shouldContinue) return state;
          pass(delay.seconds);
        }
      },
    } as unknown as DurableContext;
    const look: Look = {
      at: new Date(START).toISOString(),
      findings: [
        { criterion: 'last garbage collection', answer: 'no', cleaningHelps: true },
      ] as Look['findings'],
      rowsAtMost: {},
      rowsToClean: 100,
    };
    const cleaning = { job: 'message-gc', functionArn: 'arn', tables: ['messages'], maximumAgeHours: 24 };
    const settings = { deployment: 'shop', startRunArn: 'arn', cleaning } as unknown as UpgradeCheckSettings;
    const run = { endBy: new Date(START + 3 * HOUR).toISOString() } as RunEvent;
    const { stopped, runs } = await prepare(settings, run, look, async () => look, context);
    assert.match(stopped ?? '', says);
    assert.deepEqual(runs, []);
    assert.ok(now - START <= hours * HOUR, `${(now - START) / HOUR} hours`);
  });
