/**
 * A cold start: a bundle's import and all that its handler makes at once, in a fresh process, against a bare function that imports
 * and makes only the same AWS clients, bundled alike. In the process's own CPU time, so that others' load counts little; the two in
 * turn.
 *
 * The clients are those that are loaded at the start; what a run loads only when it needs it (drivers, ways into containers) is
 * not in it on either side.
 *
 *     node bench/cold-start.ts [ROUNDS]
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Metafile } from 'esbuild';
import { entryFile } from '../lib/entry-file.ts';
import { bundle, keepBundlesIn } from '../lib/function-bundle.ts';
import { BUNDLE_KINDS, nameOf, purposeOf } from './bundle-kinds.ts';
import { IS_SHORT, median, tell } from './figures.ts';
import { FUNCTION_ENVIRONMENT, inTurn } from './in-turn.ts';

const ROUNDS = Number(process.argv[2] ?? (IS_SHORT ? 7 : 15));
const GOAL = 1.25;

/** Of every function that reads its settings when it is loaded; each takes what it knows. */
const SETTINGS = {
  deployment: 'bench',
  timeZone: 'Europe/Berlin',
  window: { from: '01:00', to: '05:00' },
  ledgerPath: '/bench',
  jobs: {},
  secretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:bench-a1B2c3',
  database: { engine: 'postgres', host: 'database', port: 5432, certificateAuthority: 'rds' },
  strategy: { kind: 'alternating-users' },
  secretPathHashes: ['0'.repeat(64)],
  webhookUrl: 'https://webhook.example/',
  webhookTimeoutMilliseconds: 10_000,
  busTimeoutMilliseconds: 2_000,
  maximumBytes: 5_000_000,
  bus: 'callbacks',
};

/** Of those whose settings have the same names for something else. */
const SETTINGS_OF: Record<string, object> = {
  'report-lost-run': { jobs: [], queues: 'https://sqs.eu-central-1.amazonaws.com/123456789012' },
};

const MEASURE = `
  const file = process.argv[1];
  const before = process.cpuUsage();
  const begun = performance.now();
  const { handler } = await import(file);
  const milliseconds = performance.now() - begun;
  const { user, system } = process.cpuUsage(before);
  if (typeof handler !== 'function') throw new Error('No handler in ' + file);
  console.log(JSON.stringify({ cpu: (user + system) / 1000, milliseconds }));
`;

interface Cost {
  /** Milliseconds of all the process's threads. */
  cpu: number;
  /** By the clock. */
  milliseconds: number;
}

if (process.env.BUNDLES) keepBundlesIn(process.env.BUNDLES);
const work = resolve('.cache/bench-cold-start');
rmSync(work, { recursive: true, force: true });
try {
  for (const kind of BUNDLE_KINDS) {
    const name = nameOf(kind);
    const folder = join(work, name.replaceAll(/\W+/g, '-'));
    const own = bundle(entryFile(kind.functionName), purposeOf(kind));
    const clients = clientsAtStart(own.metafile);
    const bareEntry = join(folder, 'bare/handler.ts');
    mkdirSync(join(folder, 'bare'), { recursive: true });
    writeFileSync(bareEntry, bareFunction(clients));
    const bare = bundle(bareEntry, { ...purposeOf(kind), isOwn: true });
    const costs = await inTurn({ own, bare }, folder, ROUNDS, (url) => start(url, kind.functionName));
    const cpu = (way: keyof typeof costs) => median(costs[way].map((cost) => cost.cpu));
    const value = cpu('own') / cpu('bare');
    console.log(
      `${name.padEnd(60)} ${cpu('own').toFixed(1)} ms of CPU, bare ${cpu('bare').toFixed(1)} (${clients.length} clients): ${value.toFixed(2)} times`,
    );
    const rival = `a bare function with its ${clients.length} AWS clients`;
    tell({ bench: 'cold-start', what: name, rival, value, goal: { atMost: GOAL } });
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** The AWS clients that are among what is loaded with the entry, by their packages. */
function clientsAtStart({ outputs }: Metafile): string[] {
  const [entry] =
    Object.entries(outputs).find(([, { entryPoint }]) => entryPoint?.endsWith('handler.ts')) ?? [];
  const reached = new Set<string>();
  const follow = (path: string) => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const { path: next, kind } of outputs[path]?.imports ?? [])
      if (kind === 'import-statement' && outputs[next]) follow(next);
  };
  if (entry) follow(entry);
  const inputs = [...reached].flatMap((path) => Object.entries(outputs[path]?.inputs ?? {}));
  const clients = inputs.flatMap(([input, { bytesInOutput }]) =>
    bytesInOutput > 0
      ? (/node_modules\/(@aws-sdk\/client-[^/]+)\/dist-es\/\w+Client\.js$/.exec(input)?.[1] ?? [])
      : [],
  );
  return [...new Set(clients)].sort();
}

function bareFunction(clients: string[]): string {
  const lines = clients.flatMap((client, index) => [
    `import { ${clientClass(client)} as Client${index} } from '${client}';`,
    `export const client${index} = new Client${index}({});`,
  ]);
  return `${lines.join('\n')}\nexport const handler = async () => {};\n`;
}

/** `SecretsManagerClient` of `@aws-sdk/client-secrets-manager`. */
function clientClass(client: string): string {
  const known: Record<string, string> = {
    '@aws-sdk/client-cloudwatch': 'CloudWatchClient',
    '@aws-sdk/client-cloudwatch-logs': 'CloudWatchLogsClient',
    '@aws-sdk/client-ecs': 'ECSClient',
    '@aws-sdk/client-eventbridge': 'EventBridgeClient',
    '@aws-sdk/client-kms': 'KMSClient',
    '@aws-sdk/client-sns': 'SNSClient',
    '@aws-sdk/client-sqs': 'SQSClient',
    '@aws-sdk/client-ssm': 'SSMClient',
    '@aws-sdk/client-secrets-manager': 'SecretsManagerClient',
    '@aws-sdk/client-backup': 'BackupClient',
    '@aws-sdk/client-lambda': 'LambdaClient',
  };
  const name = known[client];
  if (name === undefined) throw new Error(`The name of the client class of ${client} is not known here.`);
  return name;
}

function start(url: string, functionName: string): Cost {
  const told = execFileSync(
    process.execPath,
    ['--enable-source-maps', '--input-type=module', '--eval', MEASURE, url],
    {
      encoding: 'utf8',
      env: {
        ...FUNCTION_ENVIRONMENT,
        UPKEEP_SETTINGS: JSON.stringify({ ...SETTINGS, ...SETTINGS_OF[functionName] }),
      },
    },
  );
  return JSON.parse(told.trim().split('\n').at(-1) ?? '{}');
}
