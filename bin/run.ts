import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import {
  type Event,
  type GetDurableExecutionHistoryCommandOutput,
  InvokeCommand,
  LambdaClient,
  LambdaServiceException,
  paginateGetDurableExecutionHistory,
} from '@aws-sdk/client-lambda';
import { Command, InvalidArgumentError } from 'commander';
import { runIdOf } from '../functions/shared/run/identity.ts';
import type { RunReport } from '../functions/shared/run/report.ts';
import { windowContaining } from '../functions/shared/run/window.ts';
import type { StartOutcome, StartRunEvent } from '../functions/start-run/contract.ts';
import {
  awsTime,
  type BegunRun,
  type DeployedUpkeep,
  deploymentNamed,
  refuseUnknownJob,
  runNamed,
  runsOf,
  runWith,
} from './deployments.ts';
import { EXIT_CODES, EXIT_CODES_HELP, giveUp, helpText, messageOf, outcomeText } from './output.ts';
import { ContainerEnds } from './run/container-ends.ts';

/** Between two looks at a run that goes on. */
const LOOK_MS = 2_000;

interface RunOptions {
  outsideWindow?: true;
  dryRun?: true;
  follow: boolean;
  request?: string;
  options?: Record<string, unknown>;
  json?: true;
  region?: string;
}

type Begun = Exclude<StartOutcome, { outcome: 'skipped' }>;

/** `wa-upkeep run`: a job by hand, by way of start-run as every other, followed to its report. */
export function runCommand(): Command {
  return new Command('run')
    .summary('start a job now and follow it to its report')
    .description(
      'Starts a job by hand, as its schedule would: through start-run, inside the downtime window, never beside a run that ' +
        'is in its way. Then shows its steps and the containers of a command as they end, and last its report.',
    )
    .argument('<job>', 'such as message-gc')
    .argument('<deployment>')
    .option('--outside-window', 'start it outside the downtime window too; the report says so')
    .option('--dry-run', 'say whether it would start now, and start nothing')
    .option('--no-follow', 'only start it')
    .option('--request <text>', 'names this start: said twice, it starts one run')
    .option('--options <json>', 'for the job, as an object in JSON', anObject)
    .option('--json', "the report alone, as JSON; start-run's answer, if that is all there is")
    .option('--region <name>', 'default: that of the environment')
    .addHelpText(
      'after',
      helpText(`
Examples:
  wa-upkeep run message-gc shop
  wa-upkeep run upgrade-check shop --options '{"prepare": true}'

Ctrl-C ends the watching, not the run; \`wa-upkeep watch RUN\` takes it up again. A run that is skipped, partial or failed is a problem.
${EXIT_CODES_HELP}`),
    )
    .action(async (job: string, deployment: string, options: RunOptions) => {
      try {
        const lambda = new LambdaClient({ ...(options.region && { region: options.region }) });
        const upkeep = await deploymentNamed(lambda, deployment);
        refuseUnknownJob(upkeep, job);
        if (options.dryRun) await foresee(lambda, upkeep, job, options);
        else await start(lambda, job, deployment, options);
      } catch (error) {
        giveUp(error);
      }
    });
}

/** `wa-upkeep watch`: a run that goes on, step by step, or the report of one that has ended. */
export function watchCommand(): Command {
  return new Command('watch')
    .summary('follow a run that goes on')
    .argument('<run>', "the run's name, or its execution's ARN")
    .option('--json', 'the report alone, as JSON')
    .option('--region <name>', 'default: that of the environment')
    .addHelpText(
      'after',
      helpText(`
Examples:
  wa-upkeep watch shop-message-gc-20261125T053000Z
${EXIT_CODES_HELP}`),
    )
    .action(async (name: string, { json, region }: { json?: true; region?: string }) => {
      try {
        const lambda = new LambdaClient({ ...(region && { region }) });
        await follow(lambda, (await runNamed(lambda, name)).arn, json);
      } catch (error) {
        giveUp(error);
      }
    });
}

async function start(
  lambda: LambdaClient,
  job: string,
  deployment: string,
  options: RunOptions,
): Promise<void> {
  const started = await begin(lambda, job, deployment, options);
  if (options.follow) await follow(lambda, await arnOf(lambda, started), options.json);
  else if (options.json) process.stdout.write(`${JSON.stringify(started)}\n`);
}

/** Starts a job as `run` does, and follows it to its report. Undefined: the person has seen enough, and the run goes on. */
export async function startAndFollow(
  lambda: LambdaClient,
  job: string,
  deployment: string,
  options: Pick<RunOptions, 'options' | 'json'>,
): Promise<RunReport | undefined> {
  const started = await begin(lambda, job, deployment, options);
  return lastReport(lambda, await arnOf(lambda, started), options.json);
}

/** @throws Error if it is skipped, with start-run's reason, or start-run fails or does not answer */
async function begin(
  lambda: LambdaClient,
  job: string,
  deployment: string,
  options: Pick<RunOptions, 'outsideWindow' | 'request' | 'options' | 'json'>,
): Promise<Begun> {
  // Named here, so that the run has a name that is known before start-run answers, and asking again is no second start.
  const request = options.request ?? randomUUID();
  const runId = runIdOf(deployment, job, { request });
  const event: StartRunEvent = {
    ...{ job, deployment, request },
    ...(options.outsideWindow && { outsideWindow: true }),
    ...(options.options && { options: options.options }),
  };
  const answer = await ask(lambda, deployment, event).catch((error: unknown) => {
    // Turned down by Lambda itself, so nothing has run.
    if (error instanceof LambdaServiceException && error.$fault === 'client') throw error;
    throw new Error(`${messageOf(error)}\n${perhapsBegun(runId)}`);
  });
  const payload = Buffer.from(answer.Payload ?? []).toString();
  if (answer.FunctionError)
    throw new Error(
      `start-run of ${deployment} failed: ${JSON.parse(payload).errorMessage ?? answer.FunctionError}\n${perhapsBegun(runId)}`,
    );
  const started = JSON.parse(payload) as StartOutcome;
  if (started.outcome === 'skipped') {
    if (options.json) process.stdout.write(`${JSON.stringify(started)}\n`);
    const next = started.isOutsideWindow ? ' Wait for it, or say --outside-window.' : '';
    throw new Error(`${started.runId} was skipped. ${started.reason}${next}`);
  }
  const isOfBefore = started.outcome === 'already-started' && options.request !== undefined;
  process.stderr.write(
    `${started.runId} ${isOfBefore ? 'was started before, by the same request' : 'started'}.\n`,
  );
  return started;
}

/** @throws Error if it is left with Ctrl-C before start-run has answered */
async function ask(lambda: LambdaClient, deployment: string, event: StartRunEvent) {
  const enough = new AbortController();
  const stop = () => enough.abort();
  process.once('SIGINT', stop);
  try {
    return await lambda.send(
      new InvokeCommand({ FunctionName: `${deployment}-start-run`, Payload: JSON.stringify(event) }),
      { abortSignal: enough.signal },
    );
  } catch (error) {
    if (enough.signal.aborted) throw new Error('Left with Ctrl-C before start-run had answered.');
    throw error;
  } finally {
    process.off('SIGINT', stop);
  }
}

/** Of a start of which nobody has said how it ended: start-run may have let the run begin, and what it has only written down so far, the next start begins that comes across it. */
function perhapsBegun(runId: string): string {
  return (
    `Whether ${runId} has begun is not known. Look before you start it again: wa-upkeep show ${runId}\n` +
    'Where that finds none, it may begin yet: with the next start, if start-run had written it down. That start is then skipped, and names it.'
  );
}

async function arnOf(lambda: LambdaClient, { runId, durableExecutionArn }: Begun): Promise<string> {
  return durableExecutionArn ?? (await runNamed(lambda, runId)).arn;
}

/** What start-run would say, as far as it can be seen from outside: it alone decides, when it is asked. */
async function foresee(
  lambda: LambdaClient,
  { deployment, timeZone, window, jobs }: DeployedUpkeep,
  job: string,
  { outsideWindow, json }: RunOptions,
): Promise<void> {
  const target = jobs[job];
  const reasons: string[] = [];
  if (!outsideWindow && !target?.outsideWindow && !windowContaining(awsTime(lambda), window, timeZone))
    reasons.push(
      `It is outside the downtime window ${window.from}–${window.to} ${timeZone}: wait for it, or say --outside-window.`,
    );
  // A job can be in the way of this one and not be there in this deployment.
  for (const other of [job, ...(target?.conflictsWith ?? [])].filter((name) => Object.hasOwn(jobs, name))) {
    for (const { runId } of await runsOf(lambda, `${deployment}-${other}`, { isRunning: true }))
      reasons.push(`The run ${runId} is still going on, and ${job} must not run beside it.`);
  }
  const wouldStart = reasons.length === 0;
  if (json) process.stdout.write(`${JSON.stringify({ deployment, job, wouldStart, reasons })}\n`);
  else
    process.stdout.write(
      wouldStart
        ? `${job} of ${deployment} would start now.\n`
        : `${job} of ${deployment} would be skipped now.\n${reasons.map((reason) => `  ${reason}\n`).join('')}`,
    );
  if (!wouldStart) process.exitCode = EXIT_CODES.problem;
}

async function follow(lambda: LambdaClient, arn: string, json: boolean | undefined): Promise<void> {
  const report = await lastReport(lambda, arn, json);
  if (report === undefined) return;
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : reportText(report));
  if (report.outcome !== 'succeeded') process.exitCode = EXIT_CODES.problem;
}

/** @throws Error if the run ended without a report */
async function lastReport(
  lambda: LambdaClient,
  arn: string,
  json: boolean | undefined,
): Promise<RunReport | undefined> {
  const run = await lastOf(lambda, arn, json);
  if (run !== undefined && run.report === undefined)
    throw new Error(
      `${run.runId} ended without a report (${run.status}): see its history in Lambda's console, "Durable executions", its lines (wa-upkeep logs ${run.runId}) and the alarm …-lost.`,
    );
  return run?.report;
}

/** Shows what happens until the run has ended; undefined: the person has seen enough. */
async function lastOf(
  lambda: LambdaClient,
  arn: string,
  json: boolean | undefined,
): Promise<BegunRun | undefined> {
  const enough = new AbortController();
  const stop = () => enough.abort();
  process.once('SIGINT', stop);
  const shown: Shown = { events: 0, polls: new Set() };
  const ends = new ContainerEnds(lambda);
  try {
    while (true) {
      const run = await runWith(lambda, arn);
      if (!json) {
        // What ended in a step stands before the step's own end.
        for (const { time, text } of await ends.since(run)) tell(time, text);
        await showFrom(lambda, arn, shown);
      }
      if (run.status !== 'RUNNING') return run;
      await setTimeout(LOOK_MS, undefined, { signal: enough.signal }).catch(() => {});
      if (enough.signal.aborted) {
        process.stderr.write(`${run.runId} goes on. Take it up again: wa-upkeep watch ${run.runId}\n`);
        return undefined;
      }
    }
  } finally {
    process.off('SIGINT', stop);
  }
}

/** How far a run's history is shown. */
interface Shown {
  events: number;
  /** Of what is looked at again and again until it is so: that it was not is told once. */
  polls: Set<string>;
}

/** Prints what has happened since the last look. */
async function showFrom(lambda: LambdaClient, arn: string, shown: Shown): Promise<void> {
  const pages = paginateGetDurableExecutionHistory(
    { client: lambda },
    { DurableExecutionArn: arn, IncludeExecutionData: false },
  );
  const before = shown.events;
  for await (const { Events: events = [] } of pages as AsyncIterable<GetDurableExecutionHistoryCommandOutput>)
    for (const event of events) {
      const id = event.EventId ?? 0;
      if (id <= before) continue;
      shown.events = Math.max(shown.events, id);
      if (isPoll(event)) {
        if (shown.polls.has(event.Id ?? '')) continue;
        shown.polls.add(event.Id ?? '');
      }
      const words = wordsOf(event);
      if (words) tell(event.EventTimestamp, words);
    }
}

/** Whether a condition was looked at, is not so yet, and will be looked at again. */
function isPoll({ StepSucceededDetails: details }: Event): boolean {
  return details?.RetryDetails?.NextAttemptDelaySeconds !== undefined;
}

function tell(time: Date | undefined, words: string): void {
  process.stderr.write(`${time?.toISOString().slice(11, 19)}Z  ${words}\n`);
}

function wordsOf(event: Event) {
  const { EventType: type, Name: name, WaitStartedDetails: wait, StepFailedDetails: failed } = event;
  switch (type) {
    case 'StepSucceeded':
      return isPoll(event) ? `${name}: not yet` : name;
    case 'StepFailed':
      return failed?.RetryDetails?.NextAttemptDelaySeconds === undefined
        ? `${name}: failed`
        : `${name}: failed, is tried again in ${failed.RetryDetails.NextAttemptDelaySeconds} s`;
    case 'WaitStarted':
      return wait?.ScheduledEndTimestamp
        ? `${name ?? 'wait'}: until ${wait.ScheduledEndTimestamp.toISOString().slice(11, 19)}Z`
        : name;
    default:
      return undefined;
  }
}

/** A report for a person. */
export function reportText({ runId, outcome, startedAt, endedAt, figures, problems }: RunReport): string {
  const seconds = Math.round((Date.parse(endedAt) - Date.parse(startedAt)) / 1000);
  const lines = [`${runId}: ${outcomeText(outcome)}, ${startedAt} to ${endedAt} (${seconds} s)`];
  for (const [name, value] of Object.entries(figures)) lines.push(`  ${name}: ${value}`);
  for (const { what, where, next } of problems) lines.push('', what, `  Where: ${where}`, `  Next: ${next}`);
  return `${lines.join('\n')}\n`;
}

function anObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Told below like everything else that is no object.
  }
  throw new InvalidArgumentError('It must be an object in JSON, such as \'{"prepare": true}\'.');
}
