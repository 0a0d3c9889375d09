import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import { ECSClient } from '@aws-sdk/client-ecs';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SSMClient } from '@aws-sdk/client-ssm';
import * as v from 'valibot';
import { credentialEntries } from '../shared/database/credential.ts';
import type { Strategy } from '../shared/database/rotation.ts';
import type { Outcome, Problem } from '../shared/run/report.ts';
import { type RunResult, runJob } from '../shared/run/run-job.ts';
import { parseOrThrow, readSettings } from '../shared/run/settings.ts';
import type { RunEvent } from '../start-run/contract.ts';
import type { CredentialRotationOptions, CredentialRotationSettings } from './contract.ts';
import {
  countRefusedLogins,
  type DatabaseState,
  inspectDatabase,
  retireOldCredential,
  type Tried,
} from './database.ts';
import { type DeliveredCopy, deliver } from './deliver.ts';
import { type RolledResult, type RollRequest, rollService, waitForOldTasks } from './roll-service.ts';
import { inspectSecret, rotate, type SecretInspection, waitForOthers } from './rotate.ts';
import { describeServices, isOlder, livingTasks, planRoll, type RollPlan, whyUnsteady } from './services.ts';

const template = v.exactOptional(v.string());

const settingsSchema = v.object({
  deployment: v.string(),
  ...credentialEntries,
  rotateAfterDays: v.number(),
  rotationTimeoutSeconds: v.number(),
  copies: v.array(
    v.variant('kind', [
      v.object({
        kind: v.literal('parameter'),
        name: v.string(),
        keyId: v.exactOptional(v.string()),
        template,
      }),
      v.object({ kind: v.literal('secret'), secretArn: v.string(), key: v.string(), template }),
    ]),
  ),
  clusterArn: v.string(),
  services: v.array(v.object({ name: v.string(), oneAtATime: v.exactOptional(v.boolean()) })),
  steadyTimeoutSeconds: v.number(),
}) satisfies v.GenericSchema<CredentialRotationSettings>;

const optionsSchema = v.strictObject({
  rotate: v.exactOptional(v.boolean()),
}) satisfies v.GenericSchema<CredentialRotationOptions>;

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/**
 * Runs are a day apart, more or less, and a credential is made some minutes after its run's beginning: without so much
 * leave each rotation would be a day later than wanted.
 */
const SAME_DAY = 12 * HOUR;
const LOOK_SECONDS = 15;

const clients = {
  secretsManager: new SecretsManagerClient({}),
  ssm: new SSMClient({}),
  ecs: new ECSClient({}),
};

/**
 * Rotates a database credential that is due, carries it to every container and makes the old one invalid; goes on with
 * what an earlier run, or a rotation that somebody started by hand, left unfinished.
 */
export const handler = withDurableExecution((event: unknown, context) =>
  runJob(event, context, rotateCredential),
);

/** What is found out along the way. */
interface Findings {
  secret: SecretInspection;
  database: DatabaseState;
  rotated: boolean;
  retired: boolean;
  services: RolledResult[];
  problems: Problem[];
  stopwatch: Stopwatch;
}

async function rotateCredential(run: RunEvent, context: DurableContext): Promise<RunResult> {
  const settings = readSettings(settingsSchema);
  const { deployment } = settings;
  const options = parseOrThrow(optionsSchema, run.options ?? {}, 'The options of this run');
  const { secretsManager, ecs } = clients;

  const found = await context.step('look at the secret', () =>
    inspectSecret(secretsManager, settings.secretArn),
  );
  const secret = found.pendingVersion ? await waitForOthers(context, settings, secretsManager, found) : found;
  const opened = await inspectDatabase(context, settings, secretsManager);
  if (opened.kind === 'failed') return failed(settings, secret, databaseProblem(settings, opened));
  const findings: Findings = {
    secret,
    database: opened.value,
    rotated: false,
    retired: !opened.value.retained,
    services: [],
    problems: [],
    stopwatch: { seconds: {}, before: found.lookedAt },
  };
  const { stopwatch } = findings;
  const copies = await context.step('put copies right', () => deliver(settings, clients));
  const { retained } = opened.value;
  const unfinished = retained || (await hasUnrolledTasks(context, settings, secret));
  if (!unfinished)
    findings.problems.push(...copies.filter(({ written }) => written).map(strayCopy(deployment)));
  const due = isDue(settings, secret, options);
  if (!unfinished && !due) return resultOf(context, settings, findings);

  const plans = await context.step('plan the roll', () => planRoll(ecs, settings));
  const refused = plans.flatMap((plan) => refusal(deployment, plan));
  if (refused.length > 0) {
    findings.problems.push(...refused);
    return resultOf(context, settings, findings);
  }
  const unsteady = await waitUntilSteady(context, settings, Date.parse(run.endBy));
  if (unsteady !== undefined) return skipped(settings, findings, unsteady);
  await measure(context, stopwatch, 'preflight');

  // What was left unfinished is finished first; only a rotation that was abandoned must be repeated for that.
  if (!unfinished || secret.pendingVersion !== undefined) {
    const why = await rotate(context, settings, secretsManager, secret.pendingVersion);
    await measure(context, stopwatch, 'rotate');
    findings.rotated = why === undefined;
    findings.secret = await context.step('look at the secret again', () =>
      inspectSecret(secretsManager, settings.secretArn),
    );
    if (why !== undefined) findings.problems.push(rotationProblem(deployment, why));
    // It may have been refused because an older password is in use still: that is what the roll is for.
    if (why !== undefined && !retained) return resultOf(context, settings, findings);
    if (why === undefined) findings.retired = false;
  }

  const deliveredAt = await deliveryOf(context, settings, findings);
  await measure(context, stopwatch, 'deliver');
  const rolled = await roll(context, plans, {
    ecs,
    clusterArn: settings.clusterArn,
    deliveredAt,
    steadyTimeoutSeconds: settings.steadyTimeoutSeconds,
    endBy: Date.parse(run.endBy),
  });
  findings.services = rolled.services;
  findings.problems.push(...rolled.problems(settings));
  await measure(context, stopwatch, 'roll');
  if (rolled.stopped) return resultOf(context, settings, findings);

  const retired = await retireOldCredential(context, settings, secretsManager);
  await measure(context, stopwatch, 'retire');
  if (retired.kind === 'done') findings.retired = true;
  else findings.problems.push(retirementProblem(deployment, retired));
  return resultOf(context, settings, findings);
}

/** With one password alone the database does not tell that an earlier roll was stopped: the tasks do. */
async function hasUnrolledTasks(
  context: DurableContext,
  { strategy, clusterArn, services }: CredentialRotationSettings,
  { currentSince }: SecretInspection,
): Promise<boolean> {
  if (strategy.kind !== 'single-password') return false;
  const found = await context.step('look for tasks with the old password', () =>
    olderTasks(
      clusterArn,
      services.map(({ name }) => name),
      currentSince,
    ),
  );
  return found > 0;
}

async function olderTasks(clusterArn: string, names: string[], moment: number): Promise<number> {
  let older = 0;
  for (const name of names) {
    const tasks = await livingTasks(clients.ecs, clusterArn, name);
    older += tasks.filter((task) => isOlder(task, moment)).length;
  }
  return older;
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

interface Roll {
  services: RolledResult[];
  /** Old tasks live on, so the old password must. */
  stopped: boolean;
  problems(settings: CredentialRotationSettings): Problem[];
}

/** One service after the other, up to the first that fails. */
async function roll(context: DurableContext, plans: RollPlan[], request: RollRequest): Promise<Roll> {
  const services: RolledResult[] = [];
  for (const plan of plans) {
    if (plan.kind === 'refused') continue;
    const result = await rollService(context, plan, request);
    services.push(result);
    if (result.outcome !== 'failed') continue;
    const untouched = plans.slice(plans.indexOf(plan) + 1).map(({ service }) => service);
    return {
      services,
      stopped: true,
      problems: ({ deployment, strategy }) => [
        {
          what: `The roll stopped at the service ${result.service}: ${result.reason}${untouched.length > 0 ? ` Not touched: ${untouched.join(', ')}.` : ''} ${whatHolds(strategy)}`,
          where: `${deployment}, service ${result.service}`,
          next: 'See in ECS why its tasks do not come up, and mend that. The next run goes on from there.',
        },
      ],
    };
  }
  const old = await waitForOldTasks(
    context,
    plans.map(({ service }) => service),
    request,
  );
  return {
    services,
    stopped: old.length > 0,
    problems: ({ deployment, strategy }) =>
      old.length === 0
        ? []
        : [
            {
              what: `Tasks from before the delivery still live: ${old.join(', ')}. ${whatHolds(strategy)}`,
              where: deployment,
              next: 'Stop them. The next run retires the old password.',
            },
          ],
  };
}

/** What a roll that was stopped means for the containers. */
function whatHolds({ kind }: Strategy): string {
  return kind === 'single-password'
    ? 'Containers that were not replaced cannot log in.'
    : 'The old and the new password are both valid.';
}

/** Why the services are not steady, when the time for waiting is over; `undefined` when they are. */
async function waitUntilSteady(
  context: DurableContext,
  settings: CredentialRotationSettings,
  endBy: number,
): Promise<string | undefined> {
  const { clusterArn, services, steadyTimeoutSeconds } = settings;
  const look = () =>
    unsteadiness(
      clusterArn,
      services.map(({ name }) => name),
    );
  const first = await context.step('look at the services', look);
  const deadline = Math.min(first.at + steadyTimeoutSeconds * 1000, endBy);
  const { reason } = await context.waitForCondition('the services are steady', look, {
    initialState: first,
    waitStrategy: ({ reason, at }) =>
      reason === undefined || at >= deadline
        ? { shouldContinue: false }
        : { shouldContinue: true, delay: { seconds: LOOK_SECONDS } },
  });
  return reason;
}

async function unsteadiness(
  clusterArn: string,
  names: string[],
): Promise<{ reason: string | undefined; at: number }> {
  const services = await describeServices(clients.ecs, clusterArn, names);
  const [reason] = services.flatMap((service) => whyUnsteady(service) ?? []);
  return { reason, at: Date.now() };
}

function isDue(
  { rotateAfterDays }: CredentialRotationSettings,
  { pendingVersion, currentSince, lookedAt }: SecretInspection,
  { rotate: wanted = false }: CredentialRotationOptions,
): boolean {
  // A rotation that was abandoned stands in the way of the next one, and may have left a password in the database.
  return (
    wanted || pendingVersion !== undefined || lookedAt - currentSince >= rotateAfterDays * DAY - SAME_DAY
  );
}

/** Notes how long the part took that ends now. */
async function measure(context: DurableContext, clock: Stopwatch, part: string): Promise<void> {
  const { at } = await context.step(`time of ${part}`, async () => ({ at: Date.now() }));
  clock.seconds[part] = Math.round((at - clock.before) / 1000);
  clock.before = at;
}

interface Stopwatch {
  seconds: Record<string, number>;
  /** When the part before ended. Epoch milliseconds. */
  before: number;
}

async function resultOf(
  context: DurableContext,
  settings: CredentialRotationSettings,
  findings: Findings,
): Promise<RunResult> {
  const { secret, database, rotated, retired, services, problems, stopwatch } = findings;
  const { at } = await context.step('the time', async () => ({ at: Date.now() }));
  const counted =
    database.refusedLogins === undefined
      ? undefined
      : await countRefusedLogins(context, settings, clients.secretsManager);
  const refusedLogins =
    counted?.kind === 'done' && counted.value !== null
      ? counted.value - (database.refusedLogins ?? 0)
      : undefined;
  return {
    outcome: outcomeOf(findings),
    figures: {
      rotations: rotated ? 1 : 0,
      tasksReplaced: services.reduce((sum, { tasksReplaced }) => sum + tasksReplaced, 0),
      ...ages(secret, retired, at),
      // A server that was restarted meanwhile began to count anew.
      ...(refusedLogins !== undefined && refusedLogins >= 0 && { refusedLogins }),
    },
    problems,
    details: { seconds: stopwatch.seconds, services, resumed: database.retained },
  };
}

function outcomeOf({ retired, rotated, services, problems }: Findings): Outcome {
  if (problems.length === 0) return 'succeeded';
  if (services.some(({ outcome }) => outcome === 'failed')) return 'failed';
  const wentOn = rotated || services.length > 0;
  // Copies that were put right need a person's look, but the credential is safe.
  return wentOn || (retired && problems.every(({ next }) => next === STRAY_COPY_NEXT)) ? 'partial' : 'failed';
}

function ages({ currentSince }: SecretInspection, retired: boolean, at: number): Record<string, number> {
  const age = Math.max(0, at - currentSince);
  return {
    credentialAgeDays: Math.floor(age / DAY),
    oldPasswordHours: retired ? 0 : Math.round((age / HOUR) * 10) / 10,
  };
}

function failed(settings: CredentialRotationSettings, secret: SecretInspection, problem: Problem): RunResult {
  const { credentialAgeDays = 0 } = ages(secret, true, secret.lookedAt);
  return {
    outcome: 'failed',
    figures: { rotations: 0, tasksReplaced: 0, credentialAgeDays },
    problems: [{ ...problem, where: problem.where || settings.deployment }],
  };
}

function skipped({ deployment }: CredentialRotationSettings, findings: Findings, reason: string): RunResult {
  const { secret, retired } = findings;
  return {
    outcome: 'skipped',
    figures: { rotations: 0, tasksReplaced: 0, ...ages(secret, retired, secret.lookedAt) },
    problems: [
      ...findings.problems,
      {
        what: `The services were not steady, so nothing was begun: ${reason}`,
        where: deployment,
        next: 'The next run tries again. See in ECS what is going on with the service.',
      },
    ],
  };
}

function refusal(deployment: string, plan: RollPlan): Problem[] {
  if (plan.kind !== 'refused') return [];
  return [{ what: plan.reason, where: `${deployment}, service ${plan.service}`, next: plan.next }];
}

const STRAY_COPY_NEXT =
  'Replace tasks that were started in between. See who writes there: an update of the stack that made it may.';

function strayCopy(deployment: string): (copy: DeliveredCopy) => Problem {
  return ({ place, since }) => ({
    what: `The ${place} held something else than the current credential since ${new Date(since).toISOString()}, and was put right.`,
    where: deployment,
    next: STRAY_COPY_NEXT,
  });
}

function rotationProblem(deployment: string, why: string): Problem {
  return {
    what: `${why} Containers go on with the password that they have.`,
    where: deployment,
    next: `Read in the log /aws/lambda/${deployment}-rotate-secret which step failed and why, and mend that. The next run rotates.`,
  };
}

function databaseProblem(
  { deployment, database }: CredentialRotationSettings,
  { message }: Tried<unknown> & { kind: 'failed' },
): Problem {
  return {
    what: `${message} Nothing was changed.`,
    where: `${deployment}, database ${database.host}:${database.port}`,
    next: 'Mend this; the next run tries again.',
  };
}

function retirementProblem(deployment: string, { message }: Tried<unknown> & { kind: 'failed' }): Problem {
  return {
    what: `The new password is with every task, but the old one was not retired: ${message}`,
    where: deployment,
    next: 'Mend this; the next run retires it. Until then both are valid.',
  };
}
