import type { PasswordRules } from '../shared/database/credential/password.ts';
import type { CredentialSettings } from '../shared/database/credential/settings.ts';

/** What Secrets Manager sends. */
export interface RotationEvent {
  Step: 'createSecret' | 'setSecret' | 'testSecret' | 'finishSecret';
  /** The secret's ARN. */
  SecretId: string;
  /** The id of the version that the rotation makes. */
  ClientRequestToken: string;
  /** To be handed back when the version is written; proves that the rotation asked for it. Never logged. */
  RotationToken?: string;
}

/** rotate-secret's environment variable `UPKEEP_SETTINGS`, as JSON. */
export interface RotateSecretSettings extends CredentialSettings {
  deployment: string;
  /** @default 32 characters; see `PasswordRules`. */
  password?: PasswordRules;
  /** Who carries the new password to the containers. Absent: nobody is told, as in a set-up of one's own. */
  delivery?: DeliverySettings;
}

/** The run that follows a rotation. */
export interface DeliverySettings {
  /** The job's name, for start-run. */
  job: string;
  /** The durable function of the job, without a qualifier. A running execution waits for the rotation. */
  functionArn: string;
  /** start-run's ARN. */
  startRunArn: string;
}
