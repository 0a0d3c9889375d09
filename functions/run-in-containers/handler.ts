import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import { ECSClient } from '@aws-sdk/client-ecs';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as v from 'valibot';
import {
  containerDetail,
  containerDetails,
  containerFigures,
  containerProblems,
  isDone,
  outcomeOf,
} from '../shared/containers/container-report.ts';
import { type Discovery, discoverContainers } from '../shared/containers/discover-containers.ts';
import { orderId } from '../shared/containers/reach.ts';
import { reachOf } from '../shared/containers/reach-of.ts';
import { type EachContainerOptions, runInEachContainer } from '../shared/containers/run-in-each-container.ts';
import {
  passedOverProblems,
  type RanInOne,
  runInOneContainer,
} from '../shared/containers/run-in-one-container.ts';
import { containerRole, containersSettings } from '../shared/containers/settings.ts';
import { lastWords } from '../shared/containers/words.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import { type RunResult, runJob } from '../shared/run/run-job.ts';
import { readSettings } from '../shared/run/settings.ts';
import type { RunInContainersSettings } from './contract.ts';
import { ReachWithInput, SecretInput, takesInput } from './secret-input.ts';

const secret = v.object({ secretArn: v.string(), key: v.exactOptional(v.string()) });

const settingsSchema = v.object({
  ...containersSettings,
  roles: v.array(v.object(containerRole)),
  secrets: v.exactOptional(v.record(v.string(), secret)),
  stdin: v.exactOptional(v.union([v.string(), secret])),
  in: v.exactOptional(v.literal('one-container')),
  keepOutput: v.exactOptional(v.boolean()),
  command: v.union([v.array(v.string()), v.object({ script: v.string() })]),
}) satisfies v.GenericSchema<RunInContainersSettings>;

const ecs = namingErrors(
  new ECSClient({ retryMode: 'adaptive', maxAttempts: 10, requestHandler: REQUEST_LIMITS }),
);

const secrets = new SecretsManagerClient({ requestHandler: REQUEST_LIMITS });

/** Runs a command in every container of the services, or in one of them, and says of each how it ended. */
export const handler = withDurableExecution((event: unknown, context) =>
  runJob(event, context, runInContainers, undefined, dryRun),
);

const discoverWith = (settings: RunInContainersSettings) => (context: DurableContext) =>
  discoverContainers(ecs, settings, (name, work) => context.step(name, work));

async function runInContainers(run: RunEvent, context: DurableContext): Promise<RunResult> {
  const settings = readSettings(settingsSchema);
  const discover = discoverWith(settings);
  const input = takesInput(settings) ? new SecretInput(secrets, settings) : undefined;
  // Before any container is entered: none of it is kept.
  if (input) await context.step('read secrets', async () => void (await input.read()));
  const options = {
    ...settings,
    reach: input ? new ReachWithInput(reachOf(settings), input) : reachOf(settings),
    orderOf: () => ({ ...orderId(run), command: settings.command, marker: '' }),
    readOutput: lastWords,
    endBy: Date.parse(run.endBy),
  };
  const { discovery, ran, passedOver } =
    settings.in === 'one-container'
      ? await runInOneContainer(discover, options, run.runId, context)
      : await inEvery(await discover(context), options, context);
  return {
    outcome: outcomeOf(discovery, ran),
    figures: { containersSucceeded: ran.filter(isDone).length, ...containerFigures(discovery, ran) },
    problems: [
      ...containerProblems(
        settings.deployment,
        discovery,
        ran,
        (words) => words,
        settings.in === 'one-container',
      ),
      ...passedOverProblems(settings.deployment, passedOver),
    ],
    details: containerDetails(ran, (each) => ({
      ...containerDetail(each),
      ...(settings.keepOutput && 'read' in each.ended && { output: each.ended.read }),
    })),
  };
}

async function inEvery(
  discovery: Discovery,
  options: EachContainerOptions<string>,
  context: DurableContext,
): Promise<RanInOne<string>> {
  return { discovery, ran: await runInEachContainer(discovery.containers, options, context), passedOver: [] };
}

/** Says in which containers the command would run. */
async function dryRun(_: RunEvent, context: DurableContext): Promise<RunResult> {
  const settings = readSettings(settingsSchema);
  const { deployment, command, in: where } = settings;
  const discovery = await discoverWith(settings)(context);
  const { containers, notReady } = discovery;
  return {
    outcome: 'skipped',
    figures: { containersFound: containers.length, tasksNotReady: notReady.length },
    problems: [
      {
        what: `A dry run: nothing was run. The command would run in ${where === 'one-container' ? 'one of ' : ''}${containers.length} containers, which the details name.`,
        where: deployment,
        next: 'Start it without dryRun, or leave it to its next scheduled run.',
      },
      ...discovery.missing.map(({ service, reason }) => ({
        what: reason,
        where: `${deployment}, service ${service}`,
        next: "Correct the job's services and container names, or see in ECS why the service runs nothing.",
      })),
    ],
    details: {
      command,
      containers: containers.map(({ role, service, taskArn, container }) => ({
        role,
        service,
        taskArn,
        container,
      })),
    },
  };
}
