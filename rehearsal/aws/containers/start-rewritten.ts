/**
 * Leads `docker exec` into a container that is no more than a folder: runs the command with its words {@link rewritten} to
 * the files in there. Node takes ten times as long to start as a shell, so what needs none of this goes without it.
 *
 *   start-rewritten.ts FOLDER PROGRAM WORD...
 */
import { spawnSync } from 'node:child_process';
import { rewritten } from './container.ts';

const [folder = '', ...words] = process.argv.slice(2);
const [program = '', ...parameters] = words.map((word) => rewritten(word, folder));
const { status, signal, error } = spawnSync(program, parameters, { stdio: 'inherit' });
if (error) process.stderr.write(`OCI runtime exec failed: ${error.message}\n`);
process.exitCode = error ? 127 : (status ?? (signal === 'SIGKILL' ? 137 : 143));
