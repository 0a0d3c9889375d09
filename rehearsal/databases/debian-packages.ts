import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { glob, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from './cache-folder.ts';

const run = promisify(execFile);

/** Packages unpacked, not installed, in a folder of their own, with all that they depend on, libc included. */
export interface UnpackedPackages {
  /** The folder that holds `usr`. */
  root: string;
  /** The words that start a program of the packages with their own loader and libraries. */
  command(program: string): string[];
}

/** A suite's lists of packages that are older are fetched again: what they name may be gone from the archive. Milliseconds. */
const LISTS_LAST = 3_600_000;

/** The packages cannot be had on this machine; the message says why. */
export class PackagesUnavailable extends Error {
  override name = 'PackagesUnavailable';
}

/**
 * Fetches Debian packages into the cache folder and unpacks them there, once. Nothing is
 * installed and no state of the machine's own apt is touched: only its mirror and its keys are used.
 *
 * @param suite a Debian suite, such as `unstable`; `stable` is the suite of the machine's own sources.
 * @param names the packages; what they depend on comes along.
 * @param alone packages of which the files alone are wanted.
 * @throws {@link PackagesUnavailable}
 */
export async function unpackedPackages(
  suite: 'stable' | 'unstable',
  names: readonly string[],
  alone: readonly string[] = [],
): Promise<UnpackedPackages> {
  const cache = cacheFolder('debian');
  const root = join(cache, `${suite}-${[...names, ...alone].join('-')}`);
  if (!existsSync(root)) await fetchInto(root, cache, suite, names, alone);
  return describe(root);
}

/**
 * The files of one Debian package alone, for what needs nothing else: fetched into the cache folder once, likewise.
 *
 * @returns the folder that holds `bin` or `usr`
 * @throws {@link PackagesUnavailable}
 */
export async function unpackedAlone(name: string): Promise<string> {
  const cache = cacheFolder('debian');
  const root = join(cache, name);
  if (!existsSync(root)) await fetchInto(root, cache, 'stable', [], [name]);
  return root;
}

async function fetchInto(
  root: string,
  cache: string,
  suite: 'stable' | 'unstable',
  names: readonly string[],
  alone: readonly string[],
): Promise<void> {
  const mirror = await machinesMirror();
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'fetching-'));
  try {
    await whileAlone(join(cache, `${suite}.lock`), async () => {
      if (existsSync(root)) return;
      const archives = join(work, 'archives');
      const apt = await privateApt(
        join(cache, `${suite}.apt`),
        archives,
        mirror.uri,
        suite === 'stable' ? mirror.suite : suite,
      );
      if (names.length > 0) await apt('install', '--download-only', '--yes', ...names);
      if (alone.length > 0) await apt('download', ...alone);
      const unpacked = join(work, 'root');
      await mkdir(unpacked);
      for (const file of await readdir(archives)) {
        if (file.endsWith('.deb')) await run('dpkg-deb', ['--extract', join(archives, file), unpacked]);
      }
      // Whole or not at all: a fetch may be cut off.
      await rename(unpacked, root);
    });
  } catch (error) {
    throw new PackagesUnavailable(
      `Debian's ${[...names, ...alone].join(', ')} (${suite}) could not be fetched: ${reasonOf(error)}`,
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** While no other process does; util-linux, which each Debian has, gives the lock back however this process ends. */
async function whileAlone(lock: string, work: () => Promise<void>): Promise<void> {
  const holder = spawn('flock', [lock, 'sh', '-c', 'echo; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const closed = once(holder, 'close');
  closed.catch(() => {});
  const [taken] = await Promise.race([once(holder.stdout, 'data'), closed]);
  if (!(taken instanceof Buffer)) throw new Error(`flock ${lock} ended with ${taken}`);
  try {
    await work();
  } finally {
    holder.stdin.end();
    await closed;
  }
}

/** The first Debian archive among the machine's apt sources. */
async function machinesMirror(): Promise<{ uri: string; suite: string }> {
  const format = ['--no-release-info', '--format', '$(REPO_URI) $(RELEASE) $(COMPONENT)'];
  const { stdout } = await run('apt-get', ['indextargets', ...format, 'Created-By: Packages']).catch(
    (error: unknown) => {
      throw new PackagesUnavailable(`this machine has no apt: ${reasonOf(error)}`);
    },
  );
  for (const line of stdout.split('\n')) {
    const [uri, suite, component] = line.split(' ');
    if (uri && suite && component === 'main' && /\/debian\/?$/.test(uri)) return { uri, suite };
  }
  throw new PackagesUnavailable("this machine's apt sources name no Debian archive");
}

/** An apt-get with lists, cache and status of its own, kept in a folder. The status is empty, so that nothing counts as there. */
async function privateApt(folder: string, archives: string, uri: string, suite: string) {
  const lists = join(folder, 'state', 'lists');
  await mkdir(join(archives, 'partial'), { recursive: true });
  await mkdir(join(lists, 'partial'), { recursive: true });
  await mkdir(join(folder, 'cache'), { recursive: true });
  await writeFile(join(folder, 'status'), '');
  // Where the package debian-archive-keyring put it; a machine without it has the keys among apt's own.
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const signedBy = existsSync(keyring) ? `[signed-by=${keyring}] ` : '';
  await writeFile(join(folder, 'sources.list'), `deb ${signedBy}${uri} ${suite} main\n`);
  const settings = {
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'Dir::Cache::archives': archives,
    // apt's own user may not enter a folder below a home folder. Effective for root only.
    'APT::Sandbox::User': 'root',
    'APT::Install-Recommends': 'false',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const apt = async (...words: string[]) => {
    await run('apt-get', [...options, '--quiet=2', ...words], {
      cwd: archives,
      maxBuffer: 16 * 1024 * 1024,
    });
  };
  const updated = join(folder, 'updated');
  if (!existsSync(updated) || Date.now() - statSync(updated).mtimeMs > LISTS_LAST) {
    await apt('update');
    await writeFile(updated, '');
  }
  return apt;
}

async function describe(root: string): Promise<UnpackedPackages> {
  const [loader] = await matches(root, '{usr/,}{lib,lib64}/{,*-linux-gnu/}ld-linux*.so.*');
  const libraries = await matches(root, '{usr/,}lib/*-linux-gnu');
  if (loader === undefined || libraries.length === 0) {
    throw new PackagesUnavailable(`${root} holds no loader; delete that folder, it is then fetched again`);
  }
  return { root, command: (program) => [loader, '--library-path', libraries.join(':'), program] };
}

async function matches(root: string, pattern: string): Promise<string[]> {
  const found: string[] = [];
  for await (const path of glob(pattern, { cwd: root })) found.push(path);
  return found.sort().map((path) => join(root, path));
}

function reasonOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'stderr' in error && typeof error.stderr === 'string') {
    const lines = error.stderr.trim().split('\n').slice(-3).join('; ');
    if (lines) return lines;
  }
  return error instanceof Error ? error.message : String(error);
}
