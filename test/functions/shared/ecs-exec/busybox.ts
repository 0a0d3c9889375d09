import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * A busybox whose `ash` the wrapper is tested in: the machine's own, or Debian's static one, which is fetched once
 * and unpacked under the checkout's `.cache`, without installing anything and without root.
 *
 * @returns its path; undefined where there is neither
 */
export function findBusybox(): string | undefined {
  return findProgram('busybox', 'busybox-static');
}

/**
 * A program of Debian: the machine's own, or fetched once and unpacked under the checkout's `.cache`.
 *
 * @returns its path; undefined where there is neither
 */
export function findProgram(name: string, debianPackage: string): string | undefined {
  const cache = join(CACHE, debianPackage);
  const cached = join(cache, 'bin', name);
  const installed = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name));
  const found = [cached, ...installed].find((path) => existsSync(path));
  if (found !== undefined) return found;
  try {
    fetchFromDebian(debianPackage, cache, cached);
    return cached;
  } catch (error) {
    if (process.env.CI && process.platform === 'linux') throw error;
    return undefined;
  }
}

/** Why tests in busybox are skipped. */
export const NO_BUSYBOX = 'this machine has no busybox, and no apt to fetch it with';

const CACHE = fileURLToPath(new URL('../../../../.cache/debian', import.meta.url));
/** Milliseconds: apt downloads its package lists first, where they are missing. */
const LONGEST_FETCH = 180_000;

function fetchFromDebian(debianPackage: string, cache: string, program: string): void {
  mkdirSync(CACHE, { recursive: true });
  // Unpacked beside its place and moved there, because several test files may do this at once.
  const work = mkdtempSync(`${cache}-`);
  const run = (program: string, args: string[]) =>
    execFileSync(program, args, { cwd: work, stdio: 'pipe', timeout: LONGEST_FETCH });
  try {
    const download = ['download', debianPackage];
    try {
      run('apt-get', download);
    } catch {
      const own = privateApt(work);
      run('apt-get', [...own, 'update']);
      run('apt-get', [...own, ...download]);
    }
    const [archive = ''] = readdirSync(work).filter((name) => name.endsWith('.deb'));
    run('dpkg', ['-x', archive, 'unpacked']);
    try {
      renameSync(join(work, 'unpacked'), cache);
    } catch (error) {
      if (!existsSync(program)) throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The machine's package sources with lists of our own, which needs no root. */
function privateApt(folder: string): string[] {
  mkdirSync(join(folder, 'state', 'lists', 'partial'), { recursive: true });
  mkdirSync(join(folder, 'cache', 'archives', 'partial'), { recursive: true });
  return ['-o', `Dir::State=${join(folder, 'state')}`, '-o', `Dir::Cache=${join(folder, 'cache')}`];
}
