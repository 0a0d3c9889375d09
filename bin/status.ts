import { setTimeout } from 'node:timers/promises';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { GetScheduleCommand, paginateListSchedules, SchedulerClient } from '@aws-sdk/client-scheduler';
import { Command, InvalidArgumentError } from 'commander';
import { Cron } from 'croner';
import PQueue from 'p-queue';
import type { RunReport } from '../functions/shared/run/report.ts';
import {
  alarmsOf,
  awsTime,
  type DeployedUpkeep,
  deploymentNamed,
  deploymentsNamed,
  jobsWithRun,
  lastRunsOf,
  NoSuchRun,
  type Run,
  refuseUnknownJob,
  runNamed,
  runsOf,
  tellsHowTheJobIs,
} from './deployments.ts';
import { loggedReports, logsClient, neverBegun, withNeverBegun } from './logged-reports.ts';
import { EXIT_CODES, EXIT_CODES_HELP, giveUp, helpText, localTime, messageOf, table } from './output.ts';
import { reportText } from './run.ts';
import {
  type DeploymentStatus,
  figuresOf,
  isWrong,
  type JobStatus,
  lengthOf,
  stateOf,
  textOf,
} from './status/text.ts';

const DAY_MS = 24 * 3600_000;
/** A weekly job's last run, and one before it. Further back is looked only for a job that has none there. */
const STATUS_DAYS = 15;
/** How many deployments are asked about at once, each in some calls. */
const AT_ONCE = 5;
/** Between two looks, by default. */
const WATCH_SECONDS = 30;
/** A terminal's: to the upper left, and everything away. */
const CLEARED = '\u001B[H\u001B[2J\u001B[3J';
interface StatusOptions {
  json?: true;
  quiet?: true;
  jobs?: true;
  /** Seconds; true: the default. */
  watch?: number | true;
  region?: string;
}

interface Clients {
  lambda: LambdaClient;
  logs: CloudWatchLogsClient;
  cloudWatch: CloudWatchClient;
  scheduler: SchedulerClient;
}

/** `wa-upkeep status`: whether all is well, of one deployment or of all. */
export function statusCommand(): Command {
  return new Command('status')
    .summary('last and next run of every job, and the alarms that ring')
    .argument('[deployments...]', 'default: all of the account and region')
    .option('--json', 'everything, with the last reports, as JSON')
    .option('--quiet', 'only what is wrong')
    .option('--jobs', 'each job of each deployment, where several have a line each')
    .option('--watch [seconds]', 'look again, every 30 seconds by default, until Ctrl-C', lookSeconds)
    .option('--region <name>', 'default: that of the environment')
    .addHelpText(
      'after',
      helpText(`
Examples:
  wa-upkeep status
  wa-upkeep status shop --watch 10

Several deployments have a line each, with their rows and the age of their credential, and below what is wrong with any.
Times are each deployment's own. A problem: an alarm rings, a last run failed, was partial or ended without a report, or a schedule is
switched off.
${EXIT_CODES_HELP}`),
    )
    .action(async (names: string[], { json, quiet, jobs, watch, region }: StatusOptions) => {
      try {
        const where = { ...(region && { region }) };
        const clients: Clients = {
          lambda: new LambdaClient(where),
          logs: logsClient(where),
          cloudWatch: new CloudWatchClient(where),
          scheduler: new SchedulerClient(where),
        };
        const show = async () => {
          const found = await allStatuses(clients, names);
          process.exitCode = found.some(
            ({ jobs, alarms, notLookedAt }) => alarms.length > 0 || jobs.some(isWrong) || notLookedAt,
          )
            ? EXIT_CODES.problem
            : EXIT_CODES.good;
          return json
            ? `${JSON.stringify(found, undefined, watch ? undefined : 2)}\n`
            : textOf(found, { quiet: quiet === true, jobs: jobs === true, now: awsTime(clients.lambda) });
        };
        if (watch === undefined) process.stdout.write(await show());
        else await showAgain(show, watch === true ? WATCH_SECONDS : watch);
      } catch (error) {
        giveUp(error);
      }
    });
}

async function allStatuses(clients: Clients, names: string[]): Promise<DeploymentStatus[]> {
  const deployments = await deploymentsNamed(clients.lambda, names);
  const queue = new PQueue({ concurrency: AT_ONCE });
  return queue.addAll(deployments.map((one) => () => statusOf(clients, one)));
}

/** On a terminal in the place of what was shown before, elsewhere after it if it is another. What AWS cannot tell once it is asked again. */
async function showAgain(show: () => Promise<string>, seconds: number): Promise<void> {
  const enough = new AbortController();
  const stop = () => enough.abort();
  process.once('SIGINT', stop);
  let before = '';
  try {
    while (!enough.signal.aborted) {
      const text = await show().catch((error: unknown) => {
        process.exitCode = EXIT_CODES.problem;
        return `${messageOf(error)}\n`;
      });
      if (process.stdout.isTTY)
        process.stdout.write(`${CLEARED}${text}\nEvery ${seconds} s, until Ctrl-C.\n`);
      else if (text !== before) process.stdout.write(text);
      before = text;
      await setTimeout(seconds * 1000, undefined, { signal: enough.signal }).catch(() => {});
    }
  } finally {
    process.off('SIGINT', stop);
  }
}

/** `wa-upkeep history`: the runs of a job, as far as Lambda remembers them. */
export function historyCommand(): Command {
  return new Command('history')
    .summary('the last runs of a job')
    .argument('<deployment>')
    .argument('<job>')
    .option('--days <number>', 'how far back', wholeNumber, 30)
    .option('--json', 'with their reports, as JSON')
    .option('--region <name>', 'default: that of the environment')
    .addHelpText(
      'after',
      helpText(`
Examples:
  wa-upkeep history shop message-gc
  wa-upkeep history shop message-gc --days 90 --json
${EXIT_CODES_HELP}`),
    )
    .action(
      async (
        deployment: string,
        job: string,
        { days, json, region }: { days: number; json?: true; region?: string },
      ) => {
        try {
          const lambda = new LambdaClient({ ...(region && { region }) });
          const upkeep = await deploymentNamed(lambda, deployment);
          refuseUnknownJob(upkeep, job);
          const { timeZone } = upkeep;
          const since = new Date(awsTime(lambda).getTime() - days * DAY_MS);
          const begun = await runsOf(lambda, `${deployment}-${job}`, { since });
          const runs = withNeverBegun(begun, await othersOf({ deployment, job, since }, region));
          if (json) process.stdout.write(`${JSON.stringify(runs, undefined, 2)}\n`);
          else if (runs.length === 0)
            process.stdout.write(`Lambda remembers no run of ${job} of ${deployment} in ${days} days.\n`);
          else
            process.stdout.write(
              `${table(
                ['run', 'began', 'took', 'outcome', 'figures'],
                runs.map((run) => [
                  run.runId,
                  localTime(run.startedAt, timeZone),
                  lengthOf(run),
                  stateOf(run),
                  figuresOf(run.report),
                ]),
              )}\n`,
            );
        } catch (error) {
          giveUp(error);
        }
      },
    );
}

/** The reports of a job's runs that never began. Where it may not be looked for them, it says so. */
async function othersOf(
  { deployment, job, since }: { deployment: string; job: string; since: Date },
  region: string | undefined,
): Promise<RunReport[]> {
  try {
    const logs = logsClient({ ...(region && { region }) });
    return await loggedReports(logs, deployment, ['skipped', 'failed'], { job, since });
  } catch (error) {
    process.stderr.write(`${unseen(error)}\n`);
    process.exitCode = EXIT_CODES.problem;
    return [];
  }
}

function unseen(error: unknown): string {
  return `Runs that never began are not shown: ${messageOf(error)}`;
}

/** `wa-upkeep show`: the report of one run. */
export function showCommand(): Command {
  return new Command('show')
    .summary("a run's report")
    .argument('<run>', "the run's name, or its execution's ARN")
    .option('--json', 'with its details (each container, each table), as JSON')
    .option('--region <name>', 'default: that of the environment')
    .addHelpText(
      'after',
      helpText(`
Examples:
  wa-upkeep show shop-log-cleanup-20261125T051000Z
  wa-upkeep show shop-log-cleanup-20261125T051000Z --json
${EXIT_CODES_HELP}`),
    )
    .action(async (name: string, { json, region }: { json?: true; region?: string }) => {
      try {
        const run = await runOrReport(name, { ...(region && { region }) });
        if (json) process.stdout.write(`${JSON.stringify(run, undefined, 2)}\n`);
        else if (run.report) {
          process.stdout.write(reportText(run.report));
          if (run.report.details)
            process.stdout.write(`\n${JSON.stringify(run.report.details, undefined, 2)}\n`);
        } else if (run.status === 'RUNNING')
          process.stdout.write(`${run.runId} goes on: wa-upkeep watch ${run.runId}\n`);
        else
          process.stdout.write(
            `${run.runId} ended without a report (${run.status}), and nobody has reported it yet.\n`,
          );
      } catch (error) {
        giveUp(error);
      }
    });
}

/** A run with the report that it has itself, or that others made of it. @throws Error if there is no such run */
async function runOrReport(name: string, where: { region?: string }): Promise<Run> {
  const lambda = new LambdaClient(where);
  const run = await runNamed(lambda, name).catch((error: unknown) => {
    if (error instanceof NoSuchRun) return error;
    throw error;
  });
  if (!(run instanceof Error) && (run.report || run.status === 'RUNNING')) return run;
  const runId = run instanceof Error ? name : run.runId;
  const logs = logsClient(where);
  for (const { deployment } of await jobsWithRun(lambda, runId)) {
    const [report] = await loggedReports(logs, deployment, ['failed', 'skipped'], { runId });
    if (report) return run instanceof Error ? neverBegun(report) : { ...run, report };
  }
  if (run instanceof Error)
    throw new Error(
      `There is no run ${name}, and none of this name is told of that never began: \`wa-upkeep history DEPLOYMENT JOB\` lists them.`,
    );
  return run;
}

async function statusOf(clients: Clients, upkeep: DeployedUpkeep): Promise<DeploymentStatus> {
  const { deployment, timeZone, jobs } = upkeep;
  const now = awsTime(clients.lambda);
  const since = new Date(now.getTime() - STATUS_DAYS * DAY_MS);
  const [schedules, alarms, region] = await Promise.all([
    schedulesOf(clients.scheduler, deployment, now),
    alarmsOf(clients.lambda, clients.cloudWatch, deployment, 'ALARM'),
    clients.lambda.config.region(),
  ]);
  const failed = await loggedReports(clients.logs, deployment, ['failed'], { since }).catch(unseen);
  const found: JobStatus[] = [];
  for (const job of Object.keys(jobs).sort()) {
    const begun = await lastRunsOf(clients.lambda, `${deployment}-${job}`, since);
    const [run, before] = upToTheLast(
      withNeverBegun(
        begun.filter((each) => each !== undefined),
        typeof failed === 'string' ? [] : failed.filter((report) => report.job === job),
      ),
    );
    const schedule = schedules.get(job);
    found.push({
      deployment,
      job,
      last: run && { runId: run.runId, status: run.status, startedAt: run.startedAt, endedAt: run.endedAt },
      report: run?.report,
      ...(before && { before }),
      next: schedule?.next,
      schedule: schedule === undefined ? 'none' : schedule.enabled ? 'enabled' : 'disabled',
    });
  }
  return {
    deployment,
    timeZone,
    jobs: found,
    ...(typeof failed === 'string' && { notLookedAt: failed }),
    alarms: alarms.map(
      ({ AlarmName: name = '', AlarmDescription: means = '', StateUpdatedTimestamp: at }) => ({
        name,
        since: at,
        means,
        console: `https://${region}.${consoleOf(region)}/cloudwatch/home?region=${region}#alarmsV2:alarm/${encodeURIComponent(name)}`,
      }),
    ),
  };
}

/** The newest run, and where that does not tell how the job is, the newest that does. */
function upToTheLast([last, ...others]: Run[]): [last?: Run, before?: Run] {
  if (!last) return [];
  const before = tellsHowTheJobIs(last) ? undefined : others.find(tellsHowTheJobIs);
  return before ? [last, before] : [last];
}

interface JobSchedule {
  enabled: boolean;
  next: Date | undefined;
}

/** By the job that each starts. */
async function schedulesOf(
  scheduler: SchedulerClient,
  deployment: string,
  now: Date,
): Promise<Map<string, JobSchedule>> {
  const found = new Map<string, JobSchedule>();
  const GroupName = `${deployment}-upkeep`;
  for await (const { Schedules: schedules = [] } of paginateListSchedules(
    { client: scheduler },
    { GroupName },
  ))
    for (const { Name } of schedules) {
      const schedule = await scheduler.send(new GetScheduleCommand({ GroupName, Name }));
      const { job } = JSON.parse(schedule.Target?.Input ?? '{}') as { job?: string };
      if (job === undefined) continue;
      const enabled = schedule.State === 'ENABLED';
      const { ScheduleExpression: expression = '', ScheduleExpressionTimezone: timeZone = 'UTC' } = schedule;
      found.set(job, { enabled, next: enabled ? nextTime(expression, timeZone, now) : undefined });
    }
  return found;
}

/** Of EventBridge's `cron(minute hour day month weekday year)`, as our constructs write it; undefined of another form. */
function nextTime(expression: string, timezone: string, now: Date): Date | undefined {
  const [, fields] = /^cron\((\S+ \S+ \S+ \S+ \S+) \*\)$/.exec(expression) ?? [];
  if (fields === undefined) return undefined;
  return new Cron(fields.replaceAll('?', '*'), { timezone }).nextRun(now) ?? undefined;
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1.');
  return Number(text);
}

function lookSeconds(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text))
    throw new InvalidArgumentError(
      'It must be a whole number of seconds from 1. Deployments come before it.',
    );
  return Number(text);
}

/** The domain of AWS's console, in the partition of a region. */
function consoleOf(region: string): string {
  if (region.startsWith('cn-')) return 'console.amazonaws.cn';
  return region.startsWith('us-gov-') ? 'console.amazonaws-us-gov.com' : 'console.aws.amazon.com';
}
