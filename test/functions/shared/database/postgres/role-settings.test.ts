import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitList } from '../../../../../functions/shared/database/postgres/role-settings.ts';

test('reads the lists of names that the server keeps', () => {
  for (const [text, names] of [
    ['"$user", public', ['$user', 'public']],
    ['"a, b","q""u", c', ['a, b', 'q"u', 'c']],
    ['""', ['']],
    ['', []],
  ] as const) {
    assert.deepEqual(splitList(text), names);
  }
});
