import type { RowEstimate, TableSize } from '../shared/database/contract/sizes.ts';
import type { Answer, CountOutcome } from '../shared/database/sizes/measure-set.ts';
import type { CleaningRun } from './cleaning-runs.ts';
import type { CheckedSet, CheckedTable, UpgradeCheckSettings } from './contract.ts';

/** What became of one thing that an upgrade asks for. Unknown is not yes. */
export type Finding = {
  /** As people name it, such as `rows of messages`. */
  criterion: string;
  /** One sentence. */
  what: string;
  where: string;
  /** Who told what was seen. */
  source: string;
  /** ISO 8601. @default when the look was taken */
  seenAt?: string;
} & (
  | { answer: 'yes' }
  | {
      answer: 'no' | 'unknown';
      next: string;
      /** Whether a run of the cleaning job can make it yes. */
      cleaningHelps: boolean;
    }
);

export type Verdict = Finding['answer'];

/** Yes only if each finding is; no if any is. */
export function answerOf(findings: readonly Finding[]): Verdict {
  if (findings.some(({ answer }) => answer === 'no')) return 'no';
  return findings.length > 0 && findings.every(({ answer }) => answer === 'yes') ? 'yes' : 'unknown';
}

/** What is known of a table's rows. */
export interface RowsKnown {
  set: CheckedSet;
  table: CheckedTable;
  measured: Answer<TableSize>;
  /** Undefined: not asked for. */
  count: Answer<CountOutcome> | undefined;
  /** When the server was asked: ISO 8601. Undefined: it did not answer. */
  seenAt?: string;
}

/** Between which numbers a table's rows lie; `undefined` if that is unknown. */
export function rangeOf({
  measured,
  count,
}: Pick<RowsKnown, 'measured' | 'count'>): { atLeast: number; atMost: number } | undefined {
  if (count?.kind === 'told' && count.value.kind === 'counted')
    return { atLeast: count.value.rows, atMost: count.value.rows };
  if (measured.kind === 'not-told' || measured.value.rows.kind === 'unknown') return undefined;
  const { atLeast, atMost, filesHold = 0 } = measured.value.rows;
  // The number may be wrong without a sign: only what the files can hold is sure.
  return { atLeast, atMost: Math.max(atMost, filesHold) };
}

/** Of each table whether it has few enough rows; where none is looked at, that this is unknown. */
export function rowsFindings(known: readonly RowsKnown[], settings: UpgradeCheckSettings): Finding[] {
  if (known.length > 0) return known.map((each) => rowsFinding(each, settings));
  return [
    {
      criterion: 'rows of messages',
      where: settings.deployment,
      source: 'the configuration',
      answer: 'unknown',
      what: 'How many rows the client has is unknown: no database is configured.',
      next: 'Name the client\'s databases in "databases", and deploy.',
      cleaningHelps: false,
    },
  ];
}

/** Whether a table has few enough rows, by its upper bound. */
export function rowsFinding(known: RowsKnown, settings: UpgradeCheckSettings): Finding {
  const { set, table, measured, count } = known;
  const { deployment, maximumRows, cleaning } = settings;
  const counted = count?.kind === 'told' && count.value.kind === 'counted';
  const about = {
    criterion: `rows of ${table.table}`,
    where: `${deployment}, set ${set.name} on ${set.database.host}`,
    source: counted ? 'a count of the rows' : "the server's own estimate",
    ...(known.seenAt !== undefined && { seenAt: known.seenAt }),
  };
  const cleans = cleaning?.tables.includes(table.table) ?? false;
  const range = rangeOf(known);
  const uncounted = whyUncounted(count);
  if (measured.kind === 'not-told')
    return {
      ...about,
      answer: 'unknown',
      what: `How many rows ${table.table} has is unknown: ${measured.error}`,
      next: 'Mend this, then ask again.',
      cleaningHelps: false,
    };
  if (!range)
    return {
      ...about,
      answer: 'unknown',
      what: `How many rows ${table.table} has is unknown: ${reasonOf(measured.value.rows)}.${uncounted}`,
      next: 'Have the server look at the table (ANALYZE), or ask again with exactCount.',
      cleaningHelps: false,
    };
  const limit = `${number(maximumRows)} may be there for an upgrade`;
  if (range.atMost <= maximumRows)
    return {
      ...about,
      answer: 'yes',
      what: `${table.table} has at most ${number(range.atMost)} rows; ${limit}.${uncounted}`,
    };
  if (range.atLeast > maximumRows)
    return {
      ...about,
      answer: 'no',
      what: `${table.table} has at least ${number(range.atLeast)} rows${counted ? '' : " by the server's estimate"}; ${limit}.${uncounted}`,
      next: cleans
        ? `Have ${cleaning?.job} run until it has fewer: ask again with prepare.`
        : `Make the table smaller, then ask again.`,
      cleaningHelps: cleans,
    };
  return {
    ...about,
    answer: 'unknown',
    what: `${table.table} has between ${number(range.atLeast)} and ${range.atMost === Number.MAX_SAFE_INTEGER ? 'any number of' : number(range.atMost)} rows by the server's estimate, which is too vague${measured.value.rows.kind === 'estimate' && measured.value.rows.filesHold ? ' (a large delete that was rolled back would not show in it)' : ''}; ${limit}.${uncounted}`,
    next: `Ask again with exactCount${cleans ? `, or have ${cleaning?.job} run` : ''}.`,
    cleaningHelps: cleans,
  };
}

function reasonOf(rows: RowEstimate): string {
  return rows.kind === 'unknown' ? rows.reason : '';
}

function whyUncounted(count: Answer<CountOutcome> | undefined): string {
  if (!count) return '';
  if (count.kind === 'not-told') return ` They were not counted: ${count.error}`;
  const { value } = count;
  return value.kind === 'counted' ? '' : ` They were not counted: ${NOT_COUNTED[value.kind]}.`;
}

const NOT_COUNTED = {
  locked: 'somebody holds a lock by which nobody may read',
  'too-slow': 'that takes longer than the time limit',
  cancelled: 'somebody ended the count on the server (KILL QUERY, pg_cancel_backend)',
  'no-time': 'that might have gone on after the time by which this run must end',
} as const;

/**
 * Whether the cleaning job has succeeded lately.
 * @param runs that ended within the time allowed or go on; undefined: no such job is configured.
 * @param now epoch milliseconds.
 */
export function cleaningFinding(
  runs: Answer<CleaningRun[]> | undefined,
  { deployment, cleaning }: UpgradeCheckSettings,
  now: number,
): Finding {
  const about = {
    criterion: 'last garbage collection',
    where: deployment,
    source: "Lambda's list of runs, and their reports",
  };
  if (!cleaning || !runs)
    return {
      ...about,
      answer: 'unknown',
      what: 'Whether garbage was collected lately is unknown: no such job is configured.',
      next: 'Configure jobs.messageGc, and deploy.',
      cleaningHelps: false,
    };
  const { job, maximumAgeHours } = cleaning;
  if (runs.kind === 'not-told')
    return {
      ...about,
      answer: 'unknown',
      what: `When ${job} last succeeded is unknown: ${runs.error}`,
      next: 'Mend this, then ask again.',
      cleaningHelps: false,
    };
  const ended = runs.value
    .filter((run) => run.kind === 'ended')
    .filter(({ outcome }) => outcome !== 'skipped')
    .toSorted((a, b) => b.endedAt - a.endedAt);
  const ago = ({ endedAt }: { endedAt: number }) => `${((now - endedAt) / HOUR_MS).toFixed(1)} hours ago`;
  const good = ended.find(({ outcome }) => outcome === 'succeeded');
  const [last] = ended;
  if (good && last === good)
    return {
      ...about,
      answer: 'yes',
      what: `The last run, ${good.runId}, succeeded ${ago(good)}; ${maximumAgeHours} hours may have passed.`,
    };
  if (good && last)
    return {
      ...about,
      answer: 'no',
      what: `The last run of ${job}, ${last.runId}, ended as ${last.outcome} ${ago(last)}, though ${good.runId} had succeeded ${ago(good)}.`,
      next: `Read the report of ${last.runId} for what went wrong since, and have ${job} run again (ask again with prepare).`,
      cleaningHelps: true,
    };
  const [latest] = runs.value;
  const told = latest
    ? ` The latest run, ${latest.runId}, ${latest.kind === 'running' ? 'still goes on' : `ended as ${latest.outcome}`}.`
    : ' None has ended.';
  return {
    ...about,
    answer: 'no',
    what: `No run of ${job} has succeeded in the last ${maximumAgeHours} hours.${told}`,
    next: `Have ${job} run (ask again with prepare), or read the report of its last run for what keeps it from succeeding.`,
    cleaningHelps: true,
  };
}

const HOUR_MS = 3600 * 1000;

/**
 * Whether no other run of the deployment goes on.
 * @param running the runs that go on.
 * @param runs the cleaning job's, asked for after these: one may have begun in between.
 */
export function quietFinding(
  running: Answer<string[]>,
  runs: Answer<CleaningRun[]> | undefined,
  { deployment, otherJobs, cleaning }: UpgradeCheckSettings,
): Finding {
  const about = {
    criterion: 'other runs',
    where: deployment,
    source: "Lambda's list of runs that go on, and start-run's ledger",
  };
  if (running.kind === 'not-told')
    return {
      ...about,
      answer: 'unknown',
      what: `Whether another run goes on is unknown: ${running.error}`,
      next: 'Mend this, then ask again.',
      cleaningHelps: false,
    };
  const begun = runs?.kind === 'told' ? runs.value.filter(({ kind }) => kind === 'running') : [];
  const going = [...new Set([...running.value, ...begun.map(({ runId }) => runId)])];
  if (going.length > 0)
    return {
      ...about,
      answer: 'no',
      what: `${going.join(' and ')} ${going.length > 1 ? 'go' : 'goes'} on: an upgrade would cut ${going.length > 1 ? 'them' : 'it'} off.`,
      next: 'Wait until the end, then ask again.',
      // Preparing waits for the end of such a run.
      cleaningHelps: cleaning !== undefined,
    };
  return {
    ...about,
    answer: 'yes',
    what:
      otherJobs.length > 0
        ? `No run of ${otherJobs.map(({ job }) => job).join(', ')}, or of another job that start-run begins, goes on.`
        : 'No run of another job goes on.',
  };
}

/** What ECS tells of a service. */
export type ServiceState =
  | { kind: 'steady'; name: string; tasks: number }
  | { kind: 'unsteady' | 'not-told'; reason: string };

/**
 * Whether all services are steady.
 * @param states undefined: none is configured.
 */
export function servicesFinding(
  states: Answer<ServiceState[]> | undefined,
  { deployment, services }: UpgradeCheckSettings,
): Finding {
  const about = { criterion: 'services', where: deployment, source: 'ECS' };
  const unknown = (reason: string, next: string): Finding => ({
    ...about,
    answer: 'unknown',
    what: `Whether the services are steady is unknown: ${reason}`,
    next,
    cleaningHelps: false,
  });
  if (!services || !states)
    return unknown(
      'none is configured.',
      'Name the cluster and its services in upgradeCheck.services (or in jobs.logCleanup), and deploy.',
    );
  const where = `${deployment}, cluster ${services.clusterArn.replace(/^.*\//, '')}`;
  if (states.kind === 'not-told')
    return { ...unknown(states.error, 'Mend this, then ask again.'), where } satisfies Finding;
  const reasons = (kind: 'unsteady' | 'not-told') =>
    states.value.flatMap((state) => (state.kind === kind ? [state.reason] : []));
  if (states.value.length === 0) return unknown('none is configured.', 'Name the services, and deploy.');
  const unsteady = reasons('unsteady');
  if (unsteady.length > 0)
    return {
      ...about,
      where,
      answer: 'no',
      what: `Not every service is steady: ${unsteady.join(' ')}`,
      next: 'Look at its events in ECS, and ask again when it is steady.',
      cleaningHelps: false,
    };
  const notTold = reasons('not-told');
  if (notTold.length > 0)
    return {
      ...unknown(notTold.join(' '), 'Look in ECS whether its last deployment is over.'),
      where,
    } satisfies Finding;
  return {
    ...about,
    where,
    answer: 'yes',
    what: `Each service has one deployment, which is complete, and runs all its tasks: ${states.value.flatMap((state) => (state.kind === 'steady' ? [`${state.name} ${state.tasks}`] : [])).join(', ')}.`,
  };
}

function number(value: number): string {
  return value.toLocaleString('en');
}
