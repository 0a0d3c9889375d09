import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Duration, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { isOnlyShown } from '../../functions/shared/run/only-shown.ts';
import { entryFile } from '../../lib/entry-file.ts';
import {
  hoursUntilMissed,
  monthlyHours,
  Upkeep,
  UpkeepJob,
  type UpkeepJobProps,
  weeklyHours,
} from '../../lib/index.ts';
import { parseMetricMath } from '../../rehearsal/aws/cloudwatch/metric-math.ts';
import { brokenLinks } from './links.ts';
import { appWithoutBundles, ofType, resourcesOf } from './template.ts';

/** A stack of somebody else's app, of no account and region, with nothing of WhatsApp in it. */
function foreignStack(
  props: Partial<UpkeepJobProps> = {},
  shared: (stack: Stack) => Partial<ConstructorParameters<typeof Upkeep>[2]> = () => ({}),
) {
  const stack = new Stack(appWithoutBundles(), 'Shop');
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Europe/Paris',
    window: { from: '01:00', to: '05:00' },
    ...shared(stack),
  });
  const job = new UpkeepJob(stack, 'Reindex', {
    upkeep,
    job: 'reindex',
    description: 'Rebuilds the search index',
    // Any durable function will do for the template.
    entry: entryFile('message-gc'),
    settings: { index: 'articles' },
    schedule: { at: '03:00' },
    timeLimit: Duration.minutes(90),
    ...props,
  });
  return { stack, upkeep, job };
}

describe('a job in an app of somebody else', () => {
  it('is a durable function of its own name, with its settings, and runs exactly at its time', () => {
    const template = Template.fromStack(foreignStack().stack);
    template.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'shop-reindex',
      Environment: { Variables: { UPKEEP_SETTINGS: '{"index":"articles"}' } },
      DurableConfig: { ExecutionTimeout: 105 * 60, RetentionPeriodInDays: 30 },
      VpcConfig: Match.absent(),
    });
    template.hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'cron(0 3 * * ? *)',
      ScheduleExpressionTimezone: 'Europe/Paris',
      FlexibleTimeWindow: { Mode: 'OFF' },
    });
  });

  it('has all its links where account and region are not known', () => {
    assert.deepEqual(brokenLinks(resourcesOf(foreignStack().stack)), []);
  });

  it('has all its links with a key and a topic of that app, whose policies it completes', () => {
    const { stack } = foreignStack({}, (scope) => {
      const encryptionKey = new Key(scope, 'Key');
      return { encryptionKey };
    });
    assert.deepEqual(brokenLinks(resourcesOf(stack)), []);
  });

  it('sends its alarms to a topic that it is given, and makes none', () => {
    const { stack } = foreignStack({}, (scope) => ({
      topic: Topic.fromTopicArn(scope, 'Given', 'arn:aws:sns:eu-west-3:111111111111:pager'),
    }));
    const resources = resourcesOf(stack);
    assert.deepEqual(ofType(resources, 'AWS::SNS::Topic'), []);
    for (const [, { Properties: alarm }] of ofType(resources, 'AWS::CloudWatch::Alarm'))
      if (!isOnlyShown(alarm.AlarmDescription))
        assert.deepEqual(alarm.AlarmActions, ['arn:aws:sns:eu-west-3:111111111111:pager']);
  });

  it('asks for no rights to network interfaces outside a VPC, and for them in one', () => {
    assert.doesNotMatch(JSON.stringify(resourcesOf(foreignStack().stack)), /ec2:/);
    const stack = new Stack(appWithoutBundles(), 'Net');
    const network = {
      vpc: Vpc.fromVpcAttributes(stack, 'Vpc', {
        vpcId: 'vpc-0a1b2c3d4e5f60001',
        availabilityZones: ['eu-west-3a'],
      }),
      subnets: [Subnet.fromSubnetId(stack, 'Subnet', 'subnet-0a1b2c3d4e5f60001')],
      securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-0a1b2c3d4e5f60001')],
    };
    const { stack: inVpc } = foreignStack({ network });
    assert.match(JSON.stringify(resourcesOf(inVpc)), /ec2:CreateNetworkInterface/);
  });

  it('knows the jobs that it must not meet, and start-run may look for them', () => {
    const { stack, upkeep } = foreignStack();
    new UpkeepJob(stack, 'Vacuum', {
      upkeep,
      job: 'vacuum',
      description: 'Vacuums',
      entry: entryFile('message-gc'),
      settings: {},
      schedule: { at: '04:00', flexibleWindow: Duration.minutes(10) },
      timeLimit: Duration.minutes(30),
      conflictsWith: ['reindex'],
    });
    const text = JSON.stringify(resourcesOf(stack));
    assert.match(text, /\\"conflictsWith\\":\[\\"reindex\\"\]/);
    for (const job of ['reindex', 'vacuum'])
      assert.match(text, new RegExp(`FollowRunsOf${job}`), `start-run cannot follow runs of ${job}`);
  });

  it('refuses names of which no name of a run can be made, and limits that its alarm cannot wait for', () => {
    assert.throws(
      () => foreignStack({ job: 'a-job-with-far-too-long-a-name' }),
      /Shop\/Reindex: job is "a-job-with-far-too-long-a-name"; it must be a lower-case letter/,
    );
    assert.throws(
      () => foreignStack({}, () => ({ deployment: 'Shop_1' })),
      /Shop\/Upkeep: deployment is "Shop_1"; it must be a lower-case letter/,
    );
    assert.throws(
      () =>
        foreignStack({ timeLimit: Duration.hours(24) }, () => ({
          window: { from: '01:00', to: '01:00', wholeDay: true },
          timeZone: 'Asia/Kolkata',
        })),
      /Shop\/Reindex: timeLimit is 1 day; with the flexible window the alarm on a missing success would wait 51 hours for one, and CloudWatch lets a new alarm wait 48: both together must be shorter, such as 21 hours\./,
    );
  });

  it('offers its metrics, of its own dimensions', () => {
    const { stack, job } = foreignStack();
    const names = [
      job.metricRunsSucceeded(),
      job.metricRunsPartial(),
      job.metricRunsFailed(),
      job.metricRunsSkipped(),
      job.metricRunsLost(),
      job.metricRunSeconds(),
      job.metric('PagesIndexed', { statistic: 'Average' }),
    ].map((metric) => {
      assert.deepEqual(stack.resolve(metric.dimensions), { deployment: 'shop', job: 'reindex' });
      assert.equal(metric.namespace, 'Upkeep');
      return `${metric.metricName} ${metric.statistic}`;
    });
    assert.deepEqual(names, [
      'RunsSucceeded Sum',
      'RunsPartial Sum',
      'RunsFailed Sum',
      'RunsSkipped Sum',
      'RunsLost Sum',
      'RunSeconds Maximum',
      'PagesIndexed Average',
    ]);
  });
});

describe('the alarm on a missing weekly success', () => {
  const schedule = { at: '23:30', weekday: 'sunday' } as const;
  const success = {
    flexibleWindow: Duration.minutes(15),
    startDelay: Duration.minutes(60),
    timeLimit: Duration.minutes(45),
  };

  /** [zone, hours since Monday 00:00 UTC, how many] */
  for (const [timeZone, first, count] of [
    // 23:30 is 21:30 or 22:30 UTC, and two hours later all is done.
    ['Europe/Berlin', 6 * 24 + 20, 6],
    ['Asia/Kolkata', 6 * 24 + 17, 4],
    ['Pacific/Kiritimati', 6 * 24 + 8, 5],
    // On Monday, by UTC.
    ['America/Sao_Paulo', 1, 5],
  ] as const)
    it(`looks at ${count} hours in ${timeZone}`, () => {
      assert.deepEqual(weeklyHours(schedule, timeZone, success), { first, count });
    });

  it('names those hours by day, and every other hour is as good as a success', () => {
    const { stack } = foreignStack({ schedule }, () => ({ window: { from: '23:00', to: '05:00' } }));
    const alarms = Object.values(Template.fromStack(stack).findResources('AWS::CloudWatch::Alarm'));
    const missed = alarms.find(
      ({ Properties: alarm }) => alarm.AlarmName === 'shop-reindex-missed',
    )?.Properties;
    const expressions = missed?.Metrics.flatMap(
      ({ Expression }: Record<string, unknown>) => Expression ?? [],
    );
    const { first, count } = weeklyHours(schedule, 'Europe/Paris', {
      ...success,
      flexibleWindow: Duration.minutes(0),
      timeLimit: Duration.minutes(90),
    });
    assert.equal(first % 24, 20);
    assert.equal(count, 6);
    assert.deepEqual(expressions, [
      'FILL(IF((DAY(successes) == 7 && HOUR(successes) >= 20 && HOUR(successes) <= 23) || (DAY(successes) == 1 && HOUR(successes) >= 0 && HOUR(successes) <= 1), successes + partials + failures, 1), 0)',
    ]);
    assert.match(
      missed?.AlarmDescription,
      /has done or told anything from Sunday 20:00 to Monday 02:00 UTC, in which its weekly run is due: perhaps/,
    );
    assert.equal(missed?.EvaluationPeriods, count);
    assert.equal(missed?.TreatMissingData, 'breaching');
    assert.equal(missed?.WarmUpConfiguration.WarmUpPeriodDurationInMinutes, count * 60);
    Template.fromStack(stack).hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'cron(30 23 ? * SUN *)',
      Description: 'reindex of shop, each Sunday at 23:30 Europe/Paris',
    });
  });

  it('never rings while all is well, on whatever minute its hours begin', () => {
    const { first, count } = weeklyHours(schedule, 'Europe/Berlin', success);
    for (const offset of [60, 120]) {
      const earliest = 6 * 24 * 60 + 23 * 60 + 30 - offset;
      const latest = earliest + 15 + 60 + 45;
      // Windows of so many hours that lie in the named hours as a whole.
      for (let minute = 0; minute < 60; minute++) {
        const from = first * 60 + minute;
        assert.ok(from <= earliest && latest < from + count * 60, `at minute ${minute}`);
      }
    }
  });
});

describe('alarms that can wait for the morning', () => {
  it('go to a topic of their own where there is one', () => {
    const { stack } = foreignStack({}, (scope) => ({ warningTopic: new Topic(scope, 'Mornings') }));
    const mornings = stack.resolve((stack.node.findChild('Mornings') as Topic).topicArn);
    const alarms = Object.values(Template.fromStack(stack).findResources('AWS::CloudWatch::Alarm'));
    const waiting = alarms.flatMap(({ Properties: { AlarmName, AlarmActions } }) =>
      JSON.stringify(AlarmActions) === JSON.stringify([mornings]) ? [AlarmName] : [],
    );
    assert.deepEqual(waiting, ['shop-reindex-partial']);
  });
});

describe('a monthly job', () => {
  const success = {
    flexibleWindow: Duration.minutes(15),
    startDelay: Duration.minutes(60),
    timeLimit: Duration.minutes(45),
  };

  /** [zone, day, hours since the first day's midnight in UTC, how many] */
  for (const [timeZone, dayOfMonth, first, count] of [
    ['Europe/Berlin', 15, 14 * 24, 6],
    // 03:30 of the first day is the last day of the month before, by UTC.
    ['Pacific/Kiritimati', 1, -12, 13],
    ['America/Sao_Paulo', 25, 24 * 24 + 5, 5],
  ] as const)
    it(`is looked for during ${count} hours in ${timeZone}, for day ${dayOfMonth}`, () => {
      assert.deepEqual(monthlyHours({ at: '03:30', dayOfMonth }, timeZone, success), { first, count });
    });

  it('is due on its day, and its alarm looks at the hours of that day alone', () => {
    const { stack } = foreignStack({ schedule: { at: '03:00', dayOfMonth: 15 } });
    const template = Template.fromStack(stack);
    template.hasResourceProperties('AWS::Scheduler::Schedule', {
      ScheduleExpression: 'cron(0 3 15 * ? *)',
      Description: 'reindex of shop, on day 15 of each month at 03:00 Europe/Paris',
    });
    const alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm'));
    const missed = alarms.find(({ Properties: alarm }) => alarm.AlarmName === 'shop-reindex-missed');
    const text = JSON.stringify(missed?.Properties.Metrics);
    const math =
      'FILL(IF((DATE(successes) == 15 && HOUR(successes) >= 0 && HOUR(successes) <= 5), successes + partials + failures, 1), 0)';
    assert.ok(text.includes(JSON.stringify(math)), text);
    assert.match(missed?.Properties.AlarmDescription, /around day 15 of the month/);
    assert.equal(missed?.Properties.EvaluationPeriods, 6);
  });

  it('of the first day in the far east is missed at the end of each month, and not on another of its last days', () => {
    const schedule = { at: '01:30', dayOfMonth: 1 };
    const { stack } = foreignStack({ schedule }, () => ({ timeZone: 'Asia/Tokyo' }));
    const alarms = Object.values(Template.fromStack(stack).findResources('AWS::CloudWatch::Alarm'));
    const missed = alarms.find(({ Properties: alarm }) => alarm.AlarmName === 'shop-reindex-missed');
    const { Metrics = [], EvaluationPeriods: periods = 0 } = missed?.Properties ?? {};
    const { Expression: expression = '' } = Metrics.find(
      ({ Expression }: Record<string, unknown>) => Expression,
    );
    // Hours from the 28th of January on, without a single run.
    const hours = 6 * 24;
    const start = Date.UTC(2027, 0, 28);
    const none = { series: Array.from({ length: hours }, () => 0), exists: true };
    const values = parseMetricMath(expression).evaluate(
      new Map([
        ['successes', none],
        ['partials', none],
        ['failures', none],
      ]),
      { start, period: 3_600_000 },
    );
    const rings = values.flatMap((_, index) =>
      index + 1 >= periods && values.slice(index + 1 - periods, index + 1).every((value) => (value ?? 0) < 1)
        ? [new Date(start + (index + 1) * 3_600_000).toISOString()]
        : [],
    );
    assert.deepEqual(rings, ['2027-02-01T01:00:00.000Z']);
  });

  it('takes no day that February has not in all its hours, and no weekday beside it', () => {
    assert.throws(
      () => foreignStack({ schedule: { at: '03:00', dayOfMonth: 31 } }),
      /schedule\.dayOfMonth is 31; it must be a whole number from 1 to 28\./,
    );
    foreignStack({ schedule: { at: '03:00', dayOfMonth: 28 } });
    // Three in the morning there is noon of the 28th by UTC, and the run may take hours.
    const inHawaii = (dayOfMonth: number) =>
      foreignStack({ schedule: { at: '03:00', dayOfMonth }, timeLimit: Duration.hours(12) }, () => ({
        timeZone: 'Pacific/Honolulu',
        window: { from: '01:00', to: '20:00' },
      }));
    assert.throws(
      () => inHawaii(28),
      /schedule\.dayOfMonth is 28, and by UTC a run of it may end after the 28th, .*; it must be at most 27,/,
    );
    inHawaii(27);
    assert.throws(
      () =>
        foreignStack({
          schedule: Object.assign({ at: '03:00', dayOfMonth: 3 }, { weekday: 'monday' as const }),
        }),
      /schedule\.weekday is of a weekly schedule; it must be left out with dayOfMonth\./,
    );
  });
});

describe('the alarm on a missing success', () => {
  /** [flexible minutes, minutes of late start, time limit in minutes, hours] */
  for (const [flexible, delay, limit, hours] of [
    [0, 0, 0, 26],
    [0, 0, 60, 27],
    [15, 60, 120, 30],
    [60, 60, 240, 32],
    [1, 0, 60, 28],
  ] as const)
    it(`waits ${hours} hours for ${flexible} flexible minutes, ${delay} of late start and a limit of ${limit}`, () => {
      const waited = hoursUntilMissed({
        flexibleWindow: Duration.minutes(flexible),
        startDelay: Duration.minutes(delay),
        timeLimit: Duration.minutes(limit),
      });
      assert.equal(waited, hours);
    });

  it('never rings while all is well, on whatever minute of the hour two successes fall', () => {
    const [flexible, delay, limit] = [15, 60, 120];
    const hours = hoursUntilMissed({
      flexibleWindow: Duration.minutes(flexible),
      startDelay: Duration.minutes(delay),
      timeLimit: Duration.minutes(limit),
    });
    const latestGap = 25 * 60 + flexible + delay + limit;
    for (let minute = 0; minute < 60; minute++) {
      const firstHour = 0;
      const nextHour = Math.floor((minute + latestGap) / 60);
      // The whole hours between them, in which no point lies, are fewer than the alarm wants to see empty.
      assert.ok(nextHour - firstHour - 1 < hours, `at minute ${minute}`);
    }
  });
});
