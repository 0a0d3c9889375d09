import type { Definition } from '../../../rehearsal/aws/ecs/task.ts';
import type { World } from '../../../rehearsal/world.ts';
import { all, configure, coreApps, type Misconfiguration, set } from './misconfiguration.ts';

const SECRET = 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/api-user-d4E5f6';
const ROLE = 'arn:aws:iam::222222222222:role/whatsapp-emea-commands-execution';
const KEY = 'arn:aws:kms:eu-central-1:222222222222:key/0a1b2c3d-0000-4000-8000-000000000001';
const READS = { Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource: SECRET };

interface Made {
  settings?: object;
  definition?: Definition;
  /** Statements of the execution role. */
  allows?: object[];
  keyId?: string;
}

/** In place of log-cleanup a job that runs its command in a new task, as one of the CoreApps', with a secret. */
export const newTask =
  ({ settings = {}, definition = {}, allows = [READS], keyId }: Made = {}) =>
  (world: World): (() => void) => {
    const { options } = coreApps(world);
    world.aws.iam.putRole({
      arn: ROLE,
      policies: [{ Version: '2012-10-17', Statement: allows as never }],
    });
    return all(
      configure(world, 'emea-log-cleanup', (job: Record<string, unknown>) => {
        for (const name of Object.keys(job)) if (name !== 'clusterArn') delete job[name];
        Object.assign(job, {
          service: 'coreapp',
          container: 'wa-coreapp',
          family: 'coreapp',
          command: ['migrate'],
          secrets: { API_PASSWORD: `${SECRET}:password::` },
          ...settings,
        });
      }),
      set(options, { definition: { ...options.definition, executionRoleArn: ROLE, ...definition } }),
      set(world.aws.secrets.secret(SECRET), { keyId }),
      world.aws.iam.deleteRole.bind(world.aws.iam, ROLE),
    );
  };

const common = { check: 'new tasks', status: 'failed' } as const;

export const NEW_TASK_MISCONFIGURATIONS: Misconfiguration[] = [
  {
    ...common,
    what: "an execution role that may not read a new task's secret",
    spoil: newTask({ allows: [{ ...READS, Resource: `${SECRET}-other` }] }),
    saw: /^arn:aws:iam::222222222222:role\/whatsapp-emea-commands-execution does not allow secretsmanager:GetSecretValue\.$/,
    mend: /^aws iam put-role-policy --role-name whatsapp-emea-commands-execution --policy-name secrets-of-tasks .*"Action":\["secretsmanager:GetSecretValue"\],"Resource":"arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp\/emea\/api-user-d4E5f6"\}\]\}'$/,
  },
  {
    ...common,
    what: "an execution role that may not use the key of a new task's secret",
    spoil: newTask({ keyId: KEY }),
    saw: /does not allow kms:Decrypt\.$/,
    mend: /\[\{"Effect":"Allow","Action":\["kms:Decrypt"\],"Resource":"arn:aws:kms:eu-central-1:222222222222:key\/0a1b2c3d-0000-4000-8000-000000000001"\}\]/,
  },
  {
    ...common,
    what: "an execution role that the policy of a new task's secret denies to read it",
    spoil: (world) =>
      all(
        newTask()(world),
        world.aws.access.attach(SECRET, {
          Version: '2012-10-17',
          Statement: {
            Sid: 'NotTasks',
            Effect: 'Deny',
            Principal: { AWS: ROLE },
            Action: READS.Action,
            Resource: '*',
          },
        }),
      ),
    saw: /^The policy of \S+api-user-d4E5f6 denies \S+commands-execution to read it \(its statement NotTasks\)\.$/,
    mend: /^aws secretsmanager get-resource-policy --secret-id \S+api-user-d4E5f6 /,
  },
  {
    ...common,
    what: 'no execution role, though a new task has secrets',
    spoil: newTask({ definition: { executionRoleArn: undefined } }),
    saw: /^The task definition has no execution role, by which ECS fetches secrets/,
    mend: /^In the task definition arn:\S+: "executionRoleArn": /,
  },
  {
    ...common,
    what: "a new task's secret that is not there",
    spoil: newTask({ settings: { secrets: { TOKEN: `${SECRET}-gone` } } }),
    saw: /^There is no secret \S+api-user-d4E5f6-gone\.$/,
    mend: /^aws secretsmanager list-secrets /,
  },
  {
    ...common,
    what: 'a service whose task definition has become another family than the new task may be of',
    spoil: newTask({ settings: { family: 'coreapp-old' } }),
    saw: /^The service has a task definition of the family coreapp, and the job may start tasks of coreapp-old only\.$/,
    mend: /^taskDefinition: \{ family: 'coreapp', /,
  },
  {
    ...common,
    what: 'a new task for a container that the task definition has not',
    spoil: newTask({ settings: { container: 'wa-core' } }),
    saw: /^The task definition has no container wa-core, but wa-coreapp\.$/,
    mend: /^container: /,
  },
];
