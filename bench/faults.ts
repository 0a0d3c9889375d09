/**
 * Plays each fault by its own command, `npm start -- --fault NAME`, at full scale, one after the other: each must end with
 * exit status 0, as each does at the tests' smaller scale. Takes about a minute each on cores of its own; README.md has what was
 * seen.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { FAULTS } from '../rehearsal/faults/faults.ts';

const only = process.argv.slice(2);
const failed: string[] = [];
for (const name of Object.keys(FAULTS).filter((each) => only.length === 0 || only.includes(each))) {
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
  if (status === 0) continue;
  failed.push(name);
  console.log(told, said);
}
console.log(
  failed.length === 0 ? 'Each fault went as it says.' : `Otherwise than they say: ${failed.join(', ')}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
