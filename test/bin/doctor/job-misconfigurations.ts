import type { World } from '../../../rehearsal/world.ts';
import { coreApps, type Misconfiguration, set } from './misconfiguration.ts';

const SECRETS = 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea';
const API_USER = `${SECRETS}/api-user-d4E5f6`;
const SIZE_USER = `${SECRETS}/database-size-g7H8i9`;

/** Puts a value that has nothing else of the old one. */
const putSecret =
  (arn: string, value: object) =>
  ({ aws }: World) => {
    const before = aws.secrets.value(arn) ?? '';
    aws.secrets.put(arn, JSON.stringify({ ...databaseFields(before), ...value }));
    return () => aws.secrets.put(arn, before);
  };

/** Where a secret says that its database is. */
function databaseFields(text: string): object {
  const { engine, host, port } = JSON.parse(text);
  return { engine, host, port };
}

/** What the jobs' functions find from where they are. */
export const JOB_MISCONFIGURATIONS: Misconfiguration[] = [
  {
    what: 'an API user whom WebApp refuses',
    spoil: putSecret(API_USER, { username: 'upkeep', password: 'hunter2' }),
    check: 'what the jobs need',
    job: 'media-gc',
    status: 'failed',
    saw: /WebApp/,
    mend: /^aws secretsmanager put-secret-value --secret-id \S+api-user-d4E5f6 --secret-string /,
  },
  {
    what: 'a secret without the fields of a login',
    spoil: putSecret(API_USER, { user: 'upkeep', pass: 'hunter2' }),
    check: 'what the jobs need',
    job: 'media-gc',
    status: 'failed',
    saw: /"username"/,
    mend: /put-secret-value/,
  },
  {
    what: 'a database user whom the database refuses',
    spoil: putSecret(SIZE_USER, { username: 'emea_database_size', password: 'hunter2' }),
    check: 'what the jobs need',
    job: 'database-size',
    status: 'failed',
    saw: /refuse/,
    mend: /^aws secretsmanager describe-secret --secret-id \S+database-size-g7H8i9 /,
  },
  {
    what: 'a task definition that pins a version of the secret',
    spoil: (world) => {
      const { options } = coreApps(world);
      return set(options, {
        secrets: (options.secrets ?? []).map((each) => ({
          ...each,
          valueFrom: each.valueFrom.replace(/::$/, ':AWSPREVIOUS:'),
        })),
      });
    },
    check: 'what the jobs need',
    job: 'credential-rotation',
    status: 'failed',
    saw: /^Its task definition pins a version of the secret /,
    mend: /^Take the version stage and the version id from "valueFrom", and deploy the task definition\.$/,
  },
  {
    what: 'a service that CodeDeploy deploys',
    spoil: (world) => set(coreApps(world).options, { controller: 'CODE_DEPLOY' }),
    check: 'what the jobs need',
    job: 'credential-rotation',
    status: 'failed',
    saw: /^It is deployed by CODE_DEPLOY/,
    mend: /^Use ECS's own deployment controller/,
  },
];
