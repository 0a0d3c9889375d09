import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import type { CallbackRelaySettings } from './contract.ts';

/** Whether a callback got on the bus. `put-later`: when it comes again. `lost`: it may have, but nobody said so. */
export type OnBus =
  | { outcome: 'put' }
  | { outcome: 'put-later' }
  | { outcome: 'too-large'; bytes: number }
  | { outcome: 'lost'; code: string };

/** EventBridge's limit on the entries of a request together, in bytes (January 2026; before, a quarter of it). */
const MAXIMUM_ENTRY_BYTES = 1024 * 1024;

/** After a bus that did not answer in time, for so long no request waits for it. */
const PAUSE_MILLISECONDS = 10_000;

/** A callback on its way to the bus. */
export interface Putting {
  result: Promise<OnBus>;
  since: number;
  /** Gives up. */
  abort(): void;
}

/** The callbacks bus. */
export function callbacksBus({
  bus,
  busTimeoutMilliseconds,
  eventSource,
  eventDetailType,
}: CallbackRelaySettings): {
  /** Begins to put a callback on the bus, verbatim. */
  put(body: Buffer): Putting;
  /**
   * Waits until it is there, but not for long, and not at all soon after a time that was too long: a bus that hangs would hold
   * up the client's next callbacks, of which it sends only a few at once.
   */
  within(putting: Putting): Promise<OnBus>;
} {
  const events = new EventBridgeClient({});
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let pausedUntil = Number.NEGATIVE_INFINITY;

  async function send(body: Buffer, abortSignal: AbortSignal): Promise<OnBus> {
    // Signing takes a while: first let the request to the webhook out.
    await setImmediate();
    const bytes = body.length + eventSource.length + eventDetailType.length;
    if (bytes > MAXIMUM_ENTRY_BYTES) return { outcome: 'too-large', bytes: body.length };
    try {
      const { Entries: [entry] = [] } = await events.send(
        new PutEventsCommand({
          Entries: [
            {
              EventBusName: bus,
              Source: eventSource,
              DetailType: eventDetailType,
              Detail: decoder.decode(body),
            },
          ],
        }),
        { abortSignal },
      );
      // The request as a whole succeeds even where an entry does not.
      return entry?.EventId ? { outcome: 'put' } : { outcome: 'lost', code: entry?.ErrorCode ?? 'NoEntry' };
    } catch (error) {
      // Not the message: AWS's validation errors repeat what was sent.
      return { outcome: 'lost', code: error instanceof Error ? error.name : 'Error' };
    }
  }

  return {
    put(body) {
      const controller = new AbortController();
      return {
        result: send(body, controller.signal),
        since: performance.now(),
        abort: () => controller.abort(),
      };
    },
    async within({ result, since, abort }) {
      const now = performance.now();
      const patience = now < pausedUntil ? 0 : Math.max(0, since + busTimeoutMilliseconds - now);
      let timer: NodeJS.Timeout | undefined;
      const tooLate = new Promise<'too-late'>((resolve) => {
        timer = setTimeout(resolve, patience, 'too-late');
      });
      const settled = await Promise.race([result, tooLate]);
      clearTimeout(timer);
      if (settled !== 'too-late') {
        if (settled.outcome === 'put') pausedUntil = Number.NEGATIVE_INFINITY;
        return settled;
      }
      abort();
      if (now >= pausedUntil) pausedUntil = performance.now() + PAUSE_MILLISECONDS;
      return { outcome: 'lost', code: 'TimedOut' };
    },
  };
}
