import { Pool } from 'undici';
import type { Clock } from '../aws/clock.ts';

/** One POST of a payload to the business's webhook. */
export interface CallbackAttempt {
  /** Epoch milliseconds on the clock. */
  at: number;
  payload: object;
  /** 1 for the first. */
  attempt: number;
  /** The HTTP status, or the error's code where there was no answer. */
  result: number | string;
}

/** The client's way to the business: each payload is sent again until it is taken. */
export interface Callbacks {
  /** Every POST so far, in order of its answer. */
  attempts: readonly CallbackAttempt[];
  /** Resolves after the first attempt; the later ones follow on the clock. */
  send(payload: object): Promise<void>;
  close(): Promise<void>;
}

/** `callback_backoff_delay_ms`: by so much longer does the client wait before each further attempt (its default). */
const BACKOFF_MS = 3_000;
/** `max_callback_backoff_delay_ms`: from here on the wait stays the same (the client's default). */
const LONGEST_BACKOFF_MS = 900_000;

/** A webhook that has not answered by then (real time) will not. */
const ANSWER_TIMEOUT_MS = 30_000;

/**
 * Sends payloads to a URL, at most so many at once. Only the answer 200 ends the attempts.
 * @param concurrency the client's setting `webhooks.max_concurrent_requests` (6, 12, 18 or 24)
 */
export function callbacks(url: string, clock: Clock, concurrency: number): Callbacks {
  const { origin, pathname, search } = new URL(url);
  const webhook = new Pool(origin, {
    connections: concurrency,
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: ANSWER_TIMEOUT_MS,
  });
  const attempts: CallbackAttempt[] = [];
  const waiting = new Set<() => void>();
  let closed = false;

  async function attempt(payload: object, number: number): Promise<void> {
    const result = await post(JSON.stringify(payload));
    if (closed) return;
    attempts.push({ at: clock.now(), payload, attempt: number, result });
    if (result === 200) return;
    const cancel = clock.at(clock.now() + Math.min(number * BACKOFF_MS, LONGEST_BACKOFF_MS), () => {
      waiting.delete(cancel);
      return attempt(payload, number + 1);
    });
    waiting.add(cancel);
  }

  async function post(body: string): Promise<number | string> {
    try {
      const answer = await webhook.request({
        method: 'POST',
        path: pathname + search,
        headers: { 'content-type': 'application/json' },
        body,
      });
      await answer.body.dump();
      return answer.statusCode;
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : String(error);
    }
  }

  return {
    attempts,
    send: (payload) => attempt(payload, 1),
    async close() {
      closed = true;
      for (const cancel of waiting) cancel();
      await webhook.destroy();
    },
  };
}
