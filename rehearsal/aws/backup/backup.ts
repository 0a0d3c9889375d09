import type { DescribeProtectedResourceCommandInput } from '@aws-sdk/client-backup';
import * as client from '@aws-sdk/client-backup';
import { AwsError } from '../aws-error.ts';
import { anywhere, type Cloud, type Operations, operation, type Service } from '../cloud.ts';

const HOUR = 3600 * 1000;
const DAY = 24 * HOUR;
/** AWS Backup's default window begins at 05:00 UTC. */
const AUTOMATIC_AT = 5 * HOUR;

/** AWS Backup: when resources were last backed up. What it backs up it copies nowhere. */
export class Backup implements Service {
  readonly signingName = 'backup';
  readonly client = client;
  readonly operations: Operations = {
    DescribeProtectedResource: operation(
      anywhere('backup:DescribeProtectedResource'),
      ({ ResourceArn: arn = '' }: DescribeProtectedResourceCommandInput, { account, region }) => {
        const [, , service, ownRegion, ownAccount] = arn.split(':');
        const last = ownRegion === region && ownAccount === account ? this.#lastBackups.get(arn) : undefined;
        if (last === undefined)
          throw new AwsError('ResourceNotFoundException', `The stand-in knows no backup of ${arn}`);
        return {
          ResourceArn: arn,
          ResourceType: RESOURCE_TYPES[service ?? ''],
          LastBackupTime: new Date(last),
        };
      },
    ),
  };
  readonly #lastBackups = new Map<string, number>();
  #cancel = () => {};

  /** File systems that ask for automatic backups have had them daily. */
  constructor({ clock, deployed }: Cloud) {
    const backedUp = deployed
      .ofType('AWS::EFS::FileSystem')
      .filter(({ properties }) => properties.child('BackupPolicy')?.text('Status') === 'ENABLED');
    if (backedUp.length === 0) return;
    const backUp = (time: number) => {
      for (const { arn } of backedUp) this.put(arn, time);
      this.#cancel = clock.at(time + DAY, () => backUp(time + DAY));
    };
    backUp(Math.floor((clock.now() - AUTOMATIC_AT) / DAY) * DAY + AUTOMATIC_AT);
  }

  /** Has a resource backed up at a time, in epoch milliseconds. */
  put(resourceArn: string, time: number): void {
    this.#lastBackups.set(resourceArn, time);
  }

  close(): void {
    this.#cancel();
  }
}

/** AWS Backup's names, by the service in the resource's ARN. */
const RESOURCE_TYPES: Record<string, string> = { elasticfilesystem: 'EFS' };
