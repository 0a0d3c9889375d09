/**
 * A thousand nights with faults, of all kinds together: `npm run bench soak`. They are lives of a dozen nights, each with a seed of
 * its own: `npm run bench soak -- --seed SEED` plays one again, to the same faults at the same calls, and tells each of its
 * nights; `--nights 100` plays fewer.
 */
import { availableParallelism } from 'node:os';
import { startClientDatabases } from '../rehearsal/client-databases.ts';
import { synthesize } from '../rehearsal/synthesize.ts';
import { LIFE_NIGHTS, type Soaked, soak } from '../test/rehearsal/soak/soak.ts';
import { tell } from './figures.ts';

const args = process.argv.slice(2);
const after = (name: string) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
const { CDK_OUT: synthesized } = process.env;
const only = after('--seed');
const wanted = Number(after('--nights') ?? 1_000);
if (!(wanted > 0)) throw new Error('Say how many nights: npm run bench soak -- --nights 100');
const begun = only ?? new Date().toISOString();

const cdkOut = synthesized ?? (await synthesize());
const all: Soaked[] = [];
const nights = () => all.reduce((sum, each) => sum + each.nights, 0);
let lives = 0;
// A life waits for real time half of its time: one more of them than there are cores keeps these at work.
await Promise.all(Array.from({ length: only === undefined ? availableParallelism() + 1 : 1 }, playLives));
const sum = (of: (soaked: Soaked) => Record<string, number>) => {
  const total: Record<string, number> = {};
  for (const each of all)
    for (const [key, count] of Object.entries(of(each))) total[key] = (total[key] ?? 0) + count;
  return total;
};
const violations = all.flatMap((each) => each.violations);
console.log(`Faults: ${JSON.stringify(sum(({ faults }) => faults))}`);
console.log(
  `${nights()} nights, ${all.reduce((count, { alarms }) => count + alarms, 0)} alarms, ${all.reduce((count, { logins }) => count + logins, 0)} logins; runs: ${JSON.stringify(sum(({ runs }) => runs))}`,
);
tell({
  bench: 'soak',
  what: `what must never be, in ${nights().toLocaleString('en')} nights with faults`,
  rival: 'none',
  value: violations.length,
  unit: 'violations',
  goal: { atMost: 0 },
});
if (violations.length > 0) {
  console.error(
    `${violations.length} violations; of the first: npm run bench soak -- --seed ${violations[0]?.split(/[ ,]/)[1]}`,
  );
  process.exitCode = 1;
}

/** Lives one after the other, with a database server of their own. */
async function playLives(): Promise<void> {
  const postgres = await startClientDatabases();
  try {
    do {
      const seed = only ?? `${begun}/${++lives}`;
      const soaked = await soak({
        cdkOut,
        postgres,
        seed,
        nights: LIFE_NIGHTS,
        ...(only !== undefined && { onNight: (line: string) => console.log(line) }),
      });
      all.push(soaked);
      const { runs, violations } = soaked;
      console.log(
        `${seed}: ${nights()} nights so far; ${JSON.stringify(runs)}; ${violations.length} violations`,
      );
      for (const violation of violations) console.log(`✖ ${violation}`);
    } while (only === undefined && nights() < wanted);
  } finally {
    await postgres.stop();
  }
}
