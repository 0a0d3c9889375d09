import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startInTerminal, type TerminalOptions } from '../../../../rehearsal/aws/containers/terminal.ts';

for (const by of ['setsid', 'node-pty'] as const) {
  const skip = by === 'setsid' && process.platform !== 'linux' && 'setsid is a program of Linux';

  describe(`a terminal by ${by}`, { skip }, () => {
    it('is given input and a size, and ends with its command', async () => {
      const { terminal, printed } = start(by, `read a; stty size; echo "got $a in $PWD as $NAME"`);
      terminal.resize(120, 40);
      terminal.write(Buffer.from('größe\n'));
      await terminal.closed;
      assert.equal(printed().replace('größe\r\n', ''), '40 120\r\ngot größe in / as tester\r\n');
    });

    it('ends when it is hung up, and when the child is killed', async () => {
      for (const end of ['hangUp', 'killChild'] as const) {
        const { terminal, printed } = start(by, 'echo ready; sleep 300');
        while (!printed().includes('ready')) await new Promise((resolve) => setTimeout(resolve, 5));
        terminal[end]();
        await terminal.closed;
        while (isAlive(terminal.pid)) await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function start(by: 'setsid' | 'node-pty', script: string) {
  const output: Buffer[] = [];
  const options: TerminalOptions = {
    entrance: [],
    argv: ['sh', '-c', script],
    environment: { PATH: process.env.PATH ?? '', NAME: 'tester' },
    workingFolder: '/',
    onOutput: (bytes) => output.push(bytes),
    by,
  };
  const terminal = startInTerminal(options);
  terminal.resume();
  return { terminal, printed: () => Buffer.concat(output).toString() };
}
