import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { synthesize } from '../../rehearsal/synthesize.ts';

/** As the CDK does, in place of it: a folder into which another one synthesizes is refused. */
const CDK = `#!/bin/sh
while [ "$1" != --output ]; do shift; done
mkdir "$2/synth.lock" || { echo "Another CLI is currently synthing to $2" >&2; exit 1; }
echo "$1" > "$2/manifest.json"
`;

test('two rehearsals at once in one checkout synthesize each into a folder of its own', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cdk-'));
  const { PATH } = process.env;
  writeFileSync(join(folder, 'cdk'), CDK);
  chmodSync(join(folder, 'cdk'), 0o755);
  process.env.PATH = `${folder}:${PATH}`;
  try {
    const folders = await Promise.all([synthesize(), synthesize(), synthesize()]);
    assert.equal(new Set(folders).size, 3);
    for (const each of folders) {
      assert.ok(readFileSync(join(each, 'manifest.json'), 'utf8'));
      rmSync(each, { recursive: true });
    }
  } finally {
    process.env.PATH = PATH;
    rmSync(folder, { recursive: true });
  }
});
