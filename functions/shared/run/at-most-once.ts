import { type DurableContext, StepSemantics } from '@aws/durable-execution-sdk-js';

/** `interrupted`: the function was ended in the middle of it, so whether it had its effect is unknown. */
export type AtMostOnce<T> = { kind: 'done'; value: T } | { kind: 'interrupted' };

/** A step for what must not happen twice: a replay that finds it begun and not ended does not do it again. */
export async function atMostOnce<T>(
  context: DurableContext,
  name: string,
  action: () => Promise<T>,
): Promise<AtMostOnce<T>> {
  try {
    const value = await context.step(name, action, {
      semantics: StepSemantics.AtMostOncePerRetry,
      retryStrategy: () => ({ shouldRetry: false }),
    });
    return { kind: 'done', value };
  } catch (error) {
    // The SDK makes its StepInterruptedError anew from its record: only the name is left of the class.
    const { cause } = error as Error;
    if (cause instanceof Error && cause.name === 'StepInterruptedError') return { kind: 'interrupted' };
    throw error;
  }
}
