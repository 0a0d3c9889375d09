import type { RegisterTaskDefinitionCommandInput, TaskDefinition } from '@aws-sdk/client-ecs';
import { type Ask, type Call, required } from '../cloud.ts';
import type { Place } from '../place.ts';
import { isIn, lastPart } from './arns.ts';
import { isDefinitionOf } from './definition.ts';
import { client, invalid } from './errors.ts';
import type { ManagedService } from './service.ts';

/** Task definitions that somebody has registered by a call. Those of services and of tasks alone are known by these. */
export class RegisteredDefinitions {
  /** By the ARN without a revision: all of them, the oldest first. */
  readonly #families = new Map<string, TaskDefinition[]>();

  register(input: RegisterTaskDefinitionCommandInput, call: Call): { taskDefinition: TaskDefinition } {
    const { tags, containerDefinitions = [], ...others } = input;
    if (tags?.length) throw invalid('the stand-in registers task definitions without tags');
    for (const { name, environment = [], secrets = [] } of containerDefinitions) {
      const names = [...environment, ...secrets].map((each) => each.name);
      const twice = names.find((each, index) => names.indexOf(each) < index);
      if (twice !== undefined)
        throw client(
          `The secret name must be unique and not shared with any new or existing environment variables set on the container, such as '${twice}' of ${name}.`,
        );
      if (secrets.length > 0 && input.executionRoleArn === undefined)
        throw client(
          'When you are specifying container secrets, you must also specify a value for executionRoleArn.',
        );
    }
    const family = familyArn(required(input.family), call);
    const revisions = this.#families.get(family) ?? [];
    this.#families.set(family, revisions);
    const revision = revisions.length + 1;
    const taskDefinition: TaskDefinition = {
      ...others,
      containerDefinitions,
      revision,
      status: 'ACTIVE',
      taskDefinitionArn: `${family}:${revision}`,
    };
    revisions.push(taskDefinition);
    return { taskDefinition };
  }

  /** By its ARN, or by a family, with a revision or the latest one. */
  find(nameOrArn: string, where: Place): TaskDefinition | undefined {
    const [family = '', revision] = lastPart(nameOrArn).split(':');
    const revisions = this.#families.get(familyArn(family, where)) ?? [];
    return revision === undefined ? revisions.at(-1) : revisions[Number(revision) - 1];
  }

  /**
   * The service whose task definition it is. Images are not pulled here: of one that was registered the names of its containers tell
   * whose are started.
   */
  serviceOf(
    definition: string,
    managed: ReadonlyMap<string, ManagedService>,
    where: Place,
  ): ManagedService | undefined {
    const names = this.find(definition, where)?.containerDefinitions?.map(({ name }) => name);
    return [...managed].find(([arn, { options }]) =>
      names
        ? isIn(arn, where) && options.running?.[0]?.map(({ name }) => name).join() === names.join()
        : isDefinitionOf(definition, arn, options.family),
    )?.[1];
  }

  /** What ECS is to fetch for a container, of one that was registered. */
  secretsIn(definition: string, container: string, where: Place): { name: string; valueFrom: string }[] {
    const own = this.find(definition, where)?.containerDefinitions?.find(({ name }) => name === container);
    return own?.secrets?.map(({ name = '', valueFrom = '' }) => ({ name, valueFrom })) ?? [];
  }
}

/** What RegisterTaskDefinition asks of the caller's policies: itself, and the roles that its tasks will get. */
export function asksOfRegister(
  { family, taskRoleArn, executionRoleArn }: RegisterTaskDefinitionCommandInput,
  call: Call,
): Ask[] {
  return [
    { action: 'ecs:RegisterTaskDefinition', resource: `${familyArn(required(family), call)}:*` },
    ...[...new Set([taskRoleArn, executionRoleArn])].flatMap((role) =>
      role === undefined
        ? []
        : [
            {
              action: 'iam:PassRole',
              resource: role,
              conditions: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' },
            },
          ],
    ),
  ];
}

function familyArn(family: string, { account, region }: Place): string {
  return `arn:aws:ecs:${region}:${account}:task-definition/${family}`;
}
