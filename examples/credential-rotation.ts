/**
 * A database password rotated each month and carried to the last container of an ordinary web service on ECS: nothing
 * here is of WhatsApp.
 *
 *     npx cdk deploy --app 'node examples/credential-rotation.ts'
 *
 * Of a deployment of its own, so that it stands beside examples/nightly-command.ts; in one stack both would share one `Upkeep`.
 * The services' task definitions read `SECRET_ARN:username::` and `SECRET_ARN:password::`; what must be done once in the
 * database is in docs/credential-rotation.md.
 */
import { App, Duration, Stack } from 'aws-cdk-lib';
import { SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { CredentialRotation, Upkeep } from '../lib/index.ts';

export function credentialRotation(app: App): Stack {
  const account = process.env.CDK_DEFAULT_ACCOUNT ?? '123456789012';
  const stack = new Stack(app, 'shop-rotation', { env: { account, region: 'eu-central-1' } });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop-database',
    timeZone: 'Europe/Berlin',
    window: { from: '01:00', to: '05:00' },
    emails: ['shop-oncall@example.com'],
  });
  new CredentialRotation(stack, 'DatabasePassword', {
    upkeep,
    secret: Secret.fromSecretCompleteArn(
      stack,
      'Secret',
      `arn:aws:secretsmanager:eu-central-1:${account}:secret:shop/database-a1B2c3`,
    ),
    administrator: Secret.fromSecretCompleteArn(
      stack,
      'Administrator',
      `arn:aws:secretsmanager:eu-central-1:${account}:secret:rds!cluster-0a1b2c3d-d4E5f6`,
    ),
    database: {
      engine: 'aurora-postgresql',
      host: 'database.shop.internal',
      port: 5432,
      certificateAuthority: 'rds',
    },
    strategy: { kind: 'alternating-users', users: ['shop_a', 'shop_b'], owner: 'shop' },
    cluster: 'shop',
    // The ones that customers would miss the least go first: the roll stops at one that does not come up.
    services: [{ name: 'worker' }, { name: 'checkout' }, { name: 'storefront' }],
    network: {
      vpc: Vpc.fromVpcAttributes(stack, 'Vpc', {
        vpcId: 'vpc-0a1b2c3d4e5f60001',
        availabilityZones: ['eu-central-1a'],
      }),
      subnets: [
        Subnet.fromSubnetAttributes(stack, 'Subnet', {
          subnetId: 'subnet-0a1b2c3d4e5f60001',
          availabilityZone: 'eu-central-1a',
        }),
      ],
      securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-0a1b2c3d4e5f60001')],
    },
    schedule: { at: '01:30', flexibleWindow: Duration.minutes(15) },
    timeLimit: Duration.hours(2),
    rotateAfter: Duration.days(30),
  });
  return stack;
}

if (import.meta.main) credentialRotation(new App());
