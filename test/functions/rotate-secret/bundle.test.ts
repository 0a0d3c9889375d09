import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import type { RotateSecretSettings } from '../../../functions/rotate-secret/contract.ts';
import { ENGINES, type Engine } from '../../../functions/shared/database/contract/engine.ts';
import { importsToLeaveOut } from '../../../functions/shared/database/registry.ts';

const ENTRY = fileURLToPath(new URL('../../../functions/rotate-secret/handler.ts', import.meta.url));
const REQUIRE =
  "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
const DRIVERS = { mysql: 'mysql2', mariadb: 'mysql2', postgres: 'pg' } as const;

/** Asks a bundle for a step with a database that does not answer: it gets as far as its driver. */
const CALL = `
const { handler } = await import(process.argv[1]);
await handler({ Step: 'testSecret', SecretId: 'arn', ClientRequestToken: 'token' }).catch((error) => {
  process.stdout.write(error.message);
});
`;

for (const [engine, format] of [
  ['mysql', 'esm'],
  ['mariadb', 'cjs'],
  ['postgres', 'esm'],
  ['aurora-postgresql', 'cjs'],
] as [Engine, 'esm' | 'cjs'][]) {
  test(`a bundle (${format}) for ${engine} has its own driver only, and runs where nothing is installed`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'rotate-secret-bundle-'));
    t.after(() => rm(folder, { recursive: true }));
    const family = ENGINES[engine];
    const outfile = join(folder, format === 'esm' ? 'index.mjs' : 'index.cjs');
    const { metafile } = await build({
      entryPoints: [ENTRY],
      outfile,
      bundle: true,
      minify: true,
      platform: 'node',
      target: 'node24',
      format,
      ...(format === 'esm' ? { banner: { js: REQUIRE } } : {}),
      external: importsToLeaveOut([engine]),
      metafile: true,
      logLevel: 'silent',
    });
    const inputs = Object.keys(metafile.inputs);
    for (const driver of ['mysql2', 'pg']) {
      const bundled = inputs.some((input) => input.includes(`node_modules/${driver}/`));
      assert.equal(bundled, driver === DRIVERS[family], driver);
    }
    const settings: RotateSecretSettings = {
      deployment: 'berlin',
      secretArn: 'arn',
      database: { engine, host: 'localhost', port: 9, certificateAuthority: 'rds' },
      strategy:
        family === 'postgres'
          ? { kind: 'alternating-users', users: ['a', 'b'], owner: 'owner' }
          : { kind: 'dual-password' },
    };
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', CALL, outfile],
      {
        cwd: folder,
        env: {
          UPKEEP_SETTINGS: JSON.stringify(settings),
          AWS_REGION: 'eu-central-1',
          AWS_ACCESS_KEY_ID: 'test',
          AWS_SECRET_ACCESS_KEY: 'test',
          AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
          AWS_MAX_ATTEMPTS: '1',
        },
      },
    );
    // The engine's module was loaded: what fails is the first call of Secrets Manager.
    assert.match(stdout, /ECONNREFUSED 127.0.0.1:9/);
  });
}
