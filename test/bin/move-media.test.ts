// In one file though long: one host, on which each state of a move is reached by the steps before it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, it } from 'node:test';
import {
  beginEach,
  CLIENT,
  type Client,
  type Host,
  missing,
  NEW,
  rsync,
  SCRIPT,
  STEPS,
  shellcheck,
  writeInThePast,
} from './move-media-stage.ts';

/** The steps that lead to each state, in which it is then the turn of the steps named. */
const STATES = {
  'not begun': { by: [], takes: ['begin'] },
  begun: { by: ['begin'], takes: ['begin', 'copy'] },
  copied: { by: ['copy'], takes: ['begin', 'copy', 'last-copy'] },
  'last copied': { by: ['last-copy'], takes: ['begin', 'copy', 'last-copy', 'verify'] },
  verified: { by: ['verify'], takes: ['begin', 'copy', 'last-copy', 'verify', 'switch'] },
  switched: { by: ['switch'], takes: ['begin', 'switch', 'back'] },
  back: { by: ['back'], takes: ['begin', 'back'] },
} as const satisfies Record<string, { by: readonly string[]; takes: readonly string[] }>;

it('move-media is clean for shellcheck', { skip: shellcheck.missing }, () => {
  const { status, stdout } = spawnSync('shellcheck', [SCRIPT], {
    encoding: 'utf8',
    env: { PATH: [shellcheck.folder, process.env.PATH].join(delimiter) },
  });
  assert.equal(status, 0, stdout);
});

describe('moving the media volume', { skip: missing }, () => {
  let host: Host;
  let client: Client;

  beginEach((startedHost, startedClient) => {
    host = startedHost;
    client = startedClient;
  });
  it('copies while the client runs, verifies, switches, and keeps the old folder', () => {
    host.works('begin', 'copy');
    client.works();
    rmSync(host.oldSide('outgoing/deleted.mp4'));
    appendFileSync(host.oldSide('incoming/unused.jpg'), ' and more');
    host.works('copy', 'last-copy');
    assert.match(host.works('verify'), /Verified: \d+ files/);
    host.works('switch');
    client.works();
    client.check('after the switch');
    assert.equal(host.isSwitched(), true);
    assert.equal(existsSync(host.newSide('outgoing/deleted.mp4')), false);
    assert.equal(readFileSync(host.newSide('incoming/unused.jpg'), 'utf8'), 'not used for long and more');
    assert.match(host.works('status'), /kept {3}nothing was written/);
    host.restart();
    client.check('after a restart');
    writeFileSync(host.oldSide('incoming/forgotten.jpg'), 'by a task that was forgotten');
    // By the clock of its host, which was set back.
    writeInThePast(host.oldSide('incoming/unused.jpg'), 'by it, too');
    writeInThePast(host.oldSide('private/thumbnail'), 'by both: the older one');
    writeFileSync(host.newSide('private/thumbnail'), 'by both');
    assert.match(host.works('status'), /ATTENTION: .* was written to since[\s\S]*forgotten\.jpg/);
    assert.match(
      host.works('switch'),
      /Brought from [\s\S]*forgotten\.jpg[\s\S]*unused\.jpg\nWritten on both sides since: .*\n.*thumbnail\n/,
    );
    assert.equal(readFileSync(host.newSide('incoming/unused.jpg'), 'utf8'), 'by it, too');
    assert.equal(readFileSync(host.newSide('private/thumbnail'), 'utf8'), 'by both');
    assert.equal(
      readFileSync(host.newSide('incoming/forgotten.jpg'), 'utf8'),
      'by a task that was forgotten',
    );
  });

  it('keeps owners, modes, times, links and holes', () => {
    // A link from outside the folder is no business of the copy.
    linkSync(host.oldSide('incoming/unused.jpg'), host.path(host.folder, 'old/data/outside'));
    host.works('begin', 'copy', 'last-copy', 'verify');
    for (const path of [
      '.',
      'incoming',
      'incoming/unused.jpg',
      'private/thumbnail',
      'link',
      'hard',
      'empty',
      'sparse',
    ]) {
      const [from, to] = [lstatSync(host.oldSide(path)), lstatSync(host.newSide(path))];
      for (const property of ['mode', 'uid', 'gid'] as const)
        assert.equal(to[property], from[property], `${property} of ${path}`);
      if (!from.isDirectory())
        assert.equal(Math.floor(to.mtimeMs / 1000), Math.floor(from.mtimeMs / 1000), path);
    }
    assert.equal(lstatSync(host.newSide('hard')).ino, lstatSync(host.newSide('incoming/used.jpg')).ino);
    assert.ok(lstatSync(host.newSide('sparse')).blocks < 100, 'the hole was filled');
  });

  for (const [state, { takes }] of Object.entries(STATES)) {
    it(`${state}: each step is done, or refused with nothing changed`, () => {
      for (const { by } of Object.values(STATES).slice(0, Object.keys(STATES).indexOf(state) + 1))
        host.works(...by);
      client.works();
      // What the client wrote last must be copied before the switch: it is stopped from the last copy on.
      if (['last copied', 'verified'].includes(state))
        host.works(...['last-copy', 'verify'].slice(0, state === 'verified' ? 2 : 1));
      host.keep('state');
      for (const step of STEPS) {
        const before = host.fingerprint();
        const { status, output } = host.typeStep(step);
        const when = `${step} when ${state}: ${output}`;
        if (step === 'status') assert.equal(status, state === 'not begun' ? 1 : 0, when);
        else assert.equal(status === 0, (takes as readonly string[]).includes(step), when);
        if (status !== 0 || step === 'status') assert.equal(host.fingerprint(), before, when);
        else {
          client.check(when);
          host.restart();
          client.check(`after a restart, ${when}`);
          host.restore('state');
        }
      }
    });
  }

  describe('begins only', () => {
    for (const { unless, harm, mend, words, says } of [
      {
        unless: 'the new volume is mounted',
        harm: () => host.shell(`umount ${NEW}`),
        says: /is no mount of its own: mount the new volume there/,
      },
      {
        unless: 'the new volume is empty',
        harm: () => writeFileSync(host.newSide('somebody’s'), 'important'),
        says: /is not empty, and no move was begun to it/,
      },
      {
        unless: 'the old folder has files',
        harm: () => host.shell('umount /mnt/wa; mkdir -p /mnt/wa/media'),
        says: /on no mount that|not what .* mounts there|no entry for/,
      },
      {
        unless: 'fstab mounts the old folder',
        harm: () => host.shell('sed -i "/wa/d" /etc/fstab'),
        says: /has no entry for \/mnt\/wa/,
      },
      {
        unless: 'what is mounted for the old folder is what fstab mounts',
        harm: () =>
          host.shell(
            `mkdir -p ${host.folder}/other/media; echo x > ${host.folder}/other/media/x; umount /mnt/wa; mount --bind ${host.folder}/other /mnt/wa`,
          ),
        says: /is not what \/etc\/fstab mounts there/,
      },
      {
        unless: 'old and new are two file systems',
        harm: () =>
          host.shell(
            `mkdir ${host.folder}/old/beside; umount ${NEW}; mount --bind ${host.folder}/old/beside ${NEW}`,
          ),
        says: /are on one file system/,
      },
      {
        unless: 'nothing is mounted in the old folder, which would not be copied',
        harm: () => host.shell(`mount -t tmpfs none ${CLIENT}/incoming; touch ${CLIENT}/incoming/nested`),
        mend: () => host.shell(`umount ${CLIENT}/incoming`),
        says: /media\/incoming is a mount of its own in \/mnt\/wa\/media/,
      },
      {
        unless: 'the new volume is mounted beside the old folder, not in it',
        harm: () => host.shell(`mkdir ${CLIENT}/to; mount --bind ${host.folder}/new ${CLIENT}/to`),
        mend: () => host.shell(`umount ${CLIENT}/to`),
        words: ['--type', 'tmpfs', '--new', `${CLIENT}/to`],
        says: /media\/to is a mount of its own in/,
      },
      {
        unless: 'fstab would mount nothing else there after a restart',
        harm: () => appendFileSync(host.path('/etc/fstab'), `\n/dev/sdx /mnt//wa/media/ ext4 nofail 0 0\n`),
        says: /has a line for \/mnt\/wa\/media: after a restart the host would have another folder/,
      },
      {
        unless: 'the client can write to what the line mounts',
        words: ['--line', `/new ${CLIENT} none bind,ro 0 0`],
        says: /read-only/,
      },
      {
        unless: 'the line counts at a restart',
        words: ['--line', `/new ${CLIENT} none bind,noauto 0 0`],
        says: /mounts nothing when the host starts/,
      },
      { unless: 'the line has something in it', words: ['--line', ''], says: /line for fstab is empty/ },
      { unless: 'the line is one', words: ['--line', 'fs-1 /mnt/wa/media'], says: /is no line for fstab/ },
      {
        unless: 'the line mounts the client’s folder',
        words: ['--line', 'fs-1 /mnt/wa/medai efs tls 0 0'],
        says: /mounts \/mnt\/wa\/medai, and the client uses \/mnt\/wa\/media/,
      },
      {
        unless: 'the new volume is of the line’s type',
        words: ['--line', 'fs-1 /mnt/wa/media efs _netdev,tls,iam 0 0'],
        says: /is of type tmpfs; the new volume would be nfs4/,
      },
    ])
      it(`if ${unless}`, () => {
        harm?.();
        const { status, output } = host.begin(
          '--old',
          CLIENT,
          '--new',
          NEW,
          ...(words ?? ['--line', host.line]),
        );
        assert.notEqual(status, 0, output);
        assert.match(output, says);
        assert.equal(existsSync(host.newSide('.move-media')), false);
        // The other steps then do nothing either.
        for (const step of STEPS.slice(1, 6)) assert.match(host.fails(step), /begin/);
        mend?.();
      });

    it('if the old folder has files: lost+found is none', () => {
      host.shell(
        `find ${host.folder}/old/media -mindepth 1 -delete; mkdir ${host.folder}/old/media/lost+found`,
      );
      assert.match(host.fails('begin'), /is empty: is it mounted/);
    });
  });

  it('copies nothing of a folder in which something was mounted since', () => {
    host.works('begin');
    host.shell(`mount -t tmpfs none ${CLIENT}/incoming`);
    assert.match(host.fails('copy'), /is a mount of its own in/);
    host.shell(`umount ${CLIENT}/incoming`);
    host.works('copy');
  });

  it('is a move from one old folder: who begins from another one ends what was begun', () => {
    host.works('begin');
    host.keep('first');
    // A host of another client, by mistake.
    host.shell(`
      umount /run/move-media/old; umount /mnt/wa; rm -r /var/lib/move-media
      find ${host.folder}/other -mindepth 1 -delete; mkdir ${host.folder}/other/media; echo x > ${host.folder}/other/media/x
      mount --bind ${host.folder}/other /mnt/wa; sed -i 's#/old /mnt#/other /mnt#' /etc/fstab`);
    host.works('begin');
    host.shell(`
      umount /run/move-media/old; umount /mnt/wa; mount --bind ${host.folder}/old /mnt/wa
      cp ${host.folder}/snapshots/first/fstab /etc/fstab; cp -a ${host.folder}/snapshots/first/lib/. /var/lib/`);
    assert.match(host.fails('copy'), /is not the old side of this move/);
    host.works('begin', 'copy');
    assert.equal(existsSync(host.newSide('x')), false);
  });

  it('copies a file that took the place of a folder, whose files are kept aside', () => {
    mkdirSync(host.oldSide('album'));
    writeFileSync(host.oldSide('album/picture.jpg'), 'in an album');
    host.works('begin', 'copy');
    rmSync(host.oldSide('album'), { recursive: true });
    writeFileSync(host.oldSide('album'), 'a file now');
    host.works('copy');
    assert.equal(readFileSync(host.newSide('album'), 'utf8'), 'a file now');
    const [aside] = readdirSync(host.newSide('.move-media/removed'));
    assert.equal(
      readFileSync(host.newSide('.move-media/removed', aside ?? '', 'album/picture.jpg'), 'utf8'),
      'in an album',
    );
  });

  it('moves a folder with a space in its path', () => {
    host.shell(`
      mkdir -p '/mnt/w a'; mount --bind ${host.folder}/old '/mnt/w a'
      printf '\\n%s\\n' '${host.folder}/old /mnt/w\\040a none bind 0 0' >> /etc/fstab`);
    const before_ = host.fstab();
    const line = `${host.folder}/new /mnt/w\\040a/media none bind 0 0`;
    const begun = host.begin('--old', '/mnt/w a/media', '--new', NEW, '--line', line);
    assert.equal(begun.status, 0, begun.output);
    host.type('copy');
    host.type('last-copy');
    host.type('verify');
    assert.match(host.type('switch').output, /Switched: \/mnt\/w a\/media is the new volume/);
    assert.equal(host.fstab(), `${before_}${line}\n`);
    assert.match(host.type('back').output, /Back: /);
    assert.equal(host.fstab(), before_);
    host.shell(`umount '/mnt/w a'`);
  });

  it('writes nothing to the host’s own disk when the new volume is unmounted later', () => {
    host.works('begin', 'copy');
    host.shell(`umount ${NEW}`);
    for (const step of ['copy', 'last-copy', 'verify', 'switch'])
      assert.match(host.fails(step), /no mount of its own/);
    assert.equal(host.shell(`ls -A ${NEW}`), '');
  });

  it('takes nothing away from the new side when somebody uses it before the switch', () => {
    host.works('begin', 'copy');
    writeFileSync(host.newSide('incoming/early.jpg'), 'by a task that was deployed early');
    for (const step of ['copy', 'last-copy']) assert.match(host.fails(step), /somebody writes to it already/);
    assert.equal(
      readFileSync(host.newSide('incoming/early.jpg'), 'utf8'),
      'by a task that was deployed early',
    );
  });

  it('keeps aside what a copy takes away or overwrites, each time anew', () => {
    host.works('begin', 'copy');
    for (const again of ['came again', undefined]) {
      rmSync(host.oldSide('outgoing/deleted.mp4'));
      host.works('last-copy');
      assert.equal(existsSync(host.newSide('outgoing/deleted.mp4')), false);
      if (again === undefined) continue;
      writeFileSync(host.oldSide('outgoing/deleted.mp4'), again);
      host.works('copy');
    }
    const aside = host.newSide('.move-media/removed');
    assert.deepEqual(
      readdirSync(aside)
        .map((time) => readFileSync(join(aside, time, 'outgoing/deleted.mp4'), 'utf8'))
        .sort(),
      ['came again', 'soon collected'],
    );
  });

  it('goes on with a copy from which files went away meanwhile, and not with the last one', () => {
    const folder = join(host.folder, 'vanishing');
    host.shell(
      `mkdir -p ${folder}; printf '#!/bin/sh\\n${join(rsync.folder, 'rsync')} "$@" && exit 24\\n' > ${folder}/rsync; chmod +x ${folder}/rsync`,
    );
    const vanishing = { env: { PATH: [folder, process.env.PATH].join(delimiter) } };
    host.works('begin');
    const copied = host.typeStep('copy', vanishing);
    assert.equal(copied.status, 0, copied.output);
    assert.match(copied.output, /That is in order/);
    const last = host.typeStep('last-copy', vanishing);
    assert.notEqual(last.status, 0);
    assert.match(last.output, /the client still runs/);
    assert.match(host.fails('switch'), /Not yet/);
  });

  describe('fstab', () => {
    it('keeps each line as it was, also one without an end', () => {
      const before_ = host.fstab();
      assert.equal(before_.endsWith('\n'), false);
      host.works('begin', 'copy', 'last-copy', 'verify', 'switch', 'switch');
      assert.equal(host.fstab(), `${before_}\n${host.line}\n`);
      host.works('back');
      assert.equal(host.fstab(), `${before_}\n`);
    });

    it('is left whole when nothing can be written beside it', () => {
      host.works('begin', 'copy', 'last-copy', 'verify');
      const before_ = host.fstab();
      // A disk that is full.
      host.shell(
        `mkdir -p ${host.folder}/full; mount -t tmpfs -o size=64k none ${host.folder}/full; cp /etc/fstab ${host.folder}/full/; ln -sf ${host.folder}/full/fstab /etc/fstab; head -c 1M /dev/zero > ${host.folder}/full/zeros || true`,
      );
      host.fails('switch');
      assert.equal(host.shell('cat /etc/fstab'), before_);
      host.shell(`rm ${host.folder}/full/zeros`);
      host.works('switch');
      host.shell(`head -c 1M /dev/zero > ${host.folder}/full/zeros || true`);
      const switched = host.shell('cat /etc/fstab');
      host.fails('back');
      assert.equal(host.shell('cat /etc/fstab'), switched);
      host.shell(`rm ${host.folder}/full/zeros`);
      host.works('back');
      assert.equal(host.shell('cat /etc/fstab'), `${before_}\n`);
      host.shell(`rm /etc/fstab; cp ${host.folder}/full/fstab /etc/fstab; umount ${host.folder}/full`);
    });

    it('has the old folder again when what the line mounts is not the volume that was copied to', () => {
      const wrong = `${host.folder}/other ${CLIENT} none bind 0 0`;
      assert.equal(host.begin('--old', CLIENT, '--new', NEW, '--line', wrong).status, 0);
      host.works('copy', 'last-copy', 'verify');
      assert.match(host.fails('switch'), /is as it was before: what it mounts is not the volume/);
      assert.equal(host.fstab().includes(wrong), false);
      client.check('after a switch that failed');
    });

    it('has the old folder again when nothing can be written to what the line mounts', () => {
      const readOnly = `${host.folder}/other/read-only ${CLIENT} none bind 0 0`;
      host.shell(`
        mkdir -p ${host.folder}/other/read-only; mount --bind ${host.folder}/new ${host.folder}/other/read-only
        mount -o remount,bind,ro ${host.folder}/other/read-only`);
      assert.equal(host.begin('--old', CLIENT, '--new', NEW, '--line', readOnly).status, 0);
      host.works('copy', 'last-copy', 'verify');
      assert.match(host.fails('switch'), /as it was before: it is mounted so that nothing can be written/);
      host.shell(`umount ${host.folder}/other/read-only`);
      client.check('after a switch that failed');
    });

    it('knows the line when somebody has changed its options, and names one that is none of its own', () => {
      host.works('begin', 'copy', 'last-copy', 'verify', 'switch');
      const change = (what: string) => host.shell(`sed -i 's#^${host.line}$#${what}#' /etc/fstab`);
      const changed = host.line.replace(' none bind', '\tnone  bind,nofail');
      change(changed);
      assert.match(host.works('status'), /fstab {2}has the new volume/);
      host.works('switch');
      assert.ok(host.fstab().split('\n').includes(changed));
      assert.equal(host.fstab().split(CLIENT).length, 2);
      host.works('back');
      assert.equal(host.fstab().includes(CLIENT), false);
      host.restart();
      client.check('back');
    });

    it('is not said to have the old folder while a line that is none of the move’s mounts another', () => {
      host.works('begin', 'copy', 'last-copy', 'verify', 'switch');
      host.shell(`sed -i 's#^${host.line}$#${host.folder}/./new ${CLIENT} none bind 0 0#' /etc/fstab`);
      assert.match(host.fails('back'), /still mounts something on .*: \S+\/\.\/new/);
      host.shell(`sed -i '\\#/./new#d' /etc/fstab`);
      host.works('back');
      client.check('back');
    });

    it('has the old folder’s own line in a comment where the new one replaces it', () => {
      host.shell(
        `umount /mnt/wa; mkdir -p ${CLIENT}; printf '# the host\\n\\nproc /proc proc defaults 0 0\\n#%s\\n%s\\n' '${host.oldLine}' '${host.folder}/old/media /mnt//wa/./media/ none bind 0 0' > /etc/fstab; mount --bind ${host.folder}/old/media ${CLIENT}`,
      );
      const before_ = host.fstab();
      host.works('begin', 'copy', 'last-copy', 'verify', 'switch');
      client.works();
      client.check('after the switch');
      assert.match(host.fstab(), /^#move-media \S+# .*old\/media/m);
      host.works('switch', 'status', 'back', 'back');
      client.check('back');
      assert.equal(host.fstab(), before_);
    });
  });

  describe('goes back', () => {
    it('with what came since, and a second time without what the client deleted since', () => {
      host.works('begin', 'copy', 'last-copy', 'verify', 'switch');
      client.works();
      writeInThePast(host.path(CLIENT, 'private/thumbnail'), 'by a clock that was set back');
      rmSync(host.oldSide('outgoing/large.mp4'));
      host.works('back');
      client.check('back');
      assert.match(readFileSync(host.path(CLIENT, 'private/thumbnail'), 'utf8'), /^by a clock that was set/);
      assert.equal(host.isSwitched(), false);
      rmSync(host.path(CLIENT, 'incoming/unused.jpg'));
      host.works('back');
      assert.equal(existsSync(host.path(CLIENT, 'incoming/unused.jpg')), false);
      assert.match(host.fails('switch'), /went back/);
    });

    it('and does not take what a switch has brought over for written on both sides', () => {
      host.works('begin', 'copy', 'last-copy', 'verify', 'switch');
      writeFileSync(host.oldSide('incoming/forgotten.jpg'), 'by a task that was forgotten');
      writeFileSync(host.oldSide('incoming/unused.jpg'), 'by it, too');
      assert.match(host.works('switch'), /Brought from/);
      assert.match(host.works('status'), /kept {3}nothing was written/);
      assert.doesNotMatch(host.works('switch'), /Brought|both sides/);
      rmSync(host.newSide('incoming/forgotten.jpg'));
      assert.doesNotMatch(host.works('back'), /Brought|both sides/);
      assert.equal(readFileSync(host.oldSide('incoming/unused.jpg'), 'utf8'), 'by it, too');
    });

    it('not while the old disk is full: then nothing is changed', () => {
      host.works('begin', 'copy', 'last-copy', 'verify', 'switch');
      writeFileSync(host.path(CLIENT, 'incoming/large.mp4'), Buffer.alloc(12_000_000, 1));
      host.shell(`head -c 20M /dev/zero > ${host.folder}/old/data/zeros || true`);
      assert.match(
        host.fails('back'),
        /There is no room on .* Nothing was lost: give it more room, and type the same/,
      );
      assert.equal(host.isSwitched(), true);
      client.check('still switched');
      assert.equal(statSync(host.path(CLIENT, 'incoming/large.mp4')).size, 12_000_000);
      host.shell(`rm ${host.folder}/old/data/zeros`);
      host.works('back');
      client.check('back');
    });
  });

  describe('a volume without room', () => {
    const steps = ['begin', 'copy', 'last-copy', 'verify', 'switch'];
    for (const [where, option] of [
      ['new', 'size=4k'],
      ['new', 'size=280k'],
      ['new', 'size=340k'],
      ['new', 'nr_inodes=24'],
      ['/var/lib', 'nr_inodes=2'],
    ] as const)
      it(`${where} with ${option} is named, nothing is lost, and the step goes on once there is more`, () => {
        const place = where === 'new' ? join(host.folder, where) : where;
        host.shell(`mount -o remount,${option} ${place}`);
        let refused = 0;
        for (const step of steps) {
          const { status, output } = host.typeStep(step);
          if (status === 0) continue;
          refused += 1;
          assert.match(
            output,
            /move-media: .* has no room left|move-media: There is no room/,
            `${step}: ${output}`,
          );
          assert.match(output, /Nothing was lost/, output);
          client.check(`${step}, refused`);
          host.shell(`mount -o remount,size=24m,nr_inodes=9000 ${place}`);
          host.works(step);
        }
        assert.equal(refused, 1);
        client.check('switched');
      });

    it('is left for a larger one that is mounted in its place', () => {
      host.shell(`mount -o remount,size=280k ${host.folder}/new`);
      host.works('begin');
      assert.match(host.fails('copy'), /larger one .* begin/);
      host.shell(
        `mount -o remount,size=24m ${host.folder}/new; umount ${NEW}; find ${host.folder}/other -mindepth 1 -delete; mount --bind ${host.folder}/other ${NEW}`,
      );
      const line = `${host.folder}/other ${CLIENT} none bind 0 0`;
      const { status, output } = host.begin('--old', CLIENT, '--new', NEW, '--line', line);
      assert.equal(status, 0, output);
      host.works('copy', 'last-copy', 'verify', 'switch');
      client.check('on the larger one');
    });
  });

  it('moves once more, from the new volume to a newer one', () => {
    host.works('begin', 'copy', 'last-copy', 'verify', 'switch');
    host.shell(
      `umount ${NEW}; find ${host.folder}/other -mindepth 1 -delete; mount --bind ${host.folder}/other ${NEW}`,
    );
    const line = `${host.folder}/other ${CLIENT} none bind 0 0`;
    const { status, output } = host.begin('--old', CLIENT, '--new', NEW, '--line', line);
    assert.equal(status, 0, output);
    host.works('copy', 'last-copy', 'verify', 'switch');
    client.works();
    client.check('on the newer one');
    host.works('back');
    client.check('back on the new one');
    assert.ok(host.fstab().split('\n').includes(host.line));
    host.shell(`umount ${NEW}; mount --bind ${host.folder}/new ${NEW}`);
  });

  it('is known to a second host, which joins it', () => {
    host.works('begin', 'copy', 'last-copy', 'verify', 'switch');
    client.works();
    // The other host has the same two file systems, and an fstab and records of its own.
    host.shell(
      `rm -r /var/lib/move-media; umount ${CLIENT}; umount /run/move-media/old; sed -i '\\#${host.folder}/new#d' /etc/fstab`,
    );
    assert.match(host.fails('switch'), /begin/);
    assert.match(host.works('begin'), /was begun before/);
    for (const step of ['copy', 'last-copy', 'verify']) assert.match(host.fails(step), /was switched to/);
    host.works('switch');
    client.check('on the second host');
  });

  it('moves for tasks, which mount by themselves, without a line for fstab', () => {
    mkdirSync(host.path('/mnt/unused'), { recursive: true });
    const begun = host.begin('--old', CLIENT, '--new', NEW, '--type', 'tmpfs');
    assert.equal(begun.status, 0, begun.output);
    for (const step of ['copy', 'last-copy', 'verify']) assert.equal(host.type(step).status, 0);
    assert.match(host.type('switch').output, /Deploy the task definitions/);
    assert.equal(host.isSwitched(), false);
    writeFileSync(host.newSide('incoming/after.jpg'), 'after');
    for (const step of ['copy', 'last-copy']) assert.match(host.type(step).output, /was switched to/);
    assert.equal(host.type('back').status, 0);
    assert.equal(readFileSync(host.oldSide('incoming/after.jpg'), 'utf8'), 'after');
  });
});
