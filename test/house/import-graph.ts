import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** What one file needs of the others. Paths are from the root of the checkout. */
export interface Imports {
  /** `import` and `export … from`, of types too. */
  imports: string[];
  /** Besides: files that it reads, bundles or starts. */
  others: string[];
}

/** The files that git knows or would add, below the given folders and with the given endings. */
export function filesOf(...patterns: string[]): string[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...patterns];
  return execFileSync('git', args, { encoding: 'utf8' })
    .split('\n')
    .filter((file) => file !== '' && existsSync(file));
}

/** Everything that our modules need of each other. */
export function importGraph(): Map<string, Imports> {
  const functions = new Set(filesOf('functions/*/handler.ts').map((file) => file.split('/')[1] ?? ''));
  return new Map(
    filesOf('*.ts').map((file) => [file, importsOf(file, readFileSync(file, 'utf8'), functions)]),
  );
}

function importsOf(file: string, text: string, functions: ReadonlySet<string>): Imports {
  const from = (specifier: string) => normalize(join(dirname(file), specifier));
  // The formatter sees to it that each is written so.
  const imports = [...text.matchAll(/^(?:import|export|\}) ?(?:.*? from )?'(\.[^']+)';$/gm)]
    .map(([, specifier = '']) => from(specifier))
    .filter((path) => existsSync(path));
  const others = [...text.matchAll(/'([^'\s]+)'/g)].flatMap(([, word = '']) => [
    // `new URL('x.ts', import.meta.url)`, `import('./x.ts')`, `readFileSync('README.md')`
    ...(/\.\w+$/.test(word) ? [from(word), normalize(word)] : []),
    // Constructs name their functions.
    ...(file.startsWith('lib/') && functions.has(word) ? [`functions/${word}/handler.ts`] : []),
    // What `cdk synth` runs.
    ...(word === 'cdk' ? ['bin/app.ts', 'rehearsal/upkeep.config.ts'] : []),
  ]);
  const known = new Set(imports);
  return {
    imports: [...known],
    others: [...new Set(others)].filter((path) => path !== file && !known.has(path) && existsSync(path)),
  };
}

/** The files that need one of the changed ones, with the number of steps to it, and the changed ones themselves: 0. */
export function affectedBy(
  changed: Iterable<string>,
  graph: ReadonlyMap<string, Imports>,
): Map<string, number> {
  const users = new Map<string, string[]>();
  for (const [file, { imports, others }] of graph)
    for (const used of [...imports, ...others]) users.set(used, [...(users.get(used) ?? []), file]);
  const steps = new Map<string, number>();
  let reached = [...changed];
  for (let distance = 0; reached.length > 0; distance++) {
    const fresh = reached.filter((file) => !steps.has(file));
    for (const file of fresh) steps.set(file, distance);
    reached = fresh.flatMap((file) => users.get(file) ?? []);
  }
  return steps;
}
