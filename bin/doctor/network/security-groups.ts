import { BlockList, isIPv4 } from 'node:net';
import type { IpPermission } from '@aws-sdk/client-ec2';

/** Who is at the other end of a connection. */
export interface Peer {
  /** Its security groups. */
  groupIds: readonly string[];
  /** Where its address lies. `public`: anywhere but in private ranges. */
  cidrs: readonly string[] | 'public';
}

/** Whatever has a public address. */
export const INTERNET: Peer = { groupIds: [], cidrs: 'public' };

const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];

/**
 * Whether rules of a security group let TCP through to or from somebody. Of a prefix list nobody knows here what is in it: it may well.
 */
export function permits(
  permissions: readonly IpPermission[] | undefined,
  port: number,
  { groupIds, cidrs }: Peer,
): boolean {
  return (permissions ?? []).some(
    ({
      IpProtocol: protocol = '-1',
      FromPort: from = 0,
      ToPort: to = 65_535,
      IpRanges: ranges = [],
      UserIdGroupPairs: pairs = [],
      PrefixListIds: lists = [],
    }) =>
      ['-1', 'tcp', '6'].includes(protocol) &&
      (protocol === '-1' || (from <= port && port <= to) || from === -1) &&
      (pairs.some(({ GroupId: id = '' }) => groupIds.includes(id)) ||
        lists.length > 0 ||
        ranges.some(({ CidrIp: range = '' }) => isOf(range, cidrs))),
  );
}

function isOf(range: string, cidrs: Peer['cidrs']): boolean {
  if (cidrs === 'public') return range !== '' && !PRIVATE.some((net) => contains(net, addressOf(range)));
  return cidrs.some((cidr) => overlap(range, cidr));
}

/** Whether two ranges of IPv4 addresses have one in common. */
function overlap(one: string, other: string): boolean {
  return contains(one, addressOf(other)) || contains(other, addressOf(one));
}

function contains(cidr: string, address: string): boolean {
  const [net = '', bits = '32'] = cidr.split('/');
  if (!isIPv4(net) || !isIPv4(address)) return false;
  const list = new BlockList();
  list.addSubnet(net, Number(bits));
  return list.check(address);
}

function addressOf(cidr: string): string {
  return cidr.replace(/\/.*$/, '');
}
