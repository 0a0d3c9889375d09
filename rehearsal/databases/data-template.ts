import { createHash } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from './cache-folder.ts';

const CACHE = cacheFolder('databases');
const UNWRITABLE = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR'];

/**
 * Gives a server a data folder as its initialization leaves it. That is done once for each program and its options and
 * kept in the cache folder; a copy takes a tenth of the time.
 *
 * @param data the folder that is to be made
 * @param program the file that is run: another version of it initializes anew
 * @param initialize makes such a folder, called with the path that it is to have
 */
export async function copyInitialized(
  data: string,
  { program, options }: { program: string; options: readonly string[] },
  initialize: (data: string) => Promise<void>,
): Promise<void> {
  const { size, mtimeMs } = await stat(program);
  const key = JSON.stringify([program, size, mtimeMs, ...options]);
  const template = join(CACHE, createHash('sha256').update(key).digest('hex').slice(0, 16));
  try {
    if (!existsSync(template)) await make(template, initialize);
  } catch (error) {
    // There may be no folder of one's own, or none that can be written to.
    if (!(error instanceof Error && 'code' in error && UNWRITABLE.includes(String(error.code)))) throw error;
    return initialize(data);
  }
  await cp(template, data, { recursive: true, mode: constants.COPYFILE_FICLONE });
}

async function make(template: string, initialize: (data: string) => Promise<void>): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, 'initializing-'));
  try {
    const data = join(work, 'data');
    await initialize(data);
    // Whole or not at all: another process may be making the same.
    await rename(data, template).catch((error: unknown) => {
      if (!existsSync(template)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
