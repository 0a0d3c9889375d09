import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { delimiter, join } from 'node:path';
import { describe, it } from 'node:test';
import { beginEach, type Host, missing, rsync } from './move-media-stage.ts';

const [FLOCK, FINDMNT, MOUNT] = ['flock', 'findmnt', 'mount'].map((name) =>
  spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim(),
);

describe('moving the media volume from several hosts', { skip: missing }, () => {
  let host: Host;
  beginEach((started) => {
    host = started;
  });

  it('does one step at a time, also of another host', async () => {
    host.works('begin', 'copy');
    const other = spawn('flock', [host.newSide('.move-media/lock'), 'sh', '-c', 'echo locked; cat']);
    await once(other.stdout, 'data');
    for (const step of ['copy', 'last-copy']) assert.match(host.fails(step), /runs on another host/);
    host.works('status');
    other.stdin.end();
    await once(other, 'exit');
    host.works('last-copy');
  });

  it('leaves no lock with what a mount starts', () => {
    const folder = join(host.folder, 'helper');
    // As the helpers of some file systems do, which serve the mount.
    host.shell(`
      mkdir -p ${folder}
      printf '#!/bin/sh\nsleep 100 < /dev/null > /dev/null 2>&1 & echo $! >> ${folder}/pids\nexec ${MOUNT} "$@"\n' > ${folder}/mount
      chmod +x ${folder}/mount`);
    const env = { PATH: [folder, rsync.folder, process.env.PATH].join(delimiter) };
    for (const step of ['begin', 'copy', 'last-copy', 'verify', 'switch', 'back']) {
      const { status, output } = host.typeStep(step, { env });
      assert.equal(status, 0, `${step}: ${output}`);
    }
    assert.equal(host.shell(`wc -l < ${folder}/pids; xargs kill < ${folder}/pids`).trim(), '2');
  });

  it('does nothing where the volume gives no lock, or one that other hosts do not see', () => {
    host.works('begin', 'copy');
    const before = host.fingerprint();
    const folder = join(host.folder, 'no-locks');
    // As flock(1) ends where the file system has none; the script's own, on this host, is another one.
    host.shell(`
      mkdir -p ${folder}
      printf '#!/bin/sh\nfor last; do :; done\nif [ "$last" = 8 ]; then echo "flock: 8: No locks available" >&2; exit 66; fi\nexec ${FLOCK} "$@"\n' > ${folder}/flock
      printf '#!/bin/sh\ncase "$*" in *OPTIONS*--target*) echo rw,vers=4.1,local_lock=flock ;; *) exec ${FINDMNT} "$@" ;; esac\n' > ${folder}/findmnt-local
      chmod +x ${folder}/*`);
    const env = { PATH: [folder, rsync.folder, process.env.PATH].join(delimiter) };
    const without = host.typeStep('last-copy', { env });
    assert.notEqual(without.status, 0);
    assert.match(without.output, /gives no lock \(flock ended with status 66\)/);
    host.shell(`mv ${folder}/findmnt-local ${folder}/findmnt`);
    const local = host.typeStep('last-copy', { env });
    assert.notEqual(local.status, 0);
    assert.match(local.output, /its locks are this host's own \(rw,vers=4\.1,local_lock=flock\)/);
    assert.equal(host.fingerprint(), before);
    host.works('last-copy');
  });
});
