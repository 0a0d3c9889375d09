import {
  ECSClient,
  ExecuteCommandCommand,
  paginateListTasks,
  UpdateServiceCommand,
} from '@aws-sdk/client-ecs';
import { SSMClient, TerminateSessionCommand } from '@aws-sdk/client-ssm';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import * as v from 'valibot';
import { containerRole, containersSettings } from '../../../functions/shared/containers/settings.ts';
import type { Check, Finding } from '../check.ts';
import { ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';

/** Whether a key has a value where a request names nothing of the kind. */
const KEYS_OF_UPDATE_SERVICE = ['ecs:task-definition', 'ecs:enable-execute-command'];

const rotationSettings = v.object({
  clusterArn: v.string(),
  services: v.array(v.object({ name: v.string() })),
});
const execSettings = v.object({
  ...containersSettings,
  reach: v.literal('ecs-exec'),
  roles: v.array(v.object(containerRole)),
});

interface Statement {
  Effect: 'Allow' | 'Deny';
  Action: string;
  Resource: '*';
  Condition?: Record<string, Record<string, string>>;
}

/** Clients of a session of the role that may do no more than the statements say. */
async function sessionOf(role: string, { clients }: ExaminedDeployment, statements: Statement[] | undefined) {
  const { lambda } = clients;
  const where = { region: await lambda.config.region(), maxAttempts: 8 };
  const { Credentials: given } = await new STSClient({
    ...where,
    credentials: lambda.config.credentials,
  }).send(
    new AssumeRoleCommand({
      RoleArn: role,
      RoleSessionName: 'wa-upkeep-doctor',
      DurationSeconds: 900,
      ...(statements && { Policy: JSON.stringify({ Version: '2012-10-17', Statement: statements }) }),
    }),
  );
  const {
    AccessKeyId: accessKeyId = '',
    SecretAccessKey: secretAccessKey = '',
    SessionToken: sessionToken = '',
  } = given ?? {};
  const options = { ...where, credentials: { accessKeyId, secretAccessKey, sessionToken } };
  return { ecs: new ECSClient(options), ssm: new SSMClient(options) };
}

/** Undefined where AWS let it pass; its sentence where it refused. */
async function refusalOf(attempt: Promise<unknown>): Promise<string | undefined> {
  try {
    await attempt;
    return undefined;
  } catch (error) {
    if (error instanceof Error && /AccessDenied/.test(error.name)) return error.message;
    throw error;
  }
}

/**
 * Whether the role of credential-rotation can be held to forced deployments. Asked of UpdateService by a request that names a
 * service and no change to it, so that nothing is deployed whatever the answer.
 */
export function updateService(role: string): Check {
  return {
    name: 'UpdateService',
    actions: ['lambda:GetFunctionConfiguration', 'sts:AssumeRole'],
    async run(deployment) {
      const settings = await deployment.settingsOf(rotationSettings);
      return ofEach(
        settings,
        ({ job }) => job,
        async ({ settings: { clusterArn: cluster, services } }): Promise<Finding> => {
          const service = services[0]?.name;
          const allow: Statement = { Effect: 'Allow', Action: 'ecs:UpdateService', Resource: '*' };
          const tryUnder = async (condition: Statement['Condition']) => {
            const deny: Statement = { ...allow, Effect: 'Deny', ...(condition && { Condition: condition }) };
            const { ecs } = await sessionOf(role, deployment, [allow, deny]);
            return refusalOf(ecs.send(new UpdateServiceCommand({ cluster, service })));
          };
          // Where AWS did not even refuse this, a refusal would say nothing.
          if ((await tryUnder(undefined)) === undefined)
            return { status: 'could not look', saw: 'AWS let pass what a session policy denies.' };
          const valued: string[] = [];
          for (const key of KEYS_OF_UPDATE_SERVICE) {
            const refusal = await tryUnder({ Null: { [key]: 'false' } });
            if (refusal === undefined) continue;
            if (!refusal.includes('explicit deny in a session policy'))
              return { status: 'could not look', saw: refusal, missing: `ecs:UpdateService of ${role}` };
            valued.push(key);
          }
          return {
            status: 'ok',
            saw:
              valued.length === 0
                ? 'The keys for task definition and ECS Exec have no value where a request names neither: the role could be denied any that has.'
                : `${valued.join(' and ')} ${valued.length > 1 ? 'have' : 'has'} a value where a request names none: the role cannot be held to forced deployments by ${valued.length > 1 ? 'them' : 'it'}.`,
          };
        },
      );
    },
  };
}

/** Whether sessions of ECS Exec have the tag by which log-cleanup may end and resume them: opens one, and has it ended by the tag. */
export function sessionTag(role: string): Check {
  return {
    name: 'tag of sessions',
    actions: ['ecs:ListTasks', 'lambda:GetFunctionConfiguration', 'sts:AssumeRole'],
    async run(deployment) {
      const settings = await deployment.settingsOf(execSettings);
      return ofEach(
        settings,
        ({ job }) => job,
        async ({ settings: { clusterArn: cluster, roles } }): Promise<Finding> => {
          const [{ services: [serviceName] = [], container } = {}] = roles;
          const tasks: string[] = [];
          for await (const { taskArns = [] } of paginateListTasks(
            { client: deployment.clients.ecs },
            { cluster, serviceName, desiredStatus: 'RUNNING' },
          ))
            tasks.push(...taskArns);
          const [task] = tasks;
          if (task === undefined) return { status: 'could not look', saw: `No task of ${serviceName} runs.` };
          const free = await sessionOf(role, deployment, undefined);
          const { session } = await free.ecs.send(
            new ExecuteCommandCommand({ cluster, task, container, command: 'true', interactive: true }),
          );
          const { sessionId: SessionId } = session ?? {};
          const end = new TerminateSessionCommand({ SessionId });
          const clusterName = cluster.slice(cluster.lastIndexOf('/') + 1);
          const byTag = await sessionOf(role, deployment, [
            {
              Effect: 'Allow',
              Action: 'ssm:TerminateSession',
              Resource: '*',
              Condition: {
                StringLike: { 'ssm:resourceTag/aws:ssmmessages:target-id': `ecs:${clusterName}_*` },
              },
            },
          ]);
          const refusal = await refusalOf(byTag.ssm.send(end));
          if (refusal === undefined)
            return { status: 'ok', saw: 'Sessions have the tag, and can be ended and resumed by it.' };
          // Two sessions are all that a container can have.
          await free.ssm.send(end);
          return {
            status: 'failed',
            saw: `Sessions of ECS Exec do not have the tag aws:ssmmessages:target-id as docs/security.md takes it: log-cleanup resumes no session whose connection broke. AWS said: ${refusal}`,
            mend: 'Nothing is lost but the reconnection: such a container is told as failed, and tried once more. Tell us, with the sentence above.',
          };
        },
      );
    },
  };
}
