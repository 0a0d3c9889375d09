import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { atMostOnce } from './at-most-once.ts';

/**
 * A step that tells metrics, or a report with them. Of a function that was ended meanwhile nobody knows whether it has told: it is
 * told again, of the moment that was recorded before, so that no alarm rings again for what it rang for. Whoever is ended there has
 * taken all its time, of which the alarm on crashes tells, or is tried again within the minutes in which alarms still look at that
 * moment.
 * @param tell `at`: of when the metrics are. @default now; `recorded`: the moment, in epoch milliseconds, whichever telling it is.
 * @returns the moment, in epoch milliseconds.
 */
export async function tellOnce(
  context: DurableContext,
  name: string,
  tell: (at: Date | undefined, recorded: number) => void,
): Promise<number> {
  const { at } = await context.step(`time of ${name}`, async () => ({ at: Date.now() }));
  const told = await atMostOnce(context, name, async () => tell(undefined, at));
  if (told.kind === 'interrupted') await context.step(`${name} again`, async () => tell(new Date(at), at));
  return at;
}
