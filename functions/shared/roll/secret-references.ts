/** What `valueFrom` of a container's secret says of a secret of Secrets Manager. */
export interface SecretReference {
  /** Perhaps without the suffix that Secrets Manager gives it. */
  arn: string;
  /** Of its JSON; empty: all of it. */
  key: string;
  /** The label; empty: AWSCURRENT, or that of the version. */
  stage: string;
  /** Of the version; empty: whichever has the label. */
  id: string;
}

/** By its name, or by its ARN, which leaves out a slash before the name. */
export function isParameter(reference: string, name: string): boolean {
  return reference === name || reference.endsWith(`:parameter/${name.replace(/^\//, '')}`);
}

/** A reference to a secret is `ARN:KEY:STAGE:ID`. */
export function secretReference(reference: string): SecretReference | undefined {
  if (!reference.includes(':secret:')) return undefined;
  const parts = reference.split(':');
  const [key = '', stage = '', id = ''] = parts.slice(7);
  return { arn: parts.slice(0, 7).join(':'), key, stage, id };
}

/** Either may lack the suffix that Secrets Manager gives an ARN, as one that is made from a name does. */
export function isSameSecret(one: string, other: string): boolean {
  const bare = (arn: string) => arn.replace(/-[A-Za-z0-9]{6}$/, '');
  return one === other || bare(one) === other || one === bare(other);
}
