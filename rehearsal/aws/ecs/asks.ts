import { type Ask, type Call, required } from '../cloud.ts';
import { clusterArn, partOfCluster, taskDefinitionArn } from './arns.ts';

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

/** For an action on a task whose tags policies know. */
export function onTaggedTask(
  action: string,
  { cluster, task }: { cluster?: string | undefined; task: string | undefined },
  known: { tags: Record<string, string> } | undefined,
  call: Call,
): Ask[] {
  const tags = Object.entries(known?.tags ?? {}).map(([key, value]) => [`aws:ResourceTag/${key}`, value]);
  return onPart(action, 'task', cluster, task, call).map((ask) => ({
    ...ask,
    conditions: { ...ask.conditions, ...Object.fromEntries(tags) },
  }));
}

/** Of a service deployment both are asked: it, and its service. */
export function onServiceDeployment(deploymentArn: string): Ask[] {
  const [, prefix, cluster, service] =
    /^(.*):service-deployment\/([^/]+)\/([^/]+)\//.exec(deploymentArn) ?? [];
  const conditions = { 'ecs:cluster': `${prefix}:cluster/${cluster}` };
  return [deploymentArn, `${prefix}:service/${cluster}/${service}`].map((resource) => ({
    action: 'ecs:DescribeServiceDeployments',
    resource,
    conditions,
  }));
}

/** The condition keys of UpdateService, which AWS lists without saying when they have a value. */
export function carriedByUpdate(
  {
    taskDefinition,
    enableExecuteCommand,
  }: { taskDefinition?: string | undefined; enableExecuteCommand?: boolean | undefined },
  serviceArn: string,
  carried: 'what is named' | 'what it has',
): Ask['conditions'] {
  const has = carried === 'what it has';
  const exec = enableExecuteCommand ?? (has || undefined);
  return {
    'ecs:task-definition': taskDefinition ?? (has ? taskDefinitionArn(serviceArn) : undefined),
    'ecs:enable-execute-command': exec === undefined ? undefined : String(exec),
  };
}
