import { type DurableContext, DurableOperationError } from '@aws/durable-execution-sdk-js';
import { ECSClient } from '@aws-sdk/client-ecs';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SSMClient } from '@aws-sdk/client-ssm';
import * as v from 'valibot';
import { waitForRuns } from '../shared/roll/wait-for-runs.ts';
import { waitUntilSteady } from '../shared/roll/wait-until-steady.ts';
import type { ExaminationFinding } from '../shared/run/examination.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import type { RunResult } from '../shared/run/run-job.ts';
import { parseOrThrow } from '../shared/run/settings.ts';
import { type ApplicationHealth, connectedBefore } from './application-health.ts';
import { carryOut, type Part, type Rotated } from './carry-out.ts';
import type { CredentialRotationOptions, CredentialRotationSettings } from './contract.ts';
import { deliver } from './deliver.ts';
import { examineRotation } from './examine-rotation.ts';
import {
  DAY,
  failed,
  foundAtFirst,
  HOUR,
  inName,
  measure,
  problemsOf,
  resultOf,
  type Shared,
  skipped,
  stopwatchFrom,
} from './findings.ts';
import { labelTold } from './first-rotation.ts';
import { type Inspection, inspect } from './inspect.ts';
import { addressesOf, type RollablePlan } from './plan-roll.ts';
import { preflight } from './preflight.ts';
import {
  brokenOffProblem,
  databaseProblem,
  otherRunsProblem,
  secondPasswordProblem,
  strayCopyProblem,
  unsteadyProblem,
} from './problems.ts';
import { credentialsOf, inItsName } from './several.ts';

export type { SecretField } from '../shared/database/credential/secret.ts';
export type { ExaminationFinding } from '../shared/run/examination.ts';
export type { ApplicationHealth } from './application-health.ts';
export type { CredentialRotationSettings, FurtherCredential } from './contract.ts';
export { credentialRotationEntries } from './settings-entries.ts';

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

/** What doctor has looked at. */
export async function examineCredential(
  settings: CredentialRotationSettings,
  context: DurableContext,
): Promise<ExaminationFinding[]> {
  const found: ExaminationFinding[] = [];
  for (const each of credentialsOf(settings))
    found.push(...(await examineRotation(each, clients, inItsName(context, each))));
  return found;
}

/**
 * Rotates database credentials that are due, one after the other, carries them to every container by one roll, and makes the old
 * ones invalid, each on its own proof; goes on with what an earlier run, or a rotation that somebody started by hand, left
 * unfinished.
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
  const isDue = ({ found, settings }: Part) => isToAct(found, settings, options);

  let parts = await inspectAll(context, settings);
  let looks = 0;
  if (parts.some(isDue)) {
    const { rotationTimeoutSeconds, steadyTimeoutSeconds } = settings;
    const latestBeginning = endBy - (rotationTimeoutSeconds + steadyTimeoutSeconds) * 1000;
    const others = await waitForRuns(context, run.runsToWaitFor ?? [], lambda, latestBeginning);
    if (others.kind === 'still-running') return skipped(parts, otherRunsProblem(deployment, others.runs));
    // Somebody may have rotated by hand meanwhile.
    if (others.kind === 'ended') {
      looks = others.looks;
      parts = await inspectAll(context, settings);
    }
  }
  const unreached = parts.flatMap(({ settings, found: { database } }) =>
    database.kind === 'failed' ? inName(settings, databaseProblem(settings, database)) : [],
  );
  if (unreached.length > 0) return failed(parts, ...unreached);
  const shared: Shared = { problems: [], rollsStopped: {}, services: [], stopwatch: stopwatchFrom(parts) };
  const rotated = parts.flatMap((part): Rotated | [] => {
    const { secret, database } = part.found;
    return database.kind === 'failed' ? [] : { ...part, findings: foundAtFirst(secret, database.value) };
  });
  const end = () => resultOf(run, context, secretsManager, rotated, shared);

  for (const { context, settings, found, findings } of rotated) {
    const copies = await context.step('put copies right', () => deliver(settings, clients));
    const stray = found.unfinished ? [] : copies.filter(({ written }) => written);
    findings.problems.push(...stray.map((copy) => strayCopyProblem(settings, copy)));
  }
  const due = rotated.filter(isDue);
  for (const { context, settings, found, findings } of rotated) {
    if (!found.isRetainedByOthers || found.secret.isTold || isDue({ context, settings, found })) continue;
    findings.problems.push(secondPasswordProblem(settings));
    await context.step('note that the second password was told', () =>
      labelTold(secretsManager, settings.secretArn),
    );
  }
  if (due.length === 0) {
    for (const { name } of settings.services) shared.rollsStopped[name] = 0;
    return end();
  }

  const plansOf = new Map<Rotated, RollablePlan[]>();
  for (const each of due) {
    const { plans, warnings, problems } = await preflight(each.context, each.settings, clients);
    each.findings.database.warnings.push(...warnings);
    each.findings.problems.push(...problems);
    if (problems.length === 0) plansOf.set(each, plans);
  }
  if (plansOf.size < due.length) return end();
  const services = addressesOf(settings).filter(({ name }) =>
    due.some(({ settings }) => settings.services.some((service) => service.name === name)),
  );
  const unsteady = await waitUntilSteady(context, ecs, services, {
    timeoutSeconds: settings.steadyTimeoutSeconds,
    endBy,
  });
  if (unsteady !== null)
    return skipped(parts, ...problemsOf(rotated, shared), unsteadyProblem(deployment, unsteady));
  const connected = application && (await connectedBefore(context, application));
  await measure(context, shared.stopwatch, 'preflight');
  const told = application && connected && { application, connected };
  try {
    await carryOut(context, settings, { clients, due, plansOf, endBy, looks, ...(told && { told }) }, shared);
  } catch (error) {
    // What AWS refuses from here on must not hide what was done.
    if (!(error instanceof DurableOperationError)) throw error;
    const isRotated = due.some(({ findings }) => findings.rotated || findings.database.retained);
    shared.problems.push(brokenOffProblem(settings, error.message, isRotated));
  }
  return end();
}

async function inspectAll(context: DurableContext, settings: CredentialRotationSettings): Promise<Part[]> {
  const parts: Part[] = [];
  for (const each of credentialsOf(settings)) {
    const part = { settings: each, context: inItsName(context, each) };
    parts.push({ ...part, found: await inspect(part.context, each, clients) });
  }
  return parts;
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
