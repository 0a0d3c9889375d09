import type { RunReport } from './report.ts';

/** Bytes of an operation's result: what users of Lambda met. Its newest text says 1 MB. */
export const LARGEST_RESULT = 262_144;

/** Characters of an operation's name (API reference, `OperationUpdate`). */
const LONGEST_NAME = 256;

/** Of a report: its event has some bytes around it, and had long no more room than a result has. */
const LARGEST_REPORT = 250_000;

/** What a step found is more than Lambda keeps of one. Doing it again would give as much. */
export class TooLargeToRecord extends Error {
  override readonly name = 'TooLargeToRecord';
}

/**
 * What a step, or a look, gives: as it is.
 * @throws TooLargeToRecord if Lambda would refuse it, and repeat the invocation in vain.
 */
export function recordable<Result>(name: string, result: Result): Result {
  const bytes = bytesOf(result);
  if (bytes <= LARGEST_RESULT) return result;
  throw new TooLargeToRecord(
    `"${name}" found more than Lambda keeps on record of a run: ${bytes} bytes, of which ${LARGEST_RESULT} have room. There is more of something (tasks, containers, tables) than one job of one deployment can see to: divide it among several.`,
  );
}

/** Characters of an error's message: it is on record with where it was thrown. */
const LONGEST_MESSAGE = 20_000;

/** An error as it is, but for what is too long of its message: a database may quote a whole statement. */
export function recordableError(error: unknown): unknown {
  if (!(error instanceof Error) || error.message.length <= LONGEST_MESSAGE) return error;
  const { message, stack = '' } = error;
  error.message = `${message.slice(0, LONGEST_MESSAGE)}…`;
  error.stack = stack.replace(message, () => error.message);
  return error;
}

/** A name that Lambda takes. What is cut off of one, such as a service's name of 255 letters, tells nobody apart. */
export function recordableName(name: string): string {
  return name.replace(/[^\x20-\x7E]/g, '?').slice(0, LONGEST_NAME) || '?';
}

/** A report that can be told whatever a run has found: without its details, and in the end with the first of its problems alone. */
export function recordableReport(report: RunReport): RunReport {
  if (bytesOf(report) <= LARGEST_REPORT) return report;
  const { details: _, ...rest } = report;
  const fits = (problems: RunReport['problems']) => bytesOf({ ...rest, problems }) <= LARGEST_REPORT;
  const left = (problems: RunReport['problems']) => [
    ...problems,
    {
      what: `The report was too large: its details are left out, and ${rest.problems.length - problems.length} of ${rest.problems.length} problems.`,
      where: report.deployment,
      next: `Look for them in the log /aws/lambda/${report.deployment}-${report.job} and in the history of ${report.runId}.`,
    },
  ];
  let most = rest.problems.length;
  while (most > 0 && !fits(left(rest.problems.slice(0, most)))) most = Math.floor(most / 2);
  return { ...rest, problems: left(rest.problems.slice(0, most)) };
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? '');
}
