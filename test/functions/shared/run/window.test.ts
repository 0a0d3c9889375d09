import assert from 'node:assert/strict';
import { test } from 'node:test';
import { windowContaining } from '../../../../functions/shared/run/window.ts';

const cases = [
  [
    'inside a window of one day',
    '2026-11-25T03:00:00Z',
    '01:00',
    '05:00',
    'Europe/Berlin',
    ['2026-11-25T00:00:00Z', '2026-11-25T04:00:00Z'],
  ],
  [
    'at its first moment',
    '2026-11-25T00:00:00Z',
    '01:00',
    '05:00',
    'Europe/Berlin',
    ['2026-11-25T00:00:00Z', '2026-11-25T04:00:00Z'],
  ],
  ['at its end, which is outside', '2026-11-25T04:00:00Z', '01:00', '05:00', 'Europe/Berlin', undefined],
  [
    'before midnight in a window that crosses it',
    '2026-11-25T22:45:00Z',
    '23:30',
    '04:30',
    'Europe/Berlin',
    ['2026-11-25T22:30:00Z', '2026-11-26T03:30:00Z'],
  ],
  [
    'after midnight in a window that crosses it',
    '2026-11-26T01:00:00Z',
    '23:30',
    '04:30',
    'Europe/Berlin',
    ['2026-11-25T22:30:00Z', '2026-11-26T03:30:00Z'],
  ],
  ['in the afternoon', '2026-11-25T14:00:00Z', '23:30', '04:30', 'Europe/Berlin', undefined],
  [
    'the night that daylight saving shortens',
    '2026-03-29T01:30:00Z',
    '01:00',
    '05:00',
    'Europe/Berlin',
    ['2026-03-29T00:00:00Z', '2026-03-29T03:00:00Z'],
  ],
  [
    'the night that daylight saving lengthens',
    '2026-10-25T03:30:00Z',
    '01:00',
    '05:00',
    'Europe/Berlin',
    ['2026-10-24T23:00:00Z', '2026-10-25T04:00:00Z'],
  ],
  [
    'a window whose start daylight saving skips begins at the change',
    '2026-03-29T01:10:00Z',
    '02:30',
    '05:00',
    'Europe/Berlin',
    undefined,
  ],
  [
    'west of Greenwich, where the UTC date is another',
    '2026-11-25T04:30:00Z',
    '01:00',
    '05:00',
    'America/Sao_Paulo',
    ['2026-11-25T04:00:00Z', '2026-11-25T08:00:00Z'],
  ],
  [
    'a window of a whole day',
    '2026-11-25T04:30:00Z',
    '06:00',
    '06:00',
    'UTC',
    ['2026-11-24T06:00:00Z', '2026-11-25T06:00:00Z'],
  ],
] as const;

for (const [name, moment, from, to, timeZone, expected] of cases)
  test(`window: ${name}`, () => {
    assert.deepEqual(
      windowContaining(new Date(moment), { from, to }, timeZone),
      expected && { start: new Date(expected[0]), end: new Date(expected[1]) },
    );
  });
