/** A number of rows that is known within an error: the truth lies between `atLeast` and `atMost`. */
export interface RowRange {
  rows: number;
  atLeast: number;
  atMost: number;
}

/** What the metrics of an earlier run told. */
export interface EarlierRun {
  /** Epoch milliseconds. */
  at: number;
  /** Messages that the callbacks said were deleted. */
  deleted: number;
  /** Undefined where they were unknown. */
  before?: number;
  after?: number;
  /** How many rows there can have been before. Undefined also where the run did not succeed. */
  atMost?: number;
}

/** A run that is over, whose callbacks all said "complete". */
export interface ThisRun {
  deleted: number;
  before: RowRange;
  after: RowRange;
}

/** How the rows went over this run and those before it. */
export type Growth =
  /** Fewer than three runs, this one included, are known to have succeeded. */
  | { kind: 'too-few-runs' }
  /** The rows did not grow by more than the estimates' error. */
  | { kind: 'steady' }
  /** They grew, but runs among these deleted messages: more arrive than become garbage, or than are collected. */
  | { kind: 'outpaced'; since: Since }
  /** They grew, and nothing shows that any of these runs deleted a message. */
  | { kind: 'without-effect'; since: Since; deleted: number };

/** The run from whose beginning on rows grew. */
export interface Since {
  /** ISO 8601. */
  at: string;
  /** Runs that succeeded from then on, this one included. */
  runs: number;
  rows: number;
  atMost: number;
}

/** So many runs make a judgement, this one included. */
const LEAST_RUNS = 3;

/** Of growth that is judged at most so much came in one night. */
const MOST_OF_ONE_NIGHT = 0.8;

/**
 * Judges whether garbage collection that says it is complete has any effect. Two estimates of a table that did not change
 * can differ by their error either way, so rows have grown only where neither number lies within the other's error.
 */
export function judgeGrowth(history: readonly EarlierRun[], now: ThisRun): Growth {
  const earlier = history.toSorted((a, b) => a.at - b.at);
  const since = (runs: readonly EarlierRun[]) => grownSince(succeeded(runs), now.after);
  if (succeeded(earlier).length + 1 < LEAST_RUNS) return { kind: 'too-few-runs' };

  const idle = showsDeletion(numbersOf(now)) ? [] : earlier.slice(earlier.findLastIndex(showsDeletion) + 1);
  const unexplained = since(idle);
  if (unexplained) {
    const runs = idle.filter(({ at }) => at >= Date.parse(unexplained.at));
    const deleted = runs.reduce((sum, run) => sum + run.deleted, now.deleted);
    return { kind: 'without-effect', since: unexplained, deleted };
  }
  const outpaced = since(succeeded(earlier).slice(1 - LEAST_RUNS));
  return outpaced ? { kind: 'outpaced', since: outpaced } : { kind: 'steady' };
}

/** Whether nearly all growth came in one night: a restore, or an import, and nothing that garbage collection could have hindered. */
function isOfOneNight(rows: readonly number[]): boolean {
  const [first = 0, ...later] = rows;
  const steps = later.map((value, index) => value - (rows[index] ?? 0));
  return Math.max(...steps) > MOST_OF_ONE_NIGHT * ((later.at(-1) ?? first) - first);
}

interface SucceededRun extends EarlierRun {
  before: number;
  atMost: number;
}

function succeeded(runs: readonly EarlierRun[]): SucceededRun[] {
  return runs.flatMap((run) => {
    const { before, atMost } = run;
    return before === undefined || atMost === undefined ? [] : [{ ...run, before, atMost }];
  });
}

/** Of the runs early enough to judge by, that which had the fewest rows, if they have grown since. */
function grownSince(runs: readonly SucceededRun[], { rows, atLeast }: RowRange): Since | undefined {
  const grown = runs
    .slice(0, 2 - LEAST_RUNS)
    .filter(({ before, atMost }) => rows > atMost && atLeast > before)
    .filter((run) => !isOfOneNight([...runs.slice(runs.indexOf(run)).map(({ before }) => before), rows]));
  const [fewest] = grown.toSorted((a, b) => a.atMost - b.atMost);
  return (
    fewest && {
      at: new Date(fewest.at).toISOString(),
      runs: runs.filter(({ at }) => at >= fewest.at).length + 1,
      rows: fewest.before,
      atMost: fewest.atMost,
    }
  );
}

/**
 * Whether a run shows that it deleted messages. What callbacks say is believed, unless it would have to show in the
 * rows, for it is more than the estimate's error, and the rows did not fall.
 */
function showsDeletion({ deleted, before, after, atMost }: Omit<EarlierRun, 'at'>): boolean {
  if (deleted === 0) return false;
  if (before === undefined || after === undefined || atMost === undefined) return true;
  return deleted <= atMost - before || after < before;
}

function numbersOf({ deleted, before, after }: ThisRun): Omit<EarlierRun, 'at'> {
  return { deleted, before: before.rows, after: after.rows, atMost: before.atMost };
}
