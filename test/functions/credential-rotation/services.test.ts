import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Login } from '../../../functions/shared/database/contract/engine.ts';
import { AwsError } from '../../../rehearsal/aws/aws-error.ts';
import { Container } from '../../../rehearsal/aws/containers/container.ts';
import type { ManagedService, ManagedServiceOptions } from '../../../rehearsal/aws/ecs/service.ts';
import { ACCOUNT, HOUR, REGION } from '../../rehearsal/aws/deploy.ts';
import { databaseFor, postgresDatabase } from '../rotate-secret/databases.ts';
import { DAY, EXPORTER, JOB, rotationDays, SECRET } from './rotation-days.ts';

const PLACE = { account: ACCOUNT, region: REGION };

/** Changes what is said of services, and gives the way to take that back. */
function describedAs(
  services: Record<string, ManagedService>,
  changed: Record<string, Partial<ManagedServiceOptions>>,
): () => void {
  const before = Object.entries(services).map(([name, { options }]) => {
    const kept = { ...options };
    Object.assign(options, changed[name]);
    return () => {
      for (const key of Object.keys(changed[name] ?? {})) Reflect.deleteProperty(options, key);
      Object.assign(options, kept);
    };
  });
  return () => {
    for (const restore of before) restore();
  };
}

test('services that cannot be rolled are found before anything is changed, and others are rolled as they allow', async (t) => {
  const database = await databaseFor(t, postgresDatabase, {
    kind: 'alternating-users',
    users: ['wa', 'wa_clone'],
  });
  if (database === undefined) return;

  await rotationDays(
    database,
    async ({ day, run, current, accepts, aws, clock, services, logins, ringing }) => {
      await day(0);
      const wasAsked = () => aws.calls.some(({ action }) => action === 'secretsmanager:RotateSecret');
      const finish = async (old: Login) => {
        const finished = await run();
        assert.equal(finished?.outcome, 'succeeded', JSON.stringify(finished?.problems));
        assert.ok(!(await accepts(old)));
      };

      await t.test(
        'a pinned version, percentages under which nothing moves, another controller',
        async () => {
          const old = current();
          const restore = describedAs(services, {
            web: { secrets: [{ name: 'PASSWORD', valueFrom: `${SECRET}:password::${crypto.randomUUID()}` }] },
            master: { minimumHealthyPercent: 100, maximumPercent: 149 },
            core: { controller: 'CODE_DEPLOY' },
          });
          const report = await run({ rotate: true });
          restore();
          assert.equal(report?.outcome, 'failed');
          assert.deepEqual(
            report.problems.map(({ where, what }) => `${where}: ${what.slice(0, 30)}`),
            [
              'shop, service web: Its task definition pins a ver',
              'shop, service master: Nothing could move: of its 2 t',
              'shop, service core: It is deployed by CODE_DEPLOY,',
            ],
          );
          assert.deepEqual(current(), old);
          assert.ok(!wasAsked());
          assert.deepEqual(logins.reasons, []);
        },
      );

      await t.test(
        'what would stop the roll halfway, or lock somebody out after it, is found before the rotation',
        async () => {
          const old = current();
          const restore = describedAs(services, {
            web: { environment: [{ name: 'DATABASE_URL', value: `postgres://wa:${old.password}@host/` }] },
            master: { definitionStatus: 'INACTIVE' },
            core: { secrets: [{ name: 'LINE', valueFrom: `${EXPORTER}:data_src_name:AWSPREVIOUS:` }] },
          });
          const worker = aws.ecs.manageService({
            ...PLACE,
            cluster: 'shop',
            service: 'worker',
            desiredCount: 1,
            secrets: [{ name: 'PASSWORD', valueFrom: `${SECRET}:password::` }],
            start: async () => [],
          });
          const replicas = aws.secrets.replicas(SECRET);
          replicas.push({ region: 'eu-west-1', status: 'Failed' });
          const mend = aws.onCall(({ caller, operation }) =>
            caller.function?.name === JOB && /^Put(Parameter|SecretValue)$/.test(operation)
              ? new AwsError('AccessDeniedException', 'A policy of the organization denies it.')
              : undefined,
          );
          const begun = clock.now();
          const report = await run({ rotate: true });
          mend();
          restore();
          assert.equal(report?.outcome, 'failed');
          assert.deepEqual(
            report.problems.map(({ where, what }) => `${where}: ${what.slice(0, 40)}`),
            [
              'shop, service web: Its task definition holds the password i',
              'shop, service master: Its task definition arn:aws:ecs:eu-centr',
              'shop, service core: Its task definition pins a version of th',
              'shop, service worker: The service worker is given the credenti',
              'shop, region eu-west-1: The replica of arn:aws:secretsmanager:eu',
              'shop: The parameter shop-WA_DB_PASSWORD could ',
              'shop: The key data_src_name of the secret arn:',
            ],
          );
          assert.match(
            report.problems[2]?.what ?? '',
            /pins a version of the secret \(\S+:data_src_name:AWSPREVIOUS:\)/,
          );
          assert.ok(report.problems.every(({ what, next }) => !(what + next).includes(old.password)));
          assert.deepEqual(current(), old);
          assert.ok(!wasAsked());
          assert.deepEqual(logins.reasons, []);
          await clock.runUntil(clock.now() + HOUR);
          const rang = aws.alarms.filter(({ time, to }) => time > begun && to === 'ALARM');
          assert.ok(rang.some(({ alarm }) => alarm === 'shop-credential-rotation-failed'));
          worker.options.secrets = [];
          replicas.length = 0;
        },
      );

      await t.test(
        'a daemon, a Classic Load Balancer, and what ECS refuses in the middle of the roll',
        async () => {
          const old = current();
          const restore = describedAs(services, {
            web: { schedulingStrategy: 'DAEMON', minimumHealthyPercent: 0, maximumPercent: 100 },
            master: { classicLoadBalancer: 'shop' },
          });
          const deny = aws.onCall(({ operation, input }) =>
            operation === 'UpdateService' && String(input.service).includes('master')
              ? new AwsError('AccessDeniedException', 'Somebody took the right away.')
              : undefined,
          );
          const stopped = await run({ rotate: true });
          deny();
          assert.equal(stopped?.outcome, 'failed', JSON.stringify(stopped?.problems));
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
          const replicas = aws.secrets.replicas(SECRET);
          replicas.push({ region: 'eu-west-1', status: 'InProgress' });
          const kept = await run();
          assert.equal(kept?.outcome, 'partial', JSON.stringify(kept?.problems));
          assert.match(
            kept.problems[0]?.what ?? '',
            new RegExp(
              `task ${task.id}, which belongs to no service, .* replica in eu-west-1 does not have the new one`,
            ),
          );
          assert.ok(await accepts(old));
          await container.kill();
          replicas.length = 0;
          await finish(old);
          restore();
          assert.deepEqual(aws.denials, []);
        },
      );

      await t.test(
        'a reference to the current version is none, and blue/green is waited for to its end',
        async () => {
          const old = current();
          const restore = describedAs(services, {
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
            core: { strategy: 'BLUE_GREEN', bakeTimeInMinutes: 5 },
          });
          for (const service of Object.values(services)) service.fewestRunning = Number.POSITIVE_INFINITY;
          const deployed = services.core.everyDeployment.length;
          const report = await run({ rotate: true });
          restore();
          assert.equal(report?.outcome, 'succeeded', JSON.stringify(report?.problems));
          assert.equal(report.figures.tasksReplaced, 6);
          assert.ok(!(await accepts(old)));
          // Through the bake time, whose old tasks still had the old password.
          const { roll = 0 } = (report.details?.seconds ?? {}) as { roll?: number };
          assert.ok(roll > 20 * 60);
          assert.equal(services.web.fewestRunning, 2);
          assert.equal(services.core.fewestRunning, 1);
          assert.equal(services.core.everyDeployment.length, deployed);
          assert.deepEqual(logins.reasons, []);
        },
      );

      await t.test('a roll-back, though it looks steady, stops the roll', async () => {
        const old = current();
        const restore = describedAs(services, { master: { circuitBreaker: { rollback: true } } });
        services.master.fault = 'tasks-exit';
        const stopped = await run({ rotate: true });
        assert.equal(stopped?.outcome, 'failed');
        assert.match(
          stopped.problems[0]?.what ?? '',
          /service master: The deployment ecs-svc\S+ was rolled back/,
        );
        assert.ok((await accepts(old)) && (await accepts(current())));
        await finish(old);
        restore();
        assert.deepEqual(logins.reasons, []);
      });
    },
    { services: { core: { desiredCount: 2 } } },
  );
});
