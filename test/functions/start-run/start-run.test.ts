import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, type TestContext, test } from 'node:test';
import { CloudWatchClient, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { AwsError } from '../../../rehearsal/aws/aws-error.ts';
import { clientsOf } from '../../../rehearsal/clients.ts';
import { callStartRun } from '../../../rehearsal/operator.ts';
import { reportsOf } from '../../../rehearsal/run-reports.ts';
import configuration from '../../../rehearsal/upkeep.config.ts';
import { createWorld, type World } from '../../../rehearsal/world.ts';
import { buildStage, type Stage } from '../../rehearsal/stage.ts';

/** 02:00 in São Paulo, an hour into latam's downtime window and half an hour before its schedule. */
const IN_THE_WINDOW = Date.parse('2026-11-25T05:00:00Z');

let stage: Stage;
let world: World;
before(async () => {
  stage = await buildStage();
});
after(() => stage.close());

async function begin(t: TestContext, start: number): Promise<void> {
  const { latam } = clientsOf({ rows: 2_000, unread: 0 }, start);
  world = await createWorld({ ...stage, clients: latam ? { latam } : {}, start });
  t.after(() => world.close());
}

/** Calls start-run as a person would, and waits for its answer. */
async function startRun(event: object): Promise<{
  outcome?: string;
  isOutsideWindow?: true;
  runId?: string;
  errorMessage?: string;
}> {
  const { aws, clock } = world;
  return (await clock.hold(() => callStartRun(aws, 'latam', event))) as { outcome?: string };
}

const MESSAGE_GC = { job: 'message-gc', deployment: 'latam' };

test('a run started by hand needs no scheduled time, has a name that no schedule can have, and reports like a scheduled one', async (t) => {
  await begin(t, IN_THE_WINDOW);
  const { outcome, runId = '' } = await startRun(MESSAGE_GC);
  assert.equal(outcome, 'started');
  assert.match(runId, /^latam-message-gc-manual-[0-9a-f]{9}$/);
  // Which runs go on it says too, and of its own deployment only.
  const goingOn = { running: true, deployment: 'latam' };
  assert.deepEqual(await startRun(goingOn), { running: [{ job: 'message-gc', runId }] });
  assert.match((await startRun({ ...goingOn, deployment: 'emea' })).errorMessage ?? '', /not of emea/);
  await world.clock.runUntil(IN_THE_WINDOW + 20 * 60_000);
  const [report] = reportsOf(world.aws);
  assert.equal(report?.outcome, 'succeeded');
  assert.equal(report?.runId, runId);
  assert.equal(report?.details?.outsideWindow, undefined);
  assert.deepEqual(await startRun(goingOn), { running: [] });
});

test('a run that was started before is not started again, however it is asked for', async (t) => {
  await begin(t, IN_THE_WINDOW);
  const scheduledFor = '2026-11-25T04:30:00Z';
  assert.equal((await startRun({ ...MESSAGE_GC, scheduledFor })).outcome, 'started');
  assert.equal((await startRun({ ...MESSAGE_GC, scheduledFor })).outcome, 'already-started');
  // The same instant, in another zone's words.
  const elsewhere = '2026-11-25T01:30:00-03:00';
  assert.equal((await startRun({ ...MESSAGE_GC, scheduledFor: elsewhere })).outcome, 'already-started');
  await world.clock.runUntil(IN_THE_WINDOW + 20 * 60_000);
  assert.equal((await startRun({ ...MESSAGE_GC, scheduledFor })).outcome, 'already-started');
  assert.equal(reportsOf(world.aws).length, 1);

  const request = 'ticket 4711';
  assert.equal((await startRun({ ...MESSAGE_GC, request })).outcome, 'started');
  assert.equal((await startRun({ ...MESSAGE_GC, request })).outcome, 'already-started');
  await world.clock.runUntil(IN_THE_WINDOW + 25 * 60_000);
  assert.equal((await startRun({ ...MESSAGE_GC, request })).outcome, 'already-started');
  assert.equal(reportsOf(world.aws).length, 2);
});

test('a report whose event the bus refuses is in the log and the metrics once, and rings', async (t) => {
  await begin(t, IN_THE_WINDOW);
  const { aws, clock } = world;
  const off = aws.onCall(({ service, operation, caller }) =>
    service === 'events' && operation === 'PutEvents' && /message-gc|report-lost/.test(JSON.stringify(caller))
      ? new AwsError('InternalException', 'not now')
      : undefined,
  );
  t.after(off);
  assert.equal((await startRun(MESSAGE_GC)).outcome, 'started');
  await clock.runUntil(IN_THE_WINDOW + 25 * 60_000);
  const total = (name: string) =>
    aws.cloudWatch.total('Upkeep', name, { deployment: 'latam', job: 'message-gc' });
  assert.deepEqual(
    ['RunsSucceeded', 'Calls', 'RunsLost', 'RunsFailed'].map((name) => total(name)),
    [1, 1, 1, 1],
  );
  const told = aws.logs.filter(({ text }) => text.includes('"Run report"') && text.includes('message-gc'));
  assert.equal(told.length, 2, 'its own, and that of its event that is lost');
  assert.ok(
    aws.cloudWatch.history.some(({ alarm, to }) => alarm === 'latam-message-gc-lost' && to === 'ALARM'),
  );
});

test('while nobody has confirmed a subscription of the alarms, each report says so', async (t) => {
  await begin(t, IN_THE_WINDOW);
  const { aws, clock } = world;
  const [, ...others] = aws.sns.messages;
  assert.deepEqual(others, []);
  const emails =
    configuration.deployments.find(({ name }) => name === 'latam')?.notifications?.emails ??
    configuration.notifications?.emails ??
    [];
  for (const email of emails) aws.sns.unconfirmed.add(email);
  await startRun(MESSAGE_GC);
  await clock.runUntil(IN_THE_WINDOW + 20 * 60_000);
  assert.match(reportsOf(aws)[0]?.problems[0]?.what ?? '', /Nobody gets the alarms: no subscription/);
  assert.equal(reportsOf(aws)[0]?.outcome, 'succeeded');
  aws.sns.unconfirmed.clear();
  await startRun(MESSAGE_GC);
  await clock.runUntil(IN_THE_WINDOW + 28 * 60_000);
  assert.deepEqual(reportsOf(aws)[1]?.problems, []);
});

test('an event that is wrong starts nothing, and of several that are right one begins', async (t) => {
  await begin(t, IN_THE_WINDOW);
  await t.test(
    'an event for another job or deployment, or of another form, is refused with what to correct',
    async () => {
      const wrong: [object, RegExp][] = [
        [
          { ...MESSAGE_GC, job: 'tidy-up' },
          /This start-run starts .*message-gc.* of latam, not tidy-up of latam\. Correct/,
        ],
        ...['constructor', '__proto__', 'toString', 'hasOwnProperty'].map((job): [object, RegExp] => [
          { ...MESSAGE_GC, job },
          new RegExp(`This start-run starts .*message-gc.* of latam, not ${job} of latam\\. Correct`),
        ]),
        [{ ...MESSAGE_GC, deployment: 'emea' }, /not message-gc of emea/],
        [{ deployment: 'latam' }, /The event for start-run has a wrong value at "job"/],
        ...[
          'tonight',
          '1',
          '2026-11-25',
          '2026-11-25T05:00:00',
          '2026-02-30T05:00:00Z',
          '2026-11-25 05:00Z',
        ].map((scheduledFor): [object, RegExp] => [
          { ...MESSAGE_GC, scheduledFor },
          /wrong value at "scheduledFor": expected an ISO 8601 time with its zone/,
        ]),
        [
          { ...MESSAGE_GC, scheduledFor: '2026-11-25T05:30:00Z' },
          /"scheduledFor" that lies ahead: 2026-11-25T05:30/,
        ],
        [{ ...MESSAGE_GC, scheduledFor: '2099-01-01T05:30:00Z' }, /"scheduledFor" that lies ahead/],
        [{ ...MESSAGE_GC, scheduledFor: '2026-11-23T05:30:00Z' }, /more than 25 hours ago/],
        [
          { ...MESSAGE_GC, scheduledFor: '2026-11-25T04:30:00Z', outsideWindow: true },
          /"scheduledFor", which is a schedule's, beside/,
        ],
        // Misspelled, they would be no mistake but a start at once.
        ...['scheduledfor', 'ScheduledFor', 'schedule', 'outsidewindow', 'body'].map(
          (field): [object, RegExp] => [
            { ...MESSAGE_GC, [field]: '2099-01-01T05:30:00Z' },
            new RegExp(
              `has a field "${field}", which it does not know; it knows job, deployment, scheduledFor,`,
            ),
          ],
        ),
        [
          { ...MESSAGE_GC, options: { note: 'x'.repeat(3000) } },
          /has \d+ bytes as JSON; at most 2048 are taken/,
        ],
      ];
      for (const [event, message] of wrong) assert.match((await startRun(event)).errorMessage ?? '', message);
      assert.deepEqual(world.aws.lambda.durable.list(), []);
    },
  );

  await t.test('of several starts at the same moment one begins', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => startRun(MESSAGE_GC)));
    assert.deepEqual(answers.map(({ outcome }) => outcome).sort(), [
      ...Array.from({ length: 5 }, () => 'skipped'),
      'started',
    ]);
    assert.deepEqual(
      world.aws.lambda.durable.list().map(({ name }) => name),
      answers.flatMap(({ outcome, runId = '' }) => (outcome === 'started' ? [runId] : [])),
    );
  });
});

test('outside the window, and once a run had to have ended', async (t) => {
  const noon = Date.parse('2026-11-25T12:00:00Z');
  await begin(t, noon);
  await t.test(
    'a job that is called when its run had to have ended does nothing, whoever called it',
    async () => {
      const { aws, clock } = world;
      const job = aws.deployed
        .ofType('AWS::Lambda::Function')
        .find(({ name }) => name === 'latam-message-gc');
      assert.ok(job);
      const credentials = aws.credentialsFor({
        arn: `arn:aws:sts::${job.account}:assumed-role/operator/somebody`,
        policy: {
          Version: '2012-10-17',
          Statement: [{ Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: `${job.arn}:live` }],
        },
      });
      const lambda = new LambdaClient({ region: job.region, endpoint: aws.endpoint, credentials });
      const run = {
        ...MESSAGE_GC,
        runId: 'latam-message-gc-20261125T053000Z',
        scheduledFor: '2026-11-25T05:30:00.000Z',
        endBy: '2026-11-25T08:00:00.000Z',
      };
      // A time that is none is never past.
      for (const endBy of [run.endBy, '2026-11-25T08:00:00+00', '2026-11-25T08:00:00 +00:00']) {
        // As start-run names it, so that its letter is known.
        const runId = `${run.runId}${endBy.length}`;
        await lambda.send(
          new InvokeCommand({
            FunctionName: `${job.arn}:live`,
            InvocationType: 'Event',
            DurableExecutionName: runId,
            Payload: JSON.stringify({ ...run, runId, endBy }),
          }),
        );
      }
      lambda.destroy();
      await clock.runUntil(noon + 20 * 60_000);
      // The two others died of their event, and were reported as lost: in which order they ended is Lambda's affair.
      const reports = reportsOf(aws);
      assert.deepEqual(reports.map(({ outcome }) => outcome).sort(), ['failed', 'failed', 'skipped']);
      const skipped = reports.find(({ outcome }) => outcome === 'skipped');
      assert.match(skipped?.problems[0]?.what ?? '', /when it had to have ended: at 2026-11-25T08:00:00/);
      assert.deepEqual(world.deployments.latam?.webApp.requests, []);
    },
  );

  await t.test(
    'outside the downtime window nothing is started, by hand neither, unless it is said so; then the report says it',
    async () => {
      const { outcome, isOutsideWindow } = await startRun(MESSAGE_GC);
      assert.deepEqual([outcome, isOutsideWindow], ['skipped', true]);
      const report = reportsOf(world.aws).at(-1);
      assert.match(
        report?.problems[0]?.what ?? '',
        /outside the downtime window 01:00–05:00 America\/Sao_Paulo/,
      );
      assert.equal((await startRun({ ...MESSAGE_GC, outsideWindow: true })).outcome, 'started');
      await world.clock.runUntil(noon + 40 * 60_000);
      assert.equal(reportsOf(world.aws).at(-1)?.outcome, 'succeeded');
      assert.equal(reportsOf(world.aws).at(-1)?.details?.outsideWindow, true);
    },
  );
});

test('inside the window', async (t) => {
  await begin(t, IN_THE_WINDOW);
  await t.test(
    'a run beside one that is still going on is skipped, with that one named in its report',
    async () => {
      const first = await startRun({ ...MESSAGE_GC, scheduledFor: '2026-11-25T04:30:00Z' });
      assert.equal(
        (await startRun({ ...MESSAGE_GC, scheduledFor: '2026-11-25T04:31:00Z' })).outcome,
        'skipped',
      );
      await world.clock.runUntil(IN_THE_WINDOW + 20 * 60_000);
      const skipped = reportsOf(world.aws).find(({ outcome }) => outcome === 'skipped');
      assert.match(skipped?.problems[0]?.what ?? '', new RegExp(`^The run ${first.runId} is still going on`));
    },
  );

  await t.test('the alarm that the documented command rings reaches its addressees', async () => {
    const operations = readFileSync('docs/operations.md', 'utf8');
    const [, name] = /^npx wa-upkeep test-alarms DEPLOYMENT --only (\S+)$/m.exec(operations) ?? [];
    assert.ok(name, 'the command');
    const { aws, clock } = world;
    const credentials = aws.credentialsFor({
      arn: 'arn:aws:sts::111111111111:assumed-role/operator/somebody',
      policy: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: 'cloudwatch:SetAlarmState', Resource: '*' }],
      },
    });
    const cloudWatch = new CloudWatchClient({ region: 'us-east-1', endpoint: aws.endpoint, credentials });
    const AlarmName = `latam-${name}`;
    await cloudWatch.send(
      new SetAlarmStateCommand({ AlarmName, StateValue: 'ALARM', StateReason: 'A trial' }),
    );
    cloudWatch.destroy();
    const message = aws.sns.messages.at(-1);
    assert.match(message?.subject ?? '', /ALARM: "latam-message-gc-failed"/);
    assert.ok((message?.subscriptions.length ?? 0) > 0);
    // CloudWatch looks again, and finds nothing.
    await clock.runUntil(IN_THE_WINDOW + 28 * 60_000);
    assert.equal(aws.cloudWatch.history.at(-1)?.to, 'OK');
  });
});

test('to the end of the window', async (t) => {
  await begin(t, IN_THE_WINDOW);
  await t.test('a run that is throttled says which call of which service it was', async () => {
    t.after(
      world.aws.onCall(({ service, operation }) =>
        service === 'secretsmanager' && operation === 'GetSecretValue'
          ? new AwsError('ThrottlingException', 'Rate exceeded')
          : undefined,
      ),
    );
    await startRun(MESSAGE_GC);
    await world.clock.runUntil(IN_THE_WINDOW + 100 * 60_000);
    const report = reportsOf(world.aws).find(({ outcome }) => outcome === 'failed');
    assert.match(
      report?.problems[0]?.what ?? '',
      /SecretsManager throttled GetSecretValue, each time that it was tried \(ThrottlingException: Rate exceeded\)/,
    );
  });

  await t.test('inside the window, but after the time limit, a late start is skipped', async () => {
    await world.clock.runUntil(Date.parse('2026-11-25T07:50:00Z'));
    assert.equal(
      (await startRun({ ...MESSAGE_GC, scheduledFor: '2026-11-25T04:10:00Z' })).outcome,
      'skipped',
    );
  });
});
