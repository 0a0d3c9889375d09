import type { Task } from '@aws-sdk/client-ecs';

/**
 * The private addresses of a task with a network interface of its own (`awsvpc`), as a server sees them where nothing lies
 * between; none for a task that shares those of its host.
 */
export function ownAddressesOf({ attachments = [], containers = [] }: Task): string[] {
  const attached = attachments
    .filter(({ type }) => type === 'ElasticNetworkInterface')
    .flatMap(({ details = [] }) => details)
    .filter(({ name }) => name === 'privateIPv4Address' || name === 'privateIPv6Address')
    .map(({ value }) => value);
  const interfaces = containers
    .flatMap(({ networkInterfaces = [] }) => networkInterfaces)
    .flatMap(({ privateIpv4Address, ipv6Address }) => [privateIpv4Address, ipv6Address]);
  return [...new Set([...attached, ...interfaces].filter((address) => address !== undefined))];
}
