import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import type { Figure } from '../../bench/figures.ts';
import { figuresText, goalText, machineOf } from '../../bench/performance-page.ts';

const FIGURE: Figure = { bench: 'a', what: 'b | c', rival: 'd', value: 1.5 };

test('a figure says whether its goal was met, or by how much it was missed', () => {
  assert.equal(goalText(FIGURE), '');
  assert.equal(goalText({ ...FIGURE, goal: { atMost: 1.5 } }), 'at most 1.5: met');
  assert.equal(goalText({ ...FIGURE, goal: { atMost: 1.25 } }), 'at most 1.25: missed by 20 %');
  assert.equal(goalText({ ...FIGURE, goal: { atLeast: 2 } }), 'at least 2: missed by 25 %');
});

test('the table has each figure, the machine and how busy it was, and what did not end well', () => {
  const machine = { ...machineOf(), commit: 'abc1234', cores: 2, load: 0.1 };
  const text = figuresText({ machine, failed: ['synth'], figures: [FIGURE] });
  assert.doesNotMatch(text, /shared/);
  const busy = figuresText({ machine: { ...machine, load: 8.3 }, failed: [], figures: [] });
  assert.match(busy, /, shared with other work: a load of 8 when it began\./);
  assert.match(text, /^Measured on \d{4}-\d\d-\d\d at abc1234, \d+ cores /);
  assert.match(text, /Did not end well in this run: synth\./);
  assert.ok(text.includes('| a | b \\| c | d | 1.5 times |  |'), text);
});

/** What is no bench, and those without a rival, which README tells of. */
const OTHERS = [
  'bundle-kinds',
  'faults',
  'figures',
  'in-turn',
  'fuzz',
  'performance-page',
  'run',
  'soak',
  'month',
  'scale',
];

test('docs/performance.md says of each bench what it does, and npm run bench runs it', () => {
  const page = readFileSync('docs/performance.md', 'utf8');
  const all = readFileSync('bench/run.ts', 'utf8');
  const benches = globSync('bench/*.ts').map((file) => basename(file, '.ts'));
  for (const bench of benches.filter((name) => !OTHERS.includes(name))) {
    assert.ok(page.includes(`| \`${bench}\` |`), bench);
    assert.ok(all.includes(`'${bench}'`), bench);
  }
  assert.ok(page.includes('<!-- figures -->') && page.includes('<!-- end of figures -->'));
});
