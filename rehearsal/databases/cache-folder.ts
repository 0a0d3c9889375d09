import { homedir } from 'node:os';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const OWN = fileURLToPath(new URL('../../', import.meta.url));

/**
 * A folder for what is fetched or made once: in `.cache/` of the checkout; where the package is installed, and may lie in an archive or
 * where nobody may write, in the person's own (`$XDG_CACHE_HOME/wa-upkeep`, by default `~/.cache/wa-upkeep`).
 */
export function cacheFolder(name: string): string {
  const root = OWN.split(sep).includes('node_modules')
    ? join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'wa-upkeep')
    : join(OWN, '.cache');
  return join(root, name);
}
