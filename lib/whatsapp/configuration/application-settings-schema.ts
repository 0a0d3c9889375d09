import * as v from 'valibot';
import { field, flag, wholeNumber } from '../../checks/fields.ts';
import type { Finding } from '../../checks/mistakes.ts';
import { WEEKDAYS } from '../../local-time.ts';
import { scheduleEntries, secretSchema } from './fields.ts';

/** What WebApp can download by itself (Meta's reference, Application Settings). */
const MEDIA_KINDS = ['image', 'video', 'voice', 'sticker', 'audio', 'document'] as const;

/** What Meta allows of `webhooks.max_concurrent_requests`. */
const CONCURRENT_REQUESTS = [6, 12, 18, 24] as const;

/** By the names that Meta gives them, each in WebApp's own form. */
const settingEntries = {
  'garbagecollector_enable.messages': v.optional(
    flag('Whether the client collects messages by itself. A change takes a restart of the CoreApps.'),
  ),
  'garbagecollector_enable.media': v.optional(
    flag('Whether it collects media by itself. A change takes a restart of the CoreApps.'),
  ),
  db_garbagecollector_enable: v.optional(
    flag('Of older versions, in place of these two. A change takes a restart of the CoreApps.'),
  ),
  'media.auto_download': v.optional(
    field(
      v.array(field(v.picklist(MEDIA_KINDS), `one of ${MEDIA_KINDS.join(', ')}`, 'A kind of media.')),
      `a list of ${MEDIA_KINDS.join(', ')}, or some of them, or none`,
      'Which inbound media the client downloads by itself, to the media volume.',
    ),
  ),
  callback_persist: v.optional(
    flag('Whether callbacks are kept until the webhook took them. A change takes a restart of the CoreApps.'),
  ),
  callback_backoff_delay_ms: v.optional(
    wholeNumber(
      0,
      86_400_000,
      'By how much longer the client waits after each failure before it sends a callback again.',
    ),
  ),
  max_callback_backoff_delay_ms: v.optional(
    wholeNumber(
      0,
      86_400_000,
      'How long it waits at the most. A callback of garbage collection can come so late: see `callbackTimeoutMinutes`.',
    ),
  ),
  'webhooks.max_concurrent_requests': v.optional(
    field(
      v.picklist(CONCURRENT_REQUESTS),
      `one of ${CONCURRENT_REQUESTS.join(', ')}`,
      'How many callbacks the client sends at once. A change takes a restart of the CoreApps.',
    ),
  ),
  'webhooks.message.sent': v.optional(flag('Whether a callback tells that a message was sent.')),
  'webhooks.message.delivered': v.optional(flag('Whether a callback tells that a message was delivered.')),
  'webhooks.message.read': v.optional(flag('Whether a callback tells that a message was read.')),
  sent_status: v.optional(flag('Of versions before 2.41.2, in place of `webhooks.message.sent`.')),
  pass_through: v.optional(
    flag(
      'Of versions before 2.35: messages are deleted once they are delivered. A change takes a restart of the CoreApps.',
    ),
  ),
  heartbeat_interval: v.optional(
    wholeNumber(1, 3600, 'How often the Masters look at the CoreApps, in seconds.'),
  ),
  unhealthy_interval: v.optional(
    wholeNumber(
      1,
      3600,
      'After how many seconds without an answer the shard of a CoreApp goes to another one.',
    ),
  ),
};

function applicationSettingValues(allowed: string, description: string) {
  return field(
    v.pipe(
      v.strictObject(settingEntries),
      v.check((values) => Object.keys(values).length > 0),
    ),
    allowed,
    description,
  );
}

const SOME = 'an object with some of WebApp\'s settings, such as { "media.auto_download": ["image"] }';

/** What is wanted of WebApp's settings, as the construct is given it too. */
export const wantedSettingsEntries = {
  expected: v.optional(
    applicationSettingValues(
      SOME,
      'Where WebApp has another value, that is told, by a problem in the report and an alarm. It is not changed.',
    ),
  ),
  settings: v.optional(
    applicationSettingValues(
      SOME,
      'Where WebApp has another value, it is set to this one; the report has the value before.',
    ),
  ),
};

/** What is both expected and set. */
export function settingsNamedTwice({
  expected = {},
  settings = {},
}: {
  expected?: object | undefined;
  settings?: object | undefined;
}): Finding[] {
  return Object.keys(settings)
    .filter((name) => Reflect.get(settings, name) !== undefined && Reflect.get(expected, name) !== undefined)
    .map((name) => ({
      field: ['expected', name],
      problem: 'is named in settings too; it must stand in one of the two: what is set need not be expected.',
    }));
}

export const applicationSettingsSchema = field(
  v.strictObject({
    schedule: field(
      v.strictObject({
        weekday: v.optional(
          field(
            v.picklist(WEEKDAYS),
            `one of ${WEEKDAYS.join(', ')}`,
            'The local day of `at`: after midnight, that on which the downtime window ends.',
          ),
          'sunday',
        ),
        ...scheduleEntries,
      }),
      'an object with "at"',
      'When the job runs, weekly.',
    ),
    timeLimitMinutes: v.optional(
      wholeNumber(
        15,
        720,
        'How long a run may take, counted from its scheduled time. Not longer than the downtime window.',
      ),
      30,
    ),
    administrator: v.optional(
      field(
        secretSchema('JSON with `username` and `password` of a user of WebApp that is an administrator.'),
        'an object with "secretArn"',
        "Who reads and sets WebApp's settings: it shows them to administrators only. Left out: the user of `webApp.apiUser`, which then must be one.",
      ),
    ),
    ...wantedSettingsEntries,
  }),
  'an object with "schedule"',
  "Reads WebApp's own settings that decide how fast things grow, tells where they are not as expected, and sets those that it is told to: see docs/application-settings.md.",
);
