/**
 * Two database passwords that the same containers read, rotated each month one after the other, and carried to the last container by one
 * roll. Nothing here is of WhatsApp.
 *
 *     npx cdk deploy --app 'node examples/several-credentials.ts'
 *
 * What must be done once in each database is in docs/credential-rotation.md.
 */
import { App, Duration, Stack } from 'aws-cdk-lib';
import { SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { CredentialRotation, Upkeep } from '../lib/index.ts';

export function severalCredentials(app: App): Stack {
  const account = process.env.CDK_DEFAULT_ACCOUNT ?? '123456789012';
  const stack = new Stack(app, 'shop-rotations', { env: { account, region: 'eu-central-1' } });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop-databases',
    timeZone: 'Europe/Berlin',
    window: { from: '01:00', to: '05:00' },
    emails: ['shop-oncall@example.com'],
  });
  const secret = (id: string, name: string) =>
    Secret.fromSecretCompleteArn(stack, id, `arn:aws:secretsmanager:eu-central-1:${account}:secret:${name}`);
  new CredentialRotation(stack, 'Passwords', {
    upkeep,
    name: 'orders',
    secret: secret('Orders', 'shop/orders-a1B2c3'),
    administrator: secret('OrdersAdministrator', 'rds!cluster-0a1b2c3d-d4E5f6'),
    database: {
      engine: 'aurora-postgresql',
      host: 'orders.shop.internal',
      port: 5432,
      certificateAuthority: 'rds',
    },
    strategy: { kind: 'alternating-users', users: ['orders_a', 'orders_b'], owner: 'orders' },
    others: {
      stock: {
        secret: secret('Stock', 'shop/stock-a1B2c3'),
        database: {
          engine: 'aurora-mysql',
          host: 'stock.shop.internal',
          port: 3306,
          certificateAuthority: 'rds',
        },
        // The user may change its own password.
        strategy: { kind: 'dual-password' },
      },
    },
    cluster: 'shop',
    // The storefront reads no password of the stock.
    services: [{ name: 'worker' }, { name: 'checkout' }, { name: 'storefront', reads: ['orders'] }],
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
    timeLimit: Duration.hours(3),
    rotateAfter: Duration.days(30),
  });
  return stack;
}

if (import.meta.main) severalCredentials(new App());
