import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CloudWatchClient,
  DescribeAlarmsCommand,
  DisableAlarmActionsCommand,
  EnableAlarmActionsCommand,
  GetMetricDataCommand,
  GetMetricStatisticsCommand,
  PutMetricDataCommand,
} from '@aws-sdk/client-cloudwatch';
import { Duration, type Stack } from 'aws-cdk-lib';
import {
  Alarm,
  type CfnAlarm,
  ComparisonOperator,
  MathExpression,
  Metric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { type AlarmState, judge, seesTheSameUntil } from '../../../../rehearsal/aws/cloudwatch/alarm.ts';
import { parseMetricMath } from '../../../../rehearsal/aws/cloudwatch/metric-math.ts';
import { aggregate } from '../../../../rehearsal/aws/cloudwatch/metrics.ts';
import { seededRandom } from '../../../../rehearsal/aws/seeded-random.ts';
import { UnknownTemplate } from '../../../../rehearsal/aws/template/properties.ts';
import { ACCOUNT, deploy, HOUR, MINUTE, REGION, START } from '../deploy.ts';

const PLACE = { account: ACCOUNT, region: REGION };
const failures = new Metric({
  namespace: 'Shop',
  metricName: 'Failures',
  statistic: 'Sum',
  period: Duration.minutes(5),
});
const successes = failures.with({ period: Duration.hours(1) });

function ringing(stack: Stack, topic: Topic): void {
  topic.addSubscription(new EmailSubscription('operator@example.com'));
  const alarm = new Alarm(stack, 'Failed', {
    alarmName: 'failed',
    alarmDescription: 'A failure',
    metric: failures,
    threshold: 1,
    evaluationPeriods: 1,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
  alarm.addAlarmAction(new SnsAction(topic));
}

test('rings when a value comes, tells the topic once, and is quiet after its period', () =>
  deploy(
    (stack) => ringing(stack, new Topic(stack, 'Alarms')),
    async ({ aws, clock }) => {
      await clock.runUntil(START + 10 * MINUTE);
      aws.cloudWatch.put(PLACE, 'Shop', 'Failures', {}, 1);
      await clock.runUntil(START + 30 * MINUTE);
      assert.deepEqual(
        aws.alarms.map(({ alarm, from, to }) => [alarm, from, to]),
        [
          ['failed', 'INSUFFICIENT_DATA', 'OK'],
          ['failed', 'OK', 'ALARM'],
          ['failed', 'ALARM', 'OK'],
        ],
      );
      assert.equal(aws.notifications.length, 1);
      const [message] = aws.notifications;
      assert.equal(message?.subject, 'ALARM: "failed" in eu-central-1');
      assert.deepEqual(message?.subscriptions, [{ protocol: 'email', endpoint: 'operator@example.com' }]);
      assert.deepEqual(aws.dropped, []);
    },
  ));

for (const [what, grant, told] of [
  ['lets CloudWatch use it', true, 1],
  ['does not know CloudWatch', false, 0],
] as const) {
  test(`tells a topic ${told} times if its key ${what}`, () =>
    deploy(
      (stack) => {
        const key = new Key(stack, 'Key');
        if (grant) {
          key.addToResourcePolicy(
            new PolicyStatement({
              principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
              actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
              resources: ['*'],
              conditions: { StringEquals: { 'aws:SourceAccount': ACCOUNT } },
            }),
          );
        }
        ringing(stack, new Topic(stack, 'Alarms', { masterKey: key }));
      },
      async ({ aws, clock }) => {
        aws.cloudWatch.put(PLACE, 'Shop', 'Failures', {}, 1);
        await clock.runUntil(START + 10 * MINUTE);
        assert.ok(aws.alarms.some(({ to }) => to === 'ALARM'));
        assert.equal(aws.notifications.length, told);
        assert.equal(aws.dropped.length, 1 - told);
        if (!grant) assert.match(aws.dropped[0]?.reason ?? '', /cloudwatch.*kms:Decrypt/);
      },
    ));
}

function missing(stack: Stack, periods: number, warmUpMinutes?: number): void {
  const alarm = new Alarm(stack, 'Missed', {
    alarmName: 'missed',
    metric: new MathExpression({
      expression: 'FILL(s, 0)',
      usingMetrics: { s: successes },
      period: Duration.hours(1),
    }),
    threshold: 1,
    comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
    evaluationPeriods: periods,
    treatMissingData: TreatMissingData.BREACHING,
  });
  if (warmUpMinutes === undefined) return;
  (alarm.node.defaultChild as CfnAlarm).warmUpConfiguration = {
    warmUpPeriodDurationInMinutes: warmUpMinutes,
    onlyStartEvaluatingAfterWarmUpPeriodEnds: true,
  };
}

const rings = (aws: { alarms: { to: AlarmState; time: number }[] }) =>
  aws.alarms.filter(({ to }) => to === 'ALARM').map(({ time }) => Math.floor((time - START) / HOUR));

test('a daily success that stays away rings after its hours, not before', () =>
  deploy(
    (stack) => missing(stack, 26, 26 * 60),
    async ({ aws, clock }) => {
      clock.at(START + HOUR, () => aws.cloudWatch.put(PLACE, 'Shop', 'Failures', {}, 1));
      clock.at(START + 25 * HOUR, () => aws.cloudWatch.put(PLACE, 'Shop', 'Failures', {}, 1));
      await clock.runUntil(START + 60 * HOUR);
      assert.deepEqual(rings(aws), [51]);
    },
  ));

test('a success that was never seen rings when the warm-up ends', () =>
  deploy(
    (stack) => missing(stack, 26, 27 * 60),
    async ({ aws, clock }) => {
      await clock.runUntil(START + 40 * HOUR);
      assert.deepEqual(rings(aws), [27]);
    },
  ));

test('without a warm-up it would ring at once', () =>
  deploy(
    (stack) => missing(stack, 26),
    async ({ aws, clock }) => {
      await clock.runUntil(START + 2 * HOUR);
      assert.deepEqual(rings(aws), [0]);
    },
  ));

test('missing data alone rings late: old points are preferred', () =>
  deploy(
    (stack) => {
      new Alarm(stack, 'Late', {
        metric: failures.with({ period: Duration.days(1) }),
        threshold: 1,
        comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
        evaluationPeriods: 1,
        treatMissingData: TreatMissingData.BREACHING,
      });
    },
    async ({ aws, clock }) => {
      aws.cloudWatch.put(PLACE, 'Shop', 'Failures', {}, 1);
      await clock.runUntil(START + 100 * HOUR);
      assert.deepEqual(rings(aws), [72]);
    },
  ));

const _ = undefined;
/** CloudWatch's documented tables (0: fine, 1: breaching), with the states for missing, ignore, breaching, notBreaching. */
const tables: [needed: number, series: (number | undefined)[], states: string][] = [
  [3, [0, _, 1, _, 1], 'OK OK OK OK'],
  [3, [_, _, _, _, 0], 'OK OK OK OK'],
  [3, [_, _, _, _, _], 'INSUFFICIENT_DATA kept ALARM OK'],
  [3, [0, 1, 1, _, 1], 'ALARM ALARM ALARM ALARM'],
  [3, [_, _, 1, _, _], 'ALARM kept ALARM OK'],
  [2, [0, _, 1, _, 1], 'ALARM ALARM ALARM ALARM'],
  [2, [0, 0, 1, 0, 1], 'ALARM ALARM ALARM ALARM'],
  [2, [0, _, 1, _, _], 'OK OK ALARM OK'],
  [2, [_, _, _, _, 0], 'OK OK ALARM OK'],
  [2, [_, _, _, 1, _], 'ALARM kept ALARM OK'],
];

for (const [needed, series, states] of tables) {
  test(`judges ${series.map((point) => point ?? '-').join(' ')} with ${needed} of 3 needed`, () => {
    const judged = ['missing', 'ignore', 'breaching', 'notBreaching'].map((treatMissing) => {
      const alarm = {
        compare: (value: number) => value >= 1,
        evaluationPeriods: 3,
        datapointsToAlarm: needed,
        treatMissing,
      };
      const ofOk = judge({ ...alarm, state: 'OK' }, series);
      const ofAlarm = judge({ ...alarm, state: 'ALARM' }, series);
      return ofOk === ofAlarm ? ofOk : 'kept';
    });
    assert.equal(judged.join(' '), states);
  });
}

test('takes metrics from log lines, and shows them and the alarms to any client', () =>
  deploy(
    (stack) => ringing(stack, new Topic(stack, 'Alarms')),
    async ({ aws, clock, client }) => {
      const cloudWatch = new CloudWatchClient(client());
      const line = {
        _aws: {
          Timestamp: START,
          CloudWatchMetrics: [
            { Namespace: 'Shop', Dimensions: [['job'], []], Metrics: [{ Name: 'Failures', Unit: 'Count' }] },
          ],
        },
        job: 'bake',
        Failures: [1, 2],
      };
      aws.cloudWatch.readEmbedded(JSON.stringify(line), PLACE);
      await cloudWatch.send(
        new PutMetricDataCommand({ Namespace: 'Shop', MetricData: [{ MetricName: 'Failures', Value: 4 }] }),
      );
      await clock.runUntil(START + MINUTE);
      const { Datapoints } = await cloudWatch.send(
        new GetMetricStatisticsCommand({
          Namespace: 'Shop',
          MetricName: 'Failures',
          StartTime: new Date(START),
          EndTime: new Date(START + HOUR),
          Period: 3600,
          Statistics: ['Sum', 'Maximum', 'SampleCount', 'Average'],
        }),
      );
      assert.deepEqual(Datapoints, [
        { Timestamp: new Date(START), Sum: 7, Maximum: 4, SampleCount: 3, Average: 7 / 3 },
      ]);
      const { MetricDataResults } = await cloudWatch.send(
        new GetMetricDataCommand({
          StartTime: new Date(START),
          EndTime: new Date(START + HOUR),
          MetricDataQueries: [
            {
              Id: 'm',
              MetricStat: {
                Metric: {
                  Namespace: 'Shop',
                  MetricName: 'Failures',
                  Dimensions: [{ Name: 'job', Value: 'bake' }],
                },
                Period: 60,
                Stat: 'Sum',
              },
            },
          ],
        }),
      );
      assert.deepEqual(MetricDataResults?.[0]?.Values, [3]);
      const { MetricAlarms } = await cloudWatch.send(new DescribeAlarmsCommand({ StateValue: 'ALARM' }));
      assert.deepEqual(
        MetricAlarms?.map(({ AlarmName }) => AlarmName),
        ['failed'],
      );
      const areOn = async () =>
        (await cloudWatch.send(new DescribeAlarmsCommand())).MetricAlarms?.[0]?.ActionsEnabled;
      await cloudWatch.send(new DisableAlarmActionsCommand({ AlarmNames: ['failed'] }));
      assert.equal(await areOn(), false);
      await cloudWatch.send(new EnableAlarmActionsCommand({ AlarmNames: ['failed'] }));
      assert.equal(await areOn(), true);
      cloudWatch.destroy();
    },
  ));

test('stops at an alarm that it does not understand', async () => {
  await assert.rejects(
    deploy(
      (stack) => {
        new Alarm(stack, 'Slow', {
          metric: failures.with({ statistic: 'p99' }),
          threshold: 1,
          evaluationPeriods: 1,
        });
      },
      () => Promise.reject(new Error('it was deployed')),
    ),
    UnknownTemplate,
  );
});

test('an alarm that is not judged again would have seen the same', () => {
  const random = seededRandom('alarms');
  const between = (from: number, to: number) => from + Math.floor(random() * (to - from + 1));
  const time = parseMetricMath('IF(DAY(m) == 7 && HOUR(m) >= 3, HOUR(m), DATE(m))');
  let longest = 0;
  for (let round = 0; round < 300; round += 1) {
    const period = between(1, 3) === 1 ? 24 * HOUR : ([1, 5, 60][between(0, 2)] ?? 1) * MINUTE;
    const periods = between(1, 12);
    const begin = START + between(0, 3000) * MINUTE;
    const minutes = Array.from({ length: between(0, 4) }, () => between(-periods * (period / MINUTE) - 3, 3));
    const points = [...new Set(minutes)]
      .sort((a, b) => a - b)
      .map((minute) => ({
        time: begin + minute * MINUTE,
        sum: 1e6 + minute,
        count: 1,
        minimum: 0,
        maximum: 0,
      }));
    const timeStep = round % 2 === 0 ? undefined : Math.min(period, HOUR);
    const seen = (end: number) => {
      const series = aggregate(points, 'Sum', end, period, periods);
      const inputs = new Map([['m', { series, exists: true }]]);
      const range = { start: end - periods * period, period };
      return timeStep === undefined ? series : [...series, ...time.evaluate(inputs, range)];
    };
    const until = seesTheSameUntil({ period, timeStep }, [points], begin, periods);
    assert.ok(until > begin);
    const [now, last] = [seen(begin), Math.min(until, begin + 30 * HOUR)];
    for (let end = begin + MINUTE; end < last; end += MINUTE) assert.deepEqual(seen(end), now);
    // And no sooner than need be.
    if (timeStep === undefined && Number.isFinite(until)) assert.notDeepEqual(seen(until), now);
    longest = Math.max(longest, last - begin);
  }
  assert.ok(longest > HOUR);
});
