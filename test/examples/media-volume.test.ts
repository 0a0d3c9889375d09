import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';

const folder = mkdtempSync(join(tmpdir(), 'upkeep-example-'));
after(() => rmSync(folder, { recursive: true }));

it('the example of a media volume synthesizes as it stands, and passes the rules of CloudFormation', () => {
  const { status, stderr } = spawnSync('node', ['examples/media-volume.ts'], {
    cwd: new URL('../../', import.meta.url),
    encoding: 'utf8',
    env: {
      ...process.env,
      CDK_OUTDIR: folder,
      CDK_CONTEXT_JSON: '{"@aws-cdk/core:validateAgainstDefaultRules":true}',
    },
  });
  assert.equal(status, 0, stderr);
  const client = readFileSync(join(folder, 'latam-client.template.json'), 'utf8');
  assert.equal(client.match(/"\/usr\/local\/wamedia"/g)?.length, 2, 'WebApp and CoreApp mount it');
  assert.match(readFileSync(join(folder, 'latam-media.template.json'), 'utf8'), /role\/latam-coreapp/);
});
