/** Throws inputs at what reads from outside, for so many minutes: `npm run bench fuzz -- MINUTES`. A failure names its seed. */
import fc from 'fast-check';
import { configurationFuzzers } from '../test/fuzz/configuration-fuzzers.ts';
import { fuzzers } from '../test/fuzz/fuzzers.ts';

const RUNS = 500;
const minutes = Number(process.argv[2] ?? 1);
if (!(minutes > 0)) throw new Error('Say how many minutes: npm run bench fuzz -- 10');

const all = [...(await fuzzers()), ...configurationFuzzers()];
const end = Date.now() + minutes * 60_000;
const counts = new Map<string, number>();
try {
  while (Date.now() < end)
    for (const { name, property } of all) {
      await fc.assert(property, { numRuns: RUNS });
      counts.set(name, (counts.get(name) ?? 0) + RUNS);
    }
} finally {
  await Promise.all(all.map(({ close }) => close()));
}
for (const [name, count] of counts) console.log(`${name}: ${count} inputs, each read or told in a sentence`);
