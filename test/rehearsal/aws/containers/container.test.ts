import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { bestIsolation, Container, type Isolation } from '../../../../rehearsal/aws/containers/container.ts';

for (const isolation of ['namespaces', 'rewritten'] as const satisfies Isolation[]) {
  const skip =
    isolation === 'namespaces' && bestIsolation() !== isolation && 'this machine has no namespaces to use';

  describe(`a container by ${isolation}`, { skip }, () => {
    let container: Container;
    before(async () => {
      container = await start(isolation);
    });
    after(() => container.remove());

    it('has its own files at their absolute paths', async () => {
      writeFileSync(container.path('/var/log/whatsapp/web.log'), 'a line\n');
      assert.equal(await container.run('cat /var/log/whatsapp/web.log'), 'a line\n');
      await container.run(
        'mkdir -p /usr/local/waent/logs /opt/whatsapp && echo x >/usr/local/waent/logs/core.log',
      );
      assert.equal(readFileSync(container.path('/usr/local/waent/logs/core.log'), 'utf8'), 'x\n');
      assert.ok(!existsSync('/usr/local/waent'));
    });

    it('shares them with no other container', async () => {
      const other = await start(isolation);
      await container.run('echo mine >/tmp/shared-or-not');
      assert.equal(await other.run('[ -e /tmp/shared-or-not ] || echo not there'), 'not there\n');
      await other.remove();
    });

    it('starts a command without a shell, under a terminal of no size, with the environment of its own', async () => {
      process.env.OF_THIS_MACHINE = 'yes';
      assert.equal(
        await container.run(
          // biome-ignore lint/suspicious/noTemplateCurlyInString: it is meant for a shell
          'stty size; [ -t 0 ] && echo terminal; echo $TERM $LANG ${OF_THIS_MACHINE:-no}; echo >/dev/tty controlled',
        ),
        '0 0\nterminal\nxterm-256color C.UTF-8 no\ncontrolled\n',
      );
      delete process.env.OF_THIS_MACHINE;
      assert.equal(await output(container, ['echo', '$HOME', '* ;', '"']), '$HOME * ; "\n');
    });

    it('says so if there is no such program', () => {
      for (const program of ['no-such-program', '/no/such/program', '']) {
        assert.throws(() => container.startInTerminal([program], () => {}), /no such file/);
      }
    });

    it('keeps a terminal until its last process has closed it', async () => {
      const script = `trap '' HUP; (sleep 0.3; echo late) & exit 0`;
      assert.equal(await output(container, ['sh', '-c', script]), 'late\n');
    });

    it('hangs up on what still runs under a terminal that is closed', async () => {
      const script = `trap 'echo hung up >/tmp/end; exit' HUP; echo ready; while :; do sleep 0.05; done`;
      const ready = Promise.withResolvers<void>();
      const terminal = container.startInTerminal(['sh', '-c', script], () => ready.resolve());
      terminal.resume();
      await ready.promise;
      terminal.hangUp();
      while (!existsSync(container.path('/tmp/end'))) await sleep(10);
    });

    it('blocks a command whose output nobody reads', async () => {
      const terminal = container.startInTerminal(
        ['sh', '-c', 'seq 100000; echo done >/tmp/unblocked'],
        () => {},
      );
      await sleep(200);
      assert.ok(!existsSync(container.path('/tmp/unblocked')));
      terminal.resume();
      await terminal.closed;
      assert.ok(existsSync(container.path('/tmp/unblocked')));
    });

    it('stops with everything that runs in it', async () => {
      const doomed = await start(isolation);
      const ready = Promise.withResolvers<void>();
      const terminal = doomed.startInTerminal(
        [
          'sh',
          '-c',
          `trap '' HUP TERM; (while :; do echo x >/tmp/alive; sleep 0.02; done) & echo ready; wait`,
        ],
        () => ready.resolve(),
      );
      terminal.resume();
      await ready.promise;
      await doomed.kill();
      await terminal.closed;
      assert.ok(!doomed.running);
      await sleep(50);
      writeFileSync(doomed.path('/tmp/alive'), 'nobody writes here any more');
      await sleep(100);
      assert.match(readFileSync(doomed.path('/tmp/alive'), 'utf8'), /nobody/);
      assert.throws(() => doomed.startInTerminal(['true'], () => {}), /has stopped/);
      await doomed.remove();
    });

    it('dies with the process that started it, however that ended', async (context) => {
      if (isolation === 'rewritten') return context.skip('ordinary processes outlive it');
      const folder = mkdtempSync(join(tmpdir(), 'upkeep-container-'));
      const module = new URL('../../../../rehearsal/aws/containers/container.ts', import.meta.url);
      const program = `
        const { Container } = await import(${JSON.stringify(module.href)});
        const container = await Container.start(${JSON.stringify({ name: 'web', folder, isolation })});
        const forever = "trap '' HUP TERM; while :; do echo x >/tmp/alive; sleep 0.02; done";
        container.startInTerminal(['sh', '-c', forever], () => {});
        console.log('started');`;
      const starter = spawn(process.execPath, ['--input-type=module', '--eval', program]);
      await once(starter.stdout, 'data');
      starter.kill('SIGKILL');
      await once(starter, 'exit');
      await sleep(200);
      const written = join(folder, 'root', 'tmp', 'alive');
      writeFileSync(written, 'nobody writes here any more');
      await sleep(100);
      assert.match(readFileSync(written, 'utf8'), /nobody/);
      rmSync(folder, { recursive: true });
    });
  });
}

async function start(isolation: Isolation): Promise<Container> {
  const folder = mkdtempSync(join(tmpdir(), 'upkeep-container-'));
  return await Container.start({ name: 'web', folder, isolation });
}

async function output(container: Container, argv: string[]): Promise<string> {
  let text = '';
  const terminal = container.startInTerminal(argv, (bytes) => {
    text += bytes.toString();
  });
  terminal.resume();
  await terminal.closed;
  return text.replaceAll('\r\n', '\n');
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
