import { DescribeTaskDefinitionCommand, type ECSClient } from '@aws-sdk/client-ecs';
import { taskIdOf } from '../shared/containers/discover-containers.ts';
import { isOlder, tasksOfCluster } from '../shared/containers/services.ts';
import type { ReloadOnChangeSettings } from './contract.ts';
import { addressesOf, type Look } from './look.ts';
import { readsOf } from './reads.ts';

/** More of a kind nobody reads. */
const MOST_NAMED = 20;

/**
 * Who else in the same clusters has an earlier version of what has changed: services that are not named, and tasks of no
 * service. Two calls for each hundred tasks of a cluster, and one for each task definition that is none of the services'.
 * @returns sentences for people
 */
export async function othersBehind(
  ecs: ECSClient,
  settings: ReloadOnChangeSettings,
  versions: Look['versions'],
): Promise<string[]> {
  const addresses = addressesOf(settings);
  const known = new Map<string, ReturnType<typeof readsOf>['reads']>();
  const found = new Set<string>();
  for (const cluster of new Set(addresses.map(({ clusterArn }) => clusterArn)))
    for (const task of await tasksOfCluster(ecs, cluster)) {
      const service = /^service:(.+)$/.exec(task.group ?? '')?.[1];
      const isNamed = addresses.some(({ clusterArn, name }) => clusterArn === cluster && name === service);
      const { taskDefinitionArn: arn } = task;
      if (isNamed || arn === undefined) continue;
      const reads = known.get(arn) ?? (await readsOfDefinition(ecs, arn, settings));
      known.set(arn, reads);
      const old = reads.find(({ of, label }) => isOlder(task, versions[of]?.[label]?.since ?? 0));
      if (old === undefined) continue;
      found.add(
        service === undefined
          ? `The task ${taskIdOf(task.taskArn ?? '')}, which belongs to no service, has an earlier version of ${old.of}.`
          : `The service ${service} of the same cluster reads ${old.of}, is not named in "services", and was not rolled.`,
      );
    }
  return [...found].slice(0, MOST_NAMED);
}

async function readsOfDefinition(ecs: ECSClient, arn: string, { watched }: ReloadOnChangeSettings) {
  const { taskDefinition } = await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: arn }));
  return readsOf(taskDefinition, watched).reads;
}
