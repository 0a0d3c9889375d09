import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  const folder = mkdtempSync(join(tmpdir(), 'other-jobs-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'minutes');
  const workFor = (minutes: number) => writeFileSync(file, String(minutes));
  /** Begins a quarter of an hour before the rotation, and again an hour after that. */
  const beside = (upkeep: Upkeep) => {
    for (const [job, at] of [
      ['reindex', '13:15'],
      ['vacuum', '14:30'],
    ] as const)
      new UpkeepJob(upkeep, job, {
        upkeep,
        job,
        description: 'Works',
        entry: fileURLToPath(new URL('fixtures/long-job.ts', import.meta.url)),
        settings: { file },
        schedule: { at },
        timeLimit: Duration.hours(4),
        conflictsWith: ['credential-rotation'],
      });
  };
  const props = { waitsFor: ['reindex', 'vacuum'] };
  // The roll lasts until the other job would begin.
  const services = { web: { healthyAfterSeconds: 180 } };

  await rotationDays(
    database,
    async ({ aws, clock, day, current, accepts, logins, ringing }) => {
      await t.test(
        'is waited for before anything is changed, and does not start during the roll',
        async () => {
          workFor(70);
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
          assert.match(
            skipped?.problems[0]?.what ?? '',
            /run shop-credential-rotation-\S+ is still going on/,
          );
          assert.deepEqual(logins.reasons, []);
          assert.deepEqual(aws.denials, []);
        },
      );

      await t.test(
        'that goes on until too little time is left has the run skipped, with the reason',
        async () => {
          workFor(200);
          const old = current();
          await day(2);
          const report = reportsOf(aws)
            .filter(({ job }) => job === 'credential-rotation')
            .at(-1);
          assert.equal(report?.outcome, 'skipped');
          assert.match(
            report?.problems[0]?.what ?? '',
            /Too late to begin: reindex's run shop-reindex-\S+ was still going on/,
          );
          assert.deepEqual(current(), old);
          // The other one's run of the day before was turned away.
          assert.deepEqual(
            ringing().filter((alarm) => alarm !== 'shop-vacuum-missed'),
            [],
          );
        },
      );
    },
    { props, beside, services },
  );
});
