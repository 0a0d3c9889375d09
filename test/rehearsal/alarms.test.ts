// In one file though long: each alarm of the sample, and what comes of its letters, in one world whose time goes on.
/** Every alarm of the sample's templates, and what rings it: a fault, a night of the permissions, or the metric itself below. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isOnlyShown } from '../../functions/shared/run/only-shown.ts';
import { simulatedClock } from '../../rehearsal/aws/clock.ts';
import { type Aws, startAws } from '../../rehearsal/aws/server.ts';
import type { Resource } from '../../rehearsal/aws/template/resource.ts';
import { FAULTS } from '../../rehearsal/faults/faults.ts';
import { synthesize } from '../../rehearsal/synthesize.ts';
import { NIGHTS } from './permissions/nights.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.parse('2026-11-24T09:00:00Z');
/** Longer than a new alarm waits for its first success, and than it then waits for the next. */
const TWO_NIGHTS = 36 * HOUR;

const JOBS = [
  'message-gc',
  'media-gc',
  'log-cleanup',
  'credential-rotation',
  'database-size',
  'application-settings',
  'upgrade-check',
];

type Values = [value: number, ...before: number[]];

interface Metric {
  namespace: string;
  name: string;
  /** Of the deployment. */
  dimensions(deployment: string): Record<string, string>;
  /** What is still good, and what is not: the newest, and those of the periods before. */
  good: Values;
  bad: Values;
  /** Milliseconds. @default five minutes */
  period?: number;
}

/** By the alarm's name without the deployment's. */
interface Ringer {
  alarm: string;
  metrics: Metric[];
  /** What the same values ring besides, which a night rings too. */
  also?: string;
}

/** A metric that our functions tell of each run, as `publishMetrics` does. */
const ofRuns = (job: string, name: string, good: Values, bad: Values, more = {}): Metric => ({
  namespace: 'Upkeep',
  name,
  dimensions: (deployment) => ({ deployment, job, ...more }),
  good,
  bad,
});

/** https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html */
const ofLambda = (job: string, name: string, good: number, bad: number): Metric => ({
  namespace: 'AWS/Lambda',
  name,
  dimensions: (deployment) => ({ FunctionName: `${deployment}-${job}` }),
  good: [good],
  bad: [bad],
});

/** https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html */
const ofQueue = (queue: string, name: string): Metric => ({
  namespace: 'AWS/SQS',
  name,
  dimensions: (deployment) => ({ QueueName: `${deployment}-${queue}` }),
  good: [0],
  bad: [1],
});

/** https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html */
const undelivered = (rule: string): Metric => ({
  namespace: 'AWS/Events',
  name: 'InvocationsFailedToBeSentToDlq',
  dimensions: (deployment) => ({
    EventBusName: `${deployment}-callbacks`,
    RuleName: named('AWS::Events::Rule', deployment, rule),
  }),
  good: [0],
  bad: [1],
});

/** https://docs.aws.amazon.com/efs/latest/ug/efs-metrics.html */
const ofVolume = (name: string, good: number, bad: number): Metric => ({
  namespace: 'AWS/EFS',
  name,
  dimensions: () => ({
    FileSystemId: aws.deployed.ofType('AWS::EFS::FileSystem')[0]?.arn.split('/').at(-1) ?? '',
  }),
  good: [good, good, good],
  bad: [bad, bad, bad],
});

const MEBIBYTE = 1024 ** 2;

/** Of the alarms that no night rings. */
const RINGERS: Ringer[] = [
  ...['media-gc', 'log-cleanup', 'credential-rotation', 'application-settings', 'upgrade-check'].map(
    (job) => ({
      alarm: `${job}-crashing`,
      metrics: [ofLambda(job, 'Errors', 4, 5)],
    }),
  ),
  ...JOBS.filter((job) => job !== 'database-size').map((job) => ({
    alarm: `${job}-dead-letters`,
    // For a quarter of an hour: what others have told of is taken out before.
    metrics: [
      {
        ...ofQueue(`${job}-dead-letters`, 'ApproximateNumberOfMessagesVisible'),
        good: [1, 1, 0] satisfies Values,
        bad: [1, 1, 1] satisfies Values,
      },
    ],
  })),
  ...['log-cleanup', 'upgrade-check'].map((job) => ({
    alarm: `${job}-failed`,
    metrics: [ofRuns(job, 'RunsFailed', [0], [1])],
  })),
  ...['message-gc', 'database-size', 'upgrade-check'].map((job) => ({
    alarm: `${job}-partial`,
    metrics: [ofRuns(job, 'RunsPartial', [0], [1])],
  })),
  { alarm: 'media-gc-certificate', metrics: [ofRuns('media-gc', 'CertificateDaysLeft', [21], [20])] },
  {
    alarm: 'credential-rotation-age',
    metrics: [ofRuns('credential-rotation', 'CredentialAgeDays', [37], [38])],
  },
  {
    alarm: 'credential-rotation-unretired',
    metrics: [ofRuns('credential-rotation', 'OldPasswordHours', [19], [20])],
  },
  ...['whatsapp-apac-WAEntNotCECoreappService', 'whatsapp-apac-ms-WAMonitoringService'].map((service) => ({
    alarm: `credential-rotation-stopped-${service}`,
    metrics: [ofRuns('credential-rotation', 'RollsStopped', [0], [1], { service })],
  })),
  {
    alarm: 'database-size-default-large',
    metrics: [ofRuns('database-size', 'MessageRows', [2_000_000], [2_000_001], { set: 'default' })],
  },
  ...['default', 'wa1'].flatMap((set) => [
    {
      alarm: `database-size-${set}-several-calls`,
      metrics: [ofRuns('database-size', 'MessageRows', [10_000_000], [10_000_001], { set })],
      ...(set === 'wa1' && { also: 'database-size-wa1-large' }),
    },
    {
      alarm: `database-size-${set}-growth`,
      metrics: [ofRuns('database-size', 'DaysUntilTenMillion', [15], [14], { set })],
    },
    {
      alarm: `database-size-${set}-media`,
      metrics: [ofRuns('database-size', 'MediaRows', [10_000_000], [10_000_001], { set })],
    },
  ]),
  {
    alarm: 'log-cleanup-not-ready',
    metrics: [{ ...ofRuns('log-cleanup', 'TasksNotReady', [0, 1, 1], [1, 1, 1]), period: DAY }],
  },
  { alarm: 'callbacks-undelivered-inbound', metrics: [undelivered('CallbacksInboundRule')] },
  { alarm: 'callbacks-undelivered-media-gc', metrics: [undelivered('CallbacksMediaGcRule')] },
  { alarm: 'callbacks-undelivered-message-gc', metrics: [undelivered('CallbacksMessageGcRule')] },
  {
    alarm: 'unread-messages-dead-letters',
    metrics: [ofQueue('unread-messages-dead-letters', 'ApproximateNumberOfMessagesVisible')],
  },
  {
    alarm: 'media-throughput',
    metrics: [
      // Of 100 MiB a second, over five minutes.
      ofVolume('PermittedThroughput', 100 * MEBIBYTE, 100 * MEBIBYTE),
      ofVolume('MeteredIOBytes', 300 * 79 * MEBIBYTE, 300 * 80 * MEBIBYTE),
    ],
  },
  { alarm: 'media-operations', metrics: [ofVolume('PercentIOLimit', 79, 80)] },
  {
    alarm: 'callback-relay-webhook-slow',
    metrics: [
      ofRuns('callback-relay', 'WebhookMilliseconds', [9_999, 9_999, 9_999], [10_000, 10_000, 10_000]),
    ],
  },
  { alarm: 'callback-relay-over-limit', metrics: [ofRuns('callback-relay', 'CallbacksOverLimit', [0], [1])] },
  { alarm: 'callback-relay-errors', metrics: [ofLambda('callback-relay', 'Errors', 0, 1)] },
  { alarm: 'callback-relay-throttles', metrics: [ofLambda('callback-relay', 'Throttles', 0, 1)] },
];

/** Of those that look for what did not come, the ones that no night rings. */
const RING_FOR_NOTHING = ['credential-rotation-missed', 'database-size-missed', 'log-cleanup-missed'];

const kindOf = (alarm: string) => alarm.replace(/^(latam|emea|apac)-/, '');
const IN_NIGHTS = new Set(
  [...Object.values(FAULTS), ...NIGHTS.flatMap(({ faults }) => faults)].flatMap(({ expected }) =>
    [...expected.alarms, ...(expected.alarmsOfLargeTables ?? []), ...(expected.onlyShown ?? [])].map(kindOf),
  ),
);

const folder = mkdtempSync(join(tmpdir(), 'alarms-'));
const clock = simulatedClock(START, folder);
let cdkOut: string;
let aws: Aws;
let alarms: Resource[];
/** Another one tells of the same cause. */
let onlyShown: Set<string>;
before(async () => {
  cdkOut = process.env.SYNTHESIZED ?? (await synthesize());
  aws = await startAws({ cdkOut, clock, change: leaveSchedulesOut });
  // What looks after letters is asked each time that the alarm on them rings.
  aws.lambda.keepWarm(30 * DAY);
  alarms = aws.deployed.ofType('AWS::CloudWatch::Alarm');
  onlyShown = new Set(
    alarms.flatMap(({ name, properties }) =>
      isOnlyShown(properties.text('AlarmDescription')) ? [name] : [],
    ),
  );
});
after(async () => {
  await aws.close();
  clock.close();
  if (process.env.SYNTHESIZED === undefined) rmSync(cdkOut, { recursive: true });
  rmSync(folder, { recursive: true });
});

/** No run comes by itself. */
function leaveSchedulesOut(templates: Record<string, { Resources: Record<string, { Type: string }> }>): void {
  for (const { Resources: resources } of Object.values(templates))
    for (const [id, { Type: type }] of Object.entries(resources))
      if (type === 'AWS::Scheduler::Schedule' || type === 'AWS::SecretsManager::RotationSchedule')
        delete resources[id];
}

function named(type: string, deployment: string, logicalId: string): string {
  const found = aws.deployed
    .ofType(type)
    .find((each) => each.stack === `upkeep-${deployment}` && each.logicalId.startsWith(logicalId));
  return found?.name ?? '';
}

/** Of each deployment that has the alarm. */
function put({ alarm, metrics }: Ringer, which: 'good' | 'bad'): void {
  for (const { name, account, region } of alarms.filter((each) => kindOf(each.name) === alarm)) {
    const [deployment = ''] = name.split('-');
    for (const metric of metrics)
      for (const [index, value] of metric[which].entries()) {
        const time = clock.now() - index * (metric.period ?? 5 * MINUTE);
        const { namespace, dimensions } = metric;
        aws.cloudWatch.put({ account, region }, namespace, metric.name, dimensions(deployment), value, time);
      }
  }
}

/** What begins to ring meanwhile. */
async function ringing(milliseconds: number): Promise<string[]> {
  const before = aws.alarms.length;
  await clock.runUntil(clock.now() + milliseconds);
  return aws.alarms.slice(before).flatMap(({ alarm, to }) => (to === 'ALARM' ? [alarm] : []));
}

/** Soon after something was put. Whatever is put, hours go by without a success. */
async function rungBy(ringer: Ringer, which: 'good' | 'bad'): Promise<string[]> {
  put(ringer, which);
  return (await ringing(2 * MINUTE)).filter((name) => !name.endsWith('-missed')).sort();
}

const everyOf = (...kinds: (string | undefined)[]) =>
  alarms
    .map(({ name }) => name)
    .filter((name) => kinds.includes(kindOf(name)))
    .sort();

test('each alarm of the sample rings in a night, or by what is listed here, and none is listed twice', () => {
  const listed = [...RINGERS.map(({ alarm }) => alarm), ...RING_FOR_NOTHING];
  assert.deepEqual(
    [...new Set(alarms.map(({ name }) => kindOf(name)))].sort(),
    // Without those of the shop, which is an app of its own.
    [...new Set([...IN_NIGHTS, ...listed])].filter((name) => !name.startsWith('shop-')).sort(),
  );
  assert.deepEqual(
    listed.filter((alarm, index) => IN_NIGHTS.has(alarm) || listed.indexOf(alarm) !== index),
    [],
  );
  assert.ok(alarms.length > 120);
});

test(`an alarm that looks for a success rings where none came: ${RING_FOR_NOTHING.join(', ')}`, async () => {
  const rung: string[] = [];
  const place = alarms.find(({ name }) => name.startsWith('latam-'));
  assert.ok(place);
  for (let hours = 0; hours < TWO_NIGHTS / HOUR; hours++) {
    // Everything goes well in one deployment.
    for (const job of JOBS)
      aws.cloudWatch.put(place, 'Upkeep', 'RunsSucceeded', { deployment: 'latam', job }, hours % 24 ? 0 : 1);
    rung.push(...(await ringing(HOUR)));
  }
  // And message-gc's, as in the nights.
  const wanted = everyOf(...RING_FOR_NOTHING, 'message-gc-missed');
  assert.deepEqual(
    rung.sort(),
    wanted.filter((name) => !name.startsWith('latam-')),
  );
});

describe('in each deployment that has it, and no other alarm beside it,', () => {
  for (const ringer of RINGERS)
    test(`${ringer.alarm} rings, and not before`, async () => {
      const { alarm, also } = ringer;
      assert.deepEqual(await rungBy(ringer, 'good'), everyOf(also));
      // Past the longest period whose largest or smallest value counts.
      await clock.runUntil(clock.now() + HOUR);
      assert.deepEqual(await rungBy(ringer, 'bad'), everyOf(alarm));
      const told = aws.notifications.map(({ subject }) => subject);
      for (const name of everyOf(alarm))
        assert.equal(
          told.some((subject) => subject?.includes(`"${name}"`)),
          !onlyShown.has(name),
          name,
        );
    });
});

/** What rings for a letter, and for what could not be put into its queue. */
const UNDELIVERED: Ringer[] = [
  { alarm: 'start-run-dead-letters', metrics: [ofLambda('start-run', 'DestinationDeliveryFailures', 0, 1)] },
  {
    alarm: 'report-lost-run-dead-letters',
    metrics: [ofLambda('report-lost-run', 'DestinationDeliveryFailures', 0, 1)],
  },
  {
    alarm: 'report-lost-run-dead-letters',
    metrics: [
      {
        namespace: 'AWS/Events',
        name: 'InvocationsFailedToBeSentToDlq',
        dimensions: (deployment) => ({
          RuleName: named('AWS::Events::Rule', deployment, 'UpkeepReportLostRunRule'),
        }),
        good: [0],
        bad: [1],
      },
    ],
  },
  {
    alarm: 'schedules-dead-letters',
    metrics: [
      {
        namespace: 'AWS/Scheduler',
        name: 'InvocationsFailedToBeSentToDeadLetterCount',
        dimensions: (deployment) => ({ ScheduleGroup: `${deployment}-upkeep` }),
        good: [0],
        bad: [1],
      },
    ],
  },
  ...JOBS.map((job) => ({ alarm: `${job}-lost`, metrics: [ofLambda(job, 'DeadLetterErrors', 0, 1)] })),
];
for (const ringer of UNDELIVERED)
  test(`a letter that could not be put away rings ${ringer.alarm} alone, by ${ringer.metrics[0]?.name}`, async () => {
    await clock.runUntil(clock.now() + 2 * HOUR);
    assert.deepEqual(await rungBy(ringer, 'good'), []);
    assert.deepEqual(await rungBy(ringer, 'bad'), everyOf(ringer.alarm));
  });

test('starts that fail ring once each, are reported and taken, and are not told again as runs that never came', async () => {
  const queue = aws.deployed
    .ofType('AWS::SQS::Queue')
    .find(({ name }) => name === 'emea-start-run-dead-letters');
  const startRun = aws.deployed.ofType('AWS::Lambda::Function').find(({ name }) => name === 'emea-start-run');
  assert.ok(queue && startRun);
  const role = aws.access.session(startRun.properties.text('Role'), startRun.name);
  await clock.runUntil(clock.now() + 3 * DAY);
  for (const job of JOBS)
    aws.cloudWatch.put(startRun, 'Upkeep', 'RunsSucceeded', { deployment: 'emea', job }, 1);
  await clock.runUntil(clock.now() + DAY);
  const before = aws.logs.length;
  // The second comes while the alarm is on for the first.
  const starts = { 'message-gc': 0, 'database-size': 4 * MINUTE, 'log-cleanup': HOUR };
  for (const [job, after] of Object.entries(starts)) {
    const at = clock.now() + after;
    clock.at(at, () => {
      const requestPayload = { job, deployment: 'emea', scheduledFor: new Date(at).toISOString() };
      const body = {
        requestContext: { condition: 'RetriesExhausted' },
        requestPayload,
        responsePayload: null,
      };
      assert.equal(aws.sqs.deliver(role, queue.arn, JSON.stringify(body), {}, {}), undefined);
    });
  }
  const rung = (await ringing(12 * HOUR)).filter((name) => name.startsWith('emea-'));
  assert.deepEqual(rung.sort(), [
    'emea-credential-rotation-missed',
    'emea-database-size-lost',
    'emea-start-run-dead-letters',
    'emea-start-run-dead-letters',
  ]);
  assert.deepEqual(aws.sqs.bodies(queue.name), []);
  assert.equal(aws.logs.slice(before).filter(({ text }) => text.includes('"Run report"')).length, 3);
  assert.deepEqual(aws.denials, []);
});

test('a letter that nobody has told of rings, is reported and taken, and so the next one rings anew', async () => {
  const name = 'latam-log-cleanup';
  const letters = `${name}-dead-letters`;
  const [job, queue] = [
    aws.deployed.ofType('AWS::Lambda::Function').find((each) => each.name === name),
    aws.deployed.ofType('AWS::SQS::Queue').find((each) => each.name === letters),
  ];
  assert.ok(job && queue);
  const role = aws.access.session(job.properties.text('Role'), name);
  for (const day of [1, 2]) {
    await clock.runUntil(clock.now() + 2 * HOUR);
    const letter = JSON.stringify({ runId: `${name}-2026120${day}T051000Z` });
    assert.equal(aws.sqs.deliver(role, queue.arn, letter, {}, {}), undefined);
    const rung = await ringing(HOUR);
    assert.deepEqual(
      rung.filter((alarm) => !alarm.endsWith('-missed')),
      [letters],
    );
    assert.deepEqual(aws.sqs.bodies(letters), []);
    assert.equal(aws.logs.filter(({ text }) => text.includes(`${name}-2026120${day}`)).length, 1);
  }
  assert.deepEqual(aws.denials, []);
});
