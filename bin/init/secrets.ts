import { paginateListSecrets } from '@aws-sdk/client-secrets-manager';
import { allOf, type Surroundings } from './surroundings.ts';

/** A secret, as lists have it: never its value. */
export interface ListedSecret {
  name: string;
  /** In full, with the six characters at its end. */
  arn: string;
  /** Of a key that is not the account's own for Secrets Manager. */
  encryptionKeyArn?: string;
}

/** Where a container takes a variable from, as `valueFrom` of its task definition says. */
export type Source =
  | {
      kind: 'secret';
      /** In full or without the six characters at its end, or a name. */
      id: string;
      /** Undefined: the whole secret is the value. */
      key: string | undefined;
    }
  | {
      kind: 'parameter';
      name: string;
    };

/** All secrets of the account and region, by name. */
export function listSecrets(around: Surroundings): Promise<ListedSecret[]> {
  return around.look('secrets of Secrets Manager', [], async () => {
    const listed = await allOf(
      paginateListSecrets({ client: around.secretsManager }, { MaxResults: 100 }),
      (page) => page.SecretList,
    );
    return listed
      .map(({ Name: name = '', ARN: arn = '', KmsKeyId: key }) => ({
        name,
        arn,
        // An alias is no ARN of a key; the account's own is not named.
        ...(key?.includes(':key/') && { encryptionKeyArn: key }),
      }))
      .sort((one, other) => one.name.localeCompare(other.name));
  });
}

/** Reads a `valueFrom`: ARNs, with the places after a secret's, and a parameter's name of the same region. */
export function sourceOf(valueFrom: string): Source {
  const secret = /^(arn:[^:]+:secretsmanager:[^:]*:\d+:secret:[^:]+)(?::([^:]*))?/.exec(valueFrom);
  if (secret) return { kind: 'secret', id: secret[1] ?? '', key: secret[2] || undefined };
  return { kind: 'parameter', name: valueFrom.replace(/^arn:[^:]+:ssm:[^:]*:\d+:parameter/, '') };
}

/** The secret that an id means: its ARN in full or in short, or its name. */
export function secretOf(id: string, listed: ListedSecret[]): ListedSecret | undefined {
  const exact = listed.find(({ arn, name }) => arn === id || name === id);
  if (exact) return exact;
  const [short = ''] = id.split(':secret:').slice(-1);
  const byShort = listed.find(({ name }) => name === short);
  if (byShort) return byShort;
  // Not listed, or lists could not be had: an ARN that is whole is good.
  return FULL_ARN.test(id) ? { name: short.replace(/-[^-]*$/, ''), arn: id } : undefined;
}

/** The ARN of a secret with the six characters at its end. */
const FULL_ARN = /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[^:]+-[A-Za-z0-9]{6}$/;
