import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readApi } from './api.ts';

test('TypeDoc has no warning: what is public is documented, and each type in it can be imported', async (t) => {
  const { warnings, write } = await readApi();
  assert.deepEqual(warnings, []);

  const folder = mkdtempSync(join(tmpdir(), 'api-'));
  t.after(() => rmSync(folder, { recursive: true }));
  await write(folder);
  assert.ok(existsSync(join(folder, 'index.html')));
  const pages = readdirSync(folder, { recursive: true }).map(String);
  for (const name of ['Upkeep', 'ContainerCommandJob', 'CredentialRotation', 'MediaVolume', 'CallbackRelay'])
    assert.ok(
      pages.some((page) => page.endsWith(`classes/lib.${name}.html`)),
      `no page of ${name}`,
    );
});
