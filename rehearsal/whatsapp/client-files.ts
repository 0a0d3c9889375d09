import {
  chmodSync,
  mkdirSync,
  readdirSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Container } from '../aws/containers/container.ts';
import { seededRandom } from '../aws/seeded-random.ts';

/** `exporter` is that of Meta's monitoring stack: not the client's, but a user of its database. */
export type ClientRole = 'webapp' | 'coreapp' | 'master' | 'exporter';

/** What a container of the client has to clean up. */
export interface ClientFilesOptions {
  role: ClientRole;
  /** The same seed makes the same files. */
  seed: string;
  /** Epoch milliseconds: the files' ages are counted from it. */
  now: number;
  /** Whether the container has only just started: then nothing was rotated yet. @default false */
  isNew?: boolean;
  /**
   * `rotation-broken`: one log has grown to many times its limit, and the archive has more files than it should, which
   * the clean-up does not mend. `script-fails`: the clean-up ends with status 3. `script-hangs`: it does not end.
   */
  fault?: 'rotation-broken' | 'script-fails' | 'script-hangs';
}

/** Where WebApp and CoreApp have their media. */
export const MEDIA_PATH = '/usr/local/wamedia';
const ARCHIVE = '/var/log/whatsapp/archive';
const SCRIPT = '/opt/whatsapp/bin/cleanup.sh';
const LOGS: Record<ClientRole, string[]> = {
  webapp: ['/var/log/whatsapp/web.log', '/var/log/whatsapp/access.log', '/var/log/lighttpd/error.log'],
  coreapp: ['/usr/local/waent/logs/wa-service.log', '/usr/local/waent/logs/wa-service-crash.log'],
  master: ['/usr/local/waent/logs/wa-service.log', '/usr/local/waent/logs/wa-service-crash.log'],
  exporter: [],
};
const DAY = 24 * 60 * 60 * 1000;
/** Rotated files of each log before the clean-up, which keeps 30. */
const ARCHIVED_FILES = 36;
/** More than three times the 20 MB at which WebApp rotates. A file with a hole, so it takes no room here. */
const OVERGROWN_BYTES = 70 * 1024 * 1024;

/** Writes real logs, an archive of real compressed ones, and a clean-up script into a container. */
export function writeClientFiles(
  container: Container,
  { role, seed, now, isNew = false, fault }: ClientFilesOptions,
): void {
  const random = seededRandom(seed);
  for (const log of LOGS[role]) {
    writeFileSync(container.path(log), lines(random, 20 + Math.floor(random() * 200)));
    const archive = container.path(`${ARCHIVE}/x`).slice(0, -2);
    mkdirSync(archive, { recursive: true });
    for (let age = 1; age <= (isNew ? 0 : ARCHIVED_FILES); age++) {
      const day = new Date(now - age * DAY);
      const name = `${log.slice(log.lastIndexOf('/') + 1)}-${day.toISOString().slice(0, 10).replaceAll('-', '')}.gz`;
      const path = join(archive, name);
      writeFileSync(path, gzipSync(lines(random, 10 + Math.floor(random() * 40))));
      utimesSync(path, day, day);
    }
  }
  if (fault === 'rotation-broken') truncateSync(container.path(LOGS[role][0] ?? ''), OVERGROWN_BYTES);
  mkdirSync(container.path(MEDIA_PATH), { recursive: true });
  const script = container.path(SCRIPT);
  writeFileSync(script, cleanupScript(LOGS[role], fault));
  chmodSync(script, 0o755);
}

/** Bytes and number of the logs and their archive in a container, as they lie on this machine's disk. */
export function clientFiles(container: Container): { files: number; bytes: number } {
  const total = { files: 0, bytes: 0 };
  for (const folder of ['/var/log', '/usr/local/waent/logs'])
    for (const entry of readdirSync(container.path(`${folder}/x`).slice(0, -2), {
      recursive: true,
      withFileTypes: true,
    })) {
      // What is on record of kept logs is none.
      if (!entry.isFile() || entry.name === '.upkeep-kept') continue;
      total.files += 1;
      total.bytes += statSync(join(entry.parentPath, entry.name)).size;
    }
  return total;
}

/**
 * What `cleanup.sh` does in the client's own images is not public. This one keeps the 30 newest archived files of
 * each log and says what it removes.
 */
function cleanupScript(logs: string[], fault: ClientFilesOptions['fault']): string {
  if (fault === 'script-fails') return '#!/bin/sh\necho "cannot lock /var/run/cleanup.pid" >&2\nexit 3\n';
  if (fault === 'script-hangs') return '#!/bin/sh\necho waiting for a lock\nwhile :; do sleep 1; done\n';
  const names = logs.map((log) => log.slice(log.lastIndexOf('/') + 1));
  return `#!/bin/sh
cd ${ARCHIVE} || exit 1
for log in ${names.join(' ')}; do
  kept=0
  for file in $(ls -t "$log"-*.gz); do
    kept=$((kept + 1))
    [ "$kept" -gt ${fault === 'rotation-broken' ? ARCHIVED_FILES : 30} ] || continue
    rm "$file" && echo "removed $file"
  done
done
`;
}

function lines(random: () => number, count: number): string {
  return Array.from(
    { length: count },
    (_, line) => `2026-11-24T02:00:00Z INFO ${line} message ${random().toString(36).slice(2)} delivered\n`,
  ).join('');
}
