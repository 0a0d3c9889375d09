import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Stack, Validations } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { MediaVolumeAlarms } from '../../../lib/media-volume/media-volume-alarms.ts';
import { ENV, mediaVolumeStack, migrationOf, topicOf } from '../media-volume/volumes.ts';

describe('the stack of a media volume', () => {
  const stack = () => mediaVolumeStack().stack;

  it('cannot be deleted by mistake', () => {
    assert.equal(stack().terminationProtection, true);
  });

  it('prints what to add to what it does not deploy', () => {
    assert.deepEqual(Object.keys(Template.fromStack(stack()).toJSON().Outputs), [
      'MediaVolumeFileSystemId',
      'MediaVolumeAccessPointId',
      'MediaVolumeTaskDefinitionVolume',
      'MediaVolumeContainerMountPoint',
      'MediaVolumeTaskRolePolicy',
      'MediaVolumeFstabLine',
    ]);
  });

  it('keeps its key with its volume', () => {
    Template.fromStack(stack()).hasResource('AWS::KMS::Key', {
      DeletionPolicy: 'Retain',
      Properties: { EnableKeyRotation: true },
    });
  });

  it('passes the rules of CloudFormation and of cdk-nag, with its alarms and migration', () => {
    const { app, stack: media } = mediaVolumeStack();
    const other = new Stack(app, 'Other', { env: ENV });
    new MediaVolumeAlarms(other, 'Alarms', { volume: media.volume, topic: topicOf(other), bursting: true });
    migrationOf(other, media.volume);
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
    app.synth();
  });
});
