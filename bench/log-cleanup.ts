/**
 * The log clean-up of 38 containers, as the job does it and as a shell script would: one container after the other.
 * Both through ECS Exec, with an agent that is as slow as the real one, against real processes. The second stands for
 * AWS's plugin in a loop, whose sessions wait for the same agent; that starting the AWS CLI and the plugin takes time
 * too is left out, in the rival's favour. Where this machine has the plugin it is itself measured (without the CLI);
 * elsewhere a model of it is told: the second alone that each of its sessions waits for the agent.
 *
 * The ideal: each role's containers, each as long as it was busy, in as many places at once as the rule allows that no
 * role is ever busy as a whole. The longest of the roles counts.
 *
 *     node bench/log-cleanup.ts
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ECSClient, ExecuteCommandCommand } from '@aws-sdk/client-ecs';
import { App, Stack } from 'aws-cdk-lib';
import Table from 'cli-table3';
import { cleanupScript } from '../functions/log-cleanup/cleanup-script.ts';
import { discoverContainers } from '../functions/shared/containers/discover-containers.ts';
import { concurrencyByRole } from '../functions/shared/containers/places.ts';
import { executeCommand } from '../functions/shared/ecs-exec/execute-command.ts';
import { ecsExecClients } from '../functions/shared/ecs-exec/session.ts';
import { quote } from '../functions/shared/ecs-exec/wrapper.ts';
import { LogCleanup, Upkeep } from '../lib/index.ts';
import { simulatedClock } from '../rehearsal/aws/clock.ts';
import { type Aws, startAws } from '../rehearsal/aws/server.ts';
import { AGENT_TIMING } from '../rehearsal/aws/session-manager/agent.ts';
import { reportsOf } from '../rehearsal/run-reports.ts';
import { type ClientTasks, startClientTasks } from '../rehearsal/whatsapp/client-tasks.ts';
import { findPlugin, runPlugin } from '../test/functions/shared/ecs-exec/plugin.ts';

const WHERE = { account: '123456789012', region: 'eu-central-1' };
/** In how many containers the job may be busy: {@link concurrencyByRole} makes 1, 16 and 1 of it. */
const CONCURRENCY = 20;
const START = Date.parse('2027-01-11T00:00:00Z');
const ROLES = {
  webapp: { service: 'webapp', container: 'wa-web', tasks: 3 },
  coreapp: { service: 'coreapp', container: 'wa-coreapp', tasks: 33 },
  master: { service: 'master', container: 'wa-master', tasks: 2 },
};
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
  const table = new Table({
    head: ['', 'seconds', 'containers cleaned', 'ExecuteCommand', 'ListTasks', 'DescribeTasks'],
    style: { head: [], border: [] },
  });
  const job = await withClient(byTheJob);
  const script = await withClient((aws) => oneAfterTheOther(aws));
  const plugin = findPlugin();
  // It may be one that does not sign yet.
  const theirs = plugin && (await withClient((aws) => oneAfterTheOther(aws, plugin), 'allowed'));
  for (const [name, { seconds, cleaned, calls }] of Object.entries({
    job,
    'one after the other': script,
    ...(theirs && { "so, with AWS's plugin": theirs }),
  }))
    table.push([
      name,
      seconds.toFixed(1),
      cleaned,
      ...['ExecuteCommand', 'ListTasks', 'DescribeTasks'].map((call) => calls[call] ?? 0),
    ]);
  console.log(table.toString());
  const { ideal = Number.NaN } = job;
  const waits = (script.cleaned * AGENT_TIMING.readingDelay) / 1000;
  console.log(
    theirs
      ? `The job takes 1/${(theirs.seconds / job.seconds).toFixed(1)} of the time of AWS's plugin in a loop.`
      : `AWS's plugin in a loop, modelled: ${waits.toFixed(1)} s, each session the second until the agent reads and no more. The job takes 1/${(waits / job.seconds).toFixed(1)} of it.`,
  );
  console.log(`The job takes 1/${(script.seconds / job.seconds).toFixed(1)} of the time of the loop.`);
  console.log(
    `Ideal: ${ideal.toFixed(1)} s, each container's own time in the places that the settings allow. The job takes ${(job.seconds / ideal).toFixed(2)} of it.`,
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
  new LogCleanup(stack, 'LogCleanup', {
    upkeep,
    cluster: 'client',
    roles: {
      webapp: { services: ['webapp'], container: 'wa-web' },
      coreapp: { services: ['coreapp'], container: 'wa-coreapp' },
      master: { services: ['master'], container: 'wa-master' },
    },
    schedule: { at: '03:00' },
    concurrency: CONCURRENCY,
  });
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
  const containers = Object.entries(ROLES).flatMap(([role, { tasks }]) =>
    Array.from({ length: tasks }, () => ({ role })),
  );
  const places = concurrencyByRole(containers, CONCURRENCY);
  return Math.max(...[...busy].map(([role, seconds]) => seconds / (places.get(role) ?? 1)));
}

/** @param plugin AWS's, or undefined for our own client */
async function oneAfterTheOther(aws: Aws, plugin?: string) {
  const { endpoint } = aws;
  const { region, account } = WHERE;
  const credentials = aws.credentialsFor({
    arn: `arn:aws:iam::${account}:user/operator`,
    policy: { Statement: { Effect: 'Allow', Action: '*', Resource: '*' } },
  });
  const ecs = new ECSClient({ endpoint, region, credentials });
  const clients = ecsExecClients({ endpoint, region, credentials });
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
    for (const { taskArn, container } of containers) {
      const script = `UPKEEP_MARKER=x\n${cleanupScript(SCRIPT, FOLDERS)}`;
      if (plugin !== undefined) {
        const command = ['sh', '-c', script].map(quote).join(' ');
        const { session } = await ecs.send(
          new ExecuteCommandCommand({ cluster, task: taskArn, container, command, interactive: true }),
        );
        const { sessionId = '', streamUrl = '', tokenValue = '' } = session ?? {};
        const said = await runPlugin(plugin, { sessionId, streamUrl, tokenValue }, taskArn);
        if (said.includes('x after measured')) cleaned += 1;
        continue;
      }
      const command = { script };
      const result = await executeCommand({
        clients,
        cluster,
        task: taskArn,
        container,
        runId: 'bench',
        command,
      });
      if (result.outcome === 'exited' && result.exitCode === 0) cleaned += 1;
    }
    return { seconds: (performance.now() - started) / 1000, cleaned };
  });
}

await main();
