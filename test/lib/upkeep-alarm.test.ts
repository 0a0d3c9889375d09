import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Duration, type Stack } from 'aws-cdk-lib';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { alarmOnCrashes, alarmOnOthers } from '../../lib/upkeep-alarm.ts';
import { ACCOUNT, deploy, MINUTE, REGION, START } from '../rehearsal/aws/deploy.ts';

const of = (metricName: string) => new Metric({ namespace: 'Upkeep', metricName, statistic: 'Sum' });

function alarmOnFailedRuns(
  stack: Stack,
  others: Pick<Parameters<typeof alarmOnOthers>[2], 'toldElsewhere' | 'nowhere' | 'label'>,
): void {
  alarmOnOthers(stack, 'Failed', {
    alarmName: 'failed',
    meaning: 'A run failed.',
    whatToDo: ['Look.'],
    topic: new Topic(stack, 'Alarms'),
    all: of('RunsFailed'),
    ...others,
  });
}

test('an alarm on what no other one tells keeps back exactly that, and rings for what came beside it', () =>
  deploy(
    (stack) => {
      alarmOnFailedRuns(stack, { toldElsewhere: [of('RunsLost')], label: 'failed with a report' });
    },
    async ({ aws, clock }) => {
      const place = { account: ACCOUNT, region: REGION };
      const rings: number[] = [];
      for (const [all, told] of [
        // Before the other metric was ever seen.
        [1, undefined],
        // A lost run counts as failed too.
        [1, 1],
        [2, 1],
        [0, 0],
        [1, 0],
        [0, 1],
      ] as const) {
        await clock.runUntil(clock.now() + 15 * MINUTE);
        const before = aws.alarms.filter(({ to }) => to === 'ALARM').length;
        aws.cloudWatch.put(place, 'Upkeep', 'RunsFailed', {}, all);
        if (told !== undefined) aws.cloudWatch.put(place, 'Upkeep', 'RunsLost', {}, told);
        await clock.runUntil(clock.now() + 10 * MINUTE);
        rings.push(aws.alarms.filter(({ to }) => to === 'ALARM').length - before);
      }
      // Told late, of the period that it was of: what comes meanwhile is another cause's.
      const first = clock.now();
      aws.cloudWatch.put(place, 'Upkeep', 'RunsFailed', {}, 1);
      await clock.runUntil(first + 25 * MINUTE);
      const before = aws.alarms.filter(({ to }) => to === 'ALARM').length;
      aws.cloudWatch.put(place, 'Upkeep', 'RunsLost', {}, 1, first);
      aws.cloudWatch.put(place, 'Upkeep', 'RunsFailed', {}, 1);
      await clock.runUntil(clock.now() + 10 * MINUTE);
      assert.equal(aws.alarms.filter(({ to }) => to === 'ALARM').length - before, 1);
      assert.ok(clock.now() > START);
      assert.deepEqual(rings, [1, 0, 1, 0, 1, 0]);
    },
  ));

test('a run that gave up rings as failed where it turns out that nobody was told of it, and not where somebody was', () =>
  deploy(
    (stack) => {
      alarmOnFailedRuns(stack, {
        toldElsewhere: [of('RunsLost'), of('RunsFailedTold')],
        nowhere: of('RunsFailedUntold'),
        label: 'failed',
      });
    },
    async ({ aws, clock }) => {
      const place = { account: ACCOUNT, region: REGION };
      const rings: number[] = [];
      const untold = { RunsFailed: 0, RunsFailedUntold: 1 };
      for (const [report, later, afterMinutes] of [
        // Before the last metric was ever seen.
        [{ RunsFailed: 1, RunsLost: 0, RunsFailedTold: 1 }, {}, 1],
        [{ RunsFailed: 1, RunsLost: 0, RunsFailedTold: 1 }, untold, 0],
        [{ RunsFailed: 1, RunsLost: 0, RunsFailedTold: 1 }, untold, 12],
        [{ RunsFailed: 1, RunsLost: 0, RunsFailedTold: 1 }, {}, 1],
        [{ RunsFailed: 1, RunsLost: 1 }, {}, 1],
        [{ RunsFailed: 1, RunsLost: 0, RunsFailedTold: 0 }, {}, 1],
      ] as const) {
        await clock.runUntil(clock.now() + 30 * MINUTE);
        const before = aws.alarms.filter(({ to }) => to === 'ALARM').length;
        const put = (metrics: Record<string, number>) => {
          for (const [name, value] of Object.entries(metrics))
            aws.cloudWatch.put(place, 'Upkeep', name, {}, value);
        };
        put(report);
        await clock.runUntil(clock.now() + afterMinutes * MINUTE);
        put(later);
        await clock.runUntil(clock.now() + 20 * MINUTE);
        rings.push(aws.alarms.filter(({ to }) => to === 'ALARM').length - before);
      }
      assert.deepEqual(rings, [0, 1, 1, 0, 0, 1]);
    },
  ));

test('tries that take their whole time ring once, and crashes at once ring only where they go on after a run would have given up', () =>
  deploy(
    (stack) => {
      alarmOnCrashes(stack, 'Crashing', {
        alarmName: 'crashing',
        meaning: 'Invocations end by force.',
        whatToDo: ['Look.'],
        topic: new Topic(stack, 'Alarms'),
        errors: of('Errors'),
        duration: of('Duration').with({ statistic: 'Maximum' }),
        timeout: Duration.minutes(15),
      });
    },
    async ({ aws, clock }) => {
      const place = { account: ACCOUNT, region: REGION };
      const put = (name: string, value: number) => aws.cloudWatch.put(place, 'Upkeep', name, {}, value);
      const rings = async (minutes: number) => {
        const before = aws.alarms.filter(({ to }) => to === 'ALARM').length;
        await clock.runUntil(clock.now() + minutes * MINUTE);
        return aws.alarms.filter(({ to }) => to === 'ALARM').length - before;
      };
      const rang: number[] = [];
      for (let attempt = 1; attempt <= 3; attempt++) {
        put('Errors', 1);
        put('Duration', 900_000);
        rang.push(await rings(15));
      }
      rang.push(await rings(90));
      // The run has given up by then, and that rings elsewhere.
      put('Errors', 3);
      put('Duration', 500);
      rang.push(await rings(90));
      put('Errors', 5);
      put('Duration', 500);
      rang.push(await rings(90));
      // Of a function that does not start: each five minutes for three hours, and nothing after that.
      let hours = 0;
      for (let crash = 0; crash < 36; crash++) {
        put('Errors', 1);
        put('Duration', 500);
        hours += await rings(5);
      }
      rang.push(hours + (await rings(120)));
      assert.deepEqual(rang, [1, 0, 0, 0, 0, 1, 1]);
    },
  ));
