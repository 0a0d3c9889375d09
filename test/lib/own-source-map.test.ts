import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { bundle } from '../../lib/function-bundle.ts';

/** An error of the entry's own, one of a dependency, and one of the entry again behind it. */
const FILES = {
  'handler.ts': `
    import { fail } from 'dependency';
    import { shared } from './shared.ts';
    function told(act: () => void): string {
      try { act(); return ''; } catch (error) { return String((error as Error).stack); }
    }
    export const handler = () =>
      [told(() => { throw new Error('own'); }), told(() => fail()), told(() => shared())].join('===');
  `,
  'shared.ts': `export function shared(): never {\n  throw new Error('shared');\n}\n`,
  'package.json': '{}',
};
const DEPENDENCY = {
  'package.json': '{"name":"dependency","type":"module","main":"index.js"}',
  'index.js': "export function fail() {\n  throw new Error('theirs');\n}\n",
};

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** Bundles the entry of a package in a folder that has its dependency in another one, and runs it. */
function stacksOf(packageFolder: string, dependencyFolder: string): { stacks: string[]; sources: string[] } {
  const root = mkdtempSync(join(tmpdir(), 'own-source-map-'));
  folders.push(root);
  const write = (folder: string, files: Record<string, string>) => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, folder, name)), { recursive: true });
      writeFileSync(join(root, folder, name), text);
    }
  };
  write(packageFolder, FILES);
  write(dependencyFolder, DEPENDENCY);
  const { outputFiles } = bundle(join(root, packageFolder, 'handler.ts'));
  const out = join(root, 'out');
  mkdirSync(out);
  for (const { path, contents } of outputFiles)
    writeFileSync(join(out, path.endsWith('.map') ? 'index.mjs.map' : 'index.mjs'), contents);
  const script = `console.log((await import(${JSON.stringify(join(out, 'index.mjs'))})).handler())`;
  const told = execFileSync(
    process.execPath,
    ['--enable-source-maps', '--input-type=module', '--eval', script],
    { encoding: 'utf8' },
  );
  const map = outputFiles.find(({ path }) => path.endsWith('.map'));
  return {
    stacks: told.split('==='),
    sources: JSON.parse(Buffer.from(map?.contents ?? []).toString()).sources,
  };
}

describe('the source map of a bundle', () => {
  for (const [where, packageFolder, dependencyFolder] of [
    ['of an application', 'app', 'app/node_modules/dependency'],
    [
      'of an installed package, whose dependencies lie beside it',
      'node_modules/own',
      'node_modules/dependency',
    ],
  ] as const)
    it(`${where} leads into its own files, and leaves places in dependencies as they are in the bundle`, () => {
      const { stacks, sources } = stacksOf(packageFolder, dependencyFolder);
      const [own = '', theirs = '', shared = ''] = stacks;
      assert.match(own, /handler\.ts:8:/);
      assert.match(theirs.split('\n')[1] ?? '', /index\.mjs:\d+:\d+/);
      assert.match(theirs, /handler\.ts:8:/);
      assert.match(shared, /shared\.ts:2:9/);
      assert.deepEqual(sources.toSorted(), ['handler.ts', 'shared.ts']);
    });
});
