import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';
import { atMostOnce } from '../../../../functions/shared/run/at-most-once.ts';
import { insideInvocations, withTimeLeft } from '../../../../functions/shared/run/time-left.ts';

/** An invocation's time, scaled: what would be 15 minutes. */
const WHOLE = 600;

/** Plays a procedure whose invocations have so little time; gives the number of the invocation. */
async function play<Result>(
  procedure: (context: DurableContext, invocation: () => number) => Promise<Result>,
): Promise<{ result: Result | undefined; error: string | undefined; invocations: number }> {
  let invocations = 0;
  const handler = withDurableExecution((_event: unknown, context) => {
    invocations += 1;
    const end = Date.now() + WHOLE;
    const getRemainingTimeInMillis = () => end - Date.now();
    const scaled = new Proxy(context, {
      get(target, key) {
        if (key === 'lambdaContext') return { ...target.lambdaContext, getRemainingTimeInMillis };
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    return procedure(insideInvocations(scaled), () => invocations);
  });
  const execution = await new LocalDurableTestRunner<Result>({ handlerFunction: handler }).run({
    payload: {},
  });
  const failed = execution.getStatus() === 'FAILED';
  return {
    result: failed ? undefined : execution.getResult(),
    error: failed ? execution.getError().errorMessage : undefined,
    invocations,
  };
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const hang = () => new Promise<never>(() => {});

// Side by side, for each waits for the SDK's shortest delay, a second.
describe('insideInvocations', { concurrency: true }, () => {
  before(() => LocalDurableTestRunner.setupTestEnvironment());
  after(() => LocalDurableTestRunner.teardownTestEnvironment());

  test('a step with too little of the invocation left is begun in the next one, and once', async () => {
    const begun: number[] = [];
    const { result } = await play(async (context, invocation) => {
      await context.step('long', () => pause(0.85 * WHOLE));
      return context.runInChildContext('part', (child) =>
        child.step('next', async () => {
          begun.push(invocation());
          return invocation();
        }),
      );
    });
    assert.equal(result, 2);
    assert.deepEqual(begun, [2]);
  });

  test('steps without a name, of items and of branches are guarded too', async () => {
    const { result } = await play(async (context, invocation) => {
      await context.step(() => pause(0.85 * WHOLE));
      const numbers = await context.map('items', [1, 2], (child) => child.step(async () => invocation()));
      const branches = await context.parallel('branches', [
        (child) => child.step('first', async () => invocation()),
        { name: 'second', func: (child) => child.step('second', async () => invocation()) },
      ]);
      return [...numbers.getResults(), ...branches.getResults()];
    });
    assert.deepEqual(result, [2, 2, 2, 2]);
  });

  test('a step that says what it needs waits for an invocation that has as much', async () => {
    const { result } = await play(async (context, invocation) => {
      await context.step('long', () => pause(0.5 * WHOLE));
      return context.step('count', () => withTimeLeft(context, 0.7 * WHOLE, async () => invocation()));
    });
    assert.equal(result, 2);
  });

  test('a step is left before Lambda would end it, and tried again from its beginning', async () => {
    const { result, invocations } = await play((context, invocation) =>
      context.step('hangs once', async () => (invocation() === 1 ? hang() : invocation())),
    );
    assert.equal(result, 2);
    assert.equal(invocations, 2);
  });

  test('a step that never fits fails, with its name', async () => {
    let tries = 0;
    const { error } = await play((context) =>
      context.step('too long', () => {
        tries += 1;
        return hang();
      }),
    );
    assert.match(
      error ?? '',
      /"too long" was left after \d+ seconds: Lambda would have ended the invocation/,
    );
    assert.equal(tries, 3);
  });

  test('what is more than Lambda records fails at once, with a sentence, of a step as of a look', async () => {
    let tries = 0;
    const much = () => {
      tries += 1;
      return Promise.resolve('x'.repeat(300_000));
    };
    const { error } = await play((context) => context.step('finds much', much));
    assert.match(error ?? '', /"finds much" found more than Lambda keeps on record of a run: 300002 bytes/);
    assert.equal(tries, 1);
    const looked = await play((context) =>
      context.waitForCondition<string>('sees much', much, {
        initialState: '',
        waitStrategy: () => ({ shouldContinue: false }),
      }),
    );
    assert.match(looked.error ?? '', /"sees much" found more than Lambda keeps/);
  });

  test('what must not be done twice counts as interrupted where it was left', async () => {
    let tries = 0;
    const { result } = await play((context) =>
      atMostOnce(
        context,
        'ask',
        () => {
          tries += 1;
          return hang();
        },
        5,
      ),
    );
    assert.deepEqual(result, { kind: 'interrupted' });
    assert.equal(tries, 1);
  });

  test('a look that was left is repeated with what was known before it', async () => {
    const known: number[] = [];
    const { result } = await play((context, invocation) =>
      context.waitForCondition<number>(
        'looks',
        async (before) => {
          known.push(before);
          return invocation() === 2 ? hang() : before + 1;
        },
        {
          initialState: 0,
          waitStrategy: (seen) =>
            seen >= 2 ? { shouldContinue: false } : { shouldContinue: true, delay: { seconds: 1 } },
        },
      ),
    );
    assert.equal(result, 2);
    assert.deepEqual(known, [0, 1, 1]);
  });

  test('a look that never fits fails, with its name', async () => {
    const { error } = await play((context) =>
      context.waitForCondition<number>('never', hang, {
        initialState: 0,
        waitStrategy: () => ({ shouldContinue: false }),
      }),
    );
    assert.match(error ?? '', /"never" was left/);
  });
});
