import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { GetParameterCommand, PutParameterCommand, type SSMClient } from '@aws-sdk/client-ssm';
import * as v from 'valibot';
import type { Login } from '../shared/database/secret.ts';
import { currentSecret } from '../shared/database/stored-secret.ts';
import type { CredentialCopy, CredentialRotationSettings } from './contract.ts';

/** What was done with a copy. */
export interface DeliveredCopy {
  /** As people name it. */
  place: string;
  /** It held something else than the current credential, and was put right. */
  written: boolean;
  /** Since when it had held that something else; else, since when it holds the credential. Epoch milliseconds. */
  since: number;
}

const secretObject = v.record(v.string(), v.unknown());

/**
 * Writes the current credential to every place that keeps a copy and holds something else. One or two calls for each.
 * @throws Error naming the place, never the value; and what the SDK throws.
 */
export async function deliver(
  { secretArn, copies }: CredentialRotationSettings,
  { secretsManager, ssm }: { secretsManager: SecretsManagerClient; ssm: SSMClient },
): Promise<DeliveredCopy[]> {
  if (copies.length === 0) return [];
  const { secret } = await currentSecret(secretsManager, secretArn);
  const delivered: DeliveredCopy[] = [];
  for (const copy of copies) {
    const value = filled(copy, secret);
    delivered.push(
      copy.kind === 'parameter'
        ? await writeParameter(ssm, copy, value)
        : await writeKey(secretsManager, copy, value),
    );
  }
  return delivered;
}

function filled({ template = '{password}' }: CredentialCopy, { username, password }: Login): string {
  return template.replaceAll(/\{(username|password)\}/g, (_, field) =>
    field === 'username' ? username : password,
  );
}

async function writeParameter(
  ssm: SSMClient,
  { name, keyId }: CredentialCopy & { kind: 'parameter' },
  value: string,
): Promise<DeliveredCopy> {
  const { Parameter: found = {} } = await ssm.send(
    new GetParameterCommand({ Name: name, WithDecryption: true }),
  );
  const written = found.Value !== value;
  if (written) {
    await ssm.send(
      new PutParameterCommand({
        Name: name,
        Value: value,
        Overwrite: true,
        ...(found.Type && { Type: found.Type }),
        ...(found.Type === 'SecureString' && keyId !== undefined && { KeyId: keyId }),
      }),
    );
  }
  return { place: `parameter ${name}`, written, since: found.LastModifiedDate?.getTime() ?? 0 };
}

async function writeKey(
  client: SecretsManagerClient,
  { secretArn, key }: CredentialCopy & { kind: 'secret' },
  value: string,
): Promise<DeliveredCopy> {
  const found = await client.send(new GetSecretValueCommand({ SecretId: secretArn }));
  const place = `key ${key} of the secret ${secretArn}`;
  const object = parsed(found.SecretString, place);
  const written = object[key] !== value;
  if (written) {
    await client.send(
      new PutSecretValueCommand({
        SecretId: secretArn,
        SecretString: JSON.stringify({ ...object, [key]: value }),
      }),
    );
  }
  return { place, written, since: found.CreatedDate?.getTime() ?? 0 };
}

function parsed(text: string | undefined, place: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text ?? '');
  } catch {
    json = undefined;
  }
  if (v.is(secretObject, json)) return json;
  throw new Error(
    `The ${place} cannot be written: the secret is no JSON object. Make it one, with that key.`,
  );
}
