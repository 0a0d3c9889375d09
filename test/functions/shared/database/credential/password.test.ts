import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  DEFAULT_ALPHABET,
  type PasswordRules,
  randomPassword,
} from '../../../../../functions/shared/database/credential/password.ts';

test('a password has 32 characters, a letter first, and each class at least once', () => {
  for (let n = 0; n < 500; n += 1) {
    const password = randomPassword();
    assert.match(password, /^[A-Za-z][A-Za-z0-9._-]{31}$/);
    for (const kind of [/[A-Z]/, /[a-z]/, /[0-9]/, /[._-]/]) assert.match(password, kind);
  }
});

test('no two passwords are the same', () => {
  assert.equal(new Set(Array.from({ length: 200 }, () => randomPassword())).size, 200);
});

test('whatever the rules, only their characters appear, in their number', () => {
  const rules = fc.record({
    length: fc.integer({ min: 8, max: 128 }),
    exclude: fc.string({ maxLength: 10 }),
  });
  fc.assert(
    fc.property(rules, ({ length, exclude }) => {
      const password = randomPassword({ length, exclude });
      assert.equal(password.length, length);
      for (const character of password) {
        assert.ok(DEFAULT_ALPHABET.includes(character) && !exclude.includes(character));
      }
    }),
    { numRuns: 50 },
  );
});

test('an alphabet without letters is drawn from as it is', () => {
  assert.match(randomPassword({ alphabet: '0123456789', length: 12 }), /^\d{12}$/);
});

const IMPOSSIBLE: [string, PasswordRules][] = [
  ['shorter than 8 characters', { length: 7 }],
  ['longer than RDS takes', { length: 129 }],
  ['of a broken length', { length: 20.5 }],
  ['of characters that PostgreSQL would normalize', { alphabet: 'abcdefgé' }],
  ['of a single character', { alphabet: 'abc', exclude: 'bc' }],
];

for (const [what, rules] of IMPOSSIBLE) {
  test(`a password ${what} is refused`, () => {
    assert.throws(() => randomPassword(rules), RangeError);
  });
}
