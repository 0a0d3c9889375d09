/**
 * What `npm run bench` runs. Each bench measures against its rival in the same run; the figures of all are put into one table.
 *
 *   npm run bench                       all of them, one after the other: an hour and a half on two quiet cores
 *   npm run bench NAME...               those named, by their files in bench/; of one alone, its own words too
 *   npm run bench -- --short            all of them, smaller: fewer rounds, containers, messages, rivals; each figure says of how many it is
 *   npm run bench -- --json             the table as JSON, with the kind of machine: `npm run docs:performance` reads it
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Figure } from './figures.ts';
import { goalText, type Measured, machineOf, valueText } from './performance-page.ts';

/** Those that have a rival, the quickest first. The others (`fuzz`, `faults`, `soak`, `month`, `scale`) are asked for by name. */
const ALL = [
  'bundles',
  'cold-start',
  'warm-start',
  'synth',
  'callback-relay',
  'relay-ways',
  'exec-look',
  'session-channel',
  'database-size',
  'rotation-calls',
  'run-seconds',
  'log-cleanup',
  'many-containers',
  'marking-read',
];

const args = process.argv.slice(2);
const asJson = args.includes('--json');
const named = args.filter((arg) => existsSync(`bench/${arg}.ts`));
const isShort = args.includes('--short');
const others = args.filter((arg) => !named.includes(arg) && !['--json', '--short'].includes(arg));
const unknown = named.length === 0 && others.length > 0;
if (unknown) {
  console.error(
    `There is no bench ${others[0]}; there are ${ALL.join(', ')}, fuzz, faults, soak, month and scale.`,
  );
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'bench-figures-'));
const file = join(folder, 'figures');
const failed: string[] = [];
const machine = machineOf();
for (const name of named.length > 0 ? named : ALL) {
  // What a bench says itself is for people: with --json only the figures go to standard output.
  const begun = performance.now();
  const { status } = spawnSync(process.execPath, [`bench/${name}.ts`, ...others], {
    stdio: ['inherit', asJson ? 2 : 'inherit', 'inherit'],
    env: {
      ...process.env,
      BENCH_FIGURES: file,
      ...(isShort && { BENCH_SHORT: '1' }),
      // What one has bundled the next need not bundle again; synth measures that.
      ...(name !== 'synth' && { BUNDLES: join(folder, 'bundles') }),
    },
  });
  console.error(`${name}: ${((performance.now() - begun) / 1000).toFixed(0)} s`);
  if (status !== 0) failed.push(name);
}
const figures: Figure[] = existsSync(file)
  ? readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  : [];
rmSync(folder, { recursive: true });

if (asJson) {
  const measured: Measured = { machine, isShort, failed, figures };
  console.log(JSON.stringify(measured, null, 2));
} else {
  const cells = figures.map((each) => [each.bench, each.what, each.rival, valueText(each), goalText(each)]);
  const widths = [0, 1, 2, 3, 4].map((at) => Math.max(0, ...cells.map((row) => row[at]?.length ?? 0)));
  for (const row of cells) console.log(row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  '));
}
if (failed.length > 0) console.error(`Did not end well: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
