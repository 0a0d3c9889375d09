import type { CredentialCopy } from '../shared/database/credential/copies.ts';
import type { CredentialSettings } from '../shared/database/credential/settings.ts';
import type { RolledService } from '../shared/roll/rolled-service.ts';

/** What one of several credentials has of its own. */
export interface FurtherCredential
  extends CredentialSettings,
    Pick<CredentialRotationSettings, 'copies' | 'replicas' | 'whenUnproven'> {
  /** The report, its alarms and its metrics call it so. */
  name: string;
}

/** credential-rotation's environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export interface CredentialRotationSettings extends CredentialSettings {
  /** Whose credential it is. */
  deployment: string;
  /** A run rotates a credential that is so old. A younger one is only looked after. */
  rotateAfterDays: number;
  /** How long the four steps may take, with the service's own repetitions. */
  rotationTimeoutSeconds: number;
  /** Where copies of the credential are kept, besides the secret. */
  copies: CredentialCopy[];
  /** The alarm that tells of a copy of this credential that holds something else, before a run puts it right. @default there is none */
  copiesAlarm?: string;
  /** Of the cluster of those services that name none. */
  clusterArn: string;
  /** Whose containers read the credential at their start, in the order in which they are replaced. */
  services: CredentialReader[];
  /** How long a service may take to be steady: at the beginning, and after each change. */
  steadyTimeoutSeconds: number;
  /**
   * Read replicas that sessions of the old user may be on: they are looked at too before it is closed, with alternating
   * users. @default none
   */
  replicas?: ReadReplica[];
  /** How long sessions of the old user are waited for before the retirement is left to the next run. */
  retirementPatienceSeconds: number;
  /**
   * What becomes of the old credential where nobody can know whether the new tasks of each service log in with the new one.
   * @default 'keep' in the first rotation, and wherever logins were refused or tasks not seen that should have been;
   * otherwise 'retire'
   */
  whenUnproven?: WhenUnproven;
  /** The name of the credential, where it is one of several. @default it is the only one, and has none */
  name?: string;
  /** Others that the same services read, in the order in which they are rotated after it. @default none */
  further?: FurtherCredential[];
}

/** Its certificate is checked as the database's is. */
export interface ReadReplica {
  /** Its host name, as containers have it. */
  host: string;
  /** The port on which it listens. @default the database's */
  port?: number;
}

/** `keep`: the run is partial, and both credentials stay valid. */
export type WhenUnproven = 'keep' | 'retire';

/** A service that need not read each of several credentials. */
export interface CredentialReader extends RolledService {
  /** The names of the credentials that it reads. @default it reads all of them */
  reads?: string[];
}

/** `options` of a run that a person starts. */
export interface CredentialRotationOptions {
  /** Rotates now, however young the credential is. */
  rotate?: boolean;
}

/** The metric of a service: 1 where a roll stopped at it, and 0 once all its tasks have the current credential. */
export const ROLLS_STOPPED_METRIC = 'RollsStopped';

/** The name of the alarm that rings when credential-rotation's roll stopped at a service. */
export function stoppedAlarmName(deployment: string, service: string): string {
  return `${deployment}-credential-rotation-stopped-${service}`;
}

/** The name of the alarm that rings when a step of Secrets Manager's rotation of a credential failed. */
export function rotationFailedAlarmName(deployment: string, credential: string | undefined): string {
  return `${deployment}-${rotateSecretName(credential)}-failed`;
}

/** The dimension of the ages of one of several credentials, besides the run's own `deployment` and `job`. */
export const CREDENTIAL_DIMENSION = 'credential';

/** The dimension of {@link ROLLS_STOPPED_METRIC}, besides the run's own `deployment` and `job`. */
export const SERVICE_DIMENSION = 'service';

/** The function that Secrets Manager calls for a credential, after the deployment's name. */
export function rotateSecretName(credential: string | undefined): string {
  return credential === undefined ? 'rotate-secret' : `rotate-secret-${credential}`;
}
