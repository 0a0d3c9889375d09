import { DescribeTaskDefinitionCommand, type ECSClient } from '@aws-sdk/client-ecs';
import type { CredentialRotationSettings } from './contract.ts';

/** What a task definition has to do with the credential. */
export interface DefinitionFindings {
  /** Deregistered: no deployment can begin with it. */
  isInactive: boolean;
  /** The `valueFrom` of each container that is given the secret or a copy. */
  references: string[];
  /** That of them which is for a version of the secret that does not follow the rotation. */
  pinned: string | undefined;
  /** The environment variable that holds the password in clear. */
  inClear: string | undefined;
}

/** One call. A definition that ECS does not name is taken for one without anything. */
export async function lookIntoDefinition(
  ecs: ECSClient,
  arn: string | undefined,
  settings: Pick<CredentialRotationSettings, 'secretArn' | 'copies'>,
  password: string,
): Promise<DefinitionFindings> {
  if (arn === undefined) return { isInactive: false, references: [], pinned: undefined, inClear: undefined };
  const { taskDefinition } = await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: arn }));
  const containers = taskDefinition?.containerDefinitions ?? [];
  const references = containers
    .flatMap(({ secrets = [] }) => secrets.map(({ valueFrom = '' }) => valueFrom))
    .filter((reference) => isOfCredential(reference, settings));
  return {
    isInactive: taskDefinition?.status === 'INACTIVE',
    references,
    pinned: references.find(isPinned),
    inClear: containers
      .flatMap(({ environment = [] }) => environment)
      .find(({ value = '' }) => value.includes(password))?.name,
  };
}

function isOfCredential(
  reference: string,
  { secretArn, copies }: Pick<CredentialRotationSettings, 'secretArn' | 'copies'>,
): boolean {
  return (
    reference.startsWith(secretArn) ||
    copies.some((copy) =>
      copy.kind === 'secret' ? reference.startsWith(copy.secretArn) : isParameter(reference, copy.name),
    )
  );
}

/** By its name, or by its ARN, which leaves out a slash before the name. */
function isParameter(reference: string, name: string): boolean {
  return reference === name || reference.endsWith(`:parameter/${name.replace(/^\//, '')}`);
}

/**
 * A reference to a secret is `ARN:KEY:STAGE:ID`. Only what is without an id, and of the stage AWSCURRENT if of any, is a
 * new password for a new task.
 */
function isPinned(reference: string): boolean {
  if (!reference.includes(':secret:')) return false;
  const [, , , , , , , , stage = '', id = ''] = reference.split(':');
  return id !== '' || (stage !== '' && stage !== 'AWSCURRENT');
}
