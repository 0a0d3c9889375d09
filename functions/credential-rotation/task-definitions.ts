import { type ContainerDefinition, DescribeTaskDefinitionCommand, type ECSClient } from '@aws-sdk/client-ecs';
import type { Login } from '../shared/database/contract/engine.ts';
import { holdsPassword } from '../shared/database/credential/secret.ts';
import { isParameter, isSameSecret, secretReference } from '../shared/roll/secret-references.ts';
import type { CredentialRotationSettings } from './contract.ts';

/** What a task definition has to do with the credential. */
export interface DefinitionFindings {
  /** Deregistered: no deployment can begin with it. */
  isInactive: boolean;
  /** A container is given the password from the secret, or from a copy. */
  isGiven: boolean;
  /** The `valueFrom` that is for a version of the secret, or of a copy, which does not follow the rotation. */
  pinned: string | undefined;
  /** Where it holds the current password in clear, as people name the place. */
  inClear: string | undefined;
  /** It holds the password before that in clear. */
  hasOld: boolean;
}

type Places = Pick<CredentialRotationSettings, 'secretArn' | 'copies' | 'fields'>;

/**
 * One call. A definition that ECS does not name is taken for one without anything.
 * @param old the credential before the current one, where it is looked for too
 */
export async function lookIntoDefinition(
  ecs: ECSClient,
  arn: string | undefined,
  places: Places,
  { current, old }: { current: Login; old?: Login | undefined },
): Promise<DefinitionFindings> {
  if (arn === undefined)
    return { isInactive: false, isGiven: false, pinned: undefined, inClear: undefined, hasOld: false };
  const { taskDefinition } = await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: arn }));
  const containers = taskDefinition?.containerDefinitions ?? [];
  const references = containers
    .flatMap(({ secrets = [] }) => secrets.map(({ valueFrom = '' }) => valueFrom))
    .map((reference) => ({ reference, brings: whatItBrings(reference, places) }));
  const [inClear] = containers.flatMap((container) => inClearIn(container, current) ?? []);
  return {
    isInactive: taskDefinition?.status === 'INACTIVE',
    isGiven: references.some(({ brings }) => brings === 'password'),
    pinned: references.find(({ reference, brings }) => brings !== undefined && isPinned(reference))
      ?.reference,
    inClear,
    hasOld: old !== undefined && containers.some((container) => inClearIn(container, old) !== undefined),
  };
}

/** Where a container, or what somebody has said in place of its definition, holds the password in clear. */
export function inClearIn(
  { name, environment = [], command, entryPoint, healthCheck }: ContainerDefinition,
  login: Login,
): string | undefined {
  const holds = (text: string) => holdsPassword(text, login);
  const variable = environment.find(({ value = '' }) => holds(value));
  if (variable !== undefined) return `the environment variable ${variable.name}`;
  const place = Object.entries({
    command,
    'entry point': entryPoint,
    'health check': healthCheck?.command,
  }).find(([, words = []]) => words.some(holds))?.[0];
  return place === undefined ? undefined : `the ${place} of the container ${name}`;
}

/** What of the credential a container is given by a reference. Other fields of the secret, such as the host, are none of it. */
function whatItBrings(
  reference: string,
  { secretArn, copies, fields = [] }: Places,
): 'password' | 'username' | undefined {
  const secret = secretReference(reference);
  if (secret !== undefined && isSameSecret(secret.arn, secretArn)) {
    if (secret.key === 'username') return 'username';
    return ['', 'password', ...fields.map(({ key }) => key)].includes(secret.key) ? 'password' : undefined;
  }
  const copy = copies.find((copy) => {
    if (copy.kind === 'parameter') return isParameter(reference, copy.name);
    return (
      secret !== undefined && isSameSecret(secret.arn, copy.secretArn) && ['', copy.key].includes(secret.key)
    );
  });
  if (copy === undefined) return undefined;
  return copy.template?.includes('{password}') === false ? 'username' : 'password';
}

/** Only what is without an id, and of the stage AWSCURRENT if of any, is a new password for a new task. */
function isPinned(reference: string): boolean {
  const { stage = '', id = '' } = secretReference(reference) ?? {};
  return id !== '' || (stage !== '' && stage !== 'AWSCURRENT');
}
