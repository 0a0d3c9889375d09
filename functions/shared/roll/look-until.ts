import type { DurableContext } from '@aws/durable-execution-sdk-js';

/** Between two looks. */
const LOOK_SECONDS = 15;

/**
 * Looks again and again, durably, until what is seen is good or the time for waiting is over. Each look is given what the
 * one before it saw.
 * @returns what was seen last; there is one look at least.
 */
export async function lookUntil<Seen>(
  context: DurableContext,
  name: string,
  look: (before?: Seen) => Promise<Seen>,
  {
    good,
    timeoutSeconds,
    endBy,
    evermoreRarely = false,
  }: {
    /** `waited`: seconds since the first look. */
    good: (seen: Seen, waited: number) => boolean;
    /** From the first look on. */
    timeoutSeconds: number;
    /** Epoch milliseconds. */
    endBy: number;
    /** Whether the time between two looks grows: for looks that cost something. @default false */
    evermoreRarely?: boolean;
  },
): Promise<Seen> {
  const end = await context.waitForCondition<Looked<Seen>>(
    name,
    async (before) => {
      const seen = await look(before.kind === 'looked' ? before.seen : undefined);
      const at = Date.now();
      return { kind: 'looked', seen, at, since: before.kind === 'looked' ? before.since : at };
    },
    {
      initialState: { kind: 'not-yet' },
      waitStrategy: (state) =>
        state.kind === 'looked' &&
        (good(state.seen, (state.at - state.since) / 1000) ||
          state.at >= Math.min(state.since + timeoutSeconds * 1000, endBy))
          ? { shouldContinue: false }
          : { shouldContinue: true, delay: { seconds: pauseAfter(evermoreRarely, state) } },
    },
  );
  if (end.kind === 'not-yet') throw new Error(`"${name}" ended without a look.`);
  return end.seen;
}

/** As long again as it has been waited for already. Seconds. */
function pauseAfter<Seen>(evermoreRarely: boolean, state: Looked<Seen>): number {
  if (!evermoreRarely || state.kind === 'not-yet') return LOOK_SECONDS;
  return Math.max(LOOK_SECONDS, Math.round((state.at - state.since) / 1000));
}

/** Epoch milliseconds. */
type Looked<Seen> = { kind: 'not-yet' } | { kind: 'looked'; seen: Seen; at: number; since: number };
