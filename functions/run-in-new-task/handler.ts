import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import { ECSClient } from '@aws-sdk/client-ecs';
import * as v from 'valibot';
import {
  containerDetail,
  containerDetails,
  containerFigures,
  exitCodeMeaning,
  isDone,
  outcomeOf,
  whereIs,
} from '../shared/containers/container-report.ts';
import type { Discovery } from '../shared/containers/discover-containers.ts';
import type { Ran } from '../shared/containers/run-in-each-container.ts';
import { wordsOf } from '../shared/ecs-exec/command-words.ts';
import { withoutFullStop } from '../shared/run/full-stop.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import type { Problem } from '../shared/run/report.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import { type RunResult, runJob } from '../shared/run/run-job.ts';
import { readSettings } from '../shared/run/settings.ts';
import { ownFamily, type RunInNewTaskSettings, TASK_TAG, taskTagValue } from './contract.ts';
import { type Launch, readLaunch } from './launch.ts';
import { definitionWith } from './own-definition.ts';
import { type RanTask, runTask } from './run-task.ts';
import { readOutput, type TaskOutput } from './task-output.ts';

const settingsSchema = v.object({
  deployment: v.string(),
  clusterArn: v.string(),
  role: v.string(),
  service: v.string(),
  container: v.string(),
  family: v.string(),
  command: v.union([v.array(v.string()), v.object({ script: v.string() })]),
  environment: v.exactOptional(v.record(v.string(), v.string())),
  secrets: v.exactOptional(v.record(v.string(), v.string())),
  timeoutSeconds: v.number(),
  retryFailed: v.boolean(),
  keepOutput: v.exactOptional(v.boolean()),
  logGroup: v.exactOptional(v.string()),
}) satisfies v.GenericSchema<RunInNewTaskSettings>;

const ecs = namingErrors(
  new ECSClient({ retryMode: 'adaptive', maxAttempts: 10, requestHandler: REQUEST_LIMITS }),
);

/** Runs a command in a task of its own, made as the service makes its tasks, and says how it ended. */
export const handler = withDurableExecution((event: unknown, context) =>
  runJob(event, context, runInNewTask, undefined, dryRun),
);

const launchOf = (settings: RunInNewTaskSettings, context: DurableContext) =>
  context.step(`how ${settings.service} starts its tasks`, () => readLaunch(ecs, settings));

async function runInNewTask(run: RunEvent, context: DurableContext): Promise<RunResult> {
  const settings = readSettings(settingsSchema);
  const launch = await withSecrets(run, settings, await launchOf(settings, context), context);
  const { task, attempts } = await runOnceOrTwice(run, settings, launch, context);
  const { taskArn } = task;
  // What never came to run has said nothing.
  const hasRun = taskArn !== undefined && task.ended.outcome !== 'not-started';
  const wantsOutput = hasRun && settings.logGroup !== undefined && (settings.keepOutput || !isWell(task));
  const output = wantsOutput
    ? await context.step('output', () => readOutput(launch.log, { ...settings, taskArn }))
    : undefined;
  return resultOf(settings, task, attempts, output);
}

async function withSecrets(
  run: RunEvent,
  { container, secrets }: RunInNewTaskSettings,
  { request, ...launch }: Launch,
  context: DurableContext,
): Promise<Launch> {
  if (secrets === undefined) return { request, ...launch };
  const taskDefinition = await context.step('task definition with secrets', () =>
    definitionWith(ecs, request.taskDefinition, { family: ownFamily(run), container, secrets }),
  );
  return { ...launch, request: { ...request, taskDefinition } };
}

async function runOnceOrTwice(
  run: RunEvent,
  settings: RunInNewTaskSettings,
  launch: Launch,
  context: DurableContext,
): Promise<{ task: RanTask; attempts: number }> {
  const name = taskTagValue(run);
  const order = {
    ...settings,
    launch,
    endBy: Date.parse(run.endBy),
    request: {
      overrides: { containerOverrides: [overrideOf(settings)] },
      startedBy: name,
      tags: [{ key: TASK_TAG, value: name }],
    },
  };
  const first = await runTask(ecs, { ...order, id: run.runId }, context);
  const { outcome } = first.ended;
  // Of one that was lost, or that somebody stopped, another is not known to be wanted.
  if (isWell(first) || !settings.retryFailed || outcome === 'gone' || outcome === 'lost')
    return { task: first, attempts: 1 };
  const now = await context.step('time before the second try', async () => Date.now());
  if (now >= order.endBy) return { task: first, attempts: 1 };
  return { task: await runTask(ecs, { ...order, id: `${run.runId} 2` }, context), attempts: 2 };
}

function overrideOf({ container: name, command, environment = {} }: RunInNewTaskSettings) {
  return {
    name,
    command: wordsOf(command),
    environment: Object.entries(environment).map(([name, value]) => ({ name, value })),
  };
}

function isWell({ ended }: RanTask): boolean {
  return ended.outcome === 'exited' && ended.exitCode === 0;
}

const FOUND: Discovery = { containers: [], notReady: [], missing: [] };

function resultOf(
  settings: RunInNewTaskSettings,
  task: RanTask,
  attempts: number,
  output: TaskOutput | undefined,
): RunResult {
  const { role, service, container, deployment } = settings;
  const { ended, taskArn = '', seconds, withoutPlace } = task;
  const ran: Ran<undefined> = {
    container: { role, service, taskArn, container, runtimeId: '' },
    ended:
      ended.outcome === 'exited' || ended.outcome === 'timed-out' ? { ...ended, read: undefined } : ended,
    seconds,
    attempts,
  };
  const problem = problemOf(settings, task, output);
  return {
    outcome: outcomeOf(FOUND, [ran]),
    figures: {
      containersSucceeded: isDone(ran) ? 1 : 0,
      ...containerFigures(FOUND, [ran]),
      tasksWithoutPlace: withoutPlace,
    },
    problems: [
      ...(problem ? [problem] : []),
      ...(output && 'unread' in output
        ? [
            {
              what: `The output of the command could not be read: ${withoutFullStop(output.unread)}.`,
              where: whereIs(deployment, ran.container),
              next: `See that the container logs to ${settings.logGroup} by "awslogs" with a stream prefix, and read it there.`,
            },
          ]
        : []),
    ],
    details: containerDetails([ran], (each) => ({
      ...containerDetail(each),
      ...('why' in ended && ended.why && { stopReason: ended.why.detail }),
      ...('detail' in ended && { stopReason: ended.detail }),
      ...(output && 'last' in output && { firstOutput: output.first, output: output.last }),
    })),
  };
}

function problemOf(
  { deployment, service, container }: RunInNewTaskSettings,
  { ended, taskArn, seconds }: RanTask,
  output: TaskOutput | undefined,
): Problem | undefined {
  const where =
    taskArn === undefined
      ? `${deployment}, service ${service}, container ${container}`
      : whereIs(deployment, { service, taskArn, container });
  const last = output && 'last' in output ? output.last.trim() : undefined;
  const said = last === undefined ? '' : last ? ` It last said: ${last}` : ' It said nothing.';
  switch (ended.outcome) {
    case 'exited': {
      if (ended.exitCode === 0) return undefined;
      const because = ended.why ? ` ${ended.why.detail}` : '';
      return {
        what: `The command ended with exit code ${ended.exitCode}.${because}${said}`,
        where,
        next: ended.why?.next ?? exitCodeMeaning(ended.exitCode),
      };
    }
    case 'timed-out':
      return {
        what: `The command was stopped after ${Math.round(seconds)} seconds.${said}`,
        where,
        next: 'Raise the time that the command may take, or see in its log what holds it up.',
      };
    case 'gone':
      return { what: `The task ended before its command: ${ended.detail}${said}`, where, next: ended.next };
    case 'lost':
      return {
        what: `How the command ended could not be learned: ${ended.detail}${said}`,
        where,
        next: ended.next,
      };
    case 'not-started':
      return {
        what: `The command was not started: ${ended.detail}`,
        where,
        next: `${ended.next} Then start the job by hand.`,
      };
  }
}

/** Says what would be started. */
async function dryRun(_: RunEvent, context: DurableContext): Promise<RunResult> {
  const settings = readSettings(settingsSchema);
  const { deployment, service, container, command } = settings;
  const { request } = await launchOf(settings, context);
  return {
    outcome: 'skipped',
    figures: { containersFound: 1, tasksNotReady: 0 },
    problems: [
      {
        what: `A dry run: nothing was started. The command would run in the container ${container} of a new task of ${request.taskDefinition}.`,
        where: `${deployment}, service ${service}`,
        next: 'Start it without dryRun, or leave it to its next scheduled run.',
      },
    ],
    details: { command, request },
  };
}
