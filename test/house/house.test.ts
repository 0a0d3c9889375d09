/** The house's rules. That no import goes in a circle is a rule of the linter (`noImportCycles` in biome.json). */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { affectedBy, filesOf, importGraph } from './import-graph.ts';

const graph = importGraph();

/** Which folders a folder's files may import from, besides itself. */
const MAY_IMPORT: Record<string, string[]> = {
  'functions/shared/ecs-exec': [],
  'functions/shared': [],
  functions: [],
  // A construct knows a function by the types of its event and its environment, and by the name of its folder.
  'lib/whatsapp': ['lib', 'functions'],
  lib: ['functions'],
  bin: ['lib', 'functions', 'upkeep.config.ts'],
  examples: ['lib', 'functions', 'rehearsal/aws'],
  // Session Manager's other end; as a package of its own it would be installed.
  'rehearsal/aws': ['functions/shared/ecs-exec'],
  rehearsal: ['lib', 'functions', 'upkeep.config.ts'],
  bench: ['lib', 'functions', 'rehearsal', 'test', 'upkeep.config.ts', 'examples'],
  test: ['lib', 'functions', 'rehearsal', 'bin', 'examples', 'bench', 'upkeep.config.ts'],
  'upkeep.config.ts': ['lib'],
  'build.ts': [],
};

const isIn = (file: string, folder: string) => file === folder || file.startsWith(`${folder}/`);

test('imports go one way between the folders', () => {
  const folders = Object.keys(MAY_IMPORT).sort((a, b) => b.length - a.length);
  const wrong: string[] = [];
  for (const [file, { imports }] of graph) {
    const folder = folders.find((each) => isIn(file, each));
    assert.ok(folder, `${file} is in no folder that the rules name`);
    const allowed = [folder, ...(MAY_IMPORT[folder] ?? [])];
    for (const used of imports)
      if (!allowed.some((each) => isIn(used, each))) wrong.push(`${file} imports ${used}`);
  }
  assert.deepEqual(wrong, []);
});

/** What knows WhatsApp. All else in the folders that are deployed, or that others may use, knows nothing of it. */
const KNOWS_WHATSAPP = [
  'lib/whatsapp',
  'lib/index.ts',
  'functions/shared/whatsapp',
  // It reads callbacks as what the client sends.
  'functions/callback-relay',
  'lib/callback-relay.ts',
  'functions/message-gc',
  'functions/application-settings',
  'functions/media-gc',
  'functions/client-credential-rotation',
];

test('the general parts neither import what knows WhatsApp nor speak of it', () => {
  const general = [...graph].filter(
    ([file]) =>
      ['lib', 'functions', 'rehearsal/aws', 'rehearsal/databases'].some((folder) => isIn(file, folder)) &&
      !KNOWS_WHATSAPP.some((known) => isIn(file, known)),
  );
  assert.ok(general.length > 100);
  const wrong: string[] = [];
  for (const [file, { imports }] of general) {
    for (const used of imports)
      if (KNOWS_WHATSAPP.some((known) => isIn(used, known))) wrong.push(`${file} imports ${used}`);
    if (/whats ?app/i.test(readFileSync(file, 'utf8'))) wrong.push(`${file} speaks of WhatsApp`);
  }
  assert.deepEqual(wrong, []);
});

const MOST_LINES = 400;

test(`a file of more than ${MOST_LINES} lines gives its reason on its first line`, () => {
  const long = filesOf('*.ts').flatMap((file) => {
    const lines = readFileSync(file, 'utf8').split('\n');
    const gives = /^\/\/ In one file though long: \S/.test(lines[0] ?? '');
    return lines.length > MOST_LINES + 1 && !gives ? [`${file}: ${lines.length - 1} lines`] : [];
  });
  assert.deepEqual(long, []);
});

test('nothing is exported, installed or kept that nobody uses', async () => {
  const { stdout } = await promisify(execFile)(
    'knip',
    ['--no-progress', '--no-exit-code', '--reporter', 'compact'],
    {
      maxBuffer: 16 * 1024 * 1024,
    },
  );
  assert.equal(stdout.trim(), '');
});

test('what a change affects is found by the imports, and by what files read and bundle', () => {
  const affected = affectedBy(['functions/start-run/handler.ts'], graph);
  // A construct names the function, the sample's stacks have the construct, the night synthesizes them.
  for (const file of [
    'lib/start-run.ts',
    'test/lib/whatsapp/upkeep-stack.test.ts',
    'test/rehearsal/faults.test.ts',
  ])
    assert.ok(affected.has(file), file);
  assert.ok(!affected.has('test/functions/shared/ecs-exec/frame.test.ts'));
  assert.ok(affectedBy(['docs/operations.md'], graph).has('test/docs.test.ts'));
});
