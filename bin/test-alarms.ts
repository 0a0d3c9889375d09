import { setTimeout } from 'node:timers/promises';
import {
  CloudWatchClient,
  DescribeAlarmHistoryCommand,
  type MetricAlarm,
  SetAlarmStateCommand,
  type StateValue,
} from '@aws-sdk/client-cloudwatch';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { paginateListSubscriptionsByTopic, SNSClient } from '@aws-sdk/client-sns';
import { Command } from 'commander';
import PQueue from 'p-queue';
import { isOnlyShown } from '../functions/shared/run/only-shown.ts';
import { alarmsOf, deploymentNamed } from './deployments.ts';
import { alarmText, EXIT_CODES, EXIT_CODES_HELP, giveUp, helpText, isAgreed, okText } from './output.ts';

/** CloudWatch acts "often within seconds"; after so long its history is taken to have it, or never to. */
const LOOKS = 20;
const LOOK_MS = 1_000;
/** SetAlarmState may be asked three times a second, DescribeAlarmHistory twenty times (CloudWatch's quotas). */
const AT_ONCE = 2;
const REASON = 'A trial: wa-upkeep test-alarms has it ring once. Nothing is wrong.';

interface Options {
  only?: string;
  yes?: true;
  json?: true;
  region?: string;
}

interface Clients {
  cloudWatch: CloudWatchClient;
  sns: SNSClient;
}

/** Whom a topic sends to. */
interface Subscriber {
  protocol: string;
  endpoint: string;
  confirmed: boolean;
}

/** What came of one alarm's trial. */
interface Trial {
  alarm: string;
  outcome: 'told' | 'rings already' | 'no action' | 'nobody is told' | 'not sent' | 'not known';
  /** To whom its messages went. */
  to: Pick<Subscriber, 'protocol' | 'endpoint'>[];
  /** What AWS said, where an action failed. */
  why?: string;
}

/** `wa-upkeep test-alarms`: has each alarm of a deployment ring once, and says what arrived where. */
export function testAlarmsCommand(): Command {
  return new Command('test-alarms')
    .summary('ring each alarm once, and say what arrived where')
    .description(
      'Has each alarm of a deployment ring once, as if what it watches for had come, looks in its history whether its actions were ' +
        'carried out, and puts it back. Whoever gets the alarms gets one message for each; those that are only shown are left out.',
    )
    .argument('<deployment>')
    .option('--only <text>', 'those whose names contain it')
    .option('--yes', 'without asking')
    .option('--json', 'what came of each, as JSON')
    .option('--region <name>', 'default: that of the environment')
    .addHelpText(
      'after',
      helpText(`
Examples:
  wa-upkeep test-alarms shop
  wa-upkeep test-alarms shop --only message-gc-failed --yes

One that rings already is left alone. SNS does not say whether a mail was read: count them.
${EXIT_CODES_HELP}`),
    )
    .action(async (deployment: string, { only = '', yes, json, region }: Options) => {
      try {
        if (!yes && !process.stdin.isTTY)
          throw new Error('There is no terminal to ask on: say --yes, and each alarm rings.');
        const where = { ...(region && { region }) };
        const lambda = new LambdaClient(where);
        const clients = { cloudWatch: new CloudWatchClient(where), sns: new SNSClient(where) };
        await deploymentNamed(lambda, deployment);
        const alarms = (await alarmsOf(lambda, clients.cloudWatch, deployment)).filter(
          ({ AlarmName: name = '', AlarmDescription: description }) =>
            name.includes(only) && !isOnlyShown(description),
        );
        if (alarms.length === 0)
          throw new Error(`${deployment} has no alarm${only ? ` whose name contains ${only}` : ''}.`);
        const subscribers = await subscribersOf(clients.sns, alarms);
        if (!yes && !(await mayRing(deployment, alarms, subscribers))) return;
        const queue = new PQueue({ concurrency: AT_ONCE });
        const trials = await queue.addAll(alarms.map((alarm) => () => tried(clients, alarm, subscribers)));
        process.stdout.write(json ? `${JSON.stringify(trials, undefined, 2)}\n` : textOf(deployment, trials));
        if (trials.some(({ outcome }) => outcome !== 'told' && outcome !== 'rings already'))
          process.exitCode = EXIT_CODES.problem;
      } catch (error) {
        giveUp(error);
      }
    });
}

/** By topic. */
async function subscribersOf(sns: SNSClient, alarms: MetricAlarm[]): Promise<Map<string, Subscriber[]>> {
  const found = new Map<string, Subscriber[]>();
  for (const TopicArn of new Set(alarms.flatMap(topicsOf))) {
    const of: Subscriber[] = [];
    // Of one that is not confirmed the ARN is a word, such as PendingConfirmation.
    for await (const { Subscriptions: page = [] } of paginateListSubscriptionsByTopic(
      { client: sns },
      { TopicArn },
    ))
      for (const { Protocol: protocol = '', Endpoint: endpoint = '', SubscriptionArn: arn } of page)
        of.push({ protocol, endpoint, confirmed: arn?.startsWith('arn:') === true });
    found.set(TopicArn, of);
  }
  return found;
}

function topicsOf({ AlarmActions: actions = [] }: MetricAlarm): string[] {
  return actions.filter((arn) => arn.split(':')[2] === 'sns');
}

async function mayRing(
  deployment: string,
  alarms: MetricAlarm[],
  subscribers: Map<string, Subscriber[]>,
): Promise<boolean> {
  const endpoints = new Set(
    [...subscribers.values()].flat().flatMap(({ confirmed, endpoint }) => (confirmed ? [endpoint] : [])),
  );
  const whom = endpoints.size > 0 ? [...endpoints].join(', ') : 'nobody, for no subscription is confirmed';
  return isAgreed(`${alarms.length} alarms of ${deployment} ring, each once. Told is ${whom}. Do this?`);
}

async function tried(
  { cloudWatch }: Clients,
  alarm: MetricAlarm,
  subscribers: Map<string, Subscriber[]>,
): Promise<Trial> {
  const {
    AlarmName: name = '',
    StateValue: before,
    StateReason: reason = '',
    ActionsEnabled: enabled,
  } = alarm;
  const actions = alarm.AlarmActions ?? [];
  if (before === 'ALARM') return { alarm: name, outcome: 'rings already', to: [] };
  if (actions.length === 0 || enabled === false) return { alarm: name, outcome: 'no action', to: [] };
  const since = await lastUpdate(cloudWatch, name);
  await setState(cloudWatch, name, 'ALARM', REASON);
  let carriedOut: Map<string, string | undefined>;
  try {
    carriedOut = await actionsSince(cloudWatch, name, since, actions.length);
  } finally {
    // One that keeps its state while data are missing would ring for ever.
    await setState(cloudWatch, name, before ?? 'INSUFFICIENT_DATA', reason);
  }
  const failure = [...carriedOut.values()].find((error) => error !== undefined);
  if (failure !== undefined) return { alarm: name, outcome: 'not sent', to: [], why: failure };
  const to = topicsOf(alarm)
    .filter((topic) => carriedOut.has(topic))
    .flatMap((topic) => subscribers.get(topic) ?? [])
    .flatMap(({ confirmed, protocol, endpoint }) => (confirmed ? [{ protocol, endpoint }] : []));
  if (carriedOut.size < actions.length) return { alarm: name, outcome: 'not known', to };
  return { alarm: name, outcome: to.length > 0 ? 'told' : 'nobody is told', to };
}

async function setState(
  cloudWatch: CloudWatchClient,
  AlarmName: string,
  StateValue: StateValue,
  StateReason: string,
): Promise<void> {
  await cloudWatch.send(new SetAlarmStateCommand({ AlarmName, StateValue, StateReason }));
}

/** When CloudWatch last had something to say of an alarm, by its own clock. */
async function lastUpdate(cloudWatch: CloudWatchClient, AlarmName: string): Promise<number> {
  const { AlarmHistoryItems: items = [] } = await cloudWatch.send(
    new DescribeAlarmHistoryCommand({ AlarmName, ScanBy: 'TimestampDescending', MaxRecords: 1 }),
  );
  return items[0]?.Timestamp?.getTime() ?? 0;
}

/** The actions that were carried out since: by their ARNs, undefined or why one failed. */
async function actionsSince(
  cloudWatch: CloudWatchClient,
  AlarmName: string,
  since: number,
  wanted: number,
): Promise<Map<string, string | undefined>> {
  const found = new Map<string, string | undefined>();
  for (let look = 0; look < LOOKS && found.size < wanted; look++) {
    if (look > 0) await setTimeout(LOOK_MS);
    const { AlarmHistoryItems: items = [] } = await cloudWatch.send(
      new DescribeAlarmHistoryCommand({
        AlarmName,
        HistoryItemType: 'Action',
        ScanBy: 'TimestampDescending',
      }),
    );
    for (const { Timestamp: at, HistoryData: data = '{}', HistorySummary: summary = '' } of items) {
      if ((at?.getTime() ?? 0) <= since) continue;
      const { actionState, notificationResource, error } = JSON.parse(data) as Partial<
        Record<string, string>
      >;
      if (notificationResource === undefined) continue;
      found.set(notificationResource, actionState === 'Failed' ? (error ?? summary) : undefined);
    }
  }
  return found;
}

function textOf(deployment: string, trials: Trial[]): string {
  const lines = trials.map(({ alarm, outcome, to, why }) => {
    const good = outcome === 'told' || outcome === 'rings already';
    const shown = good ? okText(outcome) : alarmText(outcome);
    const rest = why ?? to.map(({ protocol, endpoint }) => `${protocol} ${endpoint}`).join(', ');
    return `${alarm}: ${shown}${rest ? `: ${rest}` : ''}`;
  });
  const counts = new Map<string, number>();
  for (const { to } of trials)
    for (const { endpoint } of to) counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1);
  if (counts.size > 0) lines.push('', `SNS took what follows. Whether it came, only who gets it can say:`);
  for (const [endpoint, count] of counts)
    lines.push(
      `  ${endpoint}: ${count === 1 ? '1 message, with a subject' : `${count} messages, with subjects`} such as ALARM: "${deployment}-…"`,
    );
  return `${lines.join('\n')}\n`;
}
