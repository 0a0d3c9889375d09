import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { PackagesUnavailable, unpackedAlone } from '../../../../rehearsal/databases/debian-packages.ts';

/**
 * A program of Debian: the machine's own, or fetched once and unpacked, without installing anything and without root.
 *
 * @returns its path; undefined where there is neither
 */
export async function findProgram(name: string, debianPackage: string): Promise<string | undefined> {
  const installed = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
  if (installed !== undefined) return installed;
  try {
    return join(await unpackedAlone(debianPackage), 'bin', name);
  } catch (error) {
    if (!(error instanceof PackagesUnavailable) || (process.env.CI && process.platform === 'linux'))
      throw error;
    return undefined;
  }
}

/** A busybox whose `ash` the wrapper is tested in. */
export const busybox = await findProgram('busybox', 'busybox-static');

/** Why tests in busybox are skipped. */
export const NO_BUSYBOX = 'this machine has no busybox, and no apt to fetch it with';
