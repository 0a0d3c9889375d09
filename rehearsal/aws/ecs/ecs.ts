import { randomBytes } from 'node:crypto';
import type {
  DescribeClustersCommandInput,
  DescribeContainerInstancesCommandInput,
  DescribeServiceDeploymentsCommandInput,
  DescribeServicesCommandInput,
  DescribeTaskDefinitionCommandInput,
  DescribeTasksCommandInput,
  ExecuteCommandCommandInput,
  Container as ListedContainer,
  Task as ListedTask,
  ListServiceDeploymentsCommandInput,
  ListServicesCommandInput,
  ListTasksCommandInput,
  StopTaskCommandInput,
  UpdateServiceCommandInput,
} from '@aws-sdk/client-ecs';
import type { Where } from '../access/access.ts';
import { AwsError } from '../aws-error.ts';
import type { Container } from '../containers/container.ts';
import type { DockerHost } from '../containers/docker-host.ts';
import type { Aws, Call, Operations } from '../server.ts';
import type { SessionManager } from '../session-manager/session-manager.ts';
import { TokenBuckets } from '../token-bucket.ts';
import { ManagedService, type ManagedServiceOptions, type ServiceDeployment } from './service.ts';

/** Pages of ListTasks, and tasks that can be described at once. */
const PAGE = 100;
/** Services that can be described at once, and listed on a page by default. */
const SERVICES = 10;

export interface ServiceOptions extends Where {
  /** Its name; made by its first service. */
  cluster: string;
  service: string;
}

export interface TaskOptions extends ServiceOptions {
  /** Its containers, which run already; none while it only begins. The task stops with the first of them. */
  containers: Container[];
  /** The container instance that it runs on. @default Fargate */
  host?: DockerHost;
}

/** A task that runs, is about to, or is ending. */
export class EcsTask {
  readonly id = randomBytes(16).toString('hex');
  readonly arn: string;
  readonly clusterArn: string;
  readonly service: string;
  readonly host: DockerHost | undefined;
  readonly containers: Container[];
  readonly createdAt: number;
  startedAt: number | undefined;
  /** As ECS says it. A fault can change it. */
  lastStatus: string;
  desiredStatus: 'RUNNING' | 'STOPPED' = 'RUNNING';
  stoppedReason: string | undefined;
  /** Whether it was started with ECS Exec. A fault can change it. */
  enableExecuteCommand = true;
  /** Whether ECS Exec's agents have connected to Session Manager. A fault can change it. */
  connected = true;
  readonly #dockerIds = new Map<Container, string>();

  constructor(options: TaskOptions, createdAt: number) {
    const { account, region, cluster, containers } = options;
    this.arn = `arn:aws:ecs:${region}:${account}:task/${cluster}/${this.id}`;
    this.clusterArn = clusterArn(cluster, options);
    this.service = options.service;
    this.host = options.host;
    this.containers = [];
    this.createdAt = createdAt;
    this.lastStatus = 'PENDING';
    if (containers.length > 0) this.run(containers, createdAt);
  }

  /** Its containers run from now on. */
  run(containers: Container[], startedAt: number): void {
    this.containers.push(...containers);
    for (const container of containers) container.address = this.containers[0]?.address;
    this.startedAt = startedAt;
    this.lastStatus = 'RUNNING';
    for (const container of containers) {
      void container.stopped.then(() => this.#containerStopped());
      if (this.host === undefined) continue;
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
  runtimeId(container: Container): string {
    return this.#dockerIds.get(container) ?? container.runtimeId;
  }

  /** As StopTask does once the containers have had their time. */
  async stop(reason: string): Promise<void> {
    this.desiredStatus = 'STOPPED';
    this.stoppedReason = reason;
    this.lastStatus = this.containers.length > 0 ? 'STOPPING' : 'STOPPED';
    await Promise.all(this.containers.map((container) => container.kill()));
  }

  #containerStopped(): void {
    this.stoppedReason ??= 'Essential container in task exited';
    this.desiredStatus = 'STOPPED';
    this.lastStatus = 'STOPPED';
    for (const container of this.containers) if (container.running) void container.kill();
  }
}

/** Amazon ECS: clusters, services and tasks that the rehearsal starts, and ECS Exec into their containers. */
export class Ecs {
  readonly operations: Operations;
  readonly tasks: EcsTask[] = [];
  /** Published rates (Amazon ECS API reference, request throttling). */
  readonly buckets: Record<'executeCommand' | 'tasks' | 'services' | 'instances', TokenBuckets>;
  readonly #aws: Pick<Aws, 'clock'>;
  readonly #sessions: SessionManager;
  readonly #clusters = new Set<string>();
  /** Cluster ARN and name. */
  readonly #services = new Set<string>();
  /** Those that ECS keeps up, by ARN. */
  readonly #managed = new Map<string, ManagedService>();

  constructor(aws: Pick<Aws, 'clock'>, sessions: SessionManager) {
    this.#aws = aws;
    this.#sessions = sessions;
    this.buckets = {
      executeCommand: new TokenBuckets(aws.clock, { burst: 100, perSecond: 40 }),
      tasks: new TokenBuckets(aws.clock, { burst: 100, perSecond: 20 }),
      services: new TokenBuckets(aws.clock, { burst: 100, perSecond: 20 }),
      instances: new TokenBuckets(aws.clock, { burst: 100, perSecond: 20 }),
    };
    this.operations = {
      ListClusters: (_input: object, call: Call) => ({
        clusterArns: [...this.#clusters].filter((arn) => isIn(arn, call)),
      }),
      DescribeClusters: (input: DescribeClustersCommandInput, call: Call) =>
        this.#describeClusters(input, call),
      ListServices: (input: ListServicesCommandInput, call: Call) => {
        this.buckets.services.take(call);
        const arns = this.#servicesOf(this.#cluster(input.cluster, call)).map(({ arn }) => arn);
        return page(arns, input, SERVICES, 'serviceArns');
      },
      DescribeServices: (input: DescribeServicesCommandInput, call: Call) =>
        this.#describeServices(input, call),
      ListTasks: (input: ListTasksCommandInput, call: Call) => this.#listTasks(input, call),
      DescribeTasks: (input: DescribeTasksCommandInput, call: Call) => this.#describeTasks(input, call),
      DescribeContainerInstances: (input: DescribeContainerInstancesCommandInput, call: Call) =>
        this.#describeInstances(input, call),
      DescribeTaskDefinition: (input: DescribeTaskDefinitionCommandInput, call: Call) => {
        const found = [...this.#managed].find(([arn]) => taskDefinitionArn(arn) === input.taskDefinition);
        if (found === undefined || !isIn(found[0], call)) throw client('Unable to describe task definition.');
        const [arn, { options }] = found;
        return {
          taskDefinition: {
            taskDefinitionArn: taskDefinitionArn(arn),
            family: options.service,
            revision: 1,
            containerDefinitions: [{ name: options.service, secrets: options.secrets ?? [] }],
          },
        };
      },
      UpdateService: (input: UpdateServiceCommandInput, call: Call) => this.#updateService(input, call),
      StopTask: (input: StopTaskCommandInput, call: Call) => this.#stopTask(input, call),
      ListServiceDeployments: (input: ListServiceDeploymentsCommandInput, call: Call) => {
        const { arn, service } = this.#managedService(input.cluster, input.service, call);
        const { after = new Date(0), before = new Date(8.64e15) } = input.createdAt ?? {};
        return {
          serviceDeployments: service.everyDeployment
            .filter(({ created }) => created >= after.getTime() && created <= before.getTime())
            .map((deployment) => describeDeployment(arn, deployment))
            .filter(({ status }) => !input.status?.length || input.status.some((each) => each === status)),
        };
      },
      DescribeServiceDeployments: ({
        serviceDeploymentArns: arns = [],
      }: DescribeServiceDeploymentsCommandInput) => {
        const known = [...this.#managed].flatMap(([arn, { everyDeployment }]) =>
          everyDeployment.map((deployment) => describeDeployment(arn, deployment)),
        );
        return {
          serviceDeployments: known.filter(({ serviceDeploymentArn }) => arns.includes(serviceDeploymentArn)),
          failures: arns
            .filter((arn) => !known.some(({ serviceDeploymentArn }) => serviceDeploymentArn === arn))
            .map((arn) => ({ arn, reason: 'MISSING' })),
        };
      },
      ExecuteCommand: (input: ExecuteCommandCommandInput, call: Call) => this.#executeCommand(input, call),
    };
  }

  /** Makes a service that runs nothing yet, and its cluster. */
  addService({ cluster, service, ...where }: ServiceOptions): void {
    const arn = clusterArn(cluster, where);
    this.#clusters.add(arn);
    this.#services.add(`${arn} ${service}`);
  }

  /** Makes a service that keeps its tasks up and replaces them. Those that do not run yet start when the clock goes on. */
  manageService(options: ManagedServiceOptions): ManagedService {
    this.addService(options);
    const arn = serviceArn(clusterArn(options.cluster, options), options.service);
    const service = new ManagedService(arn, options, {
      clock: this.#aws.clock,
      alive: () => this.tasksOf(options).filter(({ lastStatus }) => lastStatus !== 'STOPPED'),
      add: (containers = []) => this.addTask({ ...options, containers }),
    });
    this.#managed.set(arn, service);
    return service;
  }

  /** All that a service ever had, the ended ones too. */
  tasksOf({ cluster, service, ...where }: ServiceOptions): EcsTask[] {
    const arn = clusterArn(cluster, where);
    return this.tasks.filter((task) => task.clusterArn === arn && task.service === service);
  }

  /** Starts a task of a service. */
  addTask(options: TaskOptions): EcsTask {
    this.addService(options);
    const task = new EcsTask(options, this.#aws.clock.now());
    this.tasks.push(task);
    return task;
  }

  #cluster(nameOrArn: string | undefined, where: Where): string {
    const arn = clusterArn(nameOrArn ?? 'default', where);
    if (!this.#clusters.has(arn)) throw new AwsError('ClusterNotFoundException', 'Cluster not found.');
    return arn;
  }

  #servicesOf(cluster: string): { name: string; arn: string }[] {
    return [...this.#services].flatMap((key) => {
      const [of, name = ''] = key.split(' ');
      return of === cluster ? [{ name, arn: serviceArn(cluster, name) }] : [];
    });
  }

  #describeClusters({ clusters = ['default'] }: DescribeClustersCommandInput, call: Call) {
    const arns = clusters.map((each) => clusterArn(each, call));
    return {
      clusters: arns
        .filter((arn) => this.#clusters.has(arn))
        .map((arn) => ({ clusterArn: arn, clusterName: lastPart(arn), status: 'ACTIVE' })),
      failures: arns.filter((arn) => !this.#clusters.has(arn)).map((arn) => ({ arn, reason: 'MISSING' })),
    };
  }

  #describeServices({ cluster, services = [] }: DescribeServicesCommandInput, call: Call) {
    this.buckets.services.take(call);
    if (services.length > SERVICES) throw invalid('Services cannot be more than 10.');
    const arn = this.#cluster(cluster, call);
    const known = this.#servicesOf(arn);
    const found = services.map((wanted) => ({
      wanted,
      service: known.find(({ name }) => name === lastPart(wanted)),
    }));
    return {
      services: found.flatMap(({ service }) => {
        if (service === undefined) return [];
        const tasks = this.tasks.filter((task) => task.clusterArn === arn && task.service === service.name);
        const running = tasks.filter(({ lastStatus }) => lastStatus === 'RUNNING').length;
        return [
          {
            serviceArn: service.arn,
            serviceName: service.name,
            clusterArn: arn,
            status: 'ACTIVE',
            desiredCount: tasks.filter(({ desiredStatus }) => desiredStatus === 'RUNNING').length,
            runningCount: running,
            pendingCount: tasks.length - running,
            enableExecuteCommand: tasks.every((task) => task.enableExecuteCommand),
            ...this.#describeManaged(service.arn, tasks),
          },
        ];
      }),
      failures: found
        .filter(({ service }) => service === undefined)
        .map(({ wanted }) => ({ arn: wanted, reason: 'MISSING' })),
    };
  }

  #describeManaged(arn: string, tasks: EcsTask[]) {
    const service = this.#managed.get(arn);
    if (service === undefined) return {};
    const { desiredCount, minimumHealthyPercent, maximumPercent, strategy, circuitBreaker, controller } =
      service.options;
    const alive = tasks.filter(({ lastStatus }) => lastStatus !== 'STOPPED');
    const inState = (of: EcsTask[], status: string) =>
      of.filter(({ lastStatus }) => lastStatus === status).length;
    return {
      desiredCount,
      runningCount: inState(alive, 'RUNNING'),
      pendingCount: inState(alive, 'PENDING'),
      schedulingStrategy: 'REPLICA' as const,
      deploymentController: { type: controller ?? ('ECS' as const) },
      taskDefinition: taskDefinitionArn(arn),
      deploymentConfiguration: {
        minimumHealthyPercent: minimumHealthyPercent ?? 100,
        maximumPercent: maximumPercent ?? 200,
        strategy: strategy ?? ('ROLLING' as const),
        deploymentCircuitBreaker: {
          enable: circuitBreaker !== undefined,
          rollback: circuitBreaker?.rollback ?? false,
        },
      },
      events: service.events.slice(0, 100),
      deployments: service.deployments.map((deployment, index) => {
        const mine = alive.filter((task) => service.startedBy(task) === deployment.id);
        return {
          id: deployment.id,
          status: index === 0 ? 'PRIMARY' : 'ACTIVE',
          taskDefinition: taskDefinitionArn(arn),
          desiredCount: index === 0 ? desiredCount : 0,
          runningCount: inState(mine, 'RUNNING'),
          pendingCount: inState(mine, 'PENDING'),
          failedTasks: deployment.failedTasks,
          createdAt: new Date(deployment.created),
          updatedAt: new Date(deployment.updated),
          // Only rolling updates have it.
          ...((strategy ?? 'ROLLING') === 'ROLLING' && {
            rolloutState: deployment.state,
            rolloutStateReason: deployment.reason,
          }),
        };
      }),
    };
  }

  #managedService(cluster: string | undefined, service: string | undefined, call: Call) {
    const arn = serviceArn(this.#cluster(cluster, call), lastPart(service ?? ''));
    const found = this.#managed.get(arn);
    if (found === undefined) throw new AwsError('ServiceNotFoundException', 'Service not found.');
    return { arn, service: found };
  }

  #updateService(input: UpdateServiceCommandInput, call: Call) {
    this.buckets.services.take(call);
    const { service } = this.#managedService(input.cluster, input.service, call);
    const { cluster, service: name, forceNewDeployment, ...others } = input;
    if (Object.values(others).some((value) => value !== undefined)) {
      throw invalid('the stand-in understands forceNewDeployment only');
    }
    if ((service.options.controller ?? 'ECS') !== 'ECS') {
      throw invalid('Cannot force a new deployment on services with a CODE_DEPLOY or EXTERNAL controller.');
    }
    if (forceNewDeployment) service.deploy();
    const [described] = this.#describeServices({ cluster, services: [name ?? ''] }, call).services;
    return { service: described };
  }

  #stopTask(input: StopTaskCommandInput, call: Call) {
    this.buckets.tasks.take(call);
    const cluster = this.#cluster(input.cluster, call);
    const task = this.#task(cluster, input.task);
    if (task === undefined) throw invalid('The referenced task was not found.');
    const reason = input.reason ?? 'Task stopped by user';
    const managed = this.#managed.get(serviceArn(cluster, task.service));
    if (managed === undefined) void task.stop(reason);
    else managed.stopTask(task, reason);
    return { task: describe(task) };
  }

  #listTasks(input: ListTasksCommandInput, call: Call) {
    this.buckets.tasks.take(call);
    const cluster = this.#cluster(input.cluster, call);
    const { serviceName, desiredStatus = 'RUNNING' } = input;
    if (serviceName !== undefined && !this.#services.has(`${cluster} ${lastPart(serviceName)}`)) {
      throw new AwsError('ServiceNotFoundException', 'Service not found.');
    }
    const arns = this.tasks
      .filter(
        (task) =>
          task.clusterArn === cluster &&
          task.desiredStatus === desiredStatus &&
          // A task that has ended is shown for about an hour.
          (task.lastStatus !== 'STOPPED' || desiredStatus === 'STOPPED') &&
          (serviceName === undefined || task.service === lastPart(serviceName)),
      )
      .map(({ arn }) => arn);
    return page(arns, input, PAGE, 'taskArns');
  }

  #describeTasks({ cluster, tasks = [] }: DescribeTasksCommandInput, call: Call) {
    this.buckets.tasks.take(call);
    const of = this.#cluster(cluster, call);
    if (tasks.length > PAGE) throw invalid('Tasks cannot be more than 100.');
    const found = tasks.map((wanted) => ({ wanted, task: this.#task(of, wanted) }));
    return {
      tasks: found.flatMap(({ task }) => (task === undefined ? [] : [describe(task)])),
      failures: found
        .filter(({ task }) => task === undefined)
        .map(({ wanted }) => ({ arn: wanted, reason: 'MISSING' })),
    };
  }

  #describeInstances(
    { cluster, containerInstances = [] }: DescribeContainerInstancesCommandInput,
    call: Call,
  ) {
    this.buckets.instances.take(call);
    const of = this.#cluster(cluster, call);
    if (containerInstances.length > PAGE) throw invalid('Container instances cannot be more than 100.');
    const hosts = new Map(
      this.tasks.flatMap((task) =>
        task.clusterArn === of && task.host ? [[instanceArn(of, task.host), task.host]] : [],
      ),
    );
    return {
      containerInstances: containerInstances.flatMap((arn) => {
        const host = hosts.get(arn);
        return host ? [{ containerInstanceArn: arn, ec2InstanceId: host.instanceId, status: 'ACTIVE' }] : [];
      }),
      failures: containerInstances
        .filter((arn) => !hosts.has(arn))
        .map((arn) => ({ arn, reason: 'MISSING' })),
    };
  }

  #task(cluster: string, idOrArn: string | undefined): EcsTask | undefined {
    return this.tasks.find(
      (task) => task.clusterArn === cluster && (task.arn === idOrArn || task.id === idOrArn),
    );
  }

  #executeCommand(input: ExecuteCommandCommandInput, call: Call) {
    this.buckets.executeCommand.take(call);
    const cluster = this.#cluster(input.cluster, call);
    const { command = '', interactive } = input;
    if (interactive !== true) throw invalid('Interactive is the only mode supported currently.');
    const task = this.#task(cluster, input.task);
    if (task === undefined) throw invalid('The referenced task was not found.');
    const container =
      input.container === undefined && task.containers.length === 1
        ? task.containers[0]
        : task.containers.find(({ name }) => name === input.container);
    if (container === undefined) throw invalid('Container name is missing or unknown in the task.');
    if (
      task.lastStatus !== 'RUNNING' ||
      !container.running ||
      !container.agentRunning ||
      !task.enableExecuteCommand
    ) {
      throw invalid(
        "The execute command failed because execute command was not enabled when the task was run or the execute command agent isn't running. Wait and try again or run a new task with execute command enabled and try again.",
      );
    }
    if (!task.connected) {
      throw new AwsError(
        'TargetNotConnectedException',
        'The execute command failed due to an internal error. Try again later.',
      );
    }
    return {
      clusterArn: cluster,
      taskArn: task.arn,
      containerArn: containerArn(task, container),
      containerName: container.name,
      interactive: true,
      session: this.#sessions.openSession({ container, command }),
    };
  }
}

function describe(task: EcsTask): ListedTask {
  const { host, stoppedReason } = task;
  return {
    taskArn: task.arn,
    clusterArn: task.clusterArn,
    group: `service:${task.service}`,
    launchType: host ? 'EC2' : 'FARGATE',
    lastStatus: task.lastStatus,
    desiredStatus: task.desiredStatus,
    enableExecuteCommand: task.enableExecuteCommand,
    createdAt: new Date(task.createdAt),
    ...(task.startedAt !== undefined && { startedAt: new Date(task.startedAt) }),
    ...(stoppedReason !== undefined && { stoppedReason, stopCode: 'EssentialContainerExited' as const }),
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

function describeContainer(task: EcsTask, container: Container): ListedContainer {
  const { enableExecuteCommand, lastStatus } = task;
  return {
    containerArn: containerArn(task, container),
    taskArn: task.arn,
    name: container.name,
    runtimeId: task.runtimeId(container),
    // A container of a task that is only starting is not there yet.
    lastStatus: !container.running ? 'STOPPED' : lastStatus === 'RUNNING' ? 'RUNNING' : 'PENDING',
    ...(!container.running && { exitCode: 137 }),
    ...(enableExecuteCommand && {
      managedAgents: [
        {
          name: 'ExecuteCommandAgent' as const,
          lastStatus: container.running && container.agentRunning ? 'RUNNING' : 'STOPPED',
        },
      ],
    }),
  };
}

function page<Key extends string>(
  all: string[],
  { maxResults = undefined, nextToken }: { maxResults?: number | undefined; nextToken?: string | undefined },
  size: number,
  key: Key,
): Record<string, unknown> {
  const from = Number(nextToken ?? 0);
  const to = from + (maxResults ?? size);
  return { [key]: all.slice(from, to), ...(to < all.length && { nextToken: String(to) }) };
}

function describeDeployment(serviceArn: string, deployment: ServiceDeployment) {
  const { state, replaced } = deployment;
  return {
    serviceDeploymentArn: deployment.arn,
    serviceArn,
    clusterArn: serviceArn.replace(':service/', ':cluster/').replace(/\/[^/]*$/, ''),
    createdAt: new Date(deployment.created),
    startedAt: new Date(deployment.created),
    status:
      replaced ?? (state === 'COMPLETED' ? 'SUCCESSFUL' : state === 'FAILED' ? 'STOPPED' : 'IN_PROGRESS'),
    statusReason: deployment.reason,
  };
}

function serviceArn(cluster: string, name: string): string {
  return `${cluster.replace(':cluster/', ':service/')}/${name}`;
}

/** Each service has one of its own here. */
function taskDefinitionArn(serviceArn: string): string {
  return `${serviceArn.replace(/:service\/.*$/, ':task-definition/')}${lastPart(serviceArn)}:1`;
}

function client(message: string): AwsError {
  return new AwsError('ClientException', message);
}

function invalid(message: string): AwsError {
  return new AwsError('InvalidParameterException', message);
}

/** The ARN of a cluster that is named or given by ARN. */
export function clusterArn(nameOrArn: string, { account, region }: Where): string {
  return nameOrArn.startsWith('arn:') ? nameOrArn : `arn:aws:ecs:${region}:${account}:cluster/${nameOrArn}`;
}

function instanceArn(cluster: string, { instanceId }: DockerHost): string {
  const id = instanceId.replace(/^i-/, '').padStart(32, '0');
  return `${cluster.replace(':cluster/', ':container-instance/')}/${id}`;
}

function containerArn(task: EcsTask, container: Container): string {
  return `${task.arn.replace(':task/', ':container/')}/${container.runtimeId}`;
}

function isIn(arn: string, { account, region }: Where): boolean {
  const [, , , itsRegion, itsAccount] = arn.split(':');
  return itsRegion === region && itsAccount === account;
}

function lastPart(nameOrArn: string): string {
  return nameOrArn.slice(nameOrArn.lastIndexOf('/') + 1);
}
