import { createInterface } from 'node:readline';
import { stripVTControlCharacters, styleText } from 'node:util';
import Table from 'cli-table3';
import type { AddHelpTextContext } from 'commander';
import { Temporal } from 'temporal-polyfill';
import type { Outcome } from '../functions/shared/run/report.ts';

/** What the commands exit with. */
export const EXIT_CODES = { good: 0, problem: 1, usage: 2 } as const;

export const EXIT_CODES_HELP = `
Exit codes: ${EXIT_CODES.good} all is well; ${EXIT_CODES.problem} a problem was found, or AWS could not be asked; ${EXIT_CODES.usage} the command was not understood.
The AWS profile, region and credentials are those of the environment, as the AWS CLI takes them.`;

/** Where it is not a terminal's: as commander takes it. */
const HELP_COLUMNS = 80;

/**
 * What stands below a command's options in its help, in lines of the terminal's width as these are. Examples, and what else is
 * indented, stay as they are.
 */
export function helpText(text: string): (context: AddHelpTextContext) => string {
  return ({ error, command }) => {
    const { getErrHelpWidth, getOutHelpWidth } = command.configureOutput();
    const columns = (error ? getErrHelpWidth?.() : getOutHelpWidth?.()) ?? HELP_COLUMNS;
    const help = command.createHelp();
    return text
      .replaceAll(/([^:\n])\n(?=\S)/g, '$1 ')
      .split('\n')
      .map((line) => (line.startsWith(' ') ? line : help.boxWrap(line, columns)))
      .join('\n');
  };
}

const NO_LINES = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '' },
  ...{ 'bottom-left': '', 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '' },
  ...{ right: '', 'right-mid': '', middle: '  ' },
};

/**
 * Columns without lines between them, the first row their names. Where a terminal is too narrow for them, each row has lines of its own
 * instead, below its first column.
 * @param columns the terminal's. @default that of standard output; without a terminal any width will do
 */
export function table(head: string[], rows: string[][], columns = terminalColumns()): string {
  const lines = columnsOf(head, rows);
  if (widthOf(lines) <= columns) return lines.join('\n');
  return rows
    .map(([first = '', ...others]) =>
      [first, ...others.flatMap((text, index) => (text ? `  ${head[index + 1]}: ${text}` : []))].join('\n'),
    )
    .join('\n');
}

/**
 * As {@link table}, but a row has one line however narrow the terminal is: the last columns are left out for that, and named below.
 * @param kept how many columns stay whatever their width is
 */
export function lineEach(
  head: string[],
  rows: string[][],
  kept: number,
  columns = terminalColumns(),
): string {
  for (let shown = head.length; ; shown--) {
    const lines = columnsOf(
      head.slice(0, shown),
      rows.map((row) => row.slice(0, shown)),
    );
    if (shown > kept && widthOf(lines) > columns) continue;
    const without = head.slice(shown).join(', ');
    return [...lines, ...(without ? [`(too narrow for: ${without})`] : [])].join('\n');
  }
}

function terminalColumns(): number {
  return (process.stdout.isTTY && process.stdout.columns) || Number.POSITIVE_INFINITY;
}

function columnsOf(head: string[], rows: string[][]): string[] {
  const drawn = new Table({
    head: head.map((name) => styleText('dim', name, { stream: process.stdout })),
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  drawn.push(...rows);
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}

function widthOf(lines: string[]): number {
  return Math.max(0, ...lines.map((line) => stripVTControlCharacters(line).length));
}

const COLOURS = { succeeded: 'green', partial: 'yellow', failed: 'red', skipped: 'yellow' } as const;

/** An outcome in its colour, where the output is a terminal. */
export function outcomeText(outcome: Outcome): string {
  return styleText(COLOURS[outcome], outcome, { stream: process.stdout });
}

const LEVELS: Record<string, 'red' | 'yellow'> = { CRITICAL: 'red', ERROR: 'red', WARN: 'yellow' };
const LONGEST_LEVEL = 5;

/** A log line's level in its colour, in a column. */
export function levelText(level: string): string {
  const padded = level.padEnd(LONGEST_LEVEL);
  const colour = LEVELS[level];
  return colour ? styleText(colour, padded, { stream: process.stdout }) : padded;
}

const ANSWERS: Record<string, 'green' | 'red'> = { yes: 'green', no: 'red' };

/** The answer to a question, in its colour. */
export function answerText(answer: string): string {
  return styleText(ANSWERS[answer] ?? 'yellow', answer, { stream: process.stdout });
}

/**
 * Asks on the terminal, beside what standard output is for. The end of the input is a no.
 * @throws Error if it is left with Ctrl-C
 */
export async function isAgreed(question: string): Promise<boolean> {
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  let isLeft = false;
  asking.once('SIGINT', () => {
    isLeft = true;
    asking.close();
  });
  const answer = await new Promise<string>((resolve) => {
    asking.once('close', () => resolve(''));
    asking.question(`${question} [y/N] `, resolve);
  });
  asking.close();
  if (isLeft || answer === '') process.stderr.write('\n');
  if (isLeft) throw new Error('Left with Ctrl-C: this was not done, nor what would have come after it.');
  return /^y(es)?$/i.test(answer.trim());
}

export function okText(text: string): string {
  return styleText('green', text, { stream: process.stdout });
}

export function alarmText(name: string): string {
  return styleText('red', name, { stream: process.stdout });
}

/** A moment in a deployment's own time, to the minute. */
export function localTime(moment: Date, timeZone: string): string {
  const instant = Temporal.Instant.fromEpochMilliseconds(moment.getTime());
  return instant
    .toZonedDateTimeISO(timeZone)
    .toPlainDateTime()
    .toString({ smallestUnit: 'minute' })
    .replace('T', ' ');
}

export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // The SDK's own words, also of a profile that is not there.
  if (error.message === 'Region is missing') {
    const { AWS_PROFILE: profile } = process.env;
    const looked = profile ? ` The profile ${profile} (AWS_PROFILE) has none, or is not there.` : '';
    return `No AWS region is known: say --region NAME, or set AWS_REGION, or AWS_PROFILE to a profile that has one.${looked}`;
  }
  if (error.message === 'Could not load credentials from any providers') {
    const { AWS_PROFILE: profile } = process.env;
    return `No AWS credentials are known: ${profile ? `the profile ${profile} (AWS_PROFILE) has none, or is not there` : 'set AWS_PROFILE to a profile that has some'}.`;
  }
  return error.name === 'Error' ? error.message : `${error.message} (${error.name})`;
}

/**
 * Of a pipe whose reader has what it wanted (`| head -1`): nobody is left to tell anything, so that is the end, and no fault. Who
 * has something to stop before listens for the stream's errors, and ends by itself.
 */
export function endWithItsReader(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (stream.listenerCount('error') === 1) process.exit();
  });
}

/** Says why a command could not do its work, and has it exit as such. */
export function giveUp(error: unknown): void {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = EXIT_CODES.problem;
}
