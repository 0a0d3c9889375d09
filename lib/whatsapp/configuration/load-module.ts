import { statSync } from 'node:fs';
import { extname, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { types } from 'node:util';
import { valueText } from '../../checks/mistakes.ts';

const EXTENSIONS = ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs'];
const EXPORTS = 'export default defineUpkeep({ … })';
/** A message of the runtime is told up to here. */
const LONGEST_REASON = 300;

/** What a file exports by default; or one sentence that says why there is nothing. */
export async function loadModule(file: string): Promise<{ value: unknown } | { mistake: string }> {
  const mistake = whyNoModule(file);
  if (mistake) return { mistake };
  try {
    const module: { default?: unknown } = await import(pathToFileURL(resolve(file)).href);
    if (module.default === undefined)
      return { mistake: `The file must export its configuration: ${EXPORTS}.` };
    if (types.isPromise(module.default)) {
      // Else one that is rejected ends the process.
      module.default.catch(() => undefined);
      return {
        mistake: 'The file exports a promise; it must export what comes of it: export default await ….',
      };
    }
    return { value: module.default };
  } catch (error) {
    return { mistake: sentenceOf(error, file) };
  }
}

function whyNoModule(file: string): string | undefined {
  const found = statSync(resolve(file), { throwIfNoEntry: false });
  if (!found)
    return 'The file does not exist; name the configuration by -c config=FILE, as a path from the working directory.';
  if (found.isDirectory())
    return `It is a directory; name the file in it, by -c config=${file.replace(/\/$/, '')}/upkeep.config.ts.`;
  const extension = extname(file);
  if (EXTENSIONS.includes(extension)) return undefined;
  return `The file's name ends with ${extension ? `"${extension}"` : 'no extension'}; it must be a TypeScript or JavaScript module (${EXTENSIONS.join(', ')}) with ${EXPORTS}.`;
}

function sentenceOf(error: unknown, file: string): string {
  if (!types.isNativeError(error)) return `The file throws ${valueText(error)}; it must load without that.`;
  const reason = error.message.replaceAll(/\s+/g, ' ').slice(0, LONGEST_REASON).replace(/\.$/, '');
  return `${placeOf(error) ?? relative('', file)}: ${error.name}: ${reason}${adviceOn(error)}.`;
}

/** The first place of the stack that is no part of Node.js: `upkeep.config.ts:12`. */
function placeOf({ stack = '' }: Error): string | undefined {
  for (const line of stack.split('\n')) {
    const [, place = '', number] =
      /(?:^|[\s(])(file:\/\/\/[^\s()]+?|\/[^():]+?):(\d+)(?::\d+)?\)?$/.exec(line) ?? [];
    if (number) return `${relative('', place.startsWith('file:') ? fileURLToPath(place) : place)}:${number}`;
  }
  return undefined;
}

function adviceOn(error: Error): string {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX')
    return '; Node.js takes types away and does nothing else: write what is left as JavaScript, such as an object in place of an enum';
  if (/\b(module|exports|require) is not defined/.test(error.message))
    return `; the file is an ES module: write ${EXPORTS}, and import in place of require`;
  return '';
}
