import { describe, it } from 'node:test';
import { Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { ACCOUNT, ENV, mediaVolumeStack, migrationOf } from './volumes.ts';

describe('the migration of a media volume', () => {
  it('copies owners, modes and times, and compares both sides, when it is started', () => {
    const { app, stack: media } = mediaVolumeStack();
    const other = new Stack(app, 'Other', { env: ENV });
    migrationOf(other, media.volume);
    const template = Template.fromStack(other);
    template.hasResourceProperties('AWS::DataSync::Task', {
      Schedule: Match.absent(),
      TaskMode: 'BASIC',
      Options: Match.objectLike({
        VerifyMode: 'POINT_IN_TIME_CONSISTENT',
        Uid: 'INT_VALUE',
        Gid: 'INT_VALUE',
        Mtime: 'PRESERVE',
        PosixPermissions: 'PRESERVE',
        PreserveDeletedFiles: 'PRESERVE',
      }),
    });
    template.hasResourceProperties('AWS::DataSync::LocationEFS', {
      InTransitEncryption: 'TLS1_2',
      AccessPointArn: Match.anyValue(),
      FileSystemAccessRoleArn: Match.anyValue(),
      Subdirectory: '/',
    });
    template.hasResourceProperties('AWS::DataSync::LocationEFS', { Subdirectory: '/media' });
    template.resourceCountIs('AWS::EFS::AccessPoint', 0);
    Template.fromStack(media).hasResourceProperties('AWS::EFS::FileSystem', {
      FileSystemPolicy: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Sid: 'OtherRoles',
            Condition: {
              ArnNotEquals: {
                'aws:PrincipalArn': Match.arrayWith([
                  { 'Fn::Join': ['', Match.arrayWith([`:iam::${ACCOUNT}:role/latam-media-migration`])] },
                ]),
              },
            },
          }),
        ]),
      },
    });
  });

  it('goes by an access point that keeps owners, where that of the volume does not', () => {
    const { app, stack: media } = mediaVolumeStack({ access: { owner: { uid: 1000, gid: 1000 } } });
    const other = new Stack(app, 'Other', { env: ENV });
    migrationOf(other, media.volume);
    Template.fromStack(other).hasResourceProperties('AWS::EFS::AccessPoint', {
      PosixUser: Match.absent(),
      RootDirectory: { Path: '/media' },
    });
  });
});
