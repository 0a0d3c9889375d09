import assert from 'node:assert/strict';
import { chownSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { typedLines } from '../../../../functions/shared/ecs-exec/input.ts';
import { type WrapperOptions, wrap } from '../../../../functions/shared/ecs-exec/wrapper.ts';
import type { Container } from '../../../../rehearsal/aws/containers/container.ts';
import { Attended } from './attended.ts';
import { busybox, NO_BUSYBOX } from './busybox.ts';
import { filesOfRuns } from './cloud.ts';
import { containerWithShells, SHELLS } from './shells.ts';

const NO_PRINTF = "mksh has no printf of its own, so it needs the system's";

/** What an attacker might smuggle into an argument. */
const ATTACKS = [
  '',
  ' ',
  "'; touch /tmp/owned; '",
  '"$(touch /tmp/owned)"',
  '`touch /tmp/owned`',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is meant for a shell
  '$HOME ${HOME} $$ $! $?',
  '\\',
  "\\'",
  "'\\''",
  "''''",
  '{{ssm:secret}} {{{ }}',
  '-n',
  '--',
  '-c',
  '#comment',
  'a\nb\n\nc\n',
  'tab\there',
  '\r\n',
  '* ? [a-z] ~',
  '&& || ; | & > < >> << EOF',
  '!history !!',
  'größe ✓ 日本 🙂 \u2028 \u00a0',
  '\u001b[31mred\u0007\u0008',
  '%s %d %n \\n',
  'exit 0\n)',
];

for (const { name, shell, skip } of SHELLS) {
  describe(`the wrapper in ${name}`, { skip }, () => {
    let container: Container;
    before(async () => {
      container = await containerWithShells();
    });
    after(() => container.remove());
    const attend = (options: Omit<WrapperOptions, 'shell'>) =>
      new Attended(container, wrap({ shell, ...options }));

    for (const [what, command, exitCode] of [
      ['success', ['true'], 0],
      ["a script's own code", { script: 'exit 3' }, 3],
      ['the highest code', { script: 'exit 255' }, 255],
      ['a signal', { script: 'kill -9 $$' }, 137],
      ['a program that does not exist', ['/nowhere/to/be/found'], 127],
      ['a file that is no program', ['/etc/passwd'], 126],
    ] as const) {
      it(`states the exit code of ${what}`, async () => {
        const run = attend({
          runId: `code-${exitCode}`,
          command: Array.isArray(command) ? [...command] : (command as { script: string }),
        });
        assert.deepEqual(await run.toItsEnd(), { run: 'exited', exitCode });
        await run.forget();
      });
    }

    it('passes every argument of an attacker unharmed', async () => {
      const run = attend({ runId: 'attack', command: ['printf', '<%s>\\n', ...ATTACKS], transport: 'bytes' });
      assert.deepEqual(await run.toItsEnd(), { run: 'exited', exitCode: 0 });
      assert.equal(run.output, ATTACKS.map((argument) => `<${argument}>\n`).join(''));
      assert.ok(!existsSync(container.path('/tmp/owned')));
      await run.forget();
    });

    it('brings input byte for byte, drops what comes twice, and starts nothing while some is missing', async () => {
      const input = Buffer.from([
        ...Array(256).keys(),
        ...Buffer.from('  a\\n %s \\\\c $HOME\n\n'.repeat(99)),
      ]);
      const run = attend({ runId: 'input', command: ['cat'], transport: 'bytes', takesInput: true });
      const put = 'f00d'.repeat(8);
      const bring = async (at: number, to: number) =>
        await run.reply({ put, at, lines: typedLines(input.subarray(at, to)) });
      const first = await bring(0, 100);
      assert.equal(first.size, 100);
      assert.equal((await bring(0, 100)).size, 100);
      assert.equal((await run.reply({ start: put, input: input.length })).run, 'no-input');
      const most = 'takesOneShortLine' in first ? 160 : 2_000;
      for (let at = 100; at < input.length; at += most)
        assert.equal((await bring(at, at + most)).size, Math.min(at + most, input.length));
      await run.reply({ start: put, input: input.length });
      assert.deepEqual(await run.toItsEnd(), { run: 'exited', exitCode: 0 });
      assert.deepEqual(run.bytes, input);
      await run.forget();
      assert.deepEqual(filesOfRuns({ container }), []);
    });

    it('gives output as the command wrote it: carriage returns, tabs, no line end', async () => {
      const run = attend({ runId: 'as-written', command: ['printf', 'a\\r\\nb\\rc\\n\\n\\td\\r\\r\\n'] });
      await run.toItsEnd();
      assert.equal(run.output, 'a\r\nb\rc\n\n\td\r\r\n');
      await run.forget();
    });

    it('cannot be told a state by the output', async () => {
      // Its own command line, and the answers of the past, are all that output could know.
      const script = `tr '\\0' '\\n' </proc/$PPID/cmdline; echo; echo ${'0'.repeat(32)}:exit 0; echo :exit 0; exit 9`;
      const run = attend({ runId: 'forger', command: { script } });
      assert.deepEqual(await run.toItsEnd(), { run: 'exited', exitCode: 9 });
      assert.match(run.output, /:exit 0\n$/);
      await run.forget();
    });

    it('starts a run once, however many start it at the same time, and all follow the same output', async () => {
      const command = { script: 'echo started >>/tmp/starts; echo output; sleep 0.3; exit 7' };
      const runs = Array.from({ length: 4 }, () => attend({ runId: 'once', command }));
      for (const run of runs) {
        assert.deepEqual(await run.toItsEnd(), { run: 'exited', exitCode: 7 });
        assert.equal(run.output, 'output\n');
      }
      assert.equal(readFileSync(container.path('/tmp/starts'), 'utf8'), 'started\n');
      await runs[0]?.forget();
      for (const run of runs.slice(1)) await run.ask('leave');
    });

    it('keeps the status of a run whose connection is cut at any stage', async () => {
      for (const [i, milliseconds] of [0, 2, 5, 10, 20, 40, 80, 200].entries()) {
        for (const how of ['hang-up', 'kill'] as const) {
          const runId = `cut-${i}-${how}`;
          const command = { script: `echo ${runId} >>/tmp/cuts; sleep 0.05; echo done; exit 5` };
          const first = attend({ runId, command });
          void first.ask('state');
          await sleep(milliseconds);
          first.cut(how);
          const second = attend({ runId, command });
          assert.deepEqual(await second.toItsEnd(), { run: 'exited', exitCode: 5 });
          assert.equal(second.output, 'done\n');
          await second.forget();
        }
      }
      const runs = readFileSync(container.path('/tmp/cuts'), 'utf8').trim().split('\n');
      assert.equal(new Set(runs).size, runs.length, 'a run was started twice');
      assert.equal(runs.length, 16);
    });

    it('lets no hang-up reach the command', async () => {
      const run = attend({
        runId: 'survivor',
        command: { script: 'sleep 0.3; kill -HUP $$; echo alive; exit 4' },
      });
      await run.until('running');
      run.cut('hang-up');
      const later = attend({ runId: 'survivor' });
      assert.deepEqual(await later.toItsEnd(), { run: 'exited', exitCode: 4 });
      assert.equal(later.output, 'alive\n');
      await later.forget();
    });

    it('stops a command and what it started by TERM, and one that will not hear by KILL', async () => {
      const willing = attend({
        runId: 'willing',
        command: { script: 'sleep 300 & echo willing; sleep 300; echo never' },
      });
      do await willing.ask('more');
      while (willing.output === '');
      await willing.ask('TERM');
      assert.deepEqual(await willing.toItsEnd(), { run: 'exited', exitCode: 143 });
      await willing.forget();
      const deaf = attend({
        runId: 'deaf',
        command: { script: 'trap "" TERM; echo deaf; sleep 300; sleep 300' },
      });
      do await deaf.ask('more');
      while (deaf.output === '');
      await deaf.ask('TERM');
      assert.deepEqual(await deaf.ask('state'), { run: 'running' });
      await deaf.ask('KILL');
      await deaf.until('died');
      await deaf.forget();
    });

    it('ends the session when it is left, although the command goes on', async () => {
      const run = attend({
        runId: 'left',
        command: { script: 'until [ -e /tmp/leave ]; do sleep 0.02; done; exit 8' },
      });
      await run.until('running');
      await run.ask('leave');
      await run.closed;
      const later = attend({ runId: 'left' });
      assert.equal((await later.ask('state')).run, 'running');
      await container.run('touch /tmp/leave');
      assert.deepEqual(await later.toItsEnd(), { run: 'exited', exitCode: 8 });
      await container.run('rm /tmp/leave');
      await later.forget();
    });

    it('knows no run that was not started or is forgotten, and leaves no file', async () => {
      const run = attend({ runId: 'never' });
      assert.deepEqual(await run.ask('more'), { run: 'absent' });
      assert.deepEqual(await run.ask('forget'), { run: 'absent' });
      assert.deepEqual(filesOfRuns({ container }), []);
    });

    it('does not forget a run that goes on', async () => {
      const run = attend({ runId: 'busy', command: ['sleep', '0.3'] });
      await run.until('running');
      assert.equal((await run.ask('forget')).run, 'running');
      const again = attend({ runId: 'busy' });
      await again.toItsEnd();
      await again.forget();
    });

    it('goes to the next folder where one cannot be written, or is full', async (context) => {
      if (container.isolation !== 'namespaces') return context.skip('a full disk needs a mount of its own');
      await container.run(
        'mkdir -p /mnt/full && mount -t tmpfs -o size=4k tmpfs /mnt/full && head -c 9999 /dev/zero >/mnt/full/x; true',
      );
      const run = attend({
        runId: 'full',
        command: ['echo', 'hi'],
        folders: ['/nowhere', '/mnt/full', '/dev/shm'],
      });
      assert.deepEqual(await run.toItsEnd(), { run: 'exited', exitCode: 0 });
      assert.equal(run.output, 'hi\n');
      assert.equal(readdirSync(container.path('/dev/shm')).length, 2);
      await run.forget();
      assert.deepEqual(readdirSync(container.path('/dev/shm')), []);
    });

    it('is not taken in by a lock that another user planted', async (context) => {
      if (process.getuid?.() !== 0) return context.skip('only root can give a file to another user');
      const planted = container.path('/tmp/ecs-exec-planted.lock');
      writeFileSync(planted, '1 1\n');
      writeFileSync(container.path('/tmp/ecs-exec-planted.status'), 'exit 0\n');
      chownSync(planted, 65_534, 65_534);
      const run = attend({ runId: 'planted', folders: ['/tmp', '/var/tmp'] });
      assert.deepEqual(await run.ask('more'), { run: 'absent' });
      await run.ask('leave');
    });

    it('needs no other program, but cannot remove its files then', async (context) => {
      if (name === 'mksh') return context.skip(NO_PRINTF);
      const run = new Attended(
        container,
        wrap({ shell, runId: 'alone', command: ['/usr/bin/printf', 'a\\nb\\n\\303\\244c'] }),
        '/nowhere',
      );
      assert.deepEqual(await run.toItsEnd(), { run: 'exited', exitCode: 0 });
      assert.equal(run.output, 'a\nb\näc');
      await run.forget();
      const left = filesOfRuns({ container });
      const content = left.map((file) => readFileSync(join(container.path('/run'), file), 'utf8'));
      assert.ok(
        content.every((text) => text === '' || text.startsWith('void ')),
        'emptied, and no run any more',
      );
      assert.deepEqual(await attend({ runId: 'alone' }).ask('state'), { run: 'absent' });
      await container.run('rm -f /run/ecs-exec-*');
    });

    for (const [encoder, links] of [
      ['base64', { base64: '/usr/bin/base64' }],
      ['od', { od: '/usr/bin/od' }],
      ["busybox's own", { busybox: '/usr/local/bin/busybox' }],
    ] as const) {
      it(`gives bytes exactly by ${encoder}`, async (context) => {
        if (name === 'mksh') return context.skip(NO_PRINTF);
        if (encoder === "busybox's own" && busybox === undefined) return context.skip(NO_BUSYBOX);
        const folder = `/tmp/only-${encoder.replace(/\W/g, '')}`;
        const [[program, path] = ['', '']] = Object.entries(links);
        await container.run(`mkdir -p ${folder} && ln -sf ${path} ${folder}/${program}`);
        const every = Array.from({ length: 256 }, (_, byte) => `\\${byte.toString(8).padStart(3, '0')}`).join(
          '',
        );
        const run = new Attended(
          container,
          wrap({
            shell,
            runId: 'bytes',
            command: ['/usr/bin/printf', `${every}\\357\\277\\275\\342\\202`],
            transport: 'bytes',
          }),
          folder,
        );
        assert.deepEqual(await run.toItsEnd(), { run: 'exited', exitCode: 0 });
        const bytes = Buffer.concat([
          Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
          Buffer.from('efbfbde282', 'hex'),
        ]);
        assert.deepEqual(run.bytes, bytes);
        await run.forget();
        await container.run('rm -f /run/ecs-exec-*');
      });
    }

    it('starts nothing if bytes are wanted and nothing could encode them', async (context) => {
      if (name === 'mksh') return context.skip(NO_PRINTF);
      if (name === 'busybox ash')
        return context.skip('busybox ash may find its own base64 without a search path');
      const run = new Attended(
        container,
        wrap({ shell, runId: 'no-encoder', command: ['/usr/bin/touch', '/tmp/started'], transport: 'bytes' }),
        '/nowhere',
      );
      assert.deepEqual(await run.ask('more'), { run: 'no-encoder' });
      await run.ask('leave');
      assert.ok(!existsSync(container.path('/tmp/started')));
    });
  });
}
