import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { arbitraryConfigurations, spoiledConfigurations } from './arbitrary-configurations.ts';
import { synthesizesOrSaysWhy } from './properties.ts';

/** What fails prints its seed, and with it can be played again in place of this one. */
const FIXED_SEED = 20_260_112;
const FRESH_SEED = Date.now() % 2 ** 31;

/** How often each came of it. */
function played(
  configurations: fc.Arbitrary<unknown>,
  { seed, numRuns, synthesize }: { seed: number; numRuns: number; synthesize: boolean },
): { taken: number; refused: number } {
  const counts = { taken: 0, refused: 0 };
  fc.assert(
    fc.property(configurations, (configuration) => {
      counts[synthesizesOrSaysWhy(configuration, { synthesize })]++;
    }),
    // To make it smaller would take minutes of synthesis: the seed says how to find it again.
    { seed, numRuns, endOnFailure: true },
  );
  return counts;
}

describe('whatever a configuration is, it synthesizes with all its links or is refused by sentences with paths', () => {
  for (const [which, seed] of [
    ['a fixed', FIXED_SEED],
    ['a fresh', FRESH_SEED],
  ] as const) {
    it(`where each field is what it may be, of ${which} seed`, () => {
      const { taken, refused } = played(arbitraryConfigurations, { seed, numRuns: 100, synthesize: false });
      assert.ok(taken > refused, `${taken} were taken and ${refused} refused`);
    });

    it(`where each field is what it may be, synthesized, of ${which} seed`, () => {
      assert.ok(played(arbitraryConfigurations, { seed, numRuns: 5, synthesize: true }).taken > 0);
    });

    it(`where the sample was spoiled, of ${which} seed`, () => {
      const { taken, refused } = played(spoiledConfigurations, { seed, numRuns: 400, synthesize: false });
      assert.ok(refused > taken && taken > 0, `${taken} were taken and ${refused} refused`);
    });
  }
});
