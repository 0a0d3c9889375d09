import { Logger } from '@aws-lambda-powertools/logger';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as v from 'valibot';
import { credentialEntries } from '../shared/database/credential/settings.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import { parseOrThrow, readSettings } from '../shared/run/settings.ts';
import type { RotateSecretSettings, RotationEvent } from './contract.ts';
import { rotateSecret } from './rotate-secret.ts';

const settingsSchema = v.object({
  deployment: v.string(),
  ...credentialEntries,
  password: v.exactOptional(
    v.object({
      length: v.exactOptional(v.number()),
      alphabet: v.exactOptional(v.string()),
      exclude: v.exactOptional(v.string()),
    }),
  ),
  delivery: v.exactOptional(v.object({ job: v.string(), functionArn: v.string(), startRunArn: v.string() })),
}) satisfies v.GenericSchema<RotateSecretSettings>;

const eventSchema = v.object({
  Step: v.picklist(['createSecret', 'setSecret', 'testSecret', 'finishSecret']),
  SecretId: v.string(),
  ClientRequestToken: v.string(),
  RotationToken: v.exactOptional(v.string()),
}) satisfies v.GenericSchema<RotationEvent>;

const logger = new Logger({ serviceName: process.env.AWS_LAMBDA_FUNCTION_NAME ?? 'rotate-secret' });
const parts = {
  settings: readSettings(settingsSchema),
  secretsManager: namingErrors(new SecretsManagerClient({ requestHandler: REQUEST_LIMITS })),
  lambda: namingErrors(new LambdaClient({ requestHandler: REQUEST_LIMITS })),
};

/** One of the four steps that Secrets Manager calls to rotate the credential of a database. */
export async function handler(event: unknown): Promise<void> {
  const step = parseOrThrow(eventSchema, event, 'The event of Secrets Manager');
  const where = { step: step.Step, secret: step.SecretId, version: step.ClientRequestToken };
  try {
    logger.info(`${step.Step}: ${await rotateSecret(parts, step)}`, where);
  } catch (error) {
    logger.error(`${step.Step} failed: ${error instanceof Error ? error.message : 'no reason'}`, where);
    throw error;
  }
}
