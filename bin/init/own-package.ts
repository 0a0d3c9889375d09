import { existsSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';

/** Whether this package is installed in somebody's app, and not a clone with an app of its own. */
export function isInstalled(): boolean {
  return import.meta.dirname.includes('node_modules');
}

/**
 * From where a file of a folder imports this package: by its name where it is installed, else by one of its files.
 * @param file of a clone, from its root
 */
export function importPath(folder: string, file: string): string {
  if (isInstalled()) return 'wa-upkeep';
  const path = relative(resolve(folder), join(import.meta.dirname, '..', '..', file));
  return path.startsWith('.') ? path : `./${path}`;
}

/** Whether a folder lies outside of a clone, so that a module in it finds none of the packages that are installed there. */
export function isOutsideClone(folder: string): boolean {
  const path = relative(join(import.meta.dirname, '..', '..'), resolve(folder));
  return !isInstalled() && (path.split(sep)[0] === '..' || isAbsolute(path));
}

/** `ts`, or `mts` where Node.js would not take a `.ts` of the folder for an ES module by its package's word. */
export function moduleExtension(folder: string): 'ts' | 'mts' {
  return isOfModules(resolve(folder)) ? 'ts' : 'mts';
}

function isOfModules(folder: string): boolean {
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest)) return dirname(folder) !== folder && isOfModules(dirname(folder));
  try {
    return JSON.parse(readFileSync(manifest, 'utf8')).type === 'module';
  } catch {
    // Whoever needs it will say so.
    return false;
  }
}
