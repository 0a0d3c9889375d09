import type { IpPermission, Route, VpcEndpoint } from '@aws-sdk/client-ec2';
import type { World } from '../../../rehearsal/world.ts';
import { all, coreApps, type Misconfiguration, networkOf, put, set } from './misconfiguration.ts';

export const VPC = 'vpc-0a1b2c3d4e5f60002';
const TABLE = 'rtb-0a1b2c3d4e5f60002';
const SUBNET = 'subnet-0a1b2c3d4e5f60003';
const FUNCTIONS = 'sg-0a1b2c3d4e5f60002';
const TASKS = 'sg-0a1b2c3d4e5f60004';
const DATABASE = 'sg-0a1b2c3d4e5f60009';
const LOCAL: Route = { DestinationCidrBlock: '10.0.0.0/16', GatewayId: 'local', State: 'active' };
const EVERYTHING: IpPermission = { IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] };

/** Gives the subnets other ways than the one by a NAT gateway. */
export const routes =
  (...others: Route[]) =>
  (world: World) => {
    const { routeTables } = networkOf(world);
    return put(routeTables, TABLE, { ...routeTables.get(TABLE), Routes: [LOCAL, ...others] });
  };

/** An interface endpoint with a security group of its own. */
export const endpoint =
  (service: string, ingress: IpPermission[], more: Partial<VpcEndpoint> = {}) =>
  (world: World) => {
    const { securityGroups, vpcEndpoints } = networkOf(world);
    const group = `sg-of-${service}`;
    return all(
      put(securityGroups, group, { GroupId: group, VpcId: VPC, IpPermissions: ingress }),
      put(vpcEndpoints, `vpce-${service}`, {
        VpcEndpointId: `vpce-${service}`,
        VpcEndpointType: 'Interface',
        VpcId: VPC,
        ServiceName: `com.amazonaws.eu-central-1.${service}`,
        State: 'available' as VpcEndpoint['State'],
        PrivateDnsEnabled: true,
        SubnetIds: [SUBNET],
        Groups: [{ GroupId: group }],
        ...more,
      }),
    );
  };

/** Lets a security group out to nothing else. */
export const egress =
  (group: string, ...rules: IpPermission[]) =>
  (world: World) => {
    const { securityGroups } = networkOf(world);
    return put(securityGroups, group, { ...securityGroups.get(group), IpPermissionsEgress: rules });
  };

/** Who has an address in the VPC. */
export const databaseAt = (address: string, ingress: IpPermission[]) => (world: World) => {
  const { networkInterfaces, securityGroups } = networkOf(world);
  return all(
    put(securityGroups, DATABASE, { GroupId: DATABASE, VpcId: VPC, IpPermissions: ingress }),
    put(networkInterfaces, 'eni-0', {
      NetworkInterfaceId: 'eni-0',
      VpcId: VPC,
      PrivateIpAddress: address,
      Groups: [{ GroupId: DATABASE }],
    }),
  );
};

export const https = (peer: Partial<IpPermission>): IpPermission => ({
  IpProtocol: 'tcp',
  FromPort: 443,
  ToPort: 443,
  ...peer,
});

export { DATABASE, EVERYTHING, FUNCTIONS, SUBNET, TASKS };

/** Of emea, whose functions go by endpoints of the stack, and whose tasks by a NAT gateway. */
export const NETWORK_MISCONFIGURATIONS: Misconfiguration[] = [
  {
    what: 'a subnet that is gone',
    spoil: (world) => put(networkOf(world).subnets, SUBNET, undefined),
    check: 'networks of the functions',
    status: 'failed',
    saw: /^There is no subnet subnet-0a1b2c3d4e5f60003 in this account and region\.$/,
    mend: /^aws ec2 describe-subnets /,
  },
  {
    what: 'a security group of another VPC',
    spoil: (world) => put(networkOf(world).securityGroups, FUNCTIONS, undefined),
    check: 'networks of the functions',
    status: 'failed',
    saw: /^The VPC vpc-0a1b2c3d4e5f60002 has no security group sg-0a1b2c3d4e5f60002\.$/,
    mend: /^aws ec2 describe-security-groups --filters Name=vpc-id,Values=vpc-0a1b2c3d4e5f60002 /,
  },
  {
    what: 'a subnet without a free address',
    spoil: (world) => {
      const { subnets } = networkOf(world);
      return put(subnets, SUBNET, { ...subnets.get(SUBNET), AvailableIpAddressCount: 0 });
    },
    check: 'networks of the functions',
    status: 'warning',
    saw: /^The subnet subnet-0a1b2c3d4e5f60003 has no free address left/,
    mend: /^Another subnet in network\.subnets /,
  },
  {
    what: 'functions that are let out to nothing at 443',
    spoil: egress(FUNCTIONS, {
      IpProtocol: 'tcp',
      FromPort: 5432,
      ToPort: 5432,
      IpRanges: [{ CidrIp: '10.0.0.0/8' }],
    }),
    check: 'networks of the functions',
    status: 'failed',
    saw: /^The functions in subnet-\w+, subnet-\w+ and .*events, lambda, .*: the security group sg-0a1b2c3d4e5f60002 does not let it out at port 443\. There is no way\.$/,
    mend: /^aws ec2 authorize-security-group-egress --group-id sg-0a1b2c3d4e5f60002 --ip-permissions 'IpProtocol=tcp,FromPort=443,ToPort=443,UserIdGroupPairs=\[\{GroupId=sg-\w+\}\]'$/,
  },
  {
    what: 'functions that are not let out to the database',
    spoil: egress(FUNCTIONS, https({ IpRanges: [{ CidrIp: '0.0.0.0/0' }] })),
    check: 'security groups before servers',
    status: 'failed',
    saw: /^No rule of the functions' security groups \(sg-0a1b2c3d4e5f60002\) lets them out to it at port 5432\.$/,
    mend: /^aws ec2 authorize-security-group-egress --group-id sg-0a1b2c3d4e5f60002 --ip-permissions 'IpProtocol=tcp,FromPort=5432,ToPort=5432,IpRanges=\[\{CidrIp=ITS_ADDRESSES\}\]'$/,
  },
  {
    what: 'a database that does not let the functions in',
    spoil: databaseAt('10.0.1.20', [
      { IpProtocol: 'tcp', FromPort: 5432, ToPort: 5432, UserIdGroupPairs: [{ GroupId: TASKS }] },
    ]),
    addresses: { 'database.emea.internal': '10.0.1.20' },
    check: 'security groups before servers',
    status: 'failed',
    saw: /^Its security group sg-0a1b2c3d4e5f60009 does not let the functions \(sg-0a1b2c3d4e5f60002\) in at port 5432\.$/,
    mend: /^aws ec2 authorize-security-group-ingress --group-id sg-0a1b2c3d4e5f60009 --protocol tcp --port 5432 --source-group sg-0a1b2c3d4e5f60002$/,
  },
  {
    what: 'tasks without a way to Session Manager',
    spoil: routes(),
    check: 'networks of the tasks',
    status: 'failed',
    saw: /^Its tasks in subnet-\w+, subnet-\w+ and ssmmessages: the VPC has no endpoint for it, and the route table rtb-\w+ leads nowhere else\. There is no way\.$/,
    mend: /^aws ec2 create-vpc-endpoint --vpc-id vpc-\w+ --vpc-endpoint-type Interface --service-name com\.amazonaws\.eu-central-1\.ssmmessages --subnet-ids subnet-\w+ /,
  },
  {
    what: 'a NAT gateway that is gone',
    spoil: routes({ DestinationCidrBlock: '0.0.0.0/0', NatGatewayId: 'nat-gone', State: 'blackhole' }),
    check: 'networks of the tasks',
    status: 'failed',
    saw: /leads out by nat-gone, which is gone \(blackhole\)/,
    mend: /^aws ec2 replace-route --route-table-id rtb-\w+ --destination-cidr-block 0\.0\.0\.0\/0 /,
  },
  {
    what: 'tasks in a public subnet without a public address',
    spoil: routes({ DestinationCidrBlock: '0.0.0.0/0', GatewayId: 'igw-0', State: 'active' }),
    check: 'networks of the tasks',
    status: 'failed',
    saw: /the subnet is a public one \(igw-0\), and what has no public address gets nowhere from there/,
    mend: /^aws ec2 create-vpc-endpoint .*\nor a subnet whose route table leads out by a NAT gateway$/,
  },
  {
    what: 'an endpoint that shuts the tasks out',
    spoil: endpoint('ssmmessages', [https({ UserIdGroupPairs: [{ GroupId: 'sg-others' }] })]),
    check: 'networks of the tasks',
    status: 'failed',
    saw: /the endpoint vpce-ssmmessages answers to the service's name in the whole VPC, and its security group sg-of-ssmmessages does not let sg-0a1b2c3d4e5f60004 in at port 443/,
    mend: /^aws ec2 authorize-security-group-ingress --group-id sg-of-ssmmessages --protocol tcp --port 443 --source-group sg-0a1b2c3d4e5f60004 /,
  },
];

/** Strange, and as it should be: nothing is to be warned of. */
export const SOUND_NETWORKS: {
  what: string;
  make: (world: World) => () => void;
  addresses?: Record<string, string>;
}[] = [
  {
    what: 'tasks with public addresses in public subnets',
    make: (world) =>
      all(
        routes({ DestinationCidrBlock: '0.0.0.0/0', GatewayId: 'igw-0', State: 'active' })(world),
        ...Object.values(world.deployments.emea?.containers?.services ?? {}).map(({ options }) =>
          set(options, {
            capacity: {
              launchType: 'FARGATE',
              networkConfiguration: {
                awsvpcConfiguration: {
                  subnets: [SUBNET],
                  securityGroups: [TASKS],
                  assignPublicIp: 'ENABLED',
                },
              },
            },
          }),
        ),
      ),
  },
  {
    what: 'a way out by a transit gateway',
    make: routes({ DestinationCidrBlock: '0.0.0.0/0', TransitGatewayId: 'tgw-0', State: 'active' }),
  },
  {
    what: 'endpoints in a central VPC',
    make: routes({ DestinationCidrBlock: '10.0.0.0/8', TransitGatewayId: 'tgw-0', State: 'active' }),
  },
  {
    what: 'a firewall in the way',
    make: routes({ DestinationCidrBlock: '0.0.0.0/0', GatewayId: 'vpce-firewall', State: 'active' }),
  },
  {
    what: 'no way out but endpoints, one with a policy of its own',
    make: (world) =>
      all(
        routes({ DestinationPrefixListId: 'pl-s3', GatewayId: 'vpce-s3', State: 'active' })(world),
        endpoint('ssmmessages', [https({ IpRanges: [{ CidrIp: '10.0.0.0/16' }] })], {
          PolicyDocument:
            '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"ssmmessages:*","Resource":"*"}]}',
        })(world),
      ),
  },
  {
    what: 'an endpoint without private DNS, behind a hosted zone',
    make: (world) =>
      all(routes()(world), endpoint('ssmmessages', [EVERYTHING], { PrivateDnsEnabled: false })(world)),
  },
  {
    what: 'rules by prefix lists',
    make: (world) =>
      all(
        egress(FUNCTIONS, { IpProtocol: '-1', PrefixListIds: [{ PrefixListId: 'pl-own' }] })(world),
        egress(TASKS, https({ PrefixListIds: [{ PrefixListId: 'pl-own' }] }))(world),
      ),
  },
  {
    what: 'subnets that another account shares',
    make: (world) => {
      const network = networkOf(world);
      return all(
        put(network.routeTables, TABLE, undefined),
        ...[...network.subnets].map(([id, subnet]) =>
          put(network.subnets, id, { ...subnet, OwnerId: '999999999999' }),
        ),
      );
    },
  },
  {
    what: 'a database behind an address range',
    make: databaseAt('10.0.1.20', [
      { IpProtocol: 'tcp', FromPort: 5000, ToPort: 6000, IpRanges: [{ CidrIp: '10.0.0.0/8' }] },
    ]),
    addresses: { 'database.emea.internal': '10.0.1.20' },
  },
  {
    what: 'services that are deployed blue/green',
    make: (world) => set(coreApps(world).options, { strategy: 'BLUE_GREEN' }),
  },
  {
    what: 'services on capacity providers',
    make: (world) =>
      all(
        ...Object.values(world.deployments.emea?.containers?.services ?? {}).map(({ options }) =>
          set(options, {
            capacity: {
              capacityProviderStrategy: [{ capacityProvider: 'FARGATE_SPOT', weight: 1 }],
              networkConfiguration: { awsvpcConfiguration: { subnets: [SUBNET], securityGroups: [TASKS] } },
            },
          }),
        ),
      ),
  },
];
