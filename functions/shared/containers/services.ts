import {
  DescribeServicesCommand,
  DescribeTasksCommand,
  type ECSClient,
  paginateListTasks,
  type Service,
  type Task,
} from '@aws-sdk/client-ecs';

/** Where a service is. */
export interface ServiceAddress {
  clusterArn: string;
  name: string;
}

/** ECS's limit, of services described at once. */
const SERVICES = 10;
/** ECS's limit, of tasks described at once and of a page of ListTasks. */
const TASKS = 100;
/** Of events that a report quotes. */
const EVENTS = 3;

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
        `The cluster ${clusterArn} has no active service ${name}, though the configuration names it. Correct the one or the other.`,
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

/** The tasks of a service that are not over, those that are being stopped too. */
export async function livingTasks(
  ecs: ECSClient,
  { clusterArn: cluster, name: serviceName }: ServiceAddress,
): Promise<Task[]> {
  const arns = new Set<string>();
  for (const desiredStatus of ['RUNNING', 'STOPPED'] as const) {
    const pages = paginateListTasks(
      { client: ecs, pageSize: TASKS },
      { cluster, serviceName, desiredStatus },
    );
    // One that is stopped meanwhile comes in both.
    for await (const { taskArns = [] } of pages) for (const arn of taskArns) arns.add(arn);
  }
  const tasks = await describeTasks(ecs, cluster, [...arns]);
  return tasks.filter(({ lastStatus }) => lastStatus !== 'STOPPED' && lastStatus !== 'DELETED');
}

/** The tasks of a cluster that are to run, of whichever service or none. */
export async function tasksOfCluster(ecs: ECSClient, cluster: string): Promise<Task[]> {
  const arns: string[] = [];
  for await (const { taskArns = [] } of paginateListTasks({ client: ecs, pageSize: TASKS }, { cluster }))
    arns.push(...taskArns);
  return describeTasks(ecs, cluster, arns);
}

async function describeTasks(ecs: ECSClient, cluster: string, arns: string[]): Promise<Task[]> {
  const found: Task[] = [];
  for (let from = 0; from < arns.length; from += TASKS) {
    const { tasks = [] } = await ecs.send(
      new DescribeTasksCommand({ cluster, tasks: arns.slice(from, from + TASKS) }),
    );
    found.push(...tasks);
  }
  return found;
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
