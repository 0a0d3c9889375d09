/**
 * Makes `dist/`, what the package holds: the functions, the commands and the rehearsal as ES modules with their types, and for
 * each path of `exports` one CommonJS file, with the types of that kind under `dist/cjs`. The constructs are CommonJS alone, as the
 * CDK is: whoever imports them and whoever requires them get the same classes.
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
  exports: Record<string, { default?: string; require?: { default: string } }>;
};

const outdir = join(process.argv[2] ?? root, 'dist');
rmSync(outdir, { recursive: true, force: true });
compile('tsconfig.build.json', outdir);
compile('tsconfig.build-cjs.json', join(outdir, 'cjs'));
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

function compile(project: string, outDir: string): void {
  // By its file: TypeScript's version 6, which TypeDoc needs, has a command of that name too, and npm links either.
  execFileSync(join(root, 'node_modules/typescript/bin/tsc'), ['-p', project, '--outDir', outDir], {
    cwd: root,
    stdio: 'inherit',
  });
}
