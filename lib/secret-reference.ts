import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import * as v from 'valibot';
import { field } from './checks/fields.ts';
import type { FieldPath, Finding } from './checks/mistakes.ts';

/** A secret that must be given itself. */
export function secretReference(description: string) {
  return field(
    v.custom<ISecret>((value) => typeof value === 'object' && value !== null && 'secretArn' in value),
    'a secret, such as Secret.fromSecretCompleteArn(…)',
    description,
  );
}

/** Secrets that are told by less than their whole ARN. */
export function partialSecretFindings(
  named: readonly { readonly field: FieldPath; readonly secret: ISecret | undefined }[],
): Finding[] {
  return named.flatMap(({ field, secret }) =>
    secret === undefined || secret.secretFullArn
      ? []
      : [
          {
            field,
            problem:
              'is told by its name or a part of its ARN, and a policy names it by the whole one; it must be the secret itself, or one by its full ARN, with the six characters at the end (Secret.fromSecretCompleteArn).',
          },
        ],
  );
}
