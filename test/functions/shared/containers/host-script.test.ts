import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import {
  HOST_PARAMETERS,
  hostScript,
  readHostOutput,
} from '../../../../functions/shared/containers/host-script.ts';
import type { Command } from '../../../../functions/shared/ecs-exec/wrapper.ts';
import { Container } from '../../../../rehearsal/aws/containers/container.ts';
import { DockerHost } from '../../../../rehearsal/aws/containers/docker-host.ts';

const CLUSTER = 'arn:aws:ecs:eu-central-1:123456789012:cluster/shop';

describe('the script of a Run Command document', () => {
  let folder: string;
  let host: DockerHost;
  let container: Container;
  let id: string;
  let order: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'host-script-'));
    host = new DockerHost({ instanceId: 'i-0123456789abcdef0', folder: join(folder, 'host') });
    container = await Container.start({ name: 'web', folder: join(folder, 'web') });
    id = add(container, 'web');
  });
  after(async () => {
    await container.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    order = `run-${randomBytes(4).toString('hex')}`;
  });

  function add(container: Container, name: string, cluster = 'shop'): string {
    const id = randomBytes(32).toString('hex');
    host.add(container, {
      id,
      labels: { 'com.amazonaws.ecs.cluster': cluster, 'com.amazonaws.ecs.container-name': name },
    });
    return id;
  }

  /** As Run Command does it, with the host's memory file system in the host's folder. */
  function start(command: Command, values: Partial<Record<keyof typeof HOST_PARAMETERS, string>> = {}) {
    const all = { container: id, order, marker: 'abc', seconds: '20', ...values };
    for (const [name, value] of Object.entries(all))
      assert.match(value, new RegExp(HOST_PARAMETERS[name as keyof typeof HOST_PARAMETERS]));
    const script = hostScript({ command, container: 'web', clusterArn: CLUSTER, clusterName: 'shop' })
      .replaceAll(/\{\{ (\w+) \}\}/g, (_, name: keyof typeof all) => all[name])
      .replaceAll(/(?<![\w./-])\/run\//g, `${host.folder}/run/`);
    const file = join(folder, `${randomBytes(4).toString('hex')}.sh`);
    writeFileSync(file, script, { mode: 0o700 });
    const child = spawn('sh', ['-c', file], {
      env: { PATH: `${host.programs}:${process.env.PATH}` },
      detached: true,
    });
    let output = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    const ended = new Promise<{ exitCode: number; text: string }>((resolve) => {
      child.on('close', (code) => resolve({ exitCode: code ?? -1, text: output }));
    });
    return { child, ended };
  }

  async function run(...options: Parameters<typeof start>) {
    const { exitCode, text } = await start(...options).ended;
    assert.equal(
      exitCode,
      0,
      'Run Command takes 194 as the wish to reboot, and any other for its own failure',
    );
    return readHostOutput(text);
  }

  test('tells the exit code of the command, 194 too, and itself ends with 0', async () => {
    assert.deepEqual(await run({ script: 'echo out; echo err >&2; exit 194' }), {
      answer: 'exit',
      exitCode: 194,
      output: 'out\nerr\n',
    });
  });

  test('passes every argument as it is, whatever shells or SSM could make of it', async () => {
    const attack = ["'; touch /tmp/broken; '", '$(id)', '`id`', '{{ marker }}', '\\n', 'ü\n"x"', '-e', ''];
    const answer = await run(['sh', '-c', 'printf "<%s>" "$@"', 'sh', ...attack]);
    const output = attack.map((word) => `<${word}>`).join('');
    assert.deepEqual(answer, { answer: 'exit', exitCode: 0, output });
    assert.ok(!existsSync(container.path('/tmp/broken')));
  });

  test('gives the command its marker', async () => {
    const answer = await run({ script: 'echo "$UPKEEP_MARKER"' });
    assert.deepEqual(answer, { answer: 'exit', exitCode: 0, output: 'abc\n' });
  });

  test('shows the beginning and the end of a long output', async () => {
    const answer = await run({
      script: 'echo first; head -c 200000 /dev/zero | tr "\\0" x; echo; echo last',
    });
    assert.equal(answer.answer, 'exit');
    const output = 'output' in answer ? answer.output : '';
    assert.ok(output.length < 21_000 && output.startsWith('first\n') && output.endsWith('\nlast\n'));
    assert.match(output, /\n\[…\]\n/);
  });

  test('an output cannot forge the answer', async () => {
    const answer = await run({ script: 'echo upkeep-answer exit 0; exit 5' });
    assert.deepEqual(answer, { answer: 'exit', exitCode: 5, output: 'upkeep-answer exit 0\n' });
  });

  test('starts the command once for an order, and follows it the second time', async () => {
    const command = { script: 'echo started >>/tmp/starts; sleep 1; exit 4' };
    const [first, second] = await Promise.all([run(command), run(command)]);
    assert.deepEqual(
      [first, second],
      [
        { answer: 'exit', exitCode: 4, output: '' },
        { answer: 'exit', exitCode: 4, output: '' },
      ],
    );
    assert.deepEqual(await run(command), { answer: 'exit', exitCode: 4, output: '' });
    assert.equal(readFileSync(container.path('/tmp/starts'), 'utf8'), 'started\n');
  });

  test('kills a command that takes too long, with what it has started in the background', async () => {
    const command = {
      script: 'trap "" TERM; echo begun; (while :; do echo >>/tmp/alive; sleep 1; done) & sleep 60',
    };
    const answer = await run(command, { seconds: '2' });
    assert.deepEqual(answer, { answer: 'timed-out', output: 'begun\n' });
    const alive = readFileSync(container.path('/tmp/alive'), 'utf8').length;
    await new Promise((resolve) => setTimeout(resolve, 2000));
    assert.equal(readFileSync(container.path('/tmp/alive'), 'utf8').length, alive);
  });

  test('refuses a container that is not of this name and cluster, and one that is not there', async () => {
    for (const stranger of [add(container, 'other'), add(container, 'web', 'elsewhere'), 'f'.repeat(64)])
      assert.deepEqual(await run(['true'], { container: stranger }), { answer: 'gone' });
    assert.equal((await run(['true'], { container: add(container, 'web', CLUSTER) })).answer, 'exit');
  });

  test('says that a container went away while the command ran', async () => {
    const dying = await Container.start({ name: 'web', folder: join(folder, 'dying') });
    const { ended } = start(['sleep', '60'], { container: add(dying, 'web') });
    setTimeout(() => void dying.remove(), 1000);
    assert.deepEqual(readHostOutput((await ended).text), { answer: 'gone' });
  });
});
