import assert from 'node:assert/strict';
import { isBuiltin } from 'node:module';
import { describe, it } from 'node:test';
import type { Engine } from '../../functions/shared/database/contract/engine.ts';
import { importsToLeaveOut } from '../../functions/shared/database/registry.ts';
import { entryFile } from '../../lib/entry-file.ts';
import { bundle } from '../../lib/function-bundle.ts';

interface Bundled {
  functionName: string;
  /** With what its settings need. @default all that the function can do */
  engines?: Engine[];
  /** The one with whose strategies it rotates a credential. */
  rotatesOn?: Engine;
  /**
   * The most that it may weigh, in KB of minified code: what it weighs now and a tenth more. What grows beyond has to say
   * why, here.
   */
  budget: number;
}

const BUNDLES: Bundled[] = [
  // undici is 530 of it: its connections add the least to a callback. EventBridge's client is most of the rest.
  { functionName: 'callback-relay', budget: 1000 },
  // undici is 530 of it, for a pinned certificate; the AWS SDK's three clients and the durable SDK the most of the rest.
  { functionName: 'message-gc', engines: [], budget: 1360 },
  // pg, and the authorities of Amazon RDS.
  { functionName: 'message-gc', engines: ['postgres'], budget: 1670 },
  // mysql2, whose tables of character sets are 480 of it, and the authorities.
  { functionName: 'message-gc', engines: ['aurora-mysql'], budget: 2500 },
  { functionName: 'message-gc', engines: ['mariadb'], budget: 2500 },
  { functionName: 'media-gc', budget: 1360 },
  // The drivers: pg and mysql2, whose tables of character sets are 330 of it, and the authorities of Amazon RDS.
  { functionName: 'database-size', budget: 1960 },
  // The driver and the authorities, as database-size; the clients of ECS and CloudWatch.
  { functionName: 'upgrade-check', engines: ['postgres'], budget: 1050 },
  { functionName: 'upgrade-check', engines: ['aurora-mysql'], budget: 1880 },
  // The clients of EventBridge, CloudWatch and Lambda.
  { functionName: 'report-lost-run', budget: 480 },
  // The driver, and the authorities of Amazon RDS, 181; Secrets Manager's client and Lambda's.
  { functionName: 'rotate-secret', rotatesOn: 'postgres', budget: 780 },
  { functionName: 'rotate-secret', rotatesOn: 'aurora-mysql', budget: 1610 },
  // The clients of ECS and Parameter Store, and the durable SDK besides.
  { functionName: 'credential-rotation', rotatesOn: 'postgres', budget: 1150 },
  { functionName: 'credential-rotation', rotatesOn: 'aurora-mysql', budget: 1990 },
  // undici besides, for a pinned certificate.
  { functionName: 'client-credential-rotation', rotatesOn: 'postgres', budget: 1760 },
  { functionName: 'client-credential-rotation', rotatesOn: 'aurora-mysql', budget: 2590 },
  { functionName: 'client-credential-rotation', rotatesOn: 'mariadb', budget: 2590 },
  { functionName: 'start-run', budget: 640 },
];

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

for (const { functionName, rotatesOn, engines = rotatesOn && [rotatesOn], budget } of BUNDLES)
  describe(`the bundle of ${functionName}${engines ? ` for databases of ${engines.join() || 'no engine'}` : ''}`, () => {
    const leaveOut = engines ? importsToLeaveOut(engines) : [];
    const { metafile, outputFiles } = bundle(entryFile(functionName), leaveOut);
    const packages = packagesOf(Object.keys(metafile.inputs));

    it(`weighs at most ${budget} KB`, () => {
      const code = outputFiles.find(({ path }) => path.endsWith('.mjs'));
      const weight = Math.ceil((code?.contents.length ?? 0) / 1024);
      assert.ok(
        weight > 0 && weight <= budget,
        `${weight} KB. The heaviest packages:\n${heaviest(metafile)}`,
      );
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
        imports.map(({ path }) => path),
      );
      assert.deepEqual(
        imported.filter((path) => !isBuiltin(path) && !OPTIONAL.has(path) && !leaveOut.includes(path)),
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
