import { ResourceNotFoundException, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import {
  GetParameterCommand,
  ParameterNotFound,
  type ParameterType,
  type SSMClient,
} from '@aws-sdk/client-ssm';
import * as v from 'valibot';
import { readSecretValue } from '../../run/secret-value.ts';
import type { Login } from '../contract/engine.ts';
import { SecretInvalid } from '../contract/errors.ts';
import { COPY_ENCODINGS, type CopyTemplate, contentOf } from './copy-template.ts';
import { memberOf } from './json-text.ts';
import { holdsPassword } from './secret.ts';
import { currentSecret } from './stored-secret.ts';

/** A place other than the secret from which containers read the credential. It must exist already. */
export type CredentialCopy = CopyTemplate & (ParameterPlace | KeyPlace);

/** A parameter of Systems Manager. */
export interface ParameterPlace {
  /** That it is one. */
  kind: 'parameter';
  /** Of Parameter Store. */
  name: string;
  /** With which a SecureString is encrypted. @default the account's own key for Parameter Store */
  keyId?: string;
}

/** A field of another secret that is JSON. */
export interface KeyPlace {
  /** That it is one. */
  kind: 'secret';
  /** The other secret's full ARN. */
  secretArn: string;
  /** Of the secret's JSON object. */
  key: string;
}

/** Of a {@link CopyTemplate}, for the schema of a function's settings. */
export const templateEntries = {
  template: v.exactOptional(v.string()),
  encoding: v.exactOptional(v.picklist(COPY_ENCODINGS)),
};

/** Of a {@link CredentialCopy}, for the schema of a function's settings. */
export const credentialCopySchema = v.variant('kind', [
  v.object({
    kind: v.literal('parameter'),
    name: v.string(),
    keyId: v.exactOptional(v.string()),
    ...templateEntries,
  }),
  v.object({ kind: v.literal('secret'), secretArn: v.string(), key: v.string(), ...templateEntries }),
]) satisfies v.GenericSchema<CredentialCopy>;

/** Where copies are read. */
export interface CopyClients {
  secretsManager: SecretsManagerClient;
  ssm: SSMClient;
}

/** How a copy compares with the current credential. Holds no value, so that it may be kept and told. */
export type ComparedCopy = {
  /** As people name it. */
  place: string;
} & (
  | { kind: 'current' }
  /** `writtenAt`: what it holds. Epoch milliseconds. */
  | { kind: 'other'; writtenAt: number }
  | { kind: 'missing' }
  /** Whether it holds the credential is unknown. */
  | { kind: 'unreadable'; reason: string }
);

/** A copy with what it holds, which must not leave the memory. */
export type FoundCopy =
  | (ParameterPlace & { value: string | undefined; type: ParameterType | undefined; writtenAt: number })
  | (KeyPlace & { value: unknown; text: string; writtenAt: number })
  | { kind: 'missing' };

/**
 * Compares every copy with the current credential: one call for each copy, and one for the secret.
 *
 * The secret is read last. A rotation that ends meanwhile is then known here, and so is that the copies may not have
 * been given its credential yet.
 *
 * @throws SecretInvalid, and what the SDK throws, of the secret itself.
 */
export async function compareCopies(
  { secretArn, copies }: { secretArn: string; copies: readonly CredentialCopy[] },
  clients: CopyClients,
): Promise<{
  /** When the current credential was made. Epoch milliseconds. */
  currentSince: number;
  copies: ComparedCopy[];
}> {
  const compare: ((login: Login) => ComparedCopy)[] = [];
  for (const copy of copies) {
    const place = placeOf(copy);
    try {
      const found = await readCopy(copy, clients);
      compare.push((login) => {
        if (found.kind === 'missing') return { place, kind: 'missing' };
        if (found.value === contentOf(copy, login)) return { place, kind: 'current' };
        return { place, kind: 'other', writtenAt: found.writtenAt };
      });
    } catch (error) {
      compare.push(() => ({ place, kind: 'unreadable', reason: reasonOf(error) }));
    }
  }
  const { secret, createdAt = 0 } = await currentSecret(clients.secretsManager, secretArn);
  return { currentSince: createdAt, copies: compare.map((compared) => compared(secret)) };
}

/**
 * Reads a copy: one call.
 * @throws SecretInvalid, which never holds the value, and what the SDK throws.
 */
export async function readCopy(copy: CredentialCopy, clients: CopyClients): Promise<FoundCopy> {
  try {
    return copy.kind === 'parameter'
      ? await readParameter(copy, clients.ssm)
      : await readKey(copy, clients.secretsManager);
  } catch (error) {
    if (error instanceof ParameterNotFound || error instanceof ResourceNotFoundException)
      return { kind: 'missing' };
    throw error;
  }
}

/** As people name a copy. */
export function placeOf(copy: CredentialCopy): string {
  return copy.kind === 'parameter'
    ? `parameter ${copy.name}`
    : `key ${copy.key} of the secret ${copy.secretArn}`;
}

/** What AWS says when it refuses to write a copy. It may quote the value: its words are left out then. */
export function refusedWrite(error: unknown, copy: CredentialCopy, login: Login): Error {
  if (!(error instanceof Error)) return new Error(`AWS refused to write the ${placeOf(copy)}.`);
  if (!error.message.includes(login.password) && !holdsPassword(error.message, login)) return error;
  return new Error(
    `AWS refused to write the ${placeOf(copy)} (${error.name}). What it says quotes the value, and is left out.`,
  );
}

async function readParameter(place: ParameterPlace, client: SSMClient): Promise<FoundCopy> {
  const { Parameter: found = {} } = await client.send(
    new GetParameterCommand({ Name: place.name, WithDecryption: true }),
  );
  const { Value: value, Type: type, LastModifiedDate: written } = found;
  return { ...place, value, type, writtenAt: written?.getTime() ?? 0 };
}

async function readKey(place: KeyPlace, client: SecretsManagerClient): Promise<FoundCopy> {
  const { SecretString: text = '', CreatedDate: written } = await readSecretValue(client, {
    SecretId: place.secretArn,
  });
  const writtenAt = written?.getTime() ?? 0;
  try {
    return { ...place, value: memberOf(text, place.key), text, writtenAt };
  } catch {
    throw new SecretInvalid(
      `The secret ${place.secretArn} is no JSON object, so it has no key ${place.key}. Make it one.`,
    );
  }
}

function reasonOf(error: unknown): string {
  // The parser quotes what it stumbles upon, which may be the value.
  if (error instanceof SyntaxError) return 'AWS answered with something else than JSON.';
  return error instanceof Error ? error.message : String(error);
}
