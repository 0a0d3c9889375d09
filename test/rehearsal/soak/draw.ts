import { seededRandom } from '../../../rehearsal/aws/seeded-random.ts';

/** Chance that is the same each time for a seed. */
export interface Draw {
  /** A whole number of these two or between. */
  between(least: number, most: number): number;
  chance(share: number): boolean;
  oneOf<Value>(values: readonly [Value, ...Value[]]): Value;
}

export function drawOf(seed: string): Draw {
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  return {
    between: (least, most) => least + below(most - least + 1),
    chance: (share) => random() < share,
    oneOf: (values) => values[below(values.length)] ?? values[0],
  };
}
