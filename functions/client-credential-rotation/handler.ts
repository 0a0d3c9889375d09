import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import * as v from 'valibot';
import {
  credentialRotationEntries,
  examineCredential,
  rotateCredential,
} from '../credential-rotation/rotate-credential.ts';
import { runJob } from '../shared/run/run-job.ts';
import { readSettings } from '../shared/run/settings.ts';
import { webAppSettingsSchema } from '../shared/whatsapp/settings.ts';
import { withWebApp } from '../shared/whatsapp/web-app.ts';
import type { ClientCredentialRotationSettings } from './contract.ts';

const settingsSchema = v.object({
  ...credentialRotationEntries,
  webApp: webAppSettingsSchema,
}) satisfies v.GenericSchema<ClientCredentialRotationSettings>;

/**
 * Rotates the password with which a WhatsApp client logs in to its database. What the client tells of its health is
 * of WhatsApp's servers, not of the database: that as many nodes are back as before.
 */
export const handler = withDurableExecution((event: unknown, context) =>
  runJob(
    event,
    context,
    (run, context) => {
      const settings = readSettings(settingsSchema);
      return rotateCredential(run, context, settings, {
        parts: "nodes of WebApp's /v1/health",
        connected: () => withWebApp(settings.webApp, (webApp) => webApp.connectedNodes()),
      });
    },
    (context) => examineCredential(readSettings(settingsSchema), context),
  ),
);
