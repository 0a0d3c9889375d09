import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The handler of one of our own functions: TypeScript in the repository, an ES module in the built package. */
export function entryFile(functionName: string): string {
  const extension = extname(import.meta.url) === '.ts' ? '.ts' : '.js';
  return fileURLToPath(new URL(`../functions/${functionName}/handler${extension}`, import.meta.url));
}
