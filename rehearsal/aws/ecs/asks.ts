import { type Ask, type Call, required } from '../cloud.ts';
import { clusterArn, partOfCluster } from './arns.ts';

/** For an action that is limited to clusters by condition. */
export function onCluster(action: string) {
  return ({ cluster = 'default' }: { cluster?: string | undefined }, call: Call): Ask[] => [
    { action: `ecs:${action}`, resource: '*', conditions: { 'ecs:cluster': clusterArn(cluster, call) } },
  ];
}

/** For an action on a task, service or container instance. */
export function onPart(
  action: string,
  kind: string,
  clusterName = 'default',
  part: string | undefined,
  call: Call,
): Ask[] {
  const cluster = clusterArn(clusterName, call);
  return [
    {
      action: `ecs:${action}`,
      resource: partOfCluster(cluster, kind, required(part)),
      conditions: { 'ecs:cluster': cluster },
    },
  ];
}
