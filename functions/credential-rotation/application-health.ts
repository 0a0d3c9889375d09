import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { lookUntil } from '../shared/roll/look-until.ts';
import { logger } from '../shared/run/publish-report.ts';

/** What an application tells of itself. */
export interface ApplicationHealth {
  /** How many of its parts are connected now; `undefined` while it cannot tell. Called in durable steps. */
  connected(): Promise<number | undefined>;
  /** As people name the parts, such as "nodes of WebApp's /v1/health". */
  parts: string;
}

/** How many parts were connected before the first change and after the roll; `null`: the application could not tell. */
export interface ConnectedParts {
  parts: string;
  before: number | null;
  after?: number | null;
}

/** Asks before the first change. */
export function connectedBefore(
  context: DurableContext,
  application: ApplicationHealth,
): Promise<ConnectedParts> {
  return context.step('ask the application', async () => ({
    parts: application.parts,
    before: await connectedNow(application),
  }));
}

/** Asks after the roll, until no fewer parts are connected than before or the time is over. */
export async function awaitConnected(
  context: DurableContext,
  application: ApplicationHealth,
  { parts, before }: ConnectedParts,
  limits: { timeoutSeconds: number; endBy: number },
): Promise<ConnectedParts> {
  const after = await lookUntil(
    context,
    'the application is connected as before',
    () => connectedNow(application),
    { ...limits, good: (now) => before === null || (now !== null && now >= before) },
  );
  return { parts, before, after };
}

/** Why the old credential must stay; `undefined` where nothing speaks against the new one. */
export function whyDisconnected({ parts, before, after }: ConnectedParts): string | undefined {
  if (before === null || (typeof after === 'number' && after >= before)) return undefined;
  const now = typeof after === 'number' ? `${after} are` : 'it cannot tell how many are';
  return `Before the change ${before} ${parts} were connected; after the roll ${now}.`;
}

async function connectedNow(application: ApplicationHealth): Promise<number | null> {
  try {
    return (await application.connected()) ?? null;
  } catch (error) {
    logger.warn(
      `The application does not tell of its ${application.parts}: ${error instanceof Error ? error.message : error}`,
    );
    return null;
  }
}
