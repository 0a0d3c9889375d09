import { Lazy, RemovalPolicy, Size, Stack, Token } from 'aws-cdk-lib';
import {
  Connections,
  type IConnectable,
  type ISubnet,
  type IVpc,
  Port,
  SecurityGroup,
} from 'aws-cdk-lib/aws-ec2';
import type { TaskDefinition } from 'aws-cdk-lib/aws-ecs';
import {
  AccessPoint,
  FileSystem,
  type IFileSystem,
  LifecyclePolicy,
  PerformanceMode,
  ReplicationConfiguration,
  ThroughputMode,
} from 'aws-cdk-lib/aws-efs';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import { EFS_MOUNTTARGET_ORDERINSENSITIVE_LOGICAL_ID } from 'aws-cdk-lib/cx-api';
import type { Construct, IDependable } from 'constructs';
import * as v from 'valibot';
import { field, flag } from '../checks/fields.ts';
import { checkProps, propertyNames, refuse, thing } from '../checks/props.ts';
import { checkRoleArn, onlyNamedRoles, roleArnWithoutReference } from './file-system-policy.ts';
import { type MediaAccess, MediaVolumeBase, NFS_PORT } from './media-volume-base.ts';

/** The directory of the file system, the same as on the hosts of Meta's AWS template. */
const MEDIA_DIRECTORY = '/media';
/** Pays for 16 of the 30 days after which unused media is deleted, and leaves alone what is read in the first two weeks. */
const INFREQUENT_ACCESS_DAYS = 14;
/** EFS's limits on an access point's root directory. */
const MAXIMUM_DIRECTORY_LENGTH = 100;
const MAXIMUM_DIRECTORY_DEPTH = 4;

/** Days without access after which EFS can move a file. */
export type LifecycleDays = 1 | 7 | 14 | 30 | 60 | 90 | 180 | 270 | 365;

const LIFECYCLE: Record<LifecycleDays, LifecyclePolicy> = {
  1: LifecyclePolicy.AFTER_1_DAY,
  7: LifecyclePolicy.AFTER_7_DAYS,
  14: LifecyclePolicy.AFTER_14_DAYS,
  30: LifecyclePolicy.AFTER_30_DAYS,
  60: LifecyclePolicy.AFTER_60_DAYS,
  90: LifecyclePolicy.AFTER_90_DAYS,
  180: LifecyclePolicy.AFTER_180_DAYS,
  270: LifecyclePolicy.AFTER_270_DAYS,
  365: LifecyclePolicy.AFTER_365_DAYS,
};

/** How much the file system can move, and what that costs. */
export type MediaThroughput =
  /** Pays for each gigabyte moved, and has no credits that run out. */
  | 'elastic'
  /** Grows with what lies in the standard class: what moves to infrequent access takes throughput with it. */
  | 'bursting'
  /** So many MiB a second, paid for whether used or not. */
  | { readonly provisionedMebibytesPerSecond: number };

/** What a `MediaVolume` is made of. */
export interface MediaVolumeProps {
  /** Begins the name of the file system. */
  readonly deployment: string;
  /** The VPC of the subnets. */
  readonly vpc: IVpc;
  /** Where the tasks run. One in each availability zone: EFS has one mount target in each. */
  readonly subnets: ISubnet[];
  /**
   * The task roles that may mount it, by ARN: text, for the stacks of the tasks refer to this one's.
   * {@link MediaVolumeBase.mountOn} names the role itself.
   * @default only those of `mountOn`
   */
  readonly roleArns?: string[];
  /** Who may reach it in the network. @default only those of {@link MediaVolumeBase.allowFrom} */
  readonly clients?: IConnectable[];
  /** What clients see of the file system, and as whom they work in it. @default the directory /media, owners kept */
  readonly access?: MediaAccess;
  /** Encrypts the file system and its backups. @default the account's key for EFS, which AWS manages */
  readonly encryptionKey?: IKey;
  /** How the file system is paid for what is read and written. @default elastic */
  readonly throughput?: MediaThroughput;
  /**
   * Days without access after which a file moves to infrequent access, where storing costs a fraction and reading is paid
   * for. Media garbage collection deletes what was unused for 30 days: at 30 it hardly pays.
   * @default 14
   */
  readonly infrequentAccessAfter?: LifecycleDays | 'never';
  /**
   * Days without access after which a file moves to archive. Only with elastic throughput, which the file system can
   * then not leave, and after more days than infrequent access. Of no use where media is collected after 30 days.
   * @default never
   */
  readonly archiveAfter?: LifecycleDays | 'never';
  /**
   * Whether AWS Backup takes a daily backup, kept for 35 days (EFS's automatic backups). Say no only where a backup
   * plan of yours names the file system.
   * @default true
   */
  readonly automaticBackups?: boolean;
  /** A copy in another region, minutes behind, read-only until the replication is deleted. @default none */
  readonly replication?: {
    readonly region: string;
    /** A key of that region. @default the account's key for EFS there */
    readonly encryptionKeyArn?: string;
  };
}

/** A file system that exists. */
export interface ExistingFileSystem {
  /** Begins the names of what is made for it. */
  readonly deployment: string;
  /** Its ID, `fs-…`. */
  readonly fileSystemId: string;
  /** The one of its mount targets. */
  readonly securityGroupId: string;
  /** An access point that exists. @default one is made, as `access` says */
  readonly accessPointId?: string;
  /**
   * What the access point shows: with `directory` the folder that holds the media, and without an owner, the same
   * files are served, owners kept, nothing copied.
   */
  readonly access?: MediaAccess;
}

/**
 * The volume that an application's containers share for media: an EFS file system, encrypted, backed up, kept
 * when the stack is deleted, and shut to all but the named roles and the given security groups.
 */
export class MediaVolume extends MediaVolumeBase {
  /**
   * Attaches a file system that exists: makes an access point, unless one is named, and nothing else. Its encryption,
   * backups and policy stay what they are.
   */
  static fromFileSystem(scope: Construct, id: string, existing: ExistingFileSystem): MediaVolumeBase {
    return new ExistingMediaVolume(scope, id, existing);
  }

  declare readonly fileSystem: FileSystem;
  protected readonly available: IDependable;

  private readonly admitted: Set<string>;

  constructor(scope: Construct, id: string, props: MediaVolumeProps) {
    // Before they are checked they can be anything.
    const { deployment = '', access = {}, roleArns }: Partial<MediaVolumeProps> = props ?? {};
    const admitted = new Set(Array.isArray(roleArns) ? roleArns : []);
    super(scope, id, deployment, access, (self) => {
      checkProps(self, PROPS, props, undefined, NAMES);
      checkVolume(self, props);
      return createFileSystem(self, props, admitted);
    });
    this.admitted = admitted;
    this.available = this.fileSystem.mountTargetsAvailable;
    for (const client of props.clients ?? []) this.allowFrom(client);
    this.node.addValidation({
      validate: () =>
        admitted.size > 0
          ? []
          : [
              `${this.node.path}: no role may mount the volume. Name the task roles (roleArns), or mount it (mountOn).`,
            ],
    });
  }

  /**
   * Names a role in the file system's policy: it may then mount the volume if its own policy lets it, and others may not
   * whatever theirs says.
   */
  admitRole(roleArn: string): void {
    checkRoleArn(roleArn, this);
    this.admitted.add(roleArn);
  }

  protected admit({ taskRole }: TaskDefinition): void {
    this.admitRole(roleArnWithoutReference(taskRole, Stack.of(this)));
  }
}

class ExistingMediaVolume extends MediaVolumeBase {
  protected readonly available = undefined;

  constructor(scope: Construct, id: string, existing: ExistingFileSystem) {
    const { deployment, fileSystemId, securityGroupId, accessPointId, access = {} } = existing;
    super(scope, id, deployment, access, (self) => {
      const securityGroup = SecurityGroup.fromSecurityGroupId(self, 'SecurityGroup', securityGroupId);
      const fileSystem = FileSystem.fromFileSystemAttributes(self, 'FileSystem', {
        fileSystemId,
        securityGroup,
      });
      return {
        fileSystem,
        accessPoint: accessPointId
          ? AccessPoint.fromAccessPointAttributes(self, 'AccessPoint', { accessPointId, fileSystem })
          : createAccessPoint(self, fileSystem, access),
        connections: new Connections({ securityGroups: [securityGroup], defaultPort: Port.tcp(NFS_PORT) }),
      };
    });
  }

  /** Its policy is not ours. */
  protected admit(): void {}
}

const NAMES = propertyNames<MediaVolumeProps>({
  deployment: true,
  vpc: true,
  subnets: true,
  roleArns: true,
  clients: true,
  access: true,
  encryptionKey: true,
  throughput: true,
  infrequentAccessAfter: true,
  archiveAfter: true,
  automaticBackups: true,
  replication: true,
});

const PROPS = v.looseObject({
  deployment: field(v.pipe(v.string(), v.nonEmpty()), 'the name of the deployment', 'Whose volume it is.'),
  vpc: thing('vpcId', 'a VPC, such as Vpc.fromVpcAttributes(…)', 'The VPC.'),
  subnets: field(v.array(thing('subnetId', 'a subnet', 'A subnet.')), 'a list of subnets', 'The subnets.'),
  roleArns: v.optional(
    // One may be named twice: services share roles.
    field(v.custom<string[]>(Array.isArray), 'a list of ARNs of roles', 'The roles.'),
  ),
  clients: v.optional(
    field(
      v.array(
        thing('connections', 'what has connections, such as a service or a security group', 'A client.'),
      ),
      'a list of services, security groups and the like',
      'Who may reach it.',
    ),
  ),
  encryptionKey: v.optional(thing('keyArn', 'a key, such as Key.fromKeyArn(…)', 'What encrypts.')),
  automaticBackups: v.optional(flag('Whether there are any.')),
});

function checkVolume(self: Construct, props: MediaVolumeProps): void {
  const { subnets, roleArns = [], throughput = 'elastic', archiveAfter = 'never', replication } = props;
  const { infrequentAccessAfter = INFREQUENT_ACCESS_DAYS } = props;
  for (const roleArn of roleArns) checkRoleArn(roleArn, self);
  if (subnets.length === 0)
    refuse(self, `the volume has no subnet. Give one in each zone where its tasks run.`);
  const zones = new Map<string, ISubnet>();
  for (const subnet of subnets) {
    const zone = JSON.stringify(Stack.of(self).resolve(subnet.availabilityZone));
    const other = zones.get(zone);
    if (other)
      refuse(
        self,
        `the subnets ${other.node.id} and ${subnet.node.id} lie in one availability zone, ${zone}, where EFS has one mount target only. Give one of them: tasks in both reach it.`,
      );
    zones.set(zone, subnet);
  }
  if (archiveAfter !== 'never') {
    if (throughput !== 'elastic')
      refuse(
        self,
        `files move to archive only with elastic throughput. Leave out archiveAfter, or throughput.`,
      );
    if (infrequentAccessAfter === 'never' || infrequentAccessAfter >= archiveAfter)
      refuse(
        self,
        `files move to archive (${archiveAfter} days) only after infrequent access (${infrequentAccessAfter}). Give more days for archive.`,
      );
  }
  if (typeof throughput === 'object' && !(throughput.provisionedMebibytesPerSecond >= 1))
    refuse(self, `provisioned throughput must be at least 1 MiB a second.`);
  const { region } = Stack.of(self);
  if (replication && !Token.isUnresolved(region) && replication.region === region)
    refuse(
      self,
      `the replica would lie in ${region}, with the volume, and be lost with it. Name another region.`,
    );
}

function createFileSystem(self: Construct, props: MediaVolumeProps, admitted: Set<string>) {
  const { deployment, vpc, subnets, encryptionKey, throughput = 'elastic', replication } = props;
  const { infrequentAccessAfter = INFREQUENT_ACCESS_DAYS, archiveAfter = 'never' } = props;
  // Else a mount target is named after its place in the list: a new first subnet would make a second one in each zone.
  self.node.setContext(EFS_MOUNTTARGET_ORDERINSENSITIVE_LOGICAL_ID, true);
  const securityGroup = new SecurityGroup(self, 'SecurityGroup', {
    vpc,
    description: `Media volume of ${deployment}`,
    allowAllOutbound: false,
  });
  const fileSystem = new FileSystem(self, 'FileSystem', {
    fileSystemName: `${deployment}-media`,
    vpc,
    vpcSubnets: { subnets },
    securityGroup,
    encrypted: true,
    ...(encryptionKey && { kmsKey: encryptionKey }),
    performanceMode: PerformanceMode.GENERAL_PURPOSE,
    ...throughputProps(throughput),
    ...(infrequentAccessAfter !== 'never' && { lifecyclePolicy: LIFECYCLE[infrequentAccessAfter] }),
    ...(archiveAfter !== 'never' && { transitionToArchivePolicy: LIFECYCLE[archiveAfter] }),
    enableAutomaticBackups: props.automaticBackups ?? true,
    removalPolicy: RemovalPolicy.RETAIN,
    fileSystemPolicy: onlyNamedRoles(Lazy.any({ produce: () => [...admitted] })),
    // The construct would add a statement that lets everybody write, beside the policy above.
    allowAnonymousAccess: true,
    ...(replication && {
      replicationConfiguration: ReplicationConfiguration.regionalFileSystem(
        replication.region,
        replication.encryptionKeyArn
          ? Key.fromKeyArn(self, 'ReplicaKey', replication.encryptionKeyArn)
          : undefined,
      ),
    }),
  });
  return {
    fileSystem,
    accessPoint: createAccessPoint(self, fileSystem, props.access ?? {}),
    connections: fileSystem.connections,
  };
}

function throughputProps(throughput: MediaThroughput) {
  if (throughput === 'elastic') return { throughputMode: ThroughputMode.ELASTIC };
  if (throughput === 'bursting') return { throughputMode: ThroughputMode.BURSTING };
  return {
    throughputMode: ThroughputMode.PROVISIONED,
    provisionedThroughputPerSecond: Size.mebibytes(throughput.provisionedMebibytesPerSecond),
  };
}

function createAccessPoint(self: Construct, fileSystem: IFileSystem, access: MediaAccess): AccessPoint {
  const { directory = MEDIA_DIRECTORY, owner } = access;
  const levels = directory.split('/').slice(1);
  if (
    !directory.startsWith('/') ||
    directory.length > MAXIMUM_DIRECTORY_LENGTH ||
    levels.length > MAXIMUM_DIRECTORY_DEPTH ||
    levels.some((level) => level === '' || level === '.' || level === '..')
  )
    refuse(
      self,
      `the directory "${directory}" must be an absolute path of one to four levels and at most 100 characters, such as ${MEDIA_DIRECTORY}.`,
    );
  const { uid, gid, mode } = access.directoryOwner ?? {
    ...(owner ?? { uid: 0, gid: 0 }),
    mode: owner ? '750' : '755',
  };
  return new AccessPoint(self, 'AccessPoint', {
    fileSystem,
    path: directory,
    // Without it a path that is not there cannot be mounted. One that is there stays as it is.
    createAcl: { ownerUid: String(uid), ownerGid: String(gid), permissions: mode },
    ...(owner && { posixUser: { uid: String(owner.uid), gid: String(owner.gid) } }),
  });
}
