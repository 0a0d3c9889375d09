import { posix } from 'node:path';
import { Duration, Stack, Token } from 'aws-cdk-lib';
import { type IWidget, MathExpression, Metric, type MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import { type Connections, type IConnectable, Port } from 'aws-cdk-lib/aws-ec2';
import { CfnTaskDefinition, type ContainerDefinition, type TaskDefinition } from 'aws-cdk-lib/aws-ecs';
import type { IAccessPoint, IFileSystem } from 'aws-cdk-lib/aws-efs';
import { Policy } from 'aws-cdk-lib/aws-iam';
import { Construct, type IDependable } from 'constructs';
import { LAST_BACKUP_FIGURE } from '../../functions/database-size/contract.ts';
import { METRIC_NAMESPACE, metricName } from '../../functions/shared/run/report.ts';
import { graph, type OnDashboard } from '../dashboards/on-dashboard.ts';
import { mountStatement } from './file-system-policy.ts';

/** NFS. */
export const NFS_PORT = 2049;
/** Where the client keeps its media. */
const MEDIA_PATH = '/usr/local/wamedia';
/** The name of the volume in a task definition. */
const VOLUME_NAME = 'media';

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

/** How a container mounts the volume. */
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
export abstract class MediaVolumeBase extends Construct implements IConnectable, OnDashboard {
  /** Whose volume it is. */
  readonly deployment: string;
  /** The file system itself. */
  readonly fileSystem: IFileSystem;
  /** Through which clients mount it. */
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
   * @throws Error if the container is not there, not the client's, or has a mount there; if the task definition has another
   * volume of the same name; or if nothing can be added to its role's policies.
   */
  mountOn(taskDefinition: TaskDefinition, options: MountOptions): void {
    const { readOnly = false, anyContainer = false } = options;
    const path = withoutEndingSlash(options.path ?? MEDIA_PATH);
    const container = containerOf(taskDefinition, options.container);
    const where = `${taskDefinition.node.path}, container ${container.containerName}`;
    if (taskDefinition.isExternalCompatible)
      throw new Error(
        `${where}: EFS cannot be mounted by tasks on external instances. Mount it on the host: see the volume's line for fstab.`,
      );
    if (!path.startsWith('/') || path === '/')
      throw new Error(
        `${where}: the mount path "${path}" must be absolute, and not the root, such as ${MEDIA_PATH}.`,
      );
    if (!anyContainer) checkRole(container, where);
    if (container.mountPoints.some(({ containerPath = '' }) => withoutEndingSlash(containerPath) === path))
      throw new Error(
        `${where}: something is mounted at ${path} already. Give another path, or drop that mount.`,
      );

    const before = this.mounted.find((mount) => mount.taskDefinition === taskDefinition);
    if (!before && volumesNamed(VOLUME_NAME, taskDefinition) > 0) throw new Error(sameName(taskDefinition));
    if (!before?.canWrite && !(before && readOnly)) this.letMount(taskDefinition, readOnly);
    if (!before) {
      taskDefinition.addVolume({
        name: VOLUME_NAME,
        efsVolumeConfiguration: {
          fileSystemId: this.fileSystem.fileSystemId,
          transitEncryption: 'ENABLED',
          authorizationConfig: { accessPointId: this.accessPoint.accessPointId, iam: 'ENABLED' },
        },
      });
      // Somebody may add another one later.
      taskDefinition.node.addValidation({
        validate: () => (volumesNamed(VOLUME_NAME, taskDefinition) > 1 ? [sameName(taskDefinition)] : []),
      });
      this.admit(taskDefinition);
      // The resource alone: its role must not wait for the file system, whose policy names it.
      if (this.available) taskDefinition.node.defaultChild?.node.addDependency(this.available);
    }
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

  /** Its size. */
  dashboardWidgets(): IWidget[] {
    return [
      graph(`Bytes of the media volume of ${this.deployment}`, [this.metricStorageBytes().attachTo(this)]),
    ];
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

  private letMount({ node, taskRole }: TaskDefinition, readOnly: boolean): void {
    const { statementAdded } = taskRole.addToPrincipalPolicy(this.mountStatement(readOnly));
    // An immutable role of the CDK says that it was added, and has no policy.
    if (statementAdded && taskRole.node.findAll().some((part) => part instanceof Policy)) return;
    throw new Error(
      `${node.path}: nothing can be added to the policies of its task role ${taskRole.roleArn}, as it was imported, so its tasks could not mount the volume. Import it in a way that lets policies be added (not with mutable: false, and in its own account), or leave the volume to whoever makes the task definition: lines() has what to add.`,
    );
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

/** `/media/` and `/media//` are `/media`, to a container. */
function withoutEndingSlash(path: string): string {
  return Token.isUnresolved(path) ? path : posix.normalize(path).replace(/(?<=.)\/$/, '');
}

/** How many volumes of a name a task definition has so far. */
function volumesNamed(name: string, taskDefinition: TaskDefinition): number {
  const made = taskDefinition.node.defaultChild;
  if (!(made instanceof CfnTaskDefinition)) return 0;
  const volumes: { name?: string }[] = Stack.of(made).resolve(made.volumes) ?? [];
  return volumes.filter((volume) => volume.name === name).length;
}

function sameName({ node }: TaskDefinition): string {
  return `${node.path}: the task definition has another volume with the name "${VOLUME_NAME}", which is the media volume's. Give that one another name, or drop it.`;
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
