import { join } from 'node:path';
import { Container } from '../../../rehearsal/aws/containers/container.ts';
import type { Place } from '../../../rehearsal/aws/place.ts';
import type { Aws } from '../../../rehearsal/aws/server.ts';
import { putTemplateOf } from '../../../rehearsal/client-template.ts';
import { buildNetwork } from '../../../rehearsal/network.ts';
import rehearsed from '../../../rehearsal/upkeep.config.ts';
import { metaHost } from '../../../rehearsal/whatsapp/client-tasks.ts';
import {
  metaLoadBalancers,
  metaTaskDefinition,
  putMetaNetwork,
  putMetaTemplate,
} from '../../../rehearsal/whatsapp/meta-template.ts';

/** A client that Meta's template has made, with what else runs in the account. */
export function putMetaClient(aws: Aws, place: Place): void {
  const runService = runIn(aws);
  const monitoringSecretArn = `arn:aws:secretsmanager:${place.region}:${place.account}:secret:wa-ms-Secret-a1B2c3`;
  aws.secrets.put(monitoringSecretArn, '{"data_src_name":"whatsapp:Never-Shown-1@(db:3306)/"}');
  aws.secrets.secret(monitoringSecretArn).keyId = monitoringKey(place);
  const names = {
    ...{ WAEntWebService: 'wa-WAEntWebService-1', WAEntMasterService: 'wa-WAEntMasterService-1' },
    ...{ WAEntNotCECoreappService: 'wa-WAEntNotCECoreappService-1' },
    WAMonitoringService: 'wa-ms-WAMonitoringService-1',
  };
  const clusters = { main: 'wa-ECSCluster-1', monitoring: 'wa-ms-ECSCluster-1' };
  const network = {
    ...{ stackName: 'wa', vpcId: 'vpc-0a1b2c3d4e5f60001' },
    subnets: ['a', 'b'].map((zone, index) => ({
      ...{ id: `subnet-0a1b2c3d4e5f6000${index}`, availabilityZone: `${place.region}${zone}` },
    })),
  };
  putMetaNetwork(aws, { ...place, ...network });
  putMetaTemplate(aws, {
    ...place,
    ...network,
    ...{ names, clusters, monitoringSecretArn },
    databaseHost: 'wa.cluster-a1b2.eu-central-1.rds.amazonaws.com',
    keyId: '0a1b2c3d-4e5f-6789-abcd-0123456789ab',
  });
  for (const [id, service] of Object.entries(names) as [keyof typeof names, string][])
    runService(place, {
      service,
      cluster: id === 'WAMonitoringService' ? clusters.monitoring : clusters.main,
      definition: metaTaskDefinition(id, { stackName: 'wa', monitoringSecretArn }),
      ...(id === 'WAEntWebService' && {
        loadBalancers: metaLoadBalancers('wa', place),
      }),
    });
  for (let number = 0; number < 23; number++)
    runService(place, { cluster: clusters.main, service: `shop-${number}` });
}

/** The key that somebody gave the secret of that client's exporter. */
export function monitoringKey({ account, region }: Place): string {
  return `arn:aws:kms:${region}:${account}:key/1a2b3c4d-5e6f-4789-abcd-0123456789ab`;
}

/** The sample's deployment that was made with Meta's template. */
export const APAC = (() => {
  const found = rehearsed.deployments.find(({ name }) => name === 'apac');
  const { services, metaTemplate, clusterName = '', secret } = found?.jobs.credentialRotation ?? {};
  const [other] = services?.others ?? [];
  if (!found || !metaTemplate?.monitoring || !other || !secret)
    throw new Error('The sample has no deployment apac with all of it.');
  const names = {
    WAEntWebService: services?.webapp?.[0] ?? '',
    WAEntMasterService: services?.master?.[0] ?? '',
    WAEntNotCECoreappService: services?.coreapp?.[0] ?? '',
    WAMonitoringService: other.name,
  };
  const { account, region } = found;
  return {
    configured: found,
    place: { account, region },
    stackName: metaTemplate.stackName,
    monitoringSecretArn: metaTemplate.monitoring.secretArn,
    clusters: { main: clusterName, monitoring: other.clusterName ?? clusterName },
    names,
    /** What an operator makes, for the template has none of them. */
    secrets: {
      apiUser: found.webApp.apiUser.secretArn,
      sizeUser: found.databases?.[0]?.user?.secretArn ?? '',
      credential: secret.secretArn,
    },
  };
})();

/** The network of the template, in place of what the rehearsal gives its deployments. */
export function putNetworkOfApac(aws: Aws): void {
  const { place, stackName, configured } = APAC;
  const { vpcId, subnets } = configured.network;
  putMetaNetwork(aws, { ...place, stackName, vpcId, subnets: [...subnets] });
}

/**
 * That deployment's client, before anything of ours is there.
 * @param folder for its containers and instances
 * @returns what takes them away
 */
export async function putApac(aws: Aws, folder: string): Promise<() => Promise<void>> {
  const { configured, place, stackName, monitoringSecretArn, clusters, names } = APAC;
  buildNetwork(aws, configured);
  putNetworkOfApac(aws);
  putTemplateOf(aws, configured);
  aws.ssm.write('/cdk-bootstrap/hnb659fds/version', '31', place);
  aws.secrets.put(monitoringSecretArn, '{"data_src_name":"whatsapp:Never-Shown-5@(db:3306)/"}');
  // ECS registers no task definition with secrets without one.
  const executionRoleArn = `arn:aws:iam::${place.account}:role/${stackName}-ms-execution`;
  const reads = {
    Effect: 'Allow' as const,
    Action: ['secretsmanager:GetSecretValue', 'kms:Decrypt'],
    Resource: '*',
  };
  aws.iam.putRole({ arn: executionRoleArn, policies: [{ Version: '2012-10-17', Statement: [reads] }] });
  const runService = runIn(aws);
  const containers: Container[] = [];
  for (const [id, service] of Object.entries(names) as [keyof typeof names, string][]) {
    const cluster = id === 'WAMonitoringService' ? clusters.monitoring : clusters.main;
    const definition = metaTaskDefinition(id, { stackName, monitoringSecretArn });
    const container = await Container.start({
      name: definition.container.name,
      folder: join(folder, `${service}-container`),
    });
    containers.push(container);
    runService(place, {
      ...{ service, cluster, enableExecuteCommand: false, desiredCount: 1, running: [[container]] },
      host: metaHost({ cluster, service }, join(folder, service), stackName),
      definition: { ...definition, ...(id === 'WAMonitoringService' && { executionRoleArn }) },
      ...(id === 'WAEntWebService' && { loadBalancers: metaLoadBalancers(stackName, place) }),
    });
  }
  return async () => {
    await Promise.all(containers.map((container) => container.remove()));
  };
}

/** Two clusters with a client each, sidecars, no load balancer, ARNs of all lengths, credentials of all forms. */
export function putOddClient(aws: Aws, place: Place): void {
  const runService = runIn(aws);
  const secret = (name: string) => `arn:aws:secretsmanager:${place.region}:${place.account}:secret:${name}`;
  aws.secrets.put(`${secret('chat/db')}-d4E5f6`, '{"username":"wa","password":"Never-Shown-2"}');
  aws.secrets.put(`${secret('chat/plain')}-g7H8i9`, 'Never-Shown-3');
  aws.secrets.put(`${secret('chat/admin')}-m1N2o3`, '{"username":"admin","password":"Never-Shown-7"}');
  const key = `arn:aws:kms:${place.region}:${place.account}:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab`;
  const kept = `${secret('third/all')}-p4Q5r6`;
  aws.secrets.put(kept, '{"username":"u","password":"Never-Shown-9"}');
  aws.secrets.secret(kept).keyId = key;
  aws.secrets.put(`${secret('chat/api-user')}-j1K2l3`, '{"username":"u","password":"Never-Shown-4"}');
  aws.rds.put({
    ...{ ...place, identifier: 'chat-db', kind: 'instance', engine: 'mysql', engineVersion: '8.0.36' },
    ...{ host: 'chat-db.a1b2.eu-central-1.rds.amazonaws.com', port: 3307, masterUsername: 'admin' },
  });
  aws.efs.put({
    ...place,
    id: 'fs-0a1b2c3d4e5f60001',
    mountTargets: [
      {
        ...{ subnetId: 'subnet-0b1b2c3d4e5f60001', availabilityZone: `${place.region}a` },
        ...{ vpcId: 'vpc-0b1b2c3d4e5f60001', securityGroupIds: ['sg-0b1b2c3d4e5f60009'] },
      },
    ],
    throughputMode: 'elastic',
  });
  const network = aws.ec2.networks.in(place);
  // Of one zone two, of which one has a way out.
  for (const [id, zone] of Object.entries({ '1': 'a', '2': 'a', '3': 'b' }))
    network.subnets.set(`subnet-0b1b2c3d4e5f6000${id}`, {
      SubnetId: `subnet-0b1b2c3d4e5f6000${id}`,
      ...{ VpcId: 'vpc-0b1b2c3d4e5f60001', AvailabilityZone: `${place.region}${zone}` },
    });
  const table = (id: string, subnets: string[], target: object) =>
    network.routeTables.set(id, {
      ...{ RouteTableId: id, VpcId: 'vpc-0b1b2c3d4e5f60001' },
      Associations: subnets.map((each) => ({ SubnetId: `subnet-0b1b2c3d4e5f6000${each}`, Main: false })),
      Routes: [{ DestinationCidrBlock: '0.0.0.0/0', ...target }],
    });
  table('rtb-1', ['1'], { GatewayId: 'igw-1' });
  table('rtb-2', ['2', '3'], { NatGatewayId: 'nat-1' });
  const capacity = {
    launchType: 'FARGATE' as const,
    networkConfiguration: {
      awsvpcConfiguration: {
        subnets: ['1', '2', '3'].map((id) => `subnet-0b1b2c3d4e5f6000${id}`),
        securityGroups: ['sg-0b1b2c3d4e5f60001'],
      },
    },
  };
  const sidecars = [
    { name: 'log_router', image: 'public.ecr.aws/aws-observability/aws-for-fluent-bit:stable' },
    { name: 'web', image: 'nginx:1.27' },
  ];
  const client = (repository: string, password: string, environment: Record<string, string> = {}) => ({
    container: {
      image: `${place.account}.dkr.ecr.${place.region}.amazonaws.com/mirror/${repository}@sha256:0a1b`,
      environment: Object.entries({ WA_DB_ENGINE: 'MYSQL', WA_DB_NAME_PREFIX: 'one_', ...environment }).map(
        ([name, value]) => ({ name, value }),
      ),
      secrets: [
        { name: 'WA_DB_HOSTNAME', valueFrom: 'chat-host' },
        { name: 'WA_DB_PASSWORD', valueFrom: password },
      ],
      mountPoints: [{ sourceVolume: 'media', containerPath: '/usr/local/wamedia' }],
    },
    others: sidecars,
    volumes: [
      {
        name: 'media',
        efsVolumeConfiguration: { fileSystemId: 'fs-0a1b2c3d4e5f60001', rootDirectory: '/chat/' },
      },
    ],
  });
  aws.ssm.write('chat-host', 'chat-db.a1b2.eu-central-1.rds.amazonaws.com', place);
  // In full, in short (without the six characters), and as plain text.
  const without = { enableExecuteCommand: false };
  const json = `${secret('chat/db')}:password::`;
  const core = client('coreapp', json);
  runService(place, {
    ...{ cluster: 'chat', service: 'wa-coreapp', capacity },
    ...without,
    definition: core,
  });
  runService(place, {
    ...{ cluster: 'chat', service: 'wa-master', capacity, enableExecuteCommand: true },
    definition: client('coreapp', json, { WA_MASTER_NODE: '1' }),
  });
  runService(place, {
    ...{ cluster: 'chat', service: 'wa-web', capacity },
    ...without,
    definition: client('web', json),
  });
  runService(place, {
    ...{ cluster: 'second', service: 'single', capacity },
    definition: client('coreapp', `${secret('chat/plain')}-g7H8i9`),
  });
  // With keys of its own for all that can have one, an access point, and no way out of its subnet but for public addresses.
  aws.ssm.write('chat-password', 'Never-Shown-8', { ...place, keyId: key });
  aws.ecs.execConfigurations[`arn:aws:ecs:${place.region}:${place.account}:cluster/third`] = {
    kmsKeyId: key,
  };
  for (const [service, repository, group] of [
    ['third-core', 'coreapp', 'sg-0b1b2c3d4e5f60002'],
    ['third-web', 'web', 'sg-0b1b2c3d4e5f60001'],
  ] as const)
    runService(place, {
      ...{ cluster: 'third', service, enableExecuteCommand: true },
      capacity: {
        launchType: 'FARGATE',
        networkConfiguration: {
          awsvpcConfiguration: { subnets: ['subnet-0b1b2c3d4e5f60001'], securityGroups: [group] },
        },
      },
      definition: {
        ...client(repository, 'chat-password'),
        volumes: [
          {
            name: 'media',
            efsVolumeConfiguration: {
              fileSystemId: 'fs-0a1b2c3d4e5f60001',
              authorizationConfig: { accessPointId: 'fsap-0a1b2c3d4e5f60001' },
            },
          },
        ],
      },
    });
  runService(place, { cluster: 'other', service: 'web', definition: { container: { image: 'nginx' } } });
}

type Service = Partial<Parameters<Aws['ecs']['manageService']>[0]> & { cluster: string; service: string };

function runIn(aws: Aws): (place: Place, service: Service) => void {
  return (place, service) =>
    void aws.ecs.manageService({ desiredCount: 0, start: async () => [], ...place, ...service });
}
