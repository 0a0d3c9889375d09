import {
  BackupClient,
  DescribeProtectedResourceCommand,
  ResourceNotFoundException,
} from '@aws-sdk/client-backup';
import type { Answer } from '../shared/database/sizes/measure-set.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import { type MediaVolumeSettings, NO_BACKUP_HOURS } from './contract.ts';

/** What AWS Backup knows of a file system's last backup. */
export type LastBackup =
  /** `time` in ISO 8601. */
  { kind: 'made'; time: string; ageHours: number } | { kind: 'none' };

const HOUR_MS = 3600 * 1000;

const backup = namingErrors(new BackupClient({ requestHandler: REQUEST_LIMITS }));

/** Asks AWS Backup when it last backed the media volume up. */
export async function lastBackupOf({ fileSystemArn }: MediaVolumeSettings): Promise<Answer<LastBackup>> {
  try {
    const { LastBackupTime: time } = await backup.send(
      new DescribeProtectedResourceCommand({ ResourceArn: fileSystemArn }),
    );
    if (!time)
      return { kind: 'not-told', error: 'AWS Backup knows the file system, and told no LastBackupTime.' };
    const ageHours = Math.round(((Date.now() - time.getTime()) / HOUR_MS) * 10) / 10;
    return { kind: 'told', value: { kind: 'made', time: time.toISOString(), ageHours } };
  } catch (error) {
    // What was never backed up is no protected resource.
    if (error instanceof ResourceNotFoundException) return { kind: 'told', value: { kind: 'none' } };
    return { kind: 'not-told', error: error instanceof Error ? error.message : String(error) };
  }
}

/** As the metric has it, which has no word for "none". */
export function ageHoursOf(backup: LastBackup): number {
  return backup.kind === 'made' ? backup.ageHours : NO_BACKUP_HOURS;
}
