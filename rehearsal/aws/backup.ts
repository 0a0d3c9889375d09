import type { DescribeProtectedResourceCommandInput } from '@aws-sdk/client-backup';
import { AwsError } from './aws-error.ts';
import type { Call, Operations } from './server.ts';

/** AWS Backup: when resources were last backed up, as it is told. It backs nothing up itself. */
export class Backup {
  readonly operations: Operations = {
    DescribeProtectedResource: (
      { ResourceArn: arn = '' }: DescribeProtectedResourceCommandInput,
      { account, region }: Call,
    ) => {
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
  };
  readonly #lastBackups = new Map<string, number>();

  /** Has a resource backed up at a time, in epoch milliseconds. */
  put(resourceArn: string, time: number): void {
    this.#lastBackups.set(resourceArn, time);
  }
}

/** AWS Backup's names, by the service in the resource's ARN. */
const RESOURCE_TYPES: Record<string, string> = { elasticfilesystem: 'EFS' };
