import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ReadStream } from 'node:tty';
import { spawn as spawnByLibrary } from '@lydell/node-pty';

/** A process whose input, output and controlling terminal are one new pseudo-terminal. */
export interface Terminal {
  /** Of the direct child, as this process sees it. */
  readonly pid: number;
  /** Fulfilled when the last process has closed the terminal, or when {@link hangUp} was called. */
  readonly closed: Promise<void>;
  write(input: Uint8Array): void;
  resize(columns: number, rows: number): void;
  /** Stops and resumes reading: a process that writes on blocks once the terminal's buffer is full. */
  pause(): void;
  resume(): void;
  /** Kills the direct child only. */
  killChild(): void;
  /** Closes our side of the terminal: what still runs under it gets SIGHUP. */
  hangUp(): void;
}

export interface TerminalOptions {
  /** Programs that lead into the container, before the command itself. */
  entrance: string[];
  argv: string[];
  environment: Record<string, string>;
  workingFolder: string;
  onOutput: (bytes: Buffer) => void;
  /**
   * Who makes the terminal the command's own: util-linux's `setsid`, or node-pty, which works everywhere, has a size
   * from the start, and closes the terminal soon after the first process has exited.
   *
   * @default `setsid` on Linux
   */
  by?: 'setsid' | 'node-pty';
}

/**
 * Starts a command as Session Manager's agent does: no shell, a session of its own under a new terminal of size
 * 0 × 0, reading paused; it is read until the last process has closed the terminal.
 */
export function startInTerminal(options: TerminalOptions): Terminal {
  const by = options.by ?? (process.platform === 'linux' ? 'setsid' : 'node-pty');
  return by === 'setsid' ? startBySetsid(options) : startByLibrary(options);
}

function startBySetsid({ entrance, argv, environment, workingFolder, onOutput }: TerminalOptions): Terminal {
  const { master, slave, pty } = native.open(0, 0);
  // The library's own end does not block, and a program's standard input has to.
  const end = openSync(pty, constants.O_RDWR | constants.O_NOCTTY);
  closeSync(slave);
  const stream = new ReadStream(master);
  masters.set(master, stream);
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  let child: ChildProcess;
  try {
    // `env` keeps this machine's environment out, and leads on by the search path of the container's own.
    const settings = Object.entries({ ...AGENTS_ENVIRONMENT, ...environment }).map(
      ([name, value]) => `${name}=${value}`,
    );
    const [program = '', ...rest] = [...entrance, 'setsid', '--ctty', 'env', '-i', ...settings, ...argv];
    child = spawn(program, rest, { cwd: workingFolder, stdio: withoutTerminals([end, end, end]) });
  } catch (error) {
    stream.destroy();
    throw error;
  } finally {
    closeSync(end);
  }
  // What cannot be started closes its terminal.
  child.on('error', () => {});
  stream.on('data', onOutput);
  // EIO is how Linux says that no process has the terminal open any more.
  stream.on('error', () => stream.destroy());
  stream.on('close', () => {
    // Its number may be another one's by now.
    if (masters.get(master) === stream) masters.delete(master);
    resolve();
  });
  stream.pause();
  return {
    pid: child.pid ?? 0,
    closed,
    write: (input) => {
      if (!stream.destroyed) stream.write(input);
    },
    resize: (columns, rows) => {
      if (!stream.destroyed) native.resize(master, columns, rows);
    },
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    killChild: () => {
      const leader = entrance.length === 0 ? child.pid : firstChildOf(child.pid ?? 0);
      if (leader !== undefined) kill(leader);
      child.kill('SIGKILL');
    },
    hangUp: () => stream.destroy(),
  };
}

function startByLibrary({ entrance, argv, environment, workingFolder, onOutput }: TerminalOptions): Terminal {
  const [program = '', ...rest] = [...entrance, ...argv];
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const pty = spawnByLibrary(program, rest, {
    cwd: workingFolder,
    env: { ...AGENTS_ENVIRONMENT, ...environment },
    encoding: null,
  });
  let open = true;
  // The types say text, but without an encoding it is bytes.
  pty.onData((data: string | Buffer) => onOutput(Buffer.from(data)));
  pty.onExit(() => {
    open = false;
    resolve();
  });
  pty.pause();
  return {
    pid: pty.pid,
    closed,
    write: (input) => {
      if (open) pty.write(Buffer.from(input).toString());
    },
    resize: (columns, rows) => {
      if (open && columns > 0 && rows > 0) pty.resize(columns, rows);
    },
    pause: () => pty.pause(),
    resume: () => pty.resume(),
    killChild: () => kill(pty.pid),
    hangUp: () => {
      pty.resume();
      if (open) pty.kill('SIGHUP');
    },
  };
}

/** What the agent sets, where the container does not. */
const AGENTS_ENVIRONMENT = { TERM: 'xterm-256color', LANG: 'C.UTF-8' };

/** Our sides of the terminals that are open. The library makes them so that every child process inherits them. */
const masters = new Map<number, ReadStream>();

/**
 * The standard streams of a child process that lives long: where it would inherit our side of a terminal it gets
 * `/dev/null` instead. A terminal hangs up only when all who hold our side of it have closed it.
 */
export function withoutTerminals<Stream extends number | 'ignore' | 'pipe'>(
  streams: Stream[],
): (Stream | number | 'ignore')[] {
  const substitute = openNothing();
  const highest = Math.max(streams.length - 1, ...masters.keys());
  return Array.from(
    { length: highest + 1 },
    (_, n) => streams[n] ?? (masters.has(n) ? substitute : 'ignore'),
  );
}

let nothing: number | undefined;

function openNothing(): number {
  nothing ??= openSync('/dev/null', constants.O_RDWR);
  return nothing;
}

/** The native half of node-pty, which its types leave out. */
interface NativePty {
  open(columns: number, rows: number): { master: number; slave: number; pty: string };
  resize(master: number, columns: number, rows: number): void;
}

const native: NativePty = createRequire(import.meta.url)('@lydell/node-pty/requireBinary.js').requireBinary(
  'pty.node',
);

function firstChildOf(pid: number): number | undefined {
  try {
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    return first ? Number(first) : undefined;
  } catch {
    return undefined;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
