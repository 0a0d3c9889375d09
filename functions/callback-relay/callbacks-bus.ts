import { setTimeout } from 'node:timers/promises';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { CALLBACK_SOURCE, CALLBACK_TYPE, type CallbackRelaySettings } from './contract.ts';

/** Whether a callback got on the bus. `put-later`: when it comes again. `lost`: it may have, but nobody said so. */
export type OnBus =
  | { outcome: 'put' | 'put-later' | 'nothing-to-put' }
  | { outcome: 'too-large'; bytes: number }
  | { outcome: 'lost'; code: string };

/** Of an entry that EventBridge could not take for the moment: with an HTTP 200, so that the SDK does not try it again. */
const PASSING_CODES = /Internal|Throttling|Unavailable|Timeout/;
const MOST_TRIES = 3;
const FIRST_PAUSE_MILLISECONDS = 50;

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
export function callbacksBus({ bus, busTimeoutMilliseconds, deployment }: CallbackRelaySettings): {
  /** Begins to put a callback on the bus, verbatim. */
  put(detail: string): Putting;
  /**
   * Waits until it is there, but not for long, and not at all soon after a time that was too long: a bus that hangs would hold
   * up the client's next callbacks, of which it sends only a few at once.
   */
  within(putting: Putting): Promise<OnBus>;
} {
  const events = new EventBridgeClient({});
  let pausedUntil = Number.NEGATIVE_INFINITY;

  async function send(detail: string, abortSignal: AbortSignal): Promise<OnBus> {
    const entry = {
      EventBusName: bus,
      Source: CALLBACK_SOURCE,
      DetailType: CALLBACK_TYPE,
      // So that no other deployment's callback is ever taken for its own.
      Resources: [deployment],
      Detail: detail,
    };
    try {
      for (let attempt = 1; ; attempt++) {
        const { Entries: [answer] = [] } = await events.send(new PutEventsCommand({ Entries: [entry] }), {
          abortSignal,
        });
        // The request as a whole succeeds even where an entry does not.
        if (answer?.EventId) return { outcome: 'put' };
        const code = answer?.ErrorCode ?? 'NoEntry';
        if (attempt === MOST_TRIES || !PASSING_CODES.test(code)) return { outcome: 'lost', code };
        await setTimeout(FIRST_PAUSE_MILLISECONDS * 2 ** attempt * Math.random(), undefined, {
          signal: abortSignal,
        });
      }
    } catch (error) {
      // Not the message: AWS's validation errors repeat what was sent.
      return { outcome: 'lost', code: error instanceof Error ? error.name : 'Error' };
    }
  }

  return {
    put(detail) {
      const controller = new AbortController();
      return {
        result: send(detail, controller.signal),
        since: performance.now(),
        abort: () => controller.abort(),
      };
    },
    async within({ result, since, abort }) {
      const now = performance.now();
      const patience = now < pausedUntil ? 0 : Math.max(0, since + busTimeoutMilliseconds - now);
      const timer = new AbortController();
      const tooLate = setTimeout(patience, 'too-late' as const, { signal: timer.signal });
      const settled = await Promise.race([result, tooLate]);
      tooLate.catch(() => {});
      timer.abort();
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
