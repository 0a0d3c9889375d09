import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSchedule } from '../../../../rehearsal/aws/scheduler/schedule-expression.ts';
import { UnknownTemplate } from '../../../../rehearsal/aws/template/properties.ts';

const cases: [what: string, expression: string, zone: string, after: string, times: string[]][] = [
  [
    'daily',
    'cron(15 0 * * ? *)',
    'UTC',
    '2027-01-10T00:15:00Z',
    ['2027-01-11T00:15:00Z', '2027-01-12T00:15:00Z'],
  ],
  [
    'in a time zone, across the change',
    'cron(30 3 * * ? *)',
    'Europe/Berlin',
    '2027-03-27T00:00:00Z',
    ['2027-03-27T02:30:00Z', '2027-03-28T01:30:00Z', '2027-03-29T01:30:00Z'],
  ],
  [
    'a time that spring skips',
    'cron(30 2 * * ? *)',
    'Europe/Berlin',
    '2027-03-27T00:00:00Z',
    ['2027-03-27T01:30:00Z', '2027-03-29T00:30:00Z'],
  ],
  [
    'a time that autumn doubles',
    'cron(30 2 * * ? *)',
    'Europe/Berlin',
    '2027-10-30T12:00:00Z',
    ['2027-10-31T00:30:00Z', '2027-11-01T01:30:00Z'],
  ],
  [
    'midnight in Santiago, where spring skips midnight',
    'cron(0 0 * * ? *)',
    'America/Santiago',
    '2027-09-04T05:00:00Z',
    ['2027-09-06T03:00:00Z'],
  ],
  [
    'west of Greenwich',
    'cron(0 23 * * ? *)',
    'America/Sao_Paulo',
    '2027-01-10T12:00:00Z',
    ['2027-01-11T02:00:00Z'],
  ],
  ['weekdays by name', 'cron(0 9 ? * MON-FRI *)', 'UTC', '2027-01-08T10:00:00Z', ['2027-01-11T09:00:00Z']],
  [
    'weekdays by number, where 1 is Sunday',
    'cron(0 9 ? * 1 *)',
    'UTC',
    '2027-01-08T10:00:00Z',
    ['2027-01-10T09:00:00Z'],
  ],
  [
    'the first Monday of a month',
    'cron(0 3 ? * MON#1 *)',
    'UTC',
    '2027-01-10T00:00:00Z',
    ['2027-02-01T03:00:00Z'],
  ],
  ['the last day of a month', 'cron(0 3 L * ? *)', 'UTC', '2027-02-01T00:00:00Z', ['2027-02-28T03:00:00Z']],
  [
    'every quarter of an hour',
    'cron(0/15 10 * * ? *)',
    'UTC',
    '2027-01-10T10:20:00Z',
    ['2027-01-10T10:30:00Z', '2027-01-10T10:45:00Z', '2027-01-11T10:00:00Z'],
  ],
  ['29 February', 'cron(0 0 29 FEB ? *)', 'UTC', '2097-01-01T00:00:00Z', ['2104-02-29T00:00:00Z']],
  ['a year', 'cron(0 0 1 1 ? 2030)', 'UTC', '2027-01-10T00:00:00Z', ['2030-01-01T00:00:00Z']],
  [
    'a rate',
    'rate(2 hours)',
    'UTC',
    '2027-01-10T00:30:00Z',
    ['2027-01-10T02:00:00Z', '2027-01-10T04:00:00Z'],
  ],
  ['once', 'at(2027-01-11T03:00:00)', 'Europe/Berlin', '2027-01-10T00:00:00Z', ['2027-01-11T02:00:00Z']],
];

for (const [what, expression, zone, after, times] of cases) {
  test(`finds the next times: ${what}`, () => {
    const next = parseSchedule(expression, zone, Date.parse('2027-01-10T00:00:00Z'));
    let time = Date.parse(after);
    for (const expected of times) {
      time = next(time) ?? Number.NaN;
      assert.equal(new Date(time).toISOString(), new Date(expected).toISOString());
    }
  });
}

test('finds no time after the last one', () => {
  const next = parseSchedule('at(2027-01-11T03:00:00)', 'UTC', 0);
  assert.equal(next(Date.parse('2027-01-12T00:00:00Z')), undefined);
});

for (const expression of ['cron(0 0 * * *)', 'every day', 'rate(5 seconds)', 'cron(0 0 15W * ? *)']) {
  test(`stops at ${expression}`, () => {
    assert.throws(() => parseSchedule(expression, 'UTC', 0), UnknownTemplate);
  });
}
