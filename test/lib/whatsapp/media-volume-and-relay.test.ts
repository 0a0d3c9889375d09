import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Validations } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { ConfigurationError, checkConfiguration } from '../../../lib/whatsapp/configuration/configuration.ts';
import { MediaVolumeStack } from '../../../lib/whatsapp/media-volume-stack.ts';
import { UpkeepStack } from '../../../lib/whatsapp/upkeep-stack.ts';
import sample from '../../../upkeep.config.ts';
import { brokenLinks } from '../links.ts';
import { appWithoutBundles, ofType, REPOSITORY, resourcesOf } from '../template.ts';

const ROLE = 'arn:aws:iam::222222222222:role/emea-webapp';
const CREATE = { clientSecurityGroupIds: ['sg-0a1b2c3d4e5f60009'], roleArns: [ROLE] };
const EXISTING = { fileSystemId: 'fs-0123456789abcdef0', securityGroupId: 'sg-0a1b2c3d4e5f60008' };
const RELAY = {
  webhookUrl: 'https://webhook.example.com/whatsapp?token=very-secret',
  secretPathHashes: ['a'.repeat(64)],
};

/** The sample's second deployment, which has a key of its own, with more configured. */
function configured(more: { mediaVolume?: unknown; relay?: unknown; jobs?: object }) {
  const [, emea] = structuredClone(sample.deployments);
  const { mediaVolume, relay, jobs = emea?.jobs } = more;
  const callbacks = { ...emea?.callbacks, ...(relay ? { relay } : {}) };
  const deployment = { ...emea, mediaVolume, callbacks, jobs };
  return checkConfiguration(
    { ...sample, deployments: [deployment] },
    { file: 'upkeep.config.ts', folder: REPOSITORY },
  );
}

function stacksOf(more: Parameters<typeof configured>[0]) {
  const [deployment] = configured(more);
  assert.ok(deployment);
  const app = appWithoutBundles();
  app.node.setContext('@aws-cdk/core:validateAgainstDefaultRules', true);
  const media = MediaVolumeStack.ofDeployment(app, 'upkeep-emea-media', deployment);
  const upkeep = new UpkeepStack(app, 'upkeep-emea', { deployment, mediaVolume: media?.volume });
  return { app, media, upkeep };
}

/** Not those of the job media-gc. */
const OF_MEDIA_VOLUME = /-media-(?!gc)/;

function alarmsOf(stack: UpkeepStack, part: string | RegExp): string[] {
  return ofType(resourcesOf(stack), 'AWS::CloudWatch::Alarm')
    .map(([, { Properties }]) => String(Properties.AlarmName))
    .filter((name) => new RegExp(part).test(name));
}

/** The services to which the stack creates interface endpoints. */
function endpointsOf(stack: UpkeepStack): string[] {
  return ofType(resourcesOf(stack), 'AWS::EC2::VPCEndpoint').map(([, { Properties }]) =>
    String(Properties.ServiceName).replace(/^.*\./, ''),
  );
}

describe('a configured media volume', () => {
  it('is created in a stack of its own, in the subnets of the deployment, and watched by the other', () => {
    const { media, upkeep } = stacksOf({ mediaVolume: { create: CREATE, maximumSizeGibibytes: 500 } });
    assert.ok(media);
    const template = Template.fromStack(media);
    template.resourceCountIs('AWS::EFS::MountTarget', 2);
    template.resourceCountIs('AWS::KMS::Key', 1);
    template.hasResourceProperties('AWS::EFS::FileSystem', {
      ThroughputMode: 'elastic',
      LifecyclePolicies: [{ TransitionToIA: 'AFTER_14_DAYS' }],
    });
    template.hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
      SourceSecurityGroupId: 'sg-0a1b2c3d4e5f60009',
    });
    assert.deepEqual(media.dependencies, []);
    assert.deepEqual(alarmsOf(upkeep, OF_MEDIA_VOLUME), [
      'emea-media-throughput',
      'emea-media-operations',
      'emea-media-size',
      'emea-media-backup',
    ]);
  });

  it('is created as it is configured', () => {
    const { media } = stacksOf({
      mediaVolume: {
        create: {
          ...CREATE,
          subnets: [{ id: 'subnet-0a1b2c3d4e5f6000a', availabilityZone: 'eu-central-1c' }],
          infrequentAccessAfterDays: 7,
          archiveAfterDays: 90,
          automaticBackups: false,
          replicationRegion: 'eu-west-1',
        },
        directory: '/wa/media',
        owner: { uid: 33, gid: 33 },
      },
    });
    assert.ok(media);
    const template = Template.fromStack(media);
    template.resourceCountIs('AWS::EFS::MountTarget', 1);
    template.hasResourceProperties('AWS::EFS::FileSystem', {
      LifecyclePolicies: [{ TransitionToIA: 'AFTER_7_DAYS' }, { TransitionToArchive: 'AFTER_90_DAYS' }],
      ReplicationConfiguration: { Destinations: [{ Region: 'eu-west-1' }] },
      BackupPolicy: Match.absent(),
    });
    template.hasResourceProperties('AWS::EFS::AccessPoint', {
      PosixUser: { Uid: '33', Gid: '33' },
      RootDirectory: { Path: '/wa/media' },
    });
  });

  it('that exists gets an access point and alarms in the stack of the upkeep, and prints how to mount it', () => {
    const { media, upkeep } = stacksOf({ mediaVolume: { existing: EXISTING } });
    assert.equal(media, undefined);
    const template = Template.fromStack(upkeep);
    template.resourceCountIs('AWS::EFS::FileSystem', 0);
    template.hasResourceProperties('AWS::EFS::AccessPoint', { FileSystemId: EXISTING.fileSystemId });
    template.hasOutput('MediaVolumeFstabLine', {});
    assert.ok(alarmsOf(upkeep, OF_MEDIA_VOLUME).includes('emea-media-burst-credits'));
  });

  for (const mediaVolume of [{ create: CREATE }, { existing: EXISTING }])
    it(`has the age of its last backup told by database-size (${Object.keys(mediaVolume)})`, () => {
      const { app, upkeep } = stacksOf({ mediaVolume });
      const template = Template.fromStack(upkeep);
      const [job] = Object.values(
        template.findResources('AWS::Lambda::Function', {
          Properties: { FunctionName: 'emea-database-size' },
        }),
      );
      assert.match(
        JSON.stringify(job?.Properties.Environment.Variables.UPKEEP_SETTINGS),
        /mediaVolume.*fileSystemArn.*(:file-system\/fs-|ImportValue)/,
      );
      assert.ok(endpointsOf(upkeep).includes('backup'));
      app.synth();
    });

  it('has no alarm on its backups without database-size, which tells their age', () => {
    const [, emea] = structuredClone(sample.deployments);
    const { upkeep } = stacksOf({
      mediaVolume: { existing: EXISTING, maximumBackupAgeHours: 72 },
      jobs: { messageGc: emea?.jobs.messageGc },
    });
    assert.ok(!alarmsOf(upkeep, OF_MEDIA_VOLUME).includes('emea-media-backup'));
    assert.ok(!endpointsOf(upkeep).includes('backup'));
  });

  it('is not there unless it is configured', () => {
    const { media, upkeep } = stacksOf({});
    assert.equal(media, undefined);
    assert.deepEqual(alarmsOf(upkeep, OF_MEDIA_VOLUME), []);
    assert.ok(!endpointsOf(upkeep).includes('backup'));
    assert.deepEqual(ofType(resourcesOf(upkeep), 'AWS::Lambda::Url'), []);
  });
});

describe('a configured relay', () => {
  it('stands outside the VPC, and prints its URL', () => {
    const template = Template.fromStack(stacksOf({ relay: RELAY }).upkeep);
    template.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'emea-callback-relay',
      VpcConfig: Match.absent(),
    });
    template.hasOutput('CallbackRelayUrl', {});
  });

  it('stands in the VPC if it is told to, with its way to the bus and the certificate of its webhook', () => {
    const { upkeep } = stacksOf({
      relay: { ...RELAY, inVpc: true, certificateAuthority: 'certificates/emea.pem' },
    });
    const template = Template.fromStack(upkeep);
    template.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'emea-callback-relay',
      VpcConfig: Match.anyValue(),
    });
    assert.match(
      JSON.stringify(resourcesOf(upkeep)),
      /emea-callback-relay.*BEGIN CERTIFICATE|BEGIN CERTIFICATE/,
    );
  });
});

it('both pass the rules of CloudFormation and of cdk-nag, and every link holds', () => {
  const { app, upkeep } = stacksOf({
    mediaVolume: { create: { ...CREATE, replicationRegion: 'eu-west-1' }, maximumSizeGibibytes: 500 },
    relay: RELAY,
  });
  assert.deepEqual(brokenLinks(resourcesOf(upkeep)), [
    // It is never invoked asynchronously: who calls its URL gets the failure.
    'function emea-callback-relay has no dead-letter queue',
  ]);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  app.synth();
});

describe('a mistaken media volume or relay is refused with one sentence', () => {
  const root = 'deployments[0]';
  for (const { what, more, sentence } of [
    {
      what: 'both created and existing',
      more: { mediaVolume: { create: CREATE, existing: EXISTING } },
      sentence:
        /^deployments\[0\]\.mediaVolume is .*; it must be an object with either "create" or "existing"\.$/,
    },
    {
      what: 'neither',
      more: { mediaVolume: {} },
      sentence: `${root}.mediaVolume is {}; it must be an object with either "create" or "existing".`,
    },
    {
      what: 'a role with a wildcard',
      more: { mediaVolume: { create: { ...CREATE, roleArns: ['arn:aws:iam::222222222222:role/emea-*'] } } },
      sentence: `${root}.mediaVolume.create.roleArns[0] is "arn:aws:iam::222222222222:role/emea-*"; it must be the ARN of a role, without a wildcard.`,
    },
    {
      what: 'two subnets of one zone',
      more: {
        mediaVolume: {
          create: {
            ...CREATE,
            subnets: ['a', 'b'].map((end) => ({
              id: `subnet-0a1b2c3d4e5f6000${end}`,
              availabilityZone: 'eu-central-1a',
            })),
          },
        },
      },
      sentence: `${root}.mediaVolume.create.subnets[1].availabilityZone is "eu-central-1a" a second time; it must be another zone than the others.`,
    },
    {
      what: 'archive with bursting throughput',
      more: { mediaVolume: { create: { ...CREATE, archiveAfterDays: 90, throughput: 'bursting' } } },
      sentence: `${root}.mediaVolume.create.archiveAfterDays has archive used without elastic throughput; it must be 0, or throughput "elastic".`,
    },
    {
      what: 'archive before infrequent access',
      more: { mediaVolume: { create: { ...CREATE, archiveAfterDays: 7 } } },
      sentence: `${root}.mediaVolume.create.archiveAfterDays is 7; it must be 0, or more than infrequentAccessAfterDays, which must be at least 1.`,
    },
    {
      what: 'days that EFS does not know',
      more: { mediaVolume: { create: { ...CREATE, infrequentAccessAfterDays: 10 } } },
      sentence: `${root}.mediaVolume.create.infrequentAccessAfterDays is 10; it must be one of the days that EFS knows, or 0 for never: 0, 1, 7, 14, 30, 60, 90, 180, 270, 365.`,
    },
    {
      what: 'a replica in the same region',
      more: { mediaVolume: { create: { ...CREATE, replicationRegion: 'eu-central-1' } } },
      sentence: `${root}.mediaVolume.create.replicationRegion is "eu-central-1", where the volume itself is; it must be another region.`,
    },
    {
      what: 'a webhook by plain http, whose address is not repeated',
      more: { relay: { ...RELAY, webhookUrl: 'http://webhook.example.com/very-secret' } },
      sentence: `${root}.callbacks.relay.webhookUrl is not what it must be: an https URL without a user or fragment in it.`,
    },
    {
      what: 'a secret path in place of its hash, which is not repeated',
      more: { relay: { ...RELAY, secretPathHashes: ['my-secret-path'] } },
      sentence: `${root}.callbacks.relay.secretPathHashes[0] is not what it must be: the SHA-256 of the path in hexadecimal (64 digits, lower case), not the path, nor that of nothing.`,
    },
    {
      what: 'a secret path in place of the list of hashes, which is not repeated',
      more: { relay: { ...RELAY, secretPathHashes: 'my-secret-path' } },
      sentence: `${root}.callbacks.relay.secretPathHashes is not what it must be: a list of one or two SHA-256 in hexadecimal.`,
    },
    {
      what: 'a certificate that is not there',
      more: { relay: { ...RELAY, certificateAuthority: 'nowhere.pem' } },
      sentence:
        /^deployments\[0\]\.callbacks\.relay\.certificateAuthority names "nowhere\.pem", which cannot be read/,
    },
  ])
    it(what, () => {
      assert.throws(
        () => configured(more),
        (error) => {
          assert.ok(error instanceof ConfigurationError);
          const [mistake = '', ...others] = error.mistakes;
          assert.deepEqual(others, []);
          if (typeof sentence === 'string') assert.equal(mistake, sentence);
          else assert.match(mistake, sentence);
          return true;
        },
      );
    });
});
