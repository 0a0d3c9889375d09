import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { executeCommand } from '../../../../functions/shared/ecs-exec/execute-command.ts';
import { interactiveSession } from '../../../../functions/shared/ecs-exec/interactive.ts';
import { Cloud } from './cloud.ts';
import { findPlugin, runPlugin } from './plugin.ts';

const plugin = findPlugin();

const COMMANDS = {
  'lines and characters of several bytes': 'echo größe; printf "a\\tb\\r\\n\\033[31m✓\\033[0m 🙂"',
  'nothing at all': 'true',
  'more than the channel buffers': 'i=0; while [ $i -lt 20000 ]; do echo "line $i ✓"; i=$((i + 1)); done',
};

describe("the same session through AWS's own client and through ours", {
  skip: plugin === undefined && 'this machine has no session-manager-plugin',
}, () => {
  for (const [what, script] of Object.entries(COMMANDS))
    it(`gives the same bytes: ${what}`, async () => {
      await using cloud = await Cloud.start();
      const command = `sh -c '${script}'`;
      const theirs = await throughPlugin(cloud, command);
      assert.ok(theirs.equals(await throughUs(cloud, command)));
      // What the command itself wrote: a terminal makes each line's end of it.
      const { output } = await executeCommand({
        ...cloud.target,
        clients: cloud.clients,
        runId: 'judged',
        command: { script },
        bytes: true,
        keep: { head: 1e6 },
      });
      assert.equal(theirs.toString().replaceAll('\r\n', '\n'), Buffer.from(output.head).toString());
    });

  it('gives the command the same keys and the same size of the terminal', async () => {
    await using cloud = await Cloud.start();
    const command = `sh -c 'stty -echo; echo ready; read -r line; echo "$line $(stty size)"'`;
    const typed = 'some wörds\r';
    const theirs = await throughPlugin(cloud, command, typed);
    assert.match(theirs.toString(), /ready\r\nsome wörds 100 300\r\n$/);
    assert.equal(theirs.toString(), (await throughUs(cloud, command, typed)).toString());
  });
});

async function throughPlugin(cloud: Cloud, command: string, typed?: string): Promise<Buffer> {
  const session = cloud.gateway.openSession({ container: cloud.container, command });
  const target = `ecs:upkeep_${cloud.target.task}_${cloud.container.runtimeId}`;
  const said = await runPlugin(plugin ?? '', session, target, typed);
  const before = `\nStarting session with SessionId: ${session.sessionId}\n`;
  const after = `\n\nExiting session with sessionId: ${session.sessionId}.\n\n`;
  const [start, end] = [said.indexOf(before), said.lastIndexOf(after)];
  assert.ok(start !== -1 && end !== -1, said.toString());
  return Buffer.concat([said.subarray(0, start), said.subarray(start + before.length, end)]);
}

async function throughUs(cloud: Cloud, command: string, typed?: string): Promise<Buffer> {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const pieces: Buffer[] = [];
  output.on('data', (piece: Buffer) => {
    pieces.push(piece);
    if (typed !== undefined && Buffer.concat(pieces).includes('ready')) {
      input.write(typed);
      typed = undefined;
    }
  });
  await interactiveSession({ ...cloud.target, clients: cloud.clients, command, input, output });
  return Buffer.concat(pieces);
}
