import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import * as v from 'valibot';
import type { RunEvent } from '../shared/run/run-event.ts';
import { type ExaminationFinding, type RunResult, runJob } from '../shared/run/run-job.ts';
import { readSettings } from '../shared/run/settings.ts';
import { WebAppError, WebAppUnreachableError } from '../shared/whatsapp/errors.ts';
import { lookAtWebApp } from '../shared/whatsapp/examine-web-app.ts';
import { webAppSettingsSchema } from '../shared/whatsapp/settings.ts';
import { withWebApp } from '../shared/whatsapp/web-app.ts';
import {
  APPLICATION_SETTINGS,
  type ApplicationSettingsSettings,
  type SettingName,
  type SettingValues,
} from './contract.ts';
import { type Difference, differences, requestsFor, watchedSettings } from './read-settings.ts';
import { type Change, type Found, resultOf } from './result.ts';

const settingNames = v.picklist(Object.keys(APPLICATION_SETTINGS) as SettingName[]);
const settingValues = v.record(settingNames, v.union([v.boolean(), v.number(), v.array(v.string())]));

const settingsSchema = v.object({
  deployment: v.string(),
  webApp: webAppSettingsSchema,
  expected: settingValues,
  set: settingValues,
}) satisfies v.GenericSchema<ApplicationSettingsSettings>;

/** A restart of WebApp, or a roll of its service, is over by then: tried so often, so far apart. */
const ATTEMPTS = 10;
const PAUSE_SECONDS = 60;

/** Reads WebApp's own settings, sets those that it is to set, and tells of those that are not as expected. */
export const handler = withDurableExecution((event: unknown, context) =>
  runJob(event, context, applicationSettings, examine, dryRun),
);

async function applicationSettings(run: RunEvent, context: DurableContext): Promise<RunResult> {
  const settings = readSettings(settingsSchema);
  const before = await read(settings, run, context);
  const changes = differences(settings.set, before);
  const found: Found =
    changes.length > 0
      ? { before, ...(await change(settings, changes, run, context)) }
      : { before, changes: [], after: before };
  return resultOf(settings, found);
}

async function dryRun(run: RunEvent, context: DurableContext): Promise<RunResult> {
  const settings = readSettings(settingsSchema);
  const before = await read(settings, run, context);
  const changes = differences(settings.set, before).map((each) => ({ ...each, kind: 'not-asked' as const }));
  return resultOf(settings, { before, changes, after: before });
}

async function examine(context: DurableContext): Promise<ExaminationFinding[]> {
  const { webApp, expected, set } = readSettings(settingsSchema);
  return context.step('read the settings', () =>
    lookAtWebApp(webApp, async (session) => {
      const values = watchedSettings(await session.applicationSettings());
      const unknown = differences({ ...expected, ...set }, values).filter(({ value }) => value === undefined);
      const saw = `The user may read WebApp's settings: ${Object.keys(values).length} of those that are watched.`;
      if (unknown.length === 0) return { of: webApp.url, status: 'ok', saw };
      return {
        of: webApp.url,
        status: 'warning',
        saw: `${saw} It has none that is named ${unknown.map(({ setting }) => setting).join(', ')}.`,
        mend: 'jobs.applicationSettings of the configuration: name what this version of the client has, then: npx cdk deploy --all',
      };
    }),
  );
}

function read(
  { webApp }: ApplicationSettingsSettings,
  run: RunEvent,
  context: DurableContext,
): Promise<SettingValues> {
  return context.step(
    'read the settings',
    () => withWebApp(webApp, async (session) => watchedSettings(await session.applicationSettings())),
    { retryStrategy: untilItAnswers(run) },
  );
}

/**
 * In one step, so that what must not be kept of the settings never leaves it. Repeating it changes nothing more: each request
 * names what is wanted, and is made of what is there then.
 */
async function change(
  { webApp }: ApplicationSettingsSettings,
  changes: readonly Difference[],
  run: RunEvent,
  context: DurableContext,
): Promise<Omit<Found, 'before'>> {
  try {
    return await context.step(
      'change the settings',
      () =>
        withWebApp(webApp, async (session) => {
          const refused = new Map<SettingName, string>();
          for (const { settings, body } of requestsFor(changes, await session.applicationSettings()))
            try {
              await session.changeApplicationSettings(body);
            } catch (error) {
              if (!(error instanceof WebAppError)) throw error;
              for (const setting of settings) refused.set(setting, error.message);
            }
          const after = watchedSettings(await session.applicationSettings());
          return { after, changes: changes.map((each) => outcomeOf(each, refused.get(each.setting), after)) };
        }),
      { retryStrategy: untilItAnswers(run) },
    );
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { changes: changes.map((each) => ({ ...each, kind: 'unknown', reason })) };
  }
}

function outcomeOf(each: Difference, refused: string | undefined, after: SettingValues): Change {
  if (refused !== undefined) return { ...each, kind: 'refused', reason: refused };
  const isTaken = differences({ [each.setting]: each.wanted }, after).length === 0;
  return { ...each, kind: isTaken ? 'changed' : 'not-taken' };
}

function untilItAnswers({ endBy }: RunEvent) {
  return (error: Error, attempt: number) => ({
    shouldRetry:
      (error instanceof WebAppError || error instanceof WebAppUnreachableError) &&
      attempt < ATTEMPTS &&
      Date.now() + PAUSE_SECONDS * 1000 < Date.parse(endBy),
    delay: { seconds: PAUSE_SECONDS },
  });
}
