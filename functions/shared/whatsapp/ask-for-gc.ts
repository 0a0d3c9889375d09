import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { atMostOnce } from '../run/at-most-once.ts';
import { type CertificateLife, lifeOf } from './certificate.ts';
import { needsAPerson, WebAppError, WebAppUnreachableError } from './errors.ts';
import { someOf } from './hear.ts';
import { SINGLE_INSTANCE } from './nodes.ts';
import type { GcKind } from './notifications.ts';
import type { GcSettings } from './settings.ts';
import type { GcAnswer, withWebApp } from './web-app.ts';

/** What became of asking. `at`: epoch milliseconds. */
export type Asked =
  | {
      kind: 'processing';
      nodes: string[];
      refused: GcAnswer['refused'];
      at: number;
      certificate?: CertificateLife;
    }
  | { kind: 'not-started' | 'refused'; reason: string; at: number }
  | { kind: 'interrupted'; at: number };

/** Has a WebApp do something. */
export type OfWebApp = typeof withWebApp;

/** What is asked of which WebApp, and by when. */
export interface Request {
  kind: GcKind;
  settings: GcSettings;
  endBy: number;
  ofClient: OfWebApp;
}

/** At most once: a request that may have reached WebApp is not sent again before its callbacks had their time. */
export async function ask(request: Request, number: number, context: DurableContext): Promise<Asked> {
  const asked = await atMostOnce(context, `ask for GC ${number}`, () => requestGc(request));
  if (asked.kind === 'done') return asked.value;
  return context.step(`call ${number} was interrupted`, async () => ({
    kind: 'interrupted' as const,
    at: Date.now(),
  }));
}

async function requestGc({ kind, settings, endBy, ofClient }: Request): Promise<Asked> {
  const now = Date.now();
  // Whatever held it up: what is asked for now would go on beyond the window.
  if (now >= endBy)
    return {
      kind: 'not-started',
      reason: `the time for it was over at ${new Date(endBy).toISOString()}, before WebApp could be asked.`,
      at: now,
    };
  try {
    return await ofClient(settings.webApp, async (webApp): Promise<Asked> => {
      const { began, refused } = await webApp.collectGarbage(kind);
      const at = Date.now();
      if (began.length === 0) return { kind: 'not-started', reason: reasonOfNone(refused), at };
      // Media are the leader's work alone: one notification comes, whatever the answer names.
      const nodes = kind === 'media' ? [SINGLE_INSTANCE] : began;
      const certificate = lifeOf(settings.webApp.certificateAuthority, webApp.certificate(), at);
      return { kind: 'processing', nodes, refused, at, ...(certificate && { certificate }) };
    });
  } catch (error) {
    if (needsAPerson(error)) return { kind: 'refused', reason: (error as Error).message, at: Date.now() };
    if (error instanceof WebAppError || error instanceof WebAppUnreachableError)
      return { kind: 'not-started', reason: error.message, at: Date.now() };
    throw error;
  }
}

function reasonOfNone(refused: GcAnswer['refused']): string {
  if (refused.length === 0) return 'WebApp answered that it began on no node.';
  return `WebApp answered ${someOf(refused.map(({ node, reason }) => `"${reason}" for ${node}`))}.`;
}
