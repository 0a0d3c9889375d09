import { stackId } from '../aws/cloudformation/cloudformation.ts';
import { targetGroupArn } from '../aws/elastic-load-balancing/elastic-load-balancing.ts';
import type { Place } from '../aws/place.ts';
import type { Aws } from '../aws/server.ts';
import { hash } from '../aws/template/resource.ts';

/** What the template's parameters would be, and what is not the template's own. */
export interface MetaTemplateOptions extends Place {
  stackName: string;
  vpcId: string;
  /** Public ones: the template has no others. */
  subnets: { id: string; availabilityZone: string }[];
  /** The host of the database, on Aurora. */
  databaseHost: string;
  /** The id of the key of its parameters. */
  keyId: string;
  /** The name of its monitoring stack's secret in full, with the six characters at its end. */
  monitoringSecretArn: string;
  /** By its names, as in `services`. @default those of CloudFormation */
  names?: Partial<Record<keyof typeof SERVICES, string>>;
  clusters?: { main: string; monitoring: string };
}

/** The services of the template in high availability, by their logical ids. */
const SERVICES = {
  WAEntWebService: { family: 'web', container: 'wa-web', nested: false },
  WAEntMasterService: { family: 'coreapp', container: 'wa-master', nested: false },
  WAEntNotCECoreappService: { family: 'coreapp', container: 'wa-coreapp', nested: false },
  WAMonitoringService: { family: 'mysqld-exporter', container: 'mysqld-exporter', nested: true },
} as const;

/** What the template has that only describing calls see: its stacks, load balancer, server, file system and parameters. */
export function putMetaTemplate(aws: Aws, options: MetaTemplateOptions): void {
  const { stackName, account, region, vpcId, subnets, databaseHost, keyId } = options;
  const place = { account, region };
  const named = (logicalId: string) => `${stackName}-${logicalId}-${hash(`${stackName} ${logicalId}`, 12)}`;
  const clusters = options.clusters ?? { main: named('ECSCluster'), monitoring: named('ms-ECSCluster') };
  const groupId = `sg-${hash(`${stackName} EcsSecurityGroup`, 17)}`;
  const mountGroupId = `sg-${hash(`${stackName} MountTargetSecurityGroup`, 17)}`;
  const fileSystemId = `fs-${hash(stackName, 17)}`;
  const network = `${stackName}-network`;
  const nested = (id: string) => `${stackName}-${id}-${hash(`${stackName} ${id}`, 12).toUpperCase()}`;
  const serviceArn = (id: keyof typeof SERVICES) =>
    `arn:aws:ecs:${region}:${account}:service/${SERVICES[id].nested ? clusters.monitoring : clusters.main}/${options.names?.[id] ?? named(id)}`;
  const balancer = balancerOf(stackName);
  aws.elasticLoadBalancing.put({
    ...place,
    name: balancer,
    type: 'network',
    scheme: 'internet-facing',
    vpcId,
    subnets,
    listeners: [{ port: 443, protocol: 'TCP', targetGroup: `${balancer}-web` }],
  });
  aws.rds.put({
    ...place,
    identifier: `${stackName}-db`,
    kind: 'cluster',
    engine: 'aurora-mysql',
    engineVersion: '8.0.mysql_aurora.3.03.1',
    host: databaseHost,
    port: 3306,
    masterUsername: 'whatsapp',
  });
  aws.efs.put({
    ...place,
    id: fileSystemId,
    mountTargets: subnets.map(({ id, availabilityZone }) => ({
      ...{ subnetId: id, availabilityZone, vpcId, securityGroupIds: [mountGroupId] },
    })),
  });
  const { securityGroups } = aws.ec2.networks.in(place);
  for (const [id, name] of [
    [groupId, 'EcsSecurityGroup'],
    [mountGroupId, 'MountTargetSecurityGroup'],
  ] as const)
    securityGroups.set(id, {
      ...{ GroupId: id, GroupName: `${stackName}-${name}`, VpcId: vpcId, OwnerId: account },
      IpPermissions: [{ IpProtocol: '-1', UserIdGroupPairs: [{ GroupId: groupId }], IpRanges: [] }],
      IpPermissionsEgress: [{ IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }], UserIdGroupPairs: [] }],
    });
  aws.ssm.write(`${stackName}-WA_DB_HOSTNAME`, databaseHost, place);
  if (aws.ssm.parameter(`${stackName}-WA_DB_PASSWORD`, place) === undefined)
    aws.ssm.write(`${stackName}-WA_DB_PASSWORD`, `Meta-${crypto.randomUUID()}`, { ...place, keyId });
  aws.cloudFormation.put({
    ...place,
    name: network,
    exports: {
      [`${network}-VPC`]: vpcId,
      ...Object.fromEntries(subnets.map(({ id }, index) => [`${network}-PublicSubnet${index + 1}`, id])),
    },
    resources: [{ logicalId: 'VPC', type: 'AWS::EC2::VPC', physicalId: vpcId }],
  });
  aws.cloudFormation.put({
    ...place,
    name: nested('ms'),
    resources: [
      { logicalId: 'ECSCluster', type: 'AWS::ECS::Cluster', physicalId: clusters.monitoring },
      {
        logicalId: 'WAMonitoringService',
        type: 'AWS::ECS::Service',
        physicalId: serviceArn('WAMonitoringService'),
      },
      {
        logicalId: 'Secret',
        type: 'AWS::SecretsManager::Secret',
        physicalId: options.monitoringSecretArn,
      },
    ],
  });
  aws.cloudFormation.put({
    ...place,
    name: nested('dbStack'),
    resources: [
      { logicalId: 'DBCluster', type: 'AWS::RDS::DBCluster', physicalId: `${stackName}-db` },
      { logicalId: 'DBInstance1', type: 'AWS::RDS::DBInstance', physicalId: `${stackName}-db-1` },
    ],
  });
  const stack = (id: string) => ({
    ...{ logicalId: id, type: 'AWS::CloudFormation::Stack' },
    physicalId: stackId({ ...place, name: nested(id) }),
  });
  const service = (id: keyof typeof SERVICES) => ({
    ...{ logicalId: id, type: 'AWS::ECS::Service', physicalId: serviceArn(id) },
  });
  const custom = (logicalId: string) => ({
    ...{ logicalId, type: 'AWS::CloudFormation::CustomResource', physicalId: `${stackName}-${logicalId}` },
  });
  aws.cloudFormation.put({
    ...place,
    name: stackName,
    parameters: {
      ...{ NetworkStackName: network, EnvThroughput: '40', CostEffectiveEnabled: 'disabled' },
      ...{ HAEnabled: 'enabled', WAEntContRegistry: 'docker.whatsapp.biz', WAEntContTag: 'v2.57.2' },
      ...{ DBHostname: '', DBUser: '****', DBPassword: '****', DBPort: '3306' },
      ...{ DBIdleConnectionTimeoutMS: '180000', DBConnCA: '', EFSId: '', WAWebUsername: 'admin' },
    },
    outputs: {
      ...{ WAEntLB: balancer, ECSCluster: clusters.main, DBHostname: databaseHost, DBPort: '3306' },
      ...{ LogRetentionDays: '7', ShardCount: '2' },
    },
    resources: [
      stack('ms'),
      stack('dbStack'),
      { logicalId: 'ECSCluster', type: 'AWS::ECS::Cluster', physicalId: clusters.main },
      service('WAEntWebService'),
      service('WAEntMasterService'),
      service('WAEntNotCECoreappService'),
      { logicalId: 'EcsSecurityGroup', type: 'AWS::EC2::SecurityGroup', physicalId: groupId },
      { logicalId: 'MountTargetSecurityGroup', type: 'AWS::EC2::SecurityGroup', physicalId: mountGroupId },
      { logicalId: 'FileSystem', type: 'AWS::EFS::FileSystem', physicalId: fileSystemId },
      { logicalId: 'KMSKey', type: 'AWS::KMS::Key', physicalId: keyId },
      { logicalId: 'WALogGroup', type: 'AWS::Logs::LogGroup', physicalId: stackName },
      {
        logicalId: 'WAEntTargetGroup',
        type: 'AWS::ElasticLoadBalancingV2::TargetGroup',
        physicalId: targetGroupArn(`${balancer}-web`, place),
      },
      custom('StorePassword'),
      custom('StoreHostName'),
      custom('StoreJWTSecret'),
    ],
  });
}

/** The network that the template's other stack makes: public subnets alone. */
export function putMetaNetwork(
  aws: Aws,
  {
    stackName,
    vpcId,
    subnets,
    ...place
  }: Pick<MetaTemplateOptions, 'stackName' | 'vpcId' | 'subnets' | keyof Place>,
): void {
  const network = aws.ec2.networks.in(place);
  for (const [index, { id, availabilityZone }] of subnets.entries())
    network.subnets.set(id, {
      ...{ SubnetId: id, VpcId: vpcId, AvailabilityZone: availabilityZone, MapPublicIpOnLaunch: true },
      ...{ CidrBlock: `10.0.${index}.0/24`, OwnerId: place.account, State: 'available' as const },
    });
  const table = `rtb-${hash(stackName, 17)}`;
  network.routeTables.set(table, {
    ...{ RouteTableId: table, VpcId: vpcId },
    Associations: subnets.map(({ id }) => ({ SubnetId: id, Main: false })),
    Routes: [{ DestinationCidrBlock: '0.0.0.0/0', GatewayId: `igw-${hash(stackName, 17)}` }],
  });
}

/** By which the template's WebApps are behind its load balancer. */
export function metaLoadBalancers(stackName: string, place: Place) {
  const targetGroup = targetGroupArn(`${balancerOf(stackName)}-web`, place);
  return [{ targetGroupArn: targetGroup, containerName: 'wa-web', containerPort: 443 }];
}

function balancerOf(stackName: string): string {
  return `${stackName.slice(0, 20)}-lb`;
}

/** The template's task definition of a service, as ECS shows it. */
export function metaTaskDefinition(
  id: keyof typeof SERVICES,
  { stackName, monitoringSecretArn }: Pick<MetaTemplateOptions, 'stackName' | 'monitoringSecretArn'>,
) {
  const { family, container } = SERVICES[id];
  if (id === 'WAMonitoringService')
    return {
      container: {
        name: container,
        image: 'prom/mysqld-exporter:v0.14.0',
        secrets: [{ name: 'DATA_SOURCE_NAME', valueFrom: `${monitoringSecretArn}:data_src_name::` }],
      },
    };
  const environment = {
    ...{ WA_RUNNING_ENV: 'AWS', AWS_STACK_NAME: stackName, WA_DB_ENGINE: 'MYSQL', WA_DB_PORT: '3306' },
    ...{ WA_DB_USERNAME: 'whatsapp', WA_DB_CONNECTION_IDLE_TIMEOUT: '180000' },
    ...(container === 'wa-master' && { WA_MASTER_NODE: '1' }),
  };
  return {
    networkMode: 'bridge' as const,
    container: {
      name: container,
      image: `docker.whatsapp.biz/${family}:v2.57.2`,
      environment: Object.entries(environment).map(([name, value]) => ({ name, value })),
      mountPoints: [{ sourceVolume: 'media', containerPath: '/usr/local/wamedia' }],
    },
    // The host has mounted the file system there.
    volumes: [{ name: 'media', host: { sourcePath: '/mnt/wa/media' } }],
  };
}
