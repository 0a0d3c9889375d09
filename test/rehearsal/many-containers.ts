import { readFileSync } from 'node:fs';
import type { Stack } from 'aws-cdk-lib';
import type { RunReport } from '../../functions/shared/run/report.ts';
import { LogCleanup, Upkeep } from '../../lib/index.ts';
import type { AgentTiming } from '../../rehearsal/aws/session-manager/agent.ts';
import { reportsOf } from '../../rehearsal/run-reports.ts';
import { ACCOUNT, deploy, HOUR, REGION, START } from './aws/deploy.ts';
import { PlayedContainer, type PlayedEnd } from './played-container.ts';
import { type RunRecord, runRecords } from './run-records.ts';

/** What came of a clean-up over many containers. */
interface ManyRun {
  report: RunReport;
  record: RunRecord;
  containers: PlayedContainer[];
  /** Calls, by operation. */
  calls: Record<string, number>;
  /** The most that were in a session at once, by service. */
  busiest: Record<string, number>;
  /** Highest resident set of the function's process, in MB. Undefined where there is no `/proc`. */
  memory: number | undefined;
}

/** Of ten containers nine are CoreApps. */
const ROLES = { webapp: 1 / 20, coreapp: 9 / 10, master: 1 / 20 };

/**
 * Cleans up in so many containers through the deployed function: its bundle in a process of its own, real calls and
 * websockets, Lambda's limits, on simulated time. Only the containers are played.
 */
export async function cleanUpMany(
  count: number,
  concurrency: number,
  { readingDelay }: Pick<AgentTiming, 'readingDelay'>,
): Promise<ManyRun> {
  let run: ManyRun | undefined;
  await deploy(
    (stack) => define(stack, concurrency),
    async ({ aws, clock }) => {
      const containers: PlayedContainer[] = [];
      const busy: Record<string, number> = {};
      const busiest: ManyRun['busiest'] = {};
      for (const [role, share] of Object.entries(ROLES))
        for (let number = 0; number < count * share; number += 1) {
          const container = new PlayedContainer(role, cleanedUp, (change) => {
            busy[role] = (busy[role] ?? 0) + change;
            busiest[role] = Math.max(busiest[role] ?? 0, busy[role]);
          });
          const place = { account: ACCOUNT, region: REGION, cluster: 'client', service: role };
          aws.ecs.addTask({ ...place, containers: [container] });
          containers.push(container);
        }
      const calls: ManyRun['calls'] = {};
      let memory: number | undefined;
      aws.onCall(({ operation }) => {
        calls[operation] = (calls[operation] ?? 0) + 1;
        return undefined;
      });
      const watch = setInterval(() => {
        const now = memoryOf('shop-log-cleanup');
        if (now !== undefined) memory = Math.max(memory ?? 0, now);
      }, 100);
      await clock.runUntil(START + 4 * HOUR).finally(() => clearInterval(watch));
      const [report] = reportsOf(aws);
      const record = runRecords({ aws })['log-cleanup'];
      if (report === undefined || record === undefined) throw new Error('The run left no report.');
      run = { report, record, containers, calls, busiest, memory };
      await Promise.all(containers.map((container) => container.kill()));
    },
    { sessions: { timing: { readingDelay, readingPause: 0 } } },
  );
  if (run === undefined) throw new Error('There was no run.');
  return run;
}

function define(stack: Stack, concurrency: number): void {
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Europe/Paris',
    window: { from: '13:00', to: '17:00' },
  });
  const services = (name: string) => ({ services: [name], container: name });
  new LogCleanup(stack, 'LogCleanup', {
    upkeep,
    cluster: 'client',
    roles: { webapp: services('webapp'), coreapp: services('coreapp'), master: services('master') },
    schedule: { at: '13:30' },
    concurrency,
  });
}

/** As the clean-up script measures, whose marker is the word behind the script that hands it on. */
export function cleanedUp([, , , marker = '']: string[]): PlayedEnd {
  const lines = ['before', 'after'].flatMap((when, index) => [
    `${marker} ${when} blocks 4096 1000000 500000 500000 65536 60000 file-system`,
    `${marker} ${when} live 4 ${80_000 - index}`,
    `${marker} ${when} archive 30 ${900_000 - 1_000 * index}`,
    `${marker} ${when} measured`,
  ]);
  return { exitCode: 0, output: `removed wa-service.log-20261101.gz\n${lines.join('\n')}\n` };
}

/** Of the process in which a function runs, in MB. */
function memoryOf(functionName: string): number | undefined {
  const name = `AWS_LAMBDA_FUNCTION_NAME=${functionName}\0`;
  const sizes = read(`/proc/self/task/${process.pid}/children`)
    .split(' ')
    .filter((pid) => pid !== '' && read(`/proc/${pid}/environ`).includes(name))
    .flatMap((pid) => /VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? []);
  return sizes.length === 0 ? undefined : Math.max(...sizes.map(Number)) / 1024;
}

/** What is not there any more says nothing. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
