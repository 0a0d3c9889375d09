import { type DurableContext, StepSemantics } from '@aws/durable-execution-sdk-js';

/** Ended by force, or left before that. */
const INTERRUPTIONS = ['StepInterruptedError', 'OutOfTime'];

const LONGEST_PAUSE_SECONDS = 60;

/** `interrupted`: the function was ended in the middle of it, so whether it had its effect is unknown. */
export type AtMostOnce<T> = { kind: 'done'; value: T } | { kind: 'interrupted' };

/**
 * A step for what must not happen twice: a replay that finds it begun and not ended does not do it again.
 * @param tries of what throws, some seconds apart, where it is known not to have had its effect then.
 */
export async function atMostOnce<T>(
  context: DurableContext,
  name: string,
  action: () => Promise<T>,
  tries = 1,
): Promise<AtMostOnce<T>> {
  try {
    const value = await context.step(name, action, {
      semantics: StepSemantics.AtMostOncePerRetry,
      retryStrategy: ({ name }, attempt) => ({
        shouldRetry: !INTERRUPTIONS.includes(name) && attempt < tries,
        delay: { seconds: Math.min(2 ** attempt, LONGEST_PAUSE_SECONDS) },
      }),
    });
    return { kind: 'done', value };
  } catch (error) {
    // The SDK makes the error anew from its record: only the name is left of the class.
    const { cause } = error as Error;
    if (cause instanceof Error && INTERRUPTIONS.includes(cause.name)) return { kind: 'interrupted' };
    throw error;
  }
}
