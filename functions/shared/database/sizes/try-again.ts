import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { Answer } from './measure-set.ts';

/** What cannot be reached is tried so often. */
const ATTEMPTS = 3;

const PAUSE_SECONDS = 30;

/** Asks in a durable step, and again where that may help; an error of the last time is an answer too. */
export async function tryAgain<T>(
  context: DurableContext,
  name: string,
  work: () => Promise<Answer<T>>,
): Promise<Answer<T>> {
  try {
    return await context.step(name, work, {
      retryStrategy: (_, attempt) => ({ shouldRetry: attempt < ATTEMPTS, delay: { seconds: PAUSE_SECONDS } }),
    });
  } catch (error) {
    return { kind: 'not-told', error: error instanceof Error ? error.message : String(error) };
  }
}
