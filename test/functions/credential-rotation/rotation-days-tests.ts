import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Strategy } from '../../../functions/shared/database/rotation.ts';
import { ACCOUNT, REGION } from '../../rehearsal/aws/deploy.ts';
import { databaseFor, type TestDatabase } from '../rotate-secret/databases.ts';
import { EXPORTER, exporterLine, PARAMETER, rotationDays } from './rotation-days.ts';

const PLACE = { account: ACCOUNT, region: REGION };

/** What must hold on every engine that keeps old and new credentials valid together. */
export function testRotationDays(
  label: string,
  start: (strategy: Strategy) => Promise<TestDatabase>,
  strategy: Strategy,
): void {
  test(`${label}: ${strategy.kind}, to the last container`, async (t) => {
    const database = await databaseFor(t, start, strategy);
    if (database === undefined) return;

    await t.test('a day on which nothing is due, then a rotation, without a failed login', () =>
      rotationDays(database, async (days) => {
        const { aws, day, logins, current, accepts, services, ringing } = days;
        const first = await day(0);
        assert.equal(first.outcome, 'succeeded', JSON.stringify(first.problems));
        assert.equal(first.figures.rotations, 0);
        const old = current();
        const second = await day(1);
        assert.equal(second.outcome, 'succeeded', JSON.stringify(second.problems));
        const {
          rotations,
          tasksReplaced,
          credentialAgeDays,
          oldPasswordHours,
          refusedLogins = 0,
        } = second.figures;
        assert.deepEqual(
          { rotations, tasksReplaced, credentialAgeDays, oldPasswordHours, refusedLogins },
          { rotations: 1, tasksReplaced: 7, credentialAgeDays: 0, oldPasswordHours: 0, refusedLogins: 0 },
        );
        assert.deepEqual(Object.keys(second.details?.seconds as object), [
          'preflight',
          'rotate',
          'deliver',
          'roll',
          'retire',
        ]);
        const next = current();
        assert.notEqual(next.password, old.password);
        assert.ok(await accepts(next));
        assert.ok(!(await accepts(old)));
        const parameter = aws.ssm.parameter(PARAMETER, PLACE);
        assert.equal(parameter?.value, `${next.username} ${next.password}`);
        assert.equal(parameter?.keyId, 'alias/client');
        assert.deepEqual(JSON.parse(aws.secrets.value(EXPORTER) ?? ''), {
          other: 'kept',
          data_src_name: exporterLine(database, next),
        });
        assert.deepEqual(logins.reasons, []);
        assert.ok(logins.made > 50, `${logins.made} logins`);
        t.diagnostic(`${logins.made} logins, ${logins.failed} failed`);
        // Task by task where the percentages would take two of three away at once.
        assert.equal(services.web?.fewestRunning, 2);
        assert.equal(services.master?.fewestRunning, 1);
        assert.deepEqual(aws.denials, []);
        assert.deepEqual(ringing(), []);
      }),
    );
  });
}
