import { taskDefinitionArn } from './arns.ts';
import { client } from './errors.ts';
import type { ManagedService } from './service.ts';
import type { EcsTask } from './task.ts';

/** As DescribeTaskDefinition gives it. Each service, and each family of tasks alone, has one. */
export function describeDefinition(
  arn: string | undefined,
  managed: ManagedService | undefined,
  tasks: EcsTask[],
) {
  const [task] = tasks;
  const family = managed?.options.family ?? managed?.options.service ?? task?.family;
  if (arn === undefined || family === undefined) throw client('Unable to describe task definition.');
  const { secrets, environment = [], definitionStatus = 'ACTIVE' } = managed?.options ?? {};
  const {
    container,
    others = [],
    inessential = [],
    ...definition
  } = managed?.options.definition ?? task?.definition ?? {};
  const names = new Set(tasks.flatMap(({ containers }) => containers.map(({ name }) => name)));
  return {
    taskDefinition: {
      taskDefinitionArn: arn,
      family,
      revision: 1,
      status: definitionStatus,
      ...definition,
      containerDefinitions: [
        ...[...(names.size > 0 ? names : [container?.name ?? family])].map((name) => ({
          essential: !inessential.includes(name),
          environment,
          secrets: secrets ?? task?.secrets ?? [],
          ...container,
          name,
        })),
        ...others,
      ],
    },
  };
}

/** Whether a definition is that of a service. */
export function isDefinitionOf(arn: string | undefined, serviceArn: string, family?: string): boolean {
  return taskDefinitionArn(serviceArn, family) === arn;
}
