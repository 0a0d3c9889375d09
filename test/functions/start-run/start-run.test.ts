import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { clientsOf } from '../../../rehearsal/night.ts';
import { reportsOf } from '../../../rehearsal/run-reports.ts';
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
async function startRun(event: object): Promise<{ outcome?: string; runId?: string; errorMessage?: string }> {
  const { aws, clock } = world;
  const [startRun] = aws.deployed
    .ofType('AWS::Lambda::Function')
    .filter(({ name }) => name === 'latam-start-run');
  assert.ok(startRun);
  const credentials = aws.credentialsFor({
    arn: `arn:aws:sts::${startRun.account}:assumed-role/operator/somebody`,
    policy: {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: startRun.arn }],
    },
  });
  const lambda = new LambdaClient({ region: startRun.region, endpoint: aws.endpoint, credentials });
  const { Payload: payload } = await clock.hold(() =>
    lambda.send(new InvokeCommand({ FunctionName: startRun.name, Payload: JSON.stringify(event) })),
  );
  lambda.destroy();
  return JSON.parse(Buffer.from(payload ?? []).toString());
}

const MESSAGE_GC = { job: 'message-gc', deployment: 'latam' };

test('a run started by hand needs no scheduled time, and reports like a scheduled one', async (t) => {
  await begin(t, IN_THE_WINDOW);
  const { outcome, runId } = await startRun(MESSAGE_GC);
  assert.equal(outcome, 'started');
  await world.clock.runUntil(IN_THE_WINDOW + 20 * 60_000);
  const [report] = reportsOf(world.aws);
  assert.equal(report?.outcome, 'succeeded');
  assert.equal(report?.runId, runId);
});

test('a run for a scheduled time that was started before is not started again, however it is asked for', async (t) => {
  await begin(t, IN_THE_WINDOW);
  const scheduledFor = '2026-11-25T04:30:00Z';
  assert.equal((await startRun({ ...MESSAGE_GC, scheduledFor })).outcome, 'started');
  assert.equal((await startRun({ ...MESSAGE_GC, scheduledFor })).outcome, 'already-started');
  await world.clock.runUntil(IN_THE_WINDOW + 20 * 60_000);
  assert.equal((await startRun({ ...MESSAGE_GC, scheduledFor })).outcome, 'already-started');
  assert.equal(reportsOf(world.aws).length, 1);
});

test('a run beside one that is still going on is skipped, with that one named in its report', async (t) => {
  await begin(t, IN_THE_WINDOW);
  const first = await startRun({ ...MESSAGE_GC, scheduledFor: '2026-11-25T04:30:00Z' });
  assert.equal((await startRun({ ...MESSAGE_GC, scheduledFor: '2026-11-25T04:31:00Z' })).outcome, 'skipped');
  await world.clock.runUntil(IN_THE_WINDOW + 20 * 60_000);
  const skipped = reportsOf(world.aws).find(({ outcome }) => outcome === 'skipped');
  assert.match(skipped?.problems[0]?.what ?? '', new RegExp(`^The run ${first.runId} is still going on`));
});

test('outside the downtime window nothing is started, by hand neither', async (t) => {
  await begin(t, Date.parse('2026-11-25T12:00:00Z'));
  assert.equal((await startRun(MESSAGE_GC)).outcome, 'skipped');
  const [report] = reportsOf(world.aws);
  assert.match(report?.problems[0]?.what ?? '', /outside the downtime window 01:00–05:00 America\/Sao_Paulo/);
});

test('inside the window, but after the time limit, a late start is skipped', async (t) => {
  await begin(t, Date.parse('2026-11-25T07:50:00Z'));
  assert.equal((await startRun({ ...MESSAGE_GC, scheduledFor: '2026-11-25T04:10:00Z' })).outcome, 'skipped');
});

test('an event for another job or deployment, or of another form, is refused with what to correct', async (t) => {
  await begin(t, IN_THE_WINDOW);
  const wrong: [object, RegExp][] = [
    [
      { ...MESSAGE_GC, job: 'tidy-up' },
      /This start-run starts .*message-gc.* of latam, not tidy-up of latam\. Correct/,
    ],
    [{ ...MESSAGE_GC, deployment: 'emea' }, /not message-gc of emea/],
    [{ deployment: 'latam' }, /The event for start-run has a wrong value at "job"/],
    [{ ...MESSAGE_GC, scheduledFor: 'tonight' }, /wrong value at "scheduledFor": expected an ISO 8601 time/],
  ];
  for (const [event, message] of wrong) assert.match((await startRun(event)).errorMessage ?? '', message);
});
