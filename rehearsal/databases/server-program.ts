import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { PackagesUnavailable, unpackedPackages } from './debian-packages.ts';

const run = promisify(execFile);

/** A database server's program and the files that it needs at its side. */
export interface ServerProgram {
  /** The words that start it, before any option. */
  command: string[];
  /** The folder of its messages, character sets and, for MariaDB, its system tables' SQL. */
  share: string;
  /** Options that it needs in order to find its own files. */
  options: string[];
}

/** There is no such server on this machine; the message says how to get one. */
export class ServerUnavailable extends Error {
  override name = 'ServerUnavailable';
}

const SERVERS = {
  mysql: {
    label: 'MySQL',
    variable: 'MYSQLD',
    programs: ['mysqld'],
    // Debian's stable suites have no MySQL.
    suite: 'unstable',
    packages: ['mysql-server-core'],
    alone: [],
    unpacked: 'usr/sbin/mysqld',
  },
  mariadb: {
    label: 'MariaDB',
    variable: 'MARIADBD',
    programs: ['mariadbd', 'mysqld'],
    suite: 'stable',
    packages: ['mariadb-server-core'],
    // Its plugins.
    alone: ['mariadb-server'],
    unpacked: 'usr/sbin/mariadbd',
  },
} as const;

/**
 * Finds a server: the program that the environment variable `MYSQLD` or `MARIADBD` names, else one on the
 * PATH, else Debian's, fetched into the cache folder.
 *
 * @throws {@link ServerUnavailable}
 */
export async function serverProgram(engine: 'mysql' | 'mariadb'): Promise<ServerProgram> {
  const server = SERVERS[engine];
  const named = process.env[server.variable];
  if (named !== undefined) {
    if ((await engineOf(named)) === engine) return ownFiles(named);
    throw new ServerUnavailable(`${server.variable} names ${named}, which is no ${server.label} server.`);
  }
  for (const path of installedPrograms(server.programs)) {
    if ((await engineOf(path)) === engine) return ownFiles(path);
  }
  try {
    const { root, command } = await unpackedPackages(server.suite, server.packages, server.alone);
    const share = firstExisting(root, ['usr/share/mariadb/charsets', 'usr/share/mysql/charsets'], '..');
    const plugins = firstExisting(root, ['usr/lib/mariadb/plugin', 'usr/lib/mysql/plugin']);
    return {
      command: command(join(root, server.unpacked)),
      share,
      options: [
        `--basedir=${join(root, 'usr')}`,
        `--lc-messages-dir=${share}`,
        `--character-sets-dir=${join(share, 'charsets')}`,
        `--plugin-dir=${plugins}`,
      ],
    };
  } catch (error) {
    if (!(error instanceof PackagesUnavailable)) throw error;
    throw new ServerUnavailable(
      `No ${server.label} server: ${server.programs.join(' or ')} is not on the PATH, and ${error.message}. ` +
        `Install ${server.label}, or name its server program in the environment variable ${server.variable}.`,
    );
  }
}

/** Where packages and installers put servers without putting them on every user's PATH. */
const SERVER_FOLDERS = ['/usr/sbin', '/usr/libexec', '/usr/local/sbin', '/usr/local/mysql/bin'];

/** Those of the programs that this machine has. */
export function installedPrograms(programs: readonly string[]): string[] {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...SERVER_FOLDERS];
  const paths = programs.flatMap((program) => folders.map((folder) => join(folder, program)));
  return paths.filter((path) => existsSync(path));
}

/** Both call themselves mysqld somewhere, so their version tells them apart. */
async function engineOf(path: string): Promise<'mysql' | 'mariadb' | undefined> {
  const version = await run(path, ['--no-defaults', '--version']).catch(() => undefined);
  if (version === undefined) return undefined;
  return /mariadb/i.test(version.stdout) ? 'mariadb' : 'mysql';
}

/** MariaDB's folders have had its own name since 11.8. */
function firstExisting(root: string, paths: readonly string[], from = '.'): string {
  const found = paths.map((path) => join(root, path)).find((path) => existsSync(path));
  if (found === undefined) throw new ServerUnavailable(`${root} has none of ${paths.join(', ')}. Delete it.`);
  return join(found, from);
}

async function ownFiles(path: string): Promise<ServerProgram> {
  const { stdout } = await run(path, ['--no-defaults', '--verbose', '--help'], {
    maxBuffer: 16 * 1024 * 1024,
    cwd: '/',
  });
  const characterSets = /^character-sets-dir\s+(\S.*?)\/?\s*$/m.exec(stdout)?.[1];
  const share = characterSets === undefined ? join(dirname(path), '../share/mysql') : dirname(characterSets);
  return { command: [path], share, options: [] };
}
