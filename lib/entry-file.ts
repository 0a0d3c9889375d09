import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The handler of one of our own functions: TypeScript in the repository, JavaScript in the built package. */
export function entryFile(functionName: string): string {
  return fileURLToPath(
    new URL(`../functions/${functionName}/handler${extname(import.meta.url)}`, import.meta.url),
  );
}
