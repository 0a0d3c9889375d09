import type { Problem } from '../shared/run/report.ts';
import type { RunResult } from '../shared/run/run-job.ts';
import {
  APPLICATION_SETTINGS,
  type ApplicationSettingsSettings,
  DIFFERING_SETTINGS_FIGURE,
  type SettingValue,
  type SettingValues,
} from './contract.ts';
import { type Difference, differences } from './read-settings.ts';

/** What became of a setting that was to be set. */
export type Change = Difference &
  (
    | { kind: 'changed' }
    /** WebApp took the request, and says another value than the wanted one. */
    | { kind: 'not-taken' }
    | { kind: 'refused' | 'unknown'; reason: string }
    /** It is a dry run. */
    | { kind: 'not-asked' }
  );

export interface Found {
  before: SettingValues;
  changes: Change[];
  /** Undefined: that is unknown. */
  after?: SettingValues;
}

/** What a run reports of WebApp's settings. */
export function resultOf(
  { deployment, webApp, expected }: ApplicationSettingsSettings,
  { before, changes, after }: Found,
): RunResult {
  const where = `${deployment}, ${webApp.url}`;
  const values = after ?? before;
  const drift = differences(expected, values);
  const problems = [
    ...changes.map((change) => ({ ...problemOf(change, deployment), where })),
    ...drift.map(({ setting, wanted, value }) => ({
      what: `WebApp's ${setting} ${told(value)}; it is expected to be ${text(wanted)}.`,
      where,
      next:
        value === undefined
          ? `Look in jobs.applicationSettings.expected for a name that this version of the client has, and deploy.`
          : 'See who changed it, and set it back (PATCH /v1/settings/application); or correct jobs.applicationSettings.expected and deploy. Under "settings" in place of "expected" this job sets it by itself.',
    })),
  ];
  return {
    outcome: outcomeOf(changes),
    figures: {
      settingsRead: Object.keys(values).length,
      settingsChanged: changes.filter(({ kind }) => kind === 'changed').length,
      [DIFFERING_SETTINGS_FIGURE]: drift.length,
    },
    problems,
    details: {
      settings: values,
      changes: changes.map(({ setting, value, wanted, kind }) => ({
        setting,
        ...(value !== undefined && { before: value }),
        wanted,
        result: kind,
      })),
    },
  };
}

function outcomeOf(changes: readonly Change[]): RunResult['outcome'] {
  if (changes.some(({ kind }) => kind === 'unknown')) return 'failed';
  const needsNobody = (change: Change) =>
    change.kind === 'not-asked' || (change.kind === 'changed' && !needsRestart(change));
  return changes.every(needsNobody) ? 'succeeded' : 'partial';
}

function needsRestart({ setting }: Change): boolean {
  return APPLICATION_SETTINGS[setting].restart;
}

function problemOf(change: Change, deployment: string): Omit<Problem, 'where'> {
  const { setting, value, wanted } = change;
  const correct = 'or correct jobs.applicationSettings.settings, and deploy.';
  switch (change.kind) {
    case 'changed':
      return {
        what: `WebApp's ${setting} ${value === undefined ? 'had no value' : `was ${text(value)}`}, and was set to ${text(wanted)}, as configured.`,
        next: needsRestart(change)
          ? `It has an effect once the CoreApps of ${deployment} were restarted: do that one by one, or leave it to the next roll of credential-rotation.`
          : `Nothing, if nobody had meant it to be otherwise; ${correct}`,
      };
    case 'not-asked':
      return {
        what: `WebApp's ${setting} ${told(value)}, and would be set to ${text(wanted)}.`,
        next: 'Nothing was done: it was a dry run.',
      };
    case 'not-taken':
      return {
        what: `WebApp's ${setting} ${told(value)}. WebApp took the request to set it to ${text(wanted)}, and has another value still.`,
        next: `See whether this version of the client has that setting (docs/application-settings.md names those of older ones), ${correct}`,
      };
    case 'refused':
      return {
        what: `WebApp's ${setting} ${told(value)}, and could not be set to ${text(wanted)}: ${change.reason}`,
        next: `Mend this, ${correct}`,
      };
    case 'unknown':
      return {
        what: `WebApp's ${setting} ${value === undefined ? 'had no value' : `was ${text(value)}`}; whether it was set to ${text(wanted)} is unknown: ${change.reason}`,
        next: 'Mend the cause, then start application-settings by hand: it reads them anew, and sets what is still to be set.',
      };
  }
}

function told(value: SettingValue | undefined): string {
  return value === undefined ? 'is not among its settings, or of another form' : `is ${text(value)}`;
}

function text(value: SettingValue): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value);
}
