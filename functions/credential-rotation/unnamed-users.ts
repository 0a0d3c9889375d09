import { DescribeTasksCommand, type ECSClient, paginateListTasks, type Task } from '@aws-sdk/client-ecs';
import { taskIdOf } from '../shared/containers/discover-containers.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { addressesOf } from './plan-roll.ts';
import { lookIntoDefinition } from './task-definitions.ts';

/** Tasks in the services' clusters that are given the credential and belong to none of the services. */
export interface UnnamedUsers {
  /** Services that the configuration does not name. */
  services: string[];
  /** Ids of tasks that belong to no service, as RunTask starts them; with when they were made, in epoch milliseconds. */
  tasks: { id: string; createdAt: number }[];
}

/** ECS's limit, of tasks described at once and of a page of ListTasks. */
const PAGE = 100;

/** Two calls for each hundred tasks of a cluster, and one for each task definition that is none of the services'. */
export async function findUnnamedUsers(
  ecs: ECSClient,
  settings: CredentialRotationSettings,
  password: string,
): Promise<UnnamedUsers> {
  const addresses = addressesOf(settings);
  const services = new Set<string>();
  const tasks: UnnamedUsers['tasks'] = [];
  const known = new Map<string, boolean>();
  const isGiven = async (definition: string) => {
    const before = known.get(definition);
    if (before !== undefined) return before;
    const { references, inClear } = await lookIntoDefinition(ecs, definition, settings, password);
    const answer = references.length > 0 || inClear !== undefined;
    known.set(definition, answer);
    return answer;
  };
  for (const cluster of new Set(addresses.map(({ clusterArn }) => clusterArn))) {
    const named = addresses.flatMap(({ clusterArn, name }) => (clusterArn === cluster ? [name] : []));
    for (const task of await tasksOf(ecs, cluster)) {
      const service = /^service:(.+)$/.exec(task.group ?? '')?.[1];
      if (service !== undefined && named.includes(service)) continue;
      if (task.taskDefinitionArn === undefined || !(await isGiven(task.taskDefinitionArn))) continue;
      if (service !== undefined) services.add(service);
      else tasks.push({ id: taskIdOf(task.taskArn ?? ''), createdAt: task.createdAt?.getTime() ?? 0 });
    }
  }
  return { services: [...services], tasks };
}

async function tasksOf(ecs: ECSClient, cluster: string): Promise<Task[]> {
  const found: Task[] = [];
  for await (const { taskArns = [] } of paginateListTasks({ client: ecs, pageSize: PAGE }, { cluster })) {
    if (taskArns.length === 0) continue;
    const { tasks = [] } = await ecs.send(new DescribeTasksCommand({ cluster, tasks: taskArns }));
    found.push(...tasks);
  }
  return found;
}
