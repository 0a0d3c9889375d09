import type { WebAppSettings } from '../shared/whatsapp/settings.ts';

/** application-settings's environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export interface ApplicationSettingsSettings {
  deployment: string;
  /** Its secret is that of an administrator: no other user is shown WebApp's settings. */
  webApp: WebAppSettings;
  /** Of which it is told where WebApp has another value. */
  expected: SettingValues;
  /** Set where WebApp has another value. */
  set: SettingValues;
}

/** A list is of which ones, in no order. */
export type SettingValue = boolean | number | string[];

/** By the settings' names, such as `media.auto_download`. */
export type SettingValues = Partial<Record<SettingName, SettingValue | undefined>>;

/**
 * WebApp's settings by which the client's databases, media and callbacks grow, or its nodes count as ill, and no others: the URL of
 * the webhook may hold a secret. The names are Meta's, in the answer to `GET /v1/settings/application`, an object within another
 * by a dot. https://developers.facebook.com/docs/whatsapp/on-premises/reference/settings/app, and for those of older versions
 * https://developers.facebook.com/docs/whatsapp/api/settings/app, which says too which want a restart of CoreApp.
 */
export const APPLICATION_SETTINGS = {
  'garbagecollector_enable.messages': { kind: 'flag', restart: true },
  'garbagecollector_enable.media': { kind: 'flag', restart: true },
  /** Of older versions, in place of the two. */
  db_garbagecollector_enable: { kind: 'flag', restart: true },
  'media.auto_download': { kind: 'list', restart: false },
  callback_persist: { kind: 'flag', restart: true },
  callback_backoff_delay_ms: { kind: 'number', restart: false },
  max_callback_backoff_delay_ms: { kind: 'number', restart: false },
  'webhooks.max_concurrent_requests': { kind: 'number', restart: true },
  'webhooks.message.sent': { kind: 'flag', restart: false },
  'webhooks.message.delivered': { kind: 'flag', restart: false },
  'webhooks.message.read': { kind: 'flag', restart: false },
  /** Of versions before 2.41.2, in place of `webhooks.message`. */
  sent_status: { kind: 'flag', restart: false },
  /** Of older versions: messages are deleted once they are delivered. */
  pass_through: { kind: 'flag', restart: true },
  heartbeat_interval: { kind: 'number', restart: false },
  unhealthy_interval: { kind: 'number', restart: false },
} as const satisfies Record<string, { kind: 'flag' | 'number' | 'list'; restart: boolean }>;

/** One of WebApp's settings that is watched. */
export type SettingName = keyof typeof APPLICATION_SETTINGS;

/** The report's figure of settings that have another value than is expected. */
export const DIFFERING_SETTINGS_FIGURE = 'settingsDiffering';
