import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stillAwaited } from '../../../../functions/shared/whatsapp/awaited-callbacks.ts';
import type { GcCall } from '../../../../functions/shared/whatsapp/gc-call.ts';

const heardOf = (node: string) => ({
  kind: 'message' as const,
  node,
  status: 'complete' as const,
  errors: [],
});
const answered = (nodes: string[], others: Partial<Extract<GcCall, { kind: 'answered' }>> = {}): GcCall => ({
  kind: 'answered',
  heard: nodes.map(heardOf),
  missing: [],
  gone: [],
  ...others,
});

test('what was heard is awaited no more, what is missing still is', () => {
  assert.deepEqual(stillAwaited(['a', 'b', '*'], answered(['a'], { missing: ['c'] })), ['b', 'c']);
});

test('a callback that names nobody may be a neighbour’s: its own is awaited still, so that the next call does not take it for its answer', () => {
  const doubts = { unnamed: ['a'], undated: [] };
  assert.deepEqual(stillAwaited(['*'], answered(['a'], { doubts })), ['*', 'a']);
  assert.deepEqual(stillAwaited([], answered(['a', 'b'], { doubts })), ['a']);
  assert.deepEqual(stillAwaited([], { kind: 'interrupted', heard: [heardOf('a')], doubts }), ['a']);
  assert.deepEqual(stillAwaited(['a'], answered(['a'])), []);
});

test('of a request that nothing was heard of, any node may be awaited', () => {
  assert.deepEqual(stillAwaited([], { kind: 'interrupted', heard: [] }), ['single instance', '*']);
});
