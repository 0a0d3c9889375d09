// In one file though long: a host of its own, with what is mounted, typed and killed on it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, beforeEach } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PackagesUnavailable, unpackedPackages } from '../../rehearsal/databases/debian-packages.ts';

export const SCRIPT = fileURLToPath(new URL('../../bin/move-media', import.meta.url));

/** The folder that the host gives its containers, and where the new volume is mounted until the switch. */
export const CLIENT = '/mnt/wa/media';
export const NEW = '/mnt/wa-new';

export const STEPS = ['begin', 'copy', 'last-copy', 'verify', 'switch', 'back', 'status'] as const;

export interface Typed {
  status: number | null;
  output: string;
}

export interface TypedOptions {
  /** The script and all it started are killed before its so-manyth command that changes something. */
  killAt?: number;
  env?: Record<string, string>;
}

/**
 * A host: mounts, `/etc`, `/run` and `/var/lib` of its own (a mount namespace), in which the old file system holds `data` and
 * `media`, and the new one is empty.
 */
export class Host {
  readonly folder = mkdtempSync(join(tmpdir(), 'upkeep-move-'));
  readonly line = `${join(this.folder, 'new')} ${CLIENT} none bind 0 0`;
  readonly oldLine = `${join(this.folder, 'old')} /mnt/wa none bind 0 0`;
  readonly #tools: string;
  #holder: ChildProcess | undefined;

  private constructor(tools: string) {
    this.#tools = tools;
  }

  /** @param tools the folder of rsync. */
  static async start(tools: string): Promise<Host> {
    const host = new Host(tools);
    const commands = `
      set -e
      mount -t tmpfs none ${host.folder}
      cd ${host.folder}
      mkdir etc old new other snapshots
      cp -a /etc/. etc/ 2> /dev/null || true
      mount --bind etc /etc
      for at in /run /var/lib /mnt; do mount -t tmpfs none $at; done
      for disk in old new other; do mount -t tmpfs -o size=24m,mode=755 none $disk; done
      mkdir -p /mnt/wa ${NEW} old/data old/media
      mount --bind old /mnt/wa
      mount --bind new ${NEW}
      printf '# the host\\n\\nproc /proc proc defaults 0 0\\n%s' '${host.oldLine}' > /etc/fstab
      echo ready
      exec sleep infinity`;
    const holder = spawn('unshare', ['--mount', '--propagation', 'private', 'bash', '-c', commands], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    host.#holder = holder;
    await new Promise<void>((resolve, reject) => {
      holder.stdout?.once('data', () => resolve());
      holder.once('exit', () => reject(new Error('The host did not start.')));
    });
    return host;
  }

  stop(): void {
    this.#holder?.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A path of the host, as this process reaches it. */
  path(...path: string[]): string {
    return join(`/proc/${this.#holder?.pid}/root`, ...path);
  }

  oldSide(...path: string[]): string {
    return this.path(this.folder, 'old/media', ...path);
  }

  newSide(...path: string[]): string {
    return this.path(this.folder, 'new', ...path);
  }

  /** Runs commands on the host. */
  shell(commands: string): string {
    const { status, output } = this.#run(['bash', '-ec', commands], {});
    assert.equal(status, 0, output);
    return output;
  }

  type(step: string, ...words: string[]): Typed {
    return this.#run(['bash', SCRIPT, step, ...words], {});
  }

  typeWith(options: TypedOptions, step: string, ...words: string[]): Typed {
    return this.#run(['bash', SCRIPT, step, ...words], options);
  }

  begin(...words: string[]): Typed {
    return this.type('begin', ...(words.length > 0 ? words : this.beginWords()));
  }

  beginWords(): string[] {
    return ['--old', CLIENT, '--new', NEW, '--line', this.line];
  }

  /** Types a step; `begin` with its words. */
  typeStep(step: string, options: TypedOptions = {}): Typed {
    return this.typeWith(options, step, ...(step === 'begin' ? this.beginWords() : []));
  }

  works(...steps: string[]): string {
    return steps
      .map((step) => {
        const { status, output } = this.typeStep(step);
        assert.equal(status, 0, `${step}: ${output}`);
        return output;
      })
      .join('');
  }

  fails(step: string): string {
    const { status, output } = this.typeStep(step);
    assert.notEqual(status, 0, `${step}: ${output}`);
    return output;
  }

  fstab(): string {
    return readFileSync(this.path('/etc/fstab'), 'utf8');
  }

  /** Whether fstab gives the client the new volume. */
  isSwitched(): boolean {
    return this.fstab().split('\n').includes(this.line);
  }

  /** Everything is unmounted, and mounted as fstab says. The new volume's own mount is the operator's, who mounts it again. */
  restart(): void {
    this.shell(`
      ${UNMOUNT}
      findmnt --fstab --noheadings --raw --output SOURCE,TARGET,FSTYPE | while read -r source target type; do
        if [ "$type" = none ]; then mount --bind "$source" "$target"; fi
      done
      umount ${NEW} 2> /dev/null || true
      mount --bind ${this.folder}/new ${NEW}`);
  }

  /** All that lasts: both disks, fstab, what the script keeps on the host. */
  keep(name: string): void {
    this.shell(`
      cd ${this.folder}; mkdir -p snapshots/${name}/lib; cp /etc/fstab snapshots/${name}/
      cp -a old new snapshots/${name}/
      if [ -d /var/lib/move-media ]; then cp -a /var/lib/move-media snapshots/${name}/lib/; fi`);
  }

  restore(name: string): void {
    this.shell(`
      ${UNMOUNT}
      cd ${this.folder}
      cp --remove-destination snapshots/${name}/fstab /etc/fstab
      find old new -mindepth 1 -delete; rm -rf /var/lib/move-media
      cp -a snapshots/${name}/old/. old/; cp -a snapshots/${name}/new/. new/
      cp -a snapshots/${name}/lib/. /var/lib/`);
    this.restart();
  }

  /** All that lasts, as one text. */
  fingerprint(): string {
    return this.shell(`
      cd ${this.folder}
      find old new etc/fstab /var/lib/move-media -not -path '*/known' -printf '%p %y %m %U %G %s %T@ %l\\n' 2> /dev/null | sort
      find old new etc/fstab -type f -print0 | sort -z | xargs -0 sha256sum; findmnt --list --noheadings --output TARGET | grep ^/mnt`);
  }

  /** Likewise what is there now, mounts too, without a process: names and contents. Of ids it tells which are the same. */
  state(): string {
    const list = (folder: string): unknown[] =>
      !existsSync(folder)
        ? []
        : readdirSync(folder, { withFileTypes: true })
            .sort((one, other) => (one.name < other.name ? -1 : 1))
            .map((entry) => {
              const path = join(folder, entry.name);
              if (entry.isDirectory()) return [entry.name, list(path)];
              if (!entry.isFile()) return [entry.name, readlinkSync(path)];
              const content = readFileSync(path);
              return [entry.name, content.length > 10_000 ? hash('sha1', content) : content.toString()];
            });
    const mounts = readFileSync(`/proc/${this.#holder?.pid}/mountinfo`, 'utf8')
      .split('\n')
      .flatMap((line) => {
        const [, , , root, target] = line.split(' ');
        return target?.startsWith('/mnt') || target?.startsWith('/run/move-media') ? `${root} ${target}` : [];
      });
    const folders = ['old', 'new'].map((name) => this.path(this.folder, name));
    const ids: string[] = [];
    return JSON.stringify([
      ...[...folders, this.path('/var/lib/move-media'), this.path('/run/move-media')].map(list),
      ...[this.fstab(), mounts],
    ])
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ(-\w{6})?/g, 'TIME')
      .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => {
        if (!ids.includes(id)) ids.push(id);
        return `ID${ids.indexOf(id)}`;
      });
  }

  #run(command: readonly string[], { killAt, env = {} }: TypedOptions): Typed {
    const words = ['--wait', 'nsenter', '--target', String(this.#holder?.pid), '--mount', ...command];
    const { status, stdout, stderr } = spawnSync('setsid', words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
      env: {
        PATH: [this.#tools, process.env.PATH].join(delimiter),
        ...(killAt !== undefined && {
          BASH_ENV: KILLER,
          KILL_AT: String(killAt),
          COUNT: join(this.folder, 'count'),
        }),
        ...env,
      },
    });
    // Killed with all that it started.
    return { status: status ?? 137, output: stdout + stderr };
  }
}

const UNMOUNT = `for at in /run/move-media/old ${CLIENT} ${CLIENT} /mnt/wa; do umount $at 2> /dev/null || true; done`;

/** Sourced by the script's shell: counts its commands that change something, and kills it before one of them. */
const killerFolder = mkdtempSync(join(tmpdir(), 'upkeep-killer-'));
process.on('exit', () => rmSync(killerFolder, { recursive: true, force: true }));
const KILLER = join(killerFolder, 'killer.bash');
writeFileSync(
  KILLER,
  `echo 0 > "$COUNT"
  set -o functrace
  trap 'case $BASH_COMMAND in
    mv* | mkdir* | mount* | umount* | rsync*)
      read -r count < "$COUNT"; echo $((count += 1)) > "$COUNT"
      if [ "$count" = "$KILL_AT" ]; then kill -KILL 0; fi ;;
  esac' DEBUG
  `,
);

/** A program of a Debian package: the machine's own, or unpacked. */
async function program(name: string): Promise<{ folder: string; missing: string | false }> {
  const own = spawnSync('which', [name], { encoding: 'utf8' });
  if (own.status === 0) return { folder: dirname(own.stdout.trim()), missing: false };
  try {
    const { root, command } = await unpackedPackages('stable', [name]);
    const folder = mkdtempSync(join(tmpdir(), `upkeep-${name}-`));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    const words = command(join(root, 'usr/bin', name)).map((word) => `'${word}'`);
    writeFileSync(join(folder, name), `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`, { mode: 0o755 });
    return { folder, missing: false };
  } catch (error) {
    if (!(error instanceof PackagesUnavailable)) throw error;
    return { folder: '', missing: `this machine has no ${name}, and ${error.message}` };
  }
}

export const [rsync, shellcheck] = [await program('rsync'), await program('shellcheck')];

/** Why a host cannot be had here, if it cannot. */
export const missing =
  process.getuid?.() !== 0
    ? 'only root can mount'
    : spawnSync('unshare', ['--mount', 'true']).status === 0
      ? rsync.missing
      : 'this machine gives no mounts of their own (unshare --mount)';

const DAY = 86_400;

/** Many times the buffer of any tool, and no two blocks alike. */
const LARGE = randomBytes(300_000);

/** Files as a client leaves them: some used, some old, of several owners, with names that scripts stumble over. */
function fillWithMedia(media: string): void {
  const now = Math.floor(Date.now() / 1000);
  const file = (path: string, content: string | Buffer, daysAgo: number, mode = 0o644) => {
    writeFileSync(join(media, path), content);
    chmodSync(join(media, path), mode);
    utimesSync(join(media, path), now - daysAgo * DAY, now - daysAgo * DAY);
  };
  for (const [path, mode] of [
    ['.', 0o755],
    ['incoming', 0o2775],
    ['outgoing', 0o755],
    ['private', 0o700],
  ] as const) {
    mkdirSync(join(media, path), { recursive: true });
    chmodSync(join(media, path), mode);
  }
  file('incoming/used.jpg', 'used yesterday', 1);
  file('incoming/unused.jpg', 'not used for long', 45, 0o600);
  file('outgoing/deleted.mp4', 'soon collected', 31);
  file('outgoing/large.mp4', LARGE, 3);
  file('outgoing/a name\nof two lines, \\ and "quotes" — é 👋.ogg', 'voice', 2);
  file('empty', '', 400);
  file('sparse', 'begins', 7);
  truncateSync(join(media, 'sparse'), 6_000_000);
  utimesSync(join(media, 'sparse'), now - 7 * DAY, now - 7 * DAY);
  file('private/thumbnail', 'small', 5, 0o400);
  symlinkSync('incoming/used.jpg', join(media, 'link'));
  linkSync(join(media, 'incoming/used.jpg'), join(media, 'hard'));
  chownSync(join(media, 'incoming/unused.jpg'), 1000, 33);
  chownSync(join(media, 'private'), 33, 33);
  chownSync(join(media, 'private/thumbnail'), 33, 33);
}

/** As a host whose clock was set back does. */
export function writeInThePast(path: string, content: string): void {
  writeFileSync(path, content);
  utimesSync(path, 1_000_000_000, 1_000_000_000);
}

/** What a client wrote and did not delete since, wherever its folder is. */
export class Client {
  readonly #host: Host;
  readonly #files = new Map<string, string>();
  #written = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Writes a file to the folder that it has, and deletes an older one of its own. */
  works(): void {
    this.#written += 1;
    const name = `incoming/file-${this.#written}.jpg`;
    writeFileSync(this.#host.path(CLIENT, name), name);
    this.#files.set(name, name);
    const oldest = [...this.#files.keys()][0];
    if (this.#files.size <= 3 || !oldest) return;
    rmSync(this.#host.path(CLIENT, oldest), { force: true });
    this.#files.delete(oldest);
  }

  /** Another one, which knows of the same files. */
  copy(): Client {
    const client = new Client(this.#host);
    for (const [name, content] of this.#files) client.#files.set(name, content);
    client.#written = this.#written;
    return client;
  }

  /** Throws unless its folder has every file that it should. */
  check(when: string): void {
    const folder = this.#host.path(CLIENT);
    const fstab = this.#host.fstab();
    assert.ok(
      fstab.includes(`${this.#host.oldLine}`) && fstab.startsWith('# the host\n\nproc '),
      `${when}: ${fstab}`,
    );
    for (const [name, content] of [...this.#files, ['incoming/used.jpg', 'used yesterday'] as const]) {
      assert.ok(
        existsSync(join(folder, name)),
        `${when}: ${name} is lost; there are ${readdirSync(join(folder, 'incoming'))}`,
      );
      assert.equal(readFileSync(join(folder, name), 'utf8'), content, `${when}: ${name}`);
    }
    assert.equal(readFileSync(join(folder, 'outgoing/large.mp4')).equals(LARGE), true, `${when}: large.mp4`);
  }
}

/** For the tests of a suite: a host with media, as at the start before each, and a client that has begun to work. */
export function beginEach(begin: (host: Host, client: Client) => void): void {
  let host: Host;
  before(async () => {
    host = await Host.start(rsync.folder);
    fillWithMedia(host.path(CLIENT));
    host.keep('start');
  });
  after(() => host.stop());
  beforeEach(() => {
    host.restore('start');
    const client = new Client(host);
    client.works();
    begin(host, client);
  });
}
