import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { tellOnce } from '../../../../functions/shared/run/tell-once.ts';

/** Has a step found begun and not ended, as in the replay of a function that was ended in it. */
function replay(interrupted: string | undefined, recorded: { at: number }) {
  const steps: string[] = [];
  const context = {
    async step(name: string, work: () => Promise<unknown>) {
      steps.push(name);
      if (name.startsWith('time of')) return recorded;
      if (name !== interrupted) return work();
      const cause = Object.assign(new Error('interrupted'), { name: 'StepInterruptedError' });
      throw new Error('The step failed.', { cause });
    },
  } as unknown as DurableContext;
  return { context, steps };
}

const recorded = { at: Date.parse('2026-11-25T01:00:00Z') };

test('what is told is told once, of now', async () => {
  const { context, steps } = replay(undefined, recorded);
  const told: (Date | undefined)[] = [];
  assert.equal(await tellOnce(context, 'tell', (at) => told.push(at)), recorded.at);
  assert.deepEqual(told, [undefined]);
  assert.deepEqual(steps, ['time of tell', 'tell']);
});

test('what may have been told is told again of the moment it was told at, for which no alarm rings again', async () => {
  const { context, steps } = replay('tell', recorded);
  const told: (Date | undefined)[] = [];
  await tellOnce(context, 'tell', (at) => told.push(at));
  assert.deepEqual(told, [new Date(recorded.at)]);
  assert.deepEqual(steps, ['time of tell', 'tell', 'tell again']);
});

test('what cannot be told for another reason is an error', async () => {
  const { context } = replay(undefined, recorded);
  const fails = () => {
    throw new Error('No');
  };
  await assert.rejects(tellOnce(context, 'tell', fails), /No/);
});
