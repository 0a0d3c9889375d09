/**
 * What a process of `npm test` runs: files of tests, one after the other, each as a suite of its own. Their paths come after a
 * folder in which each file is claimed by the process that runs it, so that several processes share a list.
 */
import { closeSync, openSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe } from 'node:test';

const [claims = '', ...files] = process.argv.slice(2);
for (const file of files)
  if (claim(file))
    await describe(file, async () => {
      await import(resolve(file));
    });

function claim(file: string): boolean {
  try {
    closeSync(openSync(join(claims, file.replaceAll('/', '+')), 'wx'));
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}
