import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AwsError } from '../../../rehearsal/aws/aws-error.ts';
import { Container } from '../../../rehearsal/aws/containers/container.ts';
import { ACCOUNT, HOUR, MINUTE, REGION } from '../../rehearsal/aws/deploy.ts';
import { databaseFor, postgresDatabase } from '../rotate-secret/databases.ts';
import { DAY, EXPORTER, JOB, rotationDays, SECRET } from './rotation-days.ts';

const PLACE = { account: ACCOUNT, region: REGION };

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

  await t.test(
    'what would stop the roll halfway, or lock somebody out after it, is found before the rotation',
    () =>
      rotationDays(
        database,
        async ({ day, current, aws, clock, services: { web }, logins }) => {
          const old = current();
          await day(0);
          web.options.environment = [{ name: 'DATABASE_URL', value: `postgres://wa:${old.password}@host/` }];
          aws.ecs.manageService({
            ...PLACE,
            cluster: 'shop',
            service: 'worker',
            desiredCount: 1,
            secrets: [{ name: 'PASSWORD', valueFrom: `${SECRET}:password::` }],
            start: async () => [],
          });
          aws.secrets.replicas(SECRET).push({ region: 'eu-west-1', status: 'Failed' });
          const mend = aws.onCall(({ caller, operation }) =>
            caller.function?.name === JOB && /^Put(Parameter|SecretValue)$/.test(operation)
              ? new AwsError('AccessDeniedException', 'A policy of the organization denies it.')
              : undefined,
          );
          await clock.runUntil(clock.now() + 10 * MINUTE);
          const begun = clock.now();
          const report = await day(1);
          mend();
          assert.equal(report.outcome, 'failed');
          assert.deepEqual(
            report.problems.map(({ where, what }) => `${where}: ${what.slice(0, 40)}`),
            [
              'shop, service web: Its task definition holds the password i',
              'shop, service master: Its task definition arn:aws:ecs:eu-centr',
              'shop, service worker: The service worker is given the credenti',
              'shop, region eu-west-1: The replica of arn:aws:secretsmanager:eu',
              'shop: The parameter shop-WA_DB_PASSWORD could ',
              'shop: The key data_src_name of the secret arn:',
            ],
          );
          assert.ok(report.problems.every(({ what, next }) => !(what + next).includes(old.password)));
          assert.deepEqual(current(), old);
          assert.ok(!aws.calls.some(({ action }) => action === 'secretsmanager:RotateSecret'));
          assert.deepEqual(logins.reasons, []);
          const rang = aws.alarms.filter(({ time, to }) => time > begun && to === 'ALARM');
          assert.ok(rang.some(({ alarm }) => alarm === 'shop-credential-rotation-failed'));
        },
        { services: { master: { definitionStatus: 'INACTIVE' } } },
      ),
  );

  await t.test('a daemon, a Classic Load Balancer, and what ECS refuses in the middle of the roll', () =>
    rotationDays(
      database,
      async ({ day, current, accepts, aws, clock, services, ringing }) => {
        const old = current();
        await day(0);
        const deny = aws.onCall(({ operation, input }) =>
          operation === 'UpdateService' && String(input.service).includes('master')
            ? new AwsError('AccessDeniedException', 'Somebody took the right away.')
            : undefined,
        );
        const stopped = await day(1);
        deny();
        assert.equal(stopped.outcome, 'failed', JSON.stringify(stopped.problems));
        const [{ what = '', where = '' } = {}] = stopped.problems;
        assert.match(
          what,
          /stopped at the service master: AWS refused a call: .*took the right away.* Not touched: core.* both valid/,
        );
        assert.match(where, /service master/);
        assert.equal(stopped.figures.rotations, 1);
        assert.equal(stopped.figures.tasksReplaced, 2);
        assert.equal(services.web.fewestRunning, 1);
        assert.ok((await accepts(old)) && (await accepts(current())));
        await clock.runUntil(clock.now() + HOUR);
        assert.ok(ringing().includes('shop-credential-rotation-stopped-master'));

        // A task that somebody has started by hand still has the old one, and a replica comes late.
        const container = await Container.start({
          name: 'export',
          folder: mkdtempSync(join(tmpdir(), 'alone-')),
        });
        t.after(() => container.remove());
        const secrets = [{ name: 'PASSWORD', valueFrom: `${SECRET}:password::` }];
        const alone = {
          ...PLACE,
          cluster: 'shop',
          service: 'export',
          containers: [container],
          isAlone: true,
        };
        const task = aws.ecs.addTask({ ...alone, secrets });
        Object.assign(task, { createdAt: clock.now() - DAY });
        aws.secrets.replicas(SECRET).push({ region: 'eu-west-1', status: 'InProgress' });
        const kept = await day(2);
        assert.equal(kept.outcome, 'partial', JSON.stringify(kept.problems));
        assert.match(
          kept.problems[0]?.what ?? '',
          new RegExp(
            `task ${task.id}, which belongs to no service, .* replica in eu-west-1 does not have the new one`,
          ),
        );
        assert.ok(await accepts(old));
        await container.kill();
        aws.secrets.replicas(SECRET).length = 0;
        const finished = await day(3);
        assert.equal(finished.outcome, 'succeeded', JSON.stringify(finished.problems));
        assert.ok(!(await accepts(old)));
        assert.deepEqual(aws.denials, []);
      },
      {
        services: {
          web: { schedulingStrategy: 'DAEMON', minimumHealthyPercent: 0, maximumPercent: 100 },
          master: { classicLoadBalancer: 'shop' },
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
