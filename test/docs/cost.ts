/** docs/cost.md: what a deployment's upkeep costs in a month, by what it asks of AWS and what AWS's list says: `npm run docs`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { defineShop } from '../../rehearsal/shop/stack.ts';
import { appWithoutBundles } from '../lib/template.ts';
import { type Deployed, type Release, release, stackOf } from '../lib/upgrades/released.ts';
import { PRICES } from './prices.ts';
import { CPU_SECONDS, RUN_CALLS, WINDOW_METRICS } from './run-calls.ts';

const PAGE = 'docs/cost.md';
const NIGHTS = 30;
const WEEKLY = ['media-gc', 'application-settings'];
const HOURS = 730;
/** Of all jobs' functions but that of many containers. */
const MEMORY_GIGABYTES = 0.5;
/** "At 1,769 MB, a function has the equivalent of one vCPU" (Lambda's developer guide), and of less the share. */
const VCPUS = (MEMORY_GIGABYTES * 1024) / 1769;
/** Assumed: nobody measured it. Seconds that AWS takes to answer a call, for which the function waits and is paid. */
const SECONDS_OF_AN_ANSWER = 0.05;
/** Assumed: seconds in which a function stays with so many containers that clean up at once. Other waiting costs nothing. */
const [SECONDS_IN_CONTAINERS, CONTAINERS_AT_ONCE] = [30, 20];
/** Requests to WebApp in a second, the default: a customer's messages take one. */
const MARKED_EACH_SECOND = 10;
const KILOBYTES_LOGGED_BY_A_RUN = 20;

/** A deployment, as far as its costs go by it. */
interface Size {
  title: string;
  what: string;
  /** Of the sample's. */
  deployment: 'latam' | 'emea';
  containers: number;
  /** Of them, those that a roll replaces one by one. */
  oneByOne: number;
  services: number;
  /** Inbound messages of a night that are to be marked read, and of how many customers. */
  messages: number;
  customers: number;
  /** Days from one rotation to the next; 0 where nothing is rotated. */
  rotatesEachDays: number;
}

const SIZES: Size[] = [
  {
    title: 'single instance',
    what: "the sample's `latam`: message-gc that marks 1,000 messages a night read, log-cleanup of 2 containers, a dashboard",
    deployment: 'latam',
    containers: 2,
    oneByOne: 0,
    services: 2,
    messages: 1_000,
    customers: 400,
    rotatesEachDays: 0,
  },
  {
    title: 'cluster',
    what: "the sample's `emea`: every job, 38 containers of three services rotated monthly, media volume, key and interface endpoints of its own, a dashboard",
    deployment: 'emea',
    containers: 38,
    oneByOne: 33,
    services: 3,
    messages: 0,
    customers: 0,
    rotatesEachDays: 30,
  },
  {
    title: 'large cluster',
    what: 'the same with 200 containers, and 100,000 messages a night of 20,000 customers that are marked read',
    deployment: 'emea',
    containers: 200,
    oneByOne: 190,
    services: 3,
    messages: 100_000,
    customers: 20_000,
    rotatesEachDays: 30,
  },
];

/** Seconds that the functions of a run work, together. */
function secondsOf(calls: number, invocations = 1): number {
  const cpu = invocations * CPU_SECONDS.start + calls * CPU_SECONDS.call;
  return cpu / VCPUS + calls * SECONDS_OF_AN_ANSWER;
}

interface Line {
  what: string;
  amount: string;
  dollars: number;
}

/** What one deployment of the sample, made as large as that, costs in a month. */
function linesOf(released: Release, size: Size): Line[] {
  const stacks = Object.entries(released).filter(([stack]) => stack.startsWith(`upkeep-${size.deployment}`));
  const resources = stacks.flatMap(([, all]) => Object.values(all));
  const of = (type: string): Deployed[] => resources.filter((resource) => resource.type === type);
  const units = (type: string) => of(type).reduce((sum, { units = 1 }) => sum + units, 0);
  const jobs = of('AWS::Scheduler::Schedule').flatMap(({ name = '' }) =>
    name.slice(size.deployment.length + 1),
  );
  const client = { ...size, collections: 1 };
  const rotations = size.rotatesEachDays > 0 ? NIGHTS / size.rotatesEachDays : 0;
  const runs = jobs.flatMap((job) => {
    const nights = WEEKLY.includes(job) ? NIGHTS / 7 : NIGHTS;
    const rotating = job === 'credential-rotation' ? rotations : 0;
    return [
      { calls: RUN_CALLS[job], times: nights - rotating },
      { calls: RUN_CALLS[`${job} that rotates`], times: rotating },
    ];
  });
  const total = (what: 'calls' | 'operations' | 'invocations') =>
    runs.reduce((sum, { calls, times }) => sum + (calls?.[what](client) ?? 0) * times, 0);
  const begun = runs.reduce((sum, { times }) => sum + times, 0);
  const invocations = total('invocations') + begun;
  const starts = RUN_CALLS['start-run']?.calls(client) ?? 0;
  const stays = jobs.includes('log-cleanup')
    ? NIGHTS * Math.ceil(size.containers / CONTAINERS_AT_ONCE) * SECONDS_IN_CONTAINERS
    : 0;
  const work = secondsOf(total('calls') + starts * begun, invocations) + stays;
  const metrics = jobs.reduce((sum, job) => sum + metricsOf(job, size), 0);
  const isEncrypted = stacks.some(([stack]) => !stack.endsWith('-media')) && of('AWS::KMS::Key').length > 0;
  const marking = (size.customers / MARKED_EACH_SECOND) * NIGHTS;
  const inbound = size.messages * NIGHTS;
  // Of an inbound message an event; of ten a receive and a deletion.
  const queueRequests = (2 * inbound) / 10 + 10 * NIGHTS;
  const secrets =
    (jobs.includes('credential-rotation') ? 4 : jobs.includes('database-size') ? 2 : 1) +
    (jobs.includes('application-settings') ? 1 : 0);
  const lines: [string, string, number][] = [
    [
      'alarms',
      `${units('AWS::CloudWatch::Alarm')} metrics in ${of('AWS::CloudWatch::Alarm').length} alarms`,
      units('AWS::CloudWatch::Alarm') * PRICES.alarm.dollars,
    ],
    ['custom metrics', `${metrics}, as if used all month`, metrics * PRICES.metric.dollars],
    [
      'dashboard',
      `${of('AWS::CloudWatch::Dashboard').length}, with ${units('AWS::CloudWatch::Dashboard')} metrics`,
      of('AWS::CloudWatch::Dashboard').length * PRICES.dashboard.dollars,
    ],
    [
      'interface endpoints',
      `${of('AWS::EC2::VPCEndpoint').length}, in ${units('AWS::EC2::VPCEndpoint')} zones together`,
      units('AWS::EC2::VPCEndpoint') * HOURS * PRICES.endpoint.dollars,
    ],
    [
      'Lambda',
      `${whole(invocations)} invocations, ${whole(begun)} runs that work for ${whole(work / 60)} minutes together${marking > 0 ? `, ${whole(marking / 60)} minutes of marking read` : ''}`,
      (invocations / 1e6) * PRICES.request.dollars +
        (work + marking) * MEMORY_GIGABYTES * PRICES.compute.dollars,
    ],
    [
      'durable operations',
      whole(total('operations')),
      (total('operations') / 1e6) * PRICES.operation.dollars,
    ],
    [
      'Secrets Manager',
      `${secrets} secrets, ${whole(begun * 5)} calls`,
      secrets * PRICES.secret.dollars + ((begun * 5) / 1e4) * PRICES.secretCall.dollars,
    ],
    [
      'KMS',
      isEncrypted ? `${of('AWS::KMS::Key').length} keys, ${whole(total('calls'))} uses` : 'none',
      isEncrypted
        ? of('AWS::KMS::Key').length * PRICES.key.dollars + (total('calls') / 1e4) * PRICES.keyUse.dollars
        : 0,
    ],
    ['SQS', `${whole(queueRequests)} requests`, (queueRequests / 1e6) * PRICES.queue.dollars],
    [
      'EventBridge',
      `${whole(inbound + 3 * begun)} events`,
      ((inbound + 3 * begun) / 1e6) * PRICES.event.dollars,
    ],
    [
      'CloudWatch Logs',
      `${((begun * KILOBYTES_LOGGED_BY_A_RUN) / 1e6).toFixed(3)} GB`,
      ((begun * KILOBYTES_LOGGED_BY_A_RUN) / 1e6) * PRICES.logs.dollars,
    ],
  ];
  return lines.map(([what, amount, dollars]) => ({ what, amount, dollars }));
}

/** Of each job's runs and figures, as the README has them for the sample's deployments. */
function metricsOf(job: string, { deployment, services, messages }: Size): number {
  const isCluster = deployment === 'emea';
  const marks = messages > 0 ? 10 : 0;
  const metrics: Record<string, number> = {
    'message-gc': 13 + marks + (isCluster ? 5 : 0),
    'media-gc': 10,
    'log-cleanup': 12 + 3 * services + (isCluster ? 4 : 0),
    'database-size': 21,
    'application-settings': 9,
    'credential-rotation': 12 + services,
  };
  return metrics[job] ?? 0;
}

/** Of a run for two services. */
function callsOf(job: string): number {
  const client = { containers: 0, services: 2, oneByOne: 0, collections: 1 };
  return RUN_CALLS[job]?.calls(client) ?? 0;
}

function whole(number: number): string {
  return Math.round(number).toLocaleString('en');
}

function money(dollars: number): string {
  return dollars > 0 && dollars < 0.01 ? 'below 0.01' : dollars.toFixed(2);
}

/** A part that none of the deployments above has, or that depends on what nobody knows of them. */
interface Part {
  what: string;
  amount: string;
  dollars: number;
}

/** As if each container had so many rotated logs a night, each so large; both depend on traffic. */
const LOGS = { files: 24, megabytes: 1, keepDays: 180, containers: 38 };

function parts(released: Release): Part[] {
  const alarms = Object.entries({
    ...stackOf(defineShop(appWithoutBundles(), 'rds')),
    ...released['upkeep-emea'],
  }).filter(([, { type }]) => type === 'AWS::CloudWatch::Alarm');
  const part = (
    what: string,
    of: RegExp,
    { metrics, secrets = 0, runs = 0, seconds = 0, note = '' }: PartAmounts,
  ): Part => {
    const its = alarms.filter(([id]) => of.test(id)).map(([, { units = 1 }]) => units);
    const looked = its.reduce((sum, units) => sum + units, 0);
    const amounts = [
      `${looked} metrics in ${its.length} alarms`,
      `${metrics} custom metrics`,
      ...(secrets > 0 ? [`${secrets} secrets`] : []),
      ...(runs > 0 ? [`${whole(runs)} runs that work for ${whole(runs * seconds)} seconds together`] : []),
      note,
    ];
    return {
      what,
      amount: amounts.filter((each) => each !== '').join(', '),
      dollars:
        looked * PRICES.alarm.dollars +
        metrics * PRICES.metric.dollars +
        secrets * PRICES.secret.dollars +
        runs * seconds * MEMORY_GIGABYTES * PRICES.compute.dollars,
    };
  };
  const files = LOGS.files * LOGS.containers * NIGHTS;
  const gigabytes = (LOGS.files * LOGS.containers * LOGS.megabytes * LOGS.keepDays) / 1000;
  return [
    part('a further password of the same roll (`others` of `CredentialRotation`)', /^PasswordsOther/, {
      metrics: 2,
      secrets: 2,
      note: "the secret and its administrator's",
    }),
    part('a `ReloadOnChange` that watches two things', /^Reload/, {
      metrics: 7 + 4 + 2,
      runs: NIGHTS,
      seconds: secondsOf(callsOf('reload-on-change') + callsOf('start-run'), 2),
    }),
    part('a `ContainerCommandJob`, in every container or in one', /^CloseCarts/, {
      metrics: 6 + 5,
      runs: NIGHTS,
      seconds: secondsOf(callsOf('run-in-containers') + callsOf('start-run'), 2),
    }),
    part("a `ContainerCommandJob` with `in: 'new-task'`", /^Reindex/, {
      metrics: 6 + 6,
      runs: NIGHTS,
      seconds: secondsOf(callsOf('run-in-new-task') + callsOf('start-run'), 6),
      note: 'and the task itself as long as it runs',
    }),
    part('application-settings, weekly, which the cluster has', /^ApplicationSettings/, {
      metrics: 6 + 3,
      secrets: 1,
      runs: NIGHTS / 7,
      seconds: secondsOf(callsOf('application-settings') + callsOf('start-run'), 2),
      note: "the administrator's secret",
    }),
    {
      what: 'rotated logs kept in S3 (`archive` of log-cleanup), of the cluster',
      amount: `${whole(files)} files put, ${whole(gigabytes)} GB, as if each of ${LOGS.containers} containers had ${LOGS.files} of ${LOGS.megabytes} MB a night, kept for ${LOGS.keepDays} days`,
      dollars: (files / 1000) * PRICES.put.dollars + gigabytes * PRICES.stored.dollars,
    },
    {
      what: 'the window watched once a week (`watchWindow` of message-gc), which the single instance has',
      amount: '1 metrics in 1 alarms, 3 custom metrics, 5 metrics asked for at most',
      dollars: PRICES.alarm.dollars + 3 * PRICES.metric.dollars + (5 / 1000) * PRICES.metricData.dollars,
    },
    {
      what: '`wa-upkeep window`, each time that somebody asks',
      amount: `${WINDOW_METRICS} metrics asked for at most`,
      dollars: (WINDOW_METRICS / 1000) * PRICES.metricData.dollars,
    },
  ];
}

interface PartAmounts {
  metrics: number;
  secrets?: number;
  runs?: number;
  /** That each of them works, and start-run before it. */
  seconds?: number;
  note?: string;
}

/** The part of the page that is computed. */
function costs(released: Release): string {
  const sizes = SIZES.map((size) => ({ ...size, lines: linesOf(released, size) }));
  const [first] = sizes;
  const row = (cells: string[]) => `| ${cells.join(' | ')} |`;
  const table = [
    row(['', ...sizes.map(({ title }) => title)]),
    row(['---', ...sizes.map(() => '---:')]),
    ...(first?.lines ?? []).map(({ what }, index) =>
      row([what, ...sizes.map(({ lines }) => money(lines[index]?.dollars ?? 0))]),
    ),
    row([
      '**a month**',
      ...sizes.map(({ lines }) => `**${money(lines.reduce((sum, { dollars }) => sum + dollars, 0))}**`),
    ]),
  ];
  const amounts = [
    row(['', ...sizes.map(({ title }) => title)]),
    row(['---', ...sizes.map(() => '---')]),
    ...(first?.lines ?? []).map(({ what }, index) =>
      row([what, ...sizes.map(({ lines }) => lines[index]?.amount ?? '')]),
    ),
  ];
  const prices = [
    row(['US dollars', 'for', 'from']),
    row(['---:', '---', '---']),
    ...Object.values(PRICES).map(({ dollars, unit, source }) => row([String(dollars), unit, source])),
  ];
  const calls = [
    row(['a run of', 'requests to AWS, at most', 'durable operations, at most']),
    row(['---', '---', '---']),
    ...Object.entries(RUN_CALLS).map(([job, { text }]) => row([job, text.calls, text.operations])),
  ];
  return [
    ...sizes.map(({ title, what }) => `- **${title}**: ${what}.`),
    '',
    ...table,
    '',
    'Of how much:',
    '',
    ...amounts,
    '',
    'Besides, for each:',
    '',
    row(['', 'of how much', 'a month']),
    row(['---', '---', '---:']),
    ...parts(released).map(({ what, amount, dollars }) => row([what, amount, money(dollars)])),
    '',
    '## The prices',
    '',
    ...prices,
    '',
    '## The calls',
    '',
    ...calls,
  ].join('\n');
}

const MARKS = /(?<=<!-- computed -->\n)[\s\S]*(?=<!-- end of computed -->)/;

/** The page with what is computed put in. */
export function costPage(page: string, released: Release): string {
  return page.replace(MARKS, () => `\n${costs(released)}\n\n`);
}

if (import.meta.main) writeFileSync(PAGE, costPage(readFileSync(PAGE, 'utf8'), release()));
