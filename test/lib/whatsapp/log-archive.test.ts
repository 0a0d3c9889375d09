import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Duration, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { type LogArchiveProps, Upkeep } from '../../../lib/index.ts';
import { cleanClient } from '../../rehearsal/cleaned-client.ts';
import { appWithoutBundles } from '../template.ts';

const KEY = 'arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab';

function stackWith(archive: (stack: Stack) => LogArchiveProps): Template {
  const env = { account: '123456789012', region: 'eu-central-1' };
  const stack = new Stack(appWithoutBundles(), 'test', { env });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Europe/Paris',
    window: { from: '01:00', to: '05:00' },
  });
  cleanClient(stack, upkeep, { archive: archive(stack) });
  return Template.fromStack(stack);
}

const statement = (Sid: string, of: object) => ({
  PolicyDocument: { Statement: Match.arrayWith([Match.objectLike({ Sid, ...of })]) },
});

test('the bucket that is made is encrypted, closed, kept when the stack goes, and empties itself', () => {
  const template = stackWith(() => ({ keepFor: Duration.days(30) }));
  template.hasResource('AWS::S3::Bucket', {
    DeletionPolicy: 'Retain',
    Properties: {
      BucketName: Match.absent(),
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
      },
      PublicAccessBlockConfiguration: { BlockPublicAcls: true, RestrictPublicBuckets: true },
      LifecycleConfiguration: { Rules: [Match.objectLike({ ExpirationInDays: 30, Status: 'Enabled' })] },
    },
  });
  template.hasResourceProperties('AWS::S3::BucketPolicy', {
    PolicyDocument: {
      Statement: [
        Match.objectLike({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
      ],
    },
  });
});

test('the function may put new objects under its deployment, by the key of a bucket that is there, and nothing else', () => {
  const template = stackWith((stack) => ({
    bucket: Bucket.fromBucketAttributes(stack, 'Ours', {
      bucketName: 'logs-of-ours',
      encryptionKey: Key.fromKeyArn(stack, 'Key', KEY),
    }),
  }));
  template.resourceCountIs('AWS::S3::Bucket', 0);
  const objects = { 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':s3:::logs-of-ours/shop/*']] };
  const bucket = { 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':s3:::logs-of-ours']] };
  template.hasResourceProperties(
    'AWS::IAM::Policy',
    statement('KeepLogs', {
      Action: 's3:PutObject',
      Resource: objects,
      Condition: { Null: { 's3:if-none-match': 'false' } },
    }),
  );
  template.hasResourceProperties(
    'AWS::IAM::Policy',
    statement('EncryptKeptLogs', {
      Action: 'kms:GenerateDataKey',
      Resource: KEY,
      Condition: {
        StringEquals: { 'kms:ViaService': 's3.eu-central-1.amazonaws.com' },
        StringLike: { 'kms:EncryptionContext:aws:s3:arn': [bucket, objects] },
      },
    }),
  );
  assert.doesNotMatch(JSON.stringify(template.toJSON()), /s3:(Get|List|Delete)/);
});

test('how long a bucket keeps logs that is there already, is not said here', () => {
  assert.throws(
    () =>
      stackWith((stack) => ({
        bucket: Bucket.fromBucketName(stack, 'Ours', 'logs-of-ours'),
        keepFor: Duration.days(30),
      })),
    /archive\.keepFor is said of a bucket that is there already/,
  );
});
