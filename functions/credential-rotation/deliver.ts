import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import {
  type CopyClients,
  type FoundCopy,
  placeOf,
  readCopy,
  refusedWrite,
} from '../shared/database/credential/copies.ts';
import { contentOf } from '../shared/database/credential/copy-template.ts';
import { withMembers } from '../shared/database/credential/json-text.ts';
import { currentSecret } from '../shared/database/credential/stored-secret.ts';
import type { CredentialRotationSettings } from './contract.ts';

/** What was done with a copy. */
export interface DeliveredCopy {
  /** As people name it. */
  place: string;
  /** It held something else than the current credential, and was put right. */
  written: boolean;
  /** Since when it had held that something else; else, since when it holds the credential. Epoch milliseconds. */
  since: number;
}

/**
 * Writes the current credential to every place that keeps a copy and holds something else. One or two calls for each.
 * @throws Error naming the place, never the value; and what the SDK throws.
 */
export async function deliver(
  { secretArn, copies }: CredentialRotationSettings,
  clients: CopyClients,
): Promise<DeliveredCopy[]> {
  if (copies.length === 0) return [];
  const { secret } = await currentSecret(clients.secretsManager, secretArn);
  const delivered: DeliveredCopy[] = [];
  for (const copy of copies) {
    const place = placeOf(copy);
    const found = await readCopy(copy, clients);
    if (found.kind === 'missing')
      throw new Error(
        `The ${place} does not exist. Make it, with any value: the next run writes the credential there.`,
      );
    const content = contentOf(copy, secret);
    const written = found.value !== content;
    if (written)
      await write(found, content, clients).catch((error) => {
        throw refusedWrite(error, copy, secret);
      });
    delivered.push({ place, written, since: found.writtenAt });
  }
  return delivered;
}

async function write(
  found: Exclude<FoundCopy, { kind: 'missing' }>,
  content: string,
  { secretsManager, ssm }: CopyClients,
): Promise<void> {
  if (found.kind === 'parameter') {
    const { name, type, keyId } = found;
    await ssm.send(
      new PutParameterCommand({
        Name: name,
        Value: content,
        Overwrite: true,
        ...(type && { Type: type }),
        ...(type === 'SecureString' && keyId !== undefined && { KeyId: keyId }),
      }),
    );
    return;
  }
  const { secretArn, key, text } = found;
  await secretsManager.send(
    new PutSecretValueCommand({
      SecretId: secretArn,
      SecretString: withMembers(text, new Map([[key, content]])),
    }),
  );
}
