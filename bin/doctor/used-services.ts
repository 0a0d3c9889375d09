import {
  ClusterNotFoundException,
  type ContainerDefinition,
  DescribeServicesCommand,
  DescribeTaskDefinitionCommand,
  DescribeTasksCommand,
  paginateListTasks,
  type Service,
  type Task,
  type TaskDefinition,
} from '@aws-sdk/client-ecs';
import * as v from 'valibot';
import type { LogFolders } from '../../functions/log-cleanup/contract.ts';
import { containerRole, containersSettings } from '../../functions/shared/containers/settings.ts';
import { type Finding, ofEach } from './check.ts';
import type { ExaminedDeployment } from './examined-deployment.ts';

/** An ECS service that a job works with. */
export interface UsedService {
  /** As people know it: the cluster's name and its own. */
  label: string;
  clusterArn: string;
  name: string;
  jobs: string[];
  /** The containers that a job runs commands in by ECS Exec, with the role that each has there. */
  exec: ExecContainer[];
  /** Whether a job runs commands in its containers by Run Command, on the instances where they are. */
  byRunCommand: boolean;
  /** Whether jobs need tasks of its own: where they only start one as it does, it may have none. */
  needsTasks: boolean;
}

/** A container in which a job runs commands. */
export interface ExecContainer {
  container: string;
  role: string;
  /** What the job runs there: absolute paths. */
  paths: string[];
  /** Of a job that looks after logs: where they lie, and how they are rotated. */
  logs: LogFolders | undefined;
}

/** A container of a service, in as many tasks as the service has. */
export interface UsedPlace {
  /** As people know it: the cluster's name, the service's and its own. */
  label: string;
  service: UsedService;
  exec: ExecContainer;
}

const execSettings = v.object({
  clusterArn: containersSettings.clusterArn,
  reach: v.literal('ecs-exec'),
  roles: v.array(
    v.object({
      ...containerRole,
      script: v.optional(v.string()),
      logs: v.optional(v.array(v.string())),
      archive: v.optional(v.string()),
      rotation: v.optional(v.object({ maximumBytes: v.number(), keptFiles: v.number() })),
    }),
  ),
  // Of a job that runs the same everywhere; a script for a shell is no path.
  command: v.optional(v.unknown()),
});

const runCommandSettings = v.object({
  clusterArn: containersSettings.clusterArn,
  reach: v.literal('run-command'),
  roles: v.array(v.object(containerRole)),
});

const newTaskPlace = v.object({ clusterArn: v.string(), service: v.string(), family: v.string() });

const rollSettings = v.object({
  clusterArn: v.string(),
  secretArn: v.string(),
  services: v.array(v.object({ name: v.string(), clusterArn: v.exactOptional(v.string()) })),
});

/** The IAM actions of all that stands here, for the checks that call it. */
export const LOOK_AT_SERVICES = ['lambda:GetFunctionConfiguration', 'ecs:DescribeServices'];
export const LOOK_AT_TASKS = [...LOOK_AT_SERVICES, 'ecs:ListTasks', 'ecs:DescribeTasks'];
/** Of running a command in a container. */
export const LOOK_AROUND_ACTIONS = [
  ...LOOK_AT_TASKS,
  'ecs:DescribeTaskDefinition',
  'ecs:ExecuteCommand',
  'ssm:ResumeSession',
  'ssm:TerminateSession',
  'ssmmessages:OpenDataChannel',
];
export const LOOK_AT_DEFINITIONS = [...LOOK_AT_SERVICES, 'ecs:DescribeTaskDefinition'];

/** Every service that a job runs commands in, as whose tasks it starts one, or which it replaces the tasks of. */
export async function usedServices(deployment: ExaminedDeployment): Promise<UsedService[]> {
  const found = new Map<string, UsedService>();
  const use = (clusterArn: string, name: string, job: string, needsTasks = true): UsedService => {
    const label = serviceLabel(clusterArn, name);
    const known = found.get(label) ?? {
      label,
      clusterArn,
      name: lastPart(name),
      jobs: [],
      exec: [],
      byRunCommand: false,
      needsTasks: false,
    };
    known.jobs.push(job);
    known.needsTasks ||= needsTasks;
    found.set(label, known);
    return known;
  };
  for (const { job, settings } of await deployment.settingsOf(execSettings))
    for (const { name: role, container, services, script, logs, archive, rotation } of settings.roles)
      for (const service of services) {
        const [program] = Array.isArray(settings.command) ? settings.command : [];
        const paths = [script, program].filter(isPath);
        use(settings.clusterArn, service, job).exec.push({
          container,
          role,
          paths,
          logs: logs && archive && rotation ? { logs, archive, rotation } : undefined,
        });
      }
  for (const { job, settings } of await deployment.settingsOf(runCommandSettings))
    for (const { services } of settings.roles)
      for (const service of services) use(settings.clusterArn, service, job).byRunCommand = true;
  for (const { job, settings } of await deployment.settingsOf(rollSettings))
    for (const { name, clusterArn = settings.clusterArn } of settings.services) use(clusterArn, name, job);
  for (const { job, settings } of await deployment.settingsOf(newTaskPlace))
    use(settings.clusterArn, settings.service, job, false);
  return [...found.values()].filter(({ clusterArn, name }) => isKnown(clusterArn) && isKnown(name));
}

/** Whether it is no name or ARN of something that `cdk deploy` will only make. */
export function isKnown(nameOrArn: string): boolean {
  return !/\$\{|\[object /.test(nameOrArn);
}

/** As people know a service. */
export function serviceLabel(clusterArn: string, name: string): string {
  return `${lastPart(clusterArn)}/${lastPart(name)}`;
}

/** Those that a job runs commands in by ECS Exec. */
export async function execServices(deployment: ExaminedDeployment): Promise<UsedService[]> {
  return (await usedServices(deployment)).filter(({ exec }) => exec.length > 0);
}

/** Looks at each container of theirs, or at those of some. */
export async function atEachPlace(
  deployment: ExaminedDeployment,
  look: (deployment: ExaminedDeployment, place: UsedPlace) => Promise<Finding[]>,
  some: (place: UsedPlace) => boolean = () => true,
): Promise<Finding[]> {
  const places = await placesOf(deployment);
  return ofEach(
    places.filter(some),
    ({ label }) => label,
    (place) => look(deployment, place),
  );
}

/** Each container of theirs once: what jobs run there is put together. */
async function placesOf(deployment: ExaminedDeployment): Promise<UsedPlace[]> {
  const found = new Map<string, UsedPlace>();
  for (const service of await execServices(deployment))
    for (const exec of service.exec) {
      const label = `${service.label}/${exec.container}`;
      const known = found.get(label);
      if (known === undefined) found.set(label, { label, service, exec });
      else
        known.exec = {
          ...known.exec,
          paths: [...new Set([...known.exec.paths, ...exec.paths])],
          logs: known.exec.logs ?? exec.logs,
        };
    }
  return [...found.values()];
}

/** Undefined: ECS has none of the name. */
export function describedService(
  deployment: ExaminedDeployment,
  { clusterArn: cluster, name, label }: Pick<UsedService, 'clusterArn' | 'name' | 'label'>,
): Promise<Service | undefined> {
  return deployment.once(`service ${label}`, async () => {
    const { ecs } = deployment.clients;
    const asked = ecs.send(new DescribeServicesCommand({ cluster, services: [name] }));
    const { services = [] } = await asked.catch((error: unknown) => {
      // That the cluster is not there is told by the check of the clusters.
      if (error instanceof ClusterNotFoundException) return { services: [] };
      throw error;
    });
    // ECS remembers deleted services for a while.
    return services.find(({ status }) => status !== 'INACTIVE');
  });
}

/** At most so many tasks of a service are looked at: those of one deployment are alike. */
const TASKS = 100;

/** Tasks of a service that run or are about to. None, where there is no such service. */
export function tasksOf(deployment: ExaminedDeployment, service: UsedService): Promise<Task[]> {
  const { clusterArn: cluster, name: serviceName, label } = service;
  return deployment.once(`tasks of ${label}`, async () => {
    if ((await describedService(deployment, service)) === undefined) return [];
    const { ecs } = deployment.clients;
    for await (const { taskArns: tasks = [] } of paginateListTasks({ client: ecs }, { cluster, serviceName }))
      if (tasks.length > 0)
        return (
          (await ecs.send(new DescribeTasksCommand({ cluster, tasks: tasks.slice(0, TASKS) }))).tasks ?? []
        );
    return [];
  });
}

/** Of the service, as its next task will be. Undefined, where there is no such service. */
export async function definitionOf(
  deployment: ExaminedDeployment,
  service: Pick<UsedService, 'clusterArn' | 'name' | 'label'>,
): Promise<TaskDefinition | undefined> {
  const { taskDefinition } = (await describedService(deployment, service)) ?? {};
  if (taskDefinition === undefined) return undefined;
  return deployment.once(`definition ${taskDefinition}`, async () => {
    const answer = await deployment.clients.ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition }));
    return answer.taskDefinition;
  });
}

/** Looks at the definition of each of several services; of one that is not there another check tells. */
export function ofEachDefinition(
  deployment: ExaminedDeployment,
  services: readonly UsedService[],
  look: (definition: TaskDefinition, service: UsedService) => Finding[] | Promise<Finding[]>,
): Promise<Finding[]> {
  return ofEach(
    services,
    ({ label }) => label,
    async (service) => {
      const definition = await definitionOf(deployment, service);
      return definition ? look(definition, service) : [];
    },
  );
}

/** The containers of a definition that commands are run in. */
export function execContainers({ exec }: UsedService, definition: TaskDefinition): ContainerDefinition[] {
  const names = new Set(exec.map(({ container }) => container));
  return (definition.containerDefinitions ?? []).filter(({ name }) => names.has(name ?? ''));
}

function isPath(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('/');
}

export function lastPart(nameOrArn: string): string {
  return nameOrArn.slice(nameOrArn.lastIndexOf('/') + 1);
}
