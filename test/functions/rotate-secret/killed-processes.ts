import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { RotateSecretSettings } from '../../../functions/rotate-secret/contract.ts';
import type { SecretsManagerStandIn } from './secrets-manager.ts';

/** Lambda's processes with the function's bundle, each started while the one before is in use. */
export async function killedProcesses(
  t: TestContext,
  { settings, secretsManager }: { settings: RotateSecretSettings; secretsManager: SecretsManagerStandIn },
  total: number,
) {
  const folder = await mkdtemp(join(tmpdir(), 'rotate-secret-'));
  t.after(() => rm(folder, { recursive: true }));
  const outfile = join(folder, 'index.cjs');
  const entry = fileURLToPath(new URL('killed-rotation.ts', import.meta.url));
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    keepNames: true,
    external: ['pg-native'],
  });
  const start = () => {
    const child = fork(outfile, {
      silent: true,
      env: {
        ...process.env,
        UPKEEP_SETTINGS: JSON.stringify(settings),
        AWS_ENDPOINT_URL: secretsManager.endpoint,
        AWS_REGION: 'eu-central-1',
        AWS_ACCESS_KEY_ID: 'test',
        AWS_SECRET_ACCESS_KEY: 'test',
      },
    });
    return {
      child,
      output: collected(child),
      ready: new Promise((resolve) => child.once('message', resolve)),
    };
  };
  let started = 1;
  let next = start();
  return {
    stop: () => next.child.kill('SIGKILL'),
    runUntilKilled: async (message: { arn: string; token: string; at: number }) => {
      const { child, output, ready } = next;
      if (started < total) {
        started += 1;
        next = start();
      }
      await ready;
      const commandLine = await readFile(`/proc/${child.pid}/cmdline`, 'utf8').catch(() => '');
      const ended = new Promise<NodeJS.Signals | null>((resolve) =>
        child.once('close', (_, signal) => resolve(signal)),
      );
      child.send(message);
      assert.equal(await ended, 'SIGKILL', output());
      return `${output()}\n${commandLine}`;
    },
  };
}

function collected(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
  }
  return () => text;
}
