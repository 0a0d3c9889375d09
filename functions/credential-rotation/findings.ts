import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { RolledResult } from '../shared/roll/roll-service.ts';
import { publishMetrics } from '../shared/run/publish-metrics.ts';
import type { Outcome, Problem } from '../shared/run/report.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import type { RunResult } from '../shared/run/run-job.ts';
import { tellOnce } from '../shared/run/tell-once.ts';
import { CREDENTIAL_DIMENSION, ROLLS_STOPPED_METRIC, SERVICE_DIMENSION } from './contract.ts';
import { countRefusedLogins, type DatabaseState } from './database.ts';
import type { Inspection } from './inspect.ts';
import type { Proof } from './judge-logins.ts';
import { isForALook } from './problems.ts';
import type { Proofs } from './prove-all.ts';
import type { SecretInspection } from './rotate.ts';
import type { OneCredential } from './several.ts';
import type { Verification } from './verify.ts';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** What is found out along the way. */
export interface Findings {
  secret: SecretInspection;
  database: DatabaseState;
  rotated: boolean;
  retired: boolean;
  services: RolledResult<Proof>[];
  /** When no old task was left. Epoch milliseconds. */
  rolledAt?: number;
  verification?: Verification;
  problems: Problem[];
}

/** What is found out of all credentials together. */
export interface Shared {
  /** Those that were begun, with the proofs for each credential. */
  services: RolledResult<Proofs>[];
  /** By service, as {@link rollsStopped} gives it. Absent: not known in this run. */
  rollsStopped: Record<string, number>;
  /** Of the only credential, its own as well. */
  problems: Problem[];
  stopwatch: Stopwatch;
}

interface Part {
  settings: OneCredential;
  context: DurableContext;
  findings: Findings;
}

export interface Stopwatch {
  /** How long each part took. */
  seconds: Record<string, number>;
  /** When the part before ended. Epoch milliseconds. */
  before: number;
}

/**
 * By service: 0 where all tasks have the current credential, 1 where the roll stopped. Of several at which it stopped it is the first
 * one, whose alarm the report's problem names: one cause sends one message. Of the others nothing is told, so that their alarms stay
 * as they are.
 */
export function rollsStopped(
  services: readonly { service: string }[],
  stoppedAt: readonly string[] = [],
): Record<string, number> {
  const [first] = stoppedAt;
  return Object.fromEntries(
    services.flatMap(({ service }) => {
      if (service === first) return [[service, 1]];
      return stoppedAt.includes(service) ? [] : [[service, 0]];
    }),
  );
}

/** What is known before anything is changed. */
export function foundAtFirst(secret: SecretInspection, database: DatabaseState): Findings {
  return {
    secret,
    database,
    rotated: false,
    retired: !database.retained,
    services: [],
    problems: [],
  };
}

/** From the last look at a secret on. */
export function stopwatchFrom(parts: readonly { found: Inspection }[]): Stopwatch {
  return { seconds: {}, before: Math.max(...parts.map(({ found }) => found.secret.lookedAt)) };
}

/** A problem of one of several credentials, with its name. */
export function inName({ name }: OneCredential, problem: Problem): Problem {
  return name === undefined ? problem : { ...problem, where: `${problem.where}, credential ${name}` };
}

/** All of them; what each of several credentials says alike is said once. */
export function problemsOf(parts: readonly Omit<Part, 'context'>[], { problems }: Shared): Problem[] {
  return [
    ...parts.flatMap(({ settings, findings }) => findings.problems.map((each) => inName(settings, each))),
    ...problems,
  ];
}

/** Notes how long the part took that ends now. */
export async function measure(context: DurableContext, clock: Stopwatch, part: string): Promise<void> {
  const { at } = await context.step(`time of ${part}`, async () => ({ at: Date.now() }));
  clock.seconds[part] = (clock.seconds[part] ?? 0) + Math.round((at - clock.before) / 1000);
  clock.before = at;
}

/** The end of a run that could begin. */
export async function resultOf(
  { deployment, job }: RunEvent,
  context: DurableContext,
  client: SecretsManagerClient,
  parts: readonly Part[],
  shared: Shared,
): Promise<RunResult> {
  const { services, stopwatch, rollsStopped } = shared;
  const at = await tellOnce(context, 'publish the metric of each service', (at, recorded) => {
    for (const [service, stopped] of Object.entries(rollsStopped))
      publishMetrics(
        { deployment, job, [SERVICE_DIMENSION]: service },
        { [ROLLS_STOPPED_METRIC]: stopped },
        {},
        at,
      );
    for (const { settings, findings } of parts)
      if (settings.name !== undefined)
        publishMetrics(
          { deployment, job, [CREDENTIAL_DIMENSION]: settings.name },
          ages(findings.secret, findings.retired, recorded),
          {},
          at,
        );
  });
  const refused: number[] = [];
  for (const { context, settings, findings } of parts) {
    if (findings.database.refusedLogins === undefined) continue;
    const counted = await countRefusedLogins(context, settings, client);
    const logins =
      counted.kind === 'done' && counted.value !== null
        ? counted.value - findings.database.refusedLogins
        : -1;
    // A server that was restarted meanwhile began to count anew.
    if (logins >= 0) refused.push(logins);
  }
  const problems = problemsOf(parts, shared);
  const [only] = parts.length === 1 ? parts : [];
  return {
    outcome: outcomeOf(parts, problems, services),
    figures: {
      rotations: parts.filter(({ findings }) => findings.rotated).length,
      tasksReplaced: services.reduce((sum, { tasksReplaced }) => sum + tasksReplaced, 0),
      ...most(parts.map(({ findings }) => ages(findings.secret, findings.retired, at))),
      ...most(parts.map(({ settings, findings }) => gap(settings, findings, at))),
      ...(refused.length > 0 && { refusedLogins: refused.reduce((sum, logins) => sum + logins, 0) }),
    },
    problems,
    details: {
      seconds: stopwatch.seconds,
      services: only ? only.findings.services : services.map(({ proof: _, ...service }) => service),
      ...(only
        ? ofOne(only.findings)
        : {
            credentials: parts.map(({ settings, findings }) => ({
              name: settings.name,
              rotated: findings.rotated,
              retired: findings.retired,
              ...ages(findings.secret, findings.retired, at),
              proofs: Object.fromEntries(
                findings.services.flatMap(({ service, proof }) => (proof ? [[service, proof]] : [])),
              ),
              ...ofOne(findings),
            })),
          }),
    },
  };
}

function ofOne({ database, verification }: Findings): Record<string, unknown> {
  const { connected, sessions } = verification ?? {};
  return {
    resumed: database.retained,
    ...(connected && { connected }),
    ...(sessions !== undefined && { sessions }),
    ...(database.warnings.length > 0 && { warnings: database.warnings }),
  };
}

/** Of each figure the largest. */
function most(figures: readonly Record<string, number>[]): Record<string, number> {
  const largest: Record<string, number> = {};
  for (const [name, value] of figures.flatMap((each) => Object.entries(each)))
    largest[name] = Math.max(value, largest[name] ?? 0);
  return largest;
}

/** The end of a run that could not find out what there is. */
export function failed(parts: readonly { found: Inspection }[], ...problems: Problem[]): RunResult {
  const { credentialAgeDays = 0 } = most(
    parts.map(({ found: { secret } }) => ages(secret, true, secret.lookedAt)),
  );
  return {
    outcome: 'failed',
    figures: { rotations: 0, tasksReplaced: 0, credentialAgeDays },
    problems,
  };
}

/** The end of a run whose time had not come. */
export function skipped(parts: readonly { found: Inspection }[], ...problems: Problem[]): RunResult {
  const each = parts.map(({ found: { secret, database } }) =>
    ages(secret, database.kind === 'done' && !database.value.retained, secret.lookedAt),
  );
  return { outcome: 'skipped', figures: { rotations: 0, tasksReplaced: 0, ...most(each) }, problems };
}

function outcomeOf(
  parts: readonly Part[],
  problems: readonly Problem[],
  services: Shared['services'],
): Outcome {
  if (problems.length === 0) return 'succeeded';
  if (services.some(({ outcome }) => outcome === 'failed')) return 'failed';
  const wentOn = services.length > 0 || parts.some(({ findings }) => findings.rotated);
  const isRetired = parts.every(({ findings }) => findings.retired);
  return wentOn || (isRetired && problems.every(isForALook)) ? 'partial' : 'failed';
}

/**
 * With one password alone: for how long a container could not log in, at most. From when the version was made, shortly
 * before its password was set, until the last container had it; or until now, while one has not.
 */
function gap(
  { strategy }: OneCredential,
  { services, rolledAt, secret }: Findings,
  now: number,
): Record<string, number> {
  if (strategy.kind !== 'single-password' || services.length === 0) return {};
  return { loginGapSeconds: Math.max(0, Math.round(((rolledAt ?? now) - secret.currentSince) / 1000)) };
}

function ages({ currentSince }: SecretInspection, retired: boolean, at: number): Record<string, number> {
  const age = Math.max(0, at - currentSince);
  return {
    credentialAgeDays: Math.floor(age / DAY),
    oldPasswordHours: retired ? 0 : Math.round((age / HOUR) * 10) / 10,
  };
}
