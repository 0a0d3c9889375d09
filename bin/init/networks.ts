import {
  paginateDescribeRouteTables,
  paginateDescribeSubnets,
  paginateDescribeVpcEndpoints,
  type RouteTable,
  type Subnet,
} from '@aws-sdk/client-ec2';
import type { LoadBalancer } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { FoundService } from './services.ts';
import { allOf, type Surroundings } from './surroundings.ts';

/** Where the functions can stand. */
export interface FoundNetwork {
  vpcId: string | undefined;
  /** One of each zone. */
  subnets: { id: string; availabilityZone: string }[];
  securityGroupIds: string[];
  /** Whether functions there have a way to AWS; undefined: not known. */
  hasWayOut: boolean | undefined;
}

/** What is known of the network before EC2 is asked. */
export interface NetworkHints {
  subnetIds: string[];
  securityGroupIds: string[];
  vpcId: string | undefined;
}

const MOST_SECURITY_GROUPS = 5;

/** The subnets and security groups of the client's tasks; of those on instances, what stands before them tells. */
export function networkHints(services: FoundService[], loadBalancer: LoadBalancer | undefined): NetworkHints {
  const own = services.flatMap(({ service }) => service.networkConfiguration?.awsvpcConfiguration ?? []);
  const zones = loadBalancer?.AvailabilityZones ?? [];
  const ofTasks = [...new Set(own.flatMap(({ subnets = [] }) => subnets))];
  return {
    subnetIds: ofTasks.length > 0 ? ofTasks : zones.flatMap(({ SubnetId: id }) => id ?? []),
    securityGroupIds: [
      ...new Set(
        own.length > 0
          ? own.flatMap(({ securityGroups = [] }) => securityGroups)
          : (loadBalancer?.SecurityGroups ?? []),
      ),
    ],
    vpcId: loadBalancer?.VpcId,
  };
}

/** The subnets with their zones, and whether something leads from them to AWS. */
export async function findNetwork(
  around: Surroundings,
  { subnetIds, securityGroupIds, vpcId: hinted }: NetworkHints,
): Promise<FoundNetwork> {
  const groups = securityGroupIds.slice(0, MOST_SECURITY_GROUPS);
  const described =
    subnetIds.length === 0
      ? []
      : await around.look<Subnet[]>('subnets', [], () =>
          allOf(
            paginateDescribeSubnets({ client: around.ec2 }, { SubnetIds: subnetIds }),
            (page) => page.Subnets,
          ),
        );
  const vpcs = [...new Set(described.flatMap(({ VpcId: id }) => id ?? []))];
  const vpcId = vpcs.find((id) => id === hinted) ?? vpcs[0] ?? hinted;
  if (vpcs.length > 1)
    around.note('taken', `The client's subnets lie in ${vpcs.join(', ')}: those of ${vpcId} are taken.`);
  const ways = vpcId ? await waysOut(around, vpcId) : undefined;
  const inVpc = described.filter((subnet) => subnet.VpcId === vpcId);
  // Functions get no public address: of a zone's subnets one with a way out comes first.
  const ordered = inVpc.toSorted(
    (one, other) =>
      Number(ways?.(other.SubnetId ?? '') ?? false) - Number(ways?.(one.SubnetId ?? '') ?? false),
  );
  const subnets: FoundNetwork['subnets'] = [];
  for (const { SubnetId: id, AvailabilityZone: availabilityZone } of ordered)
    if (id && availabilityZone && !subnets.some((each) => each.availabilityZone === availabilityZone))
      subnets.push({ id, availabilityZone });
  return {
    vpcId,
    subnets: subnets.toSorted((one, other) => one.availabilityZone.localeCompare(other.availabilityZone)),
    securityGroupIds: groups,
    hasWayOut: ways && subnets.length > 0 ? subnets.every(({ id }) => ways(id)) : undefined,
  };
}

/** Of a VPC: whether what has no public address gets from a subnet to AWS. Undefined: it could not be looked. */
async function waysOut(
  around: Surroundings,
  vpcId: string,
): Promise<((subnetId: string) => boolean) | undefined> {
  const client = { client: around.ec2 };
  const Filters = [{ Name: 'vpc-id', Values: [vpcId] }];
  const tables = await around.look<RouteTable[] | undefined>('routes', undefined, () =>
    allOf(paginateDescribeRouteTables(client, { Filters }), (page) => page.RouteTables),
  );
  const endpoints = await around.look('VPC endpoints', [], () =>
    allOf(paginateDescribeVpcEndpoints(client, { Filters }), (page) => page.VpcEndpoints),
  );
  // Somebody has made them, so that others of the same names cannot be made.
  const hasEndpoints = endpoints.some(({ VpcEndpointType: type, ServiceName: name = '' }) => {
    return type === 'Interface' && /\.(lambda|secretsmanager|events|sqs)$/.test(name);
  });
  if (tables === undefined) return undefined;
  const isOf = (subnetId: string) => (table: RouteTable) =>
    table.Associations?.some(({ SubnetId: id }) => id === subnetId) === true;
  const main = tables.find(({ Associations: all }) => all?.some(({ Main: is }) => is));
  return (subnetId) => {
    if (hasEndpoints) return true;
    const table = tables.find(isOf(subnetId)) ?? main;
    const out = table?.Routes?.find(({ DestinationCidrBlock: to }) => to === '0.0.0.0/0');
    return out !== undefined && !out.GatewayId?.startsWith('igw-');
  };
}
