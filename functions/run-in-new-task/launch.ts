import {
  type ContainerDefinition,
  DescribeTaskDefinitionCommand,
  type ECSClient,
  type RunTaskCommandInput,
  type Service,
} from '@aws-sdk/client-ecs';
import { describeServices } from '../shared/containers/services.ts';
import type { RunInNewTaskSettings } from './contract.ts';

/** How the service's tasks are started, and what of their definition matters. */
export interface Launch {
  /** As RunTask takes it. */
  request: Pick<
    RunTaskCommandInput,
    | 'taskDefinition'
    | 'launchType'
    | 'capacityProviderStrategy'
    | 'networkConfiguration'
    | 'platformVersion'
    | 'placementConstraints'
    | 'placementStrategy'
  >;
  /** Names of the containers with whose end the task ends. */
  essential: string[];
  /** Where the container's output goes; undefined where it does not go to CloudWatch Logs under a name that can be told. */
  log?: { group: string; streamPrefix: string; region?: string };
}

/**
 * Reads how the service starts its own tasks.
 * @throws Error if the task would not be what the job was configured for.
 */
export async function readLaunch(
  ecs: ECSClient,
  { clusterArn, service: name, container, family }: RunInNewTaskSettings,
): Promise<Launch> {
  const [service = {}] = await describeServices(ecs, [{ clusterArn, name }]);
  const request = requestOf(service);
  const { taskDefinition } = await ecs.send(
    new DescribeTaskDefinitionCommand({ taskDefinition: request.taskDefinition }),
  );
  if (taskDefinition?.family !== family)
    throw new Error(
      `The service ${name} has a task definition of the family ${taskDefinition?.family}, while this job may start tasks of ${family} only. Correct "taskDefinition" of the job, and deploy.`,
    );
  const definitions = taskDefinition.containerDefinitions ?? [];
  const own = definitions.find((each) => each.name === container);
  if (own === undefined)
    throw new Error(
      `The task definition of the service ${name} has no container ${container}, but ${definitions.map((each) => each.name).join(', ')}. Correct the job's "container", and deploy.`,
    );
  // RunTask would have to make it anew, by a role that is not the job's to hand on.
  const atLaunch = (taskDefinition.volumes ?? []).find(({ configuredAtLaunch }) => configuredAtLaunch);
  if (atLaunch)
    throw new Error(
      `The task definition of the service ${name} has the volume ${atLaunch.name}, of which the service says how it is made for each task (configuredAtLaunch). A new task cannot be given one: run the command with in: 'one-container', and deploy.`,
    );
  return {
    request,
    essential: definitions.filter(({ essential }) => essential !== false).flatMap(({ name }) => name ?? []),
    ...logOf(own),
  };
}

/** Of a service that an external controller deploys, its primary task set has what others have themselves. */
function requestOf({ deploymentController, taskSets = [], ...service }: Service): Launch['request'] {
  const isOwn = (deploymentController?.type ?? 'ECS') === 'ECS';
  const set = isOwn ? undefined : taskSets.find(({ status }) => status === 'PRIMARY');
  const { taskDefinition, launchType, networkConfiguration, platformVersion } = set ?? service;
  const strategy = (set ?? service).capacityProviderStrategy ?? [];
  const { placementConstraints = [], placementStrategy = [] } = service;
  return {
    taskDefinition,
    ...(strategy.length > 0 ? { capacityProviderStrategy: strategy } : launchType && { launchType }),
    ...(networkConfiguration && { networkConfiguration }),
    ...(platformVersion && { platformVersion }),
    ...(placementConstraints.length > 0 && { placementConstraints }),
    ...(placementStrategy.length > 0 && { placementStrategy }),
  };
}

/** Without a prefix, Docker names the stream by an id that ECS does not tell (Developer Guide, awslogs). */
function logOf({
  logConfiguration: { logDriver, options = {} } = { logDriver: undefined },
}: ContainerDefinition) {
  const { 'awslogs-group': group, 'awslogs-stream-prefix': streamPrefix, 'awslogs-region': region } = options;
  if (logDriver !== 'awslogs' || !group || !streamPrefix) return {};
  return { log: { group, streamPrefix, ...(region && { region }) } };
}
