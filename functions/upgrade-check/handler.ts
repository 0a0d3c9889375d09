import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import * as v from 'valibot';
import { addressSchema } from '../shared/database/credential/settings.ts';
import { examineSets } from '../shared/database/sizes/examine-sets.ts';
import type { Problem } from '../shared/run/report.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import { type RunResult, runJob } from '../shared/run/run-job.ts';
import { parseOrThrow, readSettings } from '../shared/run/settings.ts';
import {
  ANSWER_FIGURE,
  LONGEST_COUNT_SECONDS,
  type UpgradeCheckOptions,
  type UpgradeCheckSettings,
} from './contract.ts';
import { answerOf, type Finding } from './criteria.ts';
import { type Look, look } from './look.ts';
import { type Prepared, prepare } from './prepare.ts';

const settingsSchema = v.object({
  deployment: v.string(),
  sets: v.array(
    v.object({
      name: v.string(),
      database: addressSchema,
      secretArn: v.string(),
      databases: v.array(v.string()),
      tables: v.array(v.object({ table: v.string(), databases: v.array(v.string()), figure: v.string() })),
    }),
  ),
  maximumRows: v.number(),
  cleaning: v.exactOptional(
    v.object({
      job: v.string(),
      functionArn: v.string(),
      tables: v.array(v.string()),
      maximumAgeHours: v.number(),
    }),
  ),
  startRunArn: v.string(),
  readingJobs: v.array(v.string()),
  otherJobs: v.array(v.object({ job: v.string(), functionArn: v.string() })),
  services: v.exactOptional(v.object({ clusterArn: v.string(), names: v.array(v.string()) })),
  storage: v.array(v.object({ host: v.string(), identifier: v.string() })),
}) satisfies v.GenericSchema<UpgradeCheckSettings>;

const optionsSchema = v.strictObject({
  prepare: v.exactOptional(v.boolean()),
  exactCount: v.exactOptional(
    v.object({
      timeLimitSeconds: v.pipe(v.number(), v.minValue(1), v.maxValue(LONGEST_COUNT_SECONDS)),
    }),
  ),
}) satisfies v.GenericSchema<UpgradeCheckOptions>;

/** Says whether a deployment may be upgraded now and, if asked to, has garbage collected until it may. */
export const handler = withDurableExecution((event: unknown, context) =>
  runJob(event, context, upgradeCheck, (context) => examineSets(readSettings(settingsSchema).sets, context)),
);

async function upgradeCheck(run: RunEvent, context: DurableContext): Promise<RunResult> {
  const settings = readSettings(settingsSchema);
  const options = parseOrThrow(optionsSchema, run.options ?? {}, 'The options of this run');
  const limits = { ...options, endBy: Date.parse(run.endBy) };
  const first = await look(settings, limits, context);
  if (!options.prepare) return resultOf(settings, first);
  const prepared = await prepare(settings, run, first, (context) => look(settings, limits, context), context);
  return resultOf(settings, prepared.look, prepared);
}

/**
 * A question that was answered is a success, whatever the answer is: who asked reads it, and no alarm need ring. Who had
 * the deployment prepared may be asleep: that this did not end with yes is told by `partial`, which rings.
 */
function resultOf({ deployment }: UpgradeCheckSettings, seen: Look, prepared?: Prepared): RunResult {
  const answer = answerOf(seen.findings);
  const atMost = Object.entries(seen.rowsAtMost).map(([figure, rows]) => [`${figure}AtMost`, rows]);
  const stopped: Problem[] =
    prepared?.stopped === undefined
      ? []
      : [
          {
            what: `Preparing ended before the deployment may be upgraded. ${prepared.stopped}`,
            where: deployment,
            next: 'Mend what is named beside this, then ask again with prepare, inside the downtime window.',
          },
        ];
  return {
    outcome: prepared && answer !== 'yes' ? 'partial' : 'succeeded',
    figures: {
      [ANSWER_FIGURE]: answer === 'yes' ? 1 : 0,
      ...Object.fromEntries(atMost),
      ...(prepared && { preparingRuns: prepared.runs.length }),
    },
    problems: [...stopped, ...seen.findings.flatMap(problemOf)],
    details: {
      answer,
      criteria: seen.findings.map(({ criterion, answer, what, where, source, seenAt = seen.at }) => ({
        criterion,
        answer,
        what,
        where,
        source,
        seenAt,
      })),
      ...(prepared && { runs: prepared.runs }),
    },
  };
}

function problemOf(finding: Finding): Problem[] {
  return finding.answer === 'yes' ? [] : [{ what: finding.what, where: finding.where, next: finding.next }];
}
