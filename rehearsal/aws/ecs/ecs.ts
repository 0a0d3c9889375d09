// In one file though long: a table of operations, each of a few lines.

import type {
  DescribeClustersCommandInput,
  DescribeContainerInstancesCommandInput,
  DescribeServiceDeploymentsCommandInput,
  DescribeServicesCommandInput,
  DescribeTaskDefinitionCommandInput,
  DescribeTasksCommandInput,
  ExecuteCommandCommandInput,
  ExecuteCommandConfiguration,
  ListClustersCommandInput,
  ListServiceDeploymentsCommandInput,
  ListServicesCommandInput,
  ListTasksCommandInput,
  RegisterTaskDefinitionCommandInput,
  RunTaskCommandInput,
  StopTaskCommandInput,
  UpdateServiceCommandInput,
} from '@aws-sdk/client-ecs';
import * as sdk from '@aws-sdk/client-ecs';
import { AwsError } from '../aws-error.ts';
import {
  anywhere,
  type Call,
  type Cloud,
  type Operations,
  operation,
  required,
  type Service,
} from '../cloud.ts';
import type { Logs } from '../logs/logs.ts';
import type { Place } from '../place.ts';
import type { SecretsManager } from '../secrets-manager/secrets-manager.ts';
import type { SessionManager } from '../session-manager/session-manager.ts';
import { TokenBuckets } from '../token-bucket.ts';
import { clusterArn, isIn, lastPart, partOfCluster, serviceArn, taskDefinitionArn } from './arns.ts';
import { carriedByUpdate, onCluster, onPart, onServiceDeployment, onTaggedTask } from './asks.ts';
import { describeClusters } from './clusters.ts';
import { describeDefinition, isDefinitionOf } from './definition.ts';
import { client, invalid } from './errors.ts';
import { executeCommand } from './execute-command.ts';
import { describeInstances } from './instances.ts';
import { PAGE, page } from './page.ts';
import { asksOfRegister, RegisteredDefinitions } from './registered.ts';
import { asksOfRunTask, RunTasks } from './run-task.ts';
import {
  describeDeployment,
  describeManaged,
  ManagedService,
  type ManagedServiceOptions,
} from './service.ts';
import { describeTask, EcsTask, type ServiceOptions, type TaskOptions } from './task.ts';

/** Milliseconds: so long a task that has ended is listed at least. */
const SHOWN = 3_600_000;
/** Services that can be described at once, and listed on a page by default. */
const SERVICES = 10;

/** Amazon ECS: clusters, services and tasks that the rehearsal starts, and ECS Exec into their containers. */
export class Ecs implements Service {
  readonly signingName = 'ecs';
  readonly client = sdk;
  readonly operations: Operations;
  readonly tasks: EcsTask[] = [];
  /** The condition keys of UpdateService have values of what the request names, or of what the service then has: no page says which. */
  updateServiceCarries: 'what is named' | 'what it has' = 'what is named';
  /** How clusters, by ARN, have sessions of ECS Exec encrypted and logged. @default as ECS does by default */
  readonly execConfigurations: Record<string, ExecuteCommandConfiguration> = {};
  /** Published rates (Amazon ECS API reference, request throttling). */
  readonly buckets: Record<'executeCommand' | 'tasks' | 'services' | 'instances', TokenBuckets>;
  readonly #aws: Pick<Cloud, 'clock'>;
  readonly #sessions: SessionManager;
  readonly #clusters = new Set<string>();
  /** Cluster ARN and name. */
  readonly #services = new Set<string>();
  /** Those that ECS keeps up, by ARN. */
  readonly #managed = new Map<string, ManagedService>();
  /** What RunTask starts. */
  readonly runTasks: RunTasks;

  constructor(
    aws: Pick<Cloud, 'clock'>,
    sessions: SessionManager,
    logs: Pick<Logs, 'openStream'>,
    secrets: Pick<SecretsManager, 'valueFrom'>,
  ) {
    this.#aws = aws;
    this.#sessions = sessions;
    const registered = new RegisteredDefinitions();
    const serviceOf = (definition: string, where: Place) =>
      registered.serviceOf(definition, this.#managed, where);
    this.runTasks = new RunTasks({
      clock: aws.clock,
      serviceOf,
      secretsIn: (...of) =>
        registered
          .secretsIn(...of)
          .map(({ name, valueFrom }) => ({ name, value: secrets.valueFrom(valueFrom) })),
      add: (options) => this.addTask(options),
      openStream: (...stream) => logs.openStream(...stream),
    });
    this.buckets = {
      executeCommand: new TokenBuckets(aws.clock, { burst: 100, perSecond: 40 }),
      tasks: new TokenBuckets(aws.clock, { burst: 100, perSecond: 20 }),
      services: new TokenBuckets(aws.clock, { burst: 100, perSecond: 20 }),
      instances: new TokenBuckets(aws.clock, { burst: 100, perSecond: 20 }),
    };
    this.operations = {
      ListClusters: operation(anywhere('ecs:ListClusters'), (input: ListClustersCommandInput, call) =>
        page(
          [...this.#clusters].filter((arn) => isIn(arn, call)),
          input,
          PAGE,
          'clusterArns',
        ),
      ),
      DescribeClusters: operation(
        ({ clusters = [] }: DescribeClustersCommandInput, call) =>
          clusters.map((cluster) => ({
            action: 'ecs:DescribeClusters',
            resource: clusterArn(cluster, call),
          })),
        (input, call) => describeClusters(this.#clusters, this.execConfigurations, input, call),
      ),
      ListServices: operation(onCluster('ListServices'), (input: ListServicesCommandInput, call) => {
        this.buckets.services.take(call);
        const arns = this.#servicesOf(this.#cluster(input.cluster, call)).map(({ arn }) => arn);
        return page(arns, input, SERVICES, 'serviceArns');
      }),
      DescribeServices: operation(
        ({ cluster, services = [] }: DescribeServicesCommandInput, call) =>
          services.flatMap((service) => onPart('DescribeServices', 'service', cluster, service, call)),
        (input, call) => this.#describeServices(input, call),
      ),
      ListTasks: operation(onCluster('ListTasks'), (input: ListTasksCommandInput, call) =>
        this.#listTasks(input, call),
      ),
      DescribeTasks: operation(
        ({ cluster, tasks = [] }: DescribeTasksCommandInput, call) =>
          tasks.flatMap((task) => onPart('DescribeTasks', 'task', cluster, task, call)),
        (input, call) => this.#describeTasks(input, call),
      ),
      DescribeContainerInstances: operation(
        ({ cluster, containerInstances = [] }: DescribeContainerInstancesCommandInput, call) =>
          containerInstances.flatMap((instance) =>
            onPart('DescribeContainerInstances', 'container-instance', cluster, instance, call),
          ),
        ({ cluster, containerInstances = [] }, call) => {
          this.buckets.instances.take(call);
          return describeInstances(this.#cluster(cluster, call), this.tasks, containerInstances);
        },
      ),
      DescribeTaskDefinition: operation(
        anywhere('ecs:DescribeTaskDefinition'),
        ({ taskDefinition: arn = '' }: DescribeTaskDefinitionCommandInput, call) => {
          const own = registered.find(arn, call);
          if (own) return { taskDefinition: own };
          if (!isIn(arn, call)) return describeDefinition(undefined, undefined, []);
          const tasks = this.tasks.filter(({ clusterArn, service, family }) =>
            isDefinitionOf(arn, serviceArn(clusterArn, service), family),
          );
          return describeDefinition(arn, serviceOf(arn, call), tasks);
        },
      ),
      RegisterTaskDefinition: operation(asksOfRegister, (input: RegisterTaskDefinitionCommandInput, call) =>
        registered.register(input, call),
      ),
      UpdateService: operation(
        (input: UpdateServiceCommandInput, call) =>
          onPart('UpdateService', 'service', input.cluster, input.service, call).map((ask) => ({
            ...ask,
            conditions: {
              ...ask.conditions,
              ...carriedByUpdate(input, ask.resource, this.updateServiceCarries),
            },
          })),
        (input, call) => this.#updateService(input, call),
      ),
      RunTask: operation(
        (input: RunTaskCommandInput, call) => asksOfRunTask(input, call, serviceOf),
        (input, call) => {
          this.buckets.executeCommand.take(call);
          return this.runTasks.run(this.#cluster(input.cluster, call), input, call);
        },
      ),
      StopTask: operation(
        (input: StopTaskCommandInput, call) =>
          onTaggedTask(
            'StopTask',
            input,
            this.#task(clusterArn(input.cluster ?? 'default', call), input.task),
            call,
          ),
        (input, call) => this.#stopTask(input, call),
      ),
      ListServiceDeployments: operation(
        ({ cluster, service }: ListServiceDeploymentsCommandInput, call) =>
          onPart('ListServiceDeployments', 'service', cluster, service, call),
        (input, call) => {
          const { arn, service } = this.#managedService(input.cluster, input.service, call);
          const { after = new Date(0), before = new Date(8.64e15) } = input.createdAt ?? {};
          return {
            serviceDeployments: service.everyDeployment
              .filter(({ created }) => created >= after.getTime() && created <= before.getTime())
              .map((deployment) => describeDeployment(arn, deployment))
              .filter(({ status }) => !input.status?.length || input.status.some((each) => each === status)),
          };
        },
      ),
      DescribeServiceDeployments: operation(
        ({ serviceDeploymentArns: arns = [] }: DescribeServiceDeploymentsCommandInput) =>
          arns.flatMap(onServiceDeployment),
        ({ serviceDeploymentArns: arns = [] }) => {
          const known = [...this.#managed].flatMap(([arn, { everyDeployment }]) =>
            everyDeployment.map((deployment) => describeDeployment(arn, deployment)),
          );
          return {
            serviceDeployments: known.filter(({ serviceDeploymentArn }) =>
              arns.includes(serviceDeploymentArn),
            ),
            failures: arns
              .filter((arn) => !known.some(({ serviceDeploymentArn }) => serviceDeploymentArn === arn))
              .map((arn) => ({ arn, reason: 'MISSING' })),
          };
        },
      ),
      ExecuteCommand: operation(
        (input: ExecuteCommandCommandInput, call) => {
          const cluster = clusterArn(input.cluster ?? 'default', call);
          const task = partOfCluster(cluster, 'task', required(input.task));
          const conditions = {
            'ecs:cluster': cluster,
            'ecs:task': task,
            'ecs:container-name': input.container ?? '',
          };
          return [cluster, task].map((resource) => ({ action: 'ecs:ExecuteCommand', resource, conditions }));
        },
        (input, call) => {
          this.buckets.executeCommand.take(call);
          const task = this.#task(this.#cluster(input.cluster, call), input.task);
          return executeCommand(task, input, this.#sessions);
        },
      ),
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
    return this.#ofService(clusterArn(cluster, where), service);
  }

  /** Starts a task of a service. */
  addTask(options: TaskOptions): EcsTask {
    this.addService(options);
    const task = new EcsTask(options, this.#aws.clock.now());
    this.tasks.push(task);
    return task;
  }

  #cluster(nameOrArn: string | undefined, where: Place): string {
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
        const tasks = this.#ofService(arn, service.name);
        const running = tasks.filter(({ lastStatus }) => lastStatus === 'RUNNING').length;
        const managed = this.#managed.get(service.arn);
        return [
          {
            serviceArn: service.arn,
            serviceName: service.name,
            clusterArn: arn,
            status: 'ACTIVE',
            desiredCount: tasks.filter(({ desiredStatus }) => desiredStatus === 'RUNNING').length,
            runningCount: running,
            pendingCount: tasks.length - running,
            enableExecuteCommand:
              managed?.options.enableExecuteCommand ?? tasks.every((task) => task.enableExecuteCommand),
            taskDefinition: taskDefinitionArn(service.arn),
            ...(managed && describeManaged(managed, service.arn, tasks)),
          },
        ];
      }),
      failures: found
        .filter(({ service }) => service === undefined)
        .map(({ wanted }) => ({ arn: wanted, reason: 'MISSING' })),
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
    if (service.options.definitionStatus === 'INACTIVE') throw client('TaskDefinition is inactive');
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
    if (task.isAlone) this.runTasks.stop(task, reason);
    else if (managed === undefined) void task.stop(reason);
    else managed.stopTask(task, reason);
    return { task: describeTask(task) };
  }

  #listTasks(input: ListTasksCommandInput, call: Call) {
    this.buckets.tasks.take(call);
    const cluster = this.#cluster(input.cluster, call);
    const { serviceName, family, startedBy, desiredStatus = 'RUNNING' } = input;
    if (startedBy !== undefined && (serviceName ?? family ?? input.desiredStatus) !== undefined)
      throw invalid('startedBy must be the only filter.');
    if (serviceName !== undefined && !this.#services.has(`${cluster} ${lastPart(serviceName)}`)) {
      throw new AwsError('ServiceNotFoundException', 'Service not found.');
    }
    const among = serviceName === undefined ? this.tasks : this.#ofService(cluster, lastPart(serviceName));
    const arns = among
      .filter(
        (task) =>
          task.clusterArn === cluster &&
          task.desiredStatus === desiredStatus &&
          // A task that has ended is shown for about an hour.
          (task.lastStatus !== 'STOPPED' || desiredStatus === 'STOPPED') &&
          this.#aws.clock.now() - (task.stoppedAt ?? Number.POSITIVE_INFINITY) < SHOWN &&
          (family === undefined || task.family === family) &&
          (startedBy === undefined || task.startedBy === startedBy),
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
      tasks: found.flatMap(({ task }) => (task === undefined ? [] : [describeTask(task)])),
      failures: found
        .filter(({ task }) => task === undefined)
        .map(({ wanted }) => ({ arn: wanted, reason: 'MISSING' })),
    };
  }

  #ofService(cluster: string, name: string): EcsTask[] {
    return this.tasks.filter((task) => task.clusterArn === cluster && task.service === name && !task.isAlone);
  }

  #task(cluster: string, idOrArn: string | undefined): EcsTask | undefined {
    return this.tasks.find(
      (task) => task.clusterArn === cluster && (task.arn === idOrArn || task.id === idOrArn),
    );
  }
}
