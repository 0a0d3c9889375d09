import { setTimeout as delay } from 'node:timers/promises';

/** Counts again and again until there is something to count or the patience is over. */
export async function countPatiently(count: () => Promise<number>, patience: number): Promise<number> {
  for (let looks = patience * LOOKS_PER_SECOND; ; looks -= 1) {
    const counted = await count();
    if (counted > 0 || looks <= 0) return counted;
    await delay(1000 / LOOKS_PER_SECOND);
  }
}

/** Each is a small statement for the server. */
const LOOKS_PER_SECOND = 10;
