import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

export const REPOSITORY = join(import.meta.dirname, '../..');

const OWN_MODULES = join(REPOSITORY, 'node_modules');
/** What the CDK's `init` writes is filled in so. */
const TEMPLATE = join(OWN_MODULES, 'aws-cdk/lib/init-templates/app/typescript');

interface Manifest {
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
  exports: Record<string, string | { types?: string; require?: { types?: string } }>;
}

export const manifest: Manifest = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));

/** The package, as `npm pack` makes it. */
export interface Packed {
  tarball: string;
  /** Its files, unpacked. */
  folder: string;
  remove(): void;
}

/** Builds and packs it, without a trace in the repository. */
export function packPackage(): Packed {
  const root = mkdtempSync(join(tmpdir(), 'upkeep-package-'));
  const stage = join(root, 'stage');
  mkdirSync(stage);
  succeed('node', ['build.ts', stage], REPOSITORY);
  for (const name of [
    ...['bin', 'lib', 'functions', 'rehearsal', 'docs', 'examples'],
    ...['package.json', 'README.md', 'LICENSE'],
  ])
    cpSync(join(REPOSITORY, name), join(stage, name), { recursive: true });
  const [{ filename = '' } = {}] = JSON.parse(
    succeed('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', root], stage),
  ) as { filename?: string }[];
  const tarball = join(root, filename);
  succeed('tar', ['xzf', tarball], root);
  rmSync(stage, { recursive: true });
  return {
    tarball,
    folder: join(root, 'package'),
    remove: () => rmSync(root, { recursive: true }),
  };
}

/** What a stranger installs by. */
export type Manager = 'npm' | 'pnpm' | 'yarn' | 'yarn-pnp';

export interface AppOptions {
  manager: Manager;
  /** What the app names besides the package and its peers. */
  dependencies?: string[];
}

/** Its name on the PATH is that of whichever Yarn the machine has. */
export const YARN = join(OWN_MODULES, '@yarnpkg/cli-dist/bin/yarn.js');

/**
 * A folder outside of the repository in which a package manager installed the package from its archive. No registry is asked: what
 * the package and the app depend on is linked to what the repository has.
 */
export function appWith(
  { tarball }: Packed,
  { manager, dependencies = [] }: AppOptions,
  prepare: (app: string) => void = () => {},
): string {
  const app = mkdtempSync(join(tmpdir(), 'shop-'));
  prepare(app);
  const peers = Object.keys(manifest.peerDependencies);
  const own = Object.keys(manifest.dependencies);
  const linked = (names: string[]) =>
    Object.fromEntries(
      names.map((name) => [name, `${manager === 'npm' ? 'file' : 'link'}:${join(OWN_MODULES, name)}`]),
    );
  const file = join(app, 'package.json');
  const given = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  const named = [
    ...Object.keys({ ...given.dependencies, ...given.devDependencies }),
    ...peers,
    ...dependencies,
    // npm puts them beside what the app names itself, and has no way to say what stands for them deeper down.
    ...(manager === 'npm' ? own : []),
  ];
  const yarnOptions = ['enableScripts', 'enableNetwork', 'enableTelemetry', 'enableImmutableInstalls'];
  writeFileSync(
    file,
    JSON.stringify({
      name: 'shop',
      private: true,
      ...given,
      dependencies: { 'wa-upkeep': `file:${tarball}`, ...linked(named) },
      devDependencies: {},
      ...(manager.startsWith('yarn') && { resolutions: linked(own) }),
    }),
  );
  switch (manager) {
    case 'npm':
      // The peers' versions are looked at by the tests: of peers that are links npm 11 itself breaks off.
      succeed(
        'npm',
        [
          'install',
          ...['--offline', '--engine-strict', '--legacy-peer-deps', '--ignore-scripts'],
          ...['--no-audit', '--no-fund', '--no-package-lock'],
        ],
        app,
      );
      break;
    case 'pnpm':
      writeFileSync(join(app, 'pnpm-workspace.yaml'), JSON.stringify({ overrides: linked(own) }));
      succeed(
        'pnpm',
        ['install', '--offline', '--no-frozen-lockfile', '--store-dir', join(dirname(tarball), 'store')],
        app,
      );
      break;
    default:
      writeFileSync(join(app, 'yarn.lock'), '');
      writeFileSync(
        join(app, '.yarnrc.yml'),
        [
          `nodeLinker: ${manager === 'yarn' ? 'node-modules' : 'pnp'}`,
          // As by default, where the package lies in an archive beside no project.
          `globalFolder: ${join(dirname(tarball), 'yarn')}`,
          ...yarnOptions.map((name) => `${name}: false`),
        ].join('\n'),
      );
      succeed('node', [YARN, 'install'], app);
  }
  return app;
}

/**
 * Likewise with other packages of ours in place of those of a name, and strictly: each sees what it names itself, and nothing else.
 */
export function appInstead({ folder }: Packed, instead: Record<string, string>): string {
  const app = mkdtempSync(join(besideModules(), 'shop-'));
  const modules = join(app, 'node_modules');
  const store = join(modules, '.pnpm/wa-upkeep/node_modules');
  const peers = Object.keys(manifest.peerDependencies);
  const place = (into: string, name: string) => {
    const source = join(OWN_MODULES, instead[name] ?? name);
    mkdirSync(dirname(join(into, name)), { recursive: true });
    // What is linked finds its own dependencies where it lies: not those that stand in for others here.
    if (peers.includes(name))
      succeed('cp', [isBesideModules(app) ? '-al' : '-a', `${source}/.`, join(into, name)], app);
    else symlinkSync(source, join(into, name));
  };
  mkdirSync(store, { recursive: true });
  for (const name of [...Object.keys(manifest.dependencies), ...peers]) place(store, name);
  cpSync(folder, join(store, 'wa-upkeep'), { recursive: true });
  for (const name of peers) place(modules, name);
  symlinkSync(join(store, 'wa-upkeep'), join(modules, 'wa-upkeep'));
  return app;
}

/** Of another file system nothing can be linked, as where the tests have their folders in memory. */
function isBesideModules(folder: string): boolean {
  return existsSync(folder) && statSync(folder).dev === statSync(OWN_MODULES).dev;
}

function besideModules(): string {
  return [tmpdir(), '/tmp', '/var/tmp'].find(isBesideModules) ?? tmpdir();
}

/** Writes what `cdk init app --language typescript` writes into a folder of the name `shop`. */
export function initialize(app: string): void {
  const filled = (text: string) =>
    text
      .replaceAll('%name%', 'shop')
      .replaceAll('%name.PascalCased%', 'Shop')
      .replaceAll('%stackname%', 'ShopStack');
  for (const file of readdirSync(TEMPLATE, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(json|ts|js)$/.test(file)) continue;
    const target = join(app, filled(file).replace('.template.', '.'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, filled(readFileSync(join(TEMPLATE, file), 'utf8')));
  }
}

/** The blocks of code in a Markdown file, with the line that they begin on. */
export function samplesOf(file: string, language: string): { line: number; text: string }[] {
  const markdown = readFileSync(join(REPOSITORY, file), 'utf8');
  return [...markdown.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map((match) => ({
    line: markdown.slice(0, match.index).split('\n').length,
    text: match[1] ?? '',
  }));
}

/** Runs a program of the app's, or of the repository, to its good end. */
export function succeed(program: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = {}): string {
  // TypeScript's version 6, which TypeDoc needs, has a command of that name too, and npm links either.
  const command = program === 'tsc' ? join(OWN_MODULES, 'typescript/bin/tsc') : program;
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, PATH: `${join(OWN_MODULES, '.bin')}:${process.env.PATH}`, ...env },
  });
  assert.equal(status, 0, `${basename(program)} ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}
