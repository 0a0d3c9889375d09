import type { GcSettings } from '../shared/whatsapp/settings.ts';

/** media-gc's environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export type MediaGcSettings = GcSettings;
