import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rollsStopped } from '../../../functions/credential-rotation/findings.ts';

const cases: [
  what: string,
  begun: string[],
  stoppedAt: string[] | undefined,
  told: Record<string, number>,
][] = [
  ['that ended well', ['web', 'core'], undefined, { web: 0, core: 0 }],
  ['that stopped at a service', ['web', 'core'], ['core'], { web: 0, core: 1 }],
  [
    'that left old tasks in several',
    ['web', 'master', 'core', 'worker'],
    ['master', 'worker'],
    { web: 0, master: 1, core: 0 },
  ],
];
for (const [what, begun, stoppedAt, told] of cases)
  test(`of a roll ${what}, one alarm rings at most, and those of services that have old tasks are not quietened`, () => {
    assert.deepEqual(
      rollsStopped(
        begun.map((service) => ({ service })),
        stoppedAt,
      ),
      told,
    );
  });
