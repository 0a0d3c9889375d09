import type { Discovery } from './discovery.ts';
import type { ListedSecret } from './secrets.ts';

/** Stands at the end of an ARN of a secret that is not there, where AWS has six random characters. */
const ABSENT = 'ABSENT';

/** A secret, as the configuration names it: one that is there, or what stands in its place. */
export function secretField(
  { partition, region, account }: Discovery,
  deployment: string,
  what: string,
  secret: ListedSecret | undefined,
): { secretArn: string; encryptionKeyArn?: string } {
  return {
    secretArn:
      secret?.arn ??
      `arn:${partition}:secretsmanager:${region}:${account}:secret:whatsapp/${deployment}/${what}-${ABSENT}`,
    ...keyOf(secret),
  };
}

/** The key of its own, where it has one. */
export function keyOf(secret: ListedSecret | undefined): { encryptionKeyArn?: string } {
  return secret?.encryptionKeyArn === undefined ? {} : { encryptionKeyArn: secret.encryptionKeyArn };
}

/** The command that makes it; of one that has its name by now, by which flag it is named. */
export function createSecret({ secrets }: Discovery, deployment: string, what: string, flag: string): string {
  const name = `whatsapp/${deployment}/${what}`;
  return secrets.some((secret) => secret.name === name)
    ? `There is a secret ${name}: if it is the one, say ${flag} ${name}. Otherwise make one by another name.`
    : `aws secretsmanager create-secret --name ${name} --secret-string file://${what}.json`;
}
