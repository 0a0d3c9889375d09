import { type DatabaseServer, type Family, runOnce, type StartOptions, startServer } from './mysql-family.ts';

/**
 * Starts a real MySQL; see {@link startServer} for what it has.
 * @throws ServerUnavailable where there is none on this machine.
 */
export async function startMysql(options?: StartOptions): Promise<DatabaseServer> {
  return startServer(MYSQL, options);
}

const MYSQL: Family = {
  engine: 'mysql',
  storage: ['--innodb-redo-log-capacity=16M'],
  initialize: ({ command }, options) => runOnce([...command, ...options, '--initialize-insecure']),
  options: [
    '--mysqlx=OFF',
    // Its default folder is missing, and the server would stop.
    '--secure-file-priv=',
    '--disable-log-bin',
    // 3 names refused logins in the error log.
    '--log-error-verbosity=3',
  ],
};
