import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Duration } from 'aws-cdk-lib';
import type { Upkeep } from '../../../lib/upkeep.ts';
import { UpkeepJob } from '../../../lib/upkeep-job.ts';
import { reportsOf } from '../../../rehearsal/run-reports.ts';
import { HOUR, START } from '../../rehearsal/aws/deploy.ts';
import { databaseFor, postgresDatabase } from '../rotate-secret/databases.ts';
import { DAY, rotationDays } from './rotation-days.ts';

test('a job that must not meet a roll', async (t) => {
  const database = await databaseFor(t, postgresDatabase, {
    kind: 'alternating-users',
    users: ['wa', 'wa_clone'],
  });
  if (database === undefined) return;
  /** Begins a quarter of an hour before the rotation, and again an hour after that. */
  const working = (minutes: number) => (upkeep: Upkeep) => {
    for (const [job, at] of [
      ['reindex', '13:15'],
      ['vacuum', '14:30'],
    ] as const)
      new UpkeepJob(upkeep, job, {
        upkeep,
        job,
        description: 'Works',
        entry: fileURLToPath(new URL('fixtures/long-job.ts', import.meta.url)),
        settings: { minutes },
        schedule: { at },
        timeLimit: Duration.hours(4),
        conflictsWith: ['credential-rotation'],
      });
  };
  const props = { waitsFor: ['reindex', 'vacuum'] };

  await t.test('is waited for before anything is changed, and does not start during the roll', () =>
    rotationDays(
      database,
      async ({ aws, clock, day, current, accepts, logins }) => {
        await day(0);
        const old = current();
        // Nothing is due, so nothing was waited for.
        assert.deepEqual(
          reportsOf(aws).filter(({ outcome }) => outcome !== 'succeeded'),
          [],
        );
        await clock.runUntil(START + DAY + 2.4 * HOUR);
        assert.deepEqual(current(), old);
        assert.ok(
          aws.logs.some(({ text }) => text.includes("Waiting for the end of reindex's run shop-reindex-")),
        );
        const report = await day(1);
        assert.equal(report.job, 'credential-rotation');
        assert.equal(report.outcome, 'succeeded', JSON.stringify(report.problems));
        assert.equal(report.figures.rotations, 1);
        assert.ok(!(await accepts(old)));
        const [skipped, ...others] = reportsOf(aws).filter(({ outcome }) => outcome === 'skipped');
        assert.deepEqual(others, []);
        assert.equal(skipped?.job, 'vacuum');
        assert.match(skipped?.problems[0]?.what ?? '', /run shop-credential-rotation-\S+ is still going on/);
        assert.deepEqual(logins.reasons, []);
        assert.deepEqual(aws.denials, []);
      },
      // The roll lasts until the other job would begin.
      { props, beside: working(70), services: { web: { healthyAfterSeconds: 180 } } },
    ),
  );

  await t.test('that goes on until too little time is left has the run skipped, with the reason', () =>
    rotationDays(
      database,
      async ({ aws, day, current, ringing }) => {
        await day(0);
        const old = current();
        await day(1);
        const report = reportsOf(aws)
          .filter(({ job }) => job === 'credential-rotation')
          .at(-1);
        assert.equal(report?.outcome, 'skipped');
        assert.match(
          report?.problems[0]?.what ?? '',
          /Too late to begin: reindex's run shop-reindex-\S+ was still going on/,
        );
        assert.deepEqual(current(), old);
        assert.deepEqual(ringing(), []);
      },
      { props, beside: working(200) },
    ),
  );
});
