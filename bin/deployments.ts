import {
  type CloudWatchClient,
  type MetricAlarm,
  paginateDescribeAlarms,
  type StateValue,
} from '@aws-sdk/client-cloudwatch';
import {
  GetDurableExecutionCommand,
  type GetDurableExecutionResponse,
  GetFunctionConfigurationCommand,
  type LambdaClient,
  paginateListFunctions,
  ResourceNotFoundException,
} from '@aws-sdk/client-lambda';
import { executionsOf } from '../functions/shared/run/executions.ts';
import type { RunReport } from '../functions/shared/run/report.ts';
import type { StartRunSettings } from '../functions/start-run/contract.ts';

/** A deployment as its start-run knows it: that function's settings are what says which jobs there are. */
export type DeployedUpkeep = Pick<StartRunSettings, 'deployment' | 'timeZone' | 'window' | 'jobs'>;

const START_RUN = '-start-run';

/** One deployment by its name. @throws Error naming those that there are, where it is none of them. */
export async function deploymentNamed(lambda: LambdaClient, deployment: string): Promise<DeployedUpkeep> {
  try {
    const { Environment: environment } = await lambda.send(
      new GetFunctionConfigurationCommand({ FunctionName: `${deployment}${START_RUN}` }),
    );
    const found = upkeepOf(environment?.Variables);
    if (found) return found;
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
  }
  const names = (await allDeployments(lambda)).map((one) => one.deployment);
  const region = await lambda.config.region();
  throw new Error(
    names.length === 0
      ? `There is no deployment ${deployment} in ${region}, nor any other: is it the right account and region (--region, AWS_PROFILE)?`
      : `There is no deployment ${deployment} in ${region}. There: ${names.join(', ')}.`,
  );
}

/** @throws Error naming the jobs that a deployment has, where this is none of them. */
export function refuseUnknownJob({ deployment, jobs }: DeployedUpkeep, job: string): void {
  if (!Object.hasOwn(jobs, job))
    throw new Error(`${deployment} has no job ${job}. It has ${Object.keys(jobs).sort().join(', ')}.`);
}

/**
 * The deployments named, or all of the account and region where none is.
 * @throws Error where one of them, or any at all, is not there
 */
export async function deploymentsNamed(lambda: LambdaClient, names: string[]): Promise<DeployedUpkeep[]> {
  const deployments = await (names.length > 0
    ? Promise.all([...new Set(names)].map((name) => deploymentNamed(lambda, name)))
    : allDeployments(lambda));
  if (deployments.length === 0)
    throw new Error(
      `There is no deployment in ${await lambda.config.region()}: is it the right account and region (--region, AWS_PROFILE)?`,
    );
  return deployments;
}

/** All deployments of the account and region, by name. */
async function allDeployments(lambda: LambdaClient): Promise<DeployedUpkeep[]> {
  const found: DeployedUpkeep[] = [];
  for await (const { Functions: functions = [] } of paginateListFunctions({ client: lambda }, {}))
    for (const { FunctionName: name, Environment: environment } of functions) {
      const upkeep = name?.endsWith(START_RUN) ? upkeepOf(environment?.Variables) : undefined;
      if (upkeep) found.push(upkeep);
    }
  return found.sort((a, b) => a.deployment.localeCompare(b.deployment));
}

/**
 * AWS's time, as far as the client has heard of it: the SDK keeps by how much this machine's clock differs where that is more than
 * it forgives, and what stands in for AWS has a time of its own.
 */
export function awsTime({ config }: LambdaClient): Date {
  return new Date(Date.now() + config.systemClockOffset);
}

/** Of all deployments, as each client has been told once. */
const NAMES = new WeakMap<LambdaClient, Promise<string[]>>();

/** A deployment's alarms: not those of another one whose name begins with its name. */
export async function alarmsOf(
  lambda: LambdaClient,
  cloudWatch: CloudWatchClient,
  deployment: string,
  state?: StateValue,
): Promise<MetricAlarm[]> {
  const alarms: MetricAlarm[] = [];
  for await (const { MetricAlarms: page = [] } of paginateDescribeAlarms(
    { client: cloudWatch },
    { AlarmNamePrefix: `${deployment}-`, ...(state && { StateValue: state }) },
  ))
    alarms.push(...page);
  if (alarms.length === 0) return [];
  const names = NAMES.get(lambda) ?? allDeployments(lambda).then((all) => all.map((one) => one.deployment));
  NAMES.set(lambda, names);
  const longer = (await names)
    .map((name) => `${name}-`)
    .filter((prefix) => prefix.startsWith(`${deployment}-`) && prefix !== `${deployment}-`);
  return alarms.filter(({ AlarmName: name = '' }) => !longer.some((prefix) => name.startsWith(prefix)));
}

/** What a start-run is told, by its environment. Nothing, of a function that is somebody else's and only ends in the same words. */
export function upkeepOf(variables: Record<string, string> | undefined): DeployedUpkeep | undefined {
  try {
    const settings = JSON.parse(variables?.UPKEEP_SETTINGS ?? '{}') as Partial<DeployedUpkeep>;
    return settings.deployment && settings.timeZone && settings.window && settings.jobs
      ? (settings as DeployedUpkeep)
      : undefined;
  } catch {
    return undefined;
  }
}

type ExecutionStatus = NonNullable<GetDurableExecutionResponse['Status']>;

/** A run: one that Lambda keeps, or one that never began. */
export interface Run {
  runId: string;
  /** Of its durable execution. Undefined of one that never began. */
  arn: string | undefined;
  status: ExecutionStatus | 'NOT_BEGUN';
  /** Of one that never began: when it was to. */
  startedAt: Date;
  endedAt: Date | undefined;
  /** Undefined while it goes on, and of one that ended without a report. */
  report: RunReport | undefined;
}

/** A run as Lambda keeps it. */
export interface BegunRun extends Run {
  arn: string;
  status: ExecutionStatus;
}

/**
 * A job's runs, the newest first, as far as Lambda remembers them. Runs that were skipped by start-run never
 * began, and are not among them.
 */
export async function runsOf(
  lambda: LambdaClient,
  functionName: string,
  options: { since?: Date; limit?: number; isRunning?: true },
): Promise<BegunRun[]> {
  const executions = await executionsOf(lambda, functionName, {
    ...(options.since && { StartedAfter: options.since }),
    ...(options.isRunning && { Statuses: ['RUNNING'] }),
  });
  const newest = executions.slice(0, options.limit ?? executions.length);
  return Promise.all(newest.map(({ DurableExecutionArn: arn = '' }) => runWith(lambda, arn)));
}

/**
 * A job's last run, and where that goes on still or was skipped, the last one before it that was neither: nobody who looks past
 * that one knows how the job is.
 * @param since where there is none of that kind since then, all that Lambda remembers are looked at.
 */
export async function lastRunsOf(
  lambda: LambdaClient,
  functionName: string,
  since: Date,
): Promise<[last?: BegunRun, before?: BegunRun]> {
  let last: BegunRun | undefined;
  const seen = new Set<string>();
  for (const filter of [{ StartedAfter: since }, {}])
    for (const { DurableExecutionArn: arn = '' } of await executionsOf(lambda, functionName, filter)) {
      if (seen.has(arn)) continue;
      seen.add(arn);
      const run = await runWith(lambda, arn);
      if (tellsHowTheJobIs(run)) return last ? [last, run] : [run];
      last ??= run;
    }
  return last ? [last] : [];
}

/** Whether it has ended and was not skipped. */
export function tellsHowTheJobIs({ status, report }: Pick<Run, 'status' | 'report'>): boolean {
  return status !== 'RUNNING' && report?.outcome !== 'skipped';
}

/** A run by its execution's ARN. */
export async function runWith(lambda: LambdaClient, arn: string): Promise<BegunRun> {
  const execution = await lambda.send(
    new GetDurableExecutionCommand({ DurableExecutionArn: arn, IncludeExecutionData: true }),
  );
  const { Result: result } = execution;
  return {
    runId: execution.DurableExecutionName ?? '',
    arn,
    status: execution.Status ?? 'RUNNING',
    startedAt: execution.StartTimestamp ?? new Date(0),
    endedAt: execution.EndTimestamp,
    report: result === undefined ? undefined : (JSON.parse(result) as RunReport),
  };
}

/** A run by its name or its execution's ARN. @throws Error if there is none. */
export async function runNamed(lambda: LambdaClient, name: string): Promise<BegunRun> {
  if (name.startsWith('arn:')) return runWith(lambda, name);
  for (const { deployment, job } of await jobsWithRun(lambda, name)) {
    const [found] = await executionsOf(lambda, `${deployment}-${job}`, { DurableExecutionName: name });
    if (found?.DurableExecutionArn) return runWith(lambda, found.DurableExecutionArn);
  }
  throw new NoSuchRun(
    `There is no run ${name}: \`wa-upkeep history DEPLOYMENT JOB\` lists them as far as Lambda remembers. Of one that never began, \`wa-upkeep show ${name}\` says why.`,
  );
}

/** Of a name that is no run's, as far as Lambda remembers. */
export class NoSuchRun extends Error {}

/** Whose a run can be by its name. */
export async function jobsWithRun(
  lambda: LambdaClient,
  name: string,
): Promise<{ deployment: string; job: string }[]> {
  const all = await allDeployments(lambda);
  return all.flatMap(({ deployment, jobs }) =>
    Object.keys(jobs)
      .filter((job) => name.startsWith(`${deployment}-${job}-`))
      .map((job) => ({ deployment, job })),
  );
}

/** The function whose execution it is: where it logs, and whether it works in containers. */
export async function functionOf(
  lambda: LambdaClient,
  arn: string,
): Promise<{ logGroup: string; worksInContainers: boolean }> {
  const [functionArn = ''] = arn.split('/durable-execution/');
  const [, , , , , , name = ''] = functionArn.split(':');
  const { LoggingConfig: logging, Environment: environment } = await lambda.send(
    new GetFunctionConfigurationCommand({ FunctionName: name }),
  );
  return {
    logGroup: logging?.LogGroup ?? `/aws/lambda/${name}`,
    worksInContainers: 'reach' in JSON.parse(environment?.Variables?.UPKEEP_SETTINGS ?? '{}'),
  };
}
