import {
  DescribeServicesCommand,
  DescribeTaskDefinitionCommand,
  DescribeTasksCommand,
  type ECSClient,
  paginateListTasks,
  type Service,
  type Task,
} from '@aws-sdk/client-ecs';
import type { CredentialRotationSettings } from './contract.ts';

/** Where a service is. */
export interface ServiceAddress {
  clusterArn: string;
  name: string;
}

/** How a service's tasks will be replaced. */
export type RollPlan = { service: ServiceAddress } & RollWay;

type RollWay =
  | { kind: 'forced'; strategy: string }
  | { kind: 'task-by-task' }
  | { kind: 'refused'; reason: string; next: string };

/** ECS's limit, of services described at once. */
const SERVICES = 10;
/** ECS's limit, of tasks described at once and of a page of ListTasks. */
const TASKS = 100;
/** Of events that a report quotes. */
const EVENTS = 3;

/** The services of the settings, in their order. */
export function addressesOf({ clusterArn, services }: CredentialRotationSettings): ServiceAddress[] {
  return services.map((service) => ({ name: service.name, clusterArn: service.clusterArn ?? clusterArn }));
}

/**
 * Describes services, in the order asked for.
 * @throws Error naming those that their cluster does not have
 */
export async function describeServices(ecs: ECSClient, addresses: ServiceAddress[]): Promise<Service[]> {
  const found = new Map<string, Service[]>();
  for (const cluster of new Set(addresses.map(({ clusterArn }) => clusterArn))) {
    const names = addresses.flatMap(({ clusterArn, name }) => (clusterArn === cluster ? [name] : []));
    const inCluster: Service[] = [];
    for (let from = 0; from < names.length; from += SERVICES) {
      const { services = [] } = await ecs.send(
        new DescribeServicesCommand({ cluster, services: names.slice(from, from + SERVICES) }),
      );
      inCluster.push(...services);
    }
    found.set(cluster, inCluster);
  }
  return addresses.map(({ clusterArn, name }) => {
    const service = found
      .get(clusterArn)
      ?.find(({ serviceName, status }) => serviceName === name && status === 'ACTIVE');
    if (service === undefined) {
      throw new Error(
        `The cluster ${clusterArn} has no active service ${name}, though the configuration names it. Nothing was changed. Correct the one or the other.`,
      );
    }
    return service;
  });
}

/** Why a service is not steady; `undefined` if it is. */
export function whyUnsteady({
  serviceName,
  deployments = [],
  desiredCount = 0,
  runningCount = 0,
  pendingCount = 0,
}: Service): string | undefined {
  const [primary] = deployments;
  if (deployments.length > 1) return `${serviceName} has ${deployments.length} deployments at once.`;
  if (primary?.rolloutState && primary.rolloutState !== 'COMPLETED')
    return `${serviceName}'s deployment is ${primary.rolloutState}.`;
  if (runningCount !== desiredCount || pendingCount > 0)
    return `${serviceName} runs ${runningCount} of ${desiredCount} tasks, and ${pendingCount} are starting.`;
  return undefined;
}

/** How each service is rolled: decided from its own settings, before anything is changed. */
export async function planRoll(ecs: ECSClient, settings: CredentialRotationSettings): Promise<RollPlan[]> {
  const addresses = addressesOf(settings);
  const services = await describeServices(ecs, addresses);
  const plans: RollPlan[] = [];
  for (const [index, service] of services.entries()) {
    const address = addresses[index];
    const { oneAtATime = false } = settings.services[index] ?? {};
    if (address) plans.push({ service: address, ...(await wayOf(ecs, service, oneAtATime, settings)) });
  }
  return plans;
}

async function wayOf(
  ecs: ECSClient,
  service: Service,
  oneAtATime: boolean,
  settings: CredentialRotationSettings,
): Promise<RollWay> {
  const refused = (reason: string, next: string): RollWay => ({ kind: 'refused', reason, next });
  const controller = service.deploymentController?.type ?? 'ECS';
  if (controller !== 'ECS') {
    return refused(
      `It is deployed by ${controller}, which credential-rotation cannot ask for new tasks.`,
      "Use ECS's own deployment controller, or leave the service out and restart it by other means.",
    );
  }
  const pinned = await pinnedSecret(ecs, service, settings);
  if (pinned !== undefined) {
    return refused(
      `Its task definition pins a version of the secret (${pinned}), so that new tasks would get the old password too.`,
      'Take the version stage and the version id from "valueFrom", and deploy the task definition.',
    );
  }
  const { desiredCount: desired = 0, deploymentConfiguration = {} } = service;
  const { minimumHealthyPercent = 100, maximumPercent = 200, strategy = 'ROLLING' } = deploymentConfiguration;
  // The others start a whole second fleet, whatever the percentages. A task that is stopped is replaced under each.
  if (strategy !== 'ROLLING')
    return oneAtATime && desired > 1 ? { kind: 'task-by-task' } : { kind: 'forced', strategy };
  const keep = Math.ceil((desired * minimumHealthyPercent) / 100);
  const cap = Math.floor((desired * maximumPercent) / 100);
  if (desired > 0 && keep >= desired && cap <= desired) {
    return refused(
      `Nothing could move: of its ${desired} tasks ${minimumHealthyPercent} % must be kept (${keep}) and no more than ${maximumPercent} % may run (${cap}).`,
      'Lower its minimum healthy percent or raise its maximum percent.',
    );
  }
  const spared = desired - keep;
  const together = spared + cap - desired;
  const gentle = spared <= 1 && (!oneAtATime || together <= 1);
  return gentle || desired <= 1 ? { kind: 'forced', strategy } : { kind: 'task-by-task' };
}

/**
 * The credential's secret, or one that keeps a copy, in a task definition: `ARN:KEY:STAGE:ID`. Only what is without an id, and of the stage AWSCURRENT if of any,
 * is a new password for a new task.
 */
async function pinnedSecret(
  ecs: ECSClient,
  { taskDefinition }: Service,
  { secretArn, copies }: CredentialRotationSettings,
): Promise<string | undefined> {
  if (taskDefinition === undefined) return undefined;
  const { taskDefinition: described } = await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition }));
  const rotated = [secretArn, ...copies.flatMap((copy) => (copy.kind === 'secret' ? [copy.secretArn] : []))];
  const references = (described?.containerDefinitions ?? []).flatMap(({ secrets = [] }) =>
    secrets.flatMap(({ valueFrom = '' }) =>
      rotated.some((arn) => valueFrom.startsWith(arn)) ? [valueFrom] : [],
    ),
  );
  return references.find((reference) => {
    const [, , , , , , , , stage = '', id = ''] = reference.split(':');
    return id !== '' || (stage !== '' && stage !== 'AWSCURRENT');
  });
}

/** The tasks of a service that are not over, those that are being stopped too. */
export async function livingTasks(
  ecs: ECSClient,
  { clusterArn: cluster, name: serviceName }: ServiceAddress,
): Promise<Task[]> {
  const living: Task[] = [];
  for (const desiredStatus of ['RUNNING', 'STOPPED'] as const) {
    const pages = paginateListTasks(
      { client: ecs, pageSize: TASKS },
      { cluster, serviceName, desiredStatus },
    );
    for await (const { taskArns = [] } of pages) {
      if (taskArns.length === 0) continue;
      const { tasks = [] } = await ecs.send(new DescribeTasksCommand({ cluster, tasks: taskArns }));
      living.push(...tasks.filter(({ lastStatus }) => lastStatus !== 'STOPPED' && lastStatus !== 'DELETED'));
    }
  }
  return living;
}

/** Whether a task may have been given its credential before a moment. */
export function isOlder({ createdAt }: Task, moment: number): boolean {
  return (createdAt?.getTime() ?? 0) < moment;
}

/** The tasks of services that are not over and may have been given their credential before a moment. */
export async function olderTasks(
  ecs: ECSClient,
  services: ServiceAddress[],
  moment: number,
): Promise<{ service: string; taskArn: string }[]> {
  const older: { service: string; taskArn: string }[] = [];
  for (const service of services)
    for (const task of await livingTasks(ecs, service))
      if (isOlder(task, moment)) older.push({ service: service.name, taskArn: task.taskArn ?? '' });
  return older;
}

/** What ECS last said of a service. */
export function lastEvents({ events = [] }: Service): string {
  return events
    .slice(0, EVENTS)
    .map(({ message = '' }) => message)
    .join(' ');
}
