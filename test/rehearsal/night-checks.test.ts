import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnyFault } from '../../rehearsal/faults/fault.ts';
import { FAULTS } from '../../rehearsal/faults/faults.ts';
import { mismatchesOfFault, type Night } from '../../rehearsal/night-checks.ts';

const ALARM = 'latam-message-gc-failed';
const fault: AnyFault = {
  description: 'A run fails',
  deployment: 'latam',
  strike() {},
  expected: { outcomes: {}, alarms: [ALARM] },
};
const shown: AnyFault = { ...fault, expected: { ...fault.expected, alarms: [], onlyShown: [ALARM] } };
const night = (...told: boolean[]): Night => ({
  runs: [],
  alarms: told.map((told, hour) => ({ name: ALARM, rangAt: `2026-11-25T0${hour}:00:00Z`, told })),
  rows: {},
  media: {},
  logs: {},
  logins: [],
  mismatches: [],
});

const cases: [what: string, night: Night, isRight: boolean, expecting?: AnyFault][] = [
  ['rings once and sends its message', night(true), true],
  ['does not ring', night(), false],
  ['rings twice for one cause', night(true, true), false],
  ['rings, and its topic does not take the message', night(false), false],
  ['that is only shown rings and sends nothing', night(false), true, shown],
  ['that is only shown sends a message', night(true), false, shown],
  ['that is only shown does not ring', night(), false, shown],
];
for (const [what, night, isRight, expecting = fault] of cases)
  test(`that an alarm ${what} is ${isRight ? 'as' : 'not as'} a fault expects it`, () => {
    assert.equal(mismatchesOfFault(night, expecting).length, isRight ? 0 : 1);
  });

test('no fault sends two messages but where two causes, or news, are given as the reason', () => {
  const messages = ({ expected: { alarms, alarmsOfLargeTables = [] } }: AnyFault) =>
    alarms.length + alarmsOfLargeTables.length;
  for (const [name, each] of Object.entries(FAULTS))
    assert.equal(messages(each) > 1, each.expected.severalMessages !== undefined, name);
});
