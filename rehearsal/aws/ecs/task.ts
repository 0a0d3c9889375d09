import { randomBytes } from 'node:crypto';
import type {
  ContainerDefinition,
  Container as ListedContainer,
  Service as ListedService,
  Task as ListedTask,
  TaskDefinition,
  TaskStopCode,
} from '@aws-sdk/client-ecs';
import { Container, type TaskContainer } from '../containers/container.ts';
import type { DockerHost } from '../containers/docker-host.ts';
import type { Place } from '../place.ts';
import { clusterArn, lastPart, serviceArn, taskDefinitionArn } from './arns.ts';

/** What of a task takes time, in milliseconds. */
export const TAKES = {
  /** From its beginning to its containers' start: placement, network, image. */
  start: 10_000,
  /** From StopTask to the end of the containers: they get SIGTERM, and at most 30 seconds. */
  stop: 4_000,
};

export interface ServiceOptions extends Place {
  /** Its name; made by its first service. */
  cluster: string;
  service: string;
  /** Of its task definition. @default its name */
  family?: string;
}

/** What a task definition says besides its family and its containers' names. A fault can change it. */
export interface Definition
  extends Pick<TaskDefinition, 'taskRoleArn' | 'executionRoleArn' | 'networkMode' | 'pidMode' | 'volumes'> {
  /** Of each of its containers; the name of one of which no task runs. */
  container?: Partial<ContainerDefinition>;
  /** Containers that are in no task here. */
  others?: ContainerDefinition[];
  /** Its containers without which the task goes on. @default none: it ends with the first of them */
  inessential?: string[];
}

/** Where and on what a service's tasks run. */
export type Capacity = Pick<
  ListedService,
  'launchType' | 'capacityProviderStrategy' | 'networkConfiguration' | 'platformVersion'
>;

export interface TaskOptions extends ServiceOptions {
  /** Its containers, which run already; none while it only begins. The task stops with the first of them. */
  containers: TaskContainer[];
  /** The container instance that it runs on. @default Fargate */
  host?: DockerHost;
  /** Of a task that belongs to no service, as RunTask starts it: the service's name is its family. @default false */
  isAlone?: boolean;
  /** The `secrets` of the container of such a task. @default none */
  secrets?: { name: string; valueFrom: string }[];
  /** What else its task definition says. @default nothing */
  definition?: Definition;
  /** As RunTask was given it. */
  startedBy?: string;
  /** As RunTask was given them. @default none */
  tags?: Record<string, string>;
}

/** A task that runs, is about to, or is ending. */
export class EcsTask {
  readonly id = randomBytes(16).toString('hex');
  readonly arn: string;
  readonly clusterArn: string;
  readonly service: string;
  readonly family: string;
  readonly host: DockerHost | undefined;
  readonly isAlone: boolean;
  readonly secrets: { name: string; valueFrom: string }[];
  readonly definition: Definition;
  readonly startedBy: string | undefined;
  readonly tags: Record<string, string>;
  /** Of Fargate. A fault can change it. */
  platformVersion = '1.4.0';
  readonly containers: TaskContainer[];
  readonly createdAt: number;
  startedAt: number | undefined;
  /** As ECS says it. A fault can change it. */
  lastStatus: string;
  desiredStatus: 'RUNNING' | 'STOPPED' = 'RUNNING';
  stoppedReason: string | undefined;
  /** @default that a container ended by which the task stands or falls */
  stopCode: TaskStopCode = 'EssentialContainerExited';
  stoppedAt: number | undefined;
  /** Whether it was started with ECS Exec. A fault can change it. */
  enableExecuteCommand = true;
  /**
   * With `pidMode: task`: the one container in which ECS Exec's agent runs, with one session at once. A fault can set
   * it. Undefined where each container has its own agent.
   */
  agentIn: TaskContainer | undefined;
  /** The role in place of that of the task definition, as RunTask takes it. A fault can set it. */
  taskRoleArn: string | undefined;
  /** Whether ECS Exec's agents have connected to Session Manager. A fault can change it. */
  connected = true;
  /** Ends the containers that go on when it ends by one of them. @default at once */
  endOthers: (() => void) | undefined;
  /** How containers ended of which that is known. */
  readonly ends = new Map<TaskContainer, { exitCode?: number; reason?: string }>();
  readonly #dockerIds = new Map<TaskContainer, string>();

  constructor(options: TaskOptions, createdAt: number) {
    const { account, region, cluster, containers } = options;
    this.arn = `arn:aws:ecs:${region}:${account}:task/${cluster}/${this.id}`;
    this.clusterArn = clusterArn(cluster, options);
    this.service = options.service;
    this.family = options.family ?? options.service;
    this.host = options.host;
    this.isAlone = options.isAlone ?? false;
    this.secrets = options.secrets ?? [];
    this.definition = options.definition ?? {};
    this.startedBy = options.startedBy;
    this.tags = options.tags ?? {};
    this.containers = [];
    this.createdAt = createdAt;
    this.lastStatus = 'PENDING';
    if (containers.length > 0) this.run(containers, createdAt);
  }

  /** Its containers run from now on. */
  run(containers: TaskContainer[], startedAt: number): void {
    this.containers.push(...containers);
    for (const container of containers) container.address = this.containers[0]?.address;
    this.startedAt = startedAt;
    this.lastStatus = 'RUNNING';
    for (const container of containers) {
      void container.stopped.then(() => this.#containerStopped(container));
      if (this.host === undefined) continue;
      if (!(container instanceof Container))
        throw new Error(`Docker cannot run ${container.name}: no process does.`);
      const id = randomBytes(32).toString('hex');
      this.#dockerIds.set(container, id);
      this.host.add(container, {
        id,
        labels: {
          'com.amazonaws.ecs.cluster': lastPart(this.clusterArn),
          'com.amazonaws.ecs.container-name': container.name,
          'com.amazonaws.ecs.task-arn': this.arn,
        },
      });
    }
  }

  /** On Fargate, once its containers run: in a network of its own, where the system has addresses for that. */
  get address(): string | undefined {
    return this.host === undefined ? this.containers[0]?.address : undefined;
  }

  /** Docker's id, or what Fargate shows for it. */
  runtimeId(container: TaskContainer): string {
    return this.#dockerIds.get(container) ?? container.runtimeId;
  }

  /** As StopTask does once the containers have had their time. */
  async stop(reason: string): Promise<void> {
    if (this.lastStatus === 'STOPPED') return;
    this.desiredStatus = 'STOPPED';
    this.stoppedReason = reason;
    this.lastStatus = this.containers.length > 0 ? 'STOPPING' : 'STOPPED';
    await Promise.all(this.containers.map((container) => container.kill()));
  }

  #containerStopped({ name }: TaskContainer): void {
    if (this.definition.inessential?.includes(name) && this.containers.some(({ running }) => running)) return;
    this.stoppedReason ??= 'Essential container in task exited';
    this.desiredStatus = 'STOPPED';
    const others = this.containers.filter(({ running }) => running);
    if (this.endOthers !== undefined && others.length > 0) {
      // While it is being stopped already, that goes on.
      if (this.lastStatus !== 'STOPPING') this.endOthers();
      return;
    }
    this.lastStatus = 'STOPPED';
    for (const container of others) void container.kill();
  }
}

/** As DescribeTasks gives it. */
export function describeTask(task: EcsTask): ListedTask {
  const { host, stoppedReason, stopCode, startedBy, stoppedAt } = task;
  return {
    taskArn: task.arn,
    clusterArn: task.clusterArn,
    group: `${task.isAlone ? 'family' : 'service'}:${task.isAlone ? task.family : task.service}`,
    taskDefinitionArn: taskDefinitionArn(serviceArn(task.clusterArn, task.service), task.family),
    launchType: host ? 'EC2' : 'FARGATE',
    ...(!host && { platformVersion: task.platformVersion }),
    lastStatus: task.lastStatus,
    desiredStatus: task.desiredStatus,
    enableExecuteCommand: task.enableExecuteCommand,
    createdAt: new Date(task.createdAt),
    ...(task.startedAt !== undefined && { startedAt: new Date(task.startedAt) }),
    ...(task.taskRoleArn !== undefined && { overrides: { taskRoleArn: task.taskRoleArn } }),
    ...(startedBy !== undefined && { startedBy }),
    ...(stoppedAt !== undefined && { stoppedAt: new Date(stoppedAt) }),
    ...(stoppedReason !== undefined && { stoppedReason, stopCode }),
    ...(host && { containerInstanceArn: instanceArn(task.clusterArn, host) }),
    ...(task.address !== undefined && {
      attachments: [
        {
          id: task.id,
          type: 'ElasticNetworkInterface',
          status: 'ATTACHED',
          details: [{ name: 'privateIPv4Address', value: task.address }],
        },
      ],
    }),
    containers: task.containers.map((container) => describeContainer(task, container)),
  };
}

function describeContainer(task: EcsTask, container: TaskContainer): ListedContainer {
  const { enableExecuteCommand, lastStatus } = task;
  return {
    containerArn: containerArn(task, container),
    taskArn: task.arn,
    name: container.name,
    runtimeId: task.runtimeId(container),
    // A container of a task that is only starting is not there yet.
    lastStatus: !container.running ? 'STOPPED' : lastStatus === 'RUNNING' ? 'RUNNING' : 'PENDING',
    ...(!container.running && (task.ends.get(container) ?? { exitCode: 137 })),
    ...(enableExecuteCommand &&
      (task.agentIn ?? container) === container && {
        managedAgents: [
          {
            name: 'ExecuteCommandAgent' as const,
            lastStatus: container.running && container.agentRunning ? 'RUNNING' : 'STOPPED',
          },
        ],
      }),
  };
}

export function instanceArn(cluster: string, { instanceId }: DockerHost): string {
  const id = instanceId.replace(/^i-/, '').padStart(32, '0');
  return `${cluster.replace(':cluster/', ':container-instance/')}/${id}`;
}

export function containerArn(task: EcsTask, container: TaskContainer): string {
  return `${task.arn.replace(':task/', ':container/')}/${container.runtimeId}`;
}

/** As Session Manager names a container: by the cluster's name, the task's id and the runtime's. */
export function sessionTarget(task: EcsTask, container: TaskContainer): string {
  return `ecs:${lastPart(task.clusterArn)}_${lastPart(task.arn)}_${task.runtimeId(container)}`;
}
