import { Duration, Lazy, RemovalPolicy, Size, Stack, Token } from 'aws-cdk-lib';
import { MathExpression, Metric, type MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import {
  Connections,
  type IConnectable,
  type ISubnet,
  type IVpc,
  Port,
  SecurityGroup,
} from 'aws-cdk-lib/aws-ec2';
import type { ContainerDefinition, TaskDefinition } from 'aws-cdk-lib/aws-ecs';
import {
  AccessPoint,
  FileSystem,
  type IAccessPoint,
  type IFileSystem,
  LifecyclePolicy,
  PerformanceMode,
  ReplicationConfiguration,
  ThroughputMode,
} from 'aws-cdk-lib/aws-efs';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import { EFS_MOUNTTARGET_ORDERINSENSITIVE_LOGICAL_ID } from 'aws-cdk-lib/cx-api';
import { Construct, type IDependable } from 'constructs';
import { LAST_BACKUP_FIGURE } from '../functions/database-size/contract.ts';
import { METRIC_NAMESPACE, metricName } from '../functions/shared/run/report.ts';
import {
  checkRoleArn,
  mountStatement,
  onlyNamedRoles,
  roleArnWithoutReference,
} from './file-system-policy.ts';

/** NFS. */
const NFS_PORT = 2049;
/** Where the WhatsApp client keeps its media. */
const MEDIA_PATH = '/usr/local/wamedia';
/** The directory of the file system, the same as on the hosts of Meta's AWS template. */
const MEDIA_DIRECTORY = '/media';
/** Pays for 16 of the 30 days after which unused media is deleted, and leaves alone what is read in the first two weeks. */
const INFREQUENT_ACCESS_DAYS = 14;
/** The name of the volume in a task definition. */
const VOLUME_NAME = 'media';
/** EFS's limits on an access point's root directory. */
const MAXIMUM_DIRECTORY_LENGTH = 100;
const MAXIMUM_DIRECTORY_DEPTH = 4;

/** What clients see of the file system. */
export interface MediaAccess {
  /**
   * The directory that clients see as the root of the volume: at most four levels and 100 characters. EFS makes it
   * at the first mount if it is not there.
   * @default /media
   */
  readonly directory?: string;
  /**
   * All that clients do is done as this user, and new files are theirs. A file that another user keeps to itself
   * can then no longer be read.
   * @default none: files keep the owners that the client gives them
   */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /**
   * Whom the directory is given to when EFS makes it. One that is there keeps its owner and mode.
   * @default the owner, for it alone and its group; without an owner root, readable by all, as a host's own
   */
  readonly directoryOwner?: { readonly uid: number; readonly gid: number; readonly mode: string };
}

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

export interface MediaVolumeProps {
  /** Begins the name of the file system. */
  readonly deployment: string;
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
  readonly access?: MediaAccess;
  /** @default the account's key for EFS, which AWS manages */
  readonly encryptionKey?: IKey;
  /** @default elastic */
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
  readonly deployment: string;
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

export interface MountOptions {
  /** A container of the task definition, or its name. */
  readonly container: ContainerDefinition | string;
  /** @default /usr/local/wamedia */
  readonly path?: string;
  /** @default false */
  readonly readOnly?: boolean;
  /** Mounts on a container that is neither WebApp nor CoreApp too. @default false */
  readonly anyContainer?: boolean;
}

/** The lines for what this app does not deploy: each as text to be pasted. */
export interface MountLines {
  /** For the task definition's `volumes`. */
  readonly volume: string;
  /** For `mountPoints` of the container definitions of WebApp and CoreApp. */
  readonly mountPoint: string;
  /** The policy that the task role, or the host's instance role, needs. */
  readonly rolePolicy: string;
  /** For `/etc/fstab` of a host with amazon-efs-utils. */
  readonly fstab: string;
}

/** A volume of media that tasks can mount, whether made here or there before. */
export abstract class MediaVolumeBase extends Construct implements IConnectable {
  readonly deployment: string;
  readonly fileSystem: IFileSystem;
  readonly accessPoint: IAccessPoint;
  readonly connections: Connections;
  /** What clients see of the file system. */
  readonly access: MediaAccess;
  private readonly mounted: Mounted[] = [];

  protected constructor(
    scope: Construct,
    id: string,
    deployment: string,
    access: MediaAccess,
    create: (self: Construct) => {
      fileSystem: IFileSystem;
      accessPoint: IAccessPoint;
      connections: Connections;
    },
  ) {
    super(scope, id);
    this.deployment = deployment;
    const { fileSystem, accessPoint, connections } = create(this);
    this.fileSystem = fileSystem;
    this.accessPoint = accessPoint;
    this.connections = connections;
    this.access = access;
  }

  /** What tasks wait for before they start. */
  protected abstract readonly available: IDependable | undefined;

  /** Sees to it that a role can get past the file system's policy. */
  protected abstract admit(taskDefinition: TaskDefinition): void;

  /**
   * Mounts the volume in a container, by TLS and as the task's role, and lets that role do so. Tasks wait until it can
   * be mounted. For Fargate: platform version 1.4.0 or later; for EC2: a host with amazon-efs-utils.
   * What the tasks' security groups are must be said by {@link allowFrom}.
   * @throws Error if the container is not there, not the client's, or has a mount there.
   */
  mountOn(taskDefinition: TaskDefinition, options: MountOptions): void {
    const { path = MEDIA_PATH, readOnly = false, anyContainer = false } = options;
    const container = containerOf(taskDefinition, options.container);
    const where = `${taskDefinition.node.path}, container ${container.containerName}`;
    if (taskDefinition.isExternalCompatible)
      throw new Error(
        `${where}: EFS cannot be mounted by tasks on external instances. Mount it on the host: see the volume's line for fstab.`,
      );
    if (!path.startsWith('/'))
      throw new Error(`${where}: the mount path "${path}" must be absolute, such as ${MEDIA_PATH}.`);
    if (!anyContainer) checkRole(container, where);
    if (container.mountPoints.some(({ containerPath }) => containerPath === path))
      throw new Error(
        `${where}: something is mounted at ${path} already. Give another path, or drop that mount.`,
      );

    const before = this.mounted.find((mount) => mount.taskDefinition === taskDefinition);
    if (!before) {
      taskDefinition.addVolume({
        name: VOLUME_NAME,
        efsVolumeConfiguration: {
          fileSystemId: this.fileSystem.fileSystemId,
          transitEncryption: 'ENABLED',
          authorizationConfig: { accessPointId: this.accessPoint.accessPointId, iam: 'ENABLED' },
        },
      });
      this.admit(taskDefinition);
      // The resource alone: its role must not wait for the file system, whose policy names it.
      if (this.available) taskDefinition.node.defaultChild?.node.addDependency(this.available);
    }
    if (!before?.canWrite && !(before && readOnly))
      taskDefinition.taskRole.addToPrincipalPolicy(this.mountStatement(readOnly));
    if (before) before.canWrite ||= !readOnly;
    else this.mounted.push({ taskDefinition, canWrite: !readOnly });
    container.addMountPoints({ sourceVolume: VOLUME_NAME, containerPath: path, readOnly });
  }

  /**
   * Lets a service, or anything with a security group, reach the volume. The rule is made in the stack of the client, which refers to
   * the volume's, never the other way round.
   */
  allowFrom(client: IConnectable): void {
    client.connections.allowTo(this, Port.tcp(NFS_PORT), 'Media volume');
  }

  /** What to add by hand to a running deployment. */
  lines(): MountLines {
    const { fileSystemId } = this.fileSystem;
    const { accessPointId } = this.accessPoint;
    const json = (value: unknown) => Stack.of(this).toJsonString(value);
    return {
      volume: json({
        name: VOLUME_NAME,
        efsVolumeConfiguration: {
          fileSystemId,
          transitEncryption: 'ENABLED',
          authorizationConfig: { accessPointId, iam: 'ENABLED' },
        },
      }),
      mountPoint: json({ sourceVolume: VOLUME_NAME, containerPath: MEDIA_PATH, readOnly: false }),
      rolePolicy: json({
        Version: '2012-10-17',
        Statement: [this.mountStatement(false).toStatementJson()],
      }),
      fstab: `${fileSystemId} /mnt/wa/media efs _netdev,tls,iam,accesspoint=${accessPointId} 0 0`,
    };
  }

  /** A metric of the file system. @default the average over five minutes */
  metric(metricName: string, options?: MetricOptions): Metric {
    return new Metric({
      namespace: 'AWS/EFS',
      metricName,
      ...options,
      dimensionsMap: { FileSystemId: this.fileSystem.fileSystemId, ...options?.dimensionsMap },
    });
  }

  /**
   * Bytes stored, of all storage classes or one. EFS tells it every 15 minutes, and rightly only hours after the last
   * write. @default the maximum over an hour
   */
  metricStorageBytes(options: MetricOptions & { storageClass?: 'Total' | 'Standard' | 'IA' } = {}): Metric {
    const { storageClass = 'Total', ...others } = options;
    return this.metric('StorageBytes', {
      statistic: 'Maximum',
      period: Duration.hours(1),
      ...others,
      dimensionsMap: { StorageClass: storageClass },
    });
  }

  /** Bytes that may still be moved faster than the base rate; with bursting throughput only. @default the minimum over five minutes */
  metricBurstCreditBalance(options?: MetricOptions): Metric {
    return this.metric('BurstCreditBalance', { statistic: 'Minimum', ...options });
  }

  /** How near the general purpose mode's limit on operations is, in percent. @default the maximum over five minutes */
  metricPercentIoLimit(options?: MetricOptions): Metric {
    return this.metric('PercentIOLimit', { statistic: 'Maximum', ...options });
  }

  /** Clients connected. EFS gives only sums of it. @default the sum over a minute */
  metricClientConnections(options?: MetricOptions): Metric {
    return this.metric('ClientConnections', { statistic: 'Sum', period: Duration.minutes(1), ...options });
  }

  /** Seconds that a replica is behind. @default the maximum over five minutes */
  metricTimeSinceLastSync(destinationFileSystemId: string, options?: MetricOptions): Metric {
    return this.metric('TimeSinceLastSync', {
      statistic: 'Maximum',
      ...options,
      dimensionsMap: { DestinationFileSystemId: destinationFileSystemId },
    });
  }

  /** How much of the throughput that the file system has now is used, in percent. @default over five minutes */
  metricThroughputUsed(options?: MetricOptions): MathExpression {
    const period = options?.period ?? Duration.minutes(5);
    return new MathExpression({
      expression: `100 * (metered / ${period.toSeconds()}) / permitted`,
      usingMetrics: {
        metered: this.metric('MeteredIOBytes', { statistic: 'Sum', period }),
        permitted: this.metric('PermittedThroughput', { statistic: 'Minimum', period }),
      },
      period,
      label: 'throughput used (%)',
    });
  }

  /**
   * Hours since the last backup, as database-size finds it (AWS Backup's `LastBackupTime`) and publishes it daily: AWS has
   * no such metric of a single file system. 87,600 where there is none. @default the maximum over an hour
   */
  metricLastBackupAgeHours(options?: MetricOptions): Metric {
    return new Metric({
      namespace: METRIC_NAMESPACE,
      metricName: metricName(LAST_BACKUP_FIGURE),
      dimensionsMap: { deployment: this.deployment, job: 'database-size' },
      statistic: 'Maximum',
      period: Duration.hours(1),
      ...options,
    });
  }

  private mountStatement(readOnly: boolean) {
    return mountStatement({
      fileSystemArn: this.fileSystem.fileSystemArn,
      accessPointArn: this.accessPoint.accessPointArn,
      readOnly,
      // Without an owner the client acts as whom it runs as, which may be root.
      asRoot: (this.access.owner?.uid ?? 0) === 0,
    });
  }
}

interface Mounted {
  readonly taskDefinition: TaskDefinition;
  canWrite: boolean;
}

/**
 * The volume that the containers of a WhatsApp client share for media: an EFS file system, encrypted, backed up, kept
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
    const admitted = new Set(props.roleArns);
    super(scope, id, props.deployment, props.access ?? {}, (self) => {
      checkProps(self, props);
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
    checkRoleArn(roleArn, this.node.path);
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

function checkProps(self: Construct, props: MediaVolumeProps): void {
  const { subnets, roleArns = [], throughput = 'elastic', archiveAfter = 'never', replication } = props;
  const { infrequentAccessAfter = INFREQUENT_ACCESS_DAYS } = props;
  const where = self.node.path;
  for (const roleArn of roleArns) checkRoleArn(roleArn, where);
  if (subnets.length === 0)
    throw new Error(`${where}: the volume has no subnet. Give one in each zone where its tasks run.`);
  const zones = new Map<string, ISubnet>();
  for (const subnet of subnets) {
    const zone = JSON.stringify(Stack.of(self).resolve(subnet.availabilityZone));
    const other = zones.get(zone);
    if (other)
      throw new Error(
        `${where}: the subnets ${other.node.id} and ${subnet.node.id} lie in one availability zone, ${zone}, where EFS has one mount target only. Give one of them: tasks in both reach it.`,
      );
    zones.set(zone, subnet);
  }
  if (archiveAfter !== 'never') {
    if (throughput !== 'elastic')
      throw new Error(
        `${where}: files move to archive only with elastic throughput. Leave out archiveAfter, or throughput.`,
      );
    if (infrequentAccessAfter === 'never' || infrequentAccessAfter >= archiveAfter)
      throw new Error(
        `${where}: files move to archive (${archiveAfter} days) only after infrequent access (${infrequentAccessAfter}). Give more days for archive.`,
      );
  }
  if (typeof throughput === 'object' && !(throughput.provisionedMebibytesPerSecond >= 1))
    throw new Error(`${where}: provisioned throughput must be at least 1 MiB a second.`);
  const { region } = Stack.of(self);
  if (replication && !Token.isUnresolved(region) && replication.region === region)
    throw new Error(
      `${where}: the replica would lie in ${region}, with the volume, and be lost with it. Name another region.`,
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
    throw new Error(
      `${self.node.path}: the directory "${directory}" must be an absolute path of one to four levels and at most 100 characters, such as ${MEDIA_DIRECTORY}.`,
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

function containerOf(
  taskDefinition: TaskDefinition,
  container: ContainerDefinition | string,
): ContainerDefinition {
  if (typeof container !== 'string') return container;
  const found = taskDefinition.findContainer(container);
  if (found) return found;
  throw new Error(
    `${taskDefinition.node.path}: there is no container ${container}. Add it to the task definition before the volume is mounted on it.`,
  );
}

/**
 * Only WebApp and CoreApp use media. A Master runs CoreApp's image, with `WA_MASTER_NODE` set.
 * @throws Error if the container is neither.
 */
function checkRole(container: ContainerDefinition, where: string): void {
  const { environment } = container.renderContainerDefinition();
  const variables = Array.isArray(environment) ? environment : [];
  const isMaster = variables.some(
    (variable) => 'name' in variable && variable.name === 'WA_MASTER_NODE' && variable.value !== '0',
  );
  const isClient = /(^|\/)(web|coreapp)(:|@|$)/.test(container.imageName);
  if (isClient && !isMaster) return;
  throw new Error(
    `${where}: it is ${isMaster ? 'a Master' : `of the image ${container.imageName}`}, and only WebApp and CoreApp use media. To mount the volume there nonetheless, say anyContainer: true.`,
  );
}
