import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from '../../rehearsal/faults/fault.ts';
import { mismatchesOfFault, type Night } from '../../rehearsal/night-checks.ts';

const ALARM = 'latam-message-gc-failed';
const fault: Fault = {
  description: 'A run fails',
  deployment: 'latam',
  strike() {},
  expected: { outcomes: {}, alarms: [ALARM] },
};
const night = (...told: boolean[]): Night => ({
  runs: [],
  alarms: told.map((told, hour) => ({ name: ALARM, rangAt: `2026-11-25T0${hour}:00:00Z`, told })),
  rows: {},
  media: {},
  logs: {},
  logins: [],
  mismatches: [],
});

const cases: [what: string, night: Night, isRight: boolean][] = [
  ['rings once and sends its message', night(true), true],
  ['does not ring', night(), false],
  ['rings twice for one cause', night(true, true), false],
  ['rings, and its topic does not take the message', night(false), false],
];
for (const [what, night, isRight] of cases)
  test(`that an alarm ${what} is ${isRight ? 'as' : 'not as'} a fault expects it`, () => {
    assert.equal(mismatchesOfFault(night, fault).length, isRight ? 0 : 1);
  });
