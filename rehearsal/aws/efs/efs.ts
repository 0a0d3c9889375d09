import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Cloud, Operations, Service } from '../cloud.ts';
import type { PolicyDocument } from '../policy/document.ts';
import { denial } from '../policy/policy.ts';
import { UnknownTemplate } from '../template/properties.ts';
import type { Resource } from '../template/resource.ts';
import { FileSystemDescriptions, type OtherFileSystem } from './describe.ts';

/** Who wants to mount a file system and write to it, and how. */
export interface Mount {
  /** In the account of the file system. */
  roleArn: string;
  /** The role's own. */
  policy: PolicyDocument;
  /** Undefined: by none. */
  accessPointId: string | undefined;
  tls: boolean;
}

const MINUTE = 60_000;
/** How often CloudWatch is told the size. */
const SIZE_PERIOD = 15 * MINUTE;
/** How far the figure is behind what was written and deleted. AWS says that it is, by hours, and not by how many. */
const SIZE_LAG = 3 * 60 * MINUTE;

/** Amazon Elastic File System: folders on this machine's disk as the file systems of the templates. */
export class Efs implements Service {
  readonly signingName = 'elasticfilesystem';
  readonly operations: Operations;
  readonly #descriptions: FileSystemDescriptions;
  readonly #aws: Cloud;
  /** Sizes, by ARN. */
  readonly #told = new Map<string, number>();
  readonly #cancels = new Set<() => void>();

  constructor(aws: Cloud) {
    this.#aws = aws;
    this.#descriptions = new FileSystemDescriptions(aws);
    this.operations = this.#descriptions.operations;
  }

  /** Few ask for it, and it takes its time. */
  get client(): object {
    return createRequire(import.meta.url)('@aws-sdk/client-efs') as object;
  }

  /** Makes a file system, as somebody else does. */
  put(fileSystem: OtherFileSystem): void {
    this.#descriptions.put(fileSystem);
  }

  /** Has a folder be what a file system holds, whose size CloudWatch is then told. */
  serve(fileSystem: Resource, folder: string): void {
    const { clock } = this.#aws;
    mkdirSync(folder, { recursive: true });
    /** Oldest first. */
    const sizes: number[] = [];
    let cancel = () => {};
    const tell = (at: number) => {
      const size = bytesIn(folder);
      // Before it was looked at, it was as large as then.
      if (sizes.length === 0) sizes.push(...Array.from({ length: SIZE_LAG / SIZE_PERIOD }, () => size));
      sizes.push(size);
      const told = sizes.shift() ?? size;
      this.#told.set(fileSystem.arn, told);
      const dimensions = { FileSystemId: idOf(fileSystem), StorageClass: 'Total' };
      this.#aws.cloudWatch.put(fileSystem, 'AWS/EFS', 'StorageBytes', dimensions, told);
      this.#cancels.delete(cancel);
      cancel = clock.at(at + SIZE_PERIOD, () => tell(at + SIZE_PERIOD));
      this.#cancels.add(cancel);
    };
    cancel = clock.at(clock.now(), () => tell(clock.now()));
    this.#cancels.add(cancel);
  }

  /** What CloudWatch was told last of a file system's size. */
  storageBytes({ arn }: Resource): number | undefined {
    return this.#told.get(arn);
  }

  /**
   * The directory that a client sees, which is made if it is not there.
   * @throws Error with what its mount says, if the policies of the file system and of the role do not let it.
   */
  mount(fileSystem: Resource, folder: string, { roleArn, policy, accessPointId, tls }: Mount): string {
    const { account, arn, properties } = fileSystem;
    const accessPoint = accessPointId === undefined ? undefined : this.#accessPoint(accessPointId);
    for (const action of ['ClientMount', 'ClientWrite']) {
      const refused = denial({
        principal: {
          kind: 'identity',
          arn: roleArn,
          identityArn: roleArn,
          account: roleArn.split(':')[4] ?? '',
          policies: [policy],
        },
        action: `elasticfilesystem:${action}`,
        resource: arn,
        account,
        resourcePolicies: properties.has('FileSystemPolicy') ? [properties.policy('FileSystemPolicy')] : [],
        conditions: {
          'aws:securetransport': String(tls),
          'elasticfilesystem:AccessPointArn': accessPoint?.arn,
        },
      });
      if (refused) throw new Error(`mount.nfs4: access denied by server while mounting: ${refused}`);
    }
    const directory = join(folder, accessPoint?.properties.child('RootDirectory')?.text('Path') ?? '/');
    mkdirSync(directory, { recursive: true });
    return directory;
  }

  close(): void {
    for (const cancel of this.#cancels) cancel();
  }

  #accessPoint(id: string): Resource {
    const found = this.#aws.deployed
      .ofType('AWS::EFS::AccessPoint')
      .find((accessPoint) => idOf(accessPoint) === id);
    if (!found) throw new UnknownTemplate(`the access point ${id} is in no template`);
    return found;
  }
}

/** Such as `fs-` or `fsap-` and hexadecimal digits. */
function idOf({ arn }: Resource): string {
  return arn.slice(arn.lastIndexOf('/') + 1);
}

function bytesIn(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const status = statSync(join(folder, name));
    if (status.isFile()) bytes += status.size;
  }
  return bytes;
}
