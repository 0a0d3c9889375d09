import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import * as v from 'valibot';
import { credentialCopySchema } from '../shared/database/credential/copies.ts';
import { addressSchema } from '../shared/database/credential/settings.ts';
import { examineSets } from '../shared/database/sizes/examine-sets.ts';
import {
  type Answer,
  countTable,
  longestCount,
  type MeasuredSet,
  measureSet,
} from '../shared/database/sizes/measure-set.ts';
import { tryAgain } from '../shared/database/sizes/try-again.ts';
import { publishMetrics } from '../shared/run/publish-metrics.ts';
import { metricName } from '../shared/run/report.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import { type RunResult, runJob } from '../shared/run/run-job.ts';
import { parseOrThrow, readSettings } from '../shared/run/settings.ts';
import { tellOnce } from '../shared/run/tell-once.ts';
import { withTimeLeft } from '../shared/run/time-left.ts';
import {
  type DatabaseSet,
  type DatabaseSizeOptions,
  type DatabaseSizeSettings,
  type ExactCountSettings,
  LONGEST_COUNT_SECONDS,
  MARGIN,
  SET_DIMENSION,
  type WatchedTable,
} from './contract.ts';
import {
  figuresOf,
  type JudgedForecast,
  knownRows,
  resultOf,
  type SetFindings,
  type TableFindings,
} from './findings.ts';
import { forecast, historyOf } from './growth.ts';
import { contradictedBy } from './held-against-history.ts';
import { lastBackupOf } from './last-backup.ts';
import { comparePasswordCopies } from './password-copies.ts';

const exactCount = v.object({
  timeLimitSeconds: v.pipe(v.number(), v.minValue(1), v.maxValue(LONGEST_COUNT_SECONDS)),
});

const settingsSchema = v.object({
  deployment: v.string(),
  sets: v.array(
    v.object({
      name: v.pipe(v.string(), v.nonEmpty()),
      database: addressSchema,
      secretArn: v.string(),
      databases: v.array(v.string()),
      tables: v.array(
        v.object({
          table: v.string(),
          databases: v.array(v.string()),
          figure: v.string(),
          limit: v.exactOptional(v.object({ rows: v.number(), figure: v.string(), daysAhead: v.number() })),
        }),
      ),
      idleTimeoutSeconds: v.exactOptional(v.number()),
    }),
  ),
  exactCount: v.exactOptional(exactCount),
  mediaVolume: v.exactOptional(v.object({ fileSystemArn: v.string() })),
  passwordCopies: v.exactOptional(
    v.object({
      secretArn: v.string(),
      copies: v.array(credentialCopySchema),
      deliverySeconds: v.number(),
    }),
  ),
}) satisfies v.GenericSchema<DatabaseSizeSettings>;

const optionsSchema = v.strictObject({
  exactCount: v.exactOptional(exactCount),
}) satisfies v.GenericSchema<DatabaseSizeOptions>;

/**
 * Tells how large the databases are, and how soon they will be too large, by what their servers know of them; how old the
 * media volume's last backup is; and whether the copies of a rotated credential hold it.
 */
export const handler = withDurableExecution((event: unknown, context) =>
  runJob(event, context, databaseSize, (context) => examineSets(readSettings(settingsSchema).sets, context)),
);

async function databaseSize(run: RunEvent, context: DurableContext): Promise<RunResult> {
  const settings = readSettings(settingsSchema);
  const options = parseOrThrow(optionsSchema, run.options ?? {}, 'The options of this run');
  const findings: SetFindings[] = [];
  for (const set of settings.sets)
    findings.push(await lookAt(set, options.exactCount ?? settings.exactCount, run, context));
  await tellOnce(context, 'publish the metrics of each set', (at) => {
    for (const found of findings) publishMetrics(dimensionsOf(run, found.set), figuresOf(found), {}, at);
  });
  const { deployment, mediaVolume, passwordCopies } = settings;
  const lastBackup =
    mediaVolume && (await context.step('last backup of the media volume', () => lastBackupOf(mediaVolume)));
  const copies =
    passwordCopies &&
    (await context.step('copies of the password', () => comparePasswordCopies(passwordCopies)));
  return resultOf(deployment, findings, {
    ...(mediaVolume && lastBackup && { volume: { volume: mediaVolume, lastBackup } }),
    ...(passwordCopies && copies && { password: { secretArn: passwordCopies.secretArn, copies } }),
  });
}

async function lookAt(
  set: DatabaseSet,
  exactCount: ExactCountSettings | undefined,
  run: RunEvent,
  context: DurableContext,
): Promise<SetFindings> {
  const asked = await tryAgain(context, `measure ${set.name}`, () => measureSet(set));
  const measured: MeasuredSet = asked.kind === 'told' ? asked.value : { tables: set.tables.map(() => asked) };
  const tables: TableFindings[] = [];
  for (const [index, table] of set.tables.entries()) {
    const found = measured.tables[index] ?? { kind: 'not-told', error: 'It was not looked for.' };
    const count =
      exactCount && found.kind === 'told'
        ? await tryAgain(context, `count ${table.table} of ${set.name}`, () =>
            withTimeLeft(context, longestCount(exactCount), () =>
              countTable(set, table, { ...exactCount, endBy: Date.parse(run.endBy) }),
            ),
          )
        : undefined;
    const { limit, figure } = table;
    const forecast = limit
      ? await context.step(`growth of ${table.table} of ${set.name}`, () =>
          forecastOf(limit, { measured: found, count }, figure, dimensionsOf(run, set)),
        )
      : undefined;
    tables.push({ table, measured: believed(found, forecast), count, forecast });
  }
  return { set, tables, idleConnections: measured.idleConnections };
}

/** By what the metrics told of a table in earlier nights, and whether they contradict what its server tells now. */
export async function forecastOf(
  limit: NonNullable<WatchedTable['limit']>,
  findings: Pick<TableFindings, 'measured' | 'count'>,
  figure: string,
  dimensions: Record<string, string>,
): Promise<Answer<JudgedForecast>> {
  const at = Date.now();
  try {
    const metrics = { rows: metricName(figure), margin: metricName(`${figure}${MARGIN}`) };
    const { points, unsound } = await historyOf(metrics, dimensions, at);
    const { measured } = findings;
    const isCounted = knownRows(findings)?.margin === 0;
    const contradicted =
      measured.kind === 'told' && !isCounted ? contradictedBy(measured.value.rows, points, at) : undefined;
    const known = contradicted === undefined ? knownRows(findings) : undefined;
    return {
      kind: 'told',
      value: {
        ...forecast(limit.rows, { at, ...known }, points, limit.daysAhead),
        at,
        unsound,
        ...(contradicted !== undefined && { contradicted }),
      },
    };
  } catch (error) {
    return { kind: 'not-told', error: error instanceof Error ? error.message : String(error) };
  }
}

/** What was measured, but for a number of rows that the past contradicts. */
export function believed(
  measured: TableFindings['measured'],
  forecast: TableFindings['forecast'],
): TableFindings['measured'] {
  const reason = forecast?.kind === 'told' ? forecast.value.contradicted : undefined;
  if (reason === undefined || measured.kind === 'not-told') return measured;
  return { kind: 'told', value: { ...measured.value, rows: { kind: 'unknown', reason } } };
}

function dimensionsOf({ deployment, job }: RunEvent, set: DatabaseSet): Record<string, string> {
  return { deployment, job, [SET_DIMENSION]: set.name };
}
