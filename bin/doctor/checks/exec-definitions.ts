import type { TaskDefinition } from '@aws-sdk/client-ecs';
import type { Check, Finding } from '../check.ts';
import {
  execContainers,
  execServices,
  LOOK_AT_DEFINITIONS,
  ofEachDefinition,
  type UsedService,
} from '../used-services.ts';

/** Whether the task definitions leave ECS Exec's agent what it needs in the containers. */
export const execDefinitions: Check = {
  name: 'task definitions for ECS Exec',
  actions: LOOK_AT_DEFINITIONS,
  run: async (deployment) => ofEachDefinition(deployment, await execServices(deployment), look),
};

/** The agent takes them in place of the task role (amazon-ecs-exec-checker). */
const CREDENTIALS = ['AWS_ACCESS_KEY', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];

function look(definition: TaskDefinition, service: UsedService): Finding[] {
  const { pidMode, taskDefinitionArn: arn, containerDefinitions: all = [] } = definition;
  const findings: Finding[] = [];
  const say = (status: 'warning' | 'failed', saw: string, lines: string) =>
    findings.push({ status, saw, mend: `In the task definition ${arn}: ${lines}` });
  if (pidMode === 'task' && all.length > 1)
    say(
      'warning',
      'pidMode is "task": ECS Exec has an agent in one container of each task only, which ECS chooses.',
      'leave out "pidMode"',
    );
  for (const { container } of service.exec)
    if (!all.some(({ name }) => name === container))
      findings.push({
        status: 'failed',
        saw: `The task definition has no container ${container}, but ${all.map(({ name }) => name).join(', ')}.`,
        mend: `container: '…' of the role in the configuration, then: npx cdk deploy --all`,
      });
  for (const {
    name,
    readonlyRootFilesystem,
    environment = [],
    secrets = [],
    linuxParameters,
  } of execContainers(service, definition)) {
    if (readonlyRootFilesystem)
      say(
        'failed',
        `The root file system of the container ${name} is read-only: ECS Exec's agent cannot start.`,
        `"readonlyRootFilesystem": false for ${name}`,
      );
    const keys = [...environment, ...secrets].flatMap((each) =>
      CREDENTIALS.includes(each.name ?? '') ? (each.name ?? '') : [],
    );
    if (keys.length > 0)
      say(
        'warning',
        `The container ${name} has ${keys.join(' and ')} in its environment: ECS Exec's agent takes them in place of the task role.`,
        `no ${keys.join(', ')} in "environment" of ${name}; what it may do goes into the task role`,
      );
    if (linuxParameters?.initProcessEnabled !== true)
      say(
        'warning',
        `The container ${name} has no init process: what a command leaves behind stays as a zombie.`,
        `"linuxParameters": { "initProcessEnabled": true } for ${name}`,
      );
  }
  return findings.length > 0
    ? findings
    : [{ status: 'ok', saw: `${arn} leaves ECS Exec all that it needs.` }];
}
