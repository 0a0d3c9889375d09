import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { ParameterAlreadyExists, PutParameterCommand } from '@aws-sdk/client-ssm';
import { type CopyClients, placeOf, refusedWrite } from '../shared/database/credential/copies.ts';
import { contentOf } from '../shared/database/credential/copy-template.ts';
import { currentSecret } from '../shared/database/credential/stored-secret.ts';
import { readSecretValue } from '../shared/run/secret-value.ts';
import type { CredentialRotationSettings } from './contract.ts';

/**
 * Tries whether every copy may be written, without a change: Parameter Store refuses to make a parameter that exists, and
 * Secrets Manager takes a version's own value again for nothing, but both only of one who may. What the keys allow is not
 * tried by that of a parameter.
 * @returns for each that may not be: where, and what AWS says
 */
export async function tryCopies(
  { secretArn, copies }: CredentialRotationSettings,
  clients: CopyClients,
): Promise<{ place: string; reason: string }[]> {
  if (copies.length === 0) return [];
  const { secret } = await currentSecret(clients.secretsManager, secretArn);
  const refused: { place: string; reason: string }[] = [];
  for (const copy of copies) {
    try {
      if (copy.kind === 'parameter')
        // Its content is what it holds: should somebody delete it in this moment, it is made as it was.
        await tryParameter(clients, copy.name, contentOf(copy, secret));
      else await trySecret(clients, copy.secretArn);
    } catch (error) {
      refused.push({
        place: placeOf(copy),
        reason: refusedWrite(error, copy, secret).message,
      });
    }
  }
  return refused;
}

async function tryParameter({ ssm }: CopyClients, name: string, content: string): Promise<void> {
  try {
    await ssm.send(
      new PutParameterCommand({ Name: name, Value: content, Type: 'SecureString', Overwrite: false }),
    );
  } catch (error) {
    if (!(error instanceof ParameterAlreadyExists)) throw error;
  }
}

async function trySecret({ secretsManager }: CopyClients, arn: string): Promise<void> {
  const { SecretString, VersionId } = await readSecretValue(secretsManager, { SecretId: arn });
  if (SecretString === undefined || VersionId === undefined) return;
  await secretsManager.send(
    new PutSecretValueCommand({ SecretId: arn, ClientRequestToken: VersionId, SecretString }),
  );
}
