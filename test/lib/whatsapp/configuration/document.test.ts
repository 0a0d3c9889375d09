import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { configurationDocument } from '../../../../lib/whatsapp/configuration/document.ts';

it('docs/configuration.md is what the schema says (node lib/whatsapp/configuration/document.ts writes it)', () => {
  const written = readFileSync(new URL('../../../../docs/configuration.md', import.meta.url), 'utf8');
  assert.equal(written, configurationDocument());
});

it('every field has its sentence in the documentation', () => {
  for (const line of configurationDocument().split('\n'))
    if (line.startsWith('| `')) assert.doesNotMatch(line, /\|\s+\|/, line);
});
