import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetParameterCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import type { CredentialRotationSettings } from '../../../functions/credential-rotation/contract.ts';
import { deliver } from '../../../functions/credential-rotation/deliver.ts';
import { tryCopies } from '../../../functions/credential-rotation/try-copies.ts';

const LOGIN = { username: 'wa', password: 'Pw1-{{not a parameter}}' };

class Secrets extends SecretsManagerClient {
  override send = async (command: unknown) => {
    assert.ok(command instanceof GetSecretValueCommand);
    return { SecretString: JSON.stringify(LOGIN), VersionId: 'any' };
  };
}

/** Parameter Store, which refuses what it is given. */
class Ssm extends SSMClient {
  says = (_value: string) => '';

  override send = async (command: unknown) => {
    if (command instanceof GetParameterCommand) return { Parameter: { Value: 'something else' } };
    assert.ok(command instanceof PutParameterCommand);
    throw Object.assign(new Error(this.says(command.input.Value ?? '')), { name: 'ValidationException' });
  };
}

test('a refusal of AWS that quotes the value is told without it, and another one in its words', async () => {
  const ssm = new Ssm({ region: 'eu-central-1' });
  const clients = { secretsManager: new Secrets({ region: 'eu-central-1' }), ssm };
  const [raw, url] = [{}, { template: 'mysql://{username}:{password}@db', encoding: 'url' as const }].map(
    (template) =>
      ({
        secretArn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:shop-AbCdEf',
        copies: [{ kind: 'parameter', name: 'shop', ...template }],
      }) as unknown as CredentialRotationSettings,
  );
  for (const settings of [raw, url]) {
    assert.ok(settings);
    const told = async () => [
      await deliver(settings, clients).then(
        () => '',
        (error: Error) => `${error.message} ${error.stack}`,
      ),
      JSON.stringify(await tryCopies(settings, clients)),
    ];
    ssm.says = (value) => `A value can't name another parameter: ${value}`;
    for (const text of await told()) {
      assert.match(text, /refused to write the parameter shop \(ValidationException\)/);
      assert.doesNotMatch(text, /not.{0,3}a.{0,3}parameter/);
    }
    ssm.says = () => 'The key is disabled.';
    for (const text of await told()) assert.match(text, /The key is disabled/);
  }
});
