import type { DurableContext } from '@aws/durable-execution-sdk-js';

/**
 * Waits for a new invocation where this one, which Lambda ends by force at its timeout, has too little time left for what
 * comes next. Only where nothing else of the run is going on: what is keeps the invocation.
 * @param name of what comes next: unique in the run.
 */
export async function haveTimeFor(context: DurableContext, name: string, seconds: number): Promise<void> {
  // Recorded, so that a replay comes by the same way.
  const { left } = await context.step(`time for ${name}`, async () => ({
    left: Math.floor(context.lambdaContext.getRemainingTimeInMillis() / 1000),
  }));
  if (left < seconds) await context.wait(`for an invocation that has it, ${name}`, { seconds: 1 });
}

/** Milliseconds of this invocation, but for the `reserveSeconds` at its end. */
export function leftOfInvocation({ lambdaContext }: DurableContext, reserveSeconds: number): number {
  return lambdaContext.getRemainingTimeInMillis() - reserveSeconds * 1000;
}
