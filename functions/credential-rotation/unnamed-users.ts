import type { ECSClient, Task } from '@aws-sdk/client-ecs';
import { taskIdOf } from '../shared/containers/discover-containers.ts';
import { tasksOfCluster } from '../shared/containers/services.ts';
import type { Login } from '../shared/database/contract/engine.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { addressesOf } from './plan-roll.ts';
import { inClearIn, lookIntoDefinition } from './task-definitions.ts';

/** Tasks in the services' clusters that are given the credential and belong to none of the services. */
export interface UnnamedUsers {
  /** Services that the configuration does not name. */
  services: string[];
  /**
   * Tasks that belong to no service, as RunTask starts them: by their id, with when they were made, in epoch milliseconds, and
   * whether they hold the old password in clear, whenever that was.
   */
  tasks: { id: string; createdAt: number; hasOld: boolean }[];
}

/**
 * Two calls for each hundred tasks of a cluster, and one for each task definition that is none of the services'.
 * @param old the credential before the current one, where it is valid too
 */
export async function findUnnamedUsers(
  ecs: ECSClient,
  settings: CredentialRotationSettings,
  current: Login,
  old?: Login,
): Promise<UnnamedUsers> {
  const addresses = addressesOf(settings);
  const services = new Set<string>();
  const tasks: UnnamedUsers['tasks'] = [];
  const known = new Map<string, { isGiven: boolean; hasOld: boolean }>();
  const look = async (definition: string) => {
    const before = known.get(definition);
    if (before !== undefined) return before;
    const { isGiven, inClear, hasOld } = await lookIntoDefinition(ecs, definition, settings, {
      current,
      old,
    });
    const found = { isGiven: isGiven || inClear !== undefined, hasOld };
    known.set(definition, found);
    return found;
  };
  for (const cluster of new Set(addresses.map(({ clusterArn }) => clusterArn))) {
    const named = addresses.flatMap(({ clusterArn, name }) => (clusterArn === cluster ? [name] : []));
    for (const task of await tasksOfCluster(ecs, cluster)) {
      const service = /^service:(.+)$/.exec(task.group ?? '')?.[1];
      if (service !== undefined && named.includes(service)) continue;
      if (task.taskDefinitionArn === undefined) continue;
      const found = await look(task.taskDefinitionArn);
      const hasOld = found.hasOld || (old !== undefined && isToldInClear(task, old));
      if (!found.isGiven && !hasOld && !isToldInClear(task, current)) continue;
      if (service !== undefined) services.add(service);
      else
        tasks.push({ id: taskIdOf(task.taskArn ?? ''), createdAt: task.createdAt?.getTime() ?? 0, hasOld });
    }
  }
  return { services: [...services], tasks };
}

/** By what was said in the place of its definition when it was started. */
function isToldInClear({ overrides }: Task, login: Login): boolean {
  return (overrides?.containerOverrides ?? []).some((container) => inClearIn(container, login) !== undefined);
}
