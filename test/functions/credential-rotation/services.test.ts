import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databaseFor, postgresDatabase } from '../rotate-secret/databases.ts';
import { EXPORTER, rotationDays, SECRET } from './rotation-days.ts';

test('services that cannot be rolled are found before anything is changed, and others are rolled as they allow', async (t) => {
  const database = await databaseFor(t, postgresDatabase, {
    kind: 'alternating-users',
    users: ['wa', 'wa_clone'],
  });
  if (database === undefined) return;

  await t.test('a pinned version, percentages under which nothing moves, another controller', () =>
    rotationDays(
      database,
      async ({ day, current, aws, logins }) => {
        const old = current();
        await day(0);
        const report = await day(1);
        assert.equal(report.outcome, 'failed');
        assert.deepEqual(
          report.problems.map(({ where, what }) => `${where}: ${what.slice(0, 30)}`),
          [
            'shop, service web: Its task definition pins a ver',
            'shop, service master: Nothing could move: of its 2 t',
            'shop, service core: It is deployed by CODE_DEPLOY,',
          ],
        );
        assert.deepEqual(current(), old);
        assert.ok(!aws.calls.some(({ action }) => action === 'secretsmanager:RotateSecret'));
        assert.deepEqual(logins.reasons, []);
      },
      {
        services: {
          web: { secrets: [{ name: 'PASSWORD', valueFrom: `${SECRET}:password::${crypto.randomUUID()}` }] },
          master: { minimumHealthyPercent: 100, maximumPercent: 149 },
          core: { controller: 'CODE_DEPLOY' },
        },
      },
    ),
  );

  await t.test('a pinned version of a secret that keeps a copy', () =>
    rotationDays(
      database,
      async ({ day }) => {
        await day(0);
        const { problems } = await day(1);
        assert.match(
          problems[0]?.what ?? '',
          /pins a version of the secret \(\S+:data_src_name:AWSPREVIOUS:\)/,
        );
      },
      {
        services: {
          master: { secrets: [{ name: 'LINE', valueFrom: `${EXPORTER}:data_src_name:AWSPREVIOUS:` }] },
        },
      },
    ),
  );

  await t.test('a reference to the current version is none, and blue/green is waited for to its end', () =>
    rotationDays(
      database,
      async ({ day, current, accepts, services, logins }) => {
        const old = current();
        await day(0);
        const report = await day(1);
        assert.equal(report.outcome, 'succeeded', JSON.stringify(report.problems));
        assert.equal(report.figures.tasksReplaced, 6);
        assert.ok(!(await accepts(old)));
        // Through the bake time, whose old tasks still had the old password.
        const { roll = 0 } = (report.details?.seconds ?? {}) as { roll?: number };
        assert.ok(roll > 20 * 60);
        assert.equal(services.web.fewestRunning, 2);
        assert.equal(services.core.fewestRunning, 1);
        assert.equal(services.core.everyDeployment.length, 1);
        assert.deepEqual(logins.reasons, []);
      },
      {
        services: {
          web: {
            strategy: 'BLUE_GREEN',
            bakeTimeInMinutes: 15,
            secrets: [
              { name: 'PASSWORD', valueFrom: `${SECRET}:password:AWSCURRENT:` },
              { name: 'USER', valueFrom: `${SECRET}:username::` },
            ],
          },
          master: { strategy: 'CANARY', bakeTimeInMinutes: 5 },
          // One at a time under any strategy: a second fleet would have every shard twice.
          core: { strategy: 'BLUE_GREEN', bakeTimeInMinutes: 5, desiredCount: 2 },
        },
      },
    ),
  );

  await t.test('a roll-back, though it looks steady, stops the roll', () =>
    rotationDays(
      database,
      async ({ day, current, accepts, services, logins }) => {
        const old = current();
        await day(0);
        const { master } = services;
        master.fault = 'tasks-exit';
        const stopped = await day(1);
        assert.equal(stopped.outcome, 'failed');
        assert.match(
          stopped.problems[0]?.what ?? '',
          /service master: The deployment ecs-svc\S+ was rolled back/,
        );
        assert.ok((await accepts(old)) && (await accepts(current())));
        const finished = await day(2);
        assert.equal(finished.outcome, 'succeeded', JSON.stringify(finished.problems));
        assert.ok(!(await accepts(old)));
        assert.deepEqual(logins.reasons, []);
      },
      { services: { master: { circuitBreaker: { rollback: true } } } },
    ),
  );
});
