import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** A database server's process, which ends with ours. */
export interface WatchedServer {
  /** Resolves when the process has ended, with what it wrote to its standard error. */
  ended: Promise<string>;
  /** What it has written to its standard error so far. */
  log(): string;
  /** Ends the server and deletes its folder. */
  stop(): Promise<void>;
}

/** What a server needs that is not like the others. */
export interface WatchedServerOptions {
  /** Whom it runs as. @default this process's user */
  owner?: { uid: number; gid: number };
  /** What ends it at once. A server of several processes needs a signal that its first one can pass on. @default 'KILL' */
  signal?: 'KILL' | 'QUIT';
}

/**
 * Runs the server and a reader of its own standard input, the other end of which this process holds: whatever
 * ends this process closes it, and the reader then kills the server, and the shell deletes the folder. What is
 * in it is thrown away, so the server need not end tidily. The shell itself says of a killed child that it was killed,
 * to a pipe that nobody may read any more: hence the trap.
 */
const SCRIPT = `
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
( read -r _ <&3; kill -$SIGNAL $server ) >/dev/null 2>&1 &
reader=$!
trap '' PIPE
wait $server
status=$?
kill $reader 2>/dev/null
cd /
rm -rf "$FOLDER"
exit $status
`;

/** How long a killed server may take to end. It takes some milliseconds, more on a busy machine; this only stops a hang. */
const STOP_LIMIT_MS = 60_000;

/** Starts a server whose data lie in a folder that is deleted at its end, however this process ends. */
export function watchedServer(
  command: readonly string[],
  folder: string,
  { owner, signal = 'KILL' }: WatchedServerOptions = {},
): WatchedServer {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', ...command], {
    cwd: folder,
    env: { ...process.env, FOLDER: folder, SIGNAL: signal },
    stdio: ['pipe', 'ignore', 'pipe'],
    // A session of its own, so that Ctrl-C reaches us alone and the database serves until we are done.
    detached: true,
    ...owner,
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', () => resolve(errors));
  });
  // Who forgets stop() is not kept from ending.
  for (const handle of [child, child.stdin, child.stderr]) {
    if ('unref' in handle && typeof handle.unref === 'function') handle.unref();
  }
  return { ended, log: () => errors, stop: () => stop(child, ended) };
}

async function stop(child: ChildProcess, ended: Promise<string>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  child.stdin?.end();
  const late = new AbortController();
  await Promise.race([
    ended,
    delay(STOP_LIMIT_MS, undefined, { signal: late.signal }).then(() => {
      throw new Error(`The database server (process group ${child.pid}) did not end; end it by hand.`);
    }),
  ]).finally(() => late.abort());
}

/**
 * Waits until a server says that it is there.
 * @param ready what it writes to its standard error then
 * @throws Error with what it wrote, where it ended instead
 */
export async function untilReady(server: WatchedServer, ready: RegExp): Promise<void> {
  let hasEnded = false;
  void server.ended.then(() => {
    hasEnded = true;
  });
  while (!ready.test(server.log())) {
    if (hasEnded) throw new Error(`the server ended: ${server.log()}`);
    await delay(10);
  }
}

/** A port of the loopback interface that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the system gave no free port');
  return address.port;
}
