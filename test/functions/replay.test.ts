import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';

// Beside the functions, for the linter's rule holds there only.
const folder = mkdtempSync('functions/replay-rule-');
after(() => rmSync(folder, { recursive: true }));

const replays: Record<string, string> = {
  'the clock inside a step': `export async function run(context: DurableContext) { return context.step('now', async () => Date.now()); }`,
  'a durable wait': `export async function run(context: DurableContext) { await context.wait('a while', { seconds: 5 }); }`,
  'a call that is handed the context': `export async function run(context: DurableContext) { await procedure(1, context); }`,
  'a look inside waitForCondition': `export async function run(context: DurableContext) { await context.waitForCondition('look', async () => await fetch('x'), { initialState: 1 }); }`,
  'the clock in a function without a context': `export async function now() { await fetch('x'); return Date.now(); }`,
};

const doesNotReplay: Record<string, string> = {
  'the clock': `export async function run(context: DurableContext) { await context.wait({ seconds: 5 }); return Date.now(); }`,
  'a new date in an arrow function': `export const handler = withDurableExecution(async (event, context) => { await context.wait({ seconds: event }); return new Date(); });`,
  randomness: `export async function run(event: object, context: DurableContext) { await context.wait({ seconds: Math.random() }); }`,
  'an AWS call': `export async function run(context: DurableContext) { await context.wait({ seconds: 5 }); return sqs.send(context); }`,
  'a call that may do anything': `export async function run(context: DurableContext) { await context.wait({ seconds: 5 }); await receive('queue'); }`,
};

function lint(code: string): string {
  const file = join(folder, 'handler.ts');
  writeFileSync(file, code);
  const { stdout, stderr } = spawnSync('biome', ['lint', '--only=plugin', file], { encoding: 'utf8' });
  return stdout + stderr;
}

for (const [name, code] of Object.entries(replays))
  test(`the linter accepts ${name}`, () => assert.doesNotMatch(lint(code), /inside context\.step/));

for (const [name, code] of Object.entries(doesNotReplay))
  test(`the linter refuses ${name} outside a step`, () => assert.match(lint(code), /inside context\.step/));
