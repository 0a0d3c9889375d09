import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, dirname } from 'node:path';
import { describe, it, test } from 'node:test';
import { BUNDLE_KINDS, limitOf, nameOf, purposeOf, REGION } from '../../bench/bundle-kinds.ts';
import { entryFile } from '../../lib/entry-file.ts';
import { bundle } from '../../lib/function-bundle.ts';

/** What must not be deployed with a function: the CDK and tools, and schema libraries besides the one in use. */
const FORBIDDEN = [
  'aws-cdk-lib',
  'constructs',
  'cdk-nag',
  'esbuild',
  'typescript',
  'zod',
  'ajv',
  'joi',
  'aws-sdk',
];

/** What mysql2, pg and ws use if it is there, and do without if not. */
const OPTIONAL = new Set(['bufferutil', 'cardinal', 'pg-native', 'utf-8-validate']);

test('each function has its bundle weighed', () => {
  const functions = globSync('functions/*/handler.ts').map((path) => basename(dirname(path)));
  assert.deepEqual(
    [...new Set(BUNDLE_KINDS.map(({ functionName }) => functionName))].sort(),
    functions.sort(),
  );
});

test('no function makes a format of numbers or times when it is loaded, which takes a quarter of its start', () => {
  const made = globSync('functions/**/*.ts').filter((path) =>
    /^(export )?const .*new Intl\./m.test(readFileSync(path, 'utf8')),
  );
  assert.deepEqual(made, []);
});

for (const each of BUNDLE_KINDS) {
  const { functionName, engines } = each;
  const [purpose, limit] = [purposeOf(each), limitOf(each)];
  describe(`the bundle of ${nameOf(each)}`, () => {
    const { metafile, outputFiles } = bundle(entryFile(functionName), purpose);
    const packages = packagesOf(Object.keys(metafile.inputs));
    const code = outputFiles.filter(({ path }) => path.endsWith('.mjs'));

    it(`weighs at most ${limit} KB`, () => {
      const weight = Math.ceil(code.reduce((sum, { contents }) => sum + contents.length, 0) / 1024);
      assert.ok(
        weight > 100 && weight <= limit,
        `${weight} KB. The heaviest packages:\n${heaviest(metafile)}`,
      );
    });

    it("has a source map only for what holds code of the function's own", () => {
      const maps = outputFiles.filter(({ path }) => path.endsWith('.map'));
      for (const { path, contents } of code) {
        const named = /\n\/\/# sourceMappingURL=(\S+)\n$/.exec(Buffer.from(contents).toString())?.[1];
        const map = maps.find((file) => file.path === `${path}.map`);
        assert.equal(named, map && basename(map.path), basename(path));
        if (map) assert.notDeepEqual(JSON.parse(Buffer.from(map.contents).toString()).sources, []);
      }
      assert.ok(maps.length > 0);
    });

    it('does not have Node load what it does not need, at its start', () => {
      // An import reads all that the module exports, also what Node loads only when it is read: of `node:http` its WebSocket and fetch, of
      // `node:util` worker threads.
      const imported = Object.values(metafile.outputs).flatMap(({ imports }) =>
        imports.flatMap(({ path, kind }) => (kind === 'import-statement' ? path : [])),
      );
      assert.deepEqual(
        imported.filter((path) => /^(node:)?(http|util|perf_hooks|worker_threads)$/.test(path)),
        [],
      );
    });

    it("holds the roots of its databases' region, and of no other", () => {
      const held = new Set<string>();
      for (const { contents } of code)
        for (const [, region = ''] of Buffer.from(contents).toString().matchAll(CERTIFICATE))
          held.add(/CN=Amazon RDS (\S+)/.exec(new X509Certificate(pem(region)).subject)?.[1] ?? 'Amazon');
      assert.deepEqual([...held].sort(), engines?.length ? ['Amazon', REGION] : []);
    });

    if (engines)
      it('holds the drivers of its databases, and no others', () => {
        const drivers = new Set(engines.map((engine) => (engine === 'postgres' ? 'pg' : 'mysql2')));
        // What is imported, but not used, is among a bundle's inputs too, with no byte.
        const used = Object.values(metafile.outputs).flatMap(({ inputs }) =>
          Object.keys(inputs).filter((input) => inputs[input]?.bytesInOutput),
        );
        const held = packagesOf(used);
        assert.deepEqual(new Set(['pg', 'mysql2'].filter((name) => held.has(name))), drivers);
      });

    it('holds nothing that is not for it', () => {
      assert.deepEqual(
        FORBIDDEN.filter((name) => packages.has(name)),
        [],
      );
      assert.deepEqual(
        Object.keys(metafile.inputs).filter((input) => /^(lib|bin|rehearsal|test)\//.test(input)),
        [],
      );
    });

    it('holds no package in two versions', () => {
      const twice = [...packages].filter(([, folders]) => folders.size > 1);
      assert.deepEqual(twice, []);
    });

    it('imports nothing but what Node itself has', () => {
      const imported = Object.values(metafile.outputs).flatMap(({ imports }) =>
        imports.flatMap(({ path, external }) => (external ? path : [])),
      );
      assert.deepEqual(
        imported.filter(
          (path) => !isBuiltin(path) && !OPTIONAL.has(path) && !purpose.leaveOut.includes(path),
        ),
        [],
      );
    });
  });
}

/** In a string of minified code. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----([A-Za-z\d+/=\\\s]+)-----END CERTIFICATE-----/g;

function pem(body: string): string {
  return `-----BEGIN CERTIFICATE-----${body.replaceAll('\\n', '\n')}-----END CERTIFICATE-----`;
}

/** Each package with the folders that it was taken from. */
function packagesOf(inputs: string[]): Map<string, Set<string>> {
  const packages = new Map<string, Set<string>>();
  for (const input of inputs) {
    const [, folder = '', name = ''] = /^(.*node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(input) ?? [];
    if (name) packages.set(name, (packages.get(name) ?? new Set()).add(folder));
  }
  return packages;
}

function heaviest({ outputs }: ReturnType<typeof bundle>['metafile']): string {
  const weights = new Map<string, number>();
  for (const { inputs } of Object.values(outputs))
    for (const [input, { bytesInOutput }] of Object.entries(inputs)) {
      const [name = input] = packagesOf([input]).keys();
      weights.set(name, (weights.get(name) ?? 0) + bytesInOutput);
    }
  return [...weights]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 8)
    .map(([name, bytes]) => `${Math.ceil(bytes / 1024)} KB ${name}`)
    .join('\n');
}
