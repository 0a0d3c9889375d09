import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPattern, matchesPattern } from '../../../../rehearsal/aws/event-bridge/event-pattern.ts';
import { UnknownTemplate } from '../../../../rehearsal/aws/template/properties.ts';

const event = {
  source: 'business',
  'detail-type': 'Callback',
  detail: {
    count: 5,
    city: 'Berlin',
    nothing: null,
    services: [
      { message: { gc: { status: 'complete' } }, node: 'a' },
      { media: { gc: { status: 'failed' } }, node: 'b' },
    ],
  },
};

const cases: [what: string, matches: boolean, pattern: Record<string, unknown>][] = [
  ['a value', true, { source: ['other', 'business'] }],
  ['another value', false, { source: ['other'] }],
  ['null', true, { detail: { nothing: [null] } }],
  [
    'exists, inside an array of objects',
    true,
    { detail: { services: { message: { gc: { status: [{ exists: true }] } } } } },
  ],
  ['exists: false of a field that is there', false, { detail: { city: [{ exists: false }] } }],
  ['exists: false of a field that is not', true, { detail: { town: [{ exists: false }] } }],
  [
    'two fields in the same element',
    true,
    { detail: { services: { node: ['a'], message: { gc: { status: ['complete'] } } } } },
  ],
  [
    'two fields in different elements',
    false,
    { detail: { services: { node: ['b'], message: { gc: { status: ['complete'] } } } } },
  ],
  ['prefix', true, { detail: { city: [{ prefix: 'Ber' }] } }],
  [
    'prefix without regard to case',
    true,
    { detail: { city: [{ prefix: { 'equals-ignore-case': 'BER' } }] } },
  ],
  ['suffix', false, { detail: { city: [{ suffix: 'Ber' }] } }],
  ['wildcard', true, { detail: { city: [{ wildcard: 'B*l*n' }] } }],
  ['equals-ignore-case', true, { detail: { city: [{ 'equals-ignore-case': 'BERLIN' }] } }],
  ['anything-but', false, { detail: { city: [{ 'anything-but': ['Berlin', 'Paris'] }] } }],
  ['anything-but a prefix', true, { detail: { city: [{ 'anything-but': { prefix: 'Par' } }] } }],
  ['a numeric range', true, { detail: { count: [{ numeric: ['>', 3, '<=', 5] }] } }],
  ['a numeric range that it is not in', false, { detail: { count: [{ numeric: ['>', 5] }] } }],
  ['$or of which one holds', true, { $or: [{ source: ['x'] }, { detail: { count: [5] } }] }],
  ['$or of which none holds', false, { $or: [{ source: ['x'] }, { detail: { count: [6] } }] }],
];

for (const [what, matches, pattern] of cases) {
  test(`${matches ? 'matches' : 'does not match'}: ${what}`, () => {
    checkPattern(pattern, 'here');
    assert.equal(matchesPattern(pattern, event), matches);
  });
}

test('stops at an operator that it does not know', () => {
  assert.throws(() => checkPattern({ source: [{ cidr: '10.0.0.0/8' }] }, 'here'), UnknownTemplate);
  assert.throws(
    () => checkPattern({ source: [{ 'anything-but': { wildcard: 'a' } }] }, 'here'),
    UnknownTemplate,
  );
});

test('takes no pattern that is larger than EventBridge takes', () => {
  const ofSize = (size: number) => ({ source: ['a'.repeat(size - '{"source":[""]}'.length)] });
  checkPattern(ofSize(2048), 'here');
  assert.throws(() => checkPattern(ofSize(2049), 'here'), /2049 characters/);
});
