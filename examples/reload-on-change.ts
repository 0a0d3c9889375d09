/**
 * What others rotate reaches the containers: a payment provider's key, the password that RDS manages, a certificate in Parameter
 * Store. Nothing here is of WhatsApp.
 *
 *     npx cdk deploy --app 'node examples/reload-on-change.ts'
 *
 * The services' task definitions take these by `secrets`. Who reads what is seen there; `reads` is only for what an application
 * fetches by itself.
 */
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { ReloadOnChange, Upkeep } from '../lib/index.ts';

export function reloadOnChange(app: App): Stack {
  const account = process.env.CDK_DEFAULT_ACCOUNT ?? '123456789012';
  const stack = new Stack(app, 'checkout-reload', { env: { account, region: 'eu-central-1' } });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'checkout',
    timeZone: 'Europe/Berlin',
    window: { from: '01:00', to: '05:00' },
    emails: ['shop-oncall@example.com'],
  });
  const secret = (id: string, name: string) =>
    Secret.fromSecretCompleteArn(stack, id, `arn:aws:secretsmanager:eu-central-1:${account}:secret:${name}`);
  new ReloadOnChange(stack, 'Reload', {
    upkeep,
    watched: {
      'payment-key': { secret: secret('PaymentKey', 'checkout/payment-key-a1B2c3') },
      database: { secret: secret('Database', 'rds!cluster-0a1b2c3d-d4E5f6') },
      certificate: { parameter: '/checkout/certificate' },
    },
    cluster: 'shop',
    // The one that customers would miss the least goes first: the roll stops at one that does not come up.
    services: [
      { name: 'worker' },
      { name: 'checkout', oneAtATime: true },
      { name: 'proxy', reads: ['certificate'] },
    ],
    schedule: { at: '01:30' },
    timeLimit: Duration.hours(2),
    // The password that RDS replaces is refused from then on.
    atOnce: true,
  });
  return stack;
}

if (import.meta.main) reloadOnChange(new App());
