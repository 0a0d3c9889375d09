import { chmod, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseAddress, Login } from '../../functions/shared/database/contract/engine.ts';
import { unpackedPackages } from './debian-packages.ts';
import { installedPrograms } from './server-program.ts';
import { serverCertificate, type TlsCertificate } from './tls-certificate.ts';
import { freePort, untilReady, watchedServer } from './watched-server.ts';

/** A real pgbouncer before a real server, with one session of that for each user. */
export interface Pgbouncer {
  address: DatabaseAddress;
  stop(): Promise<void>;
}

/**
 * Starts the pgbouncer on the PATH, or Debian's.
 * @param logins who may log in through it
 * @param certificate that it shows. @default one for `localhost`
 * @throws PackagesUnavailable where there is none
 */
export async function startPgbouncer(
  { port: serverPort }: Pick<DatabaseAddress, 'port'>,
  poolMode: 'session' | 'transaction' | 'statement',
  logins: readonly Login[],
  certificate?: TlsCertificate,
): Promise<Pgbouncer> {
  const command = await program();
  const tls = certificate ?? (await serverCertificate());
  const folder = await mkdtemp(join(tmpdir(), 'pgbouncer-'));
  const port = await freePort();
  const file = async (name: string, text: string) => {
    const path = join(folder, name);
    // Of the user that it becomes where root starts it.
    await writeFile(path, text, { mode: 0o644 });
    return path;
  };
  const users = logins.map(({ username, password }) => `"${username}" "${password}"`).join('\n');
  const settings = [
    '[databases]',
    `* = host=127.0.0.1 port=${serverPort}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    ...(process.geteuid?.() === 0 ? ['user = nobody'] : []),
    'auth_type = scram-sha-256',
    `auth_file = ${await file('users', users)}`,
    `pool_mode = ${poolMode}`,
    'default_pool_size = 1',
    'client_tls_sslmode = require',
    `client_tls_cert_file = ${await file('certificate.pem', tls.certificate)}`,
    `client_tls_key_file = ${await file('key.pem', tls.key)}`,
    'server_tls_sslmode = require',
  ];
  const configuration = await file('pgbouncer.ini', `${settings.join('\n')}\n`);
  await chmod(folder, 0o755);
  const server = watchedServer([...command, configuration], folder);
  await untilReady(server, /process up/);
  return {
    address: {
      engine: 'postgres',
      host: 'localhost',
      port,
      database: 'postgres',
      certificateAuthority: tls.authority,
    },
    stop: server.stop,
  };
}

async function program(): Promise<string[]> {
  const [installed] = installedPrograms(['pgbouncer']);
  if (installed !== undefined) return [installed];
  const { root, command } = await unpackedPackages('stable', ['pgbouncer']);
  return command(join(root, 'usr/sbin/pgbouncer'));
}
