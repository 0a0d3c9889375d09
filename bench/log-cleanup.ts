/**
 * The log clean-up of 38 containers, as the job does it and as a shell script would: one container after the other. All
 * through ECS Exec, with an agent that is as slow as the real one, against real processes.
 *
 * The loops: our own client's executeCommand; what AWS's plugin does and no more (one session after the other, a second until the agent
 * reads, the command's own time; the model of it for machines that have no plugin); where this machine has the plugin,
 * that itself; and where it has the AWS CLI too, `aws ecs execute-command`, as it is typed.
 *
 * The ideal: each role's containers, each as long as it was busy, in as many places at once as the rule allows that no
 * role is ever busy as a whole. The longest of the roles counts. The machine's cores are shared by all containers here: when
 * others use them too, the containers' own times grow, and with them the ideal.
 *
 *     node bench/log-cleanup.ts
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { ECSClient, ExecuteCommandCommand } from '@aws-sdk/client-ecs';
import { App, Stack } from 'aws-cdk-lib';
import Table from 'cli-table3';
import { cleanupScript } from '../functions/log-cleanup/cleanup-script.ts';
import { discoverContainers } from '../functions/shared/containers/discover-containers.ts';
import { concurrencyByRole } from '../functions/shared/containers/places.ts';
import { executeCommand } from '../functions/shared/ecs-exec/execute-command.ts';
import { ecsExecClients, openChannel } from '../functions/shared/ecs-exec/session.ts';
import { quote } from '../functions/shared/ecs-exec/wrapper.ts';
import { Upkeep } from '../lib/index.ts';
import { simulatedClock } from '../rehearsal/aws/clock.ts';
import { type Aws, startAws } from '../rehearsal/aws/server.ts';
import { reportsOf } from '../rehearsal/run-reports.ts';
import { type ClientTasks, startClientTasks } from '../rehearsal/whatsapp/client-tasks.ts';
import { findPlugin, runPlugin } from '../test/functions/shared/ecs-exec/plugin.ts';
import { cleanClient, cleanedServices } from '../test/rehearsal/cleaned-client.ts';
import { IS_SHORT, tell } from './figures.ts';

const WHERE = { account: '123456789012', region: 'eu-central-1' };
/** In how many containers the job may be busy, its default: {@link concurrencyByRole} makes 2, 17 and 1 of it. */
const CONCURRENCY = 20;
const START = Date.parse('2027-01-11T00:00:00Z');
const ROLES = cleanedServices({ webapp: 3, coreapp: 33, master: 2 });
const SCRIPT = '/opt/whatsapp/bin/cleanup.sh';
const FOLDERS = {
  logs: ['/var/log/whatsapp', '/usr/local/waent/logs'],
  archive: '/var/log/whatsapp/archive',
  rotation: { maximumBytes: 20 * 1024 * 1024, keptFiles: 30 },
};

interface Result {
  seconds: number;
  cleaned: number;
  /** Seconds. */
  ideal?: number;
  calls: Record<string, number>;
}

async function main(): Promise<void> {
  const job = await withClient(byTheJob);
  const loops: Record<string, Result> = {
    'what the plugin does (model)': await withClient((aws) => oneAfterTheOther(aws, bySession)),
  };
  if (!IS_SHORT)
    loops["our client's executeCommand"] = await withClient((aws) => oneAfterTheOther(aws, byExecuteCommand));
  const plugin = IS_SHORT ? undefined : findPlugin();
  if (plugin !== undefined) {
    // It may be one that does not sign yet.
    const measure = (each: Way) => withClient((aws) => oneAfterTheOther(aws, each), 'allowed');
    loops["AWS's plugin"] = await measure(byPlugin(plugin));
    const { cleaned, ...cli } = await measure(byCli(plugin)).catch(() => ({
      cleaned: 0,
      seconds: 0,
      calls: {},
    }));
    if (cleaned > 0) loops['aws ecs execute-command'] = { cleaned, ...cli };
  }
  const table = new Table({
    head: [
      '',
      'seconds',
      'containers cleaned',
      'ExecuteCommand',
      'ListTasks',
      'DescribeTasks',
      'the job takes',
    ],
    style: { head: [], border: [] },
  });
  const row = (name: string, { seconds, cleaned, calls }: Result, ratio: string) =>
    table.push([
      name,
      seconds.toFixed(1),
      cleaned,
      ...['ExecuteCommand', 'ListTasks', 'DescribeTasks'].map((call) => calls[call] ?? 0),
      ratio,
    ]);
  row('the job', job, '');
  for (const [name, loop] of Object.entries(loops))
    row(`in a loop: ${name}`, loop, `1/${(loop.seconds / job.seconds).toFixed(1)} of it`);
  const { ideal = Number.NaN } = job;
  const about = { bench: 'log-cleanup', what: "the job's time for 38 containers" };
  tell({ ...about, rival: 'the ideal', value: job.seconds / ideal, goal: { atMost: 1.15 } });
  for (const [name, { seconds }] of Object.entries(loops))
    tell({ ...about, rival: `one by one: ${name}`, value: job.seconds / seconds, goal: { atMost: 0.1 } });
  console.log(table.toString());
  const most = Math.max(...Object.values(ROLES).map(({ tasks }) => tasks));
  console.log(
    `Ideal: ${ideal.toFixed(1)} s, each container's own time in the places that the settings allow. The job takes ${(job.seconds / ideal).toFixed(2)} times that (1.15 is the goal; less is better).`,
  );
  console.log(
    `Goal against the plugin in a loop: 1/10 or less. The ${most} containers of the largest role have ${placesOf().get('coreapp')} places.`,
  );
}

async function withClient(
  work: (aws: Aws, tasks: ClientTasks) => Promise<Omit<Result, 'calls'>>,
  unsignedOpenings: 'refused' | 'allowed' = 'refused',
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  const clock = simulatedClock(START, folder);
  const app = new App({ outdir: join(folder, 'cdk.out'), analyticsReporting: false });
  const stack = new Stack(app, 'bench', { env: WHERE });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'bench',
    timeZone: 'Europe/Berlin',
    window: { from: '01:00', to: '05:00' },
  });
  cleanClient(stack, upkeep, { schedule: { at: '03:00' }, concurrency: CONCURRENCY });
  const aws = await startAws({ cdkOut: app.synth().directory, clock, sessions: { unsignedOpenings } });
  const tasks = await startClientTasks({ aws, ...WHERE, cluster: 'client', folder, roles: ROLES });
  try {
    const calls: Record<string, number> = {};
    aws.onCall(({ operation }) => {
      calls[operation] = (calls[operation] ?? 0) + 1;
      return undefined;
    });
    return { ...(await work(aws, tasks)), calls };
  } finally {
    await tasks.close();
    await aws.close();
    clock.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In simulated time, which is real while work goes on, and jumps over the waits between. */
async function byTheJob(aws: Aws) {
  await aws.clock.runUntil(START + 4 * 60 * 60 * 1000);
  const [report] = reportsOf(aws);
  if (report?.outcome !== 'succeeded') throw new Error(`The run did not succeed: ${JSON.stringify(report)}`);
  return {
    seconds: (Date.parse(report.endedAt) - Date.parse(report.startedAt)) / 1000,
    cleaned: report.figures.containersCleaned ?? 0,
    ideal: idealSeconds(report.details?.containers),
  };
}

function idealSeconds(details: unknown): number {
  const busy = new Map<string, number>();
  for (const { role, seconds } of details as { role: string; seconds: number }[])
    busy.set(role, (busy.get(role) ?? 0) + seconds);
  const places = placesOf();
  return Math.max(...[...busy].map(([role, seconds]) => seconds / (places.get(role) ?? 1)));
}

function placesOf(): Map<string, number> {
  const containers = Object.entries(ROLES).flatMap(([role, { tasks }]) =>
    Array.from({ length: tasks }, () => ({ role })),
  );
  return concurrencyByRole(containers, CONCURRENCY);
}

/** A container, and what it takes to work in it. */
interface Place {
  aws: Aws;
  ecs: ECSClient;
  credentials: ReturnType<Aws['credentialsFor']>;
  cluster: string;
  task: string;
  container: string;
}

/** Cleans up in one container, and says whether it did. */
type Way = (place: Place) => Promise<boolean>;

const SCRIPT_WITH_MARKER = `UPKEEP_MARKER=x\n${cleanupScript(SCRIPT, FOLDERS)}`;
const COMMAND_LINE = ['sh', '-c', SCRIPT_WITH_MARKER].map(quote).join(' ');

async function byExecuteCommand({ aws, credentials, cluster, task, container }: Place): Promise<boolean> {
  const clients = ecsExecClients({ endpoint: aws.endpoint, region: WHERE.region, credentials });
  const result = await executeCommand({
    clients,
    cluster,
    task,
    container,
    runId: 'bench',
    command: { script: SCRIPT_WITH_MARKER },
  });
  return result.outcome === 'exited' && result.exitCode === 0;
}

async function bySession({ aws, credentials, ...target }: Place): Promise<boolean> {
  const clients = ecsExecClients({ endpoint: aws.endpoint, region: WHERE.region, credentials });
  let said = '';
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const { channel } = await openChannel(clients, target, COMMAND_LINE, {
    onOutput: (bytes) => {
      said += Buffer.from(bytes).toString();
    },
    onEnd: () => end(),
  });
  // The plugin exits at the service's last word.
  await Promise.race([channel.closedByService, ended]);
  channel.close();
  return said.includes('x after measured');
}

function byPlugin(plugin: string): Way {
  return async ({ ecs, cluster, task, container }) => {
    const { session } = await ecs.send(
      new ExecuteCommandCommand({ cluster, task, container, command: COMMAND_LINE, interactive: true }),
    );
    const { sessionId = '', streamUrl = '', tokenValue = '' } = session ?? {};
    const said = await runPlugin(plugin, { sessionId, streamUrl, tokenValue }, task);
    return said.includes('x after measured');
  };
}

function byCli(plugin: string): Way {
  return async ({ aws, credentials, cluster, task, container }) => {
    const where = ['--cluster', cluster, '--task', task, '--container', container];
    const cli = spawn(
      'aws',
      ['ecs', 'execute-command', ...where, '--interactive', '--command', COMMAND_LINE],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
        env: {
          PATH: `${dirname(plugin)}${delimiter}${process.env.PATH}`,
          AWS_ENDPOINT_URL: aws.endpoint,
          AWS_DEFAULT_REGION: WHERE.region,
          AWS_ACCESS_KEY_ID: credentials.accessKeyId,
          AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
          AWS_SESSION_TOKEN: credentials.sessionToken,
        },
      },
    );
    let said = '';
    cli.stdout.on('data', (piece) => {
      said += piece;
    });
    await once(cli, 'close');
    return said.includes('x after measured');
  };
}

async function oneAfterTheOther(aws: Aws, way: Way) {
  const { endpoint } = aws;
  const { region, account } = WHERE;
  const credentials = aws.credentialsFor({
    arn: `arn:aws:iam::${account}:user/operator`,
    policy: { Statement: { Effect: 'Allow', Action: '*', Resource: '*' } },
  });
  const ecs = new ECSClient({ endpoint, region, credentials });
  const cluster = `arn:aws:ecs:${region}:${account}:cluster/client`;
  return aws.clock.hold(async () => {
    const started = performance.now();
    const { containers } = await discoverContainers(ecs, {
      deployment: 'bench',
      clusterArn: cluster,
      roles: Object.entries(ROLES).map(([name, { service, container }]) => ({
        name,
        services: [service],
        container,
      })),
      reach: 'ecs-exec',
      concurrency: 1,
      timeoutSeconds: 600,
      retryFailed: false,
    });
    let cleaned = 0;
    for (const { taskArn: task, container } of containers)
      if (await way({ aws, ecs, credentials, cluster, task, container })) cleaned += 1;
    return { seconds: (performance.now() - started) / 1000, cleaned };
  });
}

await main();
