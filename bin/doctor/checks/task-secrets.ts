import type { TaskDefinition } from '@aws-sdk/client-ecs';
import type { Check } from '../check.ts';
import { FETCH_ACTIONS, fetchFindings } from '../fetched-secrets.ts';
import { LOOK_AT_DEFINITIONS, ofEachDefinition, usedServices } from '../used-services.ts';

/**
 * Whether ECS could fetch what the services' own task definitions give to containers at their start: else no task of theirs comes to
 * run any more, neither in a roll nor for a command.
 */
export const taskSecrets: Check = {
  name: 'secrets of tasks',
  actions: [...LOOK_AT_DEFINITIONS, ...FETCH_ACTIONS],
  run: async (deployment) =>
    ofEachDefinition(deployment, await usedServices(deployment), async (definition) => {
      const references = readAtStart(definition);
      if (references.length === 0) return [];
      return fetchFindings(deployment, {
        definition,
        references,
        saw: (role) => `${role} may fetch what its containers are given at their start.`,
        list: `into the task definition ${definition.taskDefinitionArn}`,
      });
    }),
};

function readAtStart({ containerDefinitions = [] }: TaskDefinition): string[] {
  return containerDefinitions.flatMap(({ secrets = [], logConfiguration, repositoryCredentials }) => [
    ...[...secrets, ...(logConfiguration?.secretOptions ?? [])].flatMap(({ valueFrom }) => valueFrom ?? []),
    ...(repositoryCredentials?.credentialsParameter ?? []),
  ]);
}
