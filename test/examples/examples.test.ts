import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

describe('an example synthesizes as it stands, and passes the rules of CloudFormation', () => {
  it('credential-rotation.ts, which knows nothing of WhatsApp', (t) => {
    const template = synthesized(t, 'credential-rotation.ts')('shop-rotation');
    for (const service of ['worker', 'checkout', 'storefront'])
      assert.match(template, new RegExp(`"shop-database-credential-rotation-stopped-${service}"`));
    assert.doesNotMatch(template, /whatsapp|webapp/i);
  });

  it('several-credentials.ts: each has a function and alarms of its own, and all of them one roll', (t) => {
    const template = synthesized(t, 'several-credentials.ts')('shop-rotations');
    for (const name of ['orders', 'stock'])
      for (const alarm of [`rotate-secret-${name}-failed`, `credential-rotation-age-${name}`])
        assert.match(template, new RegExp(`"shop-databases-${alarm}"`));
    assert.equal(template.match(/"shop-databases-credential-rotation-stopped-checkout"/g)?.length, 1);
  });

  it('reload-on-change.ts, which reads no value', (t) => {
    const template = synthesized(t, 'reload-on-change.ts')('checkout-reload');
    assert.match(template, /"checkout-reload-on-change-stale-payment-key"/);
    assert.doesNotMatch(template, /GetSecretValue/);
  });

  it('media-volume.ts', (t) => {
    const templateOf = synthesized(t, 'media-volume.ts');
    const mounts = templateOf('latam-client').match(/"\/usr\/local\/wamedia"/g);
    assert.equal(mounts?.length, 2, 'WebApp and CoreApp mount it');
    assert.match(templateOf('latam-media'), /role\/latam-coreapp/);
  });
});

/** @returns the text of a stack's template */
function synthesized(t: { after(work: () => void): void }, example: string): (stack: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'upkeep-example-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const { status, stderr } = spawnSync('node', [join('examples', example)], {
    cwd: new URL('../../', import.meta.url),
    encoding: 'utf8',
    env: {
      ...process.env,
      CDK_OUTDIR: folder,
      CDK_CONTEXT_JSON: '{"@aws-cdk/core:validateAgainstDefaultRules":true}',
    },
  });
  assert.equal(status, 0, stderr);
  return (stack) => readFileSync(join(folder, `${stack}.template.json`), 'utf8');
}
