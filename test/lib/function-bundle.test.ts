import assert from 'node:assert/strict';
import { isBuiltin } from 'node:module';
import { describe, it } from 'node:test';
import { entryFile } from '../../lib/entry-file.ts';
import { bundle } from '../../lib/function-bundle.ts';

/**
 * The most that each bundle may weigh, in KB of minified code: what it weighs now and a tenth more. What grows
 * beyond has to say why, here.
 */
const BUDGETS: Record<string, number> = {
  // undici is 530 of it: its connections add the least to a callback. EventBridge's client is most of the rest.
  'callback-relay': 1000,
  // undici is 530 of it, for a pinned certificate; the AWS SDK's three clients and the durable SDK the most of the rest.
  'message-gc': 1360,
  'media-gc': 1360,
  // The drivers: pg and mysql2, whose tables of character sets are 330 of it, and the authorities of Amazon RDS.
  'database-size': 1940,
  'report-lost-run': 410,
  'start-run': 570,
};

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

/** What mysql2 and pg use if it is there, and do without if not. */
const OPTIONAL = new Set(['cardinal', 'pg-native']);

for (const [functionName, budget] of Object.entries(BUDGETS))
  describe(`the bundle of ${functionName}`, () => {
    const { metafile, outputFiles } = bundle(entryFile(functionName));
    const packages = packagesOf(Object.keys(metafile.inputs));

    it(`weighs at most ${budget} KB`, () => {
      const code = outputFiles.find(({ path }) => path.endsWith('.mjs'));
      const weight = Math.ceil((code?.contents.length ?? 0) / 1024);
      assert.ok(
        weight > 0 && weight <= budget,
        `${weight} KB. The heaviest packages:\n${heaviest(metafile)}`,
      );
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
        imports.map(({ path }) => path),
      );
      assert.deepEqual(
        imported.filter((path) => !isBuiltin(path) && !OPTIONAL.has(path)),
        [],
      );
    });
  });

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
