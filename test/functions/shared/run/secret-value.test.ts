import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { currentSecret } from '../../../../functions/shared/database/credential/stored-secret.ts';
import { readSecretValue, SecretArnIncomplete } from '../../../../functions/shared/run/secret-value.ts';
import { ACCOUNT, deploy, REGION } from '../../../rehearsal/aws/deploy.ts';

const SECRETS = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:`;

/** By Secrets Manager's API reference (GetSecretValue, SecretId) and its guide on permissions. */
test("a secret's ARN without its six characters is told by Secrets Manager's own answer, with the whole one", () =>
  deploy(
    (stack) => new Topic(stack, 'Alarms'),
    async ({ aws, client }) => {
      aws.secrets.put(`${SECRETS}whatsapp/database-a1B2c3`, '{"username":"whatsapp","password":"Secret-17"}');
      aws.secrets.put(`${SECRETS}whatsapp-master-d4E5f6`, '{"username":"whatsapp","password":"Secret-17"}');
      const secrets = new SecretsManagerClient(client());
      const SecretId = `${SECRETS}whatsapp/database`;
      await assert.rejects(readSecretValue(secrets, { SecretId }), (error) => {
        assert.ok(error instanceof SecretArnIncomplete);
        assert.match(error.message, /database lacks the hyphen and six characters.*database-a1B2c3\. Put/);
        return true;
      });
      // It may be written by it nonetheless, and read by its name.
      await secrets.send(new PutSecretValueCommand({ SecretId, SecretString: 'other' }));
      const { SecretString } = await readSecretValue(secrets, { SecretId: 'whatsapp/database' });
      assert.equal(SecretString, 'other');

      // What a role may do names the ARN as it was configured, and Secrets Manager asks for the whole one.
      const role = new SecretsManagerClient(
        client({ Effect: 'Allow', Action: 'secretsmanager:*', Resource: SecretId }),
      );
      await assert.rejects(readSecretValue(role, { SecretId }), /on resource: \S*database-a1B2c3 because/);

      // Of a name that ends as such an ARN does, these are taken for the six characters.
      const looksWhole = `${SECRETS}whatsapp-master`;
      await assert.rejects(
        readSecretValue(secrets, { SecretId: looksWhole }),
        /^ResourceNotFoundException: There is no secret \S*whatsapp-master\. .*aws secretsmanager describe-secret --secret-id whatsapp-master$/,
      );
      await assert.rejects(
        currentSecret(secrets, looksWhole),
        /^SecretInvalid: .*whatsapp-master does not exist or has no value.*a part of the secret's name/,
      );
      assert.equal(
        (await currentSecret(secrets, `${SECRETS}whatsapp-master-d4E5f6`)).secret.username,
        'whatsapp',
      );
      role.destroy();
      secrets.destroy();
    },
  ));
