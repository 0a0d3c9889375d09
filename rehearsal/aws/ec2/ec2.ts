import { createRequire } from 'node:module';
import type {
  Filter,
  IpPermission,
  NetworkInterface,
  RouteTable,
  SecurityGroup,
  Subnet,
  Vpc,
  VpcEndpoint,
} from '@aws-sdk/client-ec2';
import { AwsError } from '../aws-error.ts';
import { anywhere, type Call, type Cloud, type Operations, operation, type Service } from '../cloud.ts';
import type { Place } from '../place.ts';
import type { Properties } from '../template/properties.ts';
import type { Resource } from '../template/resource.ts';
import { type Network, Networks } from './networks.ts';
import { endpointId, securityGroupId } from './resources.ts';

/** What requests of all kinds have: the ids are under a name of each kind. */
interface Described {
  Filters?: Filter[];
  MaxResults?: number;
  NextToken?: string;
}

/** By a filter's name, what of a thing is compared with its values. */
type Filters<Item> = Record<string, (item: Item) => (string | undefined)[]>;

const VPC: Filters<Vpc> = { 'vpc-id': ({ VpcId }) => [VpcId] };
const SUBNET: Filters<Subnet> = {
  'availability-zone': ({ AvailabilityZone: zone }) => [zone],
  'subnet-id': ({ SubnetId: id }) => [id],
  'vpc-id': ({ VpcId: id }) => [id],
};
const ROUTE_TABLE: Filters<RouteTable> = {
  'association.main': ({ Associations: all = [] }) => all.map(({ Main: main }) => String(main === true)),
  'association.subnet-id': ({ Associations: all = [] }) => all.map(({ SubnetId: id }) => id),
  'vpc-id': ({ VpcId: id }) => [id],
};
const SECURITY_GROUP: Filters<SecurityGroup> = {
  'group-id': ({ GroupId: id }) => [id],
  'group-name': ({ GroupName: name }) => [name],
  'vpc-id': ({ VpcId: id }) => [id],
};
const ENDPOINT: Filters<VpcEndpoint> = {
  'service-name': ({ ServiceName: name }) => [name],
  'vpc-endpoint-type': ({ VpcEndpointType: type }) => [type],
  'vpc-id': ({ VpcId: id }) => [id],
};
const INTERFACE: Filters<NetworkInterface> = {
  'addresses.private-ip-address': ({ PrivateIpAddress: own, PrivateIpAddresses: all = [] }) => [
    own,
    ...all.map(({ PrivateIpAddress: address }) => address),
  ],
  'attachment.instance-id': ({ Attachment: { InstanceId: id } = {} }) => [id],
  'group-id': ({ Groups: groups = [] }) => groups.map(({ GroupId: id }) => id),
  'subnet-id': ({ SubnetId: id }) => [id],
  'vpc-id': ({ VpcId: id }) => [id],
};

/** Amazon EC2, of which networks are asked about: those that are there, and what the templates put into them. */
export class Ec2 implements Service {
  readonly signingName = 'ec2';
  readonly accessDenied = 'UnauthorizedOperation';
  readonly namespace = 'http://ec2.amazonaws.com/doc/2016-11-15/';
  readonly operations: Operations;
  readonly networks = new Networks();
  readonly #deployed: Cloud['deployed'];

  constructor({ deployed }: Pick<Cloud, 'deployed'>) {
    this.#deployed = deployed;
    this.operations = {
      DescribeVpcs: this.#describe<Vpc>('DescribeVpcs', 'VpcIds', 'Vpcs', VPC, ({ vpcs }) => [
        ...vpcs.values(),
      ]),
      DescribeVpcAttribute: operation(
        anywhere('ec2:DescribeVpcAttribute'),
        ({ Attribute, VpcId = '' }: { Attribute?: string; VpcId?: string }, call) => {
          if (!this.networks.in(call).vpcs.has(VpcId)) throw notFound('Vpc', VpcId);
          const value = { Value: !this.withoutDns.has(VpcId) };
          return {
            VpcId,
            ...(Attribute === 'enableDnsSupport'
              ? { EnableDnsSupport: value }
              : { EnableDnsHostnames: value }),
          };
        },
      ),
      DescribeSubnets: this.#describe<Subnet>(
        'DescribeSubnets',
        'SubnetIds',
        'Subnets',
        SUBNET,
        ({ subnets }) => [...subnets.values()],
      ),
      DescribeRouteTables: this.#describe<RouteTable>(
        'DescribeRouteTables',
        'RouteTableIds',
        'RouteTables',
        ROUTE_TABLE,
        ({ routeTables }) => [...routeTables.values()],
      ),
      DescribeSecurityGroups: this.#describe<SecurityGroup>(
        'DescribeSecurityGroups',
        'GroupIds',
        'SecurityGroups',
        SECURITY_GROUP,
        ({ securityGroups }, place) => [
          ...securityGroups.values(),
          ...this.#ofType('AWS::EC2::SecurityGroup', place).map((resource) => this.#group(resource)),
        ],
      ),
      DescribeVpcEndpoints: this.#describe<VpcEndpoint>(
        'DescribeVpcEndpoints',
        'VpcEndpointIds',
        'VpcEndpoints',
        ENDPOINT,
        ({ vpcEndpoints }, place) => [
          ...vpcEndpoints.values(),
          ...this.#ofType('AWS::EC2::VPCEndpoint', place).map(endpointOf),
        ],
      ),
      DescribeNetworkInterfaces: this.#describe<NetworkInterface>(
        'DescribeNetworkInterfaces',
        'NetworkInterfaceIds',
        'NetworkInterfaces',
        INTERFACE,
        ({ networkInterfaces }) => [...networkInterfaces.values()],
      ),
    };
  }

  /** VPCs whose attributes enableDnsSupport and enableDnsHostnames are switched off. */
  readonly withoutDns = new Set<string>();

  /** It is the largest client of all, and few ask for it. */
  get client(): object {
    return createRequire(import.meta.url)('@aws-sdk/client-ec2') as object;
  }

  #describe<Item>(
    name: string,
    ids: string,
    members: string,
    filters: Filters<Item>,
    list: (network: Network, place: Place) => Item[],
  ) {
    const idOf = (item: Item) =>
      String(Object.entries(item as object).find(([key]) => `${key}s` === ids)?.[1]);
    return operation(anywhere(`ec2:${name}`), (input: Described & Record<string, unknown>, call: Call) => {
      const all = list(this.networks.in(call), call);
      const wanted = Array.isArray(input[ids]) ? input[ids].map(String) : [];
      for (const id of wanted)
        if (!all.some((item) => idOf(item) === id)) throw notFound(ids.replace(/Ids$/, ''), id);
      const found = all.filter(
        (item) =>
          (wanted.length === 0 || wanted.includes(idOf(item))) &&
          (input.Filters ?? []).every(({ Name: by = '', Values: values = [] }) => {
            const compared = filters[by];
            if (compared === undefined)
              throw new AwsError('InvalidParameterValue', `the stand-in does not filter ${members} by ${by}`);
            return compared(item).some((value) => value !== undefined && values.includes(value));
          }),
      );
      const from = Number(input.NextToken ?? 0);
      const until = from + (input.MaxResults ?? found.length);
      return {
        [members]: found.slice(from, until),
        ...(until < found.length && { NextToken: String(until) }),
      };
    });
  }

  #ofType(type: string, { account, region }: Place): Resource[] {
    return this.#deployed
      .ofType(type)
      .filter((resource) => resource.account === account && resource.region === region);
  }

  #group(resource: Resource): SecurityGroup {
    const { properties } = resource;
    const id = securityGroupId(resource);
    const rules = (type: string) =>
      this.#ofType(`AWS::EC2::SecurityGroup${type}`, resource)
        .filter((rule) => rule.properties.text('GroupId') === id)
        .map((rule) => rule.properties);
    return {
      GroupId: id,
      GroupName: properties.text('GroupName', resource.name),
      OwnerId: resource.account,
      VpcId: properties.text('VpcId'),
      IpPermissions: [...properties.children('SecurityGroupIngress'), ...rules('Ingress')].map((rule) =>
        permissionOf(rule, 'SourceSecurityGroupId'),
      ),
      IpPermissionsEgress: [...properties.children('SecurityGroupEgress'), ...rules('Egress')].map((rule) =>
        permissionOf(rule, 'DestinationSecurityGroupId'),
      ),
    };
  }
}

/** Such as `InvalidSubnetID.NotFound`. */
function notFound(kind: string, id: string): AwsError {
  const name = kind.replace(/Id$/, '');
  return new AwsError(`Invalid${name}ID.NotFound`, `The ${name} ID '${id}' does not exist`);
}

function permissionOf(rule: Properties, other: string): IpPermission {
  const [cidr, group] = [rule.text('CidrIp', undefined), rule.text(other, undefined)];
  return {
    IpProtocol: rule.text('IpProtocol'),
    ...(rule.has('FromPort') && { FromPort: rule.number('FromPort'), ToPort: rule.number('ToPort') }),
    IpRanges: cidr === undefined ? [] : [{ CidrIp: cidr }],
    UserIdGroupPairs: group === undefined ? [] : [{ GroupId: group }],
  };
}

function endpointOf(resource: Resource): VpcEndpoint {
  const { account, properties } = resource;
  return {
    VpcEndpointId: endpointId(resource),
    VpcEndpointType: properties.text('VpcEndpointType', 'Gateway') as VpcEndpoint['VpcEndpointType'],
    VpcId: properties.text('VpcId'),
    ServiceName: properties.text('ServiceName'),
    State: 'available' as VpcEndpoint['State'],
    OwnerId: account,
    PrivateDnsEnabled: properties.boolean('PrivateDnsEnabled', false),
    SubnetIds: properties.texts('SubnetIds'),
    Groups: properties.texts('SecurityGroupIds').map((GroupId) => ({ GroupId })),
    ...(properties.has('PolicyDocument') && {
      PolicyDocument: JSON.stringify(properties.policy('PolicyDocument')),
    }),
  };
}
