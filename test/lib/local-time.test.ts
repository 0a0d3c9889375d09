import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { firstSkip, minutesFromTo, offsetMinutes, windowMinutes } from '../../lib/local-time.ts';

describe('a downtime window', () => {
  for (const [from, to, minutes] of [
    ['01:00', '05:00', 240],
    ['23:30', '04:30', 300],
    ['22:00', '00:00', 120],
    ['00:00', '00:00', 1440],
  ] as const)
    it(`from ${from} to ${to} has ${minutes} minutes`, () => {
      assert.equal(windowMinutes({ from, to }), minutes);
    });

  it('from any time to itself is a day, and less to any other', () => {
    const time = fc
      .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
      .map(([hour, minute]) => `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`);
    fc.assert(
      fc.property(time, time, (from, to) => {
        assert.equal((minutesFromTo(from, to) + minutesFromTo(to, from)) % 1440, 0);
        assert.equal(windowMinutes({ from, to }) === 1440, from === to);
      }),
    );
  });
});

describe('offsets', () => {
  for (const [timeZone, offsets] of [
    ['Europe/Berlin', [120, 60]],
    ['Asia/Kolkata', [330]],
    ['America/Sao_Paulo', [-180]],
    ['Australia/Lord_Howe', [630, 660]],
  ] as const)
    it(`of ${timeZone} are ${offsets.join(' and ')} minutes`, () => {
      assert.deepEqual(
        offsetMinutes(timeZone, { after: new Date('2026-06-01T00:00:00Z'), years: 1 }),
        offsets,
      );
    });
});

describe('daylight saving', () => {
  const after = new Date('2026-06-01T00:00:00Z');

  /** [zone, local time, the first day it is skipped on] */
  for (const [timeZone, time, date] of [
    ['Europe/Berlin', '02:00', '2027-03-28'],
    ['Europe/Berlin', '02:59', '2027-03-28'],
    ['Europe/Berlin', '03:00', undefined],
    ['Europe/Berlin', '01:59', undefined],
    ['America/New_York', '02:30', '2027-03-14'],
    ['America/Santiago', '00:00', '2026-09-06'],
    ['America/Santiago', '02:30', undefined],
    ['Africa/Cairo', '00:30', '2027-04-30'],
    ['Asia/Beirut', '00:30', '2027-03-28'],
    ['Australia/Lord_Howe', '02:15', '2026-10-04'],
    ['Australia/Lord_Howe', '02:30', undefined],
    ['America/Sao_Paulo', '00:30', undefined],
    ['Asia/Kolkata', '02:30', undefined],
    ['UTC', '02:30', undefined],
  ] as const)
    it(`of ${timeZone} ${date ? `skips ${time} first on ${date}` : `never skips ${time}`}`, () => {
      assert.equal(firstSkip(time, timeZone, { after, years: 10 })?.date, date);
    });

  it('skips from and to the times that it says', () => {
    assert.deepEqual(firstSkip('00:30', 'America/Santiago', { after, years: 1 }), {
      date: '2026-09-06',
      from: '00:00',
      to: '01:00',
    });
  });
});
