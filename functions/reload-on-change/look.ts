import { DescribeTaskDefinitionCommand, type ECSClient, type Service } from '@aws-sdk/client-ecs';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { SSMClient } from '@aws-sdk/client-ssm';
import {
  describeServices,
  isOlder,
  livingTasks,
  type ServiceAddress,
} from '../shared/containers/services.ts';
import { type RollWay, refused, wayOf, whyNotDeployable } from '../shared/roll/roll-way.ts';
import type { ReloadedService, ReloadOnChangeSettings } from './contract.ts';
import { type Pinned, type Read, readsOf } from './reads.ts';
import { readSeen, type Seen } from './seen.ts';
import { CURRENT, type Versions, versionsOf } from './versions.ts';

export interface Clients {
  ecs: ECSClient;
  secretsManager: SecretsManagerClient;
  ssm: SSMClient;
}

/** What is in use, and who has it. */
export interface Look {
  /** By the name of what is watched; of what could not be looked at, nothing. */
  versions: Record<string, Versions>;
  /** By the same name: why it could not be looked at. */
  unreadable: Record<string, string>;
  services: ServiceLook[];
  /** What earlier runs have noted. */
  seen: Seen;
  at: number;
}

/** A service, and what its tasks have of what it reads. */
export interface ServiceLook {
  service: ServiceAddress;
  reads: Read[];
  /** Its task definition gives it none of it: the application reads it by itself. */
  readsItself: boolean;
  pinned: Pinned[];
  tasks: number;
  /** Tasks that were made before the latest of the versions that they read. */
  behind: number;
  /** Names of what is watched of which some of them have an earlier version. */
  behindIn: string[];
  /** From then on a task was given the latest of each. Epoch milliseconds; 0: nothing that it reads could be looked at. */
  since: number;
  way: RollWay;
  /** A label that its task definition names and no version bears: none of its tasks could start anew. */
  missing?: Read;
}

/** Looks at all that is watched, and at all services. */
export async function lookAround(settings: ReloadOnChangeSettings, clients: Clients): Promise<Look> {
  const seen = await readSeen(clients.ssm, settings.seenParameter);
  const versions: Look['versions'] = {};
  const unreadable: Look['unreadable'] = {};
  for (const each of settings.watched)
    try {
      versions[each.name] = await versionsOf(each, clients, seen[each.name] ?? {});
    } catch (error) {
      unreadable[each.name] = error instanceof Error ? error.message : String(error);
    }
  const addresses = addressesOf(settings);
  const described = await describeServices(clients.ecs, addresses);
  const services: ServiceLook[] = [];
  for (const [index, service] of settings.services.entries()) {
    const [address, found] = [addresses[index], described[index]];
    if (address && found)
      services.push(await lookAtService(settings, clients.ecs, versions, { service, address, found }));
  }
  return { versions, unreadable, services, seen, at: Date.now() };
}

/** The services of the settings, in their order. */
export function addressesOf({ clusterArn, services }: ReloadOnChangeSettings): ServiceAddress[] {
  return services.map((service) => ({ name: service.name, clusterArn: service.clusterArn ?? clusterArn }));
}

async function lookAtService(
  { watched, job }: ReloadOnChangeSettings,
  ecs: ECSClient,
  versions: Look['versions'],
  { service, address, found }: { service: ReloadedService; address: ServiceAddress; found: Service },
): Promise<ServiceLook> {
  // That of another deployment controller may have none of its own.
  const { taskDefinition } = found.taskDefinition
    ? await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: found.taskDefinition }))
    : {};
  const { reads: given, pinned } = readsOf(taskDefinition, watched);
  const isGiven = given.length > 0 || pinned.length > 0;
  const byItself = service.reads ?? (isGiven ? [] : watched.map(({ name }) => name));
  const reads = [...given, ...byItself.map((of) => ({ of, label: CURRENT }))];
  const since = new Map<string, number>();
  for (const { of, label } of reads)
    since.set(of, Math.max(since.get(of) ?? 0, versions[of]?.[label]?.since ?? 0));
  const latest = Math.max(0, ...since.values());
  const tasks = (await livingTasks(ecs, address)).filter(({ desiredStatus }) => desiredStatus === 'RUNNING');
  const missing = reads.find(({ of, label }) => versions[of] && versions[of][label] === undefined);
  const isInactive = taskDefinition?.status === 'INACTIVE';
  return {
    service: address,
    reads,
    readsItself: !isGiven,
    pinned,
    tasks: tasks.length,
    behind: tasks.filter((task) => isOlder(task, latest)).length,
    behindIn: [...since].flatMap(([of, moment]) => (tasks.some((task) => isOlder(task, moment)) ? of : [])),
    since: latest,
    ...(missing && { missing }),
    way: missing
      ? refused('No new task could start.', 'Label a version.')
      : (whyNotDeployable(found, { job, isInactive }) ?? wayOf(found, service.oneAtATime ?? false)),
  };
}
