import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { RolledResult } from '../shared/roll/roll-service.ts';
import { publishMetrics } from '../shared/run/publish-metrics.ts';
import type { Outcome, Problem } from '../shared/run/report.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import type { RunResult } from '../shared/run/run-job.ts';
import { tellOnce } from '../shared/run/tell-once.ts';
import { type CredentialRotationSettings, ROLLS_STOPPED_METRIC, SERVICE_DIMENSION } from './contract.ts';
import { countRefusedLogins, type DatabaseState } from './database.ts';
import type { Inspection } from './inspect.ts';
import type { Proof } from './judge-logins.ts';
import { isForALook } from './problems.ts';
import type { SecretInspection } from './rotate.ts';
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
  /** By service: 1 where the roll stopped. Absent: not known in this run. */
  rollsStopped: Record<string, number>;
  verification?: Verification;
  problems: Problem[];
  stopwatch: Stopwatch;
}

export interface Stopwatch {
  /** How long each part took. */
  seconds: Record<string, number>;
  /** When the part before ended. Epoch milliseconds. */
  before: number;
}

/** What is known before anything is changed. */
export function foundAtFirst(secret: SecretInspection, database: DatabaseState): Findings {
  return {
    secret,
    database,
    rotated: false,
    retired: !database.retained,
    services: [],
    rollsStopped: {},
    problems: [],
    stopwatch: { seconds: {}, before: secret.lookedAt },
  };
}

/** Notes how long the part took that ends now. */
export async function measure(context: DurableContext, clock: Stopwatch, part: string): Promise<void> {
  const { at } = await context.step(`time of ${part}`, async () => ({ at: Date.now() }));
  clock.seconds[part] = Math.round((at - clock.before) / 1000);
  clock.before = at;
}

/** The end of a run that could begin. */
export async function resultOf(
  { deployment, job }: RunEvent,
  context: DurableContext,
  settings: CredentialRotationSettings,
  client: SecretsManagerClient,
  findings: Findings,
): Promise<RunResult> {
  const { secret, database, rotated, retired, services, problems, stopwatch } = findings;
  const { connected, sessions } = findings.verification ?? {};
  const at = await tellOnce(context, 'publish the metric of each service', (at) => {
    for (const [service, stopped] of Object.entries(findings.rollsStopped))
      publishMetrics(
        { deployment, job, [SERVICE_DIMENSION]: service },
        { [ROLLS_STOPPED_METRIC]: stopped },
        {},
        at,
      );
  });
  const counted =
    database.refusedLogins === undefined ? undefined : await countRefusedLogins(context, settings, client);
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
      ...gap(settings, findings, at),
      // A server that was restarted meanwhile began to count anew.
      ...(refusedLogins !== undefined && refusedLogins >= 0 && { refusedLogins }),
    },
    problems,
    details: {
      seconds: stopwatch.seconds,
      services,
      resumed: database.retained,
      ...(connected && { connected }),
      ...(sessions !== undefined && { sessions }),
      ...(database.warnings.length > 0 && { warnings: database.warnings }),
    },
  };
}

/** The end of a run that could not find out what there is. */
export function failed(secret: SecretInspection, ...problems: Problem[]): RunResult {
  const { credentialAgeDays = 0 } = ages(secret, true, secret.lookedAt);
  return {
    outcome: 'failed',
    figures: { rotations: 0, tasksReplaced: 0, credentialAgeDays },
    problems,
  };
}

/** The end of a run whose time had not come. */
export function skipped({ secret, database }: Inspection, ...problems: Problem[]): RunResult {
  const retired = database.kind === 'done' && !database.value.retained;
  return {
    outcome: 'skipped',
    figures: { rotations: 0, tasksReplaced: 0, ...ages(secret, retired, secret.lookedAt) },
    problems,
  };
}

function outcomeOf({ retired, rotated, services, problems }: Findings): Outcome {
  if (problems.length === 0) return 'succeeded';
  if (services.some(({ outcome }) => outcome === 'failed')) return 'failed';
  const wentOn = rotated || services.length > 0;
  return wentOn || (retired && problems.every(isForALook)) ? 'partial' : 'failed';
}

/**
 * With one password alone: for how long a container could not log in, at most. From when the version was made, shortly
 * before its password was set, until the last container had it; or until now, while one has not.
 */
function gap(
  { strategy }: CredentialRotationSettings,
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
