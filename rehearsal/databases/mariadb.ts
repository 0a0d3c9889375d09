import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DatabaseServer, type Family, runOnce, type StartOptions, startServer } from './mysql-family.ts';

/**
 * Starts a real MariaDB; see {@link startServer} for what it has. It has no anonymous users: they would shadow
 * accounts of any host.
 *
 * @throws ServerUnavailable where there is none on this machine.
 */
export async function startMariadb(options?: StartOptions): Promise<DatabaseServer> {
  return startServer(MARIADB, options);
}

const MARIADB: Family = {
  engine: 'mariadb',
  storage: ['--innodb-log-file-size=16M'],
  // What mariadb-install-db does, which cannot run a server that needs its own loader.
  initialize: async ({ command, share }, options) => {
    const data = options.find((option) => option.startsWith('--datadir='))?.slice('--datadir='.length);
    if (data !== undefined) await mkdir(data, { recursive: true });
    const texts = await Promise.all(
      ['system_tables', 'performance_tables', 'system_tables_data'].map((script) =>
        // By the newer name (since 11.8), else by the older one.
        readFile(join(share, `mariadb_${script}.sql`), 'utf8').catch(() =>
          readFile(join(share, `mysql_${script}.sql`), 'utf8'),
        ),
      ),
    );
    await runOnce(
      [...command, ...options, '--bootstrap', '--log-warnings=0', '--enforce-storage-engine='],
      ['CREATE DATABASE mysql;', 'USE mysql;', 'SET @auth_root_socket = NULL;', ...texts, ''].join('\n'),
    );
  },
  // 2 names refused logins in the error log.
  options: ['--log-warnings=2', '--skip-log-bin'],
};
