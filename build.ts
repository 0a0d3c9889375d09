/**
 * Makes `dist/`, what the package holds: the functions, the commands and the rehearsal as ES modules with their types, and for
 * each path of `exports` one CommonJS file, with the types of that kind under `dist/cjs`. For whoever imports or
 * requires them, the constructs are CommonJS alone, as the CDK is: both get the same classes. The commands take parts of them as modules.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** There is no CommonJS in these, and jest has no `require` for anything else: they come along in our own files. */
const ONLY_MODULES = ['p-queue', 'simple-statistics', 'temporal-polyfill'];

const root = dirname(fileURLToPath(import.meta.url));
const { dependencies, peerDependencies, exports } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
) as {
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
  exports: Record<string, { types?: string; default?: string; require?: { types: string; default: string } }>;
};

const outdir = join(process.argv[2] ?? root, 'dist');
rmSync(outdir, { recursive: true, force: true });
// By its file: TypeScript's version 6, which TypeDoc needs, has a command of that name too, and npm links either.
execFileSync(
  join(root, 'node_modules/typescript/bin/tsc'),
  ['-p', 'tsconfig.build.json', '--outDir', outdir],
  { cwd: root, stdio: 'inherit' },
);
const paths = Object.values(exports).flatMap(({ types, require }) => types ?? require?.types ?? []);
copyTypes(paths.map((path) => path.replace('./dist/cjs/', '')));
writeFileSync(join(outdir, 'cjs/package.json'), '{ "type": "commonjs" }\n');

const external = [...Object.keys(dependencies), ...Object.keys(peerDependencies)]
  .filter((name) => !ONLY_MODULES.includes(name))
  .flatMap((name) => [name, `${name}/*`]);
for (const { default: only, require } of Object.values(exports)) {
  const file = require?.default ?? only;
  if (!file?.endsWith('.cjs')) continue;
  const outfile = join(outdir, file.replace('./dist/', ''));
  mkdirSync(dirname(outfile), { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: [join(root, file.replace('./dist/', '').replace(/\.cjs$/, '.ts'))],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    external,
    keepNames: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: 'eof',
    define: { 'import.meta.url': 'moduleUrl', 'import.meta.main': 'false' },
    banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
    logLevel: 'warning',
  });
  console.log(`${basename(dirname(outfile))}/${basename(outfile)}`);
}

/** The types of files, and of what these import: they are the same for both kinds of module, which their place alone tells. */
function copyTypes(files: string[], copied = new Set<string>()): void {
  for (const file of files) {
    if (copied.has(file)) continue;
    copied.add(file);
    const text = readFileSync(join(outdir, file), 'utf8');
    const target = join(outdir, 'cjs', file);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
    const map = JSON.parse(readFileSync(join(outdir, `${file}.map`), 'utf8')) as { sources: string[] };
    writeFileSync(
      `${target}.map`,
      JSON.stringify({ ...map, sources: map.sources.map((source) => join('..', source)) }),
    );
    const imported = [...text.matchAll(/(?:from |import\()['"](\.[^'"]+)['"]/g)];
    copyTypes(
      imported.map(([, path = '']) => join(dirname(file), path).replace(/\.[jt]s$/, '.d.ts')),
      copied,
    );
  }
}
