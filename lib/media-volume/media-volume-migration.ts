import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { CfnLocationEFS, CfnTask } from 'aws-cdk-lib/aws-datasync';
import { type ISecurityGroup, type ISubnet, type IVpc, Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { AccessPoint } from 'aws-cdk-lib/aws-efs';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { mountStatement, roleArnWithoutReference } from './file-system-policy.ts';
import type { MediaVolume } from './media-volume.ts';

/** NFS. */
const NFS_PORT = 2049;

/** What a `MediaVolumeMigration` is made of. */
export interface MediaVolumeMigrationProps {
  /** The file system that holds the media now. It is only read. */
  readonly source: {
    readonly fileSystemId: string;
    /** The directory of the media, as the file system has it. @default /media, as Meta's AWS template has it */
    readonly directory?: string;
    /** The one of its mount targets: DataSync is let in. */
    readonly securityGroup: ISecurityGroup;
  };
  /** The volume to which files are copied. */
  readonly destination: MediaVolume;
  /** The VPC in which DataSync reaches both. */
  readonly vpc: IVpc;
  /** Where DataSync stands: in a zone with mount targets of both. */
  readonly subnet: ISubnet;
}

/**
 * A DataSync task that copies a media folder from one file system to a volume, with owners, modes and times, and reads
 * both sides again to compare them. It runs when it is started, never by itself: see docs/media-volume.md. Delete it before the
 * client writes to the new volume, for a further run would undo what was written there.
 */
export class MediaVolumeMigration extends Construct {
  /** The DataSync task, which copies when it is started. */
  readonly task: CfnTask;
  /** What the task found, file by file. */
  readonly log: LogGroup;

  constructor(scope: Construct, id: string, props: MediaVolumeMigrationProps) {
    super(scope, id);
    const { source, destination, vpc, subnet } = props;
    const { deployment, access, fileSystem } = destination;
    const stack = Stack.of(this);
    const arn = (service: string, resource: string, resourceName: string) =>
      stack.formatArn({ service, resource, resourceName });
    const onlyThisAccount = {
      StringEquals: { 'aws:SourceAccount': stack.account },
      ArnLike: { 'aws:SourceArn': arn('datasync', '*', '').replace(/\/$/, '') },
    };

    // DataSync acts as root, so that files keep their owners; an access point that acts as a user would take them away.
    const accessPoint = access.owner
      ? new AccessPoint(this, 'AccessPoint', {
          fileSystem,
          path: access.directory ?? '/media',
          createAcl: {
            ownerUid: String(access.owner.uid),
            ownerGid: String(access.owner.gid),
            permissions: '750',
          },
        })
      : destination.accessPoint;
    const role = new Role(this, 'Role', {
      // Named, for the volume's own stack must name it.
      roleName: `${deployment}-media-migration`,
      description: `DataSync, to copy media to the volume of ${deployment}`,
      assumedBy: new ServicePrincipal('datasync.amazonaws.com', { conditions: onlyThisAccount }),
    });
    role.addToPolicy(
      mountStatement({
        fileSystemArn: fileSystem.fileSystemArn,
        accessPointArn: accessPoint.accessPointArn,
        readOnly: false,
        asRoot: true,
      }),
    );
    destination.admitRole(roleArnWithoutReference(role, Stack.of(destination)));

    const securityGroup = new SecurityGroup(this, 'SecurityGroup', {
      vpc,
      description: `DataSync, to copy media to the volume of ${deployment}`,
      allowAllOutbound: false,
    });
    destination.allowFrom(securityGroup);
    securityGroup.connections.allowTo(source.securityGroup, Port.tcp(NFS_PORT), 'Old media volume');
    const ec2Config = {
      subnetArn: arn('ec2', 'subnet', subnet.subnetId),
      securityGroupArns: [arn('ec2', 'security-group', securityGroup.securityGroupId)],
    };
    const from = new CfnLocationEFS(this, 'Source', {
      efsFilesystemArn: arn('elasticfilesystem', 'file-system', source.fileSystemId),
      subdirectory: source.directory ?? '/media',
      ec2Config,
      inTransitEncryption: 'TLS1_2',
    });
    const to = new CfnLocationEFS(this, 'Destination', {
      efsFilesystemArn: fileSystem.fileSystemArn,
      accessPointArn: accessPoint.accessPointArn,
      fileSystemAccessRoleArn: role.roleArn,
      subdirectory: '/',
      ec2Config,
      inTransitEncryption: 'TLS1_2',
    });
    this.log = new LogGroup(this, 'Log', {
      retention: RetentionDays.THREE_MONTHS,
      // The proof that everything was copied outlives the task. Without a name of ours, so that it is in no later one's way.
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.log.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('datasync.amazonaws.com')],
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [this.log.logGroupArn],
        conditions: onlyThisAccount,
      }),
    );
    // DataSync assumes the role and tries the mount when it makes the location, and a role that is some seconds old may not be
    // known everywhere in IAM yet: so it is made first, and what needs it last.
    from.node.addDependency(role);
    to.node.addDependency(destination.fileSystem.mountTargetsAvailable, role, from, this.log);
    this.task = new CfnTask(this, 'Task', {
      name: `${deployment}-media-migration`,
      sourceLocationArn: from.attrLocationArn,
      destinationLocationArn: to.attrLocationArn,
      cloudWatchLogGroupArn: this.log.logGroupArn,
      // The only mode between two file systems of EFS.
      taskMode: 'BASIC',
      options: {
        transferMode: 'CHANGED',
        overwriteMode: 'ALWAYS',
        // The last copy removes what the client has deleted meanwhile: the procedure says so when it starts it.
        preserveDeletedFiles: 'PRESERVE',
        posixPermissions: 'PRESERVE',
        uid: 'INT_VALUE',
        gid: 'INT_VALUE',
        mtime: 'PRESERVE',
        atime: 'BEST_EFFORT',
        verifyMode: 'POINT_IN_TIME_CONSISTENT',
        logLevel: 'TRANSFER',
      },
    });
  }
}
