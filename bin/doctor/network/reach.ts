import type { Route, RouteTable, SecurityGroup, VpcEndpoint } from '@aws-sdk/client-ec2';
import { INTERNET, permits } from './security-groups.ts';
import type { Vpc } from './vpc.ts';

/** Where somebody stands who calls AWS. */
export interface Standing {
  vpc: Vpc;
  subnetId: string;
  groupIds: readonly string[];
  /** Without one an Internet gateway takes nothing. */
  hasPublicAddress: boolean;
}

/** Whether there is a way from somewhere to a service of AWS. */
export type Reach =
  /** `by`: an endpoint, a gateway. */
  | { way: 'open'; by: string }
  /** There may be one: `why` says what cannot be seen from here. */
  | { way: 'unseen'; why: string }
  /** `why` without the service and the subnet, `mend` for the service. */
  | { way: 'shut'; why: string; mend: string };

const HTTPS = 443;

/** @param service as its interface endpoint is called: `com.amazonaws.REGION.SERVICE` */
export function reachOf(service: string, standing: Standing, region: string): Reach {
  const name = `com.amazonaws.${region}.${service}`;
  const own = standing.vpc.endpoints.filter(
    ({ ServiceName: its, VpcEndpointType: type, State: state }) =>
      // In China they begin otherwise.
      (its === name || its?.endsWith(`.${name}`)) &&
      type === 'Interface' &&
      state?.toLowerCase() === 'available',
  );
  // With private DNS it answers to the service's name in the whole VPC, whatever other way there is.
  const endpoint = own.find(({ PrivateDnsEnabled: isPrivate }) => isPrivate);
  if (endpoint) return byEndpoint(endpoint, standing);
  const route = byRoute(standing);
  const [nameless] = own;
  if (route.way !== 'shut' || nameless === undefined)
    return route.way === 'shut' ? { ...route, mend: route.mend.replaceAll('SERVICE_NAME', name) } : route;
  return {
    way: 'unseen',
    why: `the endpoint ${nameless.VpcEndpointId} does not answer to the service's name by itself (private DNS is off): a hosted zone of yours must lead there`,
  };
}

function byEndpoint(endpoint: VpcEndpoint, { vpc, subnetId, groupIds }: Standing): Reach {
  const { VpcEndpointId: id = '', Groups: groups = [], SubnetIds: subnets = [] } = endpoint;
  const theirs = groups.flatMap(({ GroupId: group }) => group ?? []);
  const caller = { groupIds, cidrs: cidrsOf(vpc, [subnetId]) };
  const into = groupsOf(vpc, theirs);
  // Of whom no security group is known, nobody knows whether it is let in.
  if (into && groupIds.length > 0 && !into.some(({ IpPermissions: rules }) => permits(rules, HTTPS, caller)))
    return {
      way: 'shut',
      why: `the endpoint ${id} answers to the service's name in the whole VPC, and its security group ${theirs.join(', ')} does not let ${groupIds.join(', ')} in at port 443`,
      mend: `aws ec2 authorize-security-group-ingress --group-id ${theirs[0]} --protocol tcp --port 443 --source-group ${groupIds[0]}   # of an endpoint that upkeep's stack made: network.otherEndpointClients of the configuration, then: npx cdk deploy --all`,
    };
  const out = groupsOf(vpc, groupIds);
  const to = { groupIds: theirs, cidrs: cidrsOf(vpc, subnets) };
  if (out && !out.some(({ IpPermissionsEgress: rules }) => permits(rules, HTTPS, to)))
    return letOut(groupIds, `--source-group ${theirs[0]}`);
  return { way: 'open', by: `the endpoint ${id}` };
}

function letOut(groupIds: readonly string[], to: string): Reach {
  const pair = to.replace('--source-group ', '');
  const peers = to.startsWith('--source-group')
    ? `UserIdGroupPairs=[{GroupId=${pair}}]`
    : `IpRanges=[{CidrIp=${to}}]`;
  return {
    way: 'shut',
    why: `the security group ${groupIds.join(', ')} does not let it out at port 443`,
    mend: `aws ec2 authorize-security-group-egress --group-id ${groupIds[0]} --ip-permissions 'IpProtocol=tcp,FromPort=443,ToPort=443,${peers}'`,
  };
}

/** `SERVICE_NAME` in the mend stands for the endpoint service. */
function byRoute({ vpc, subnetId, groupIds, hasPublicAddress }: Standing): Reach {
  const table = tableOf(vpc, subnetId);
  if (table === undefined)
    return {
      way: 'unseen',
      why: `the subnet is shared by the account ${vpc.subnets.get(subnetId)?.OwnerId}, and its route table is not seen from here`,
    };
  const { RouteTableId: tableId } = table;
  const routes = (table.Routes ?? []).filter((route) => !isLocal(route) && !isGatewayEndpoint(route));
  const [outward] = routes.filter(({ DestinationCidrBlock: to }) => to === '0.0.0.0/0');
  const endpoint = `aws ec2 create-vpc-endpoint --vpc-id ${vpc.id} --vpc-endpoint-type Interface --service-name SERVICE_NAME --subnet-ids ${subnetId} --security-group-ids SECURITY_GROUP   # one that lets ${groupIds.join(', ')} in at port 443`;
  if (outward === undefined) {
    const [other] = routes.filter(({ State: state }) => state !== 'blackhole');
    if (other)
      return {
        way: 'unseen',
        why: `${other.DestinationCidrBlock ?? other.DestinationPrefixListId ?? 'some'} goes by ${targetOf(other)}, and what is there is not seen from here`,
      };
    return {
      way: 'shut',
      why: `the VPC has no endpoint for it, and the route table ${tableId} leads nowhere else`,
      mend: endpoint,
    };
  }
  const target = targetOf(outward);
  if (outward.State === 'blackhole')
    return {
      way: 'shut',
      why: `the route table ${tableId} leads out by ${target}, which is gone (blackhole)`,
      mend: `aws ec2 replace-route --route-table-id ${tableId} --destination-cidr-block 0.0.0.0/0 --nat-gateway-id NAT_GATEWAY`,
    };
  if (target.startsWith('igw-') && !hasPublicAddress)
    return {
      way: 'shut',
      why: `the subnet is a public one (${target}), and what has no public address gets nowhere from there`,
      mend: `${endpoint}\nor a subnet whose route table leads out by a NAT gateway`,
    };
  const out = groupsOf(vpc, groupIds);
  if (out && !out.some(({ IpPermissionsEgress: rules }) => permits(rules, HTTPS, INTERNET)))
    return letOut(groupIds, '0.0.0.0/0');
  return { way: 'open', by: target };
}

/** Undefined where the owner of a shared subnet does not let one see it. */
function tableOf({ routeTables }: Vpc, subnetId: string): RouteTable | undefined {
  return (
    routeTables.find(({ Associations: all = [] }) => all.some(({ SubnetId: id }) => id === subnetId)) ??
    routeTables.find(({ Associations: all = [] }) => all.some(({ Main: isMain }) => isMain))
  );
}

function isLocal({ GatewayId: id }: Route): boolean {
  return id === 'local';
}

/** Of S3 and DynamoDB. */
function isGatewayEndpoint({ GatewayId: id, DestinationPrefixListId: list }: Route): boolean {
  return list !== undefined && id?.startsWith('vpce-') === true;
}

function targetOf(route: Route): string {
  return (
    route.NatGatewayId ??
    route.TransitGatewayId ??
    route.VpcPeeringConnectionId ??
    route.NetworkInterfaceId ??
    route.InstanceId ??
    route.LocalGatewayId ??
    route.CarrierGatewayId ??
    route.CoreNetworkArn ??
    route.GatewayId ??
    'a way of its own'
  );
}

/** Undefined where one of them is somebody else's: then its rules are not seen. */
function groupsOf({ groups }: Vpc, ids: readonly string[]): SecurityGroup[] | undefined {
  const found = ids.flatMap((id) => groups.get(id) ?? []);
  return found.length === ids.length && found.length > 0 ? found : undefined;
}

function cidrsOf({ subnets }: Vpc, ids: readonly string[]): string[] {
  return ids.flatMap((id) => subnets.get(id)?.CidrBlock ?? []);
}
