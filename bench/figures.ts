/** What the benches tell: for `npm run bench`, which puts the figures of all of them into one table. */
import { appendFileSync } from 'node:fs';

/** One line of the table: something measured, against its rival in the same run. */
export interface Figure {
  bench: string;
  what: string;
  /** What it is compared with. */
  rival: string;
  value: number;
  /** @default a ratio, of ours to the rival's */
  unit?: string;
  /** What was meant to be reached. @default nothing: the figure is told as it is */
  goal?: { atMost: number } | { atLeast: number };
}

/** Whether `npm run bench -- --short` asks for less of all. */
export const IS_SHORT = process.env.BENCH_SHORT === '1';

/** Tells a figure to `npm run bench`. By itself a bench prints what it found in its own words. */
export function tell(figure: Figure): void {
  const { BENCH_FIGURES: file } = process.env;
  if (file) appendFileSync(file, `${JSON.stringify(figure)}\n`);
}

export function isMet({ value, goal }: Figure): boolean | undefined {
  if (!goal) return undefined;
  return 'atMost' in goal ? value <= goal.atMost : value >= goal.atLeast;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
