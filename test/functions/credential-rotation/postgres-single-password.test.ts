import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databaseFor, postgresDatabase } from '../rotate-secret/databases.ts';
import { rotationDays } from './rotation-days.ts';

test('PostgreSQL with one password: logins fail until a container is replaced, and a stopped roll is resumed', async (t) => {
  const database = await databaseFor(t, postgresDatabase, { kind: 'single-password', user: 'wa' });
  if (database === undefined) return;
  await rotationDays(
    database,
    async ({ day, current, accepts, services, logins }) => {
      await day(0);
      assert.deepEqual(logins.reasons, []);
      const { master } = services;
      assert.ok(master);
      master.fault = 'tasks-exit';
      const old = current();
      const stopped = await day(1);
      assert.equal(stopped.outcome, 'failed');
      assert.equal(stopped.figures.rotations, 1);
      assert.match(stopped.problems[0]?.where ?? '', /service master/);
      assert.match(stopped.problems[0]?.what ?? '', /Containers that were not replaced cannot log in/);
      assert.ok(!(await accepts(old)) && (await accepts(current())));
      // From the change of the password on, until the end of the run: the gap is not over.
      const { loginGapSeconds = 0 } = stopped.figures;
      assert.ok(loginGapSeconds > 0 && loginGapSeconds < 3 * 60 * 60);
      const next = current();
      const finished = await day(2);
      assert.equal(finished.outcome, 'succeeded', JSON.stringify(finished.problems));
      assert.equal(finished.figures.rotations, 0);
      assert.ok((finished.figures.tasksReplaced ?? 0) >= 2);
      assert.ok((finished.figures.loginGapSeconds ?? 0) > 20 * 60 * 60, 'until the last container had it');
      assert.deepEqual(current(), next);
      assert.ok(logins.failed > 0);
    },
    {
      props: { acceptFailedLogins: true },
      services: { master: { circuitBreaker: { rollback: true } } },
    },
  );
});
