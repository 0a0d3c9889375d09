import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { keepBundlesIn } from '../../../lib/function-bundle.ts';
import { checkConfiguration, type Deployment } from '../../../lib/whatsapp/configuration/configuration.ts';
import { UpkeepStack } from '../../../lib/whatsapp/upkeep-stack.ts';
import { simulatedClock } from '../../../rehearsal/aws/clock.ts';
import { type Aws, startAws } from '../../../rehearsal/aws/server.ts';
import { distinctReports, reportsOf } from '../../../rehearsal/run-reports.ts';
import { createCertificate } from '../../../rehearsal/whatsapp/certificate.ts';
import { type ClientRows, NO_ROWS } from '../../../rehearsal/whatsapp/message-store.ts';
import { startWebApp, type WebApp } from '../../../rehearsal/whatsapp/web-app.ts';
import { startWebhook, type Webhook } from '../../../rehearsal/whatsapp/webhook.ts';
import sample from '../../../upkeep.config.ts';
import { REPOSITORY } from '../../lib/template.ts';
import { cleanedUp } from '../many-containers.ts';
import { PlayedContainer } from '../played-container.ts';

const DAY = 24 * 3600 * 1000;
/** A Monday, before the windows; not in a week in which clocks are changed. */
const STARTS = Date.parse('2026-11-02T00:00:00Z');
const PLACE = { account: '111111111111', region: 'us-east-1' };

/** Containers of each role, and the nodes that collect garbage. */
interface ClientSize {
  webapp: number;
  coreapp: number;
  nodes: number;
}
const SMALL: ClientSize = { webapp: 1, coreapp: 3, nodes: 1 };
const GARBAGE_OF_A_NIGHT = 50_000;
/** As the sample names them. */
const CONTAINERS: Record<string, string> = { webapp: 'wa-web', coreapp: 'wa-coreapp' };

/** What a month came to. */
interface Month {
  runs: number;
  /** What is not as it must be. */
  mismatches: string[];
  /** Requests that a quota of AWS's had refused for a while. */
  throttled: number;
  /** The most that the processes of one function have grown by from the third night to the last, as a ratio. Undefined where that is not known. */
  growth: number | undefined;
}

/**
 * Plays many deployments of one account and region, whose nights are all at the same hour, through their own templates and
 * bundles. Their clients are simulated: containers that answer, rows that are counted only.
 * @param keepsProcesses whether functions' processes live through all nights, so that it shows whether they grow
 */
export async function playMonth(options: {
  deployments: number;
  nights: number;
  keepsProcesses?: boolean;
  /** Of each. @default a single instance */
  size?: ClientSize;
  onNight?: (line: string) => void;
}): Promise<Month> {
  const { deployments: count, nights, keepsProcesses = false, size = SMALL, onNight = () => {} } = options;
  const { nodes, ...roles } = size;
  const folder = mkdtempSync(join(tmpdir(), 'month-'));
  const clock = simulatedClock(STARTS, folder);
  const names = Array.from({ length: count }, (_, number) => `d${String(number + 1).padStart(3, '0')}`);
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const certificates = new Map(
      await Promise.all(names.map(async (name) => [name, await createCertificate(hostOf(name))] as const)),
    );
    if (process.env.BUNDLES) keepBundlesIn(process.env.BUNDLES);
    const app = new App({
      outdir: join(folder, 'cdk.out'),
      analyticsReporting: false,
      builtinCloudFormationValidation: false,
    });
    for (const name of names) {
      const deployment = configured(name, certificates.get(name)?.certificate ?? '');
      new UpkeepStack(app, `upkeep-${name}`, { deployment });
    }
    const aws = await startAws({
      cdkOut: app.synth().directory,
      clock,
      sessions: { timing: { readingDelay: 0, readingPause: 0 } },
    });
    stops.push(() => aws.close());
    if (keepsProcesses) aws.lambda.keepWarm((nights + 2) * DAY);
    const containers: PlayedContainer[] = [];
    for (const name of names)
      for (const [service, tasks] of Object.entries(roles))
        for (let number = 0; number < tasks; number += 1) {
          const container = new PlayedContainer(CONTAINERS[service] ?? service, cleanedUp);
          aws.ecs.addTask({ ...PLACE, cluster: `whatsapp-${name}`, service, containers: [container] });
          containers.push(container);
        }
    for (const name of names) {
      const certificate = certificates.get(name);
      if (!certificate) continue;
      const { webApp, webhook } = await startClient(aws, name, certificate, nodes);
      stops.push(
        () => webApp.close(),
        () => webhook.close(),
      );
    }
    let throttled = 0;
    const mismatches: string[] = [];
    let before = new Map<string, number>();
    let growth: number | undefined;
    for (let night = 1; night <= nights; night++) {
      await clock.runUntil(STARTS + night * DAY);
      if (keepsProcesses && night === Math.min(3, nights - 1)) before = memoryOf();
      onNight(`night ${night}: ${reportsOf(aws).length} reports, ${aws.alarms.length} changes of alarms`);
    }
    if (keepsProcesses)
      for (const [name, bytes] of memoryOf())
        growth = Math.max(growth ?? 0, bytes / (before.get(name) ?? Number.POSITIVE_INFINITY));
    throttled = aws.ecs.buckets.executeCommand.refused;
    const reports = reportsOf(aws);
    for (const [what, all] of Map.groupBy(reports, (run) => `${run.deployment} ${run.job}`)) {
      const distinct = distinctReports(all);
      if (distinct.length !== nights || all.length !== nights)
        mismatches.push(
          `${what}: ${all.length} reports, ${distinct.length} that differ, of ${nights} nights`,
        );
      const bad = distinct.filter(({ outcome }) => outcome !== 'succeeded');
      for (const { outcome, scheduledFor, problems } of bad)
        mismatches.push(`${what}, ${scheduledFor}: ${outcome}: ${problems[0]?.what}`);
    }
    const expected = 2 * count;
    const came = new Set(reports.map((run) => `${run.deployment} ${run.job}`)).size;
    if (came !== expected) mismatches.push(`Of ${expected} jobs ${came} have reports.`);
    for (const { alarm, to } of aws.alarms) if (to === 'ALARM') mismatches.push(`The alarm ${alarm} rang.`);
    mismatches.push(...aws.denials, ...aws.dropped.map(({ reason }) => `dropped: ${reason}`));
    await Promise.all(containers.map((container) => container.kill()));
    return { runs: reports.length, mismatches, throttled, growth };
  } finally {
    for (const stop of stops.reverse()) await stop();
    clock.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function hostOf(name: string): string {
  return `webapp.${name}.internal`;
}

/** As the sample's single instance, whose containers are reached by ECS Exec. */
function configured(name: string, certificateAuthority: string): Deployment {
  const [latam] = checkConfiguration(sample, { file: 'upkeep.config.ts', folder: REPOSITORY });
  const { messageGc, logCleanup } = latam?.jobs ?? {};
  if (!latam || !messageGc || !logCleanup) throw new Error('The sample has no such deployment.');
  const { markRead: _, ...gc } = messageGc;
  const { runCommand: __, ...cleanup } = logCleanup;
  return {
    ...latam,
    name,
    dashboards: false,
    certificateAuthority,
    webApp: {
      ...latam.webApp,
      url: `https://${hostOf(name)}`,
      apiUser: { secretArn: latam.webApp.apiUser.secretArn.replace('latam', name) },
    },
    callbacks: { senders: [] },
    jobs: { messageGc: gc, logCleanup: { ...cleanup, clusterName: `whatsapp-${name}` } },
  };
}

async function startClient(
  aws: Aws,
  name: string,
  certificate: { certificate: string; key: string },
  nodes: number,
): Promise<{ webApp: WebApp; webhook: Webhook }> {
  const user = { username: 'upkeep', password: `Upkeep-${name}-${crypto.randomUUID()}` };
  aws.secrets.put(
    `arn:aws:secretsmanager:us-east-1:111111111111:secret:whatsapp/${name}/api-user-a1B2c3`,
    JSON.stringify(user),
  );
  const [bus] = aws.deployed
    .ofType('AWS::Events::EventBus')
    .filter((each) => each.name === `${name}-callbacks`);
  if (!bus) throw new Error(`${name} has no bus.`);
  const webhook = await startWebhook({
    bus: bus.name,
    deployment: name,
    region: bus.region,
    endpoint: aws.endpoint,
    credentials: aws.credentialsFor({
      arn: `arn:aws:sts::${bus.account}:assumed-role/webhook/${name}`,
      policy: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: 'events:PutEvents', Resource: bus.arn }],
      },
    }),
  });
  const webApp = await startWebApp({
    store: countedRows(),
    clock: aws.clock,
    certificate,
    users: [user],
    callbackUrl: webhook.url,
    coreApps: nodes,
  });
  aws.hosts[`${hostOf(name)}:443`] = `127.0.0.1:${webApp.port}`;
  return { webApp, webhook };
}

/** Rows of which there are as many again each night. */
function countedRows(): ClientRows {
  let left = 0;
  return {
    ...NO_ROWS,
    async deleteMessages({ after, limit }) {
      if (after === '0') left = GARBAGE_OF_A_NIGHT;
      const deleted = Math.min(limit, left);
      left -= deleted;
      return { deleted, last: String(Number(after) + deleted) };
    },
    hasGarbage: async () => left > 0,
  };
}

/** Resident bytes of the functions' processes, by function. Empty where there is no `/proc`. */
function memoryOf(): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const pid of read(`/proc/self/task/${process.pid}/children`).split(' ')) {
    const [, name] = /AWS_LAMBDA_FUNCTION_NAME=([^\0]*)/.exec(read(`/proc/${pid}/environ`)) ?? [];
    const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`)) ?? [];
    if (name && kilobytes) sizes.set(name, Number(kilobytes) * 1024);
  }
  return sizes;
}

/** What is not there any more says nothing. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
