import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { TaskContainer } from '../containers/container.ts';
import type { DockerHost } from '../containers/docker-host.ts';
import { taskDefinitionArn } from './arns.ts';
import { type Capacity, type Definition, type EcsTask, type ServiceOptions, TAKES } from './task.ts';

/** How a service changes its tasks, in ECS's words. */
export type DeploymentStrategy = 'ROLLING' | 'BLUE_GREEN' | 'LINEAR' | 'CANARY';

/** What is wrong with a service, as long as it stands. */
export type ServiceFault =
  /** The containers of new tasks exit soon after their start. */
  | 'tasks-exit'
  /** New tasks find no room. */
  | 'no-room';

export interface ManagedServiceOptions extends ServiceOptions {
  desiredCount: number;
  /** @default 100 */
  minimumHealthyPercent?: number;
  /** @default 200 */
  maximumPercent?: number;
  /** @default 'ROLLING' */
  strategy?: DeploymentStrategy;
  /** Of the others: between the new tasks' health and the end of the old ones. @default 5 */
  bakeTimeInMinutes?: number;
  /** @default none */
  circuitBreaker?: { rollback: boolean };
  /** Of its tasks, from the start of the containers. @default as without a health check and a load balancer */
  healthyAfterSeconds?: number;
  /** @default 'ECS' */
  controller?: 'ECS' | 'CODE_DEPLOY' | 'EXTERNAL';
  /** The `secrets` of its container. @default none */
  secrets?: { name: string; valueFrom: string }[];
  /** The `environment` of its container. @default none */
  environment?: { name: string; value: string }[];
  /** What else its task definition says. A fault can change it. @default nothing */
  definition?: Definition;
  /** Of the service. A fault can set it. @default as its tasks have it */
  enableExecuteCommand?: boolean;
  /** Of its task definition. @default 'ACTIVE' */
  definitionStatus?: 'ACTIVE' | 'INACTIVE';
  /** One task on each instance, as many as are desired here. @default 'REPLICA' */
  schedulingStrategy?: 'REPLICA' | 'DAEMON';
  /** @default not said */
  capacity?: Capacity;
  /** Behind one its deployments have no `rolloutState`. @default none */
  classicLoadBalancer?: string;
  /** Its target groups, by ARN. @default none */
  loadBalancers?: { targetGroupArn: string; containerName: string; containerPort: number }[];
  /** The container instance of its tasks. @default Fargate */
  host?: DockerHost;
  /** Starts the containers of a task, which are given their secrets at this moment. */
  start(): Promise<TaskContainer[]>;
  /** Containers of so many tasks, as desired, that have long been running. @default none: its first deployment starts them */
  running?: TaskContainer[][];
}

/** A deployment of a service: its first one, or one that UpdateService made. */
export interface ServiceDeployment {
  /** `ecs-svc/…`, as in the service's `deployments`. */
  id: string;
  /** Of the service deployment, which all strategies have. */
  arn: string;
  created: number;
  updated: number;
  state: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED';
  reason: string;
  failedTasks: number;
  /** When all its tasks were healthy. */
  healthySince: number | undefined;
  /** Superseded by a roll-back or a later deployment. */
  replaced: 'ROLLBACK_SUCCESSFUL' | 'STOPPED' | undefined;
}

/** A task without a health check and a load balancer counts as healthy so long after its start (`DeploymentConfiguration`). Seconds. */
const HEALTHY_AFTER = 40;
/** The time after which a container with the fault exits, and after which its task is started again. */
const EXITS_AFTER = 5_000;
/** The circuit breaker counts half the desired tasks, within these bounds (`DeploymentCircuitBreaker`). */
const BREAKER_AT_LEAST = 3;
const BREAKER_AT_MOST = 200;
const MINUTE = 60_000;
/** At most so long ECS waits with a task that keeps failing (Developer Guide, service throttle logic). */
const LONGEST_THROTTLE = 27 * MINUTE;

/** What a service needs of its cluster. */
interface Tasks {
  readonly clock: Clock;
  /** Of the service, the ended ones left out. */
  alive(): EcsTask[];
  add(containers?: TaskContainer[]): EcsTask;
}

/** A service whose tasks ECS starts and replaces by itself, within its minimum and maximum percent. */
export class ManagedService {
  readonly options: ManagedServiceOptions;
  /** A fault can change it. */
  fault: ServiceFault | undefined;
  /** The newest first. */
  readonly deployments: ServiceDeployment[] = [];
  /** All that ever were, the newest first. */
  readonly everyDeployment: ServiceDeployment[] = [];
  readonly events: { id: string; createdAt: Date; message: string }[] = [];
  /** The lowest number of tasks that ran and were not being stopped, since the first deployment was steady. */
  fewestRunning = Number.POSITIVE_INFINITY;
  readonly #arn: string;
  readonly #tasks: Tasks;
  readonly #deploymentOf = new Map<EcsTask, ServiceDeployment>();
  readonly #healthyAt = new Map<EcsTask, number>();
  #steady = false;
  #wasSteady = false;
  #nextTry = 0;
  /** Tasks that ended by themselves since the service was last steady. */
  #failures = 0;

  constructor(arn: string, options: ManagedServiceOptions, tasks: Tasks) {
    this.#arn = arn;
    this.options = options;
    this.#tasks = tasks;
    const deployment = this.deploy();
    for (const containers of options.running ?? []) {
      const task = this.#tasks.add(containers);
      this.#deploymentOf.set(task, deployment);
      this.#healthyAt.set(task, task.createdAt);
      this.#watch(task);
    }
  }

  /** The number of tasks below which a deployment must not go, and the one above which it must not. */
  get bounds(): { keep: number; cap: number } {
    const { desiredCount, minimumHealthyPercent = 100, maximumPercent = 200 } = this.options;
    return {
      keep: Math.ceil((desiredCount * minimumHealthyPercent) / 100),
      cap: Math.floor((desiredCount * maximumPercent) / 100),
    };
  }

  /** Begins a deployment that replaces every task. */
  deploy(): ServiceDeployment {
    const { now } = this.#tasks.clock;
    const number = randomBytes(8).readBigUInt64BE().toString().padStart(19, '0').slice(0, 19);
    const deployment: ServiceDeployment = {
      id: `ecs-svc/${number}`,
      arn: `${this.#arn.replace(':service/', ':service-deployment/')}/${number}`,
      created: now(),
      updated: now(),
      state: 'IN_PROGRESS',
      reason: `ECS deployment ecs-svc/${number} in progress.`,
      failedTasks: 0,
      healthySince: undefined,
      replaced: undefined,
    };
    for (const before of this.deployments) if (before.state === 'IN_PROGRESS') before.replaced = 'STOPPED';
    this.deployments.unshift(deployment);
    this.everyDeployment.unshift(deployment);
    this.#steady = false;
    this.#later(0);
    return deployment;
  }

  /** Ends a task as StopTask does; another takes its place. */
  stopTask(task: EcsTask, reason: string): void {
    if (task.desiredStatus === 'STOPPED') return;
    task.desiredStatus = 'STOPPED';
    task.stoppedReason = reason;
    this.#steady = false;
    this.#at(TAKES.stop, () => task.stop(reason));
    this.#later(0);
  }

  /** The deployment that started a task. */
  startedBy(task: EcsTask): string | undefined {
    return this.#deploymentOf.get(task)?.id;
  }

  #later(milliseconds: number): void {
    this.#at(milliseconds, () => this.#schedule());
  }

  #at(milliseconds: number, task: () => void | Promise<void>): void {
    const { clock } = this.#tasks;
    clock.at(clock.now() + milliseconds, task);
  }

  /** One turn of ECS's service scheduler. */
  #schedule(): void {
    const { desiredCount, strategy = 'ROLLING' } = this.options;
    const [primary] = this.deployments;
    if (primary === undefined) return;
    const alive = this.#tasks.alive();
    const active = alive.filter(({ desiredStatus }) => desiredStatus === 'RUNNING');
    const mine = active.filter((task) => this.#deploymentOf.get(task) === primary);
    const others = active.filter((task) => !mine.includes(task));
    this.#stopOld(primary, mine, others);
    const serving = active.filter(
      ({ desiredStatus, lastStatus }) => desiredStatus === 'RUNNING' && lastStatus === 'RUNNING',
    ).length;
    if (this.#wasSteady) this.fewestRunning = Math.min(this.fewestRunning, serving);
    // The two fleets of the other strategies do not share the room.
    const room = strategy === 'ROLLING' ? this.bounds.cap - alive.length : desiredCount;
    const missing = Math.max(0, Math.min(desiredCount - mine.length, room));
    if (missing > 0 && this.fault === 'no-room') this.#findNoRoom();
    else for (let started = 0; started < missing; started++) this.#start(primary);
    if (primary.state === 'FAILED') return;
    const stopping = alive.some(({ desiredStatus }) => desiredStatus === 'STOPPED');
    const done = mine.filter((task) => this.#isHealthy(task)).length === desiredCount && others.length === 0;
    if (!done || stopping || this.#steady) return;
    this.#steady = true;
    this.#wasSteady = true;
    this.#failures = 0;
    this.deployments.length = 1;
    this.#event('has reached a steady state.');
    if (primary.state === 'COMPLETED') return;
    Object.assign(primary, {
      state: 'COMPLETED',
      updated: this.#tasks.clock.now(),
      reason: `ECS deployment ${primary.id} completed.`,
    });
    this.#event(`(deployment ${primary.id}) deployment completed.`);
  }

  #stopOld(primary: ServiceDeployment, mine: EcsTask[], others: EcsTask[]): void {
    const { desiredCount, strategy = 'ROLLING', bakeTimeInMinutes = 5 } = this.options;
    const healthy = mine.filter((task) => this.#isHealthy(task)).length;
    if (strategy !== 'ROLLING') {
      if (healthy < desiredCount || others.length === 0) return;
      const { now } = this.#tasks.clock;
      if (primary.healthySince === undefined) {
        primary.healthySince = now();
        this.#later(bakeTimeInMinutes * MINUTE);
      } else if (now() >= primary.healthySince + bakeTimeInMinutes * MINUTE) {
        for (const task of others) this.stopTask(task, `(service ${this.options.service}) clean-up`);
      }
      return;
    }
    let serving = healthy + others.filter((task) => this.#isHealthy(task)).length;
    for (const task of others) {
      const isServing = this.#isHealthy(task);
      if (isServing && serving - 1 < this.bounds.keep) continue;
      if (isServing) serving -= 1;
      this.stopTask(task, `(deployment ${primary.id}) scaling activity`);
    }
  }

  #isHealthy(task: EcsTask): boolean {
    const since = this.#healthyAt.get(task);
    return task.lastStatus === 'RUNNING' && since !== undefined && since <= this.#tasks.clock.now();
  }

  #findNoRoom(): void {
    const { clock } = this.#tasks;
    if (clock.now() < this.#nextTry) return;
    this.#nextTry = clock.now() + MINUTE;
    this.#event(
      'was unable to place a task because no container instance met all of its requirements. The closest matching container-instance has insufficient memory available.',
    );
    this.#later(MINUTE);
  }

  #start(deployment: ServiceDeployment): void {
    const task = this.#tasks.add();
    this.#deploymentOf.set(task, deployment);
    this.#at(TAKES.start, async () => {
      if (task.desiredStatus === 'STOPPED') return;
      const containers = await this.options.start();
      const { now } = this.#tasks.clock;
      task.run(containers, now());
      this.#watch(task);
      if (this.fault === 'tasks-exit') {
        this.#at(EXITS_AFTER, async () => {
          await Promise.all(containers.map((container) => container.kill()));
        });
        return;
      }
      const { healthyAfterSeconds = HEALTHY_AFTER } = this.options;
      this.#healthyAt.set(task, now() + healthyAfterSeconds * 1000);
      this.#later(0);
      this.#later(healthyAfterSeconds * 1000);
    });
  }

  #watch(task: EcsTask): void {
    for (const container of task.containers) void container.stopped.then(() => this.#ended(task));
  }

  #ended(task: EcsTask): void {
    const deployment = this.#deploymentOf.get(task);
    const wasWanted = task.stoppedReason === 'Essential container in task exited';
    if (wasWanted) {
      this.#failures += 1;
      this.#event(`has stopped 1 running tasks: (task ${task.id}). ${task.stoppedReason}.`);
    }
    if (deployment?.state === 'IN_PROGRESS' && wasWanted) {
      deployment.failedTasks += 1;
      this.#break(deployment);
    }
    this.#steady = false;
    // ECS starts a task that keeps failing ever later; how much later each time is not published.
    const wait = this.#failures === 0 ? 0 : EXITS_AFTER * 2 ** (this.#failures - 1);
    this.#later(Math.min(LONGEST_THROTTLE, wait));
  }

  #break(deployment: ServiceDeployment): void {
    const { circuitBreaker, desiredCount } = this.options;
    const threshold = Math.min(BREAKER_AT_MOST, Math.max(BREAKER_AT_LEAST, Math.ceil(desiredCount / 2)));
    if (circuitBreaker === undefined || deployment.failedTasks < threshold) return;
    deployment.state = 'FAILED';
    deployment.reason = 'ECS deployment circuit breaker: tasks failed to start.';
    this.#event(`(deployment ${deployment.id}) deployment failed: tasks failed to start.`);
    if (!circuitBreaker.rollback) return;
    this.deployments.splice(this.deployments.indexOf(deployment), 1);
    deployment.replaced = 'ROLLBACK_SUCCESSFUL';
    this.#event('rolling back to the last completed deployment.');
    this.fault = undefined;
    this.deploy();
  }

  #event(text: string): void {
    this.events.unshift({
      id: randomBytes(8).toString('hex'),
      createdAt: new Date(this.#tasks.clock.now()),
      message: `(service ${this.options.service}) ${text}`,
    });
  }
}

/** As DescribeServiceDeployments gives it. */
export function describeDeployment(serviceArn: string, deployment: ServiceDeployment) {
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

/** What DescribeServices tells of it besides what it tells of any service. */
export function describeManaged(service: ManagedService, arn: string, tasks: EcsTask[]) {
  const { desiredCount, minimumHealthyPercent, maximumPercent, strategy, circuitBreaker, controller } =
    service.options;
  const { classicLoadBalancer, loadBalancers } = service.options;
  const alive = tasks.filter(({ lastStatus }) => lastStatus !== 'STOPPED');
  const inState = (of: EcsTask[], status: string) =>
    of.filter(({ lastStatus }) => lastStatus === status).length;
  return {
    desiredCount,
    runningCount: inState(alive, 'RUNNING'),
    pendingCount: inState(alive, 'PENDING'),
    schedulingStrategy: service.options.schedulingStrategy ?? ('REPLICA' as const),
    ...(loadBalancers !== undefined && { loadBalancers }),
    ...(classicLoadBalancer !== undefined && {
      loadBalancers: [
        { loadBalancerName: classicLoadBalancer, containerName: service.options.service, containerPort: 80 },
      ],
    }),
    deploymentController: { type: controller ?? ('ECS' as const) },
    taskDefinition: taskDefinitionArn(arn, service.options.family),
    ...service.options.capacity,
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
        taskDefinition: taskDefinitionArn(arn, service.options.family),
        desiredCount: index === 0 ? desiredCount : 0,
        runningCount: inState(mine, 'RUNNING'),
        pendingCount: inState(mine, 'PENDING'),
        failedTasks: deployment.failedTasks,
        createdAt: new Date(deployment.created),
        updatedAt: new Date(deployment.updated),
        // Only rolling updates have it, and not behind a Classic Load Balancer.
        ...((strategy ?? 'ROLLING') === 'ROLLING' &&
          classicLoadBalancer === undefined && {
            rolloutState: deployment.state,
            rolloutStateReason: deployment.reason,
          }),
      };
    }),
  };
}
