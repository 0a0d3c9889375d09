import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ECSClient } from '@aws-sdk/client-ecs';
import type { CopyClients } from '../shared/database/credential/copies.ts';
import type { RollRequest } from '../shared/roll/roll-service.ts';
import { rollServices } from '../shared/roll/roll-services.ts';
import type { ApplicationHealth, ConnectedParts } from './application-health.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { retireOldCredential } from './database.ts';
import { deliver } from './deliver.ts';
import { type Findings, measure, rollsStopped, type Shared } from './findings.ts';
import type { Inspection } from './inspect.ts';
import { waitForTheRest } from './left-behind.ts';
import type { RollablePlan } from './plan-roll.ts';
import {
  leftBehindProblem,
  notBegunProblem,
  retirementProblem,
  rollProblem,
  rotationProblem,
  unaskedProblem,
} from './problems.ts';
import {
  type Proofs,
  type Prover,
  plansOfAll,
  proveAll,
  proverOf,
  type RollPlanOfAll,
  servicesOf,
} from './prove-all.ts';
import { loginsBefore } from './prove-logins.ts';
import { inspectSecret, rotate } from './rotate.ts';
import type { OneCredential } from './several.ts';
import { verify } from './verify.ts';

type Clients = CopyClients & { ecs: ECSClient };

const WORDS = {
  stopTask: 'credential-rotation: it has the old password',
  oldTasks: 'Tasks from before the delivery still live:',
  oldTasksNext: 'Stop them. The next run retires the old password.',
};

/** Durable operations up to the roll, about, besides the looks. */
const OPERATIONS_BEFORE_ROLL = 200;
/** The shortest pause between two of them that is made before the roll. Seconds. */
const SHORTEST_PAUSE = 10;

/** One credential in a run. */
export interface Part {
  settings: OneCredential;
  /** Names its operations after it, where there are several. */
  context: DurableContext;
  found: Inspection;
}

/** One of which everything is known that has to be, before anything is changed. */
export interface Rotated extends Part {
  findings: Findings;
}

/** As many as there can have been in the time that it took. */
function operationsBeforeRoll(
  { rotationTimeoutSeconds }: CredentialRotationSettings,
  { due, looks }: { due: readonly Rotated[]; looks: number },
  { seconds }: Shared['stopwatch'],
): number {
  // One that was in flight was waited for before the first time was taken, and its whole time where it is pending still.
  const inFlight = due.filter(({ found }) => found.secret.pendingVersion !== undefined).length;
  const waited = Object.values(seconds).reduce((sum, part) => sum + part, inFlight * rotationTimeoutSeconds);
  return OPERATIONS_BEFORE_ROLL * due.length + looks + Math.ceil(waited / SHORTEST_PAUSE);
}

export interface Beginning {
  clients: Clients;
  due: Rotated[];
  plansOf: ReadonlyMap<Rotated, RollablePlan[]>;
  /** Epoch milliseconds. */
  endBy: number;
  /** For the end of other runs. */
  looks: number;
  told?: { application: ApplicationHealth; connected: ConnectedParts };
}

/** From the first change to the retirement, or to where it stops: what is found out on the way is in the findings. */
export async function carryOut(
  context: DurableContext,
  settings: CredentialRotationSettings,
  { clients, due, plansOf, endBy, looks, told }: Beginning,
  shared: Shared,
): Promise<void> {
  const { steadyTimeoutSeconds } = settings;
  const { ecs } = clients;
  const { stopwatch } = shared;
  const going: Rotated[] = [];
  let failedOne: string | undefined;
  for (const each of due) {
    const { name = '' } = each.settings;
    if (failedOne !== undefined && needsRotation(each)) {
      each.findings.problems.push(notBegunProblem(each.settings, failedOne));
      // What an earlier run has left is carried on nonetheless.
      if (isRetained(each)) going.push(each);
      continue;
    }
    const { hasFailed, goesOn } = await rotateOne(each.context, each, { clients, shared, endBy });
    if (hasFailed) failedOne = name;
    if (goesOn) going.push(each);
  }
  if (going.length === 0) return;

  const delivered: number[] = [];
  for (const each of going) delivered.push(await deliveryOf(each.context, each, clients));
  const deliveredAt = Math.max(...delivered);
  await measure(context, stopwatch, 'deliver');
  const provers: Prover[] = [];
  for (const each of going) {
    const proving = { ...clients, settings: each.settings, deliveredAt, endBy };
    const plans = plansOf.get(each) ?? [];
    const before = await loginsBefore(
      each.context,
      proving,
      plans.map(({ service }) => service),
    );
    // With one password alone only the roll ends the gap in which containers cannot log in.
    if (before.unread !== undefined && each.settings.strategy.kind !== 'single-password') {
      each.findings.problems.push(unaskedProblem(each.settings, before.unread));
      return;
    }
    provers.push(proverOf(each, plans, proving, before));
  }
  const request: RollRequest<RollPlanOfAll, Proofs> = {
    ecs,
    madeBefore: () => deliveredAt,
    steadyTimeoutSeconds,
    endBy,
    prove: (inContext, { service }, which) => proveAll(inContext, provers, service.name, which),
    stopsAt: ({ stops }) => stops,
    operations: { count: operationsBeforeRoll(settings, { due, looks }, stopwatch) },
    words: WORDS,
  };
  const plans = plansOfAll(settings, going, plansOf);
  const { services, stopped } = await rollServices(context, plans, request);
  for (const each of going) each.findings.services = servicesOf(each, services);
  shared.services = services;
  shared.rollsStopped = rollsStopped(services, stopped?.services);
  await measure(context, stopwatch, 'roll');
  if (stopped) {
    const withGap = going.find((each) => each.settings.strategy.kind === 'single-password');
    shared.problems.push(rollProblem((withGap ?? going[0])?.settings ?? settings, stopped));
    return;
  }
  for (const { findings } of going) findings.rolledAt = stopwatch.before;
  for (const each of going)
    await endOne(each.context, each, { clients, deliveredAt, endBy, ...(told && { told }) }, shared);
}

/** Up to the four steps, where they are due. */
async function rotateOne(
  context: DurableContext,
  { settings, findings, ...part }: Rotated,
  {
    clients: { secretsManager },
    shared: { stopwatch },
    endBy,
  }: { clients: Clients; shared: Shared; endBy: number },
): Promise<{ hasFailed: boolean; goesOn: boolean }> {
  const { problems } = findings;
  const { secret, isRetainedByOthers } = part.found;
  if (isRetainedByOthers) {
    const discarded = await retireOldCredential(context, settings, secretsManager, endBy, {
      endsRotation: false,
    });
    if (discarded.kind === 'failed') {
      problems.push(retirementProblem(settings.deployment, discarded));
      return { hasFailed: true, goesOn: false };
    }
    findings.database.warnings.push(
      'The second password that somebody had given the user was discarded, for a rotation was due.',
    );
  }
  if (!needsRotation(part)) return { hasFailed: false, goesOn: true };
  const why = await rotate(context, settings, secretsManager, secret.pendingVersion);
  await measure(context, stopwatch, 'rotate');
  findings.rotated = why === undefined;
  findings.secret = await context.step('look at the secret again', () =>
    inspectSecret(secretsManager, settings.secretArn),
  );
  if (why === undefined) {
    findings.retired = false;
    return { hasFailed: false, goesOn: true };
  }
  problems.push(rotationProblem(settings, why));
  // It may have been refused because an older password is in use still: that is what the roll is for.
  return { hasFailed: true, goesOn: isRetained(part) };
}

/** What was left unfinished is finished first; only a rotation that was abandoned must be repeated for that. */
function needsRotation({ found: { unfinished, secret } }: Pick<Part, 'found'>): boolean {
  return !unfinished || secret.pendingVersion !== undefined;
}

function isRetained({ found: { database } }: Pick<Part, 'found'>): boolean {
  return database.kind === 'done' && database.value.retained;
}

/** From the verification on, when every task has it. */
async function endOne(
  context: DurableContext,
  { settings, findings }: Rotated,
  {
    clients,
    deliveredAt,
    endBy,
    told,
  }: { clients: Clients; deliveredAt: number; endBy: number; told?: Beginning['told'] },
  { stopwatch }: Shared,
): Promise<void> {
  const { problems, services } = findings;
  const { isFirst } = findings.secret;
  const verification = await verify(context, settings, clients, { endBy, services, isFirst }, told);
  findings.verification = verification;
  problems.push(...verification.problems);
  await measure(context, stopwatch, 'verify');
  if (!verification.good) return;

  const left = await waitForTheRest(context, settings, clients, { deliveredAt, endBy });
  if (left.length > 0) {
    problems.push(leftBehindProblem(settings, left));
    return;
  }
  const retired = await retireOldCredential(context, settings, clients.secretsManager, endBy);
  await measure(context, stopwatch, 'retire');
  if (retired.kind === 'done') findings.retired = true;
  else problems.push(retirementProblem(settings.deployment, retired));
}

/** The moment from which on each new task is given the current credential, wherever it reads it. */
async function deliveryOf(
  context: DurableContext,
  { settings, findings: { rotated, secret } }: Rotated,
  clients: Clients,
): Promise<number> {
  return context.step('deliver', async () => {
    const copies = await deliver(settings, clients);
    if (rotated || copies.some(({ written }) => written)) return Date.now();
    // Earlier runs delivered it. A second more, for AWS may leave out parts of a second.
    return Math.min(Date.now(), Math.max(secret.changedAt, ...copies.map(({ since }) => since)) + 1000);
  });
}
