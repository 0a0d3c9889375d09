import type { Roll } from '../shared/roll/roll-services.ts';
import { withoutFullStop } from '../shared/run/full-stop.ts';
import type { Problem } from '../shared/run/report.ts';
import {
  type CredentialRotationSettings,
  rotateSecretName,
  rotationFailedAlarmName,
  stoppedAlarmName,
} from './contract.ts';
import type { Tried } from './database.ts';
import type { DeliveredCopy } from './deliver.ts';
import type { Proof } from './judge-logins.ts';
import type { RollPlan } from './plan-roll.ts';

type Failed = Tried<unknown> & { kind: 'failed' };

const STRAY_COPY_NEXT =
  'Replace tasks that were started in between. See who writes there: an update of the stack that made it may.';

export function strayCopyProblem(
  { deployment, copiesAlarm }: CredentialRotationSettings,
  { place, since }: DeliveredCopy,
): Problem {
  return {
    what: `The ${place} held something else than the current credential since ${new Date(since).toISOString()}, and was put right.`,
    where: deployment,
    next: STRAY_COPY_NEXT,
    ...(copiesAlarm && { toldBy: { alarm: copiesAlarm, since: new Date(since).toISOString() } }),
  };
}

const SECOND_PASSWORD_NEXT =
  'Let whoever gave it discard it (MySQL: ALTER USER … DISCARD OLD PASSWORD; MariaDB: ALTER USER … with one method) when it is no longer needed. The next rotation discards it in any case. This is told once.';

/** Somebody has retained a password by hand, and may need it. */
export function secondPasswordProblem({ deployment, database }: CredentialRotationSettings): Problem {
  return {
    what: 'The user has a second valid password, which no rotation has left: somebody has given it. It was left as it is until a rotation is due.',
    where: `${deployment}, database ${database.host}:${database.port}`,
    next: SECOND_PASSWORD_NEXT,
  };
}

/** Whether it asks for a person's look only, and the credential is safe. */
export function isForALook({ next }: Problem): boolean {
  return next === STRAY_COPY_NEXT || next === SECOND_PASSWORD_NEXT;
}

export function databaseProblem(
  { deployment, database }: CredentialRotationSettings,
  { message }: Failed,
): Problem {
  return {
    what: `${withoutFullStop(message)}. Nothing was changed.`,
    where: `${deployment}, database ${database.host}:${database.port}`,
    next: 'Mend this; the next run tries again.',
  };
}

export function otherRunsProblem(deployment: string, runs: string): Problem {
  return {
    what: `Too late to begin: ${runs} was still going on, and too little time is left until the run must end.`,
    where: deployment,
    next: 'Nothing was changed, and the next run tries again. Give the jobs times that lie further apart, or widen the downtime window.',
  };
}

export function refusedProblem(
  deployment: string,
  { service, reason, next }: RollPlan & { kind: 'refused' },
): Problem {
  return { what: reason, where: `${deployment}, service ${service.name}`, next };
}

export function unnamedServiceProblem(
  { deployment, name }: CredentialRotationSettings,
  service: string,
): Problem {
  return {
    what: `The service ${service} is given the credential too, and the configuration does not name it${name === undefined ? '' : `, or leaves ${name} out of what it reads`}: it would be locked out. Nothing was changed.`,
    where: `${deployment}, service ${service}`,
    next: `Name it among the services${name === undefined ? '' : `, and ${name} in its reads`}, or give it a user of its own.`,
  };
}

export function unwritableCopyProblem(
  deployment: string,
  { place, reason }: { place: string; reason: string },
): Problem {
  return {
    what: `The ${place} could not be written after a rotation: ${withoutFullStop(reason)}. Nothing was changed.`,
    where: deployment,
    next: 'Let the function credential-rotation write there: see who denies it, such as a policy of the resource or of the organization.',
  };
}

export function staleReplicaProblem(
  { deployment, secretArn }: CredentialRotationSettings,
  { region, status }: { region: string; status: string },
): Problem {
  return {
    what: `The replica of ${secretArn} in ${region} does not follow the secret (${status}). Nothing was changed.`,
    where: `${deployment}, region ${region}`,
    next: 'Mend the replication in Secrets Manager, or remove the replica. The next run tries again.',
  };
}

/** Something that is no service may still need the old credential. */
export function leftBehindProblem(settings: CredentialRotationSettings, left: readonly string[]): Problem {
  return {
    what: `The old credential was not retired. ${left.join(' ')} ${whatHolds(settings)}`,
    where: settings.deployment,
    next: 'Let those tasks end, or the replication succeed. The next run looks again.',
  };
}

/** AWS refused something after the rotation had begun. */
export function brokenOffProblem(
  settings: CredentialRotationSettings,
  reason: string,
  isRotated: boolean,
): Problem {
  return {
    what: `${reason} ${isRotated ? whatHolds(settings) : 'The rotation may have begun.'}`,
    where: settings.deployment,
    next: 'Mend the cause. The next run goes on from there.',
  };
}

export function unsteadyProblem(deployment: string, reason: string): Problem {
  return {
    what: `The services were not steady, so nothing was begun: ${reason}`,
    where: deployment,
    next: 'The next run tries again. See in ECS what is going on with the service.',
  };
}

export function rotationProblem({ deployment, name }: CredentialRotationSettings, why: string): Problem {
  return {
    what: `${withoutFullStop(why)}. Containers go on with the password that they have.`,
    where: deployment,
    next: `Read in the log /aws/lambda/${deployment}-${rotateSecretName(name)} which step failed and why, and mend that. The next run rotates.`,
    toldBy: { alarm: rotationFailedAlarmName(deployment, name) },
  };
}

/** One of several that come before it could not be rotated. */
export function notBegunProblem({ deployment, name }: CredentialRotationSettings, before: string): Problem {
  return {
    what: `The rotation of ${name} was not begun, because that of ${before} failed.`,
    where: deployment,
    next: `Mend what stopped ${before}. The next run rotates both.`,
    toldBy: { alarm: rotationFailedAlarmName(deployment, before) },
  };
}

/** Without a look before the roll nothing would be proven after it. */
export function unaskedProblem(settings: CredentialRotationSettings, why: string): Problem {
  return {
    what: `The database could not be asked before the roll who logs in, so that no service was touched: ${why} ${whatHolds(settings)}`,
    where: `${settings.deployment}, database ${settings.database.host}:${settings.database.port}`,
    next: 'Mend this; the next run goes on from there.',
  };
}

export function rollProblem(
  settings: CredentialRotationSettings,
  { services, what, next }: NonNullable<Roll['stopped']>,
): Problem {
  return {
    what: `${what} ${whatHolds(settings)}`,
    where: `${settings.deployment}, service ${services.join(', ')}`,
    next,
    // Of several the first one's rings: see rollsStopped.
    ...(services[0] && { toldBy: { alarm: stoppedAlarmName(settings.deployment, services[0]) } }),
  };
}

export function disconnectedProblem(settings: CredentialRotationSettings, why: string): Problem {
  return {
    what: `${why} ${whatHolds(settings)}`,
    where: settings.deployment,
    next: "See in the application's log why parts of it do not connect. The next run goes on from there.",
  };
}

export function unprovenProblem(
  settings: CredentialRotationSettings,
  { service, proof }: { service: string; proof: Proof },
): Problem {
  return {
    what: `Nobody knows whether the new tasks of ${service} log in with the new credential: ${proof.evidence} ${whatHolds(settings)}`,
    where: `${settings.deployment}, service ${service}`,
    next: `${proof.next} The next run looks again.`,
  };
}

/** @param kept whether the old credential stays because of it. */
export function noSessionProblem(settings: CredentialRotationSettings, kept: boolean): Problem {
  return {
    what: `The database shows no session of the current credential's user, though tasks run.${kept ? ` ${whatHolds(settings)}` : ''}`,
    where: `${settings.deployment}, database ${settings.database.host}:${settings.database.port}`,
    next: `See whether the containers read the credential from the secret or from a copy that the configuration names, and in their log whether they log in.${kept ? ' The next run looks again, and retires the old credential.' : ''}`,
  };
}

export function nobodyTriedProblem({ deployment }: CredentialRotationSettings): Problem {
  return {
    what: 'No task of any service runs, so that no container has tried the new credential.',
    where: deployment,
    next: 'If the application is meant to stand still, nothing: its containers get the new credential when they start. Otherwise see in ECS why the services run no tasks.',
  };
}

export function retirementProblem(deployment: string, { message }: Failed): Problem {
  return {
    what: `The new password is with every task, but the old one was not retired: ${message}`,
    where: deployment,
    next: 'Mend this; the next run retires it. Until then both are valid.',
  };
}

/** What a rotation that stops before the retirement means for the containers. */
function whatHolds({ strategy }: CredentialRotationSettings): string {
  return strategy.kind === 'single-password'
    ? 'Containers that were not replaced cannot log in.'
    : 'The old and the new password are both valid.';
}
