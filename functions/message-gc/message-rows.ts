import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { RowEstimate, TableSize } from '../shared/database/contract/sizes.ts';
import { type Answer, measureSet } from '../shared/database/sizes/measure-set.ts';
import { type HourlyMetric, hourlyHistory, type UnsoundValue } from '../shared/run/metric-history.ts';
import { publishMetrics } from '../shared/run/publish-metrics.ts';
import { metricName, type Problem } from '../shared/run/report.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import type { RunResult } from '../shared/run/run-job.ts';
import { tellOnce } from '../shared/run/tell-once.ts';
import { type MessageSet, ROW_FIGURES, SET_DIMENSION } from './contract.ts';
import { type EarlierRun, type Growth, judgeGrowth, type RowRange } from './judge-growth.ts';

/** What the servers know of the rows of `messages`, in the order of the sets. */
export type MessageRows = Answer<TableSize>[];

const TABLE = 'messages';

/** Each question has a limit of its own; these are some. */
const LONGEST_QUESTION_SECONDS = 120;

/** Of metrics by the hour CloudWatch keeps more than a year; two months of runs without effect are many. */
const HISTORY_DAYS = 60;
const DAY_MS = 24 * 3600 * 1000;

/**
 * Asks each set's server for the rows of `messages`, once: GC does not wait for a database, and the rows are told again
 * in the next run.
 */
export async function messageRows(sets: readonly MessageSet[]): Promise<MessageRows> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Answer<TableSize>>((resolve) => {
    const error = `The database did not tell it within ${LONGEST_QUESTION_SECONDS} seconds.`;
    timer = setTimeout(() => resolve({ kind: 'not-told', error }), LONGEST_QUESTION_SECONDS * 1000);
  });
  // What hangs in spite of all limits must not hold up garbage collection: only figures are lost.
  const rows = await Promise.all(rowsOfEach(sets).map((asked) => Promise.race([asked, late])));
  clearTimeout(timer);
  return rows;
}

function rowsOfEach(sets: readonly MessageSet[]): Promise<Answer<TableSize>>[] {
  return sets.map(async ({ database, secretArn, databases }): Promise<Answer<TableSize>> => {
    try {
      const measured = await measureSet({
        database,
        secretArn,
        tables: [{ table: TABLE, databases }],
      });
      if (measured.kind === 'not-told') return measured;
      return measured.value.tables[0] ?? { kind: 'not-told', error: 'It was not looked for.' };
    } catch (error) {
      return notTold(error);
    }
  });
}

/** The run's result with what is known of the rows; a failure where garbage collection has no effect. */
export async function withMessageRows(
  result: RunResult,
  { sets, before, after }: { sets: readonly MessageSet[]; before: MessageRows; after: MessageRows },
  run: RunEvent,
  context: DurableContext,
): Promise<RunResult> {
  const succeeded = result.outcome === 'succeeded';
  const deleted = result.figures.messagesDeleted ?? 0;
  const judged: JudgedSet[] = [];
  for (const [index, set] of sets.entries()) {
    const rows = { before: rangeOf(before[index]), after: rangeOf(after[index]) };
    const growth =
      succeeded && rows.before && rows.after
        ? await growthOf(set.name, { deleted, before: rows.before, after: rows.after }, run, context)
        : undefined;
    judged.push({ set, ...rows, growth });
  }
  await tellOnce(context, 'publish the rows of each set', (at) => {
    for (const { set, before, after } of judged) {
      const figures = {
        ...(before && { [ROW_FIGURES.before]: before.rows }),
        ...(after && { [ROW_FIGURES.after]: after.rows }),
        ...(succeeded && before && { [ROW_FIGURES.atMost]: before.atMost }),
      };
      if (Object.keys(figures).length > 0) publishMetrics(dimensionsOf(run, set.name), figures, {}, at);
    }
  });
  const [sumBefore, sumAfter] = [
    sumOf(judged.map(({ before }) => before)),
    sumOf(judged.map(({ after }) => after)),
  ];
  const problems = judged.flatMap((set) => problemsOf(set, run.deployment));
  return {
    outcome: problems.length > 0 ? 'failed' : result.outcome,
    figures: {
      ...result.figures,
      ...(sumBefore !== undefined && { [ROW_FIGURES.before]: sumBefore }),
      ...(sumAfter !== undefined && { [ROW_FIGURES.after]: sumAfter }),
    },
    problems: [...result.problems, ...problems],
    details: {
      ...result.details,
      messageRows: judged.map(({ set: { name, database }, growth }, index) => ({
        set: name,
        host: database.host,
        before: rowsOrError(before[index]),
        after: rowsOrError(after[index]),
        ...(growth && { growth: growth.kind === 'told' ? growth.value : { error: growth.error } }),
      })),
    },
  };
}

/** What is known of a set's rows in this run. */
interface JudgedSet {
  set: MessageSet;
  before: RowRange | undefined;
  after: RowRange | undefined;
  growth: Answer<JudgedGrowth> | undefined;
}

/** `leftOut`: values of the metrics that cannot be, by which nothing was judged. */
type JudgedGrowth = Growth & { leftOut?: string[] };

function rangeOf(answer: Answer<TableSize> | undefined): RowRange | undefined {
  return answer?.kind === 'told' && answer.value.rows.kind === 'estimate' ? answer.value.rows : undefined;
}

/** The rows of all sets; `undefined` if they are unknown of one, or there is none. */
export function sumOf(ranges: readonly (RowRange | undefined)[]): number | undefined {
  if (ranges.length === 0) return undefined;
  let sum = 0;
  for (const range of ranges) {
    if (!range) return undefined;
    sum += range.rows;
  }
  return sum;
}

function rowsOrError(answer: Answer<TableSize> | undefined): RowEstimate | { error: string } {
  if (answer?.kind === 'told') return answer.value.rows;
  return { error: answer?.error ?? 'It was not looked for.' };
}

async function growthOf(
  set: string,
  now: { deleted: number; before: RowRange; after: RowRange },
  run: RunEvent,
  context: DurableContext,
): Promise<Answer<JudgedGrowth>> {
  const history = await context.step(`rows of earlier runs of ${set}`, () => earlierRuns(run, set));
  if (history.kind === 'not-told') return history;
  const { runs, unsound } = history.value;
  const leftOut = unsound.map(({ what }) => what);
  return {
    kind: 'told',
    value: { ...judgeGrowth(runs, now), ...(leftOut.length > 0 && { leftOut }) },
  };
}

function dimensionsOf({ deployment, job }: RunEvent, set: string): Record<string, string> {
  return { deployment, job, [SET_DIMENSION]: set };
}

/** The runs of the last two months, put together of their metrics: those of one hour are one. What was deleted is told of all sets. */
async function earlierRuns(
  run: RunEvent,
  set: string,
): Promise<Answer<{ runs: EarlierRun[]; unsound: UnsoundValue[] }>> {
  const { deployment, job } = run;
  const of = (figure: string, statistic: HourlyMetric['statistic']) => ({
    metricName: metricName(figure),
    dimensions: dimensionsOf(run, set),
    statistic,
  });
  const now = Date.now();
  try {
    const {
      hours: [deleted = [], ...others],
      unsound,
    } = await hourlyHistory(
      [
        { ...of('messagesDeleted', 'Sum'), dimensions: { deployment, job } },
        of(ROW_FIGURES.before, 'Minimum'),
        of(ROW_FIGURES.after, 'Maximum'),
        of(ROW_FIGURES.atMost, 'Minimum'),
      ],
      { from: now - HISTORY_DAYS * DAY_MS, to: now },
    );
    const runs = deleted.map(({ at, value }): EarlierRun => {
      const [before, after, atMost] = others.map((hours) => hours.find((hour) => hour.at === at)?.value);
      return {
        at,
        deleted: value,
        ...(before !== undefined && { before }),
        ...(after !== undefined && { after }),
        ...(atMost !== undefined && { atMost }),
      };
    });
    return { kind: 'told', value: { runs, unsound } };
  } catch (error) {
    return notTold(error);
  }
}

function problemsOf({ set, after, growth: told }: JudgedSet, deployment: string): Problem[] {
  const growth = told?.kind === 'told' ? told.value : undefined;
  if (growth?.kind !== 'without-effect' || !after) return [];
  const { since, deleted } = growth;
  const callbacks =
    deleted === 0
      ? 'and that no message was deleted'
      : `and that ${deleted} messages were deleted, by which the rows did not fall`;
  return [
    {
      what: `Garbage collection does nothing: in ${since.runs} runs since ${since.at} every callback said that it was complete, ${callbacks}; meanwhile the rows of ${TABLE} grew from ${since.rows} (${since.atMost} at the most) to ${after.rows} (${after.atLeast} at the least).`,
      where: `${deployment}, set ${set.name} on ${set.database.host}`,
      next: 'Look in CoreApp\'s logs for errors of garbage collection, and whether the client works on the databases that are configured here. Unread messages are never deleted: if those are the rows, configure markRead. docs/database-size.md, "Garbage collection without effect", says how to tell.',
    },
  ];
}

function notTold(error: unknown): { kind: 'not-told'; error: string } {
  return { kind: 'not-told', error: error instanceof Error ? error.message : String(error) };
}
