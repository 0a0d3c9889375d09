/**
 * How many CPU seconds a run takes, its function's start in it, by how much it asks of AWS: of each job of a deployment in the
 * stand-in, as its bundle runs there. docs/cost.md reckons with the line through them.
 *
 *     node bench/run-seconds.ts
 */
import { readdirSync, readFileSync } from 'node:fs';
import { linearRegression } from 'simple-statistics';
import { startClientDatabases } from '../rehearsal/client-databases.ts';
import { synthesize } from '../rehearsal/synthesize.ts';
import { CPU_SECONDS } from '../test/docs/run-calls.ts';
import { countCalls } from '../test/rehearsal/calls-of-runs.ts';
import { beginLife, DAY } from '../test/rehearsal/soak/life.ts';
import { tell } from './figures.ts';

/** Of a second, in which Linux tells of a process's time: USER_HZ, 100 on all that Node runs on. */
const TICKS = 100;

const [postgres, cdkOut] = await Promise.all([startClientDatabases(), synthesize()]);
try {
  const life = await beginLife({ cdkOut, postgres });
  try {
    const { aws, clock } = life.world;
    const calls = countCalls(aws);
    await clock.runUntil(clock.now() + DAY);
    const starts = [...cpuSeconds()].filter(([name]) => name.startsWith('emea-'));
    const points = starts.map(([name, seconds]): [number, number] => [calls.get(name) ?? 0, seconds]);
    for (const [name, seconds] of starts)
      console.log(`${name}: ${calls.get(name)} calls, ${seconds.toFixed(2)} s of CPU`);
    const { m: call, b: start } = linearRegression(points);
    console.log(`A start ${start.toFixed(2)} s of CPU, and each call ${(1000 * call).toFixed(1)} ms`);
    const figures = [
      { what: "a function's start", value: start, most: CPU_SECONDS.start },
      { what: 'a call of AWS in a run, with all that is between two', value: call, most: CPU_SECONDS.call },
    ];
    for (const { what, value, most } of figures)
      tell({
        bench: 'run-seconds',
        what,
        rival: 'what docs/cost.md reckons with',
        value: 1000 * value,
        unit: 'ms of CPU',
        goal: { atMost: 1000 * most },
      });
  } finally {
    await life.close();
  }
} finally {
  await postgres.stop();
}

/** Of the functions' processes that live, by function. Only Linux tells. */
function cpuSeconds(): Map<string, number> {
  const seconds = new Map<string, number>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const stat = read(`/proc/${pid}/stat`);
    // After the name, which can be of any form: state, parent, and from the 12th on ticks of user and system.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [, name] = /AWS_LAMBDA_FUNCTION_NAME=([^\0]*)/.exec(read(`/proc/${pid}/environ`)) ?? [];
    if (Number(fields[1]) !== process.pid || name === undefined) continue;
    seconds.set(name, (seconds.get(name) ?? 0) + (Number(fields[11]) + Number(fields[12])) / TICKS);
  }
  return seconds;
}

/** What is not there any more says nothing. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
