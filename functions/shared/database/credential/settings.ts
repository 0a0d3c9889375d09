import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as v from 'valibot';
import { type DatabaseAddress, ENGINES, type Engine, type Login } from '../contract/engine.ts';
import { RotationRefused } from '../contract/errors.ts';
import { PASSWORD_FORMS, type Strategy } from '../contract/rotation.ts';
import { templateEntries } from './copies.ts';
import { checkBelongs, type DatabaseSecret, type SecretField } from './secret.ts';
import { currentSecret } from './stored-secret.ts';

/** A credential that is rotated: what every function that works on it is told. */
export interface CredentialSettings {
  /** The secret that is rotated. One that RDS manages (`rds!…`) is not. */
  secretArn: string;
  /** The server on which it logs in. */
  database: DatabaseAddress;
  /** How the database has two valid credentials at once, or that it has not. */
  strategy: Strategy;
  /**
   * The secret of the user that changes passwords.
   * @default the secret's own `masterarn`; without one, MySQL's `dual-password` lets the user change its own.
   */
  adminSecretArn?: string;
  /** Of the secret itself, those besides `username` and `password` that hold the credential. @default none does */
  fields?: readonly SecretField[];
}

/** {@link DatabaseAddress}, for the schema of a function's settings. */
export const addressSchema = v.object({
  engine: v.picklist(Object.keys(ENGINES) as Engine[]),
  host: v.string(),
  port: v.number(),
  database: v.exactOptional(v.string()),
  certificateAuthority: v.string(),
}) satisfies v.GenericSchema<DatabaseAddress>;

/** The fields of {@link CredentialSettings}, for the schema of a function's settings. */
export const credentialEntries = {
  secretArn: v.string(),
  database: addressSchema,
  strategy: v.variant('kind', [
    v.object({ kind: v.literal('dual-password') }),
    v.object({
      kind: v.literal('alternating-users'),
      users: v.exactOptional(v.tuple([v.string(), v.string()])),
      owner: v.exactOptional(v.string()),
      storeAs: v.exactOptional(v.picklist(PASSWORD_FORMS)),
    }),
    v.object({
      kind: v.literal('single-password'),
      user: v.string(),
      storeAs: v.exactOptional(v.picklist(PASSWORD_FORMS)),
    }),
  ]),
  adminSecretArn: v.exactOptional(v.string()),
  fields: v.exactOptional(v.array(v.object({ key: v.string(), ...templateEntries }))),
};

/**
 * The login that changes passwords: one call of Secrets Manager.
 * @param secret any version of the rotated one.
 * @returns `undefined`, without a call, where the user changes its own password.
 * @throws RotationRefused where there must be an administrator and is none; SecretInvalid, and what the SDK throws.
 */
export async function administratorOf(
  settings: CredentialSettings,
  client: SecretsManagerClient,
  secret: DatabaseSecret,
): Promise<Login | undefined> {
  const { adminSecretArn = secret.masterarn, database, strategy, secretArn } = settings;
  if (adminSecretArn === undefined) {
    if (strategy.kind === 'dual-password' && ENGINES[database.engine] === 'mysql') return undefined;
    throw new RotationRefused(
      `${strategy.kind} on ${database.engine} needs an administrator, and neither the configuration nor the field "masterarn" of ${secretArn} names its secret.`,
    );
  }
  const { secret: administrator } = await currentSecret(client, adminSecretArn);
  checkBelongs(administrator, adminSecretArn, database);
  return administrator;
}
