/**
 * A month of nights for 50 deployments of one account and region, all at the same hour, on simulated time: their own templates and
 * bundles, clients that are simulated. Then three of them in processes that live through all nights, whose memory must not grow.
 *
 *     node bench/month.ts [DEPLOYMENTS] [NIGHTS]     @default 50 and 30: an hour on two cores
 */
import { playMonth } from '../test/rehearsal/soak/month.ts';
import { tell } from './figures.ts';

const [deployments, nights] = [Number(process.argv[2] ?? 50), Number(process.argv[3] ?? 30)];
const KEPT = 3;

const onNight = (line: string) => console.log(line);
const month = await playMonth({ deployments, nights, onNight });
for (const mismatch of month.mismatches) console.log(`✖ ${mismatch}`);
const what = `${month.runs.toLocaleString('en')} runs of ${deployments} deployments in ${nights} nights`;
console.log(`${what}; ExecuteCommand was throttled ${month.throttled} times`);
tell({
  bench: 'month',
  what: `${what}: reports that are missing, doubled or bad, alarms`,
  rival: 'none',
  value: month.mismatches.length,
  unit: 'mismatches',
  goal: { atMost: 0 },
});
const kept = await playMonth({ deployments: KEPT, nights, keepsProcesses: true });
for (const mismatch of kept.mismatches) console.log(`✖ ${mismatch}`);
console.log(
  `Of processes that live through ${nights} nights: ${kept.growth?.toFixed(2)} of their memory in the third`,
);
if (kept.growth !== undefined)
  tell({
    bench: 'month',
    what: `memory of a function's process in night ${nights}, at most`,
    rival: 'night 3',
    value: kept.growth,
    goal: { atMost: 1.25 },
  });
process.exitCode = [month, kept].some(({ mismatches }) => mismatches.length > 0) ? 1 : 0;
