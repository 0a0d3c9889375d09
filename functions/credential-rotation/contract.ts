import type { CredentialSettings } from '../shared/database/credential.ts';

/** credential-rotation's environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export interface CredentialRotationSettings extends CredentialSettings {
  deployment: string;
  /** A run rotates a credential that is so old. A younger one is only looked after. */
  rotateAfterDays: number;
  /** How long the four steps may take, with the service's own repetitions. */
  rotationTimeoutSeconds: number;
  /** Where copies of the credential are kept, besides the secret. */
  copies: CredentialCopy[];
  clusterArn: string;
  /** Whose containers read the credential at their start, in the order in which they are replaced. */
  services: RolledService[];
  /** How long a service may take to be steady: at the beginning, and after each change. */
  steadyTimeoutSeconds: number;
}

/** A place other than the secret from which containers read the credential. It must exist already. */
export type CredentialCopy = {
  /** What is written there: `{username}` and `{password}` stand for the credential's. @default `{password}` */
  template?: string;
} & (
  | {
      kind: 'parameter';
      /** Of Parameter Store. */
      name: string;
      /** With which a SecureString is encrypted. @default the account's own key for Parameter Store */
      keyId?: string;
    }
  | {
      kind: 'secret';
      secretArn: string;
      /** Of the secret's JSON object. */
      key: string;
    }
);

export interface RolledService {
  name: string;
  /**
   * Whether two of its tasks must never be replaced at once.
   * @default false: a deployment may add tasks and take away old ones together, as far as its percentages allow
   */
  oneAtATime?: boolean;
}

/** `options` of a run that a person starts. */
export interface CredentialRotationOptions {
  /** Rotates now, however young the credential is. */
  rotate?: boolean;
}
