/**
 * What `npm test` runs: formatter and linter, type check, then every test file or those named as arguments.
 * Ends with a line `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const files = process.argv.slice(2);
const checks: [string, string[]][] = [
  ['biome', ['ci', '--error-on-warnings']],
  ['tsc', ['--noEmit']],
];
const counts = { passed: 0, failed: 0, skipped: 0 };

for (const [command, args] of files.length > 0 ? [] : checks) {
  process.stdout.write(`> ${[command, ...args].join(' ')}\n`);
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  counts[status === 0 ? 'passed' : 'failed'] += 1;
}

const tests = run({
  files: files.length > 0 ? files : globSync('test/**/*.test.ts').sort(),
  // A file for each core: most of them wait for servers and clocks half of their time.
  concurrency: availableParallelism(),
});
const count = (kind: keyof typeof counts, data: { details: { type?: string | undefined } }) => {
  if (data.details.type !== 'suite') counts[kind] += 1;
};
tests.on('test:pass', (data) =>
  count(data.skip === undefined || data.skip === false ? 'passed' : 'skipped', data),
);
tests.on('test:fail', (data) => count('failed', data));
tests.compose(spec).pipe(process.stdout);
tests.on('end', () => {
  process.exitCode = counts.failed === 0 ? 0 : 1;
  // After the reporter's own last lines.
  process.on('exit', () => {
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
    process.stdout.write(`${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
  });
});
