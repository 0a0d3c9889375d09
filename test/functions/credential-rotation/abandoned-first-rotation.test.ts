import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Strategy } from '../../../functions/shared/database/contract/rotation.ts';
import {
  databaseFor,
  mariadbDatabase,
  mysqlDatabase,
  postgresDatabase,
  type TestDatabase,
} from '../rotate-secret/databases.ts';
import { rotationDays } from './rotation-days.ts';

const ENGINES: [string, (strategy: Strategy) => Promise<TestDatabase>, Strategy][] = [
  ['PostgreSQL', postgresDatabase, { kind: 'alternating-users', users: ['wa', 'wa_clone'] }],
  ['MySQL', mysqlDatabase, { kind: 'alternating-users' }],
  ['MariaDB', mariadbDatabase, { kind: 'alternating-users' }],
];

for (const [label, start, strategy] of ENGINES)
  test(`${label}: the first rotation of alternating users is abandoned, and the next run rotates`, async (t) => {
    const database = await databaseFor(t, start, strategy);
    if (database === undefined) return;
    await rotationDays(database, async ({ aws, day, current, accepts, logins }) => {
      await day(0);
      const old = current();
      // The second user is open by then, with a password that no version before this one knows.
      const mend = aws.onInvoke(({ functionName, payload }) =>
        functionName === 'shop-rotate-secret' && payload.includes('testSecret')
          ? new Error('the network is away')
          : undefined,
      );
      const abandoned = await day(1);
      mend();
      assert.equal(abandoned.outcome, 'failed');
      assert.deepEqual(current(), old);
      const report = await day(2);
      assert.equal(report.outcome, 'succeeded', JSON.stringify(report.problems));
      assert.equal(report.figures.rotations, 1);
      assert.equal(report.figures.tasksReplaced, 5);
      assert.notEqual(current().username, old.username);
      assert.ok((await accepts(current())) && !(await accepts(old)));
      assert.deepEqual(logins.reasons, []);
      assert.deepEqual(aws.denials, []);
    });
  });
