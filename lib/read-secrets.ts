import { ofSecret } from './encryption.ts';
import type { UpkeepFunction } from './upkeep-function.ts';

/** A secret, and the customer managed key that it is encrypted with, if there is one. */
export interface ReadableSecret {
  readonly secretArn: string;
  readonly secretKeyArn?: string | undefined;
}

/**
 * Lets a function read secrets, of which some may be the same.
 * @param what they are, in letters and digits.
 */
export function letReadSecrets(
  upkeepFunction: UpkeepFunction,
  what: string,
  secrets: readonly ReadableSecret[],
): void {
  // Wherever it is said: of the same secret it is the same key.
  const keys = new Map(
    secrets.flatMap(({ secretArn, secretKeyArn }) =>
      secretKeyArn ? [[secretArn, secretKeyArn] as const] : [],
    ),
  );
  for (const [index, secretArn] of [...new Set(secrets.map((secret) => secret.secretArn))].entries()) {
    upkeepFunction.allow(`Read${what}${index}`, ['secretsmanager:GetSecretValue'], [secretArn]);
    const key = keys.get(secretArn);
    if (key)
      upkeepFunction.allow(
        `Decrypt${what}${index}`,
        ['kms:Decrypt'],
        [key],
        ofSecret(upkeepFunction, secretArn),
      );
  }
}
