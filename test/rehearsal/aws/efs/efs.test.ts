import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { BackupClient, DescribeProtectedResourceCommand } from '@aws-sdk/client-backup';
import type { Stack } from 'aws-cdk-lib';
import { Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import { MediaVolume } from '../../../../lib/media-volume/media-volume.ts';
import { printLines } from '../../../../lib/whatsapp/media-volume-stack.ts';
import type { Mount } from '../../../../rehearsal/aws/efs/efs.ts';
import type { Aws } from '../../../../rehearsal/aws/server.ts';
import type { Resource } from '../../../../rehearsal/aws/template/resource.ts';
import { ACCOUNT, deploy, HOUR, MINUTE, REGION, START } from '../deploy.ts';

const ROLE = `arn:aws:iam::${ACCOUNT}:role/shop-webapp`;

const folder = mkdtempSync(join(tmpdir(), 'efs-test-'));
after(() => rmSync(folder, { recursive: true }));

function define(stack: Stack, automaticBackups = true): void {
  const volume = new MediaVolume(stack, 'Volume', {
    deployment: 'shop',
    vpc: Vpc.fromVpcAttributes(stack, 'Vpc', { vpcId: 'vpc-12345678', availabilityZones: [`${REGION}a`] }),
    subnets: [
      Subnet.fromSubnetAttributes(stack, 'Subnet', {
        subnetId: 'subnet-12345678',
        availabilityZone: `${REGION}a`,
      }),
    ],
    roleArns: [ROLE],
    automaticBackups,
  });
  printLines(stack, volume);
}

function fileSystemOf({ deployed }: Aws): Resource {
  const [fileSystem] = deployed.ofType('AWS::EFS::FileSystem');
  assert.ok(fileSystem);
  return fileSystem;
}

it('tells the size of a folder hours after it changed, and until then the one before', () =>
  deploy(define, async ({ aws, clock }) => {
    const file = join(folder, 'film.mp4');
    writeFileSync(file, '');
    truncateSync(file, 4_000);
    const fileSystem = fileSystemOf(aws);
    aws.efs.serve(fileSystem, folder);
    const sizes: (number | undefined)[] = [];
    const look = async (after: number) => {
      await clock.runUntil(START + after);
      sizes.push(aws.efs.storageBytes(fileSystem));
    };
    await look(MINUTE);
    truncateSync(file, 9_000);
    await look(2 * HOUR);
    await look(4 * HOUR);
    assert.deepEqual(sizes, [4_000, 4_000, 9_000]);
  }));

describe('a file system', () => {
  for (const { what, change, refused } of [
    { what: 'is mounted by what the stack prints', change: {}, refused: undefined },
    {
      what: 'is not mounted by a role that its policy does not name',
      change: { roleArn: `arn:aws:iam::${ACCOUNT}:role/somebody` },
      refused: /access denied by server.*explicit deny in a resource-based policy/,
    },
    {
      what: 'is not mounted without TLS',
      change: { tls: false },
      refused: /access denied by server.*explicit deny/,
    },
    {
      what: 'is not mounted by no access point',
      change: { accessPointId: undefined },
      refused: /access denied by server.*explicit deny/,
    },
    {
      what: 'is not mounted by a role without a policy of its own',
      change: { policy: { Statement: [] } },
      refused: /access denied by server.*no identity-based policy allows/,
    },
  ] satisfies { what: string; change: Partial<Mount>; refused: RegExp | undefined }[])
    it(what, () =>
      deploy(define, async ({ aws }) => {
        const { MediaVolumeTaskRolePolicy: policy = '', MediaVolumeAccessPointId: accessPointId } =
          aws.deployed.outputs.test ?? {};
        const mount = () =>
          aws.efs.mount(fileSystemOf(aws), folder, {
            roleArn: ROLE,
            policy: JSON.parse(policy),
            accessPointId,
            tls: true,
            ...change,
          });
        if (refused) assert.throws(mount, { message: refused });
        else assert.equal(mount(), join(folder, 'media'));
      }),
    );
});

describe('automatic backups', () => {
  const lastBackup = async (client: object, { arn }: Resource) => {
    const backup = new BackupClient(client);
    const { LastBackupTime: time } = await backup.send(
      new DescribeProtectedResourceCommand({ ResourceArn: arn }),
    );
    backup.destroy();
    return time?.toISOString();
  };

  it('are taken daily, and were so before', () =>
    deploy(define, async ({ aws, clock, client }) => {
      assert.equal(await lastBackup(client(), fileSystemOf(aws)), '2027-01-10T05:00:00.000Z');
      await clock.runUntil(START + 42 * HOUR);
      assert.equal(await lastBackup(client(), fileSystemOf(aws)), '2027-01-12T05:00:00.000Z');
    }));

  it('are not taken of a file system that asks for none', () =>
    deploy(
      (stack) => define(stack, false),
      async ({ aws, client }) => {
        await assert.rejects(lastBackup(client(), fileSystemOf(aws)), { name: 'ResourceNotFoundException' });
      },
    ));
});
