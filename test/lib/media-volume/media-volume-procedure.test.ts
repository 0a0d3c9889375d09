import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { PackagesUnavailable, unpackedPackages } from '../../../rehearsal/databases/debian-packages.ts';

/** The named blocks of the document: what operators are told to type is what is played here. */
const BLOCKS = new Map(
  [
    ...readFileSync(new URL('../../../docs/media-volume.md', import.meta.url), 'utf8').matchAll(
      /^```bash (\S+)\n([\s\S]*?)^```$/gm,
    ),
  ].map(([, name = '', commands = '']) => [name, commands]),
);
const DAY = 86_400;
const LINE = 'fs-0123456789abcdef0 /mnt/wa/media efs _netdev,tls,iam,accesspoint=fsap-0123456789abcdef0 0 0';
const OLD_FSTAB =
  'UUID=1 / xfs defaults 0 0\nfs-00000001.efs.eu-west-1.amazonaws.com:/ /mnt/wa nfs4 nfsvers=4.1 0 0\n';
/** Only root can give files to others. */
const isRoot = process.getuid?.() === 0;

const tools = await rsync();

describe('the procedure of moving to a new media volume', { skip: tools.missing }, () => {
  let folder = '';
  const at = (...path: string[]) => join(folder, ...path);

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'upkeep-media-'));
  });
  beforeEach(() => {
    for (const name of ['old', 'new', 'proof']) rmSync(at(name), { recursive: true, force: true });
    mkdirSync(at('new'));
    writeFileSync(at('fstab'), OLD_FSTAB);
    fillWithMedia(at('old'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** Types blocks of the document into one shell. */
  function play(...names: string[]): { status: number | null; output: string } {
    const commands = ['begin', ...names].map((name) => {
      const block = BLOCKS.get(name);
      assert.ok(block, `docs/media-volume.md has no block ${name}`);
      return block;
    });
    const { status, stdout, stderr } = spawnSync('bash', ['-s'], {
      input: commands.join('\n'),
      encoding: 'utf8',
      env: {
        PATH: [tools.folder, process.env.PATH].join(delimiter),
        OLD: at('old'),
        NEW: at('new'),
        PROOF: at('proof'),
        FSTAB: at('fstab'),
        LINE,
      },
    });
    return { status, output: stdout + stderr };
  }

  function works(...names: string[]): string {
    const { status, output } = play(...names);
    assert.equal(status, 0, output);
    return output;
  }

  function fails(...names: string[]): string {
    const { status, output } = play(...names);
    assert.notEqual(status, 0, output);
    return output;
  }

  it('copies, verifies, switches and keeps, while the client runs until the last copy', () => {
    works('copy');
    // The client goes on.
    writeFileSync(at('old', 'incoming', 'new.jpg'), 'came meanwhile');
    appendFileSync(at('old', 'incoming', 'used.jpg'), ' and more');
    rmSync(at('old', 'outgoing', 'deleted.mp4'));
    assert.match(fails('verify'), /[<>] .*new\.jpg/);
    // It is stopped.
    works('last-copy');
    assert.match(works('verify'), /Verified: \d+ files/);
    assert.equal(existsSync(at('new', 'outgoing', 'deleted.mp4')), false);
    assert.equal(readFileSync(at('new', 'incoming', 'used.jpg'), 'utf8'), 'used yesterday and more');
    works('switch');
    assert.equal(readFileSync(at('fstab'), 'utf8'), `${OLD_FSTAB}${LINE}\n`);
    // It runs on the new volume, and collects its garbage there.
    writeFileSync(at('new', 'incoming', 'after.jpg'), 'after the switch');
    rmSync(at('new', 'incoming', 'unused.jpg'));
    works('kept');
    assert.equal(existsSync(at('old', 'incoming', 'unused.jpg')), true);
  });

  it('keeps owners, modes, times and links', () => {
    works('copy', 'last-copy', 'verify');
    for (const path of PATHS) {
      const [before_, after_] = [lstatSync(at('old', path)), lstatSync(at('new', path))];
      for (const property of ['mode', 'uid', 'gid', 'nlink'] as const)
        assert.equal(after_[property], before_[property], `${property} of ${path}`);
      if (before_.isFile()) assert.equal(after_.size, before_.size, path);
      assert.equal(Math.floor(after_.mtimeMs / 1000), Math.floor(before_.mtimeMs / 1000), path);
    }
    assert.equal(lstatSync(at('new', 'hard')).ino, lstatSync(at('new', 'incoming', 'used.jpg')).ino);
  });

  describe('finds out, before the switch,', () => {
    for (const { what, harm, mendedByLastCopy = true, skip = false } of [
      {
        what: 'a byte that changed, of a file of the same size and time, which a plain copy takes for equal',
        harm: () => {
          const file = at('new', 'outgoing', 'large.mp4');
          const { atime, mtime } = lstatSync(file);
          const bytes = readFileSync(file);
          bytes[1_900_000] = (bytes[1_900_000] ?? 0) ^ 1;
          writeFileSync(file, bytes);
          utimesSync(file, atime, mtime);
        },
        mendedByLastCopy: false,
      },
      { what: 'a file that is missing', harm: () => rmSync(at('new', 'incoming', 'unused.jpg')) },
      { what: 'a file too many', harm: () => writeFileSync(at('new', 'stray'), '') },
      { what: 'a file cut off', harm: () => writeFileSync(at('new', 'incoming', 'used.jpg'), 'used') },
      { what: 'an empty file that is missing', harm: () => rmSync(at('new', 'empty')) },
      { what: 'another mode', harm: () => chmodSync(at('new', 'incoming'), 0o777) },
      { what: 'another time', harm: () => utimesSync(at('new', 'incoming', 'unused.jpg'), 0, 0) },
      {
        what: 'another owner',
        harm: () => chownSync(at('new', 'incoming', 'unused.jpg'), 1234, 1234),
        skip: !isRoot && 'only root can give files to others',
      },
      {
        what: 'a link that leads elsewhere',
        harm: () => {
          rmSync(at('new', 'link'));
          symlinkSync('elsewhere', at('new', 'link'));
        },
      },
      {
        what: 'two links that became two files',
        harm: () => {
          const file = at('new', 'hard');
          const { atime, mtime, mode, uid, gid } = lstatSync(file);
          const bytes = readFileSync(file);
          rmSync(file);
          writeFileSync(file, bytes);
          chmodSync(file, mode);
          if (isRoot) chownSync(file, uid, gid);
          utimesSync(file, atime, mtime);
        },
      },
      {
        what: 'two files that changed places',
        harm: () => {
          renameSync(at('new', 'incoming', 'unused.jpg'), at('new', 'swap'));
          renameSync(at('new', 'incoming', 'used.jpg'), at('new', 'incoming', 'unused.jpg'));
          renameSync(at('new', 'swap'), at('new', 'incoming', 'used.jpg'));
        },
      },
    ])
      it(what, { skip }, () => {
        works('copy', 'verify');
        harm();
        assert.doesNotMatch(fails('verify'), /Verified/);
        if (mendedByLastCopy) works('last-copy', 'verify');
        else {
          fails('last-copy', 'verify');
          works('repair', 'verify');
        }
      });
  });

  it('does not begin where the old folder is not mounted, which would empty the new one', () => {
    works('copy');
    rmSync(at('old'), { recursive: true });
    mkdirSync(at('old'));
    assert.match(fails('last-copy'), /is empty: is it mounted\?/);
    assert.equal(existsSync(at('new', 'incoming', 'used.jpg')), true);
  });

  it('does not begin where both are one folder', () => {
    rmSync(at('new'), { recursive: true });
    symlinkSync(at('old'), at('new'));
    // `stat` of the link itself would differ; the folders are what counts.
    rmSync(at('new'));
    mkdirSync(at('new'));
    const { status, stderr } = spawnSync('bash', ['-s'], {
      input: BLOCKS.get('begin') ?? '',
      encoding: 'utf8',
      env: { PATH: process.env.PATH ?? '', OLD: at('old'), NEW: at('old'), PROOF: at('proof') },
    });
    assert.notEqual(status, 0);
    assert.match(stderr, /are one folder/);
  });

  it('can be switched twice, and says so when somebody still writes to the old folder', () => {
    works('copy', 'verify', 'switch');
    works('switch');
    assert.equal(readFileSync(at('fstab'), 'utf8'), `${OLD_FSTAB}${LINE}\n`);
    assert.equal(readFileSync(at('proof', 'fstab-before'), 'utf8'), OLD_FSTAB);
    writeFileSync(at('old', 'incoming', 'forgotten.jpg'), 'from a task that was forgotten');
    fails('kept');
  });

  it('goes back, with what has come since and without losing what was kept', () => {
    works('copy', 'verify', 'switch');
    writeFileSync(at('new', 'incoming', 'after.jpg'), 'after the switch');
    rmSync(at('new', 'incoming', 'unused.jpg'));
    works('back');
    assert.equal(readFileSync(at('old', 'incoming', 'after.jpg'), 'utf8'), 'after the switch');
    assert.equal(existsSync(at('old', 'incoming', 'unused.jpg')), true);
    assert.equal(readFileSync(at('fstab'), 'utf8'), OLD_FSTAB);
  });
});

/** All that {@link fillWithMedia} makes. */
const PATHS = [
  '.',
  'incoming',
  'incoming/used.jpg',
  'incoming/unused.jpg',
  'outgoing',
  'outgoing/deleted.mp4',
  'outgoing/large.mp4',
  'outgoing/a name\nof two lines, \\ and "quotes" — é 👋.ogg',
  'empty',
  'private',
  'private/thumbnail',
  'link',
  'hard',
];

/** Many times the buffer of any tool, and no two blocks alike. */
const LARGE = randomBytes(2_000_000);

/** Files as a client leaves them: some used, some old, of several owners, with names that scripts stumble over. */
function fillWithMedia(old: string): void {
  const now = Math.floor(Date.now() / 1000);
  const file = (path: string, content: string | Buffer, daysAgo: number, mode = 0o644) => {
    writeFileSync(join(old, path), content);
    chmodSync(join(old, path), mode);
    utimesSync(join(old, path), now - daysAgo * DAY, now - daysAgo * DAY);
  };
  for (const [path, mode] of [
    ['.', 0o755],
    ['incoming', 0o2775],
    ['outgoing', 0o755],
    ['private', 0o700],
  ] as const) {
    mkdirSync(join(old, path), { recursive: true });
    chmodSync(join(old, path), mode);
  }
  file('incoming/used.jpg', 'used yesterday', 1);
  file('incoming/unused.jpg', 'not used for long', 45, 0o600);
  file('outgoing/deleted.mp4', 'soon collected', 31);
  file('outgoing/large.mp4', LARGE, 3);
  file('outgoing/a name\nof two lines, \\ and "quotes" — é 👋.ogg', 'voice', 2);
  file('empty', '', 400);
  file('private/thumbnail', 'small', 5, 0o400);
  symlinkSync('incoming/used.jpg', join(old, 'link'));
  linkSync(join(old, 'incoming/used.jpg'), join(old, 'hard'));
  if (isRoot) {
    chownSync(join(old, 'incoming/unused.jpg'), 1000, 33);
    chownSync(join(old, 'private'), 33, 33);
    chownSync(join(old, 'private/thumbnail'), 33, 33);
  }
}

/** The folder of rsync: the machine's own, or Debian's, unpacked. */
async function rsync(): Promise<{ folder: string; missing: string | false }> {
  if (spawnSync('rsync', ['--version']).status === 0) return { folder: '', missing: false };
  try {
    const { root, command } = await unpackedPackages('stable', ['rsync']);
    const folder = mkdtempSync(join(tmpdir(), 'upkeep-rsync-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    const words = command(join(root, 'usr/bin/rsync')).map((word) => `'${word}'`);
    writeFileSync(join(folder, 'rsync'), `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`, { mode: 0o755 });
    return { folder, missing: false };
  } catch (error) {
    if (!(error instanceof PackagesUnavailable)) throw error;
    return { folder: '', missing: `this machine has no rsync, and ${error.message}` };
  }
}
