import { after, test } from 'node:test';
import fc from 'fast-check';
import { fuzzers } from './fuzzers.ts';

const FIXED_SEED = 14;
const all = await fuzzers();
after(() => Promise.all(all.map(({ close }) => close())));

for (const { name, property } of all)
  for (const [which, seed] of [
    ['a fixed seed', FIXED_SEED],
    // fast-check's text of a failure names it, and the path to the smallest input.
    ['a fresh seed', Date.now() % 2 ** 31],
  ] as const)
    test(`${name}: whatever comes, from ${which}, is read or told in a sentence`, () =>
      fc.assert(property, { seed, numRuns: 150 }));
