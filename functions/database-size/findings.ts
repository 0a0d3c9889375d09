import type { TableSize } from '../shared/database/contract/sizes.ts';
import type { Answer, CountOutcome } from '../shared/database/sizes/measure-set.ts';
import type { UnsoundValue } from '../shared/run/metric-history.ts';
import type { Problem } from '../shared/run/report.ts';
import type { RunResult } from '../shared/run/run-job.ts';
import {
  type DatabaseSet,
  DIFFERING_COPIES_FIGURE,
  LAST_BACKUP_FIGURE,
  MARGIN,
  type MediaVolumeSettings,
  passwordCopiesAlarmName,
  SET_FIGURES,
  type WatchedTable,
} from './contract.ts';
import type { Forecast } from './growth.ts';
import { ageHoursOf, type LastBackup } from './last-backup.ts';
import { differingCopies, type JudgedCopy } from './password-copies.ts';

/** What was found out of a set. */
export interface SetFindings {
  set: DatabaseSet;
  tables: TableFindings[];
  /** Undefined: not asked for. */
  idleConnections: Answer<number> | undefined;
}

export interface TableFindings {
  table: WatchedTable;
  measured: Answer<TableSize>;
  /** Undefined: not asked for. */
  count: Answer<CountOutcome> | undefined;
  /** When it reaches its limit. Undefined: not asked for. */
  forecast: Answer<JudgedForecast> | undefined;
}

/** A forecast, and what of the history was left out of it. */
export type JudgedForecast = Forecast & {
  /** When it was made, in epoch milliseconds. */
  at: number;
  unsound: UnsoundValue[];
  /** Why the number of rows is not believed, if it is not. */
  contradicted?: string;
};

/** What was found out of the media volume. */
export interface VolumeFindings {
  volume: MediaVolumeSettings;
  lastBackup: Answer<LastBackup>;
}

/** What was found out of the copies of a rotated credential. */
export interface PasswordFindings {
  secretArn: string;
  copies: Answer<JudgedCopy[]>;
}

/**
 * A table's rows: counted, or else as the server estimates them; `undefined` if they are unknown. `margin`: how many more there
 * may be.
 */
export function knownRows({
  measured,
  count,
}: Pick<TableFindings, 'measured' | 'count'>): { rows: number; margin: number } | undefined {
  if (count?.kind === 'told' && count.value.kind === 'counted') return { rows: count.value.rows, margin: 0 };
  if (measured.kind === 'not-told' || measured.value.rows.kind === 'unknown') return undefined;
  const { rows, atMost } = measured.value.rows;
  return { rows, margin: atMost - rows };
}

const NOT_COUNTED = {
  locked: {
    why: 'somebody holds a lock by which nobody may read',
    next: 'Look who changes the table (an upgrade, or maintenance), and start database-size by hand after that.',
  },
  'too-slow': {
    why: 'it takes longer than the time limit',
    next: 'Allow more time (exactCount.timeLimitSeconds), or do without the count.',
  },
  cancelled: {
    why: 'somebody ended the count on the server (KILL QUERY, pg_cancel_backend)',
    next: 'Ask who looks after the server, and start database-size by hand when it may count.',
  },
  'no-time': {
    why: 'the count might have gone on after the end of the window',
    next: 'Schedule database-size earlier in the window, or allow a count less time (exactCount.timeLimitSeconds).',
  },
} as const;

const DAY_MS = 24 * 3600 * 1000;

/** After so many days a forecast is due: three values make one. */
const FORECAST_DUE_DAYS = 3;

function roundedDays(days: number): number {
  return Math.round(days * 10) / 10;
}

/** The numbers of a set. What is unknown is not among them: a metric that is missing is not zero. */
export function figuresOf({ tables, idleConnections }: SetFindings): Record<string, number> {
  const figures: Record<string, number> = {};
  for (const findings of tables) {
    const { table, forecast } = findings;
    const known = knownRows(findings);
    if (known) figures[table.figure] = known.rows;
    if (known && table.limit) figures[`${table.figure}${MARGIN}`] = known.margin;
    if (table.limit && forecast?.kind === 'told' && forecast.value.kind === 'made')
      figures[table.limit.figure] = roundedDays(forecast.value.days);
  }
  const bytes = tables.flatMap(({ measured }) =>
    // Statistics are of the server's last look, which may be of before a table grew by a hundred times: details alone have them.
    measured.kind === 'told' && measured.value.bytes.kind === 'known' && measured.value.bytes.from === 'files'
      ? [measured.value.bytes]
      : [],
  );
  if (tables.length > 0 && bytes.length === tables.length) {
    figures[SET_FIGURES.tableBytes] = bytes.reduce((sum, { table }) => sum + table, 0);
    figures[SET_FIGURES.indexBytes] = bytes.reduce((sum, { indexes }) => sum + indexes, 0);
  }
  if (idleConnections?.kind === 'told') figures[SET_FIGURES.idleConnections] = idleConnections.value;
  return figures;
}

/**
 * The run's result: sums over the sets, as far as they are known of each, and the sets in its details.
 * @param besides what is missing was not asked for.
 */
export function resultOf(
  deployment: string,
  sets: readonly SetFindings[],
  { volume, password }: { volume?: VolumeFindings; password?: PasswordFindings } = {},
): RunResult {
  const tables = sets.flatMap((set) => set.tables);
  const unknown = tables.filter((findings) => knownRows(findings) === undefined).length;
  const problems = [
    ...(tables.length === 0 ? [nothingProblem(deployment)] : []),
    ...sets.flatMap((set) => problemsOf(deployment, set)),
    ...(volume ? volumeProblemsOf(deployment, volume) : []),
    ...(password ? passwordProblemsOf(deployment, password) : []),
  ];
  const copies = password?.copies.kind === 'told' ? password.copies.value : undefined;
  const differing = copies && differingCopies(copies);
  const lastBackup = volume?.lastBackup.kind === 'told' ? volume.lastBackup.value : undefined;
  const outcome = problems.length === 0 ? 'succeeded' : unknown === tables.length ? 'failed' : 'partial';
  return {
    outcome,
    figures: {
      ...sumsOf(sets),
      unknownSizes: unknown,
      ...(lastBackup && { [LAST_BACKUP_FIGURE]: ageHoursOf(lastBackup) }),
      ...(differing !== undefined && { [DIFFERING_COPIES_FIGURE]: differing }),
    },
    problems,
    details: {
      sets: sets.map(detailsOf),
      ...(lastBackup && { lastBackup }),
      ...(copies && { passwordCopies: copies }),
    },
  };
}

function nothingProblem(deployment: string): Problem {
  return {
    what: 'No table of any database is configured, so that nothing was measured.',
    where: deployment,
    next: 'Name the client\'s databases in "databases", and deploy.',
  };
}

function sumsOf(sets: readonly SetFindings[]): Record<string, number> {
  const days = new Set(sets.flatMap(({ set }) => set.tables.flatMap(({ limit }) => limit?.figure ?? [])));
  const each = sets.map(figuresOf);
  const names = new Set(each.flatMap((figures) => Object.keys(figures)));
  const sums: Record<string, number> = {};
  for (const name of names) {
    if (name.endsWith(MARGIN)) continue;
    const known = each.flatMap((figures) => figures[name] ?? []);
    if (known.length < sets.length) continue;
    // Of days left, the fewest count.
    sums[name] = days.has(name) ? Math.min(...known) : known.reduce((sum, value) => sum + value, 0);
  }
  return sums;
}

function problemsOf(deployment: string, { set, tables, idleConnections }: SetFindings): Problem[] {
  const where = `${deployment}, set ${set.name} on ${set.database.host}`;
  const again =
    'Then start database-size by hand, or wait for its next scheduled run. Until then the alarms keep the state that they have.';
  const notTold = (error: string) => ({ what: error, where, next: `Mend this. ${again}` });
  const problems = tables.flatMap((findings) => {
    const { table, measured, count, forecast } = findings;
    const found: Problem[] = [];
    if (measured.kind === 'not-told') found.push(notTold(measured.error));
    else if (knownRows(findings) === undefined && measured.value.rows.kind === 'unknown') {
      found.push({
        what: `How many rows ${table.table} in ${measured.value.database} has is unknown: ${measured.value.rows.reason}.`,
        where,
        next: `Have the server look at the table (ANALYZE), or have its rows counted (exactCount). ${again}`,
      });
    }
    if (count?.kind === 'not-told') found.push(notTold(count.error));
    else if (count && count.value.kind !== 'counted') {
      found.push({
        what: `The rows of ${table.table} were not counted: ${NOT_COUNTED[count.value.kind].why}. ${knownRows(findings) ? "What is reported of them is the server's estimate." : 'They are unknown.'}`,
        where,
        next: NOT_COUNTED[count.value.kind].next,
      });
    }
    if (
      forecast?.kind === 'told' &&
      forecast.value.kind === 'too-few-days' &&
      forecast.value.sinceDays >= FORECAST_DUE_DAYS
    )
      found.push({
        what: `When ${table.table} will have ${table.limit?.rows} rows cannot be told: in the ${Math.round(forecast.value.sinceDays)} days since its rows were first known, they are known of ${forecast.value.days} at this time of day, and three are needed.`,
        where,
        next: `See in the reports of the other days why the rows were unknown, and whether the job runs daily. Until then the growth alarm keeps the state that it has.`,
      });
    const unsound = forecast?.kind === 'told' ? recentOf(forecast.value) : [];
    if (unsound.length > 0)
      found.push({
        what: `The metrics of ${table.table} have values that are no numbers of rows, and were left out of the forecast: ${unsound.map(({ what }) => what).join('; ')}.`,
        where,
        next: 'Find out who publishes them (nothing but database-size should). Until a value is three days old it is told daily; CloudWatch deletes none.',
      });
    if (forecast?.kind === 'not-told') {
      found.push({
        what: `How fast ${table.table} grows is unknown: ${forecast.error}`,
        where,
        next: `Look whether the function may call CloudWatch's GetMetricData and reaches it. ${again}`,
      });
    }
    return found;
  });
  if (idleConnections?.kind === 'not-told') problems.push(notTold(idleConnections.error));
  // One cause, such as a refused login, keeps several things from being told.
  return [...new Map(problems.map((problem) => [problem.what, problem])).values()];
}

/** Older ones were told, and nobody can take them away. */
function recentOf({ at, unsound }: JudgedForecast): UnsoundValue[] {
  return unsound.filter((value) => at - value.at <= FORECAST_DUE_DAYS * DAY_MS);
}

function volumeProblemsOf(deployment: string, { volume, lastBackup }: VolumeFindings): Problem[] {
  if (lastBackup.kind === 'told') return [];
  return [
    {
      what: `How old the last backup of the media volume is, is unknown: ${lastBackup.error}`,
      where: `${deployment}, ${volume.fileSystemArn}`,
      next: 'Look whether the function may call AWS Backup\'s DescribeProtectedResource and reaches it (NAT gateway, or interface endpoint "backup"). Then start database-size by hand, or wait for its next scheduled run. Until then the backup\'s alarm keeps the state that it has.',
    },
  ];
}

function passwordProblemsOf(deployment: string, { secretArn, copies }: PasswordFindings): Problem[] {
  if (copies.kind === 'told') return copies.value.flatMap((copy) => copyProblem(deployment, copy) ?? []);
  return [
    {
      what: `Whether the copies of the database credential hold it is unknown: ${copies.error}`,
      where: `${deployment}, ${secretArn}`,
      next: `Look whether the function may read the secret, and its key. ${COMPARED_AGAIN}`,
    },
  ];
}

const COMPARED_AGAIN =
  'Then start database-size by hand, or wait for its next scheduled run. Until then the alarm on the copies keeps the state that it has.';

const PUT_RIGHT =
  'The next run of credential-rotation puts it right; to do that at once inside the downtime window, start it by hand. Then replace the tasks that were started in between.';

function copyProblem(deployment: string, copy: JudgedCopy): Problem | undefined {
  const { place } = copy;
  switch (copy.kind) {
    case 'current':
    case 'awaited':
      return undefined;
    case 'different':
      return {
        what: copy.overwritten
          ? `The ${place} has held something else than the current database credential since ${copy.since}, when somebody wrote it there.`
          : `The ${place} has held something else than the current database credential since that was made, ${copy.since}.`,
        where: deployment,
        next: copy.overwritten
          ? `${PUT_RIGHT} See who writes there: an update of the stack that made it may.`
          : `See in the last report of credential-rotation why it was not delivered. ${PUT_RIGHT}`,
        toldBy: { alarm: passwordCopiesAlarmName(deployment) },
      };
    case 'missing':
      return {
        what: `The ${place}, a copy of the database credential, does not exist.`,
        where: deployment,
        next: 'Make it, with any value: the next run of credential-rotation writes the credential there. Or take it out of the configuration.',
        toldBy: { alarm: passwordCopiesAlarmName(deployment) },
      };
    case 'unreadable':
      return {
        what: `Whether the ${place} holds the current database credential is unknown: ${copy.reason}`,
        where: deployment,
        next: `Look whether the function may read it, and its key, and reaches it (NAT gateway, or interface endpoint "ssm" or "secretsmanager"). ${COMPARED_AGAIN}`,
      };
  }
}

function detailsOf(findings: SetFindings) {
  const { set, tables, idleConnections } = findings;
  return {
    set: set.name,
    host: set.database.host,
    tables: tables.map(({ table, measured, count, forecast }) => ({
      table: table.table,
      ...(measured.kind === 'told' ? measured.value : { error: measured.error }),
      ...(count && { count: count.kind === 'told' ? count.value : { error: count.error } }),
      ...(forecast?.kind === 'told' && forecastDetails(forecast.value)),
    })),
    ...(idleConnections?.kind === 'told' && { idleConnections: idleConnections.value }),
  };
}

function forecastDetails(forecast: JudgedForecast) {
  const leftOut = forecast.unsound.map(({ what }) => what);
  return {
    ...(forecast.kind === 'made' && {
      daysLeft: roundedDays(forecast.days),
      ...(forecast.asOf !== undefined && { daysLeftAsOf: new Date(forecast.asOf).toISOString() }),
      rowsPerDay: Math.round(forecast.perDay),
    }),
    ...(leftOut.length > 0 && { leftOut }),
  };
}
