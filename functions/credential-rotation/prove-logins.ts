import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ECSClient, Task } from '@aws-sdk/client-ecs';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { taskIdOf } from '../shared/containers/discover-containers.ts';
import {
  describeServices,
  isOlder,
  livingTasks,
  type ServiceAddress,
} from '../shared/containers/services.ts';
import { ownAddressesOf } from '../shared/containers/task-addresses.ts';
import type { SeenLogin } from '../shared/database/contract/rotation.ts';
import { lookUntil } from '../shared/roll/look-until.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { askForLogins } from './database.ts';
import { type Hosts, judgeLogins, type Proof } from './judge-logins.ts';
import { type LoginsBefore, recordedInParts } from './logins-before.ts';
import { type Packed, pack, unpack } from './packed.ts';
import { addressesOf } from './plan-roll.ts';

/** What a proof needs. */
export interface ProofRequest {
  settings: CredentialRotationSettings;
  ecs: ECSClient;
  secretsManager: SecretsManagerClient;
  /** Tasks made since have the new credential. Epoch milliseconds. */
  deliveredAt: number;
  /** Epoch milliseconds. */
  endBy: number;
}

/**
 * Looks, before anything is rolled, which tasks the database has seen log in. Without that all that it has ever seen would be
 * taken for new: so it is tried again.
 */
export async function loginsBefore(
  context: DurableContext,
  request: ProofRequest,
  services: ServiceAddress[],
): Promise<LoginsBefore> {
  for (let number = 1; ; number++) {
    const name = `look for logins before the roll${number > 1 ? ` ${number}` : ''}`;
    const before = await recordedInParts(context, name, () => lookBefore(request, services));
    if (before.unread === undefined || number === LOOKS_BEFORE) return before;
    await context.wait(`before the ${name}`, { seconds: PAUSE_BEFORE });
  }
}

async function lookBefore(
  { settings, ecs, secretsManager, deliveredAt }: ProofRequest,
  services: ServiceAddress[],
): Promise<LoginsBefore> {
  const at = Date.now();
  const addresses = new Map<string, string[][]>();
  for (const service of services) {
    const old = (await runningTasks(ecs, service)).filter((task) => isOlder(task, deliveredAt));
    addresses.set(service.name, old.map(ownAddressesOf));
  }
  const asked = await askForLogins(settings, secretsManager, {
    addresses: [...addresses.values()].flat(2),
    patience: PATIENCE,
    triesOld: true,
  });
  if (asked.kind === 'failed') return { unread: asked.message, addresses: [], services: {} };
  const { from = [], mark } = asked.value.seen;
  const seen = new Set(from.map(({ address }) => address));
  const hasLoggedIn = (own: string[]) => own.some((address) => seen.has(address));
  return {
    mark,
    at,
    addresses: [...addresses.values()].flat(2),
    services: Object.fromEntries(
      [...addresses].map(([service, tasks]) => [
        service,
        { tasks: tasks.length, seen: tasks.filter(hasLoggedIn).length },
      ]),
    ),
  };
}

/**
 * Looks whether the new tasks of a service log in with the new credential, again and again until that is clear or as long
 * as a service may take to be steady. Sessions come and go: what one look has seen counts in those after it.
 * @param name of the durable operation
 */
export async function proveLogins(
  context: DurableContext,
  name: string,
  request: ProofRequest,
  subject: ProofSubject,
): Promise<Proof> {
  const { proof } = await lookUntil<Look>(context, name, (last) => look(request, subject, last?.from), {
    good: ({ proof: { mayChange, isRead } }, waited) => !mayChange || (!isRead && waited >= UNREAD_SECONDS),
    timeoutSeconds: request.settings.steadyTimeoutSeconds,
    endBy: request.endBy,
    evermoreRarely: true,
  });
  return proof;
}

interface ProofSubject {
  service: ServiceAddress;
  isGiven: boolean;
  before: LoginsBefore;
  /** Tasks were seen by their addresses in this run already. */
  hasSeenTasks: boolean;
}

interface Look {
  proof: Proof;
  /** Who logged in from the addresses of new tasks, in this look and those before it. */
  from: Packed<SeenLogin[]>;
}

async function look(
  { settings, ecs, secretsManager, deliveredAt }: ProofRequest,
  { service, isGiven, before, hasSeenTasks }: ProofSubject,
  seenBefore?: Look['from'],
): Promise<Look> {
  const showsAddresses = hasSeenTasks || Object.values(before.services).some(({ seen }) => seen > 0);
  const noted = before.services[service.name] ?? { tasks: 0, seen: 0 };
  // With one password alone old tasks cannot log in by now: that they were not seen tells nothing of the new ones.
  const isShut = settings.strategy.kind === 'single-password' && showsAddresses;
  const old = isShut ? { ...noted, seen: noted.tasks } : noted;
  const all = await runningTasks(ecs, service);
  const running = all.filter((task) => !isOlder(task, deliveredAt));
  const [{ desiredCount = 0 } = {}] = await describeServices(ecs, [service]);
  const hosts = running.some(isOnHost) ? await hostsOf(ecs, settings, deliveredAt) : undefined;
  const tasks = running.map((task) => ({
    id: taskIdOf(task.taskArn ?? ''),
    addresses: ownAddressesOf(task),
  }));
  const addresses = tasks.flatMap((task) => task.addresses);
  const asked = await askSince(before, settings, secretsManager, {
    addresses,
    patience: PATIENCE,
    ...(before.mark && { since: before.mark }),
    // Those of tasks that an earlier run has made.
    olderSessions: old.tasks === 0,
  });
  // Where there are others too, only of those tasks.
  const earlier = running
    .filter((task) => old.tasks > 0 && isOlder(task, before.at ?? 0))
    .flatMap(ownAddressesOf);
  const askedOfEarlier =
    earlier.length > 0
      ? await askSince(before, settings, secretsManager, { addresses: earlier, olderSessions: true })
      : undefined;
  const fromEarlier = askedOfEarlier?.kind === 'done' ? (askedOfEarlier.value.seen.from ?? []) : [];
  const seen = [
    ...(asked.kind === 'done' ? (asked.value.seen.from ?? []) : []),
    ...fromEarlier.filter(({ address }) => earlier.includes(address)),
  ];
  const known = seenBefore === undefined ? [] : unpack(seenBefore);
  const own = new Set(addresses);
  const isOfInterest = ({ address }: SeenLogin) => hosts !== undefined || own.has(address);
  const from = distinct([...known, ...seen].filter(isOfInterest));
  const proof = judgeLogins({
    tasks,
    logins:
      asked.kind === 'done'
        ? { kind: 'done', value: { ...asked.value.seen, ...(asked.value.seen.from && { from }) } }
        : asked,
    username: asked.kind === 'done' ? asked.value.username : '',
    sameUser: settings.strategy.kind === 'dual-password',
    isGiven,
    before: old,
    addressesBefore: before.addresses,
    showsAddresses,
    missing: desiredCount - all.length,
    ...(hosts && { hosts }),
  });
  return { proof, from: pack(from) };
}

async function askSince(
  { unread }: LoginsBefore,
  ...question: Parameters<typeof askForLogins>
): Promise<Awaited<ReturnType<typeof askForLogins>> | { kind: 'not-comparable'; message: string }> {
  return unread === undefined ? askForLogins(...question) : { kind: 'not-comparable', message: unread };
}

function isOnHost(task: Task): boolean {
  return ownAddressesOf(task).length === 0 && task.containerInstanceArn !== undefined;
}

/** The container instances on which new tasks of any of the services share the host's address. */
async function hostsOf(
  ecs: ECSClient,
  settings: CredentialRotationSettings,
  deliveredAt: number,
): Promise<Hosts> {
  const all = await Promise.all(addressesOf(settings).map((service) => runningTasks(ecs, service)));
  const young = all.flat().filter((task) => !isOlder(task, deliveredAt));
  const instances = young.filter(isOnHost).map(({ containerInstanceArn }) => containerInstanceArn);
  const count = new Set(instances).size;
  return {
    count,
    areShared: count < instances.length,
    others: young.flatMap(ownAddressesOf),
    // Our own logins as the user would be among those that are counted.
    canBeTold: settings.adminSecretArn !== undefined,
  };
}

function distinct(logins: SeenLogin[]): SeenLogin[] {
  return [
    ...new Map(logins.map((login) => [`${login.address} ${login.username} ${login.isOld}`, login])).values(),
  ];
}

/** So often it is tried before the roll to ask a database that does not answer. */
const LOOKS_BEFORE = 3;
/** Between two of those looks. Seconds. */
const PAUSE_BEFORE = 30;
/** So long it is tried to ask a database that does not answer. */
const UNREAD_SECONDS = 60;
/** In each look, for sessions that are short. Seconds. */
const PATIENCE = 1;
async function runningTasks(ecs: ECSClient, service: ServiceAddress): Promise<Task[]> {
  const tasks = await livingTasks(ecs, service);
  return tasks.filter(
    ({ lastStatus, desiredStatus }) => lastStatus === 'RUNNING' && desiredStatus === 'RUNNING',
  );
}
