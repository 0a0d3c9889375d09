import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HOUR, MINUTE, START } from '../../rehearsal/aws/deploy.ts';
import { databaseFor, postgresDatabase } from '../rotate-secret/databases.ts';
import { DAY, rotationDays } from './rotation-days.ts';

test('an application that tells of its connections', async (t) => {
  const database = await databaseFor(t, postgresDatabase, {
    kind: 'alternating-users',
    users: ['wa', 'wa_clone'],
  });
  if (database === undefined) return;
  const folder = mkdtempSync(join(tmpdir(), 'application-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'connected');
  const say = (text: string) => writeFileSync(file, text);
  const entry = fileURLToPath(new URL('fixtures/application.ts', import.meta.url));
  const options = { props: { application: { entry, settings: { file } } } };

  await rotationDays(
    database,
    async ({ aws, clock, day, run, current, accepts, logins, ringing }) => {
      await t.test(
        'fewer connections than before keep the old credential, and the next run goes on',
        async () => {
          say('4');
          await day(0);
          const old = current();
          // Once the new credential is there, one of the four does not come back.
          await clock.runUntil(START + DAY + 1.5 * HOUR);
          while (current().password === old.password) await clock.runUntil(clock.now() + MINUTE);
          say('3');
          const stopped = await day(1);
          assert.equal(stopped.outcome, 'partial', JSON.stringify(stopped.problems));
          assert.match(
            stopped.problems[0]?.what ?? '',
            /^Before the change 4 workers were connected; after the roll 3 are\. The old and the new password are both/,
          );
          assert.equal(stopped.figures.tasksReplaced, 5);
          assert.deepEqual(stopped.details?.connected, { parts: 'workers', before: 4, after: 3 });
          const { verify = 0 } = (stopped.details?.seconds ?? {}) as { verify?: number };
          assert.ok(verify >= 20 * 60, 'as long as a service may take to be steady');
          assert.ok((await accepts(old)) && (await accepts(current())));
          const next = current();
          const finished = await day(2);
          assert.equal(finished.outcome, 'succeeded', JSON.stringify(finished.problems));
          assert.deepEqual([finished.figures.rotations, finished.figures.tasksReplaced], [0, 0]);
          assert.deepEqual(current(), next);
          assert.ok(!(await accepts(old)));
          assert.deepEqual(logins.reasons, []);
          assert.deepEqual(aws.denials, []);
          assert.ok(!ringing().includes('shop-credential-rotation-unretired'));
        },
      );

      await t.test('one that cannot tell beforehand is not compared, and the report says so', async () => {
        say('it is starting');
        const old = current();
        const report = await run({ rotate: true });
        assert.equal(report?.outcome, 'succeeded', JSON.stringify(report?.problems));
        assert.deepEqual(report.details?.connected, { parts: 'workers', before: null, after: null });
        assert.ok(!(await accepts(old)));
      });
    },
    options,
  );
});
