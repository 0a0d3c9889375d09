import { type Answer, failure, success } from './envelope.ts';

/** WebApp's settings, as `/v1/settings/application` shows them. */
export type Settings = Record<string, unknown>;

/** What can go wrong with them. */
export interface SettingsFaults {
  /** Fields of the outermost object that WebApp refuses to have changed. */
  refused: string[];
  /** Likewise, of which it takes the change, and keeps the old value. */
  kept: string[];
}

/** WebApp's settings, and what sets them. */
export interface ApplicationSettings {
  /** As they are. May be changed at any time, as by somebody else. */
  values: Settings;
  faults: SettingsFaults;
  read(): Answer;
  /** `PATCH`: what is not named stays as it is. */
  change(body: unknown): Answer;
}

/**
 * As Meta's sample of an answer has them, whose URL is a webhook's with a secret in it.
 * https://developers.facebook.com/docs/whatsapp/on-premises/reference/settings/app
 */
export function applicationSettings(webhookUrl: string): ApplicationSettings {
  const values: Settings = {
    callback_backoff_delay_ms: 3000,
    callback_persist: true,
    garbagecollector_enable: { media: false, messages: true },
    heartbeat_interval: 5,
    max_callback_backoff_delay_ms: 900_000,
    media: { auto_download: ['image', 'video', 'voice', 'sticker', 'audio', 'document'] },
    notify_user_change_number: true,
    show_security_notifications: true,
    unhealthy_interval: 30,
    wa_id: '16315551019',
    webhooks: {
      url: webhookUrl,
      max_concurrent_requests: 24,
      message: { sent: true, delivered: true, read: false },
    },
    verbose_logging: false,
    log_level: 'info',
  };
  const faults: SettingsFaults = { refused: [], kept: [] };
  return {
    values,
    faults,
    read: () => success({ settings: { application: values } }),
    change(body) {
      if (typeof body !== 'object' || body === null || Array.isArray(body))
        return failure(1008, 'A body with settings is required.');
      const refused = Object.keys(body).find((name) => faults.refused.includes(name));
      if (refused !== undefined) return failure(1009, `${refused} cannot be changed.`);
      // Whether an object within is put in the place of the old one or into it is undocumented: the harder of the two.
      for (const [name, value] of Object.entries(body)) if (!faults.kept.includes(name)) values[name] = value;
      return success({});
    },
  };
}
