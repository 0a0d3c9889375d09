/**
 * What `npm test` runs: formatter and linter, type check, then every test file. Ends with a line `N passed, N failed`.
 *
 *   npm test                              everything
 *   npm test -- test/lib test/a.test.ts   the files named, and those in the folders named
 *   npm test -- --changed                 those affected by what is not committed, the nearest first, for less than two minutes
 *   npm test -- --changed=main            likewise, by what differs from a commit or branch
 */
import { execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, freemem, tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { setImmediate } from 'node:timers/promises';
import { inspect } from 'node:util';
import PQueue from 'p-queue';
import { synthesize } from '../rehearsal/synthesize.ts';
import { affectedBy, filesOf, importGraph } from './house/import-graph.ts';

const args = process.argv.slice(2);
const CHANGED = /^--changed(?:=(.+))?$/;
const isChanged = args.some((arg) => CHANGED.test(arg));
const changedSince = args.flatMap((arg) => CHANGED.exec(arg)?.[1] ?? [])[0] ?? 'HEAD';
const named = args.filter((arg) => !arg.startsWith('-'));
const unknown = args.filter((arg) => arg.startsWith('-') && !CHANGED.test(arg));
if (unknown.length > 0) {
  console.error(
    `${unknown.join(' ')} is not known. npm test runs everything; npm test -- FILE-OR-FOLDER… a part, npm test -- --changed[=COMMIT] what a change affects.`,
  );
  process.exit(2);
}
for (const path of named)
  if (!existsSync(path)) {
    console.error(`There is no ${path}. Name files of tests, or folders that have some, such as test/lib.`);
    process.exit(2);
  }

/**
 * With `--changed` no file is begun that would not end by then, going by what is known of it, and what goes on nevertheless
 * is broken off; those nearest to the change come first. Milliseconds.
 */
const CHANGED_LIMIT = 115_000;
/** These take longest, so they come first, in this order: then no core waits for the other at the end. */
const LONGEST = [
  'test/functions/credential-rotation/mariadb.test.ts',
  'test/rehearsal/faults.test.ts',
  'test/functions/credential-rotation/proof.test.ts',
  'test/rehearsal/permissions/permissions.test.ts',
  'test/functions/credential-rotation/postgres.test.ts',
  'test/package/',
  'test/functions/credential-rotation/',
  'test/bin/move-media.test.ts',
  'test/rehearsal/log-cleanup.test.ts',
  'test/functions/message-gc/',
  'test/functions/upgrade-check/',
  'test/functions/client-credential-rotation/',
  'test/bin/',
  'test/functions/rotate-secret/',
  'test/functions/shared/ecs-exec/wrapper.test.ts',
  'test/functions/shared/containers/reach.test.ts',
  'test/functions/shared/database/mysql/sizes.test.ts',
  'test/functions/start-run/',
  'test/functions/shared/database/postgres/',
  'test/rehearsal/',
];
type Part = Pick<NonNullable<Parameters<typeof run>[0]>, 'testNamePatterns' | 'testSkipPatterns'>;

/**
 * Files with processes of their own, and which tests each of them runs, together all. In a whole run the others share a few:
 * most of what a file would need of a processor is to load the CDK and the SDK, and to compile them well.
 */
const OWN_PROCESSES: Record<string, Part[]> = {
  'test/rehearsal/faults.test.ts': [
    { testNamePatterns: /^in the night of [a-l]/ },
    { testNamePatterns: /^in the night of [s-z]/ },
    { testNamePatterns: /^in the night of [m-r]/ },
    { testSkipPatterns: /^in the night of [a-z]/ },
  ],
  'test/functions/credential-rotation/proof.test.ts': [
    { testNamePatterns: /^PostgreSQL/ },
    { testSkipPatterns: /^PostgreSQL/ },
  ],
  // Modules of functions read settings, and where AWS is, once for the process, and these tests tell them themselves.
  'test/functions/callback-relay/bus.test.ts': [{}],
  'test/functions/callback-relay/handler.test.ts': [{}],
  'test/functions/callback-relay/relay.test.ts': [{}],
  'test/functions/log-cleanup/keeping-reach.test.ts': [{}],
  'test/functions/message-gc/silent-database.test.ts': [{}],
  'test/functions/message-gc/watch-window.test.ts': [{}],
  'test/functions/report-lost-run/handler.test.ts': [{}],
  'test/functions/shared/run/failed-invocations.test.ts': [{}],
  'test/functions/shared/whatsapp/web-app.test.ts': [{}],
  'test/fuzz/fuzz.test.ts': [{}],
  // They change the process's time or how it finds modules, or measure its memory.
  'test/docs/api.test.ts': [{}],
  'test/functions/shared/containers/run-in-each-container.test.ts': [{}],
  'test/functions/shared/containers/run-in-one-container.test.ts': [{}],
  'test/functions/shared/run/dry-run.test.ts': [{}],
  'test/rehearsal/aws/lambda/judged-by-aws.test.ts': [{}],
  // In a shared one it hung, once; why was not found.
  'test/functions/shared/ecs-exec/wrapper.test.ts': [{}],
};
/** The file of a process that runs several. */
const SEVERAL = 'test/several.ts';
/** How long each file took here when it ran last, its parts together: JSON, milliseconds by file. */
const TIMES = '.cache/test-times.json';
/** What a file takes of which that is not known: one of the longest, and any other. Milliseconds. */
const [LONG, SHORT] = [60_000, 10_000];

/** Several times what a whole run has in its folders at a time. Bytes. */
const MEMORY_NEEDED = 8 * 1024 ** 3;

// What the CDK itself finds in a template takes it seconds a file: the sample's `cdk synth` in test/bin/app.test.ts has that.
process.env.CDK_VALIDATION = 'false';

// TypeScript's compiler is a program in Go, whose collector takes a third of its time where memory is scarce.
Object.assign(process.env, { GOGC: 'off', GOMEMLIMIT: '3GiB' });

const scratch = mkdtempSync(join(quickFolder(), 'tests-'));
// Database servers, which are other users, make folders in it too.
chmodSync(scratch, 0o1777);
process.env.TMPDIR = scratch;
// What one process has compiled or bundled, the others, those of functions among them, need not.
process.env.NODE_COMPILE_CACHE = join(scratch, 'compiled');
process.env.BUNDLES = join(scratch, 'bundles');

const counts = { passed: 0, failed: 0, skipped: 0 };
const begun = Date.now();

/** What `cdk synth` makes, for all files that play nights. Where it fails each of them tries by itself, and says why. */
let synthesizing: Promise<void> | undefined;
const CHECKS: [string, string[]][] = [
  ['biome', ['ci', '--error-on-warnings', '--colors=off']],
  // By its file: TypeScript's version 6, which TypeDoc needs, has a command of that name too, and npm links either.
  ['node_modules/typescript/bin/tsc', ['--noEmit']],
];
const known: Record<string, number> = existsSync(TIMES) ? JSON.parse(readFileSync(TIMES, 'utf8')) : {};
const isWhole = !isChanged && named.length === 0;
const files = isChanged
  ? affectedFiles(changedSince)
  : named.length > 0
    ? named.flatMap(filesIn)
    : allFiles();
const playsNights = new Set(isWhole ? affectedBy(['rehearsal/synthesize.ts'], importGraph()).keys() : []);
const left = new Set<string>();
const took: [file: string, milliseconds: number][] = [];
/** What is said once more at the very end, where whoever reads only that will see it. */
const failures: string[] = [];
const breakOff = new AbortController();
if (isChanged) setTimeout(() => breakOff.abort(), CHANGED_LIMIT - (Date.now() - begun)).unref();
// Two for each core: a file waits for processes, servers and real time half of its time; with three, tests whose product has real deadlines failed by load.
const queue = new PQueue({ concurrency: 2 * availableParallelism() });
if (isWhole) synthesizing = queue.add(share);
if (named.length === 0) void queue.addAll(CHECKS.map((check) => () => runCheck(...check)));
const own = isWhole ? files.filter((file) => OWN_PROCESSES[file]) : files;
void queue.addAll(
  own.flatMap((file) => {
    const parts = (isWhole && OWN_PROCESSES[file]) || [{}];
    return parts.map((part) => async () => {
      if (isChanged && Date.now() - begun + expected(file) / parts.length > CHANGED_LIMIT) left.add(file);
      else await runFiles([file], mkdtempSync(join(scratch, 'claims-')), part);
    });
  }),
);
const shared = files.filter((file) => !own.includes(file));
const claims = mkdtempSync(join(scratch, 'claims-'));
if (shared.length > 0)
  void queue.addAll(Array.from({ length: queue.concurrency }, () => () => runFiles(shared, claims)));
await queue.onIdle();
for (const file of files)
  if (!left.has(file) && !took.some(([ended]) => ended === file)) {
    counts.failed += 1;
    failures.push(`✖ ${file}: its process ended before it did`);
  }

mkdirSync(dirname(TIMES), { recursive: true });
for (const [file] of took) known[file] = 0;
for (const [file, milliseconds] of took) known[file] = (known[file] ?? 0) + milliseconds;
writeFileSync(TIMES, JSON.stringify(known));
try {
  // What is synthesized lies in it too, and what a server deletes that ends only now.
  rmSync(scratch, { recursive: true, maxRetries: 10 });
} catch (error) {
  console.log(`${scratch} is left: ${error}`);
}

for (const [file, milliseconds] of took.sort(([, a], [, b]) => b - a).slice(0, 5))
  console.log(`${Math.round(milliseconds / 1000)} s  ${file}`);
if (left.size > 0)
  console.log(
    `Not run to the end, which would take more than two minutes, though the change may affect them too: ${[...left].join(', ')}`,
  );
for (const failure of failures) console.log(`\n${failure}`);
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
process.exitCode = counts.failed === 0 ? 0 : 1;

async function share(): Promise<void> {
  const cdkOut = await synthesize().catch(() => undefined);
  if (cdkOut !== undefined) process.env.SYNTHESIZED = cdkOut;
}

async function runCheck(command: string, words: string[]): Promise<void> {
  const { error, stdout, stderr } = await new Promise<{ error: unknown; stdout: string; stderr: string }>(
    (resolve) => {
      execFile(command, words, { maxBuffer: 64 * 1024 ** 2 }, (error, stdout, stderr) =>
        resolve({ error, stdout, stderr }),
      );
    },
  );
  counts[error ? 'failed' : 'passed'] += 1;
  if (error) failures.push(`✖ ${command}`);
  console.log(`> ${[command, ...words].join(' ')}\n${stdout}${stderr}`);
}

/** Runs files in one process: those that no other one has claimed in the folder by the time that it comes to them. */
async function runFiles(files: string[], claims: string, part: Part = {}): Promise<void> {
  if (files.some((file) => playsNights.has(file))) await synthesizing;
  const { signal } = breakOff;
  const reporter = new spec();
  let said = '';
  reporter.on('data', (text) => {
    said += text;
  });
  const print = async () => {
    // It hands on what it was given in its own time.
    await setImmediate();
    // Without the figures that it adds for each process.
    process.stdout.write(
      said.replace(/^.*ℹ (?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) .*\n/gm, ''),
    );
    said = '';
  };
  for await (const event of run({ files: [SEVERAL], argv: [claims, ...files], signal, ...part })) {
    if (signal.aborted) break;
    reporter.write(event);
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const { name, nesting, details, skip } = event.data;
    const isSuite = details.type === 'suite';
    if (event.type === 'test:fail') {
      const { cause = event.data.details.error } = event.data.details.error;
      // A string says only that a test within has failed.
      const isItsOwn = typeof cause !== 'string';
      if (isItsOwn || !isSuite) counts.failed += 1;
      if (isItsOwn) failures.push(`✖ ${relative('.', event.data.file ?? '')}: ${name}\n${inspect(cause)}`);
    } else if (!isSuite) counts[skip === undefined || skip === false ? 'passed' : 'skipped'] += 1;
    if (nesting > 0 || !isSuite) continue;
    took.push([name, details.duration_ms]);
    await print();
  }
  if (signal.aborted) {
    // Of what was broken off it is only known that it is too long.
    took.push(...files.map((file): [string, number] => [file, CHANGED_LIMIT]));
    for (const file of files) left.add(file);
    return;
  }
  reporter.end();
  await print();
}

/**
 * Where there is room enough, in memory: tests make and delete tens of thousands of files, of databases above all, and
 * some file systems look for each new one at all that were deleted shortly before.
 */
function quickFolder(): string {
  const memory = '/dev/shm';
  if (!existsSync(memory)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return Math.min(bavail * bsize, freemem()) > MEMORY_NEEDED ? memory : tmpdir();
}

function allFiles(): string[] {
  const files = globSync('test/**/*.test.ts').sort();
  return files.sort((a, b) => rankOf(a) - rankOf(b));
}

/** Of the longest the first is 0. */
function rankOf(file: string): number {
  const rank = LONGEST.findIndex((path) => file.startsWith(path));
  return rank === -1 ? LONGEST.length : rank;
}

function expected(file: string): number {
  return known[file] ?? (rankOf(file) < LONGEST.length ? LONG : SHORT);
}

function filesIn(path: string): string[] {
  return statSync(path).isDirectory() ? globSync(`${path}/**/*.test.ts`).sort() : [path];
}

/** The test files that need what changed, the nearest first, and of those equally near the quickest. */
function affectedFiles(since: string): string[] {
  const graphed = new Set(filesOf());
  const differs = execFileSync('git', ['diff', '--name-only', since], { encoding: 'utf8' });
  const added = execFileSync('git', ['ls-files', '--others', '--exclude-standard'], { encoding: 'utf8' });
  const changed = `${differs}${added}`.split('\n').filter((file) => graphed.has(file));
  const steps = affectedBy(changed, importGraph());
  const affected = [...steps.keys()].filter((file) => basename(file).endsWith('.test.ts'));
  console.log(`${changed.length} files differ from ${since}; ${affected.length} test files need them.`);
  return affected.sort((a, b) => (steps.get(a) ?? 0) - (steps.get(b) ?? 0) || expected(a) - expected(b));
}
