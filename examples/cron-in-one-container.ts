/**
 * Cron as `docker exec` in one container: a command that must run once, in whichever container of the service is there. Nothing
 * here is of WhatsApp.
 *
 *     npx cdk deploy --app 'node examples/cron-in-one-container.ts'
 *
 * The service needs `enableExecuteCommand`, and its task role the four `ssmmessages` actions of ECS Exec.
 */
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { ContainerCommandJob, Upkeep } from '../lib/index.ts';

export function cronInOneContainer(app: App): Stack {
  const stack = new Stack(app, 'desk-upkeep', {
    env: { account: process.env.CDK_DEFAULT_ACCOUNT ?? '123456789012', region: 'eu-central-1' },
  });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'desk',
    timeZone: 'Europe/Berlin',
    window: { from: '01:00', to: '05:00' },
    emails: ['desk-oncall@example.com'],
  });
  const api = Secret.fromSecretCompleteArn(
    stack,
    'Api',
    `arn:aws:secretsmanager:eu-central-1:${stack.account}:secret:desk/api-a1B2c3`,
  );
  new ContainerCommandJob(stack, 'CloseTickets', {
    upkeep,
    job: 'close-tickets',
    in: 'one-container',
    cluster: 'shop',
    roles: { desk: { services: ['desk'], container: 'app' } },
    command: ['/srv/close-tickets', '--idle', '14 days'],
    environment: { REASON: "nobody's turn" },
    // Read when the command runs, and brought over the session: it stands in no command line and no log.
    secrets: { DESK_TOKEN: { secret: api, key: 'token' } },
    stdin: 'billing\nshipping\n',
    keepOutput: true,
    timeout: Duration.minutes(20),
    schedule: { at: '03:15' },
  });
  return stack;
}

if (import.meta.main) cronInOneContainer(new App());
