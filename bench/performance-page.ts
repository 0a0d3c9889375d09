/**
 * docs/performance.md, made of what `npm run bench -- --json` found:
 *
 *     npm run --silent bench -- --json > figures.json && npm run docs:performance figures.json
 *
 * Of several files, as of benches that were asked for by name on another day, each has a table of its own.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { type Figure, isMet } from './figures.ts';

/** What a run of the benches found, and where. */
export interface Measured {
  machine: {
    cpu: string;
    cores: number;
    memoryGigabytes: number;
    node: string;
    system: string;
    day: string;
    /** Of the sources, as Git names it. @default not known */
    commit?: string;
    /** Processes that ran or wanted to, on average, in the minute before: of a quiet machine nearly none. */
    load: number;
  };
  /** Whether with `--short`. */
  isShort?: boolean;
  /** Benches that did not end well. */
  failed: string[];
  figures: Figure[];
}

const PAGE = 'docs/performance.md';
/** What the page says between them is written by this; the rest by hand. */
const [BEGIN, END] = ['<!-- figures -->', '<!-- end of figures -->'];

export function machineOf(): Measured['machine'] {
  const commit = spawnSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).stdout?.trim();
  return {
    cpu: cpus()[0]?.model.trim() || process.arch,
    cores: availableParallelism(),
    memoryGigabytes: Math.round(totalmem() / 1024 ** 3),
    node: process.version,
    system: `${process.platform} ${process.arch}`,
    day: new Date().toISOString().slice(0, 10),
    ...(commit && { commit }),
    load: loadavg()[0] ?? 0,
  };
}

export function valueText({ value, unit }: Figure): string {
  const digits = Math.abs(value) >= 100 ? 0 : 2;
  const number = value.toLocaleString('en', { maximumFractionDigits: digits });
  return unit === undefined ? `${number} times` : `${number} ${unit}`;
}

export function goalText(figure: Figure): string {
  const { goal } = figure;
  if (!goal) return '';
  const [bound, wanted] = 'atMost' in goal ? ['at most', goal.atMost] : ['at least', goal.atLeast];
  if (isMet(figure)) return `${bound} ${wanted}: met`;
  return `${bound} ${wanted}: missed by ${Math.round(Math.abs(figure.value / wanted - 1) * 100)} %`;
}

/** The part of the page that a run of the benches gives. */
export function figuresText({ machine, isShort = false, failed, figures }: Measured): string {
  const { day, commit, cpu, cores, memoryGigabytes, node, system, load } = machine;
  const row = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [
    `Measured on ${day}${commit ? ` at ${commit}` : ''}${isShort ? ' with `--short`' : ''}, ${cores} cores (${cpu}), ${memoryGigabytes} GB, ${system}, Node ${node}${load > cores / 2 ? `, shared with other work: a load of ${load.toFixed(0)} when it began` : ''}.`,
    ...(failed.length > 0 ? ['', `Did not end well in this run: ${failed.join(', ')}.`] : []),
    '',
    row(['Bench', 'What', 'Against', 'Measured', 'Goal']),
    row(['---', '---', '---', '--:', '---']),
    ...figures.map((each) => row([each.bench, each.what, each.rival, valueText(each), goalText(each)])),
  ].join('\n');
}

if (import.meta.main) {
  const files = process.argv.slice(2);
  if (files.length === 0) throw new Error('Name the file that `npm run --silent bench -- --json` wrote.');
  const all = files.map((file): Measured => JSON.parse(readFileSync(file, 'utf8')));
  const page = readFileSync(PAGE, 'utf8');
  const [before, after] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
  writeFileSync(PAGE, `${page.slice(0, before)}\n${all.map(figuresText).join('\n\n')}\n${page.slice(after)}`);
  console.log(`${PAGE}: ${all.reduce((sum, { figures }) => sum + figures.length, 0)} figures`);
}
