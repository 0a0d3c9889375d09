import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';

const folder = mkdtempSync(join(tmpdir(), 'upkeep-example-'));
after(() => rmSync(folder, { recursive: true }));

it('the example of a rotation synthesizes as it stands, passes the rules of CloudFormation, and knows nothing of WhatsApp', () => {
  const { status, stderr } = spawnSync('node', ['examples/credential-rotation.ts'], {
    cwd: new URL('../../', import.meta.url),
    encoding: 'utf8',
    env: {
      ...process.env,
      CDK_OUTDIR: folder,
      CDK_CONTEXT_JSON: '{"@aws-cdk/core:validateAgainstDefaultRules":true}',
    },
  });
  assert.equal(status, 0, stderr);
  const template = readFileSync(join(folder, 'shop-rotation.template.json'), 'utf8');
  for (const service of ['worker', 'checkout', 'storefront'])
    assert.match(template, new RegExp(`"shop-credential-rotation-stopped-${service}"`));
  assert.doesNotMatch(template, /whatsapp|webapp/i);
});
