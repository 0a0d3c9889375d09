/**
 * Plays each fault by its own command, `npm start -- --fault NAME`, at full scale, one on each core: each must end with exit
 * status 0, as each does at the tests' smaller scale. Takes about a minute each; README.md has what was seen.
 *
 *     node bench/faults.ts [NAME...]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { text } from 'node:stream/consumers';
import PQueue from 'p-queue';
import { FAULTS } from '../rehearsal/faults/faults.ts';

const only = process.argv.slice(2);
const failed: string[] = [];
const names = Object.keys(FAULTS).filter((each) => only.length === 0 || only.includes(each));
const queue = new PQueue({ concurrency: availableParallelism() });
await queue.addAll(names.map((name) => () => play(name)));
console.log(
  failed.length === 0 ? 'Each fault went as it says.' : `Otherwise than they say: ${failed.join(', ')}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;

async function play(name: string): Promise<void> {
  const begun = Date.now();
  const night = spawn(process.execPath, ['rehearsal/main.ts', '--fault', name], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [told, said, [status]] = await Promise.all([
    text(night.stdout),
    text(night.stderr),
    once(night, 'close'),
  ]);
  console.log(`${name}: exit status ${status}, ${Math.round((Date.now() - begun) / 1000)} s`);
  if (status === 0) return;
  failed.push(name);
  console.log(told, said);
}
