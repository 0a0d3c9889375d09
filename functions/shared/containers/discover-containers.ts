import {
  type Container,
  DescribeContainerInstancesCommand,
  DescribeTasksCommand,
  type ECSClient,
  paginateListTasks,
  ServiceNotActiveException,
  ServiceNotFoundException,
  type Task,
} from '@aws-sdk/client-ecs';
import type { ContainerRole, ContainersSettings } from './settings.ts';

/** A running container that work is to be done in. */
export interface FoundContainer {
  role: string;
  service: string;
  taskArn: string;
  container: string;
  /** Docker's id where Docker runs it; changes when the container is started anew. */
  runtimeId: string;
  /** Of ECS; absent on Fargate. */
  containerInstanceArn?: string;
  /** With `run-command`: the EC2 instance that it runs on. */
  instanceId?: string;
  /** With `run-command`. */
  documentName?: string;
}

/** A task of a service in which no work can be done now. */
export interface TaskNotReady {
  service: string;
  taskArn: string;
  /** What ECS says of it, such as `PENDING`. */
  status: string;
}

export interface Discovery {
  containers: FoundContainer[];
  notReady: TaskNotReady[];
  /** Services that are not in the cluster, or have no running container of the name: with the reason. */
  missing: { service: string; reason: string }[];
}

/** ECS's limit, of pages of ListTasks as of both describing operations. */
const PAGE = 100;

/**
 * Every running container of the services, and what could not be counted as one.
 * Two calls for each hundred tasks and service; with `run-command` one more for each hundred container instances.
 */
export async function discoverContainers(ecs: ECSClient, settings: ContainersSettings): Promise<Discovery> {
  const found: Discovery = { containers: [], notReady: [], missing: [] };
  for (const role of settings.roles)
    for (const service of role.services) {
      const arns = await taskArns(ecs, settings.clusterArn, service);
      if ('missing' in arns) found.missing.push({ service, reason: arns.missing });
      else if (arns.pages.length === 0) found.missing.push({ service, reason: 'It has no running task.' });
      else
        for (const page of arns.pages) {
          const { tasks = [], failures = [] } = await ecs.send(
            new DescribeTasksCommand({ cluster: settings.clusterArn, tasks: page }),
          );
          for (const { arn = '', reason = '' } of failures)
            found.notReady.push({ service, taskArn: arn, status: reason });
          for (const task of tasks) sort(task, service, role, found);
        }
    }
  if (settings.reach === 'run-command') await findInstances(ecs, settings.clusterArn, found.containers);
  return found;
}

async function taskArns(
  ecs: ECSClient,
  cluster: string,
  serviceName: string,
): Promise<{ pages: string[][] } | { missing: string }> {
  const pages: string[][] = [];
  try {
    for await (const page of paginateListTasks(
      { client: ecs, pageSize: PAGE },
      { cluster, serviceName, desiredStatus: 'RUNNING' },
    ))
      if (page.taskArns?.length) pages.push(page.taskArns);
  } catch (error) {
    if (error instanceof ServiceNotFoundException || error instanceof ServiceNotActiveException)
      return { missing: 'There is no such service in the cluster.' };
    throw error;
  }
  return { pages };
}

function sort(task: Task, service: string, role: ContainerRole, found: Discovery): void {
  const { taskArn = '', lastStatus = '', desiredStatus = '', containers = [] } = task;
  const container = containers.find(({ name }) => name === role.container);
  const status = desiredStatus === 'STOPPED' ? 'STOPPING' : lastStatus;
  if (status !== 'RUNNING') found.notReady.push({ service, taskArn, status });
  else if (!container)
    found.missing.push({
      service,
      reason: `Its task ${taskIdOf(taskArn)} has no container ${role.container}, but ${namesOf(containers)}.`,
    });
  else if (container.lastStatus !== 'RUNNING' || !container.runtimeId)
    found.notReady.push({
      service,
      taskArn,
      status: `container ${role.container} ${container.lastStatus ?? 'without id'}`,
    });
  else
    found.containers.push({
      role: role.name,
      service,
      taskArn,
      container: role.container,
      runtimeId: container.runtimeId,
      ...(task.containerInstanceArn && { containerInstanceArn: task.containerInstanceArn }),
      ...(role.documentName && { documentName: role.documentName }),
    });
}

function namesOf(containers: Container[]): string {
  return containers.map(({ name }) => name).join(', ') || 'none at all';
}

async function findInstances(ecs: ECSClient, cluster: string, containers: FoundContainer[]): Promise<void> {
  const arns = [...new Set(containers.flatMap(({ containerInstanceArn }) => containerInstanceArn ?? []))];
  const ids = new Map<string, string>();
  for (let start = 0; start < arns.length; start += PAGE) {
    const { containerInstances = [] } = await ecs.send(
      new DescribeContainerInstancesCommand({
        cluster,
        containerInstances: arns.slice(start, start + PAGE),
      }),
    );
    for (const { containerInstanceArn, ec2InstanceId } of containerInstances)
      if (containerInstanceArn && ec2InstanceId) ids.set(containerInstanceArn, ec2InstanceId);
  }
  for (const container of containers) {
    const instanceId = ids.get(container.containerInstanceArn ?? '');
    if (instanceId) container.instanceId = instanceId;
  }
}

/** The last part of a task's ARN, by which people know it. */
export function taskIdOf(taskArn: string): string {
  return taskArn.slice(taskArn.lastIndexOf('/') + 1);
}
