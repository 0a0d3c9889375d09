import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { Stack } from 'aws-cdk-lib';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { RunEvent } from '../../../functions/shared/run/run-event.ts';
import type { RunResult } from '../../../functions/shared/run/run-job.ts';
import {
  databaseTraffic,
  loadBalancerTraffic,
  type TrafficMetric,
} from '../../../functions/shared/run/traffic.ts';
import { callbacksTraffic } from '../../../functions/shared/whatsapp/callbacks-traffic.ts';
import { CallbacksBus } from '../../../lib/whatsapp/callbacks-bus.ts';
import { matchesPattern } from '../../../rehearsal/aws/event-bridge/event-pattern.ts';
import { ACCOUNT, deploy, HOUR, MINUTE, REGION, START } from '../../rehearsal/aws/deploy.ts';

const DAY = 24 * HOUR;
const PLACE = { account: ACCOUNT, region: REGION };
/** A Monday, 02:15 in São Paulo. */
const DUE = '2027-01-11T05:15:00.000Z';
const SUCCEEDED: RunResult = {
  outcome: 'succeeded',
  figures: { calls: 1 },
  problems: [],
  details: { calls: [] },
};

/** What a run that is due then tells, by traffic as the stand-in's CloudWatch has it. */
async function told(
  traffic: TrafficMetric,
  days: number,
  requests: (utcHour: number) => number,
  { scheduledFor = DUE, may = 'cloudwatch:GetMetricData' } = {},
): Promise<RunResult> {
  let result: RunResult | undefined;
  await deploy(
    (stack) => {
      new CallbacksBus(stack, 'Callbacks', { deployment: 'shop', topic: new Topic(stack, 'Topic') });
    },
    async ({ aws, client }) => {
      const until = Date.parse(scheduledFor);
      for (let at = until - (until % HOUR) - days * DAY; at < until; at += 15 * MINUTE) {
        const value = requests(new Date(at).getUTCHours());
        if (value > 0)
          aws.cloudWatch.put(PLACE, traffic.namespace, traffic.metricName, traffic.dimensions, value, at);
      }
      const { endpoint, region, credentials } = client([{ Effect: 'Allow', Action: may, Resource: '*' }]);
      Object.assign(process.env, {
        AWS_ENDPOINT_URL: endpoint,
        AWS_REGION: region,
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
        AWS_SESSION_TOKEN: credentials.sessionToken,
      });
      // Its client is made with what the environment says then.
      const { withWindow } = await import(
        `../../../functions/message-gc/watch-window.ts?${crypto.randomUUID()}`
      );
      const context = {
        step: (_: string, work: () => Promise<unknown>) => work(),
      } as unknown as DurableContext;
      const run = { job: 'message-gc', deployment: 'shop', scheduledFor } as RunEvent;
      const settings = { traffic, window: { from: '01:00', to: '05:00' }, timeZone: 'America/Sao_Paulo' };
      result = await withWindow(SUCCEEDED, settings, run, context);
    },
    { start: START },
  );
  assert.ok(result);
  return result;
}

const NIGHT_IN_SAO_PAULO = [4, 5, 6, 7];
const quietAtNight = (hour: number) => (NIGHT_IN_SAO_PAULO.includes(hour) ? 1 : 20);
const busyAtNight = (hour: number) => (NIGHT_IN_SAO_PAULO.includes(hour) ? 20 : hour < 18 ? 10 : 1);

describe('on a Monday, the downtime window', () => {
  it('is told to be quiet where it is, without a problem', async () => {
    const { outcome, figures, problems, details } = await told(callbacksTraffic('shop'), 28, quietAtNight);
    assert.equal(outcome, 'succeeded');
    assert.deepEqual(figures, {
      calls: 1,
      windowIsQuiet: 1,
      windowRequestsPerHour: 4,
      quietestRequestsPerHour: 4,
    });
    assert.deepEqual(problems, []);
    assert.deepEqual(details?.calls, []);
  });

  it('is told not to be, by the load balancer too, with the one that would be, and the run is no worse for it', async () => {
    const network = loadBalancerTraffic('net/shop/0123456789abcdef');
    const { outcome, figures, problems } = await told(network, 28, busyAtNight);
    assert.equal(outcome, 'succeeded');
    assert.deepEqual([figures.windowIsQuiet, figures.windowRequestsPerHour], [0, 80]);
    assert.equal(problems.length, 1);
    assert.match(
      problems[0]?.what ?? '',
      /no longer quiet: 80 of NewFlowCount in an hour of it, 4 in an hour of 15:00 to 19:00, .* last 29 days\.$/,
    );
    assert.match(
      problems[0]?.next ?? '',
      /window: \{ from: '15:00', to: '19:00' \}.*no schedule moves by itself/,
    );
  });

  it('is told by what a database is sent, on an average of each second', async () => {
    const { figures, problems } = await told(databaseTraffic('whatsapp-shop'), 28, busyAtNight);
    assert.deepEqual([figures.windowIsQuiet, figures.windowRequestsPerHour], [0, 72]);
    assert.match(
      problems[0]?.what ?? '',
      /no longer quiet: 72 kilobytes of NetworkReceiveThroughput in an hour of it, 3\.6 in an hour/,
    );
  });

  it('is not judged by a few days', async () => {
    const { figures, problems, details } = await told(callbacksTraffic('shop'), 4, busyAtNight);
    assert.deepEqual([figures, problems], [SUCCEEDED.figures, []]);
    assert.match(JSON.stringify(details?.window), /Only \d days? (is|are) known/);
  });

  it('is told to be unknown where CloudWatch does not answer', async () => {
    const { outcome, figures, problems } = await told(callbacksTraffic('shop'), 8, quietAtNight, {
      may: 'cloudwatch:ListMetrics',
    });
    assert.deepEqual([outcome, figures], ['succeeded', SUCCEEDED.figures]);
    assert.match(problems[0]?.what ?? '', /still quiet is unknown: .*not authorized.*GetMetricData/);
  });
});

describe('on other days, as they are at the client', () => {
  for (const [day, scheduledFor] of Object.entries({
    'a Sunday in São Paulo, Monday by UTC': '2027-01-11T02:15:00.000Z',
    'a Tuesday': '2027-01-12T05:15:00.000Z',
  }))
    it(`nothing is asked: ${day}`, async () => {
      const result = await told(callbacksTraffic('shop'), 8, busyAtNight, { scheduledFor });
      assert.equal(result, SUCCEEDED);
    });
});

it('EventBridge counts each callback by a rule of the bus that hands nothing on, but for those that name another deployment', async () => {
  await deploy(
    (stack: Stack) => {
      new CallbacksBus(stack, 'Callbacks', { deployment: 'shop', topic: new Topic(stack, 'Topic') });
    },
    async ({ aws }) => {
      const { dimensions } = callbacksTraffic('shop');
      const rule = aws.deployed.ofType('AWS::Events::Rule').find(({ name }) => name === dimensions.RuleName);
      assert.ok(rule);
      assert.equal(rule.properties.text('EventBusName'), dimensions.EventBusName);
      assert.equal(rule.properties.child('Targets'), undefined);
      const pattern = rule.properties.child('EventPattern')?.values ?? {};
      const isCounted = (resources: string[], source = 'whatsapp') =>
        matchesPattern(pattern, { source, resources, detail: { statuses: [] } });
      for (const ours of [
        ['shop'],
        [],
        ['arn:aws:lambda:eu-central-1:1:function:webhook'],
        ['bakery', 'shop'],
      ])
        assert.equal(isCounted(ours), true, ours.join());
      assert.equal(isCounted(['bakery']), false);
      assert.equal(isCounted(['shop-2']), false);
      assert.equal(isCounted(['shop'], 'aws.s3'), false);
    },
  );
});
