import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OperationUpdate } from '@aws-sdk/client-lambda';
import type { Execution } from '../../../../rehearsal/aws/lambda/durable/execution.ts';
import { History } from '../../../../rehearsal/aws/lambda/durable/history.ts';
import { checkUpdates } from '../../../../rehearsal/aws/lambda/durable/limits.ts';
import { applyUpdate } from '../../../../rehearsal/aws/lambda/durable/update.ts';

const step = (id: string, Action: 'START' | 'RETRY' | 'SUCCEED'): OperationUpdate => ({
  Id: id,
  Type: 'STEP',
  Action,
  Name: 'looks',
});

test('an execution has 3,000 operations, of which each retry and each poll is one', () => {
  const execution = { arn: '', operations: new Map(), counted: 0, history: new History() } as Execution;
  // One step that was retried, and one that polls.
  for (const action of ['START', 'RETRY', 'START', 'SUCCEED'] as const)
    applyUpdate(execution, step('retried', action), 0);
  assert.equal(execution.counted, 2);
  applyUpdate(execution, step('polls', 'START'), 0);
  for (let poll = 4; poll <= 3_000; poll++) {
    applyUpdate(execution, step('polls', 'RETRY'), 0);
    applyUpdate(execution, step('polls', 'START'), 0);
  }
  assert.throws(() => applyUpdate(execution, step('polls', 'RETRY'), 0), /3000 operations already/);
});

test('a checkpoint has 250 updates, and each result what users met as the most', () => {
  const updates = (count: number) => Array.from({ length: count }, (_, id) => step(String(id), 'START'));
  checkUpdates(updates(250));
  assert.throws(() => checkUpdates(updates(251)), /at most 250 updates/);
  const result = (bytes: number) => [{ ...step('large', 'SUCCEED'), Payload: 'x'.repeat(bytes) }];
  checkUpdates(result(262_144));
  assert.throws(() => checkUpdates(result(262_145)), /262144 bytes/);
});
