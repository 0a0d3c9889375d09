import type {
  DescribeAccessPointsCommandInput,
  DescribeFileSystemsCommandInput,
  DescribeMountTargetSecurityGroupsCommandInput,
  DescribeMountTargetsCommandInput,
} from '@aws-sdk/client-efs';
import { AwsError } from '../aws-error.ts';
import { type Ask, type Call, type Cloud, type Operations, operation } from '../cloud.ts';
import { pageOf } from '../page-of.ts';
import type { Place } from '../place.ts';
import { Properties } from '../template/properties.ts';
import { arnOf, hash, type Resource } from '../template/resource.ts';

/** A file system that is in no template: somebody else's. */
export interface OtherFileSystem extends Place {
  id: string;
  /** Its tag `Name`. @default none */
  name?: string;
  mountTargets: { subnetId: string; availabilityZone: string; vpcId: string; securityGroupIds: string[] }[];
  /** By id. @default none */
  accessPoints?: Record<string, { path: string; uid: number; gid: number }>;
  /** @default 'bursting' */
  throughputMode?: 'bursting' | 'elastic' | 'provisioned';
}

/** On a page (Amazon EFS API reference: mount targets 10, the others 100). */
const PER_PAGE = 100;
const MOUNT_TARGETS_PER_PAGE = 10;

/** What Amazon EFS answers of the file systems that there are: the templates', and others. */
export class FileSystemDescriptions {
  readonly operations: Operations = {
    DescribeFileSystems: operation(
      ({ FileSystemId: id }: DescribeFileSystemsCommandInput, call) =>
        onFileSystem('DescribeFileSystems', id, call),
      ({ FileSystemId: id, Marker, MaxItems }, call) => {
        const found = id === undefined ? this.#in(call) : [this.#fileSystem(id, call)];
        const { items, next } = pageOf(found, Marker, MaxItems ?? PER_PAGE);
        return { FileSystems: items.map((each) => this.#described(each)), NextMarker: next };
      },
    ),
    DescribeMountTargets: operation(
      ({ FileSystemId: id }: DescribeMountTargetsCommandInput, call) =>
        onFileSystem('DescribeMountTargets', id, call),
      ({ FileSystemId: id = '', Marker, MaxItems }, call) => {
        const fileSystem = this.#fileSystem(id, call);
        const { items, next } = pageOf(fileSystem.mountTargets, Marker, MaxItems ?? MOUNT_TARGETS_PER_PAGE);
        return {
          MountTargets: items.map(({ subnetId, availabilityZone, vpcId }) => ({
            MountTargetId: mountTargetId(fileSystem, subnetId),
            FileSystemId: id,
            SubnetId: subnetId,
            LifeCycleState: 'available' as const,
            AvailabilityZoneName: availabilityZone,
            VpcId: vpcId,
          })),
          NextMarker: next,
        };
      },
    ),
    DescribeMountTargetSecurityGroups: operation(
      ({ MountTargetId: id }: DescribeMountTargetSecurityGroupsCommandInput, call) =>
        onFileSystem('DescribeMountTargetSecurityGroups', this.#ofMountTarget(id, call)?.of.id, call),
      ({ MountTargetId: id }, call) => {
        const found = this.#ofMountTarget(id, call);
        if (found === undefined)
          throw new AwsError('MountTargetNotFound', `Mount target ${id} does not exist.`);
        return { SecurityGroups: found.target.securityGroupIds };
      },
    ),
    DescribeAccessPoints: operation(
      ({ FileSystemId: id }: DescribeAccessPointsCommandInput, call) =>
        onFileSystem('DescribeAccessPoints', id, call),
      ({ FileSystemId: id, NextToken, MaxResults }, call) => {
        const of = id === undefined ? this.#in(call) : [this.#fileSystem(id, call)];
        const all = of.flatMap((fileSystem) =>
          Object.entries(fileSystem.accessPoints ?? {}).map(([point, { path, uid, gid }]) => ({
            AccessPointId: point,
            AccessPointArn: arnOf('elasticfilesystem', 'access-point/')(call, point),
            FileSystemId: fileSystem.id,
            PosixUser: { Uid: uid, Gid: gid },
            RootDirectory: { Path: path },
            LifeCycleState: 'available' as const,
          })),
        );
        const { items, next } = pageOf(all, NextToken, MaxResults ?? PER_PAGE);
        return { AccessPoints: items, NextToken: next };
      },
    ),
  };
  readonly #since: number;
  readonly #fileSystems: OtherFileSystem[];

  constructor({ clock, deployed }: Pick<Cloud, 'clock' | 'deployed'>) {
    this.#since = clock.now();
    this.#fileSystems = deployed
      .ofType('AWS::EFS::FileSystem')
      .map((fileSystem) => asOther(fileSystem, (type) => deployed.ofType(type)));
  }

  /** Makes a file system, as somebody else does. */
  put(fileSystem: OtherFileSystem): void {
    this.#fileSystems.push(fileSystem);
  }

  #in({ account, region }: Place): OtherFileSystem[] {
    return this.#fileSystems.filter((each) => each.account === account && each.region === region);
  }

  #fileSystem(id: string, call: Call): OtherFileSystem {
    const found = this.#in(call).find((each) => each.id === id);
    if (found === undefined) throw new AwsError('FileSystemNotFound', `File system '${id}' does not exist.`);
    return found;
  }

  #ofMountTarget(id: string | undefined, call: Call) {
    for (const of of this.#in(call))
      for (const target of of.mountTargets)
        if (mountTargetId(of, target.subnetId) === id) return { of, target };
    return undefined;
  }

  #described({ id, name, account, region, mountTargets, throughputMode = 'bursting' }: OtherFileSystem) {
    return {
      OwnerId: account,
      CreationToken: id,
      FileSystemId: id,
      FileSystemArn: arnOf('elasticfilesystem', 'file-system/')({ account, region }, id),
      CreationTime: new Date(this.#since),
      LifeCycleState: 'available' as const,
      NumberOfMountTargets: mountTargets.length,
      SizeInBytes: { Value: 0 },
      PerformanceMode: 'generalPurpose' as const,
      ThroughputMode: throughputMode,
      Tags: name === undefined ? [] : [{ Key: 'Name', Value: name }],
      ...(name !== undefined && { Name: name }),
    };
  }
}

function mountTargetId({ id }: OtherFileSystem, subnetId: string): string {
  return `fsmt-${hash(`${id} ${subnetId}`, 17)}`;
}

function asOther(
  { physicalId: id, account, region, properties }: Resource,
  ofType: (type: string) => Resource[],
): OtherFileSystem {
  const parts = (type: string) => ofType(type).filter((each) => each.properties.text('FileSystemId') === id);
  const tags = properties.children('FileSystemTags');
  const name = tags.find((tag) => tag.text('Key') === 'Name')?.text('Value');
  return {
    id,
    account,
    region,
    ...(name !== undefined && { name }),
    // Of a subnet that only its template names, zone and network are not known here.
    mountTargets: parts('AWS::EFS::MountTarget').map((target) => ({
      subnetId: target.properties.text('SubnetId'),
      availabilityZone: `${region}a`,
      vpcId: 'vpc-0a1b2c3d4e5f60001',
      securityGroupIds: target.properties.texts('SecurityGroups'),
    })),
    accessPoints: Object.fromEntries(
      parts('AWS::EFS::AccessPoint').map((point) => {
        const user = point.properties.child('PosixUser') ?? new Properties({}, point.logicalId);
        return [
          point.physicalId,
          {
            path: point.properties.child('RootDirectory')?.text('Path') ?? '/',
            uid: user.number('Uid', 0),
            gid: user.number('Gid', 0),
          },
        ];
      }),
    ),
    throughputMode: properties.text('ThroughputMode', 'bursting') as 'bursting',
  };
}

function onFileSystem(action: string, id: string | undefined, { account, region }: Call): Ask[] {
  const resource =
    id === undefined ? '*' : arnOf('elasticfilesystem', 'file-system/')({ account, region }, id);
  return [{ action: `elasticfilesystem:${action}`, resource }];
}
