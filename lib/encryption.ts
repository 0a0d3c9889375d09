import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import { type IQueue, Queue, QueueEncryption, type QueueProps } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';

/** A key for everything that a deployment's upkeep stores. */
export function createEncryptionKey(scope: Construct, id: string, deployment: string): Key {
  return new Key(scope, id, {
    description: `Queues, logs and alarms of the upkeep of ${deployment}`,
    enableKeyRotation: true,
    // What it encrypts goes with the stack; KMS keeps the key for another 30 days.
    removalPolicy: RemovalPolicy.DESTROY,
  });
}

/**
 * Lets the AWS services that produce into the deployment's queues and logs use the key. Without these they drop
 * what they should deliver and show nothing of it.
 * Of no effect on an imported key, whose own policy must then say the same.
 */
export function letServicesEncrypt(key: IKey, deployment: string): void {
  const { partition, region, account } = Stack.of(key);
  key.addToResourcePolicy(
    new PolicyStatement({
      sid: 'RulesReachTheQueues',
      // Of the source nothing: EventBridge's request to KMS carries neither source account nor source ARN
      // (EventBridge user guide, troubleshooting). Which rule may send is said by each queue's own policy; SQS names the
      // queue to KMS (SQS developer guide, key management).
      principals: [new ServicePrincipal('events.amazonaws.com')],
      actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
      resources: ['*'],
      conditions: {
        ArnLike: {
          'kms:EncryptionContext:aws:sqs:arn': `arn:${partition}:sqs:${region}:${account}:${deployment}-*`,
        },
      },
    }),
  );
  const functions = `arn:${partition}:lambda:${region}:${account}:function:${deployment}-*`;
  key.addToResourcePolicy(
    new PolicyStatement({
      // Lambda encrypts what is on record of durable executions in its own name (Developer Guide, "Encrypting AWS Lambda
      // durable execution data", read November 2026).
      sid: `RunsOf${deployment.replaceAll('-', '')}`,
      principals: [new ServicePrincipal('lambda.amazonaws.com')],
      actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
      resources: ['*'],
      conditions: {
        StringEquals: { 'aws:SourceAccount': account },
        ArnLike: { 'aws:SourceArn': functions, 'kms:EncryptionContext:aws:lambda:FunctionArn': functions },
      },
    }),
  );
  key.addToResourcePolicy(
    new PolicyStatement({
      sid: `LogsOf${deployment.replaceAll('-', '')}`,
      principals: [new ServicePrincipal(`logs.${region}.amazonaws.com`)],
      actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:Describe*'],
      resources: ['*'],
      conditions: {
        ArnLike: {
          'kms:EncryptionContext:aws:logs:arn': `arn:${partition}:logs:${region}:${account}:log-group:/aws/lambda/${deployment}-*`,
        },
      },
    }),
  );
}

/** Of a key of Secrets Manager's: only through that service, and only for that secret. */
export function ofSecret(
  scope: Construct,
  secretArn: string,
): Record<string, Record<string, string | string[]>> {
  return keyUse(scope, 'secretsmanager', 'SecretARN', secretArn);
}

/** Of a queue's key: only through SQS, and only for that queue. */
export function ofQueue(
  scope: Construct,
  queueArn: string,
): Record<string, Record<string, string | string[]>> {
  return keyUse(scope, 'sqs', 'aws:sqs:arn', queueArn);
}

/** Of a key: only through a service, and only for what that names in its requests to KMS. */
export function keyUse(
  scope: Construct,
  service: string,
  context: string,
  ...arns: [string, ...string[]]
): Record<string, Record<string, string | string[]>> {
  const [arn, ...others] = arns;
  return {
    StringEquals: {
      'kms:ViaService': `${service}.${Stack.of(scope).region}.amazonaws.com`,
      [`kms:EncryptionContext:${context}`]: others.length > 0 ? arns : arn,
    },
  };
}

/** A queue that takes TLS only, encrypted with the key, or by SQS itself where there is none. */
export function encryptedQueue(
  scope: Construct,
  id: string,
  { encryptionKey, ...props }: QueueProps & { encryptionKey: IKey | undefined },
): Queue {
  return new Queue(scope, id, {
    ...props,
    enforceSSL: true,
    ...(encryptionKey
      ? { encryption: QueueEncryption.KMS, encryptionMasterKey: encryptionKey }
      : { encryption: QueueEncryption.SQS_MANAGED }),
  });
}

/** Lets rules send to a queue, as the target's events or as the dead letters of other targets. */
export function letRulesSend(queue: IQueue, sid: string, ruleArns: string[]): void {
  queue.addToResourcePolicy(
    new PolicyStatement({
      sid,
      principals: [new ServicePrincipal('events.amazonaws.com')],
      actions: ['sqs:SendMessage'],
      resources: [queue.queueArn],
      conditions: { ArnEquals: { 'aws:SourceArn': ruleArns } },
    }),
  );
}
