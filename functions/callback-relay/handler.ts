import * as v from 'valibot';
import { readSettings } from '../shared/run/settings.ts';
import type { CallbackRelaySettings } from './contract.ts';
import { createRelay } from './relay.ts';

const settingsSchema = v.object({
  deployment: v.string(),
  secretPathHashes: v.pipe(v.array(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))), v.minLength(1)),
  webhookUrl: v.pipe(v.string(), v.url()),
  certificateAuthority: v.exactOptional(v.string()),
  webhookTimeoutMilliseconds: v.number(),
  busTimeoutMilliseconds: v.number(),
  maximumBytes: v.number(),
  bus: v.string(),
}) satisfies v.GenericSchema<CallbackRelaySettings>;

/** Passes the client's callbacks to the business's webhook, and puts them on the bus beside it. */
export const handler = createRelay(readSettings(settingsSchema));
