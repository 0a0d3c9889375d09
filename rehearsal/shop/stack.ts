import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { keepBundlesIn } from '../../lib/function-bundle.ts';
import { CredentialRotation, ReloadOnChange, Upkeep } from '../../lib/index.ts';
import { ADDRESS, PARAMETER, PLACE, SECRETS, SHOP_STACK, USERS } from './names.ts';

// Of a run of all tests, of which others bundle the same functions.
if (process.env.BUNDLES) keepBundlesIn(process.env.BUNDLES);

/** Kept while the process lives: each night of it is the same. */
let synthesized: string | undefined;

/**
 * A deployment that has nothing of WhatsApp, made of the general constructs alone: two passwords that the same services read, and
 * a key and a certificate that others replace. As `cdk synth` does, but in this process.
 * @param certificateAuthority of its database, in PEM
 * @returns the folder of what was synthesized; it is deleted when the process ends.
 */
export function shopAssembly(certificateAuthority: string): string {
  synthesized ??= synthesize(certificateAuthority);
  return synthesized;
}

function synthesize(certificateAuthority: string): string {
  const outdir = mkdtempSync(join(tmpdir(), 'cdk.out-'));
  process.once('exit', () => rmSync(outdir, { recursive: true, force: true }));
  const app = new App({ outdir, analyticsReporting: false, treeMetadata: false });
  defineShop(app, certificateAuthority);
  return app.synth().directory;
}

export function defineShop(app: App, certificateAuthority: string): Stack {
  const stack = new Stack(app, SHOP_STACK, { env: PLACE });
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Europe/Berlin',
    window: { from: '01:00', to: '05:00' },
    emails: ['shop-oncall@example.com'],
  });
  const secret = (id: string, arn: string) => Secret.fromSecretCompleteArn(stack, id, arn);
  const database = { ...ADDRESS, certificateAuthority };
  const availabilityZone = `${PLACE.region}a`;
  new CredentialRotation(stack, 'Passwords', {
    upkeep,
    name: 'orders',
    secret: secret('Orders', SECRETS.orders),
    administrator: secret('OrdersRotator', SECRETS.ordersRotator),
    database,
    strategy: { kind: 'alternating-users', ...USERS.orders },
    others: {
      stock: {
        secret: secret('Stock', SECRETS.stock),
        administrator: secret('StockRotator', SECRETS.stockRotator),
        database,
        strategy: { kind: 'alternating-users', ...USERS.stock },
      },
    },
    cluster: 'shop',
    services: [{ name: 'worker' }, { name: 'checkout' }, { name: 'storefront', reads: ['orders'] }],
    network: {
      vpc: Vpc.fromVpcAttributes(stack, 'Vpc', {
        vpcId: 'vpc-0a1b2c3d4e5f60004',
        availabilityZones: [availabilityZone],
      }),
      subnets: [
        Subnet.fromSubnetAttributes(stack, 'Subnet', {
          subnetId: 'subnet-0a1b2c3d4e5f60007',
          availabilityZone,
        }),
      ],
      securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-0a1b2c3d4e5f60005')],
    },
    schedule: { at: '01:30' },
    timeLimit: Duration.hours(3),
    rotateAfter: Duration.days(30),
  });
  new ReloadOnChange(stack, 'Reload', {
    upkeep,
    watched: {
      certificate: { parameter: PARAMETER },
      'payment-key': { secret: secret('PaymentKey', SECRETS.paymentKey) },
    },
    cluster: 'shop',
    services: [{ name: 'proxy', reads: ['certificate'] }, { name: 'worker' }, { name: 'checkout' }],
    schedule: { at: '03:00' },
    timeLimit: Duration.hours(2),
  });
  return stack;
}
