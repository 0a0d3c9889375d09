import { isDeepStrictEqual } from 'node:util';
import {
  DescribeTaskDefinitionCommand,
  type ECSClient,
  RegisterTaskDefinitionCommand,
  type RegisterTaskDefinitionCommandInput,
  type TaskDefinition,
} from '@aws-sdk/client-ecs';

/** What of a task definition says what a task is; the rest ECS adds, or stands for one revision. */
const COPIED = [
  'containerDefinitions',
  'cpu',
  'enableFaultInjection',
  'ephemeralStorage',
  'executionRoleArn',
  'inferenceAccelerators',
  'ipcMode',
  'memory',
  'networkMode',
  'pidMode',
  'placementConstraints',
  'proxyConfiguration',
  'requiresCompatibilities',
  'runtimePlatform',
  'taskRoleArn',
  'volumes',
] as const satisfies readonly (keyof TaskDefinition & keyof RegisterTaskDefinitionCommandInput)[];

/**
 * The service's task definition with secrets besides, in a family of the job's own: an override has no `secrets`, and what it has ECS
 * shows to whoever may describe the task. Of one service's revision it is made once.
 * @param secrets what ECS is to fetch (`valueFrom`), by the variable's name.
 * @returns the revision's ARN.
 * @throws what the SDK throws.
 */
export async function definitionWith(
  ecs: ECSClient,
  taskDefinition: string | undefined,
  { family, container, secrets }: { family: string; container: string; secrets: Record<string, string> },
): Promise<string> {
  const described = await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition }));
  const wanted = withSecrets(copyOf(described.taskDefinition ?? {}), container, secrets);
  const last = await latest(ecs, family);
  if (last?.taskDefinitionArn && isDeepStrictEqual(copyOf(last), wanted)) return last.taskDefinitionArn;
  const { taskDefinition: own } = await ecs.send(
    new RegisterTaskDefinitionCommand({
      ...wanted,
      family,
      containerDefinitions: wanted.containerDefinitions,
    }),
  );
  return own?.taskDefinitionArn ?? '';
}

type Copy = Pick<TaskDefinition, (typeof COPIED)[number]>;

function copyOf(definition: TaskDefinition): Copy {
  const parts = COPIED.flatMap((name) => (definition[name] === undefined ? [] : [[name, definition[name]]]));
  return Object.fromEntries(parts);
}

/** ECS refuses a name that a container has twice, as a secret or as a plain variable. */
function withSecrets(copy: Copy, container: string, secrets: Record<string, string>): Copy {
  const isOther = ({ name = '' }: { name?: string | undefined }) => !(name in secrets);
  const added = Object.entries(secrets).map(([name, valueFrom]) => ({ name, valueFrom }));
  return {
    ...copy,
    containerDefinitions: copy.containerDefinitions?.map((each) =>
      each.name === container
        ? {
            ...each,
            ...(each.environment && { environment: each.environment.filter(isOther) }),
            secrets: [...(each.secrets ?? []).filter(isOther), ...added],
          }
        : each,
    ),
  };
}

async function latest(ecs: ECSClient, family: string): Promise<TaskDefinition | undefined> {
  try {
    return (await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: family }))).taskDefinition;
  } catch (error) {
    // ECS's words for a family that has no active revision.
    if (error instanceof Error && /Unable to describe task definition/.test(error.message)) return undefined;
    throw error;
  }
}
