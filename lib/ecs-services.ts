import { Token } from 'aws-cdk-lib';
import {
  CfnService,
  ContainerDefinition,
  type IBaseService,
  type ICluster,
  type TaskDefinition,
} from 'aws-cdk-lib/aws-ecs';
import * as v from 'valibot';
import { field } from './checks/fields.ts';
import { type FieldPath, type Finding, valueText } from './checks/mistakes.ts';

/** An ECS service: itself, of whichever stack, or its name. */
export type ServiceReference = IBaseService | string;

/** An ECS cluster: itself, of whichever stack, or its name. */
export type ClusterReference = ICluster | string;

/** A service with the field of the properties that names it. */
export interface NamedService {
  readonly field: FieldPath;
  readonly service: ServiceReference;
}

export function serviceNameOf(service: ServiceReference): string {
  return typeof service === 'string' ? service : service.serviceName;
}

/** The cluster's name: that which is given, or that of the services which are given themselves. */
export function clusterNameOf(
  cluster: ClusterReference | undefined,
  services: readonly ServiceReference[],
): string {
  if (cluster) return typeof cluster === 'string' ? cluster : cluster.clusterName;
  const [own = ''] = services.flatMap((service) =>
    typeof service === 'string' ? [] : service.cluster.clusterName,
  );
  return own;
}

/** The task definition of a service, where both are made in this app. Of an imported one, and of a name, none is known. */
export function ownDefinition(service: ServiceReference): TaskDefinition | undefined {
  if (typeof service === 'string') return undefined;
  const { taskDefinition } = service as IBaseService & { taskDefinition?: TaskDefinition };
  return taskDefinition && 'addContainer' in taskDefinition ? taskDefinition : undefined;
}

/** What is wrong with a container that a task definition of this app should have. Others may be added to it later: none is none yet. */
export function namedContainerFindings(
  definition: TaskDefinition,
  { field, container }: { readonly field: FieldPath; readonly container: string },
): Finding[] {
  const names = definition.node
    .findAll()
    .flatMap((construct) => (construct instanceof ContainerDefinition ? construct.containerName : []));
  if (names.length === 0 || names.includes(container) || Token.isUnresolved(container)) return [];
  const one = names.length === 1 ? `"${names[0]}"` : `one of ${names.join(', ')}`;
  return [
    {
      field,
      problem: `is ${valueText(container)}, which the task definition ${definition.node.path} has not; it must be ${one}.`,
    },
  ];
}

/** The paths of those services of this app into whose containers ECS Exec does not come. */
export function servicesWithoutExec(services: readonly ServiceReference[]): string[] {
  return services.flatMap((service) => {
    if (typeof service === 'string') return [];
    const made = service.node.findAll().find((each) => each instanceof CfnService);
    return made && made.enableExecuteCommand === undefined ? [service.node.path] : [];
  });
}

/** The key that a cluster of this app encrypts its sessions with, if it has one. */
export function sessionKeyArn(
  cluster: ClusterReference | undefined,
  services: readonly ServiceReference[],
): string | undefined {
  const given = [cluster, ...services.map((service) => typeof service !== 'string' && service.cluster)];
  const [key] = given.flatMap((each) =>
    typeof each === 'object' ? (each.executeCommandConfiguration?.kmsKey ?? []) : [],
  );
  return key?.keyArn;
}

/** What is wrong with services that should lie in one cluster. */
export function clusterFindings(
  cluster: ClusterReference | undefined,
  services: readonly NamedService[],
): Finding[] {
  const name = clusterNameOf(
    cluster,
    services.map(({ service }) => service),
  );
  if (name === '')
    return [
      {
        field: ['cluster'],
        problem: 'is missing; it must be the cluster of the services that are given by name, or its name.',
      },
    ];
  return services.flatMap(({ field, service }) => {
    if (typeof service === 'string') return [];
    const own = service.cluster.clusterName;
    const isKnown = !Token.isUnresolved(own) && !Token.isUnresolved(name);
    // Two tokens of one cluster are the same; of one that is told by its name, nothing is known.
    const bothTokens = Token.isUnresolved(own) && Token.isUnresolved(name);
    if (own === name || !(isKnown || bothTokens)) return [];
    return [
      { field, problem: `is of another cluster, ${valueText(own)}; all must be of ${valueText(name)}.` },
    ];
  });
}

/** A name of ECS, or what has it. */
function named(kind: string, property: string, description: string) {
  return field(
    v.custom<ServiceReference>((value) =>
      typeof value === 'string'
        ? /^[\w-]{1,255}$/.test(value)
        : typeof value === 'object' && value !== null && property in value,
    ),
    `the name of an ECS ${kind}, or the ${kind} itself`,
    description,
  );
}

export function serviceReference(description: string) {
  return named('service', 'serviceName', description);
}

export function clusterReference(description: string) {
  return named('cluster', 'clusterName', description);
}
