import { type Duration, Stack, Token } from 'aws-cdk-lib';
import type { CredentialCopy } from '../../functions/shared/database/credential/copies.ts';
import type { SecretField } from '../../functions/shared/database/credential/secret.ts';
import { keyUse, ofSecret } from '../encryption.ts';
import type { UpkeepFunction } from '../upkeep-function.ts';

/** A copy, with what a function must be allowed for it. */
export type RotatedCopy = CredentialCopy & {
  /** Of the KMS key that encrypts it, if that is one of one's own. @default the account's own key, which needs no permission */
  readonly keyArn?: string;
};

/** A credential that is rotated, with where it is kept. */
export interface RotatedCredential {
  /** The secret that is rotated. */
  readonly secretArn: string;
  /** The KMS key of the secret. @default the account's own key for Secrets Manager, which needs no permission */
  readonly secretKeyArn?: string;
  /** Where it is kept besides the secret. */
  readonly copies: readonly RotatedCopy[];
  /** Of a run that rotates it and delivers to the copies. */
  readonly timeLimit: Duration;
}

/** The copies as a function's settings name them. */
export function copySettings(copies: readonly RotatedCopy[]): CredentialCopy[] {
  return copies.map(({ keyArn: _, ...copy }) => copy);
}

/** Copies elsewhere, which a run delivers, and those in the rotated secret itself, which a new version of it brings. */
export function ownFields(
  secretArn: string,
  copies: readonly RotatedCopy[],
): [elsewhere: RotatedCopy[], fields: SecretField[]] {
  const isOwn = (copy: RotatedCopy) => copy.kind === 'secret' && copy.secretArn === secretArn;
  const fields = copies.flatMap((copy) => {
    if (copy.kind !== 'secret' || !isOwn(copy)) return [];
    const { key, template, encoding } = copy;
    return [{ key, ...(template && { template }), ...(encoding && { encoding }) }];
  });
  return [copies.filter((copy) => !isOwn(copy)), fields];
}

/** Lets a function read the copies. */
export function letReadCopies(reader: UpkeepFunction, copies: readonly RotatedCopy[]): void {
  for (const [index, copy] of copies.entries()) {
    const { arns, read, context } = accessTo(reader, copy);
    reader.allow(`ReadCopy${index}`, [read], arns);
    if (copy.keyArn) reader.allow(`DecryptCopy${index}`, ['kms:Decrypt'], [copy.keyArn], context);
  }
}

/** Lets a function read and write the copies. */
export function letWriteCopies(writer: UpkeepFunction, copies: readonly RotatedCopy[]): void {
  for (const [index, copy] of copies.entries()) {
    const { arns, read, write, encrypt, context } = accessTo(writer, copy);
    writer.allow(`WriteCopy${index}`, [read, write], arns);
    if (copy.keyArn) writer.allow(`EncryptCopy${index}`, ['kms:Decrypt', ...encrypt], [copy.keyArn], context);
  }
}

function accessTo(scope: UpkeepFunction, copy: RotatedCopy) {
  if (copy.kind === 'secret')
    return {
      arns: [copy.secretArn],
      read: 'secretsmanager:GetSecretValue',
      write: 'secretsmanager:PutSecretValue',
      encrypt: ['kms:GenerateDataKey'],
      context: ofSecret(scope, copy.secretArn),
    };
  const { partition, region, account } = Stack.of(scope);
  const root = `arn:${partition}:ssm:${region}:${account}:parameter`;
  const arns: [string, ...string[]] = Token.isUnresolved(copy.name)
    ? // Whether what it will be begins with a slash is not known: one of the two is of nothing.
      [`${root}${copy.name}`, `${root}/${copy.name}`]
    : [`${root}/${copy.name.replace(/^\//, '')}`];
  return {
    arns,
    read: 'ssm:GetParameter',
    write: 'ssm:PutParameter',
    // Systems Manager encrypts a parameter of the standard tier itself, one of the advanced tier with a data key.
    encrypt: ['kms:Encrypt', 'kms:GenerateDataKey'],
    context: keyUse(scope, 'ssm', 'PARAMETER_ARN', ...arns),
  };
}
