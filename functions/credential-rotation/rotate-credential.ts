import { type DurableContext, DurableOperationError } from '@aws/durable-execution-sdk-js';
import { ECSClient } from '@aws-sdk/client-ecs';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SSMClient } from '@aws-sdk/client-ssm';
import * as v from 'valibot';
import { credentialCopySchema } from '../shared/database/credential/copies.ts';
import { credentialEntries } from '../shared/database/credential/settings.ts';
import type { NewTasks, RollRequest } from '../shared/roll/roll-service.ts';
import { rollServices } from '../shared/roll/roll-services.ts';
import { waitForRuns } from '../shared/roll/wait-for-runs.ts';
import { waitUntilSteady } from '../shared/roll/wait-until-steady.ts';
import type { ExaminationFinding } from '../shared/run/examination.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import type { RunResult } from '../shared/run/run-job.ts';
import { parseOrThrow } from '../shared/run/settings.ts';
import { type ApplicationHealth, type ConnectedParts, connectedBefore } from './application-health.ts';
import type { CredentialRotationOptions, CredentialRotationSettings } from './contract.ts';
import { retireOldCredential } from './database.ts';
import { deliver } from './deliver.ts';
import { examineRotation } from './examine-rotation.ts';
import { DAY, type Findings, failed, foundAtFirst, HOUR, measure, resultOf, skipped } from './findings.ts';
import { labelTold } from './first-rotation.ts';
import { type Inspection, inspect } from './inspect.ts';
import type { Proof } from './judge-logins.ts';
import { waitForTheRest } from './left-behind.ts';
import { addressesOf, type RollablePlan } from './plan-roll.ts';
import { preflight } from './preflight.ts';
import {
  brokenOffProblem,
  databaseProblem,
  leftBehindProblem,
  otherRunsProblem,
  retirementProblem,
  rollProblem,
  rotationProblem,
  secondPasswordProblem,
  strayCopyProblem,
  unaskedProblem,
  unsteadyProblem,
} from './problems.ts';
import { loginsBefore, proveLogins } from './prove-logins.ts';
import { inspectSecret, rotate } from './rotate.ts';
import { stopsRoll } from './unproven.ts';
import { verify } from './verify.ts';

export type { SecretField } from '../shared/database/credential/secret.ts';
export type { ExaminationFinding } from '../shared/run/examination.ts';
export type { ApplicationHealth } from './application-health.ts';
export type { CredentialRotationSettings } from './contract.ts';

/** The fields of {@link CredentialRotationSettings}, for the schema of a function's settings. */
export const credentialRotationEntries = {
  deployment: v.string(),
  ...credentialEntries,
  rotateAfterDays: v.number(),
  rotationTimeoutSeconds: v.number(),
  copies: v.array(credentialCopySchema),
  copiesAlarm: v.exactOptional(v.string()),
  clusterArn: v.string(),
  services: v.array(
    v.object({
      name: v.string(),
      clusterArn: v.exactOptional(v.string()),
      oneAtATime: v.exactOptional(v.boolean()),
    }),
  ),
  steadyTimeoutSeconds: v.number(),
  replicas: v.exactOptional(v.array(v.object({ host: v.string(), port: v.exactOptional(v.number()) }))),
  retirementPatienceSeconds: v.number(),
  whenUnproven: v.exactOptional(v.picklist(['keep', 'retire'])),
};

const optionsSchema = v.strictObject({
  rotate: v.exactOptional(v.boolean()),
}) satisfies v.GenericSchema<CredentialRotationOptions>;

/**
 * Runs are a day apart, more or less, and a credential is made some minutes after its run's beginning: without so much
 * leave each rotation would be a day later than wanted.
 */
const SAME_DAY = 12 * HOUR;

const clients = {
  secretsManager: namingErrors(new SecretsManagerClient({ requestHandler: REQUEST_LIMITS })),
  ssm: namingErrors(new SSMClient({ requestHandler: REQUEST_LIMITS })),
  ecs: namingErrors(new ECSClient({ requestHandler: REQUEST_LIMITS })),
  lambda: namingErrors(new LambdaClient({ requestHandler: REQUEST_LIMITS })),
};

/** The names of looks at new tasks in the run's history. */
const LOOKS_AT: Record<NewTasks, (service: string) => string> = {
  all: (service) => `${service} logs in`,
  first: (service) => `the first of ${service} logs in`,
  earlier: (service) => `the new ones of ${service} log in`,
};

const WORDS = {
  stopTask: 'credential-rotation: it has the old password',
  oldTasks: 'Tasks from before the delivery still live:',
  oldTasksNext: 'Stop them. The next run retires the old password.',
};

/** Durable operations up to the roll, about, besides the looks. */
const OPERATIONS_BEFORE_ROLL = 200;
/** The shortest pause between two of them that is made before the roll. Seconds. */
const SHORTEST_PAUSE = 10;

/** What doctor has looked at. */
export function examineCredential(
  settings: CredentialRotationSettings,
  context: DurableContext,
): Promise<ExaminationFinding[]> {
  return examineRotation(settings, clients, context);
}

/**
 * Rotates a database credential that is due, carries it to every container and makes the old one invalid; goes on with
 * what an earlier run, or a rotation that somebody started by hand, left unfinished.
 * @param application what the application tells of itself. @default nothing: ECS and the database tell what they know
 */
export async function rotateCredential(
  run: RunEvent,
  context: DurableContext,
  settings: CredentialRotationSettings,
  application?: ApplicationHealth,
): Promise<RunResult> {
  const { deployment } = settings;
  const { secretsManager, ecs, lambda } = clients;
  const options = parseOrThrow(optionsSchema, run.options ?? {}, 'The options of this run');
  const endBy = Date.parse(run.endBy);

  let found = await inspect(context, settings, clients);
  let looks = 0;
  if (isToAct(found, settings, options)) {
    const { rotationTimeoutSeconds, steadyTimeoutSeconds } = settings;
    const latestBeginning = endBy - (rotationTimeoutSeconds + steadyTimeoutSeconds) * 1000;
    const others = await waitForRuns(context, run.runsToWaitFor ?? [], lambda, latestBeginning);
    if (others.kind === 'still-running') return skipped(found, otherRunsProblem(deployment, others.runs));
    // Somebody may have rotated by hand meanwhile.
    if (others.kind === 'ended') {
      looks = others.looks;
      found = await inspect(context, settings, clients);
    }
  }
  const { secret, database, unfinished } = found;
  if (database.kind === 'failed') return failed(secret, databaseProblem(settings, database));
  const findings = foundAtFirst(secret, database.value);
  const { problems, stopwatch } = findings;
  const end = () => resultOf(run, context, settings, secretsManager, findings);

  const copies = await context.step('put copies right', () => deliver(settings, clients));
  const stray = unfinished ? [] : copies.filter(({ written }) => written);
  problems.push(...stray.map((copy) => strayCopyProblem(settings, copy)));
  if (!isToAct(found, settings, options)) {
    if (found.isRetainedByOthers && !secret.isTold) {
      problems.push(secondPasswordProblem(settings));
      await context.step('note that the second password was told', () =>
        labelTold(secretsManager, settings.secretArn),
      );
    }
    for (const { name } of settings.services) findings.rollsStopped[name] = 0;
    return end();
  }

  const { plans, warnings, problems: refusals } = await preflight(context, settings, clients);
  findings.database.warnings.push(...warnings);
  if (refusals.length > 0) {
    problems.push(...refusals);
    return end();
  }
  const unsteady = await waitUntilSteady(context, ecs, addressesOf(settings), {
    timeoutSeconds: settings.steadyTimeoutSeconds,
    endBy,
  });
  if (unsteady !== null) return skipped(found, ...problems, unsteadyProblem(deployment, unsteady));
  const connected = application && (await connectedBefore(context, application));
  await measure(context, stopwatch, 'preflight');
  const told = application && connected && { application, connected };
  try {
    await carryOut(context, settings, { found, plans, endBy, looks, ...(told && { told }) }, findings);
  } catch (error) {
    // What AWS refuses from here on must not hide what was done.
    if (!(error instanceof DurableOperationError)) throw error;
    problems.push(brokenOffProblem(settings, error.message, findings.rotated || database.value.retained));
  }
  return end();
}

/** As many as there can have been in the time that it took. */
function operationsBeforeRoll(
  { rotationTimeoutSeconds }: CredentialRotationSettings,
  { secret, looks }: { secret: Inspection['secret']; looks: number },
  { seconds }: Findings['stopwatch'],
): number {
  // One that was in flight was waited for before the first time was taken, and its whole time where it is pending still.
  const inFlight = secret.pendingVersion === undefined ? 0 : rotationTimeoutSeconds;
  const waited = Object.values(seconds).reduce((sum, part) => sum + part, inFlight);
  return OPERATIONS_BEFORE_ROLL + looks + Math.ceil(waited / SHORTEST_PAUSE);
}

interface Beginning {
  found: Inspection;
  plans: RollablePlan[];
  /** Epoch milliseconds. */
  endBy: number;
  /** For the end of other runs. */
  looks: number;
  told?: { application: ApplicationHealth; connected: ConnectedParts };
}

/** From the first change to the retirement, or to where it stops: what is found out on the way is in the findings. */
async function carryOut(
  context: DurableContext,
  settings: CredentialRotationSettings,
  { found: { secret, database, unfinished, isRetainedByOthers }, plans, endBy, looks, told }: Beginning,
  findings: Findings,
): Promise<void> {
  const { deployment, steadyTimeoutSeconds } = settings;
  const { secretsManager, ecs } = clients;
  const { problems, stopwatch } = findings;
  const retained = database.kind === 'done' && database.value.retained;

  if (isRetainedByOthers) {
    const discarded = await retireOldCredential(context, settings, secretsManager, endBy, {
      endsRotation: false,
    });
    if (discarded.kind === 'failed') {
      problems.push(retirementProblem(deployment, discarded));
      return;
    }
    findings.database.warnings.push(
      'The second password that somebody had given the user was discarded, for a rotation was due.',
    );
  }
  // What was left unfinished is finished first; only a rotation that was abandoned must be repeated for that.
  if (!unfinished || secret.pendingVersion !== undefined) {
    const why = await rotate(context, settings, secretsManager, secret.pendingVersion);
    await measure(context, stopwatch, 'rotate');
    findings.rotated = why === undefined;
    findings.secret = await context.step('look at the secret again', () =>
      inspectSecret(secretsManager, settings.secretArn),
    );
    if (why !== undefined) problems.push(rotationProblem(deployment, why));
    // It may have been refused because an older password is in use still: that is what the roll is for.
    if (why !== undefined && !retained) return;
    if (why === undefined) findings.retired = false;
  }

  const deliveredAt = await deliveryOf(context, settings, findings);
  await measure(context, stopwatch, 'deliver');
  const proving = { settings, ecs, secretsManager, deliveredAt, endBy };
  const before = await loginsBefore(
    context,
    proving,
    plans.map(({ service }) => service),
  );
  // With one password alone only the roll ends the gap in which containers cannot log in.
  if (before.unread !== undefined && settings.strategy.kind !== 'single-password') {
    problems.push(unaskedProblem(settings, before.unread));
    return;
  }
  let hasSeenTasks = false;
  const request: RollRequest<RollablePlan, Proof> = {
    ecs,
    madeBefore: () => deliveredAt,
    steadyTimeoutSeconds,
    endBy,
    prove: (inContext, plan, which) =>
      proveLogins(inContext, LOOKS_AT[which](plan.service.name), proving, {
        ...plan,
        before,
        hasSeenTasks,
      }).then((proof) => {
        hasSeenTasks ||= proof.seen > 0;
        return proof;
      }),
    stopsAt: (proof) => stopsRoll(settings, proof),
    operations: { count: operationsBeforeRoll(settings, { secret, looks }, stopwatch) },
    words: WORDS,
  };
  const { services, stopped } = await rollServices(context, plans, request);
  findings.services = services;
  for (const { service } of services)
    findings.rollsStopped[service] = stopped?.services.includes(service) ? 1 : 0;
  await measure(context, stopwatch, 'roll');
  if (stopped) {
    problems.push(rollProblem(settings, stopped));
    return;
  }
  findings.rolledAt = stopwatch.before;

  const { isFirst } = secret;
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
  const retired = await retireOldCredential(context, settings, secretsManager, endBy);
  await measure(context, stopwatch, 'retire');
  if (retired.kind === 'done') findings.retired = true;
  else problems.push(retirementProblem(deployment, retired));
}

function isToAct(
  { unfinished, secret, database }: Inspection,
  { rotateAfterDays }: CredentialRotationSettings,
  { rotate: wanted = false }: CredentialRotationOptions,
): boolean {
  if (database.kind === 'failed') return false;
  const { pendingVersion, currentSince, lookedAt } = secret;
  const isOld = lookedAt - currentSince >= rotateAfterDays * DAY - SAME_DAY;
  // A rotation that was abandoned stands in the way of the next one, and may have left a password in the database.
  return unfinished || wanted || pendingVersion !== undefined || isOld;
}

/** The moment from which on each new task is given the current credential, wherever it reads it. */
async function deliveryOf(
  context: DurableContext,
  settings: CredentialRotationSettings,
  { rotated, secret }: Findings,
): Promise<number> {
  return context.step('deliver', async () => {
    const copies = await deliver(settings, clients);
    if (rotated || copies.some(({ written }) => written)) return Date.now();
    // Earlier runs delivered it. A second more, for AWS may leave out parts of a second.
    return Math.min(Date.now(), Math.max(secret.changedAt, ...copies.map(({ since }) => since)) + 1000);
  });
}
