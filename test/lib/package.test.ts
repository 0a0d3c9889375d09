import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

const REPOSITORY = new URL('../../', import.meta.url).pathname;
const { exports: exported } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));

/** A CDK app of somebody else, with the package installed. */
const APP = `
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Upkeep, UpkeepJob } from 'wa-upkeep';

const app = new App({ outdir: 'cdk.out' });
const stack = new Stack(app, 'Shop');
const upkeep = new Upkeep(stack, 'Upkeep', {
  deployment: 'shop',
  timeZone: 'Europe/Paris',
  window: { from: '01:00', to: '05:00' },
  // @ts-expect-error Without types this would not be seen.
  timezone: 'Europe/Paris',
});
new UpkeepJob(stack, 'Reindex', {
  upkeep,
  job: 'reindex',
  description: 'Rebuilds the search index',
  entry: 'reindex.ts',
  settings: { index: 'articles' },
  schedule: { at: '03:00', flexibleWindow: Duration.minutes(10) },
  timeLimit: Duration.minutes(90),
});
app.synth();
`;

/** The job's handler: what the package has for use inside a function. */
const HANDLER = `
import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import * as v from 'valibot';
import { executeCommand } from 'wa-upkeep/ecs-exec';
import { AccessDeniedError } from 'wa-upkeep/ecs-exec/errors';
import { type ApplicationHealth, rotateCredential } from 'wa-upkeep/rotate-credential';
import { runJob } from 'wa-upkeep/run-job';
import { readSettings } from 'wa-upkeep/settings';

export const health: ApplicationHealth = { parts: 'workers', connected: async () => 3 };
export const others = { executeCommand, AccessDeniedError, rotateCredential };

export const handler = withDurableExecution((event: unknown, context) =>
  runJob(event, context, async ({ scheduledFor }, context) => {
    const { index } = readSettings(v.object({ index: v.string() }));
    const articles = await context.step('reindex', async () => index.length + scheduledFor.length);
    return { outcome: 'succeeded', figures: { articles }, problems: [] };
  }),
);
`;

describe('the built package, installed in an app', {
  skip: !exported && 'package.json exports nothing yet',
}, () => {
  let app = '';
  before(() => {
    app = mkdtempSync(join(tmpdir(), 'upkeep-package-'));
    install(app);
    writeFileSync(join(app, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(app, 'app.ts'), APP);
    writeFileSync(join(app, 'reindex.ts'), HANDLER);
  });
  after(() => rmSync(app, { recursive: true }));

  it('bundles its own functions and the app’s, and synthesizes', () => {
    const { status, stderr } = spawnSync('node', ['app.ts'], { cwd: app, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const { files } = JSON.parse(readFileSync(join(app, 'cdk.out', 'Shop.assets.json'), 'utf8'));
    const bundles = Object.values<{ source: { path: string } }>(files)
      .map(({ source }) => source.path)
      .filter((path) => path.startsWith('asset.'));
    assert.equal(bundles.length, 3);
    for (const path of bundles)
      assert.match(readFileSync(join(app, 'cdk.out', path, 'index.mjs'), 'utf8'), /\bas handler\b/);
  });

  it('has types that the compiler accepts', () => {
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--skipLibCheck'];
    const { status, stdout } = spawnSync('tsc', [...options, '--types', 'node', 'app.ts', 'reindex.ts'], {
      cwd: app,
      encoding: 'utf8',
    });
    assert.equal(status, 0, stdout);
  });
});

/** What `npm install` would leave, with the dependencies linked in place of copied. */
function install(app: string): void {
  const modules = join(app, 'node_modules');
  const own = join(modules, 'wa-upkeep');
  mkdirSync(own, { recursive: true });
  for (const name of readdirSync(join(REPOSITORY, 'node_modules')))
    if (!name.startsWith('.')) symlinkSync(join(REPOSITORY, 'node_modules', name), join(modules, name));
  copyFileSync(join(REPOSITORY, 'package.json'), join(own, 'package.json'));
  const { status, stdout } = spawnSync('tsc', ['-p', 'tsconfig.build.json', '--outDir', join(own, 'dist')], {
    cwd: REPOSITORY,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout);
}
