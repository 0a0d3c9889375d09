import { createHash } from 'node:crypto';

/** Numbers from 0 up to 1 that look random and are the same each time for a seed (xorshift32, Marsaglia 2003). */
export function seededRandom(seed: string): () => number {
  let state = createHash('sha256').update(seed).digest().readUInt32LE(0) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}
