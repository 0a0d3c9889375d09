import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  GetSecretValueCommand,
  ListSecretsCommand,
  PutSecretValueCommand,
  ResourceNotFoundException,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import {
  GetTopicAttributesCommand,
  ListTopicsCommand,
  NotFoundException,
  PublishCommand,
  SNSClient,
} from '@aws-sdk/client-sns';
import type { Stack } from 'aws-cdk-lib';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { ACCOUNT, deploy, MINUTE, REGION } from './deploy.ts';

const ELSEWHERE = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:webapp/admin-AbCdEf`;

function define(stack: Stack): void {
  new Topic(stack, 'Alarms', { topicName: 'alarms', displayName: 'Rings & <things>' });
  new Secret(stack, 'Login', {
    secretName: 'login',
    generateSecretString: { secretStringTemplate: '{"username":"u"}', generateStringKey: 'password' },
  });
}

test('keeps secrets of the templates and those that only a configuration names', () =>
  deploy(define, async ({ aws, client }) => {
    const secrets = new SecretsManagerClient(client());
    aws.secrets.put(ELSEWHERE, '{"username":"admin"}');
    for (const SecretId of [ELSEWHERE, 'webapp/admin', ELSEWHERE.slice(0, -7)]) {
      const { SecretString, ARN } = await secrets.send(new GetSecretValueCommand({ SecretId }));
      assert.deepEqual([SecretString, ARN], ['{"username":"admin"}', ELSEWHERE]);
    }
    const { SecretString = '{}' } = await secrets.send(new GetSecretValueCommand({ SecretId: 'login' }));
    assert.deepEqual(Object.keys(JSON.parse(SecretString)), ['username', 'password']);
    await secrets.send(new PutSecretValueCommand({ SecretId: 'login', SecretString: 'new' }));
    const previous = await secrets.send(
      new GetSecretValueCommand({ SecretId: 'login', VersionStage: 'AWSPREVIOUS' }),
    );
    assert.equal(previous.SecretString, SecretString);
    assert.equal((await secrets.send(new ListSecretsCommand({}))).SecretList?.length, 2);
    await assert.rejects(
      secrets.send(new GetSecretValueCommand({ SecretId: 'none' })),
      ResourceNotFoundException,
    );
    secrets.destroy();
  }));

test('refuses an operation that the policy does not allow, by name and resource, and notes it', () =>
  deploy(define, async ({ aws, client }) => {
    aws.secrets.put(ELSEWHERE, 'x');
    const secrets = new SecretsManagerClient(
      client({ Effect: 'Allow', Action: 'secretsmanager:ListSecrets', Resource: '*' }),
    );
    await assert.rejects(
      secrets.send(new GetSecretValueCommand({ SecretId: ELSEWHERE })),
      (error) =>
        error instanceof Error &&
        error.name === 'AccessDeniedException' &&
        error.message ===
          `User: arn:aws:iam::${ACCOUNT}:user/tester is not authorized to perform: secretsmanager:GetSecretValue on resource: ${ELSEWHERE} because no identity-based policy allows the secretsmanager:GetSecretValue action`,
    );
    assert.deepEqual(
      aws.calls.map(({ action, allowed }) => [action, allowed]),
      [['secretsmanager:GetSecretValue', false]],
    );
    secrets.destroy();
  }));

test('refuses credentials that it has not issued', () =>
  deploy(define, async ({ client }) => {
    const options = client();
    for (const credentials of [
      { ...options.credentials, accessKeyId: 'AKIAIOSFODNN7EXAMPLE' },
      { ...options.credentials, sessionToken: 'another' },
    ]) {
      const secrets = new SecretsManagerClient({ ...options, credentials });
      await assert.rejects(
        secrets.send(new ListSecretsCommand({})),
        /security token included in the request is invalid/,
      );
      secrets.destroy();
    }
  }));

test('refuses a request that was signed by a wrong secret key, or changed on its way', () =>
  deploy(define, async ({ client }) => {
    const options = client();
    const wrong = { ...options.credentials, secretAccessKey: 'another' };
    const secrets = new SecretsManagerClient({ ...options, credentials: wrong });
    const refused = { name: 'InvalidSignatureException', message: /signature we calculated does not match/ };
    await assert.rejects(secrets.send(new ListSecretsCommand({})), refused);
    secrets.destroy();
    const changed = new SecretsManagerClient(options);
    changed.middlewareStack.add(
      (next) => (call) => next({ ...call, request: withBody(call.request, '{ }') }),
      {
        step: 'finalizeRequest',
        priority: 'low',
      },
    );
    await assert.rejects(changed.send(new ListSecretsCommand({})), refused);
    changed.destroy();
  }));

test('refuses a request of another time, after which the SDK corrects its clock', () =>
  deploy(
    define,
    async ({ client }) => {
      const late = { ...client(), systemClockOffset: -20 * MINUTE };
      const once = new SecretsManagerClient(late);
      await assert.rejects(once.send(new ListSecretsCommand({})), /Signature expired: \d{8}T\d{6}Z is now/);
      await once.send(new ListSecretsCommand({}));
      once.destroy();
      const again = new SecretsManagerClient({ ...late, maxAttempts: 2 });
      await again.send(new ListSecretsCommand({}));
      again.destroy();
    },
    { start: 'now' },
  ));

function withBody(request: unknown, body: string): unknown {
  assert.ok(typeof request === 'object' && request !== null && 'headers' in request);
  const { headers } = request;
  return Object.assign(request, {
    body,
    headers: { ...Object(headers), 'content-length': String(body.length) },
  });
}

test('speaks the query protocol with SNS', () =>
  deploy(define, async ({ aws, client }) => {
    const sns = new SNSClient(client());
    const { Topics: [topic] = [] } = await sns.send(new ListTopicsCommand({}));
    const TopicArn = topic?.TopicArn;
    assert.equal(TopicArn, `arn:aws:sns:${REGION}:${ACCOUNT}:alarms`);
    const { Attributes } = await sns.send(new GetTopicAttributesCommand({ TopicArn }));
    assert.equal(Attributes?.DisplayName, 'Rings & <things>');
    await sns.send(new PublishCommand({ TopicArn, Subject: 's', Message: 'a & b' }));
    assert.deepEqual(
      aws.notifications.map(({ subject, message }) => [subject, message]),
      [['s', 'a & b']],
    );
    await assert.rejects(
      sns.send(new GetTopicAttributesCommand({ TopicArn: `${TopicArn}x` })),
      NotFoundException,
    );
    sns.destroy();
  }));

test('an interceptor fails a call, loses it, or lets it be', () =>
  deploy(define, async ({ aws, client }) => {
    const secrets = new SecretsManagerClient(client());
    const list = () => secrets.send(new ListSecretsCommand({}));
    const stop = aws.onCall(({ operation }) =>
      operation === 'ListSecrets' ? new Error('out of order') : undefined,
    );
    await assert.rejects(list(), /out of order/);
    stop();
    const stopLosing = aws.onCall(() => 'drop');
    await assert.rejects(list(), /socket hang up|ECONNRESET/);
    stopLosing();
    assert.ok(await list());
    secrets.destroy();
  }));

test('an operation that the stand-in lacks is an error, not an answer', () =>
  deploy(define, async ({ client }) => {
    const { DeleteSecretCommand } = await import('@aws-sdk/client-secrets-manager');
    const secrets = new SecretsManagerClient(client());
    await assert.rejects(
      secrets.send(new DeleteSecretCommand({ SecretId: 'login' })),
      /stand-in has no secretsmanager:DeleteSecret/,
    );
    secrets.destroy();
  }));
