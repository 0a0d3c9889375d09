import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { keepBundlesIn } from '../../lib/function-bundle.ts';
import { ContainerCommandJob, CredentialRotation, ReloadOnChange, Upkeep } from '../../lib/index.ts';
import {
  ADDRESS,
  CATALOGUE,
  CLOSE_CARTS,
  PARAMETER,
  PLACE,
  REINDEX,
  SECRETS,
  SHOP_STACK,
  USERS,
} from './names.ts';

// Of a run of all tests, of which others bundle the same functions.
if (process.env.BUNDLES) keepBundlesIn(process.env.BUNDLES);

/** Kept while the process lives: each night of it is the same. */
let synthesized: string | undefined;

/**
 * A deployment that has nothing of WhatsApp, made of the general constructs alone: two passwords that the same services read, a key
 * and a certificate that others replace, a command in a new task and one in one container. As `cdk synth` does, but in this process.
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
  const inCatalogue = {
    upkeep,
    cluster: 'shop',
    roles: { catalogue: { services: [CATALOGUE.service], container: CATALOGUE.service } },
    environment: { LOCK_TIMEOUT: '5s' },
    stdin: 'toys\nbooks\n',
    keepOutput: true,
    timeLimit: Duration.hours(1),
    timeout: Duration.minutes(20),
  };
  new ContainerCommandJob(stack, 'Reindex', {
    ...inCatalogue,
    job: REINDEX,
    in: 'new-task',
    taskDefinition: {
      family: CATALOGUE.service,
      roleArns: [CATALOGUE.taskRoleArn, CATALOGUE.executionRoleArn],
      logGroup: CATALOGUE.logGroup,
    },
    command: ['/srv/reindex', '--batch', '500'],
    schedule: { at: '01:15' },
  });
  new ContainerCommandJob(stack, 'CloseCarts', {
    ...inCatalogue,
    job: CLOSE_CARTS,
    in: 'one-container',
    command: ['/srv/close-carts', '--idle', '14 days'],
    secrets: { CATALOGUE_TOKEN: { secret: secret('CatalogueToken', SECRETS.catalogueToken), key: 'token' } },
    schedule: { at: '03:30' },
  });
  return stack;
}
