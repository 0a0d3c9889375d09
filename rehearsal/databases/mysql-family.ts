import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { copyInitialized } from './data-template.ts';
import { type ServerProgram, serverProgram } from './server-program.ts';
import { serverCertificate, type TlsCertificate } from './tls-certificate.ts';
import { freePort, watchedServer } from './watched-server.ts';

const run = promisify(execFile);

/** A running MySQL or MariaDB, and how to log in to it as its administrator. */
export interface DatabaseServer {
  engine: 'mysql' | 'mariadb';
  host: string;
  port: number;
  /** May do everything, from everywhere. */
  user: string;
  /** Made anew at each start. */
  password: string;
  /** PEM. */
  certificateAuthority: string;
  /** What the server has written so far: its error log, and its general log if that was asked for. */
  logs(): Promise<string>;
  /** Ends the server, its connections and its data. Without it, all three end with this process. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Whether every statement is logged, as the server logs it. @default false */
  generalLog?: boolean;
  /** The name in the server's certificate. @default `localhost` */
  certificateName?: string;
  /** Shown in place of one that is made. @default one of an authority of its own */
  certificate?: TlsCertificate;
  /** Further options of the server's command line. */
  options?: string[];
}

/** What differs between MySQL and MariaDB. */
export interface Family {
  engine: 'mysql' | 'mariadb';
  /** Of the data folder, for its initialization too: a small log, since each server has its own. */
  storage: string[];
  /** Makes the data folder's system tables, with a `root@localhost` that has no password. */
  initialize(program: ServerProgram, options: string[]): Promise<void>;
  options: string[];
}

/** Nothing has to survive a crash, so nothing waits for the disk. */
const STORAGE = [
  '--innodb-flush-log-at-trx-commit=0',
  '--innodb-flush-method=nosync',
  '--innodb-doublewrite=0',
];

/** How long a start may take on a busy machine. It takes a few seconds; this only stops a hang. */
const START_LIMIT_MS = 60_000;

/**
 * Starts a real server on a free port of the loopback interface, with an empty data folder that is deleted at
 * its end, and with TLS by a certificate and an authority of its own: those that MySQL makes
 * for itself fail a check of the host name, and MariaDB 10.11 makes none.
 */
export async function startServer(family: Family, options: StartOptions = {}): Promise<DatabaseServer> {
  const program = await serverProgram(family.engine);
  const folder = await mkdtemp(join(tmpdir(), `rehearsal-${family.engine}-`));
  try {
    return await start(family, program, folder, options);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function start(
  family: Family,
  program: ServerProgram,
  folder: string,
  { generalLog = false, certificateName = 'localhost', options = [], ...given }: StartOptions,
): Promise<DatabaseServer> {
  const certificate = given.certificate ?? (await serverCertificate(certificateName));
  const file = (name: string) => join(folder, name);
  await writeFile(file('ca.pem'), certificate.authority);
  await writeFile(file('certificate.pem'), certificate.certificate);
  await writeFile(file('key.pem'), certificate.key, { mode: 0o600 });
  const common = [
    '--no-defaults',
    ...(process.geteuid?.() === 0 ? ['--user=root'] : []),
    ...program.options,
    ...STORAGE,
    ...family.storage,
    // In a common one a server that starts deletes the temporary tables of the others.
    `--tmpdir=${folder}`,
  ];
  const dataFolder = (path: string) => [...common, `--datadir=${path}`];
  await copyInitialized(
    file('data'),
    { program: program.command.at(-1) ?? '', options: [...program.options, ...STORAGE, ...family.storage] },
    (path) => family.initialize(program, dataFolder(path)),
  );
  // Each server makes an identity of its own, so that one can follow another.
  await rm(join(file('data'), 'auto.cnf'), { force: true });

  const port = await freePort();
  const socket = file('socket');
  const server = watchedServer(
    [
      ...program.command,
      ...dataFolder(file('data')),
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${socket}`,
      `--pid-file=${file('pid')}`,
      `--log-error=${file('error.log')}`,
      `--general-log-file=${file('general.log')}`,
      '--general-log=OFF',
      `--ssl-ca=${file('ca.pem')}`,
      `--ssl-cert=${file('certificate.pem')}`,
      `--ssl-key=${file('key.pem')}`,
      '--skip-name-resolve',
      '--max-connections=300',
      ...family.options,
      ...options,
    ],
    folder,
  );
  const password = randomBytes(18).toString('base64url');
  const logs = async () => {
    const written = await Promise.all(
      ['error.log', 'general.log'].map((name) => readFile(file(name), 'utf8').catch(() => '')),
    );
    return written.join('\n');
  };
  try {
    let gone: string | undefined;
    void server.ended.then((errors) => {
      gone = errors;
    });
    const giveUp = Date.now() + START_LIMIT_MS;
    for (;;) {
      try {
        await makeAdministrator(socket, password, generalLog);
        break;
      } catch (error) {
        if (gone === undefined && Date.now() < giveUp) await delay(100);
        else throw new Error(`The server did not start: ${gone ?? reasonOf(error)} ${await logs()}`);
      }
    }
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    engine: family.engine,
    host: 'localhost',
    port,
    user: 'administrator',
    password,
    certificateAuthority: certificate.authority,
    logs,
    stop: server.stop,
  };
}

async function makeAdministrator(socketPath: string, password: string, generalLog: boolean): Promise<void> {
  const connection = await createConnection({ socketPath, user: 'root' });
  try {
    const [roots] = await connection.query("SELECT User, Host FROM mysql.user WHERE User = 'root'");
    for (const { Host } of roots as { Host: string }[]) {
      if (Host !== 'localhost') await connection.query('DROP USER root@?', [Host]);
    }
    await connection.query("CREATE USER administrator@'%' IDENTIFIED BY ?", [password]);
    await connection.query("GRANT ALL ON *.* TO administrator@'%' WITH GRANT OPTION");
    await connection.query('ALTER USER root@localhost IDENTIFIED BY ?', [
      randomBytes(18).toString('base64url'),
    ]);
    // Last: MariaDB would log the passwords above.
    if (generalLog) await connection.query('SET GLOBAL general_log = ON');
  } finally {
    await connection.end();
  }
}

/** Runs the server's own program once, as for its initialization, with a script for its standard input. */
export async function runOnce(command: readonly string[], input?: string): Promise<void> {
  const [program, ...words] = command;
  if (program === undefined) throw new Error('no program');
  const running = run(program, words, { cwd: '/', maxBuffer: 16 * 1024 * 1024 });
  running.child.stdin?.end(input);
  await running;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
