import { type Fault, SUNDAY } from './fault.ts';

/** What goes wrong of WebApp's own settings, which are looked at weekly. */
export const APPLICATION_SETTINGS_FAULTS: Record<string, Fault> = {
  'settings-drift': {
    description: 'Somebody had WebApp no longer keep callbacks',
    deployment: 'emea',
    starts: SUNDAY,
    strike({ webApp }) {
      webApp.settings.values.callback_persist = false;
    },
    expected: {
      outcomes: {},
      alarms: ['emea-application-settings-drift'],
      problems: [/^WebApp's callback_persist is false; it is expected to be true\. See who changed it/],
    },
  },
  'settings-refused': {
    description: 'WebApp refuses to have its setting changed of what it downloads',
    deployment: 'emea',
    starts: SUNDAY,
    strike({ webApp }) {
      webApp.settings.faults.refused.push('media');
    },
    expected: {
      outcomes: { 'application-settings': ['partial'] },
      alarms: ['emea-application-settings-partial'],
      problems: [/media\.auto_download is \[.*video.*\], and could not be set to \[.*\]: .*1009/],
    },
  },
  'administrator-locked-out': {
    description: "The administrator's password was changed in WebApp only",
    deployment: 'emea',
    starts: SUNDAY,
    strike({ webApp }) {
      webApp.setPassword('admin', 'Somebody-changed-1t');
    },
    expected: {
      outcomes: { 'application-settings': ['failed'] },
      alarms: ['emea-application-settings-failed'],
      problems: [/refused the login of the API user in \S+whatsapp\/emea\/admin/],
    },
  },
};
