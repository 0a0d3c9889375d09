import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { RunEvent } from '../shared/run/run-event.ts';
import { type CleaningRun, findRun, runningRun, startRun } from './cleaning-runs.ts';
import type { CleaningSettings, UpgradeCheckSettings } from './contract.ts';
import { answerOf } from './criteria.ts';
import type { Look } from './look.ts';

/** What came of preparing. */
export interface Prepared {
  /** The last look at everything. */
  look: Look;
  /** The cleaning job's runs that were waited for. */
  runs: { runId: string; outcome: string }[];
  /** Why it ended before the answer was yes, as a sentence; undefined: the answer is yes. */
  stopped: string | undefined;
}

/** So many runs in a row that change nothing are enough: what is left is not garbage. */
const RUNS_WITHOUT_PROGRESS = 2;

/** Of the rows that a table may have, what two estimates of an unchanged table may differ by: 2 % was measured. */
const NOISE = 0.02;

/** Less is not worth beginning a run, which needs its callbacks: the client may send one 15 minutes late. */
const LEAST_MINUTES = 15;

/** Between two looks at whether a run is over, and at whether one may be started. */
const LOOK_SECONDS = 60;
const PAUSE_SECONDS = 600;

/** A run that was started and is not to be found after this is not waited for: Lambda begins what is started within seconds, or gives it up. */
const UNSEEN_MINUTES = 15;

/** After a run, until the servers' estimates have followed what it deleted: seconds (MySQL, MariaDB, PostgreSQL). */
const SETTLE_SECONDS = 60;

/**
 * Has the cleaning job run, one run after the other, for as long as only that is between the deployment and its upgrade.
 * The job is started as everybody starts it, so that it never runs beside what it must not meet.
 */
export async function prepare(
  settings: UpgradeCheckSettings,
  run: RunEvent,
  first: Look,
  lookAgain: (context: DurableContext) => Promise<Look>,
  context: DurableContext,
): Promise<Prepared> {
  const endBy = Date.parse(run.endBy);
  const prepared: Prepared = { look: first, runs: [], stopped: undefined };
  let fewest = first.rowsToClean;
  let withoutProgress = 0;
  for (;;) {
    const { findings } = prepared.look;
    if (answerOf(findings) === 'yes') return prepared;
    const { cleaning } = settings;
    const others = findings.filter((finding) => finding.answer !== 'yes' && !finding.cleaningHelps);
    if (!cleaning || others.length > 0)
      return stopped(
        prepared,
        `This is not mended by garbage collection: ${others.map(({ criterion }) => criterion).join(', ')}.`,
      );
    if (run.outsideWindow)
      return stopped(
        prepared,
        'Preparing was asked for outside the downtime window, where nothing is begun.',
      );
    if (withoutProgress >= RUNS_WITHOUT_PROGRESS)
      return stopped(prepared, withoutEffect(cleaning.job, prepared, fewest));
    const number = prepared.runs.length + 1;
    const attempt = await runOnce(cleaning, settings, number, endBy, context);
    if (attempt.kind === 'stopped') return stopped(prepared, attempt.reason);
    prepared.runs.push({ runId: attempt.runId, outcome: attempt.outcome });

    await context.wait(`estimates settle after run ${number}`, { seconds: SETTLE_SECONDS });
    prepared.look = await lookAgain(context);
    const { rowsToClean: rows } = prepared.look;
    const progress = rows !== undefined && fewest !== undefined && rows < fewest * (1 - NOISE);
    withoutProgress = progress ? 0 : withoutProgress + 1;
    fewest = rows === undefined ? fewest : Math.min(fewest ?? rows, rows);
  }
}

/** @param fewest rows that were seen; undefined: none ever were. */
export function withoutEffect(
  job: string,
  { runs: all, look: { findings, rowsToClean } }: Pick<Prepared, 'runs' | 'look'>,
  fewest: number | undefined,
): string {
  const runs = all.slice(-RUNS_WITHOUT_PROGRESS);
  const inTheWay = findings.filter(({ answer }) => answer !== 'yes').map(({ criterion }) => criterion);
  const isOfRows = inTheWay.some((criterion) => criterion.startsWith('rows of '));
  const many = `${runs.length} runs of ${job} in a row`;
  const effect = !isOfRows
    ? `After ${many} this is in the way still: ${inTheWay.join(', ')}`
    : rowsToClean === undefined || fewest === undefined
      ? `Whether ${many} made the tables smaller is unknown`
      : `${many} made the tables smaller by less than ${NOISE * 100} %, which an estimate does not show`;
  const bad = runs.filter(({ outcome }) => outcome !== 'succeeded');
  if (bad.length > 0) {
    const ends = bad.map(({ runId, outcome }) => `${runId} ended as ${outcome}`).join(', ');
    return `${effect}. Of these runs ${bad.length === runs.length ? 'every one' : 'one'} went wrong: ${ends}. Their reports say why.`;
  }
  return isOfRows && rowsToClean !== undefined
    ? `${effect}: what is left may be unread or not delivered.`
    : `${effect}.`;
}

function stopped(prepared: Prepared, reason: string): Prepared {
  return { ...prepared, stopped: reason };
}

type Attempt = { kind: 'ended'; runId: string; outcome: string } | { kind: 'stopped'; reason: string };

/** Waits for the end of a run: of one that goes on already, or else of a new one. */
async function runOnce(
  cleaning: CleaningSettings,
  settings: UpgradeCheckSettings,
  number: number,
  endBy: number,
  context: DurableContext,
): Promise<Attempt> {
  const { job } = cleaning;
  let skipped = '';
  for (;;) {
    const before = await context.step(`before run ${number}`, async () => {
      const running = await runningRun(cleaning);
      return { now: new Date().toISOString(), running: running ?? null };
    });
    if (Date.parse(before.now) + LEAST_MINUTES * 60_000 > endBy)
      return {
        kind: 'stopped',
        reason: `The downtime window ends too soon for another run of ${job}.${skipped}`,
      };
    const since = Date.parse(before.now);
    if (before.running !== null) return endOf(cleaning, before.running, { since, endBy }, context);
    try {
      const started = await context.step(`start run ${number}`, () =>
        startRun(settings, job, `upgrade-check ${before.now}`),
      );
      if (started.outcome !== 'skipped') return endOf(cleaning, started.runId, { since, endBy }, context);
      skipped = ` It could not start: ${started.reason}`;
    } catch (error) {
      return { kind: 'stopped', reason: error instanceof Error ? error.message : String(error) };
    }
    await context.wait(`until ${job} may start`, { seconds: PAUSE_SECONDS });
  }
}

async function endOf(
  cleaning: CleaningSettings,
  runId: string,
  { since, endBy }: { since: number; endBy: number },
  context: DurableContext,
): Promise<Attempt> {
  const initialState: Seen = { run: null, at: 0 };
  const unseenAt = since + UNSEEN_MINUTES * 60_000;
  const { run } = await context.waitForCondition(`end of ${runId}`, () => seeRun(cleaning, runId), {
    initialState,
    waitStrategy: ({ run, at }) =>
      run?.kind === 'ended' || at >= endBy || (run === null && at >= unseenAt)
        ? { shouldContinue: false }
        : { shouldContinue: true, delay: { seconds: LOOK_SECONDS } },
  });
  if (run?.kind === 'ended') return { kind: 'ended', runId, outcome: run.outcome };
  return {
    kind: 'stopped',
    reason: run
      ? `${runId} still went on when the downtime window ended.`
      : `${runId} was started, and Lambda shows no such run since: it may begin yet, or its start was lost, which an alarm tells then.`,
  };
}

interface Seen {
  /** Null: it is not to be found yet. */
  run: CleaningRun | null;
  /** Epoch milliseconds. */
  at: number;
}

async function seeRun(cleaning: CleaningSettings, runId: string): Promise<Seen> {
  const run = await findRun(cleaning, runId);
  return { run: run ?? null, at: Date.now() };
}
