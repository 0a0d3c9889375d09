import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pack, unpack } from '../../../functions/credential-rotation/packed.ts';

test('what is packed comes back as it was, and takes a fraction of its room', () => {
  const value = Array.from({ length: 5000 }, (_, number) => ({
    address: `10.0.${number >> 8}.${number & 255}`,
    username: 'währung',
  }));
  const packed = pack(value);
  assert.deepEqual(unpack(packed), value);
  assert.ok(packed.length < JSON.stringify(value).length / 8);
  assert.deepEqual(unpack(pack([])), []);
});
