import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { simulatedClock } from '../../rehearsal/aws/clock.ts';
import { startAws } from '../../rehearsal/aws/server.ts';
import { otherResource } from '../../rehearsal/stacks/other-resources.ts';
import { playStacks } from '../../rehearsal/stacks/play.ts';

describe('an example synthesizes as it stands, and passes the rules of CloudFormation', () => {
  it('credential-rotation.ts, which knows nothing of WhatsApp', () => {
    const template = synthesized('credential-rotation.ts').templateOf('shop-rotation');
    for (const service of ['worker', 'checkout', 'storefront'])
      assert.match(template, new RegExp(`"shop-database-credential-rotation-stopped-${service}"`));
    assert.doesNotMatch(template, /whatsapp|webapp/i);
  });

  it('several-credentials.ts: each has a function and alarms of its own, and all of them one roll', () => {
    const template = synthesized('several-credentials.ts').templateOf('shop-rotations');
    for (const name of ['orders', 'stock'])
      for (const alarm of [`rotate-secret-${name}-failed`, `credential-rotation-age-${name}`])
        assert.match(template, new RegExp(`"shop-databases-${alarm}"`));
    assert.equal(template.match(/"shop-databases-credential-rotation-stopped-checkout"/g)?.length, 1);
  });

  it('reload-on-change.ts, which reads no value', () => {
    const template = synthesized('reload-on-change.ts').templateOf('checkout-reload');
    assert.match(template, /"checkout-reload-on-change-stale-payment-key"/);
    assert.doesNotMatch(template, /GetSecretValue/);
  });

  it('media-volume.ts', () => {
    const { templateOf } = synthesized('media-volume.ts');
    const mounts = templateOf('latam-client').match(/"\/usr\/local\/wamedia"/g);
    assert.equal(mounts?.length, 2, 'WebApp and CoreApp mount it');
    assert.match(templateOf('latam-media'), /role\/latam-coreapp/);
  });
});

describe('and is played by wa-upkeep rehearse, or where it has nothing to run by what it lets containers do', () => {
  it('several-credentials.ts, on a real server of either engine', async () => {
    const { folder } = synthesized('several-credentials.ts');
    const { runs, logins, denied, alarms } = await playStacks({
      cdkOut: folder,
      description: { containers: {}, tasks: {}, secrets: {} },
      start: START,
      hours: 12,
    });
    assert.deepEqual(
      runs.map(({ job, outcome, figures, problems }) => [job, outcome, figures.rotations, problems]),
      [['credential-rotation', 'succeeded', 2, []]],
    );
    assert.ok(logins.made > 12, `${logins.made} logins`);
    assert.deepEqual([logins.failed, denied, alarms], [0, [], []]);
  });

  it('media-volume.ts: what WebApp writes CoreApp reads, and nobody else', async () => {
    const { folder } = synthesized('media-volume.ts');
    const clock = simulatedClock(START, folder);
    const aws = await startAws({ cdkOut: folder, clock, otherwise: otherResource });
    try {
      const [fileSystem] = aws.deployed.ofType('AWS::EFS::FileSystem');
      assert.ok(fileSystem);
      const mounted = aws.deployed.ofType('AWS::ECS::TaskDefinition').map(({ properties }) => {
        const roleArn = properties.text('TaskRoleArn');
        const [volume] = properties.children('Volumes');
        const configuration = volume?.child('EFSVolumeConfiguration');
        assert.equal(configuration?.child('AuthorizationConfig')?.text('IAM'), 'ENABLED');
        const mount = (as: string) =>
          aws.efs.mount(fileSystem, join(folder, 'volume'), {
            roleArn: as,
            policy: {
              Version: '2012-10-17',
              Statement: aws.access
                .everyPolicy()
                .filter(({ of, kind }) => of === roleArn && kind === 'identity')
                .flatMap(({ policy }) => policy.Statement),
            },
            accessPointId: configuration?.child('AuthorizationConfig')?.text('AccessPointId'),
            tls: configuration?.text('TransitEncryption') === 'ENABLED',
          });
        assert.throws(() => mount(`${roleArn}-other`), /access denied by server/);
        return mount(roleArn);
      });
      const [webApp = '', coreApp = ''] = mounted;
      assert.equal(mounted.length, 2);
      writeFileSync(join(webApp, 'image.jpg'), 'a picture');
      assert.equal(readFileSync(join(coreApp, 'image.jpg'), 'utf8'), 'a picture');
    } finally {
      await aws.close();
      clock.close();
    }
  });
});

/** An evening before what is scheduled. */
const START = Date.parse('2027-01-10T18:00:00Z');

/** Each where it was synthesized. */
const folders = new Map<string, string>();
after(() => {
  for (const folder of folders.values()) rmSync(folder, { recursive: true });
});

/** @returns where an example is synthesized, and the text of a stack's template there */
function synthesized(example: string): { folder: string; templateOf: (stack: string) => string } {
  const folder = folders.get(example) ?? synthesize(example);
  folders.set(example, folder);
  return { folder, templateOf: (stack) => readFileSync(join(folder, `${stack}.template.json`), 'utf8') };
}

function synthesize(example: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'upkeep-example-'));
  const { status, stderr } = spawnSync('node', [join('examples', example)], {
    cwd: new URL('../../', import.meta.url),
    encoding: 'utf8',
    env: {
      ...process.env,
      CDK_OUTDIR: folder,
      CDK_CONTEXT_JSON: '{"@aws-cdk/core:validateAgainstDefaultRules":true}',
    },
  });
  assert.equal(status, 0, stderr);
  return folder;
}
