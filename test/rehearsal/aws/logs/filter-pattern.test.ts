import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterOf } from '../../../../rehearsal/aws/logs/filter-pattern.ts';

const LINES = [
  '[ERROR] 419 MissingParameterException',
  '[WARN] 420 "quoted" phrase here',
  '{"level":"ERROR","runId":"shop-gc-1","report":{"figures":{"calls":3}},"nodes":[{"name":"wa-1"}],"done":true,"next":null}',
  '{"level":"INFO","runId":"shop-gc-2","report":{"figures":{"calls":12}}}',
];

/** The pattern, and the numbers of the lines that it takes. */
const PATTERNS: [pattern: string, taken: number[]][] = [
  ['', [0, 1, 2, 3]],
  ['ERROR', [0, 2]],
  ['ERROR 419', [0]],
  ['"[ERROR]"', [0]],
  ['"\\"quoted\\" phrase"', [1]],
  ['?419 ?420', [0, 1]],
  ['ERROR -"419"', [2]],
  ['{ $.level = "ERROR" }', [2]],
  ['{ $.runId = "shop-*" }', [2, 3]],
  ['{ $.runId = shop-gc-2 }', [3]],
  ['{ $.level != "ERROR" }', [3]],
  ['{ $.report.figures.calls > 3 }', [3]],
  ['{ $.report.figures.calls <= 3 }', [2]],
  ['{ $.report.figures.calls = 12 }', [3]],
  ['{ ($.level = "ERROR" || $.level = "INFO") && $.report.figures.calls >= 12 }', [3]],
  ['{ $.nodes[0].name = "wa-1" }', [2]],
  ['{ $.done IS TRUE }', [2]],
  ['{ $.next IS NULL }', [2]],
  ['{ $.next NOT EXISTS }', [3]],
  ['{ $.constructor = "*" }', []],
];

for (const [pattern, taken] of PATTERNS)
  test(`the filter pattern ${pattern || 'that is empty'} takes what CloudWatch Logs takes`, () => {
    const filter = filterOf(pattern);
    assert.deepEqual(
      LINES.flatMap((line, number) => (filter(line) ? [number] : [])),
      taken,
    );
  });

for (const pattern of ['[ip, user]', '%a+%', '?one two', '{ $.a = %a% }'])
  test(`refuses the filter pattern ${pattern}, which it does not understand`, () => {
    assert.throws(() => filterOf(pattern), /the rehearsal's stand-in has no/);
  });

for (const pattern of [
  'a.b',
  '"open',
  '{ $.a }',
  '{ a = 1 }',
  '{ $.a = 1',
  '{ $.a ~ 1 }',
  '{ $.a IS 1 }',
  '{ $.a = 1 } x',
])
  test(`refuses the filter pattern ${pattern} as CloudWatch Logs does`, () => {
    assert.throws(() => filterOf(pattern), /Invalid filter pattern/);
  });
