import { CloudWatchClient, type Metric, paginateGetMetricData } from '@aws-sdk/client-cloudwatch';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { Command, InvalidArgumentError } from 'commander';
import { WEEKDAYS } from '../lib/local-time.ts';
import { awsTime, deploymentNamed } from './deployments.ts';
import { EXIT_CODES, EXIT_CODES_HELP, giveUp, table } from './output.ts';
import {
  type Counted,
  hoursOf,
  ordinaryWeek,
  type QuietHours,
  quietHours,
  SLOT_MINUTES,
  type Week,
  type WindowTraffic,
} from './window/quiet-hours.ts';

const WEEK = 7 * 24 * 3600 * 1000;
const DEFAULT_WEEKS = 4;
/** CloudWatch keeps periods of fifteen minutes for 63 days. */
const MOST_WEEKS = 9;

interface Options {
  loadBalancer?: Metric;
  weeks: number;
  json?: true;
  region?: string;
}

/** `wa-upkeep window`: the quietest hours of the last weeks, and whether the downtime window lies in them. */
export function windowCommand(): Command {
  return new Command('window')
    .summary('is the downtime window quiet, and which would be?')
    .description(
      'Counts what came in the last weeks, by weekday and hour, says whether the downtime window is quiet, and which would be the\n' +
        'quietest one of its length, as a line of the configuration. It changes nothing.',
    )
    .argument('<deployment>')
    .option(
      '--load-balancer <name>',
      "of the load balancer before WebApp: its ARN, or its end, such as app/shop/0123456789abcdef; default: inbound messages, as they come to the deployment's queue of unread messages",
      loadBalancerMetric,
    )
    .option('--weeks <number>', 'how many weeks to count', weeks, DEFAULT_WEEKS)
    .option('--json', 'what was found, as JSON')
    .option('--region <name>', 'default: that of the environment')
    .addHelpText(
      'after',
      `
Examples:
  wa-upkeep window shop
  wa-upkeep window shop --load-balancer net/shop/0123456789abcdef --weeks 8

A problem is a window that is not quiet. An application load balancer counts requests, a network load balancer connections.
${EXIT_CODES_HELP}`,
    )
    .action(async (deployment: string, { loadBalancer, weeks, json, region }: Options) => {
      try {
        const where = { ...(region && { region }) };
        const lambda = new LambdaClient(where);
        const { window, timeZone } = await deploymentNamed(lambda, deployment);
        const to = awsTime(lambda).getTime();
        const span = { from: to - weeks * WEEK, to };
        const metric = loadBalancer ?? unreadMessages(deployment);
        const counted = await countsOf(new CloudWatchClient(where), metric, span);
        if (counted.length === 0) throw new Error(nothingKnown(metric, weeks));
        const { week, days } = ordinaryWeek(counted, span, timeZone);
        const found = quietHours(week, days, window);
        if (json) process.stdout.write(`${JSON.stringify({ deployment, timeZone, ...found })}\n`);
        else process.stdout.write(textOf(deployment, timeZone, week, found));
        if (!found.isQuiet) process.exitCode = EXIT_CODES.problem;
      } catch (error) {
        giveUp(error);
      }
    });
}

async function countsOf(
  client: CloudWatchClient,
  metric: Metric,
  { from, to }: { from: number; to: number },
): Promise<Counted[]> {
  const counted: Counted[] = [];
  for await (const { MetricDataResults: [result] = [] } of paginateGetMetricData(
    { client },
    {
      StartTime: new Date(from),
      EndTime: new Date(to),
      MetricDataQueries: [
        { Id: 'requests', MetricStat: { Metric: metric, Period: SLOT_MINUTES * 60, Stat: 'Sum' } },
      ],
    },
  ))
    for (const [index, at] of (result?.Timestamps ?? []).entries())
      counted.push({ at: at.getTime(), requests: result?.Values?.[index] ?? 0 });
  return counted;
}

/** The bus has each inbound message put into this queue, where message-gc marks messages read. */
function unreadMessages(deployment: string): Metric {
  return {
    Namespace: 'AWS/SQS',
    MetricName: 'NumberOfMessagesSent',
    Dimensions: [{ Name: 'QueueName', Value: `${deployment}-unread-messages` }],
  };
}

function loadBalancerMetric(text: string): Metric {
  const [, kind, name] = /(?:^|:loadbalancer\/)((?:app|net))(\/[\w-]+\/[0-9a-f]{16})$/.exec(text) ?? [];
  if (kind === undefined || name === undefined)
    throw new InvalidArgumentError(
      'It must be the ARN of an application or network load balancer, or its end, such as app/shop/0123456789abcdef.',
    );
  return {
    ...(kind === 'app'
      ? { Namespace: 'AWS/ApplicationELB', MetricName: 'RequestCount' }
      : { Namespace: 'AWS/NetworkELB', MetricName: 'NewFlowCount' }),
    Dimensions: [{ Name: 'LoadBalancer', Value: `${kind}${name}` }],
  };
}

function nothingKnown(
  { Namespace, MetricName, Dimensions: [dimension] = [] }: Metric,
  weeks: number,
): string {
  const next =
    Namespace === 'AWS/SQS'
      ? 'The queue is there where message-gc has markRead: otherwise name the load balancer (--load-balancer).'
      : 'Is it of this account and region, and did anything come by it?';
  return `CloudWatch knows no ${MetricName} of ${dimension?.Value} in the last ${weeks} weeks. ${next}`;
}

function weeks(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > MOST_WEEKS)
    throw new InvalidArgumentError(
      `It must be a whole number up to ${MOST_WEEKS}: CloudWatch keeps what is needed for so long.`,
    );
  return value;
}

const BLOCKS = ' ▁▂▃▄▅▆▇█';

/** The week as a plot: a line for each day, the height of a block for each hour. */
function plotOf(week: Week): string {
  const hours = hoursOf(week);
  const most = Math.max(...hours.flat(), 1);
  const block = (requests: number) =>
    BLOCKS.charAt(requests === 0 ? 0 : Math.max(1, Math.round((requests / most) * (BLOCKS.length - 1))));
  const longest = Math.max(...WEEKDAYS.map(({ length }) => length));
  const head = `${' '.repeat(longest)}  ${Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, '0')).join(' ')}`;
  const lines = WEEKDAYS.map(
    (weekday, day) =>
      `${weekday.padEnd(longest)}  ${(hours[day] ?? []).map((each) => `${block(each)}${block(each)}`).join(' ')}`,
  );
  return [head, ...lines.map((line) => line.trimEnd()), `█: ${most} in an hour`].join('\n');
}

function textOf(deployment: string, timeZone: string, week: Week, found: QuietHours): string {
  const { configured, quietest, byWeekday, isQuiet, days, requestsPerHour } = found;
  const rows = WEEKDAYS.map((weekday) => lineOf(weekday, byWeekday[weekday]));
  return `${[
    `${deployment}, an ordinary week of the last ${days} days, in ${timeZone}: ${requestsPerHour} in an hour.`,
    '',
    plotOf(week),
    '',
    `The downtime window is ${isQuiet ? '' : 'not '}quiet.`,
    table(
      ['window', 'from', 'to', 'in an hour'],
      [lineOf('configured', configured), lineOf('quietest', quietest), ...rows],
    ),
    ...(isQuiet
      ? []
      : [
          '',
          'The quietest one, as it stands in the configuration; the times of the jobs must lie in it:',
          `  window: { from: '${quietest.from}', to: '${quietest.to}' },`,
        ]),
  ].join('\n')}\n`;
}

function lineOf(name: string, { from, to, requestsPerHour }: WindowTraffic): string[] {
  return [name, from, to, String(requestsPerHour)];
}
