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

/** How a package manager lays out what it installs. */
export type Layout =
  /** All beside each other, as npm and Yarn do. */
  | 'flat'
  /** Each sees what it names itself, and nothing else, as with pnpm. */
  | 'strict';

export interface AppOptions {
  layout: Layout;
  /** What the app names besides the package and its peers. */
  dependencies?: string[];
  /** Other packages of ours in place of those of a name. */
  instead?: Record<string, string>;
}

/** A folder outside of the repository with the package installed: what `npm install` would leave, linked where that is the same. */
export function appWith({ folder }: Packed, { layout, dependencies = [], instead = {} }: AppOptions): string {
  const app = mkdtempSync(join(besideModules(), 'shop-'));
  const modules = join(app, 'node_modules');
  const peers = Object.keys(manifest.peerDependencies);
  const copied = Object.keys(instead);
  const place = (into: string, name: string) => {
    const source = join(OWN_MODULES, instead[name] ?? name);
    mkdirSync(dirname(join(into, name)), { recursive: true });
    // What is linked finds its own dependencies where it lies: not those that stand in for others here.
    if (copied.length > 0 && peers.includes(name))
      succeed('cp', [isBesideModules(app) ? '-al' : '-a', `${source}/.`, join(into, name)], app);
    else symlinkSync(source, join(into, name));
  };
  if (layout === 'flat') {
    mkdirSync(modules);
    for (const name of packagesIn(OWN_MODULES)) place(modules, name);
    cpSync(folder, join(modules, 'wa-upkeep'), { recursive: true });
  } else {
    const store = join(modules, '.pnpm/wa-upkeep/node_modules');
    mkdirSync(store, { recursive: true });
    for (const name of [...Object.keys(manifest.dependencies), ...peers]) place(store, name);
    cpSync(folder, join(store, 'wa-upkeep'), { recursive: true });
    for (const name of [...peers, ...dependencies]) place(modules, name);
    symlinkSync(join(store, 'wa-upkeep'), join(modules, 'wa-upkeep'));
  }
  return app;
}

/** Of another file system nothing can be linked, as where the tests have their folders in memory. */
function isBesideModules(folder: string): boolean {
  return existsSync(folder) && statSync(folder).dev === statSync(OWN_MODULES).dev;
}

function besideModules(): string {
  return [tmpdir(), '/tmp', '/var/tmp'].find(isBesideModules) ?? tmpdir();
}

function packagesIn(modules: string): string[] {
  return readdirSync(modules)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(join(modules, name)).map((own) => `${name}/${own}`) : [name],
    );
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
