import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';
import Table from 'cli-table3';
import { Temporal } from 'temporal-polyfill';
import type { Outcome } from '../functions/shared/run/report.ts';

/** What the commands exit with. */
export const EXIT_CODES = { good: 0, problem: 1, usage: 2 } as const;

export const EXIT_CODES_HELP = `
Exit codes: ${EXIT_CODES.good} all is well; ${EXIT_CODES.problem} a problem was found, or AWS could not be asked; ${EXIT_CODES.usage} the command was not understood.
The AWS profile, region and credentials are those of the environment, as the AWS CLI takes them.`;

const NO_LINES = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '' },
  ...{ 'bottom-left': '', 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '' },
  ...{ right: '', 'right-mid': '', middle: '  ' },
};

/** Columns without lines between them, the first row their names. */
export function table(head: string[], rows: string[][]): string {
  const drawn = new Table({
    head: head.map((name) => styleText('dim', name, { stream: process.stdout })),
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  drawn.push(...rows);
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
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

/** Asks on the terminal, beside what standard output is for. */
export async function isAgreed(question: string): Promise<boolean> {
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await asking.question(`${question} [y/N] `);
  asking.close();
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
  return error.name === 'Error' ? error.message : `${error.message} (${error.name})`;
}

/** Says why a command could not do its work, and has it exit as such. */
export function giveUp(error: unknown): void {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = EXIT_CODES.problem;
}
