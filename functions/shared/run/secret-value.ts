import {
  GetSecretValueCommand,
  type GetSecretValueCommandInput,
  type GetSecretValueCommandOutput,
  ResourceNotFoundException,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';

/** Secrets Manager answered for another ARN than the one that was asked for. */
export class SecretArnIncomplete extends Error {
  override readonly name = 'SecretArnIncomplete';
}

/**
 * Reads a secret's value: one call. Secrets Manager puts a hyphen and six characters behind a secret's name, and takes an
 * ARN without them too; policies do not, and neither does it take one whose name ends just so.
 * @throws SecretArnIncomplete, and what the SDK throws: that there is no such secret with the ARN and what to look at.
 */
export async function readSecretValue(
  client: SecretsManagerClient,
  input: GetSecretValueCommandInput,
): Promise<GetSecretValueCommandOutput> {
  const { SecretId: asked = '' } = input;
  try {
    const answer = await client.send(new GetSecretValueCommand(input));
    if (asked.startsWith('arn:') && answer.ARN !== undefined && answer.ARN !== asked)
      throw new SecretArnIncomplete(
        `The ARN ${asked} lacks the hyphen and six characters at its end: Secrets Manager answers for ${answer.ARN}. Put this one into the configuration and deploy.`,
      );
    return answer;
  } catch (error) {
    if (isNoSecret(error)) error.message = `There is no secret ${asked}. ${lookUp(asked)}`;
    throw error;
  }
}

/** Whether there is no such secret at all; of a version that is not there Secrets Manager speaks of a secret value. */
function isNoSecret(error: unknown): error is ResourceNotFoundException {
  return error instanceof ResourceNotFoundException && !/secret value/.test(error.message);
}

function lookUp(asked: string): string {
  const name = asked.replace(/^.*:secret:/, '');
  return `Was it deleted, or are the ARN's last six characters a part of the secret's name, with those that Secrets Manager adds behind it missing? Its whole ARN is told by: aws secretsmanager describe-secret --secret-id ${name}`;
}
