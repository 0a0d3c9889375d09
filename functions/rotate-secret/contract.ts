import type { CredentialSettings } from '../shared/database/credential.ts';
import type { PasswordRules } from '../shared/database/password.ts';
import type { EngineFamily } from '../shared/database/secret.ts';

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

/**
 * The imports that a bundle for an engine does not need: name them to esbuild as external. They are followed only for
 * their own engine, and bring most of a bundle's size. `pg-native` is an extra of pg's that is not installed.
 */
export const IMPORTS_TO_LEAVE_OUT: Record<EngineFamily, readonly string[]> = {
  mysql: modules('mariadb', 'postgres'),
  mariadb: modules('mysql', 'postgres'),
  postgres: [...modules('mysql', 'mariadb'), 'pg-native'],
};

/** As the sources import them, and as they do when they are compiled. */
function modules(...names: string[]): string[] {
  return names.flatMap((name) => [`./${name}.ts`, `./${name}.js`]);
}
