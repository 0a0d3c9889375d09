/**
 * A command each night in every container of an ordinary web service: nothing here is of WhatsApp.
 *
 *     npx cdk deploy --app 'node examples/nightly-command.ts'
 *
 * The service needs `enableExecuteCommand`, and its task role the four `ssmmessages` actions of ECS Exec.
 */
import { App, Duration, Stack } from 'aws-cdk-lib';
import { ContainerCommandJob, Upkeep } from '../lib/index.ts';

export function nightlyCommand(app: App): Stack {
  const stack = new Stack(app, 'shop-upkeep', {
    env: { account: process.env.CDK_DEFAULT_ACCOUNT ?? '123456789012', region: 'eu-central-1' },
  });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Europe/Berlin',
    window: { from: '01:00', to: '05:00' },
    emails: ['shop-oncall@example.com'],
  });
  new ContainerCommandJob(stack, 'PruneSessions', {
    upkeep,
    job: 'prune-sessions',
    cluster: 'shop',
    roles: { web: { services: ['storefront', 'checkout'], container: 'app' } },
    command: ['/srv/prune-sessions', '--older-than', '30 days'],
    timeout: Duration.minutes(20),
    keepOutput: true,
    schedule: { at: '03:15', flexibleWindow: Duration.minutes(15) },
  });
  return stack;
}

if (import.meta.main) nightlyCommand(new App());
