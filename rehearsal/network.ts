import type { IpPermission } from '@aws-sdk/client-ec2';
import type { Aws } from './aws/server.ts';
import type configuration from './upkeep.config.ts';

type Configured = (typeof configuration)['deployments'][number];

const EVERYTHING: IpPermission = {
  IpProtocol: '-1',
  IpRanges: [{ CidrIp: '0.0.0.0/0' }],
  UserIdGroupPairs: [],
};

/** Where a client's tasks on Fargate stand. */
export interface TaskNetwork {
  subnets: string[];
  securityGroups: string[];
}

/** The network that a deployment is configured with, as its owner made it: private subnets with a way out by NAT. */
export function buildNetwork(
  aws: Aws,
  { account, region, network: configured, mediaVolume }: Configured,
): TaskNetwork {
  const network = aws.ec2.networks.in({ account, region });
  const { vpcId, subnets, securityGroupIds } = configured;
  const owner = { VpcId: vpcId, OwnerId: account };
  network.vpcs.set(vpcId, { ...owner, CidrBlock: '10.0.0.0/16' });
  const table = `rtb-${vpcId.slice(4)}`;
  network.routeTables.set(table, {
    ...owner,
    RouteTableId: table,
    Associations: [{ RouteTableId: table, Main: true }],
    Routes: [
      { DestinationCidrBlock: '10.0.0.0/16', GatewayId: 'local', State: 'active' },
      { DestinationCidrBlock: '0.0.0.0/0', NatGatewayId: `nat-${vpcId.slice(4)}`, State: 'active' },
    ],
  });
  for (const [index, { id, availabilityZone }] of subnets.entries())
    network.subnets.set(id, {
      ...owner,
      SubnetId: id,
      AvailabilityZone: availabilityZone,
      CidrBlock: `10.0.${index}.0/24`,
      MapPublicIpOnLaunch: false,
      State: 'available',
    });
  const clients = mediaVolume?.create?.clientSecurityGroupIds ?? [];
  for (const GroupId of [...securityGroupIds, ...clients])
    network.securityGroups.set(GroupId, {
      ...owner,
      GroupId,
      GroupName: GroupId,
      IpPermissions: [],
      IpPermissionsEgress: [EVERYTHING],
    });
  return {
    subnets: subnets.map(({ id }) => id),
    securityGroups: clients.length > 0 ? clients : securityGroupIds,
  };
}
