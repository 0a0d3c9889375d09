import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import type { RunEvent } from '../shared/run/run-event.ts';
import { type RunResult, runJob } from '../shared/run/run-job.ts';
import { readSettings } from '../shared/run/settings.ts';
import { collectGarbage } from '../shared/whatsapp/collect-garbage.ts';
import { examineWebApp } from '../shared/whatsapp/examine-web-app.ts';
import { gcResult } from '../shared/whatsapp/gc-result.ts';
import { gcSettingsSchema } from '../shared/whatsapp/settings.ts';

/** Has the client delete the media that were unused for over 30 days. */
export const handler = withDurableExecution((event: unknown, context) =>
  runJob(event, context, mediaGc, (context) => examineWebApp(readSettings(gcSettingsSchema), context)),
);

async function mediaGc(run: RunEvent, context: DurableContext): Promise<RunResult> {
  const settings = readSettings(gcSettingsSchema);
  const collected = await collectGarbage('media', settings, Date.parse(run.endBy), context);
  return gcResult('media', settings, collected);
}
