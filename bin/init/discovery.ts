import { DescribeClustersCommand } from '@aws-sdk/client-ecs';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { type ClientContainer, clientContainers, type Role } from './client-containers.ts';
import { type DatabaseServer, type FoundDatabases, findDatabases, listServers } from './databases.ts';
import { type FoundMedia, findMedia } from './media.ts';
import { type FoundMetaTemplate, findMetaTemplate } from './meta-template.ts';
import { type FoundNetwork, findNetwork, networkHints } from './networks.ts';
import { type ListedSecret, listSecrets } from './secrets.ts';
import { clusterNames, type FoundService, findServices } from './services.ts';
import { readStack, scopeOf } from './stack.ts';
import type { Surroundings } from './surroundings.ts';
import { type FoundWebApp, findWebApp } from './web-app.ts';

/** What a person has said already of where to look. */
export interface Given {
  stack?: string | undefined;
  cluster?: string | undefined;
  /** `SERVICE` or `SERVICE/CONTAINER`, by role. */
  containers: Partial<Record<Role, string[]>>;
  database?: string | undefined;
  /** Ids, in place of those that were found. */
  subnets: string[];
  securityGroups: string[];
}

/** Everything that was found of a deployment. */
export interface Discovery {
  account: string;
  region: string;
  partition: string;
  clusterName: string | undefined;
  containers: ClientContainer[];
  webApp: FoundWebApp;
  network: FoundNetwork;
  databases: FoundDatabases | undefined;
  media: FoundMedia | undefined;
  secrets: ListedSecret[];
  servers: DatabaseServer[];
  metaTemplate: FoundMetaTemplate | undefined;
  /** Of the cluster's sessions of ECS Exec, if they have a key. */
  sessionKeyArn: string | undefined;
}

/**
 * Looks for a deployment of the client.
 * @param choose one of several clusters that have containers of the client. @throws Error where there is nobody to choose
 */
export async function discover(
  around: Surroundings,
  given: Given,
  choose: (clusters: string[]) => Promise<string>,
): Promise<Discovery> {
  const identity = await around.sts.send(new GetCallerIdentityCommand({}));
  const region = await around.ecs.config.region();
  const account = identity.Account ?? '';
  const partition = identity.Arn?.split(':')[1] ?? 'aws';
  const stack = given.stack === undefined ? undefined : await readStack(around, given.stack);
  const scope = stack && scopeOf(stack);
  const services = await around.look<FoundService[]>('services of ECS', [], async () =>
    findServices(
      around,
      scope ?? { clusters: given.cluster === undefined ? await clusterNames(around) : [given.cluster] },
    ),
  );
  const all = named(services, given.containers) ?? clientContainers(services);
  const clusters = [...new Set(all.map(({ of }) => of.cluster))].sort();
  const clusterName = clusters.length > 1 ? (given.cluster ?? (await choose(clusters))) : clusters[0];
  const containers = all.filter(({ of }) => of.cluster === clusterName);
  const own = [...new Set(containers.map(({ of }) => of))];
  const metaTemplate =
    stack && (await findMetaTemplate(around, stack, services, { account, region, partition }));
  const ofWebApp = containers.filter(({ role }) => role === 'webapp').map(({ of }) => of);
  const webApp = await findWebApp(around, ofWebApp);
  const hints = networkHints(ofWebApp.length > 0 ? ofWebApp : own, webApp.loadBalancer);
  const network = await findNetwork(around, {
    vpcId: hints.vpcId ?? metaTemplate?.network.vpcId,
    subnetIds: firstOf(given.subnets, hints.subnetIds, metaTemplate?.network.subnetIds),
    securityGroupIds: firstOf(
      given.securityGroups,
      hints.securityGroupIds,
      metaTemplate?.network.securityGroupIds,
    ),
  });
  const servers = await listServers(around);
  const databases = await findDatabases(around, containers, servers, {
    host: metaTemplate?.databaseHost,
    identifier: given.database,
  });
  return {
    ...{ account, region, partition, clusterName, containers, webApp, network, databases, servers },
    media: await findMedia(around, containers, metaTemplate?.fileSystemId),
    secrets: await listSecrets(around),
    metaTemplate,
    sessionKeyArn: clusterName === undefined ? undefined : await sessionKeyOf(around, clusterName),
  };
}

/** The first list that has anything. */
function firstOf(...lists: (string[] | undefined)[]): string[] {
  return lists.find((list) => list !== undefined && list.length > 0) ?? [];
}

/** The key of a cluster's sessions. An alias is none that a policy can name. */
function sessionKeyOf(around: Surroundings, cluster: string): Promise<string | undefined> {
  return around.look('how ECS Exec is set in the cluster', undefined, async () => {
    const { clusters: [found] = [] } = await around.ecs.send(
      new DescribeClustersCommand({ clusters: [cluster], include: ['CONFIGURATIONS'] }),
    );
    const key = found?.configuration?.executeCommandConfiguration?.kmsKeyId;
    return key?.includes(':key/') ? key : undefined;
  });
}

/** The containers that a person names, where one does. */
function named(services: FoundService[], wanted: Given['containers']): ClientContainer[] | undefined {
  const roles = Object.entries(wanted) as [Role, string[]][];
  if (roles.every(([, names]) => names.length === 0)) return undefined;
  return roles.flatMap(([role, names]) =>
    names.map((name) => {
      const [service, container] = name.split('/');
      const of = services.find((each) => each.name === service);
      const among = of?.definition.containerDefinitions ?? [];
      const found = container === undefined ? among[0] : among.find((each) => each.name === container);
      if (!of || !found)
        throw new Error(
          of
            ? `The service ${service} has no container ${container}. It has ${among.map((each) => each.name).join(', ')}.`
            : `There is no service ${service}. There: ${services.map((each) => each.name).join(', ') || 'none'}.`,
        );
      if (container === undefined && among.length > 1)
        throw new Error(
          `The service ${service} has several containers: say ${service}/CONTAINER, of ${among.map((each) => each.name).join(', ')}.`,
        );
      return { role, of, container: found };
    }),
  );
}
