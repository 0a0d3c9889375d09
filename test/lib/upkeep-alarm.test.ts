import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { alarmOnOthers } from '../../lib/upkeep-alarm.ts';
import { ACCOUNT, deploy, MINUTE, REGION, START } from '../rehearsal/aws/deploy.ts';

const of = (metricName: string) => new Metric({ namespace: 'Upkeep', metricName, statistic: 'Sum' });

test('an alarm on what no other one tells keeps back exactly that, and rings for what came beside it', () =>
  deploy(
    (stack) => {
      alarmOnOthers(stack, 'Failed', {
        alarmName: 'failed',
        meaning: 'A run failed.',
        whatToDo: ['Look.'],
        topic: new Topic(stack, 'Alarms'),
        all: of('RunsFailed'),
        toldElsewhere: of('RunsLost'),
        label: 'failed with a report',
      });
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
