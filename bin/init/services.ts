import {
  type ContainerDefinition,
  DescribeServicesCommand,
  DescribeTaskDefinitionCommand,
  paginateListClusters,
  paginateListServices,
  type Service,
  type TaskDefinition,
} from '@aws-sdk/client-ecs';
import PQueue from 'p-queue';
import { allOf, type Surroundings } from './surroundings.ts';

/** A service of ECS, with the task definition that it runs. */
export interface FoundService {
  cluster: string;
  name: string;
  service: Service;
  definition: TaskDefinition;
}

/** What services are looked at: those of clusters, or named ones. */
export interface Scope {
  /** Names or ARNs. */
  clusters: string[];
  /** Only these, by name or ARN. @default all of the clusters */
  services?: string[];
}

/** DescribeServices takes so many. */
const SERVICES_AT_ONCE = 10;
/** DescribeTaskDefinition is answered 20 times a second for long (Amazon ECS API reference, request throttling). */
const ASKED_AT_ONCE = 5;

/** The names of all clusters of the account and region. */
export async function clusterNames({ ecs }: Surroundings): Promise<string[]> {
  const arns = await allOf(paginateListClusters({ client: ecs }, {}), (page) => page.clusterArns);
  return arns.map(lastPart).sort();
}

/** Every service of a scope that is there, with its task definition. */
export async function findServices(
  { ecs }: Surroundings,
  { clusters, services }: Scope,
): Promise<FoundService[]> {
  const described: { cluster: string; service: Service }[] = [];
  for (const cluster of clusters) {
    const listed = await allOf(
      paginateListServices({ client: ecs }, { cluster, maxResults: 100 }),
      (page) => page.serviceArns,
    );
    const wanted = services?.map(lastPart);
    const names = listed.map(lastPart).filter((name) => wanted?.includes(name) ?? true);
    for (let at = 0; at < names.length; at += SERVICES_AT_ONCE) {
      const { services: page = [] } = await ecs.send(
        new DescribeServicesCommand({ cluster, services: names.slice(at, at + SERVICES_AT_ONCE) }),
      );
      for (const service of page)
        if (service.status !== 'INACTIVE') described.push({ cluster: lastPart(cluster), service });
    }
  }
  const queue = new PQueue({ concurrency: ASKED_AT_ONCE });
  const definitions = new Map<string, TaskDefinition>();
  await queue.addAll(
    [...new Set(described.flatMap(({ service }) => service.taskDefinition ?? []))].map((arn) => async () => {
      const { taskDefinition } = await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: arn }));
      if (taskDefinition) definitions.set(arn, taskDefinition);
    }),
  );
  return described.flatMap(({ cluster, service }) => {
    const definition = definitions.get(service.taskDefinition ?? '');
    return definition ? [{ cluster, name: service.serviceName ?? '', service, definition }] : [];
  });
}

/** The environment of a container, as its task definition writes it out. */
export function environmentOf({ environment = [] }: ContainerDefinition): Record<string, string> {
  return Object.fromEntries(environment.map(({ name = '', value = '' }) => [name, value]));
}

/** Where the variables of a container come from that its task definition does not write out. */
export function secretsOf({ secrets = [] }: ContainerDefinition): Record<string, string> {
  return Object.fromEntries(secrets.map(({ name = '', valueFrom = '' }) => [name, valueFrom]));
}

/** The name in an ARN, long or short, or a name as it is. */
export function lastPart(nameOrArn: string): string {
  return nameOrArn.slice(nameOrArn.lastIndexOf('/') + 1);
}
