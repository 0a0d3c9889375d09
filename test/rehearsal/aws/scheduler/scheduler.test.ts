import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GetScheduleCommand, ListSchedulesCommand, SchedulerClient } from '@aws-sdk/client-scheduler';
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { Duration, type Stack, TimeZone } from 'aws-cdk-lib';
import { Alarm, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import {
  ContextAttribute,
  Schedule,
  ScheduleExpression,
  ScheduleTargetInput,
  TimeWindow,
} from 'aws-cdk-lib/aws-scheduler';
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Template } from '../../../../rehearsal/aws/template/assembly.ts';
import { deploy, HOUR, MINUTE, START } from '../deploy.ts';

const LATE = Date.parse('2027-01-11T02:30:00Z');

function define(code: string, window = TimeWindow.off()) {
  return (stack: Stack): void => {
    const fn = new LambdaFunction(stack, 'Start', {
      functionName: 'start',
      runtime: Runtime.NODEJS_24_X,
      handler: 'index.handler',
      code: Code.fromInline(`exports.handler = async (event) => { ${code} };`),
      retryAttempts: 0,
    });
    const topic = new Topic(stack, 'Alarms');
    for (const [name, metric] of Object.entries({
      errors: fn.metricErrors(),
      calls: fn.metricInvocations(),
    })) {
      new Alarm(stack, name, {
        alarmName: name,
        metric: metric.with({ period: Duration.minutes(5), statistic: 'Sum' }),
        threshold: name === 'errors' ? 1 : 2,
        evaluationPeriods: 1,
        treatMissingData: TreatMissingData.NOT_BREACHING,
      }).addAlarmAction(new SnsAction(topic));
    }
    new Schedule(stack, 'Nightly', {
      scheduleName: 'nightly',
      schedule: ScheduleExpression.cron({ hour: '3', minute: '30', timeZone: TimeZone.EUROPE_BERLIN }),
      timeWindow: window,
      target: new LambdaInvoke(fn, {
        input: ScheduleTargetInput.fromObject({ job: 'x', at: ContextAttribute.scheduledTime }),
        retryAttempts: 3,
        maxEventAge: Duration.minutes(10),
        deadLetterQueue: new Queue(stack, 'Dead', { queueName: 'dead' }),
      }),
    });
  };
}

const rang = (aws: { alarms: { to: string; alarm: string }[] }) =>
  aws.alarms.filter(({ to }) => to === 'ALARM').map(({ alarm }) => alarm);
const hoursLater = (aws: { logs: { time: number }[] }) => aws.logs.map(({ time }) => (time - START) / HOUR);

test('calls the function at the local time, with its input; nothing rings', () =>
  deploy(define('console.log(JSON.stringify(event));'), async ({ aws, clock, client }) => {
    await clock.runUntil(START + 48 * HOUR);
    assert.deepEqual(
      aws.logs.map(({ text }) => JSON.parse(text)),
      [
        { job: 'x', at: '2027-01-11T02:30:00Z' },
        { job: 'x', at: '2027-01-12T02:30:00Z' },
      ],
    );
    assert.ok(Math.abs((aws.logs[0]?.time ?? 0) - LATE) < MINUTE);
    assert.deepEqual(rang(aws), []);
    assert.deepEqual(aws.denials, []);
    const scheduler = new SchedulerClient(client());
    const { Schedules } = await scheduler.send(new ListSchedulesCommand({}));
    assert.deepEqual(
      Schedules?.map(({ Name }) => Name),
      ['nightly'],
    );
    const { ScheduleExpressionTimezone, Target } = await scheduler.send(
      new GetScheduleCommand({ Name: 'nightly' }),
    );
    assert.equal(ScheduleExpressionTimezone, 'Europe/Berlin');
    assert.equal(Target?.RetryPolicy?.MaximumRetryAttempts, 3);
    scheduler.destroy();
  }));

test("a failing function rings its alarm, through to the topic, though the schedule's queue stays empty", () =>
  deploy(define('throw new Error("no");'), async ({ aws, clock }) => {
    await clock.runUntil(START + 24 * HOUR);
    assert.deepEqual(rang(aws), ['errors']);
    assert.equal(aws.notifications.length, 1);
    assert.deepEqual(aws.sqs.bodies('dead'), []);
  }));

test('draws its moment within the flexible window, and names the time of the schedule', () =>
  deploy(
    define('console.log(event.at);', TimeWindow.flexible(Duration.minutes(30))),
    async ({ aws, clock }) => {
      await clock.runUntil(START + 72 * HOUR);
      const delays = aws.logs.map(({ time, text }) => Math.floor((time - Date.parse(text)) / MINUTE));
      assert.equal(delays.length, 3);
      assert.ok(
        delays.every((delay) => delay >= 0 && delay < 30),
        String(delays),
      );
      assert.ok(new Set(delays).size > 1, String(delays));
    },
  ));

test('can be disabled, doubled and delayed', () =>
  deploy(define('console.log(event.at);'), async ({ aws, clock }) => {
    aws.scheduler.fault('nightly', { kind: 'disabled' });
    await clock.runUntil(START + 24 * HOUR);
    assert.deepEqual(aws.logs, []);
    aws.scheduler.fault('nightly', { kind: 'doubled' });
    await clock.runUntil(START + 48 * HOUR);
    assert.equal(aws.logs.length, 2);
    assert.deepEqual(rang(aws), ['calls']);
    aws.scheduler.fault('nightly', { kind: 'delayed', milliseconds: 3 * HOUR });
    await clock.runUntil(START + 72 * HOUR);
    assert.equal(Math.round((hoursLater(aws)[2] ?? 0) * 2) / 2, 48 + 14.5 + 3);
  }));

test('tries a throttled target again', () =>
  deploy(define('console.log(event.at);'), async ({ aws, clock }) => {
    aws.scheduler.fault('nightly', { kind: 'throttled', attempts: 2 });
    await clock.runUntil(START + 24 * HOUR);
    assert.equal(aws.logs.length, 1);
    assert.equal(
      aws.cloudWatch.total('AWS/Scheduler', 'TargetErrorThrottledCount', { ScheduleGroup: 'default' }),
      2,
    );
  }));

const deadLetters: [
  what: string,
  fault: number,
  change: (resource: Template['Resources'][string]) => void,
  attributes: object,
][] = [
  [
    'throttles all attempts',
    99,
    () => {},
    {
      ERROR_CODE: 'TooManyRequestsException',
      RETRY_ATTEMPTS: '3',
      EXHAUSTED_RETRY_CONDITION: 'MaximumRetryAttempts',
    },
  ],
  [
    'may not be called',
    0,
    ({ Type, Properties }) => {
      if (Type !== 'AWS::IAM::Policy') return;
      Object.assign(
        Properties ?? {},
        JSON.parse(JSON.stringify(Properties).replaceAll('lambda:InvokeFunction', 'lambda:GetFunction')),
      );
    },
    { ERROR_CODE: 'AccessDeniedException', RETRY_ATTEMPTS: '0' },
  ],
];

for (const [what, attempts, change, attributes] of deadLetters) {
  test(`puts the input into the dead-letter queue when the target ${what}`, () =>
    deploy(
      define('return 1;'),
      async ({ aws, clock, client }) => {
        aws.scheduler.fault('nightly', { kind: 'throttled', attempts });
        await clock.runUntil(START + 24 * HOUR);
        const sqs = new SQSClient(client());
        const { Messages: [message] = [] } = await sqs.send(
          new ReceiveMessageCommand({
            QueueUrl: `${aws.endpoint}/123456789012/dead`,
            MessageAttributeNames: ['All'],
          }),
        );
        assert.deepEqual(JSON.parse(message?.Body ?? ''), { job: 'x', at: '2027-01-11T02:30:00Z' });
        const values = Object.fromEntries(
          Object.entries(message?.MessageAttributes ?? {}).map(([name, { StringValue }]) => [
            name,
            StringValue,
          ]),
        );
        const { ERROR_CODE, RETRY_ATTEMPTS, EXHAUSTED_RETRY_CONDITION } = values;
        assert.deepEqual(
          { ERROR_CODE, RETRY_ATTEMPTS, ...(EXHAUSTED_RETRY_CONDITION && { EXHAUSTED_RETRY_CONDITION }) },
          attributes,
        );
        assert.equal(values.SCHEDULED_TIME, '2027-01-11T02:30:00Z');
        sqs.destroy();
      },
      { change: (templates) => Object.values(templates.test?.Resources ?? {}).forEach(change) },
    ));
}

test('what is over the quota of invocations comes later, and is counted', () =>
  deploy(define('console.log(event.at);'), async ({ aws, clock }) => {
    const drain = () => aws.scheduler.invocations.drain(MINUTE);
    clock.at(LATE + 24 * HOUR, drain);
    await clock.runUntil(START + 48 * HOUR);
    assert.equal(aws.logs.length, 2);
    assert.equal(
      aws.cloudWatch.total('AWS/Scheduler', 'InvocationThrottleCount', { ScheduleGroup: 'default' }),
      1,
    );
  }));

test('does nothing when its role does not trust Scheduler, and says so', () =>
  deploy(
    define('console.log(event.at);'),
    async ({ aws, clock }) => {
      await clock.runUntil(START + 24 * HOUR);
      assert.deepEqual(aws.logs, []);
      assert.match(aws.dropped[0]?.reason ?? '', /does not trust scheduler\.amazonaws\.com/);
    },
    {
      change: (templates) => {
        for (const { Type, Properties } of Object.values(templates.test?.Resources ?? {})) {
          if (Type !== 'AWS::IAM::Role') continue;
          const text = JSON.stringify(Properties).replaceAll(
            'scheduler.amazonaws.com',
            'events.amazonaws.com',
          );
          Object.assign(Properties ?? {}, JSON.parse(text));
        }
      },
    },
  ));
