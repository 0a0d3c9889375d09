/**
 * What a process of `npm test` runs: files of tests, one after the other, each as a suite of its own. Their paths come after a
 * folder in which each file is claimed by the process that runs it, so that several processes share a list. The next file finds
 * environment and mocks as they were.
 */
import { closeSync, openSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, mock } from 'node:test';

/** Of a file as of each of its tests, many times what it takes. Milliseconds. */
const HANGS_AFTER = 40 * 60_000;

const [claims = '', ...files] = process.argv.slice(2);
const environment = { ...process.env };
for (const file of files)
  if (claim(file)) {
    await describe(file, { timeout: HANGS_AFTER }, async () => {
      await import(resolve(file));
    });
    mock.reset();
    mock.timers.reset();
    for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
    Object.assign(process.env, environment);
  }

function claim(file: string): boolean {
  try {
    closeSync(openSync(join(claims, file.replaceAll('/', '+')), 'wx'));
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}
