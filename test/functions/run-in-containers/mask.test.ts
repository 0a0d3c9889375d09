import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mask } from '../../../functions/run-in-containers/mask.ts';

const TOKEN = 'tk-5f3a9c07-8d1e';
const KEY = ['-----BEGIN KEY-----', 'MIIEvgIBADANBg', 'kqhkiG9w0BAQEF', '-----END KEY-----'].join('\n');
const JSON_SECRET = JSON.stringify({ user: 'app', password: 'p"w-one-two', more: ['xyz-three'] });
const LEFT_OUT = '\n[… 90000 bytes left out]\n';
const OF_HOST = '\n[…]\n';

/** What a command said, and what a report says of it. */
const CASES: [string, string, string][] = [
  ['whole', `by ${TOKEN}, ${TOKEN}`, 'by ****, ****'],
  ['by its lines', 'MIIEvgIBADANBg\r\nand kqhkiG9w0BAQEF', '****\r\nand ****'],
  ['a text of JSON', 'password p"w-one-two of app, xyz-three', 'password **** of app, ****'],
  ['the JSON itself', JSON_SECRET, '****'],
  ['cut at the end of the beginning', `by tk-5f3a${LEFT_OUT}later`, `by ****${LEFT_OUT}later`],
  ['cut at the beginning of the end', `by${LEFT_OUT}9c07-8d1e, and so on`, `by${LEFT_OUT}****, and so on`],
  ['cut by the host', `tk-5f3a9c07-8d1${OF_HOST}k-5f3a9c07-8d1e.`, `****${OF_HOST}****.`],
  [
    'cut within its lines',
    `x${LEFT_OUT}vgIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\nend`,
    `x${LEFT_OUT}****\nend`,
  ],
  ['what was left of it is all there is', `tk-5${LEFT_OUT}8d1e`, `****${LEFT_OUT}****`],
  ['nothing of it', `nothing${LEFT_OUT}8d1 is none, nor tk-5`, `nothing${LEFT_OUT}8d1 is none, nor tk-5`],
  ['no output', '', ''],
];

test('of a secret that a command prints nothing is told: whole, a line or a field of it, or what is left where output was left out', () => {
  for (const [what, said, told] of CASES) assert.equal(mask(said, [TOKEN, KEY, JSON_SECRET]), told, what);
  // However long an output of one character is, that is a secret.
  const same = 'a'.repeat(20_000);
  assert.equal(mask(`${same}${LEFT_OUT}${'a'.repeat(16_000)}`, [same]), `****${LEFT_OUT}****`);
});
