import {
  type Container,
  DescribeContainerInstancesCommand,
  DescribeTasksCommand,
  type ECSClient,
  ListTasksCommand,
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
 * Pages whose containers are one durable step: on EC2 about 130 bytes for each container, of the 262,144 that a step's
 * result may have.
 */
const PAGES = 8;

/** Keeps the result of one piece of the work, so that it is not done again. */
export type InStep = <Result>(name: string, work: () => Promise<Result>) => Promise<Result>;

/** What one step finds of a service, said as shortly as 800 containers need. */
interface Part {
  /** What all of its tasks' ARNs begin with. */
  arnPrefix: string;
  /** Task, runtime id and, with `run-command`, EC2 instance. */
  containers: [taskId: string, runtimeId: string, instanceId?: string][];
  notReady: [taskId: string, status: string][];
  /** Task, and the names of the containers that it has. */
  without: [taskId: string, containers: string][];
  missing?: string;
  next?: string;
}

/**
 * Every running container of the services, and what could not be counted as one.
 * Two calls for each hundred tasks and service; with `run-command` one more for each hundred container instances.
 */
export async function discoverContainers(
  ecs: ECSClient,
  settings: ContainersSettings,
  inStep: InStep = (_, work) => work(),
): Promise<Discovery> {
  const found: Discovery = { containers: [], notReady: [], missing: [] };
  for (const role of settings.roles)
    for (const service of role.services) {
      let next: string | undefined;
      let tasks = 0;
      const seen = new Set<string>();
      do {
        const name = `find containers of ${service}${next === undefined ? '' : `, from task ${tasks + 1}`}`;
        const from = next;
        const part = await inStep(name, () => findPart(ecs, settings, role, service, from));
        tasks += part.containers.length + part.notReady.length + part.without.length;
        next = part.next;
        add(found, unseen(part, seen), role, service);
      } while (next !== undefined);
      const nothing = found.missing.some((each) => each.service === service);
      if (tasks === 0 && !nothing) found.missing.push({ service, reason: 'It has no running task.' });
    }
  return found;
}

/** Without the tasks of which an earlier page told: they come and go while the pages are asked for. */
function unseen(part: Part, seen: Set<string>): Part {
  const isNew = ([taskId]: readonly [string, ...unknown[]]) => !seen.has(taskId) && seen.add(taskId);
  return {
    ...part,
    containers: part.containers.filter(isNew),
    notReady: part.notReady.filter(isNew),
    without: part.without.filter(isNew),
  };
}

function add(found: Discovery, part: Part, role: ContainerRole, service: string): void {
  const { arnPrefix } = part;
  if (part.missing !== undefined) found.missing.push({ service, reason: part.missing });
  for (const [taskId, names] of part.without)
    found.missing.push({
      service,
      reason: `Its task ${taskId} has no container ${role.container}, but ${names}.`,
    });
  for (const [taskId, status] of part.notReady)
    found.notReady.push({ service, taskArn: arnPrefix + taskId, status });
  for (const [taskId, runtimeId, instanceId] of part.containers)
    found.containers.push({
      role: role.name,
      service,
      taskArn: arnPrefix + taskId,
      container: role.container,
      runtimeId,
      ...(instanceId && { instanceId }),
      ...(role.documentName && { documentName: role.documentName }),
    });
}

async function findPart(
  ecs: ECSClient,
  { clusterArn: cluster, reach }: ContainersSettings,
  role: ContainerRole,
  serviceName: string,
  from: string | undefined,
): Promise<Part> {
  const part: Part = { arnPrefix: '', containers: [], notReady: [], without: [] };
  const instances = new Map<string, string>();
  let nextToken = from;
  for (let page = 0; page < PAGES; page += 1) {
    let arns: string[];
    try {
      const listed = await ecs.send(
        new ListTasksCommand({ cluster, serviceName, desiredStatus: 'RUNNING', maxResults: PAGE, nextToken }),
      );
      arns = listed.taskArns ?? [];
      nextToken = listed.nextToken;
    } catch (error) {
      if (error instanceof ServiceNotFoundException || error instanceof ServiceNotActiveException)
        return { ...part, missing: 'There is no such service in the cluster.' };
      throw error;
    }
    if (arns.length > 0) {
      const { tasks = [], failures = [] } = await ecs.send(
        new DescribeTasksCommand({ cluster, tasks: arns }),
      );
      part.arnPrefix ||= prefixOf(arns[0] ?? '');
      for (const { arn = '', reason = '' } of failures) part.notReady.push([taskIdOf(arn), reason]);
      for (const task of tasks) sort(task, role, part, instances);
    }
    if (nextToken === undefined) break;
  }
  if (reach === 'run-command') await findInstances(ecs, cluster, part, instances);
  return { ...part, ...(nextToken !== undefined && { next: nextToken }) };
}

/** @param instances gets the container instance of each runtime id */
function sort(task: Task, role: ContainerRole, part: Part, instances: Map<string, string>): void {
  const { taskArn = '', lastStatus = '', desiredStatus = '', containers = [] } = task;
  const taskId = taskIdOf(taskArn);
  const container = containers.find(({ name }) => name === role.container);
  const status = desiredStatus === 'STOPPED' ? 'STOPPING' : lastStatus;
  if (status !== 'RUNNING') part.notReady.push([taskId, status]);
  else if (!container) part.without.push([taskId, namesOf(containers)]);
  else if (container.lastStatus !== 'RUNNING' || !container.runtimeId)
    part.notReady.push([taskId, `container ${role.container} ${container.lastStatus ?? 'without id'}`]);
  else {
    part.containers.push([taskId, container.runtimeId]);
    if (task.containerInstanceArn) instances.set(container.runtimeId, task.containerInstanceArn);
  }
}

function namesOf(containers: Container[]): string {
  return containers.map(({ name }) => name).join(', ') || 'none at all';
}

async function findInstances(
  ecs: ECSClient,
  cluster: string,
  part: Part,
  instances: Map<string, string>,
): Promise<void> {
  const arns = [...new Set(instances.values())];
  const ids = new Map<string, string>();
  for (let start = 0; start < arns.length; start += PAGE) {
    const { containerInstances = [] } = await ecs.send(
      new DescribeContainerInstancesCommand({ cluster, containerInstances: arns.slice(start, start + PAGE) }),
    );
    for (const { containerInstanceArn, ec2InstanceId } of containerInstances)
      if (containerInstanceArn && ec2InstanceId) ids.set(containerInstanceArn, ec2InstanceId);
  }
  for (const container of part.containers) {
    const instanceId = ids.get(instances.get(container[1]) ?? '');
    if (instanceId !== undefined) container[2] = instanceId;
  }
}

function prefixOf(taskArn: string): string {
  return taskArn.slice(0, taskArn.lastIndexOf('/') + 1);
}

/** The last part of a task's ARN, by which people know it. */
export function taskIdOf(taskArn: string): string {
  return taskArn.slice(taskArn.lastIndexOf('/') + 1);
}
