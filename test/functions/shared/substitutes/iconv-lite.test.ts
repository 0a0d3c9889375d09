import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getDecoder, getEncoder } from '../../../../functions/shared/substitutes/iconv-lite.ts';

test("what mysql2 reads by iconv-lite's tables is read alike by Node's own", () => {
  // As iconv-lite encodes them.
  for (const [encoding, text, hex] of [
    ['cesu8', 'Grüße €', '4772c3bcc39f6520e282ac'],
    ['cp1251', 'Привет', 'cff0e8e2e5f2'],
    ['gbk', '你好', 'c4e3bac3'],
    ['sjis', 'こんにちは', '82b182f182c982bf82cd'],
    ['latin2', 'Łódź', 'a3f364bc'],
  ] as const) {
    const bytes = Buffer.from(hex, 'hex');
    const decoder = getDecoder(encoding);
    assert.equal(decoder.write(bytes) + decoder.end(), text, encoding);
    // mysql2 keeps its decoders.
    assert.equal(decoder.write(bytes) + decoder.end(), text, encoding);
  }
});

test('a character set that Node does not know is named, and nothing is sent in any but UTF-8', () => {
  assert.throws(() => getDecoder('cp850'), /cp850/);
  assert.throws(() => getEncoder('gbk'), /gbk/);
});
