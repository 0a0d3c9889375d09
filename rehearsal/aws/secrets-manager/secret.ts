import { randomBytes } from 'node:crypto';
import type { ListSecretsCommandInput } from '@aws-sdk/client-secrets-manager';
import { AwsError } from '../aws-error.ts';
import { pageOf } from '../page-of.ts';
import type { Place } from '../place.ts';

/** A value of a secret, and the staging labels on it. */
export interface Version {
  id: string;
  /** None yet, in a rotation that has only begun. */
  value: string | undefined;
  stages: Set<string>;
  created: number;
}

export interface Secret {
  arn: string;
  name: string;
  keyId: string | undefined;
  versions: Version[];
  rotationFunctionArn: string | undefined;
  /** What the rotation function proves its right with, while a rotation goes on. */
  rotationToken: string | undefined;
  rotatedAt: number | undefined;
  /** In other regions. */
  replicas: { region: string; status: 'InSync' | 'InProgress' | 'Failed' }[];
  changedAt: number;
  /** Somebody had it deleted, which takes days. */
  deletedAt?: number;
}

/** How a rotation, or the test of one, ended. */
export interface RotationEnd {
  /** Epoch milliseconds on the rehearsal's clock. */
  time: number;
  secretArn: string;
  versionId: string;
  /** Undefined: it succeeded. */
  error: string | undefined;
  /** It only tested the rotation function, as it was given to the secret. */
  isTest?: true;
}

/** The version that a label is on. */
export function labelled(secret: Secret, stage: string): Version | undefined {
  return secret.versions.find(({ stages }) => stages.has(stage));
}

/** Moves a label. With AWSCURRENT goes AWSPREVIOUS. */
export function label(secret: Secret, to: Version, stage: string): void {
  const before = labelled(secret, stage);
  if (before === to) return;
  before?.stages.delete(stage);
  to.stages.add(stage);
  if (stage === 'AWSCURRENT' && before !== undefined) label(secret, before, 'AWSPREVIOUS');
}

/** As ListSecretVersionIds gives them: those without a label are deprecated and not shown. */
export function listedVersions({ arn, name, versions }: Secret) {
  return {
    ARN: arn,
    Name: name,
    Versions: versions
      .filter(({ stages }) => stages.size > 0)
      .map(({ id, stages, created }) => ({
        VersionId: id,
        VersionStages: [...stages],
        CreatedDate: new Date(created),
      })),
  };
}

/** Without the six characters at the ARN's end. */
export function nameOf(arn: string): string {
  return arn.replace(/^.*:secret:/, '').replace(/-[^-]*$/, '');
}

/** Listed on a page, at most (Secrets Manager API reference). */
const LISTED_PER_PAGE = 100;

/** As ListSecrets gives them. */
export function listed(
  all: Secret[],
  { NextToken, MaxResults = LISTED_PER_PAGE, Filters }: ListSecretsCommandInput,
  { account, region }: Place,
) {
  if (Filters?.length)
    throw new AwsError('InvalidParameterException', "the rehearsal's stand-in lists all secrets");
  const own = all.filter(({ arn }) => arn.startsWith(`arn:aws:secretsmanager:${region}:${account}:`));
  const { items, next } = pageOf(own, NextToken, MaxResults);
  return {
    SecretList: items.map(({ arn, name, keyId }) => ({
      ARN: arn,
      Name: name,
      ...(keyId !== undefined && { KmsKeyId: keyId }),
    })),
    NextToken: next,
  };
}

/** A value, as `GenerateSecretString` wants it. */
export function generate(options: Record<string, unknown>): string {
  const length = typeof options.PasswordLength === 'number' ? options.PasswordLength : 32;
  const password = randomBytes(length).toString('base64url').slice(0, length);
  if (typeof options.SecretStringTemplate !== 'string') return password;
  return JSON.stringify({
    ...JSON.parse(options.SecretStringTemplate),
    [String(options.GenerateStringKey)]: password,
  });
}

/** As DescribeSecret gives it. */
export function described(secret: Secret) {
  const { arn, name, keyId, rotationFunctionArn, rotatedAt, changedAt, versions } = secret;
  return {
    ARN: arn,
    Name: name,
    ...(keyId !== undefined && { KmsKeyId: keyId }),
    RotationEnabled: rotationFunctionArn !== undefined,
    ...(rotationFunctionArn !== undefined && { RotationLambdaARN: rotationFunctionArn }),
    ...(rotatedAt !== undefined && { LastRotatedDate: new Date(rotatedAt) }),
    ...(secret.replicas.length > 0 && {
      ReplicationStatus: secret.replicas.map(({ region, status }) => ({ Region: region, Status: status })),
    }),
    LastChangedDate: new Date(changedAt),
    ...(secret.deletedAt !== undefined && { DeletedDate: new Date(secret.deletedAt) }),
    // Versions without a label are deprecated and not shown.
    VersionIdsToStages: Object.fromEntries(
      versions.filter(({ stages }) => stages.size > 0).map(({ id, stages }) => [id, [...stages]]),
    ),
  };
}
