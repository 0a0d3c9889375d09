import { randomBytes } from 'node:crypto';
import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import { ECSClient } from '@aws-sdk/client-ecs';
import * as v from 'valibot';
import {
  byRole,
  containerDetail,
  containerDetails,
  containerFigures,
  containerProblems,
  isDone,
  limited,
  outcomeOf,
  whereIs,
} from '../shared/containers/container-report.ts';
import { discoverContainers } from '../shared/containers/discover-containers.ts';
import { orderId } from '../shared/containers/reach.ts';
import { reachOf } from '../shared/containers/reach-of.ts';
import { type Ran, runInEachContainer } from '../shared/containers/run-in-each-container.ts';
import { containerRole, containersSettings } from '../shared/containers/settings.ts';
import { lastWords } from '../shared/containers/words.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import type { Problem } from '../shared/run/report.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import { type RunResult, runJob } from '../shared/run/run-job.ts';
import { readSettings } from '../shared/run/settings.ts';
import { cleanupScript } from './cleanup-script.ts';
import type { LogCleanupSettings, LogRole } from './contract.ts';
import { KeepingReach } from './keeping-reach.ts';
import { type KeptLogs, readKeptLogs } from './kept-logs.ts';
import { brokenRotation, bytesFreed, heldOpen, lowestFreePercent, readMeasurements } from './measurements.ts';

const settingsSchema = v.object({
  ...containersSettings,
  roles: v.array(
    v.object({
      ...containerRole,
      script: v.string(),
      logs: v.array(v.string()),
      archive: v.string(),
      rotation: v.object({ maximumBytes: v.number(), keptFiles: v.number() }),
    }),
  ),
  keepIn: v.exactOptional(
    v.object({ bucket: v.string(), urlSuffix: v.string(), nearlyFullPercent: v.number() }),
  ),
}) satisfies v.GenericSchema<LogCleanupSettings>;

const ecs = namingErrors(
  new ECSClient({ retryMode: 'adaptive', maxAttempts: 10, requestHandler: REQUEST_LIMITS }),
);

/** Runs the client's own clean-up script in each of its containers, and measures what came of it. */
export const handler = withDurableExecution((event: unknown, context) => runJob(event, context, logCleanup));

async function logCleanup(run: RunEvent, context: DurableContext): Promise<RunResult> {
  const settings = readSettings(settingsSchema);
  const discovery = await discoverContainers(ecs, settings, (name, work) => context.step(name, work));
  const marker = await context.step('marker', async () => randomBytes(16).toString('hex'));
  const { keepIn } = settings;
  const reach = reachOf(settings);
  const ran = await runInEachContainer(
    discovery.containers,
    {
      ...settings,
      reach: keepIn
        ? new KeepingReach(reach, {
            keepIn,
            deployment: settings.deployment,
            folderOf: (role) => roleOf(settings, role).archive,
            signing: ecs.config,
          })
        : reach,
      orderOf: (container) => {
        const role = roleOf(settings, container.role);
        return { ...orderId(run), command: { script: cleanupScript(role.script, role, keepIn) }, marker };
      },
      readOutput: (output, { role }) => ({
        ...readOutput(roleOf(settings, role), output, marker),
        ...(keepIn && { kept: readKeptLogs(output, marker) }),
      }),
      endBy: Date.parse(run.endBy),
    },
    context,
  );
  const lowest = lowestFree(ran);
  const outcome = outcomeOf(discovery, ran);
  const unkept = keepIn ? keepingProblems(settings.deployment, ran) : [];
  return {
    outcome: outcome === 'succeeded' && unkept.length > 0 ? 'partial' : outcome,
    figures: {
      containersCleaned: ran.filter((each) => isDone(each) && !cleanedOf(each)?.kept?.isWithheld).length,
      ...containerFigures(discovery, ran),
      bytesFreed: freed(ran),
      ...byRole(ran, 'bytesFreed', freed),
      ...(lowest !== undefined && { lowestFreePercent: lowest }),
      ...byRole(ran, 'lowestFreePercent', lowestFree),
      ...(keepIn && {
        logsKept: total(ran, ({ files }) => files),
        bytesKept: total(ran, ({ bytes }) => bytes),
        logsUnkept: total(ran, ({ unkept, why }) => (why === undefined ? 0 : unkept)),
        logsDeletedUnkept: total(ran, ({ deleted, emptied }) => deleted + emptied),
      }),
    },
    problems: [
      ...containerProblems(settings.deployment, discovery, ran, (read) => read.lastWords),
      ...rotationProblems(settings.deployment, ran),
      ...unkept,
      ...measuringProblems(settings.deployment, ran),
    ],
    details: containerDetails(ran, (each) => {
      const { measured, kept } = cleanedOf(each) ?? {};
      return {
        ...containerDetail(each),
        ...measured,
        ...(kept && { logsKept: kept.files, bytesKept: kept.bytes, logsUnkept: kept.unkept }),
      };
    }),
  };
}

/** What is kept of a clean-up's output. */
interface Cleaned {
  /** Undefined where the container was not measured to the end. */
  measured?: {
    bytesFreed: number;
    /** Before or after the clean-up, whichever is less. Undefined where neither `stat` nor `df` says it. */
    freePercent?: number;
    /** After the clean-up, as are all that follow. */
    logFiles: number;
    logBytes: number;
    archiveFiles: number;
    archiveBytes: number;
  };
  /** The lowest of what was measured, before or after: also where only one of them was. */
  freePercent?: number;
  brokenRotation: string[];
  heldOpen?: string;
  lastWords: string;
  /** Where rotated logs are kept before they are cleaned. */
  kept?: KeptLogs;
}

function roleOf(settings: LogCleanupSettings, name: string): LogRole {
  const role = settings.roles.find((each) => each.name === name);
  if (!role) throw new Error(`The settings name no role ${name}.`);
  return role;
}

function readOutput(role: LogRole, output: string, marker: string): Omit<Cleaned, 'kept'> {
  const { before, after } = readMeasurements(output, marker);
  const known = [before, after].flatMap((measurement) => measurement ?? []);
  const freePercent = lowestFreePercent(...known);
  const said = output.split('\n').filter((line) => !line.startsWith(marker));
  const words = lastWords(said.join('\n').trim());
  const free = freePercent === undefined ? {} : { freePercent };
  if (!before || !after) return { ...free, brokenRotation: [], lastWords: words };
  const held = heldOpen({ before, after });
  return {
    measured: {
      bytesFreed: bytesFreed({ before, after }),
      ...free,
      logFiles: after.live.files,
      logBytes: after.live.bytes,
      archiveFiles: after.archive.files,
      archiveBytes: after.archive.bytes,
    },
    ...free,
    brokenRotation: first(brokenRotation(after, role.rotation)),
    ...(held !== undefined && { heldOpen: held }),
    lastWords: words,
  };
}

/** Of the same kind more would say no more, and all that is kept of a container has to be little. */
const SENTENCES = 5;

function first(sentences: string[]): string[] {
  const left = sentences.length - SENTENCES;
  return left > 0 ? [...sentences.slice(0, SENTENCES), `So it is with ${left} more of its logs.`] : sentences;
}

function cleanedOf({ ended }: Ran<Cleaned>): Cleaned | undefined {
  return 'read' in ended ? ended.read : undefined;
}

function freed(ran: Ran<Cleaned>[]): number {
  return ran.reduce((sum, each) => sum + (cleanedOf(each)?.measured?.bytesFreed ?? 0), 0);
}

/** Of the fullest log file system of any container; undefined if none was measured. */
function lowestFree(ran: Ran<Cleaned>[]): number | undefined {
  const percents = ran.flatMap((each) => cleanedOf(each)?.freePercent ?? []);
  return percents.length > 0 ? Math.min(...percents) : undefined;
}

function total(ran: Ran<Cleaned>[], of: (kept: KeptLogs) => number): number {
  return ran.reduce((sum, each) => {
    const kept = cleanedOf(each)?.kept;
    return sum + (kept ? of(kept) : 0);
  }, 0);
}

/** Of rotated logs that were there and could not be kept. Those that were rotated while the others were kept have time. */
function keepingProblems(deployment: string, ran: Ran<Cleaned>[]): Problem[] {
  return limited(
    ran.flatMap((each) => {
      const kept = cleanedOf(each)?.kept;
      if (!kept || (kept.why === undefined && kept.deleted + kept.emptied === 0 && !kept.isWithheld))
        return [];
      const { unkept, unkeptBytes, unnamed, deleted, emptied, isWithheld } = kept;
      const otherwise =
        unnamed > 0
          ? `${unnamed} have no checksum, for they cannot be read, their names have a backslash, a line's end or a carriage return in them, or the container has neither sha256sum nor openssl`
          : 'they were rotated just before';
      const { why = otherwise } = kept;
      if (unkept === 0) return [];
      const megabytes = Math.ceil(unkeptBytes / 1024 / 1024);
      const fate = isWithheld
        ? 'They could not be saved from the clean-up either, so it was not run.'
        : deleted > 0
          ? `The disk was nearly full, so the clean-up deleted ${deleted} of them: they are lost.`
          : emptied > 0
            ? `They were not deleted, but the clean-up emptied ${emptied} of them where they lie: what they held is lost.`
            : 'They were not deleted.';
      return {
        what: `${unkept} rotated logs of ${megabytes} MB at most could not be kept: ${why}. ${fate}`,
        where: whereIs(deployment, each.container),
        next: isWithheld
          ? 'Mend this soon: its disk fills. The next run tries again, and cleans up in any case when the disk is nearly full.'
          : 'Mend this; the next run tries again with those that are there.',
      };
    }),
  );
}

function rotationProblems(deployment: string, ran: Ran<Cleaned>[]): Problem[] {
  return limited(
    ran.flatMap((each) =>
      (cleanedOf(each)?.brokenRotation ?? []).map((what) => ({
        what,
        where: whereIs(deployment, each.container),
        next: "The container's own rotation of logs does not work: see in it whether its cron runs and the disk has room, or replace the task.",
      })),
    ),
  );
}

function measuringProblems(deployment: string, ran: Ran<Cleaned>[]): Problem[] {
  return limited(
    ran.flatMap((each) => {
      const cleaned = cleanedOf(each);
      const where = whereIs(deployment, each.container);
      if (cleaned === undefined) return [];
      if (cleaned.heldOpen !== undefined) {
        const next = 'Restart what writes the logs, or replace the task: the space is free only then.';
        return [{ what: cleaned.heldOpen, where, next }];
      }
      if (each.ended.outcome !== 'exited') return [];
      if (cleaned.measured === undefined) {
        const what =
          'Its logs could not be measured within the time for that, before and after the clean-up.';
        return [
          { what, where, next: 'See in the container whether `ls` and `stat` answer for the log folders.' },
        ];
      }
      if (cleaned.freePercent === undefined) {
        const what = 'How much space is free on its log file systems could not be measured.';
        return [
          { what, where, next: 'Put `stat` or `df` into the image: the alarm for a full disk needs them.' },
        ];
      }
      return [];
    }),
  );
}
