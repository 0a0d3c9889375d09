import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LambdaClient, StopDurableExecutionCommand } from '@aws-sdk/client-lambda';
import { RotateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Duration } from 'aws-cdk-lib';
import type { Strategy } from '../../../functions/shared/database/rotation.ts';
import type { Login } from '../../../functions/shared/database/secret.ts';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import { ACCOUNT, HOUR, REGION, START } from '../../rehearsal/aws/deploy.ts';
import { databaseFor, type TestDatabase } from '../rotate-secret/databases.ts';
import { DAY, type Days, EXPORTER, exporterLine, PARAMETER, rotationDays, SECRET } from './rotation-days.ts';

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
          'verify',
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

        const called = (name: string) => [...(aws.servicesFromVpc.get(name) ?? [])].sort();
        assert.deepEqual(called('shop-credential-rotation'), [
          'ecs',
          'events',
          'lambda',
          'secretsmanager',
          'ssm',
        ]);
        assert.deepEqual(called('shop-rotate-secret'), ['lambda', 'secretsmanager']);

        const passwords = aws.secrets.everyValue().flatMap((value) => JSON.parse(value).password ?? []);
        assert.ok(passwords.length >= 3);
        const told = {
          logs: aws.logs,
          reports: aws.reports,
          notifications: aws.notifications,
          alarms: aws.alarms,
          history: aws.lambda.durable.list(),
        };
        const texts = Object.entries({ ...told, database: await database.logs() }).map(
          ([where, value]) => [where, typeof value === 'string' ? value : JSON.stringify(value)] as const,
        );
        for (const password of passwords)
          for (const [where, text] of texts) assert.ok(!text.includes(password), `a password is in ${where}`);
      }),
    );

    await t.test('a function that is killed at any kind of call ends the rotation on its next attempt', () =>
      rotationDays(database, async (days) => {
        const { aws, day, logins, current, accepts } = days;
        const killedAt: string[] = [];
        for (let number = 0; ; number++) {
          const stopKilling = killAtNew(days, killedAt);
          const kills = killedAt.length;
          const old = current();
          const report = await day(number);
          stopKilling();
          if (number > 0) await expectRotated(report, days, old);
          assert.ok(await accepts(current()), `after ${killedAt.at(-1)}`);
          assert.deepEqual(logins.reasons, [], `after ${killedAt.at(-1)}`);
          if (number > 0 && killedAt.length === kills) break;
        }
        t.diagnostic(`killed at ${killedAt.join(', ')}: ${logins.made} logins, ${logins.failed} failed`);
        for (const call of ['RotateSecret', 'PutParameter', 'UpdateService', 'StopTask', 'DescribeTasks'])
          assert.ok(killedAt.includes(call), call);
        assert.deepEqual(aws.denials, []);
      }),
    );

    await t.test('a run that is ended after any part leaves what the next one finishes', () =>
      rotationDays(database, async (days) => {
        const { aws, clock, day, logins, current, accepts, client } = days;
        const lambda = new LambdaClient(client());
        await day(0);
        let number = 1;
        // After the roll nothing waits any more until the end.
        for (const part of ['preflight', 'start the rotation', 'rotate', 'deliver', 'deploy master anew']) {
          const old = current();
          const running = () => aws.lambda.durable.list().find(({ status }) => status === 'RUNNING');
          const reports = aws.reports.length;
          // Looks between the run's invocations, and stops it once the part is on record.
          const end = START + number * DAY + 4.5 * HOUR;
          await clock.runUntil(START + number * DAY + 1.5 * HOUR - 1);
          while (clock.now() < end && aws.reports.length === reports) {
            await clock.runUntil(Math.min(end, clock.now() + 5000));
            const run = running();
            const done = run?.operations.some(
              ({ Name, Status }) => Status === 'SUCCEEDED' && (Name === part || Name === `time of ${part}`),
            );
            if (run && done) {
              await lambda.send(new StopDurableExecutionCommand({ DurableExecutionArn: run.arn }));
              break;
            }
          }
          assert.ok(await accepts(old), `the old one after ${part}`);
          assert.ok(await accepts(current()), `the current one after ${part}`);
          number += 1;
          const report = await day(number);
          assert.equal(report.outcome, 'succeeded', `${part}: ${JSON.stringify(report.problems)}`);
          number += 1;
          assert.ok(!(await accepts(old)), `the old one is retired after ${part}`);
          assert.equal(report.figures.oldPasswordHours, 0);
          assert.deepEqual(logins.reasons, [], part);
        }
        lambda.destroy();
        t.diagnostic(`${logins.made} logins, ${logins.failed} failed`);
      }),
    );

    await t.test('a service that never becomes steady stops the roll, and the next run finishes it', () =>
      rotationDays(database, async (days) => {
        const { day, logins, current, accepts, services, ringing, aws } = days;
        await day(0);
        const { master, core } = services;
        assert.ok(master && core);
        const old = current();
        master.fault = 'no-room';
        const before = core.everyDeployment.length;
        const stopped = await day(1);
        assert.equal(stopped.outcome, 'failed');
        assert.match(stopped.problems[0]?.what ?? '', /stopped at the service master: .*Not touched: core/);
        assert.match(stopped.problems[0]?.what ?? '', /unable to place a task/);
        assert.match(stopped.problems[0]?.where ?? '', /service master/);
        assert.equal(core.everyDeployment.length, before);
        assert.ok((await accepts(old)) && (await accepts(current())));
        assert.ok(
          ringing().includes('shop-credential-rotation-failed') ||
            aws.alarms.some(({ alarm, to }) => to === 'ALARM' && alarm === 'shop-credential-rotation-failed'),
        );
        assert.ok(ringing().includes('shop-credential-rotation-stopped-master'));
        const next = current();
        const again = await day(2);
        // ECS has not placed the tasks of the deployment yet, so there is nothing to begin with.
        assert.equal(again.outcome, 'skipped', JSON.stringify(again.problems));
        assert.ok(ringing().includes('shop-credential-rotation-unretired'));
        assert.ok((await accepts(old)) && (await accepts(next)));
        master.fault = undefined;
        const finished = await day(3);
        assert.equal(finished.outcome, 'succeeded', JSON.stringify(finished.problems));
        assert.equal(finished.figures.rotations, 0);
        assert.equal(current().password, next.password);
        assert.ok(!(await accepts(old)));
        assert.deepEqual(ringing(), []);
        assert.deepEqual(logins.reasons, []);
      }),
    );

    await t.test(
      'steps that go on failing change nothing for the containers, and the next run puts it right',
      () =>
        rotationDays(database, async (days) => {
          const { aws, day, logins, current, accepts } = days;
          await day(0);
          // With a version before the current one it can be told whose password an abandoned rotation left.
          const first = current();
          await expectRotated(await day(1), days, first);
          const old = current();
          const mend = aws.onInvoke(({ functionName, payload }) =>
            functionName === 'shop-rotate-secret' && payload.includes('testSecret')
              ? new Error('the network is away')
              : undefined,
          );
          const stopped = await day(2);
          mend();
          assert.equal(stopped.outcome, 'failed');
          assert.match(stopped.problems[0]?.what ?? '', /four steps of the rotation .* did not succeed/);
          assert.equal(stopped.figures.tasksReplaced, 0);
          assert.deepEqual(current(), old);
          const rang = aws.alarms.filter(({ to }) => to === 'ALARM').map(({ alarm }) => alarm);
          assert.ok(rang.includes('shop-rotate-secret-failed'));
          await expectRotated(await day(3), days, old);
          assert.ok(await accepts(current()));
          assert.deepEqual(logins.reasons, []);
        }),
    );

    await t.test(
      'two rotations by hand outside the window lose no password, and later runs finish both',
      () =>
        rotationDays(database, async (days) => {
          const { aws, clock, day, logins, current, accepts, client } = days;
          await day(0);
          const old = current();
          const secrets = new SecretsManagerClient(client());
          const rotate = () => secrets.send(new RotateSecretCommand({ SecretId: SECRET }));
          await clock.runUntil(START + 8 * HOUR);
          await rotate();
          await clock.runUntil(START + 9 * HOUR);
          assert.match(aws.reports.at(-1)?.problems[0]?.what ?? '', /outside the downtime window/);
          const next = current();
          await rotate();
          await clock.runUntil(START + 10 * HOUR);
          // The second was refused, since the containers still have the first one's predecessor.
          assert.deepEqual(current(), next);
          assert.ok((await accepts(old)) && (await accepts(next)));
          const first = await day(1);
          assert.equal(first.outcome, 'partial', JSON.stringify(first.problems));
          assert.equal(first.figures.tasksReplaced, 7);
          assert.ok((await accepts(next)) && !(await accepts(old)));
          await expectRotated(await day(2), days, next);
          assert.deepEqual(logins.reasons, []);
          secrets.destroy();
        }),
    );

    await t.test('a rotation by hand is delivered, and a copy that somebody wrote back is put right', () =>
      rotationDays(
        database,
        async (days) => {
          const { aws, clock, day, logins, current, accepts, client } = days;
          await day(0);
          const old = current();
          const secrets = new SecretsManagerClient(client());
          await clock.runUntil(START + DAY + 2 * HOUR);
          const reports = aws.reports.length;
          await secrets.send(new RotateSecretCommand({ SecretId: SECRET }));
          await clock.runUntil(START + DAY + 4 * HOUR);
          const delivered = aws.reports[reports];
          assert.equal(delivered?.outcome, 'succeeded', JSON.stringify(delivered?.problems));
          assert.equal(delivered?.figures.tasksReplaced, 7);
          assert.ok((await accepts(current())) && !(await accepts(old)));
          aws.ssm.write(PARAMETER, `${old.username} ${old.password}`, { ...PLACE, keyId: 'alias/client' });
          const report = await day(2);
          assert.equal(report.outcome, 'partial');
          assert.match(report.problems[0]?.what ?? '', /parameter shop-WA_DB_PASSWORD held something else/);
          assert.equal(
            aws.ssm.parameter(PARAMETER, PLACE)?.value,
            `${current().username} ${current().password}`,
          );
          assert.deepEqual(logins.reasons, []);
          secrets.destroy();
        },
        { props: { rotateAfter: Duration.days(30), maximumAge: Duration.days(40) } },
      ),
    );
  });
}

/** Each day's run is killed at a call that none before it was killed at, right after it was heard. */
function killAtNew({ aws }: Days, killedAt: string[]): () => void {
  let killed = false;
  return aws.onCall(({ caller, service, operation }) => {
    const isRun = caller.function?.name === 'shop-credential-rotation' && service !== 'lambda';
    if (killed || !isRun || killedAt.includes(operation)) return undefined;
    killed = true;
    killedAt.push(operation);
    setTimeout(() => aws.killFunction('shop-credential-rotation'), 2);
    return undefined;
  });
}

async function expectRotated(report: RunReport, { current, accepts }: Days, old: Login): Promise<void> {
  assert.equal(report.outcome, 'succeeded', JSON.stringify(report.problems));
  assert.equal(report.figures.rotations, 1);
  assert.notEqual(current().password, old.password);
  assert.ok(!(await accepts(old)), 'the old credential is retired');
}
