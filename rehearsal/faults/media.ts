import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MEDIA_UNUSED_MS } from '../whatsapp/message-rows.ts';
import type { MediaEntry } from '../whatsapp/message-store.ts';
import type { PlayedDeployment } from '../world.ts';
import { type Fault, GOOD, HOUR, SUNDAY } from './fault.ts';

const GIBIBYTE = 1024 ** 3;
/** More than there are of anything here. */
const MANY = 1_000_000;

/** What goes wrong of the media and their volume. */
export const MEDIA_FAULTS: Record<string, Fault> = {
  'media-needs-several-calls': {
    description: 'The first media GC ends with errors, the next one does not',
    deployment: 'emea',
    starts: SUNDAY,
    strike({ webApp }) {
      webApp.faults.failingRequests = 1;
    },
    expected: GOOD,
  },
  'media-undeletable': {
    description:
      'One unused media file cannot be deleted: each media GC deletes the others and ends with errors',
    deployment: 'emea',
    starts: SUNDAY,
    async strike(target, { clock }) {
      const [unused] = await unusedMedia(target, clock.now());
      if (unused) target.mediaVolume?.media.undeletable.add(unused.path);
    },
    expected: { outcomes: { 'media-gc': ['partial'] }, alarms: ['emea-media-gc-partial'] },
  },
  'media-volume-read-only': {
    description: 'No media file can be deleted: each media GC ends with errors, message GC does not',
    deployment: 'emea',
    starts: SUNDAY,
    async strike(target, { clock }) {
      for (const { path } of await unusedMedia(target, clock.now()))
        target.mediaVolume?.media.undeletable.add(path);
    },
    expected: { outcomes: { 'media-gc': ['failed'] }, alarms: ['emea-media-gc-failed'] },
  },
  'media-volume-too-large': {
    description:
      'Somebody puts 250 GiB beside the media: too much for the volume, which EFS tells hours later',
    deployment: 'emea',
    strike({ mediaVolume }) {
      if (!mediaVolume) throw new Error('There is no media volume.');
      const file = join(mediaVolume.folder, 'copy.tar');
      // A file with a hole, so it takes no room here.
      writeFileSync(file, '');
      truncateSync(file, 250 * GIBIBYTE);
    },
    expected: { outcomes: {}, alarms: ['emea-media-size'] },
  },
  'backup-too-old': {
    description: 'The last backup of the media volume is of three days ago',
    deployment: 'emea',
    strike({ mediaVolume }, { aws, clock }) {
      if (!mediaVolume) throw new Error('There is no media volume.');
      aws.backup.put(mediaVolume.fileSystem.arn, clock.now() - 72 * HOUR);
    },
    expected: { outcomes: {}, alarms: ['emea-media-backup'] },
  },
};

async function unusedMedia({ store }: PlayedDeployment, now: number): Promise<MediaEntry[]> {
  const unused = (await store?.unusedMedia(now - MEDIA_UNUSED_MS, '0', MANY)) ?? [];
  if (unused.length === 0) throw new Error('There are no unused media.');
  return unused;
}
