import { CfnOutput, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, type IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import * as v from 'valibot';
import { acceptFinding } from '../accept-finding.ts';
import { field } from '../checks/fields.ts';
import type { Finding } from '../checks/mistakes.ts';
import { duration } from '../checks/props.ts';
import type { Upkeep } from '../upkeep.ts';
import type { UpkeepFunction } from '../upkeep-function.ts';
import type { Deployment } from './configuration/checks.ts';

/** Where rotated logs are kept before they are cleaned. */
export interface LogArchiveProps {
  /**
   * In the region of the stack. Its key, if it has one, must be known (`Bucket.fromBucketAttributes`), and let the function's role use it.
   * How long it keeps what is in it is its own matter.
   * @default one is made: encrypted, closed to the public, and left in place when the stack goes
   */
  readonly bucket?: IBucket;
  /** How long the bucket that is made keeps a log. In days. @default 365 days */
  readonly keepFor?: Duration;
}

const DEFAULT_KEEP_FOR = Duration.days(365);
/** S3 counts in days; an upload that was broken off is nobody's after this. */
const BROKEN_UPLOADS = Duration.days(7);

export const LOG_ARCHIVE = field(
  v.looseObject({ keepFor: v.optional(duration(Duration.days(1), Duration.days(3650))) }),
  'an object, {} for a bucket of its own',
  'Where rotated logs are kept.',
);

/** What no single property can say. */
export function logArchiveFindings(archive: LogArchiveProps | undefined): Finding[] {
  return archive?.bucket && archive.keepFor
    ? [
        {
          field: ['archive', 'keepFor'],
          problem: 'is said of a bucket that is there already; set it in the lifecycle rules of that bucket.',
        },
      ]
    : [];
}

/** What a configuration says of it. */
export function configuredArchive(
  scope: Construct,
  {
    bucketName,
    bucketKeyArn,
    keepDays,
  }: NonNullable<NonNullable<Deployment['jobs']['logCleanup']>['archive']>,
): LogArchiveProps {
  return {
    ...(keepDays && { keepFor: Duration.days(keepDays) }),
    ...(bucketName && {
      bucket: Bucket.fromBucketAttributes(scope, 'LogBucket', {
        bucketName,
        ...(bucketKeyArn && { encryptionKey: Key.fromKeyArn(scope, 'LogBucketKey', bucketKeyArn) }),
      }),
    }),
  };
}

/** A bucket for rotated logs, and what a function needs to put some into it. */
export class LogArchive extends Construct {
  /** The bucket. */
  readonly bucket: IBucket;

  constructor(scope: Construct, id: string, { deployment, encryptionKey }: Upkeep, props: LogArchiveProps) {
    super(scope, id);
    this.bucket = props.bucket ?? this.createBucket(encryptionKey, props.keepFor ?? DEFAULT_KEEP_FOR);
    new CfnOutput(this, 'Bucket', {
      value: this.bucket.bucketName,
      description: `Rotated logs of ${deployment}`,
    });
  }

  /** Lets a function put new objects under the deployment's name, and nothing else: neither read, nor replace, nor delete. */
  letKeep(upkeepFunction: UpkeepFunction, deployment: string): void {
    const objects = this.bucket.arnForObjects(`${deployment}/*`);
    // Without the condition whoever has an address, or the role, could write over what is there (S3 user guide, "Enforce
    // conditional writes").
    upkeepFunction.allow('KeepLogs', ['s3:PutObject'], [objects], {
      Null: { 's3:if-none-match': 'false' },
    });
    upkeepFunction.acceptWildcard(
      objects,
      'Which logs there will be is not known before: they are those of the deployment.',
    );
    const { encryptionKey, bucketArn } = this.bucket;
    if (!encryptionKey) return;
    upkeepFunction.allow('EncryptKeptLogs', ['kms:GenerateDataKey'], [encryptionKey.keyArn], {
      StringEquals: { 'kms:ViaService': `s3.${Stack.of(this).region}.amazonaws.com` },
      // With a bucket key S3 names the bucket to KMS, and else the object (S3 user guide, "bucket keys").
      StringLike: { 'kms:EncryptionContext:aws:s3:arn': [bucketArn, objects] },
    });
  }

  private createBucket(encryptionKey: Upkeep['encryptionKey'], keepFor: Duration): IBucket {
    const bucket = new Bucket(this, 'Logs', {
      ...(encryptionKey
        ? { encryption: BucketEncryption.KMS, encryptionKey, bucketKeyEnabled: true }
        : { encryption: BucketEncryption.S3_MANAGED }),
      enforceSSL: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      lifecycleRules: [{ expiration: keepFor, abortIncompleteMultipartUploadAfter: BROKEN_UPLOADS }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    acceptFinding(bucket, {
      id: 'AwsSolutions-S1',
      reason:
        'Who reads it is seen in CloudTrail where data events are on; a log of its own would be a second bucket.',
    });
    // Its optional properties may be undefined, which those of its own interface may not.
    return bucket as IBucket;
  }
}
