import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { Command, InvalidArgumentError, Option } from 'commander';
import {
  hoursOf,
  ordinaryWeek,
  type QuietHours,
  quietHours,
  TooFewDays,
  type Week,
  type WindowTraffic,
} from '../functions/shared/run/quiet-hours.ts';
import {
  databaseTraffic,
  loadBalancerTraffic,
  silenceOf,
  type TrafficMetric,
  trafficOf,
} from '../functions/shared/run/traffic.ts';
import { callbacksTraffic } from '../functions/shared/whatsapp/callbacks-traffic.ts';
import { WEEKDAYS } from '../lib/local-time.ts';
import { awsTime, deploymentNamed } from './deployments.ts';
import { EXIT_CODES, EXIT_CODES_HELP, giveUp, helpText, table } from './output.ts';

const WEEK = 7 * 24 * 3600 * 1000;
const DEFAULT_WEEKS = 4;
/** CloudWatch keeps periods of fifteen minutes for 63 days. */
const MOST_WEEKS = 9;

interface Options {
  loadBalancer?: TrafficMetric;
  database?: TrafficMetric;
  weeks: number;
  json?: true;
  region?: string;
}

/** `wa-upkeep window`: the quietest hours of the last weeks, and whether the downtime window lies in them. */
export function windowCommand(): Command {
  return new Command('window')
    .summary('is the downtime window quiet, and which would be?')
    .description(
      'Counts what came in the last weeks, by weekday and hour, says whether the downtime window is quiet, and which would be the ' +
        'quietest one of its length, as a line of the configuration. It changes nothing.',
    )
    .argument('<deployment>')
    .option(
      '--load-balancer <name>',
      "of the load balancer before WebApp: its ARN, or its end, such as app/shop/0123456789abcdef; default: the callbacks on the deployment's bus",
      loadBalancerMetric,
    )
    .addOption(
      new Option(
        '--database <identifier>',
        'of the DB instance of RDS that the client writes to: by the kilobytes that it is sent',
      )
        .argParser(databaseTraffic)
        .conflicts('loadBalancer'),
    )
    .option('--weeks <number>', 'how many weeks to count', weeks, DEFAULT_WEEKS)
    .option('--json', 'what was found, as JSON')
    .option('--region <name>', 'default: that of the environment')
    .addHelpText(
      'after',
      helpText(`
Examples:
  wa-upkeep window shop
  wa-upkeep window shop --load-balancer net/shop/0123456789abcdef --weeks 8
  wa-upkeep window shop --database whatsapp-shop

A problem is a window that is not quiet. An application load balancer counts requests, a network load balancer connections,
a database the kilobytes that it is sent.
${EXIT_CODES_HELP}`),
    )
    .action(async (deployment: string, { loadBalancer, database, weeks, json, region }: Options) => {
      try {
        const where = { ...(region && { region }) };
        const lambda = new LambdaClient(where);
        const { window, timeZone } = await deploymentNamed(lambda, deployment);
        const to = awsTime(lambda).getTime();
        const span = { from: to - weeks * WEEK, to };
        const named = loadBalancer ?? database;
        const metrics = named ? [named] : ownTraffic(deployment);
        const known = await ordinaryWeekBy(new CloudWatchClient(where), metrics, span, timeZone);
        if (!known) throw new Error(nothingKnown(metrics, weeks, named !== undefined));
        const { metric, week, days } = known;
        const found = quietHours(week, days, window);
        if (json)
          process.stdout.write(
            `${JSON.stringify({ deployment, timeZone, counted: nameOf(metric), ...found })}\n`,
          );
        else process.stdout.write(textOf(deployment, timeZone, metric, week, found));
        if (!found.isQuiet) process.exitCode = EXIT_CODES.problem;
      } catch (error) {
        giveUp(error);
      }
    });
}

/** By the callbacks on the bus; where EventBridge knows no week of them yet, by the queue that has each inbound message put into it. */
function ownTraffic(deployment: string): TrafficMetric[] {
  return [
    callbacksTraffic(deployment),
    {
      namespace: 'AWS/SQS',
      metricName: 'NumberOfMessagesSent',
      dimensions: { QueueName: `${deployment}-unread-messages` },
    },
  ];
}

/** Of the first one that knows a week; undefined if none knows anything. */
async function ordinaryWeekBy(
  client: CloudWatchClient,
  metrics: TrafficMetric[],
  span: { from: number; to: number },
  timeZone: string,
): Promise<{ metric: TrafficMetric; week: Week; days: number } | undefined> {
  let tooFew: Error | undefined;
  for (const metric of metrics) {
    const counted = await trafficOf(client, metric, span);
    if (counted.length === 0) continue;
    try {
      return { metric, ...ordinaryWeek(counted, span, timeZone, silenceOf(metric)) };
    } catch (error) {
      if (!(error instanceof TooFewDays)) throw error;
      tooFew ??= new Error(`Of ${nameOf(metric)}: ${error.message}`);
    }
  }
  if (tooFew) throw tooFew;
  return undefined;
}

function loadBalancerMetric(text: string): TrafficMetric {
  const [, name] = /(?:^|:loadbalancer\/)((?:app|net)\/[\w-]+\/[0-9a-f]{16})$/.exec(text) ?? [];
  if (name === undefined)
    throw new InvalidArgumentError(
      'It must be the ARN of an application or network load balancer, or its end, such as app/shop/0123456789abcdef.',
    );
  return loadBalancerTraffic(name);
}

function nothingKnown(metrics: TrafficMetric[], weeks: number, isNamed: boolean): string {
  const next = isNamed
    ? 'Is it of this account and region, and did anything come by it?'
    : "Callbacks are counted since the deployment's stack has a rule for it, and where the webhook puts them on the bus: otherwise name the load balancer (--load-balancer) or the database (--database).";
  return `CloudWatch knows no ${metrics.map(nameOf).join(', and no ')} in the last ${weeks} weeks. ${next}`;
}

function nameOf({ metricName, dimensions }: TrafficMetric): string {
  return `${metricName} of ${Object.values(dimensions)[0]}`;
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

function textOf(
  deployment: string,
  timeZone: string,
  metric: TrafficMetric,
  week: Week,
  found: QuietHours,
): string {
  const { configured, quietest, byWeekday, isQuiet, days, requestsPerHour } = found;
  const rows = WEEKDAYS.map((weekday) => lineOf(weekday, byWeekday[weekday]));
  return `${[
    `${deployment}, an ordinary week of the last ${days} days, in ${timeZone}: ${requestsPerHour}${metric.unit ? ' kilobytes' : ''} in an hour, by ${nameOf(metric)}.`,
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
