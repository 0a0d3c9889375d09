import type { World } from '../../../rehearsal/world.ts';
import { all, coreApps, type Misconfiguration, set } from './misconfiguration.ts';

const SECRET = 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/database-j1K2l3';
const ROLE = 'arn:aws:iam::222222222222:role/whatsapp-emea-coreapp-execution';
const READS = { Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource: SECRET } as const;
const USES_KEYS = { Effect: 'Allow', Action: 'kms:Decrypt', Resource: '*' } as const;

/** What the CoreApps' execution role allows. */
const allows =
  (...Statement: object[]) =>
  ({ aws }: World) => {
    const put = (statements: object[]) =>
      aws.iam.putRole({
        arn: ROLE,
        policies: [{ Version: '2012-10-17', Statement: statements as never }],
      });
    put(Statement);
    return () => put([READS, USES_KEYS]);
  };

const given =
  (...references: string[]) =>
  (world: World) =>
    set(coreApps(world).options, {
      secrets: references.map((valueFrom, index) => ({ name: `SECRET_${index}`, valueFrom })),
    });

const attach = (world: World, statement: object) =>
  world.aws.access.attach(SECRET, { Version: '2012-10-17', Statement: statement as never });

/** The role itself allows none of it, as where it is the secret's policy that names who reads it. */
export const grantedByPolicy = (world: World) =>
  all(
    allows(USES_KEYS)(world),
    attach(world, { Effect: 'Allow', Principal: { AWS: ROLE }, Action: READS.Action, Resource: '*' }),
  );

const common = { check: 'secrets of tasks', status: 'failed' } as const;

export const TASK_SECRET_MISCONFIGURATIONS: Misconfiguration[] = [
  {
    ...common,
    what: "an execution role that may not read what a service's containers are given",
    spoil: allows(USES_KEYS),
    saw: /^\S+coreapp-execution does not allow secretsmanager:GetSecretValue\.$/,
    mend: /^aws iam put-role-policy --role-name whatsapp-emea-coreapp-execution --policy-name secrets-of-tasks .*"Resource":"\S+database-j1K2l3"/,
  },
  {
    ...common,
    what: "an execution role that may not read a service's parameter",
    spoil: given('/whatsapp/emea/licence'),
    saw: /does not allow ssm:GetParameters\.$/,
    mend: /"Resource":"arn:aws:ssm:eu-central-1:222222222222:parameter\/whatsapp\/emea\/licence"/,
  },
  {
    ...common,
    what: "a service's secret whose policy lets nobody of its tasks read it",
    spoil: (world) =>
      attach(world, {
        Sid: 'OnlyRotation',
        Effect: 'Deny',
        Principal: '*',
        Action: READS.Action,
        Resource: '*',
        Condition: { ArnNotLike: { 'aws:PrincipalArn': 'arn:aws:iam::222222222222:role/*-rotate-secret*' } },
      }),
    saw: /^The policy of \S+database-j1K2l3 denies \S+-execution to read it \(its statement OnlyRotation\)\.$/,
    mend: /^aws secretsmanager get-resource-policy --secret-id \S+database-j1K2l3 /,
  },
  {
    ...common,
    what: "a service's secret whose policy depends on what doctor cannot know",
    status: 'warning',
    spoil: (world) =>
      attach(world, {
        Effect: 'Deny',
        Principal: '*',
        Action: READS.Action,
        Resource: '*',
        Condition: { StringNotEquals: { 'aws:SourceAccount': '222222222222' } },
      }),
    saw: /denies its reading by a condition that doctor cannot judge: aws:SourceAccount\.$/,
    mend: /# see that it lets \S+-execution read from the tasks' network$/,
  },
  {
    ...common,
    what: "a label of a service's secret that no version bears",
    spoil: given(`${SECRET}:password:LIVE:`),
    saw: /^No version of the secret \S+database-j1K2l3 bears the label LIVE, by which the task definition reads it\.$/,
    mend: /^aws secretsmanager list-secret-version-ids --secret-id \S+database-j1K2l3 {3}# the one that is meant into the task definition \S+coreapp:1$/,
  },
  {
    ...common,
    what: "a version of a service's secret that is gone",
    spoil: given(`${SECRET}:password::0a1b2c3d-0000-4000-8000-000000000001`),
    saw: /has no version 0a1b2c3d-0000-4000-8000-000000000001, which the task definition names\.$/,
    mend: /^aws secretsmanager list-secret-version-ids /,
  },
  {
    ...common,
    what: "a service's secret that is to be deleted",
    spoil: (world) => set(world.aws.secrets.secret(SECRET), { deletedAt: Date.now() }),
    saw: /^The secret \S+database-j1K2l3 is to be deleted, since \d{4}-\d\d-\d\d: no task that starts gets it\.$/,
    mend: /^aws secretsmanager restore-secret --secret-id \S+database-j1K2l3$/,
  },
];
