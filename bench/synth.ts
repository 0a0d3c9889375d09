/**
 * What `cdk synth` costs by the number of deployments, each with every job on: 1, 10, 50 and 200, in a fresh process each, in CPU time
 * of all its threads and of esbuild. Each bundle is built once, whatever the number: that is counted too. cdk-nag and the CDK's own rules are off:
 * their time is theirs, and grows with the templates.
 *
 *     node bench/synth.ts [ROUNDS]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IS_SHORT, median, tell } from './figures.ts';

const COUNTS = [1, 10, 50, 200];
/** Of the time of one deployment. */
const GOALS: Record<number, number> = { 50: 2, 200: 5 };

/** Of a second, in which Linux tells of a process's time: USER_HZ, 100 on all that Node runs on. */
const TICKS = 100;

interface Cost {
  /** Seconds of CPU, of all the process's threads and of esbuild's. */
  cpu: number;
  /** By the clock. */
  seconds: number;
  bundles: number;
}

const [given] = process.argv.slice(2);
if (process.env.SYNTH_DEPLOYMENTS) await synthesize(Number(process.env.SYNTH_DEPLOYMENTS));
else measure(Number(given ?? (IS_SHORT ? 1 : 5)));

function measure(rounds: number): void {
  const costs = new Map<number, Cost[]>(COUNTS.map((count) => [count, []]));
  for (let round = 0; round < rounds; round += 1)
    for (const count of COUNTS) costs.get(count)?.push(inFreshProcess(count));
  const of = (count: number, what: keyof Cost) => median((costs.get(count) ?? []).map((cost) => cost[what]));
  for (const count of COUNTS) {
    const [cpu, seconds, bundles] = [of(count, 'cpu'), of(count, 'seconds'), of(count, 'bundles')];
    const value = cpu / of(1, 'cpu');
    console.log(
      `${String(count).padStart(4)} deployments: ${cpu.toFixed(1)} s of CPU, ${seconds.toFixed(1)} s, ${bundles} bundles built: ${value.toFixed(2)} times one`,
    );
    if (bundles !== of(1, 'bundles')) throw new Error(`${count} deployments build ${bundles} bundles.`);
    const goal = GOALS[count];
    if (count > 1)
      tell({
        bench: 'synth',
        what: `${count} deployments with every job`,
        rival: 'one deployment',
        value,
        ...(goal !== undefined && { goal: { atMost: goal } }),
      });
  }
}

function inFreshProcess(count: number): Cost {
  const folder = mkdtempSync(join(tmpdir(), 'bench-synth-'));
  try {
    const told = execFileSync(process.execPath, [fileURLToPath(import.meta.url)], {
      encoding: 'utf8',
      env: { ...process.env, SYNTH_DEPLOYMENTS: String(count), CDK_OUTDIR: folder, CDK_VALIDATION: 'false' },
    });
    return JSON.parse(told.trim().split('\n').at(-1) ?? '{}');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The CDK, our constructs and esbuild are loaded within: whoever runs `cdk synth` pays for that too. */
async function synthesize(count: number): Promise<void> {
  const { App } = await import('aws-cdk-lib');
  const { DISABLE_CREATION_STACK_TRACES } = await import('aws-cdk-lib/cx-api');
  const { bundlesBuilt } = await import('../lib/function-bundle.ts');
  const { loadConfiguration } = await import('../lib/whatsapp/configuration/configuration.ts');
  const { MediaVolumeStack } = await import('../lib/whatsapp/media-volume-stack.ts');
  const { mediaStackName, stackName } = await import('../lib/whatsapp/stack-names.ts');
  const { UpkeepStack } = await import('../lib/whatsapp/upkeep-stack.ts');
  const { context } = JSON.parse(readFileSync('cdk.json', 'utf8'));
  // As bin/app.ts has it.
  const app = new App({
    context: { ...context, [DISABLE_CREATION_STACK_TRACES]: true },
    analyticsReporting: false,
    treeMetadata: false,
  });
  // The sample's deployment with every job.
  const fullest = (await loadConfiguration('upkeep.config.ts')).find(({ name }) => name === 'emea');
  if (!fullest) throw new Error('The sample has no deployment "emea" any more.');
  for (let index = 0; index < count; index += 1) {
    const deployment = { ...fullest, name: `d${index}` };
    const media = MediaVolumeStack.ofDeployment(app, mediaStackName(deployment.name), deployment);
    new UpkeepStack(app, stackName(deployment.name), { deployment, mediaVolume: media?.volume });
  }
  app.synth();
  const { user, system } = process.cpuUsage();
  const cost: Cost = {
    cpu: (user + system) / 1e6 + childrenSeconds(),
    seconds: process.uptime(),
    bundles: bundlesBuilt(),
  };
  console.log(JSON.stringify(cost));
}

/**
 * What the processes of this one have used: esbuild's, which outlives it, so that nobody who waits is told of it. Only Linux tells; elsewhere
 * it is left out.
 */
function childrenSeconds(): number {
  if (process.platform !== 'linux') return 0;
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return processes.reduce((sum, name) => {
    const stat = readFile(`/proc/${name}/stat`);
    // After the name, which can be of any form: state, parent, and from the 12th on ticks of user and system.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[1]) === process.pid ? sum + (Number(fields[11]) + Number(fields[12])) / TICKS : sum;
  }, 0);
}

/** @returns '' of a process that has ended meanwhile. */
function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
