import type { Place } from '../place.ts';

/** The ARN of a cluster that is named or given by ARN. */
export function clusterArn(nameOrArn: string, { account, region }: Place): string {
  return nameOrArn.startsWith('arn:') ? nameOrArn : `arn:aws:ecs:${region}:${account}:cluster/${nameOrArn}`;
}

/** The ARN of a cluster's service. */
export function serviceArn(cluster: string, name: string): string {
  return `${cluster.replace(':cluster/', ':service/')}/${name}`;
}

/** The ARN of a task or container instance that is named by id or ARN. */
export function partOfCluster(cluster: string, kind: string, idOrArn: string): string {
  return idOrArn.startsWith('arn:') ? idOrArn : `${cluster.replace(':cluster/', `:${kind}/`)}/${idOrArn}`;
}

/** Each service has one of its own here, of a family that is called like it unless it is named. */
export function taskDefinitionArn(serviceArn: string, family = lastPart(serviceArn)): string {
  return `${serviceArn.replace(/:service\/.*$/, ':task-definition/')}${family}:1`;
}

export function isIn(arn: string, { account, region }: Place): boolean {
  const [, , , itsRegion, itsAccount] = arn.split(':');
  return itsRegion === region && itsAccount === account;
}

export function lastPart(nameOrArn: string): string {
  return nameOrArn.slice(nameOrArn.lastIndexOf('/') + 1);
}
