import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { memberOf, withMembers } from '../../../../../functions/shared/database/credential/json-text.ts';

test('every other member stays as it is written: numbers, spelling, order, spaces, any key', () => {
  const text =
    '{ "port": "3306", "big":12345678901234567890, "one":1.0,\n "constructor" : {"a":[1,{"}":"]"}]}, "password":"old \\" one","__proto__":null, "e":1e3 }';
  const changed = withMembers(text, new Map([['password', 'n"w']]));
  assert.equal(changed, text.replace('"old \\" one"', '"n\\"w"'));
  assert.equal(memberOf(changed, 'password'), 'n"w');
  assert.deepEqual(memberOf(changed, 'constructor'), { a: [1, { '}': ']' }] });
});

test('a key that is not there is added, whatever it is called', () => {
  assert.equal(withMembers('{}', new Map([['__proto__', 'x']])), '{"__proto__":"x"}');
  assert.equal(memberOf('{"a":1}', 'toString'), undefined);
  assert.equal(withMembers('{"a":1}\n', new Map([['toString', 'x']])), '{"a":1,"toString":"x"}\n');
});

test('of any object, in any layout, only the wanted members change', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.string(),
      fc.string(),
      fc.integer({ min: 0, max: 4 }),
      (object, key, value, indent) => {
        const changed = withMembers(JSON.stringify(object, null, indent), new Map([[key, value]]));
        const expected = new Map<string, unknown>(Object.entries(JSON.parse(JSON.stringify(object))));
        expected.set(key, value);
        for (const [name, known] of expected) assert.deepEqual(memberOf(changed, name), known);
        assert.equal(Object.keys(JSON.parse(changed)).length, expected.size);
      },
    ),
  );
});

test('what is no object is refused', () => {
  for (const text of ['', '[1]', '"a"', 'null', '{"a":1'])
    assert.throws(() => withMembers(text, new Map([['a', 'b']])), SyntaxError);
});
