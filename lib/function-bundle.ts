import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { AssetHashType, DockerImage } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { type BuildOptions, buildSync, type Metafile, type OutputFile } from 'esbuild';
import { PropsError } from './checks/props.ts';
import { ownSourceMap } from './own-source-map.ts';

/** The name of the bundle's file, and with it the first half of the function's `handler`. */
export const BUNDLE_NAME = 'index';

/**
 * Bundles a function's entry file with all that it imports, the AWS SDK too: what was tested is what runs.
 *
 * esbuild is called here rather than through `NodejsFunction`, whose command line wants a lock file above the
 * entry (none is there for a package installed in another app), would deploy the metafile with the bundle, and
 * runs anew for each stack.
 *
 * @param options `leaveOut`: imports that are never followed where this bundle runs, as the sources write them; `where`:
 * whose code it is, for messages
 */
export function bundledCode(
  entry: string,
  { leaveOut = [], where }: { leaveOut?: readonly string[] | undefined; where: string },
): Code {
  return Code.fromAsset(dirname(entry), {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      image: DockerImage.fromRegistry('unused: esbuild runs on this machine'),
      // Not run: the CDK tells assets of one folder apart by it.
      command: ['esbuild', basename(entry), ...leaveOut],
      local: {
        tryBundle(outputDirectory) {
          const { outputFiles, metafile } = bundle(entry, leaveOut);
          if (!Object.values(metafile.outputs).some((output) => output.exports.includes('handler')))
            throw new PropsError(where, [
              `entry is "${entry}", which exports no handler; it must have export const handler = … (an ES module: module.exports is not seen).`,
            ]);
          for (const { path, contents } of outputFiles) {
            const file = join(outputDirectory, basename(path));
            mkdirSync(dirname(file), { recursive: true });
            writeFileSync(file, contents);
          }
          return true;
        },
      },
    },
  });
}

const bundles = new Map<string, Bundle>();
let keptIn: string | undefined;

/** What esbuild makes of an entry: the files, and the metafile that tells what went into them. */
export interface Bundle {
  outputFiles: Pick<OutputFile, 'path' | 'contents'>[];
  metafile: Metafile;
}

/** Shares bundles with other processes by a folder: for tests, which run in many, and meanwhile no source changes. */
export function keepBundlesIn(folder: string): void {
  keptIn = folder;
}

/**
 * Runs esbuild, once per entry, imports left out, and process.
 * @throws Error of esbuild, naming file and line.
 */
export function bundle(entry: string, leaveOut: readonly string[] = []): Bundle {
  const key = [entry, ...leaveOut].join('\n');
  const known = bundles.get(key);
  if (known) return known;
  const file = keptIn && join(keptIn, createHash('sha256').update(key).digest('hex'));
  const made =
    file && existsSync(file) ? (deserialize(readFileSync(file)) as Bundle) : build(entry, leaveOut);
  bundles.set(key, made);
  if (file && !existsSync(file)) keep(file, made);
  return made;
}

function build(entry: string, leaveOut: readonly string[]): Bundle {
  const { outputFiles, metafile } = buildSync({
    ...bundleOptions(entry),
    external: [...leaveOut],
    write: false,
    metafile: true,
  });
  return {
    outputFiles: outputFiles.map(({ path, contents }) => ({
      path,
      contents: path.endsWith('.map') ? ownSourceMap(contents, packageRoot(entry)) : contents,
    })),
    metafile,
  };
}

/** Never half a file for whoever reads meanwhile. */
function keep(file: string, made: Bundle): void {
  mkdirSync(dirname(file), { recursive: true });
  const part = `${file}.${process.pid}`;
  writeFileSync(part, serialize(made));
  renameSync(part, file);
}

function bundleOptions(entry: string): BuildOptions {
  return {
    entryPoints: [entry],
    // Paths in the source map are relative to it: so the asset's hash is the same on every machine.
    absWorkingDir: packageRoot(entry),
    outfile: `${BUNDLE_NAME}.mjs`,
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

function packageRoot(entry: string): string {
  let folder = dirname(resolve(entry));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) return dirname(resolve(entry));
    folder = parent;
  }
  return folder;
}
