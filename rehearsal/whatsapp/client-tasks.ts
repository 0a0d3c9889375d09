import { join } from 'node:path';
import { Container } from '../aws/containers/container.ts';
import { DockerHost } from '../aws/containers/docker-host.ts';
import type { ManagedService, ManagedServiceOptions } from '../aws/ecs/service.ts';
import type { EcsTask, ServiceOptions } from '../aws/ecs/task.ts';
import type { Place } from '../aws/place.ts';
import type { PolicyDocument } from '../aws/policy/document.ts';
import type { Aws } from '../aws/server.ts';
import { hash } from '../aws/template/resource.ts';
import {
  type ClientFilesOptions,
  type ClientRole,
  clientFiles,
  MEDIA_PATH,
  writeClientFiles,
} from './client-files.ts';
import type { GivenLogin, Logins } from './logins.ts';
import { metaTaskDefinition } from './meta-template.ts';

export interface ClientTasksOptions extends Place {
  aws: Aws;
  cluster: string;
  /** Where tasks on Fargate stand. @default not said */
  network?: { subnets: string[]; securityGroups: string[] };
  /** Where the containers' files go. */
  folder: string;
  roles: Partial<Record<ClientRole, ClientService>>;
  /** Makes the tasks run on so many EC2 instances with this tag, under Run Command. @default Fargate with ECS Exec */
  hosts?: { count: number; tag: { key: string; value: string } };
  /** As Meta's AWS template makes them: each service on an instance that Systems Manager does not know, without ECS Exec. @default not */
  metaTemplate?: { stackName: string; monitoring?: { secretArn: string } | undefined } | undefined;
  /** Makes ECS keep the tasks up, and containers use the database. @default tasks that nobody replaces, and that use none */
  database?: DatabaseUse;
  /** By role and number, from 0. */
  faultOf?: (role: ClientRole, number: number) => ClientFilesOptions['fault'];
}

export interface ClientService
  extends Pick<
    ManagedServiceOptions,
    'minimumHealthyPercent' | 'maximumPercent' | 'secrets' | 'loadBalancers'
  > {
  service: string;
  /** @default that of all */
  cluster?: string;
  container: string;
  tasks: number;
}

/** How the client's containers use their database. */
export interface DatabaseUse {
  /** What a container is given when it starts. */
  credential(role: ClientRole): GivenLogin;
  logins: Logins;
  /** How many containers of each role log in all the time: the first one, the last one, those after the first. */
  perRole: Partial<Record<ClientRole, number>>;
  /** Called when ECS has started a container in the place of another. */
  onReplaced?(role: ClientRole): void;
}

/** A container of the client, running. */
export interface ClientContainer {
  role: ClientRole;
  task: EcsTask;
  container: Container;
}

/** The tasks of one client, with real files in real containers. */
export interface ClientTasks {
  /** Those that ran from the beginning. */
  containers: ClientContainer[];
  hosts: DockerHost[];
  /** Those that ECS keeps up. */
  services: Partial<Record<ClientRole, ManagedService>>;
  /** Of the logs and archives in all containers that ran from the beginning, those too that ECS has replaced. */
  files(): { files: number; bytes: number };
  close(): Promise<void>;
}

/** The client's own, where each container has a folder here. */
const FILE_SYSTEM = 'fs-0a1b2c3d4e5f60001';

const META_SERVICES = {
  webapp: 'WAEntWebService',
  master: 'WAEntMasterService',
  coreapp: 'WAEntNotCECoreappService',
  exporter: 'WAMonitoringService',
} as const;

/** What the Developer Guide of ECS has a task role allow, so that ECS Exec's agents can connect. */
const FOR_ECS_EXEC: PolicyDocument = {
  Version: '2012-10-17',
  Statement: {
    Effect: 'Allow',
    Action: ['Control', 'Data'].flatMap((kind) => [
      `ssmmessages:Create${kind}Channel`,
      `ssmmessages:Open${kind}Channel`,
    ]),
    Resource: '*',
  },
};

/** By which ECS fetches what containers are given at their start. */
function forStart(references: string[], { account, region }: { account: string; region: string }) {
  const arns = references.map((each) => each.split(':').slice(0, 7).join(':'));
  return {
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow' as const, Action: 'secretsmanager:GetSecretValue', Resource: arns },
      { Effect: 'Allow' as const, Action: 'kms:Decrypt', Resource: `arn:aws:kms:${region}:${account}:key/*` },
    ],
  };
}

/** Starts the tasks of a client. */
export async function startClientTasks(options: ClientTasksOptions): Promise<ClientTasks> {
  const { aws, cluster, account, region, folder, roles, hosts: wanted, database, faultOf, network } = options;
  const { metaTemplate } = options;
  const hosts = Array.from({ length: wanted?.count ?? 0 }, (_, number) => {
    const host = new DockerHost({
      instanceId: `i-${(number + 1).toString(16).padStart(17, '0')}`,
      folder: join(folder, `host-${number}`),
      ...(wanted && { tags: { [wanted.tag.key]: wanted.tag.value } }),
    });
    aws.ssm.manage(host, { account, region });
    return host;
  });
  const metaHosts: DockerHost[] = [];
  const containers: ClientContainer[] = [];
  const services: ClientTasks['services'] = {};
  const replacements: Container[] = [];
  for (const [role, service] of Object.entries(roles) as [ClientRole, ClientService][]) {
    const taskRoleArn = `arn:aws:iam::${account}:role/${cluster}-${role}`;
    const usesMedia = role === 'webapp' || role === 'coreapp';
    aws.iam.putRole({ arn: taskRoleArn, policies: [FOR_ECS_EXEC] });
    const monitoring = role === 'exporter' ? metaTemplate?.monitoring?.secretArn : undefined;
    const given = [
      ...(service.secrets ?? []).map(({ valueFrom }) => valueFrom),
      ...(monitoring ? [monitoring] : []),
    ];
    const execution = given.length > 0 && { executionRoleArn: `${taskRoleArn}-execution` };
    if (execution)
      aws.iam.putRole({ arn: execution.executionRoleArn, policies: [forStart(given, { account, region })] });
    const where = { account, region, cluster: service.cluster ?? cluster, service: service.service };
    const ofTemplate = metaTemplate && {
      definition: {
        ...execution,
        ...metaTaskDefinition(META_SERVICES[role], {
          stackName: metaTemplate.stackName,
          monitoringSecretArn: metaTemplate.monitoring?.secretArn ?? '',
        }),
      },
      enableExecuteCommand: false,
      host: metaHost(where, join(folder, `${role}-host`), metaTemplate.stackName),
    };
    const place = ofTemplate
      ? { ...where, ...ofTemplate }
      : {
          ...where,
          definition: {
            taskRoleArn,
            ...execution,
            container: {
              linuxParameters: { initProcessEnabled: true },
              ...(usesMedia && { mountPoints: [{ sourceVolume: 'media', containerPath: MEDIA_PATH }] }),
            },
            ...(usesMedia && {
              volumes: [{ name: 'media', efsVolumeConfiguration: { fileSystemId: FILE_SYSTEM } }],
            }),
          },
          ...(network &&
            !wanted && {
              capacity: {
                launchType: 'FARGATE' as const,
                networkConfiguration: {
                  awsvpcConfiguration: { ...network, assignPublicIp: 'DISABLED' as const },
                },
              },
            }),
        };
    if (ofTemplate) metaHosts.push(ofTemplate.host);
    const started: Container[] = [];
    for (let number = 0; number < service.tasks; number++) {
      const container = await Container.start({
        name: service.container,
        folder: join(folder, `${role}-${number}`),
      });
      const fault = faultOf?.(role, number);
      writeClientFiles(container, {
        role,
        seed: `${cluster} ${role} ${number}`,
        now: aws.clock.now(),
        ...(fault && { fault }),
      });
      started.push(container);
    }
    if (database) {
      const replace = () =>
        Container.start({
          name: service.container,
          folder: join(folder, `${role}-replacement-${replacements.length}`),
        }).then((container) => {
          replacements.push(container);
          writeClientFiles(container, { role, seed: container.runtimeId, now: aws.clock.now(), isNew: true });
          return container;
        });
      services[role] = await manage(aws, place, service, { role, started, replace, database });
    }
    for (const [number, container] of started.entries()) {
      const host = hosts[containers.length % Math.max(1, hosts.length)];
      const task =
        aws.ecs.tasksOf(place)[number] ??
        aws.ecs.addTask({ ...place, containers: [container], ...(host && { host }) });
      containers.push({ role, task, container });
    }
  }
  return {
    containers,
    hosts: [...hosts, ...metaHosts],
    services,
    files() {
      const each = containers.map(({ container }) => clientFiles(container));
      return {
        files: each.reduce((sum, { files }) => sum + files, 0),
        bytes: each.reduce((sum, { bytes }) => sum + bytes, 0),
      };
    },
    async close() {
      await database?.logins.end();
      const all = [...containers.map(({ container }) => container), ...replacements];
      await Promise.all(all.map((container) => container.remove()));
    },
  };
}

/** An instance of the template's, which has Systems Manager's agent, and no rights for it. */
export function metaHost(
  { cluster, service }: { cluster: string; service: string },
  folder: string,
  stackName: string,
): DockerHost {
  return new DockerHost({
    instanceId: `i-${hash(`${cluster} ${service}`, 17)}`,
    folder,
    tags: { 'aws:cloudformation:stack-name': stackName },
  });
}

/**
 * Gives the tasks to ECS. Whenever all have been replaced, as many containers of the role use the database as did before:
 * who does is told by its number, for whether those before it have ended already depends on the deployment and the machine.
 */
async function manage(
  aws: Aws,
  place: ServiceOptions & Pick<ManagedServiceOptions, 'definition' | 'capacity'>,
  { tasks, service: _, container: __, ...settings }: ClientService,
  {
    role,
    started,
    replace,
    database,
  }: { role: ClientRole; started: Container[]; replace(): Promise<Container>; database: DatabaseUse },
): Promise<ManagedService> {
  const { credential, logins, perRole, onReplaced } = database;
  const wanted = perRole[role] ?? 0;
  let replaced = 0;
  // The last one, which a roll may replace last, has the old password for the longest.
  const [first, ...others] = started;
  const inTurn = [...(first ? [first] : []), ...others.reverse()];
  await Promise.all(inTurn.slice(0, wanted).map((container) => logins.begin(container, credential(role))));
  return aws.ecs.manageService({
    ...place,
    ...settings,
    desiredCount: tasks,
    running: started.map((container) => [container]),
    start: async () => {
      const login = credential(role);
      const container = await replace();
      onReplaced?.(role);
      if (replaced++ % tasks < wanted) await logins.begin(container, login);
      return [container];
    },
  });
}
