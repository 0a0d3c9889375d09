import type { TaskDefinition } from '@aws-sdk/client-ecs';
import type { Check, Finding } from '../check.ts';
import { LOOK_AT_DEFINITIONS, ofEachDefinition, usedServices } from '../used-services.ts';

/** Whether a task definition holds a password, where everybody reads it who may describe it. */
export const clearPasswords: Check = {
  name: 'passwords in task definitions',
  actions: LOOK_AT_DEFINITIONS,
  run: async (deployment) => ofEachDefinition(deployment, await usedServices(deployment), look),
};

const NAME = /PASS(WORD|WD|PHRASE)?$|SECRET|TOKEN|API_?KEY/i;
/** `scheme://user:password@host`. */
const URL_WITH_PASSWORD = /^[a-z][\w+.-]*:\/\/[^/\s:@]*:[^/\s@]+@/i;
/** What only names where a secret lies. */
const REFERENCE = /^(arn:|\/|https?:\/\/)/;

function look({ taskDefinitionArn: arn, containerDefinitions: all = [] }: TaskDefinition): Finding[] {
  const found = all.flatMap(({ name: container, environment = [] }) =>
    environment
      .filter(
        ({ name = '', value = '' }) =>
          URL_WITH_PASSWORD.test(value) || (NAME.test(name) && value !== '' && !REFERENCE.test(value)),
      )
      .map(({ name }) => ({ container, name })),
  );
  if (found.length === 0) return [{ status: 'ok', saw: 'No password is seen there.' }];
  return found.map(({ container, name }) => ({
    status: 'warning',
    saw: `The environment variable ${name} of the container ${container} seems to hold a password in clear.`,
    mend: `In the task definition ${arn}: "secrets": [{ "name": "${name}", "valueFrom": "ARN of a secret" }] for ${container}, and no ${name} in "environment"`,
  }));
}
