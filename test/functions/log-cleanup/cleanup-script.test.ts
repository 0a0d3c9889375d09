import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cleanupScript } from '../../../functions/log-cleanup/cleanup-script.ts';
import {
  brokenRotation,
  bytesFreed,
  heldOpen,
  lowestFreePercent,
  readMeasurements,
} from '../../../functions/log-cleanup/measurements.ts';
import { busybox, NO_BUSYBOX } from '../shared/ecs-exec/busybox.ts';

const MEGABYTE = 1024 * 1024;
const rotation = { maximumBytes: MEGABYTE, keptFiles: 3 };

const tools = mkdtempSync(join(tmpdir(), 'busybox-'));
if (busybox)
  for (const applet of ['ash', 'sh', 'ls', 'df', 'rm', 'test', 'stat', 'sleep'])
    symlinkSync(busybox, join(tools, applet));
after(() => rmSync(tools, { recursive: true }));

const SHELLS = [
  { name: 'dash', argv: ['dash'], path: process.env.PATH },
  { name: 'bash', argv: ['bash', '--posix'], path: process.env.PATH },
  { name: "busybox's ash, with no programs but busybox's", argv: [join(tools, 'ash')], path: tools },
];

for (const {
  name,
  argv: [program = '', ...options],
  path: PATH,
} of SHELLS)
  describe(`the clean-up script in ${name}`, {
    skip: name.startsWith('busybox') && !busybox ? NO_BUSYBOX : false,
  }, () => {
    let folder: string;
    let logs: string;
    const marker = randomBytes(16).toString('hex');

    function run(
      cleanup: string,
      folders = { logs: [logs], archive: `${logs}/archive`, rotation },
      environment: Record<string, string> = {},
    ) {
      const script = join(folder, "clean 'up.sh");
      writeFileSync(script, `#!/bin/sh\n${cleanup}\n`);
      chmodSync(script, 0o755);
      const ran = spawnSync(program, [...options, '-c', cleanupScript(script, folders)], {
        env: { PATH, UPKEEP_MARKER: marker, ...environment },
        stdio: ['ignore', 'pipe', 'pipe'],
        encoding: 'utf8',
      });
      return { ...ran, measured: readMeasurements(ran.stdout, marker) };
    }

    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'clean-up-'));
      logs = join(folder, 'var log');
      mkdirSync(join(logs, 'archive', 'older'), { recursive: true });
      writeFileSync(join(logs, 'web.log'), 'a'.repeat(1000));
      writeFileSync(join(logs, 'access log'), 'b'.repeat(500));
      writeFileSync(join(logs, '.hidden'), 'c'.repeat(10));
      writeFileSync(join(logs, 'error.log'), '');
      truncateSync(join(logs, 'error.log'), 5 * MEGABYTE);
      for (const name of ['web.log-20261101.gz', 'web.log-20261102.gz', 'web.log.3.gz', 'web.log.4.gz'])
        writeFileSync(join(logs, 'archive', name), 'd'.repeat(100));
      for (const name of ['access.log.1.gz', '20261103-access.log.gz', '*'])
        writeFileSync(join(logs, 'archive', 'older', name), 'e'.repeat(10));
    });
    after(() => rmSync(folder, { recursive: true }));

    test('measures before and after, and ends with the exit status of the clean-up', () => {
      const { status, measured, stderr } = run(
        `printf 'no newline'; rm '${logs}/archive/'web.log-*; test -z "$UPKEEP_MARKER" && exit 7`,
      );
      assert.equal(status, 7, stderr);
      assert.ok(measured.before && measured.after);
      assert.deepEqual(measured.before.live, { files: 4, bytes: 1510 + 5 * MEGABYTE });
      assert.deepEqual(measured.before.archive, { files: 7, bytes: 430 });
      assert.deepEqual(measured.after.archive, { files: 5, bytes: 230 });
      assert.equal(bytesFreed({ before: measured.before, after: measured.after }), 200);
      const free = lowestFreePercent(measured.before, measured.after);
      assert.ok(free !== undefined && free >= 0 && free <= 100, `${free} %`);
    });

    test('measures the same whatever the environment makes of ls, stat and df', () => {
      const plain = run('exit 0');
      const odd = run('exit 0', undefined, {
        TIME_STYLE: 'full-iso',
        BLOCK_SIZE: '1G',
        LS_BLOCK_SIZE: '1M',
        QUOTING_STYLE: 'c',
        POSIXLY_CORRECT: '1',
        LC_ALL: 'tr_TR.UTF-8',
        IFS: '0123456789',
        ENV: '/nowhere',
        BASH_ENV: '/nowhere',
      });
      for (const each of [plain, odd]) assert.ok(each.measured.before && each.measured.after, each.stderr);
      const files = ({ measured: { after } }: typeof plain) => [
        after?.live,
        after?.archive,
        after?.oversized,
      ];
      assert.deepEqual(files(odd), files(plain));
      assert.ok(plain.measured.after?.fileSystems.every(({ used, available }) => used > 0 && available > 0));
    });

    test('goes on without a measurement that does not end', (context) => {
      if (name.startsWith('busybox')) return context.skip('busybox finds its own ls before any other');
      const slow = join(folder, 'slow');
      mkdirSync(slow);
      writeFileSync(join(slow, 'ls'), '#!/bin/sh\nexec sleep 3\n');
      chmodSync(join(slow, 'ls'), 0o755);
      const script = cleanupScript('/bin/true', { logs: [logs], archive: `${logs}/archive`, rotation });
      const quicker = script.replaceAll(/^sleep 60 &$/gm, 'sleep 0.3 &');
      assert.notEqual(quicker, script);
      const path = `${slow}:${PATH}`;
      const { status, stdout } = spawnSync(program, [...options, '-c', `${quicker}`], {
        env: { PATH: path, UPKEEP_MARKER: marker },
        stdio: ['ignore', 'pipe', 'pipe'],
        encoding: 'utf8',
        timeout: 20_000,
      });
      assert.equal(status, 0);
      const measured = readMeasurements(stdout, marker);
      assert.deepEqual(measured, {}, 'not to its end');
    });

    test('names logs that are far over their limit, and archives of more files than are kept', () => {
      for (const name of ['web.log-20261101.gz', 'web.log-20261102.gz'])
        writeFileSync(join(logs, 'archive', name), 'd'.repeat(100));
      const { measured } = run('exit 0');
      assert.deepEqual(measured.after && brokenRotation(measured.after, rotation), [
        `${logs}//error.log has 5 MB, though it should be rotated above 1 MB.`.replace('//', '/'),
        'The archive has 4 files of web.log, though it should keep 3.',
      ]);
    });

    test('measures an archive that lies elsewhere, and leaves out folders that are not there', () => {
      const { status, measured } = run('exit 0', {
        logs: [join(folder, 'absent'), join(logs, 'archive', 'older')],
        archive: join(logs, 'archive', 'older'),
        rotation,
      });
      assert.equal(status, 0);
      assert.deepEqual(measured.after?.live, { files: 0, bytes: 0 });
      assert.equal(measured.after?.archive.files, readdirSync(join(logs, 'archive', 'older')).length);
    });

    test('ends with 127 where there is no clean-up script', () => {
      const script = cleanupScript('/opt/absent/cleanup.sh', {
        logs: [logs],
        archive: `${logs}/archive`,
        rotation,
      });
      const { status, stdout } = spawnSync(program, [...options, '-c', script], {
        env: { PATH, UPKEEP_MARKER: marker },
        stdio: ['ignore', 'pipe', 'pipe'],
        encoding: 'utf8',
      });
      assert.equal(status, 127);
      assert.ok(readMeasurements(stdout, marker).after);
    });
  });

test('space is what is least free, before or after, inodes too', () => {
  const at = (when: string, available: number, freeInodes: number) =>
    `x ${when} blocks 4096 1000 ${available} ${available} 500 ${freeInodes} fs1\nx ${when} live 1 2\nx ${when} archive 0 0\nx ${when} measured`;
  const of = (text: string) => {
    const { before, after } = readMeasurements(text, 'x');
    assert.ok(before && after);
    return lowestFreePercent(before, after);
  };
  assert.equal(of(`${at('before', 40, 400)}\n${at('after', 900, 400)}`), 4);
  assert.equal(of(`${at('before', 900, 400)}\n${at('after', 900, 10)}`), 2);
  const { after } = readMeasurements(
    'x after space 300 100 /var log\nx after archive 0 0\nx after measured',
    'x',
  );
  assert.ok(after);
  assert.equal(lowestFreePercent(after), 25, 'where only df can tell');
});

test('files that are deleted and still open are told: the logs shrank, the file system did not', () => {
  const at = (when: string, free: number, bytes: number) =>
    `x ${when} blocks 1048576 1000 ${free} ${free} 0 0 fs1\nx ${when} live 1 ${bytes * 1_048_576}\nx ${when} archive 0 0\nx ${when} measured`;
  const of = (text: string) => {
    const { before, after } = readMeasurements(text, 'x');
    assert.ok(before && after);
    return heldOpen({ before, after });
  };
  assert.equal(of(`${at('before', 100, 300)}\n${at('after', 300, 100)}`), undefined);
  assert.match(
    of(`${at('before', 100, 300)}\n${at('after', 110, 100)}`) ?? '',
    /shrank by 200 MB.*10 MB less in use/,
  );
});

test('a container that died between the measurements has but the first', () => {
  const measured = readMeasurements(
    'x before live 1 2\nx before archive 0 0\nx before measured\nx after live 1 2',
    'x',
  );
  assert.deepEqual(Object.keys(measured), ['before']);
});

test('lines without the marker, or that only look like it, are not measurements', () => {
  assert.deepEqual(readMeasurements('y before live 1 2\nx elsewhere live 1 2\n x before live 1 2', 'x'), {});
});

test('what is told of a log stays short, whatever its name', () => {
  const name = `/var/log/${'✓\u0001'.repeat(1_000)}`;
  const { after } = readMeasurements(
    `x after live 1 2\nx after archive 0 0\nx after oversized 99999999 ${name}\nx after archived 9 ${name}\nx after measured`,
    'x',
  );
  assert.ok(after);
  const told = brokenRotation(after, { maximumBytes: 1, keptFiles: 3 });
  assert.equal(told.length, 2);
  for (const sentence of told) assert.ok(Buffer.byteLength(JSON.stringify(sentence)) < 250, sentence);
  assert.match(told[0] ?? '', /^\/var\/log\/✓ ✓.* has 95 MB, though it should be rotated/);
});
