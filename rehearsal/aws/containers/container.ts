import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ownAddress } from './client-socket.ts';
import { startInTerminal, type Terminal, withoutTerminals } from './terminal.ts';

/**
 * How a container keeps to itself.
 *
 * - `namespaces`: its own mounts, root folder, process ids and `/proc`. What runs in it sees its paths as absolute
 *   ones, and dies with it. Linux, as root or where users may have namespaces.
 * - `rewritten`: ordinary processes of this machine. In the command's words (not in files that it reads) the
 *   container's absolute paths are replaced by where they really are. Everywhere else, and no more than a likeness.
 */
export type Isolation = 'namespaces' | 'rewritten';

export interface ContainerOptions {
  /** As in the task definition. */
  name: string;
  /** Its files, in a folder of this machine that is made here and removed by {@link Container.remove}. */
  folder: string;
  /** @default the best that this machine allows */
  isolation?: Isolation;
  /** Environment variables of what runs in it. */
  environment?: Record<string, string>;
}

/** A running container: a real folder as its file system, and real processes. */
export class Container {
  readonly name: string;
  readonly isolation: Isolation;
  /** As Docker and ECS name it: changes when the container is started anew. */
  readonly runtimeId =
    `${randomBytes(16).toString('hex')}-${String(randomBytes(4).readUInt32BE()).padStart(10, '0')}`;
  /** Whether ECS Exec's agent runs in it. A fault can stop it. */
  agentRunning = true;
  /** Programs that it does not have, though this machine does. A fault can add some. */
  readonly lacks = new Set<string>();
  /** From which it connects to others: on Linux its own one. */
  address = ownAddress();
  /** Fulfilled when it has stopped, however that came. */
  readonly stopped: Promise<void>;
  readonly #folder: string;
  readonly #environment: Record<string, string>;
  readonly #main: ChildProcess;
  readonly #terminals = new Set<Terminal>();
  #isStopped = false;

  private constructor(options: ContainerOptions & { isolation: Isolation }, main: ChildProcess) {
    this.name = options.name;
    this.isolation = options.isolation;
    this.#folder = options.folder;
    this.#environment = options.environment ?? {};
    this.#main = main;
    this.stopped = new Promise((resolve) => {
      main.once('exit', () => {
        this.#isStopped = true;
        for (const terminal of this.#terminals) terminal.hangUp();
        resolve();
      });
    });
  }

  /** Makes the container's folder and starts its main process. */
  static async start(options: ContainerOptions): Promise<Container> {
    const isolation = options.isolation ?? bestIsolation();
    for (const path of [...OWN_FOLDERS, ...OWN_INSIDE_OTHERS]) {
      mkdirSync(hostPath(options.folder, path), { recursive: true });
    }
    const main =
      isolation === 'namespaces'
        ? await startNamespaces(options.folder)
        : spawn('sh', ['-c', 'read -r end'], { stdio: withoutTerminals(['pipe', 'ignore', 'ignore']) });
    return new Container({ ...options, isolation }, main);
  }

  get running(): boolean {
    return !this.#isStopped;
  }

  /** Where a path of the container's own lies on this machine. Parents are made. */
  path(inContainer: string): string {
    const path = hostPath(this.#folder, inContainer);
    mkdirSync(join(path, '..'), { recursive: true });
    return path;
  }

  /**
   * Starts a command in it, under a terminal of its own, without a shell.
   *
   * @throws Error with the words of the agent if there is no such program
   */
  startInTerminal(
    argv: string[],
    onOutput: (bytes: Buffer) => void,
    environment: Record<string, string> = {},
  ): Terminal {
    if (this.#isStopped) throw new Error(`The container ${this.name} has stopped.`);
    const [program = ''] = argv;
    if (!this.has(program)) {
      throw new Error(`fork/exec ${program}: no such file or directory`);
    }
    const terminal = startInTerminal({
      entrance: this.#entrance(),
      argv: this.isolation === 'namespaces' ? argv : argv.map((word) => rewritten(word, this.#folder)),
      environment: { ...this.#fullEnvironment, ...environment },
      workingFolder: '/',
      onOutput,
    });
    this.#terminals.add(terminal);
    void terminal.closed.then(() => this.#terminals.delete(terminal));
    return terminal;
  }

  /**
   * Runs a script in it to its end, as `docker exec` would.
   *
   * @returns what it printed
   */
  async run(script: string): Promise<string> {
    let output = '';
    const terminal = this.startInTerminal(['sh', '-c', script], (bytes) => {
      output += bytes.toString();
    });
    terminal.resume();
    await terminal.closed;
    return output.replaceAll('\r\n', '\n');
  }

  /** What another process of this machine needs to start a command in it, as Docker's daemon does. */
  get way(): ContainerWay {
    return {
      entrance: this.#entrance(),
      environment: this.#fullEnvironment,
      ...(this.isolation === 'rewritten' && { rewrittenTo: this.#folder }),
    };
  }

  /** Stops it as a crash or SIGKILL does: at once, with everything that runs in it. */
  async kill(): Promise<void> {
    for (const terminal of this.isolation === 'rewritten' ? this.#terminals : []) {
      killSession(terminal.pid);
    }
    this.#main.kill('SIGKILL');
    await this.stopped;
  }

  /** Stops it and removes its files. */
  async remove(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }

  #entrance(): string[] {
    if (this.isolation === 'rewritten') return [];
    const init = childOf(this.#main.pid ?? 0);
    if (init === undefined) throw new Error(`The container ${this.name} has stopped.`);
    const user = process.getuid?.() === 0 ? [] : ['--user', '--preserve-credentials'];
    return ['nsenter', '--target', String(init), ...user, '--mount', '--pid', '--root', '--wd'];
  }

  /** Whether it has a program, by its path or on the search path. */
  has(program: string): boolean {
    if (program === '' || this.lacks.has(program)) return false;
    const folders = program.includes('/') ? [''] : SEARCH_PATH.split(':');
    return folders.some((folder) => {
      const path = `${folder}/${program}`.replace(/^\/+/, '/');
      return exists(hostPath(this.#folder, path)) || (!isOwn(path) && exists(path));
    });
  }

  get #fullEnvironment(): Record<string, string> {
    return { PATH: SEARCH_PATH, HOME: '/root', ...this.#environment };
  }
}

/** What ECS and its agents need of a container: all that one has which only answers as if commands ran in it. */
export type TaskContainer = Pick<
  Container,
  | 'name'
  | 'runtimeId'
  | 'running'
  | 'agentRunning'
  | 'lacks'
  | 'address'
  | 'stopped'
  | 'startInTerminal'
  | 'kill'
>;

/** The way into a container. */
export interface ContainerWay {
  /** Programs that lead into it, before the command itself. */
  entrance: string[];
  environment: Record<string, string>;
  /** The container's folder, to whose files the command's words are to be {@link rewritten}. */
  rewrittenTo?: string;
}

/** A word of a command for a container that is no more than a folder. */
export function rewritten(word: string, folder: string): string {
  return word.replace(OWN_PATH, (path) => hostPath(folder, path));
}

/** The best isolation that this machine allows: found by trying, once. */
export function bestIsolation(): Isolation {
  best ??= tryIsolation();
  return best;
}

let best: Isolation | undefined;

function tryIsolation(): Isolation {
  if (process.platform !== 'linux') return 'rewritten';
  try {
    execFileSync('unshare', [...unshareOptions(), 'true'], { stdio: 'ignore' });
    execFileSync('nsenter', ['--version'], { stdio: 'ignore' });
    return 'namespaces';
  } catch {
    return 'rewritten';
  }
}

/** Folders that a container has for itself; the rest of its file system is this machine's. */
const OWN_FOLDERS = ['/opt', '/var', '/tmp', '/run', '/root', '/home', '/srv', '/mnt'];
/** Such folders inside those of this machine. */
const OWN_INSIDE_OTHERS = ['/usr/local', '/dev/shm'];
/** Folders of this machine that a container sees. */
const SHARED_FOLDERS = ['usr', 'bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'etc', 'dev'];
/** One of the own folders where a path begins, in a text. */
const OWN_PATH = new RegExp(
  `(?<![\\w./-])(?:${[...OWN_INSIDE_OTHERS, ...OWN_FOLDERS].join('|')})(?![\\w.-])`,
  'g',
);
const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function isOwn(path: string): boolean {
  return [...OWN_FOLDERS, ...OWN_INSIDE_OTHERS].some((own) => path === own || path.startsWith(`${own}/`));
}

function hostPath(folder: string, inContainer: string): string {
  const inside = OWN_INSIDE_OTHERS.some((own) => inContainer === own || inContainer.startsWith(`${own}/`));
  return join(folder, inside ? 'own' : 'root', inContainer);
}

function unshareOptions(): string[] {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  return [...user, '--mount', '--pid', '--fork', '--kill-child=SIGKILL'];
}

/** The first process of a container: mounts its file system, says so, then reaps orphans until it is killed. */
async function startNamespaces(folder: string): Promise<ChildProcess> {
  const root = join(folder, 'root');
  const mounts = [`mount --rbind '${root}' '${root}'`];
  for (const name of SHARED_FOLDERS) {
    if (!existsSync(`/${name}`)) continue;
    if (lstatSync(`/${name}`).isSymbolicLink()) {
      if (!exists(join(root, name))) symlinkSync(readlinkSync(`/${name}`), join(root, name));
    } else {
      mkdirSync(join(root, name), { recursive: true });
      mounts.push(`mount --rbind '/${name}' '${root}/${name}'`);
    }
  }
  for (const path of OWN_INSIDE_OTHERS) mounts.push(`mount --bind '${folder}/own${path}' '${root}${path}'`);
  mkdirSync(join(root, 'proc'), { recursive: true });
  mounts.push(`mount -t proc proc '${root}/proc'`);
  // Ends with the process that started it, whose end of the pipe closes then, and everything in the container with it.
  const watch = '(read -r end <&3; kill -TERM 1) &';
  const main = `exec 3<&0; trap 'exit 0' TERM; ${watch} echo ready; while :; do sleep 3600 & wait; done`;
  const script = `set -e\n${mounts.join('\n')}\nexec chroot '${root}' /bin/sh -c "${main}"`;
  const child = spawn('unshare', [...unshareOptions(), 'sh', '-c', script], {
    stdio: withoutTerminals(['pipe', 'pipe', 'pipe']),
  });
  let complaint = '';
  child.stderr?.on('data', (text) => {
    complaint += text;
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', () => reject(new Error(`The container in ${folder} did not start: ${complaint}`)));
    child.once('error', reject);
  });
  return child;
}

/** The first child of a process. Linux. */
export function childOf(pid: number): number | undefined {
  try {
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    return first ? Number(first) : undefined;
  } catch {
    return undefined;
  }
}

/** Kills all processes of the session that this one leads. Linux; elsewhere only the process itself. */
function killSession(leader: number): void {
  const members = existsSync('/proc/self/stat')
    ? readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && sessionOf(entry) === leader)
    : [];
  for (const pid of [leader, ...members.map(Number)]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
}

function sessionOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[3]);
  } catch {
    return undefined;
  }
}

/** Also for links that lead nowhere on this side of the container's wall. */
function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
