/**
 * A nightly migration as a new task: made as those of the service `orders`, it has its image, network and roles, and takes no
 * memory of a task that serves. Nothing here is of WhatsApp.
 *
 *     npx cdk deploy --app 'node examples/nightly-migration.ts'
 *
 * The job needs to know which roles it hands on, and of which task definition: where the service is made in the same app, the
 * service itself tells it, and `taskDefinition` is left out. The execution role must be allowed to read the secret: ECS fetches it.
 */
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { ContainerCommandJob, Upkeep } from '../lib/index.ts';

export function nightlyMigration(app: App): Stack {
  const stack = new Stack(app, 'orders-upkeep', {
    env: { account: process.env.CDK_DEFAULT_ACCOUNT ?? '123456789012', region: 'eu-central-1' },
  });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'orders',
    timeZone: 'Europe/Berlin',
    window: { from: '01:00', to: '05:00' },
    emails: ['orders-oncall@example.com'],
  });
  const migrator = Secret.fromSecretCompleteArn(
    stack,
    'Migrator',
    `arn:aws:secretsmanager:eu-central-1:${stack.account}:secret:orders/migrator-a1B2c3`,
  );
  new ContainerCommandJob(stack, 'Migrate', {
    upkeep,
    job: 'migrate',
    in: 'new-task',
    cluster: 'shop',
    roles: { orders: { services: ['orders'], container: 'app' } },
    taskDefinition: {
      family: 'orders',
      roleArns: [
        `arn:aws:iam::${stack.account}:role/orders-task`,
        `arn:aws:iam::${stack.account}:role/orders-execution`,
      ],
      logGroup: '/ecs/orders',
    },
    command: ['/srv/migrate', '--batch', '10000'],
    environment: { LOCK_TIMEOUT: '5s' },
    // The service itself has not this right: it stands in no override, only in a task definition of the job's own.
    secrets: { MIGRATOR_PASSWORD: { secret: migrator, key: 'password' } },
    timeout: Duration.minutes(30),
    keepOutput: true,
    schedule: { at: '01:30' },
  });
  return stack;
}

if (import.meta.main) nightlyMigration(new App());
