import { settingsNamedTwice } from './application-settings-schema.ts';
import { type Check, elsewhere } from './check.ts';

/** What is configured of WebApp's own settings. */
export const APPLICATION_SETTINGS_CHECKS: Check[] = [
  {
    needs: ['region', 'account', 'jobs.applicationSettings.administrator'],
    find({ region, account, jobs }) {
      const { secretArn, encryptionKeyArn } = jobs.applicationSettings?.administrator ?? {};
      const field = ['jobs', 'applicationSettings', 'administrator'];
      return [
        ...elsewhere([...field, 'secretArn'], secretArn, { region, account }),
        ...elsewhere([...field, 'encryptionKeyArn'], encryptionKeyArn, { region }),
      ];
    },
  },
  {
    needs: ['jobs.applicationSettings'],
    find({ jobs }) {
      return settingsNamedTwice(jobs.applicationSettings ?? {}).map(({ field, problem }) => ({
        field: ['jobs', 'applicationSettings', ...field],
        problem,
      }));
    },
  },
];
