import { statSync } from 'node:fs';
import { extname, relative, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { types } from 'node:util';
import { valueText } from '../../checks/mistakes.ts';

const EXTENSIONS = ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs'];
const EXPORTS = 'export default defineUpkeep({ … })';
/** A message of the runtime is told up to here. */
const LONGEST_REASON = 300;

/**
 * What a file exports by default; or one sentence that says why there is nothing.
 * @param whenUnfinished told the sentence where the process ends before the file has loaded, for nothing comes back then.
 */
export async function loadModule(
  file: string,
  whenUnfinished: (mistake: string) => void,
): Promise<{ value: unknown } | { mistake: string }> {
  const mistake = whyNoModule(file);
  if (mistake) return { mistake };
  try {
    const module = await imported(file, whenUnfinished);
    if (module.default === undefined)
      return { mistake: `The file must export its configuration: ${EXPORTS}.` };
    if (types.isPromise(module.default))
      return {
        mistake: 'The file exports a promise; it must export what comes of it: export default await ….',
      };
    return { value: module.default };
  } catch (error) {
    return { mistake: sentenceOf(error, file) };
  }
}

/** Imports a file. What it does to the process meanwhile is thrown as if the file had thrown it. */
async function imported(
  file: string,
  whenUnfinished: (mistake: string) => void,
): Promise<{ default?: unknown }> {
  const { exit } = process;
  const strays: unknown[] = [];
  const note = (error: unknown) => strays.push(error);
  const unfinished = () =>
    whenUnfinished('The file waits for what never comes (await); it must load without that.');
  process.exit = function exitWhileLoading(code): never {
    const error = new Error(`process.exit(${code ?? ''}) is called; a configuration must load without that`);
    // The place is the caller's.
    Error.captureStackTrace(error, exitWhileLoading);
    throw error;
  };
  process.on('uncaughtException', note).on('unhandledRejection', note).on('exit', unfinished);
  try {
    const module: { default?: unknown } = await import(pathToFileURL(resolve(file)).href);
    // Else one that is rejected ends the process.
    if (types.isPromise(module.default)) module.default.catch(() => undefined);
    // A promise that nobody waits for is rejected a turn later.
    await setImmediate();
    if (strays.length > 0) throw strays[0];
    return module;
  } finally {
    process.exit = exit;
    process.off('uncaughtException', note).off('unhandledRejection', note).off('exit', unfinished);
  }
}

function whyNoModule(file: string): string | undefined {
  const found = statSync(resolve(file), { throwIfNoEntry: false });
  if (!found)
    return 'The file does not exist; name the configuration by -c config=FILE, as a path from the working directory.';
  if (found.isDirectory())
    return `It is a directory; name the file in it, by -c config=${file.replace(/\/$/, '')}/upkeep.config.ts.`;
  if (!found.isFile())
    return 'It is no ordinary file (a pipe, a device or a socket); name a TypeScript or JavaScript module.';
  const extension = extname(file);
  if (EXTENSIONS.includes(extension)) return undefined;
  return `The file's name ends with ${extension ? `"${extension}"` : 'no extension'}; it must be a TypeScript or JavaScript module (${EXTENSIONS.join(', ')}) with ${EXPORTS}.`;
}

function sentenceOf(error: unknown, file: string): string {
  if (!types.isNativeError(error)) return `The file throws ${valueText(error)}; it must load without that.`;
  const name = textIn(error, 'name') || 'Error';
  const message = textIn(error, 'message');
  const reason = message.replaceAll(/\s+/g, ' ').slice(0, LONGEST_REASON).replace(/\.$/, '');
  // What stands in the message is no place.
  const place = placeIn(textIn(error, 'stack').replace(message, ''));
  return `${place ?? relative('', file)}: ${name}${reason && `: ${reason}`}${adviceOn(error, message)}.`;
}

/** What an error says, which can have been made anything. */
function textIn(error: Error, key: 'name' | 'message' | 'stack'): string {
  try {
    const text: unknown = error[key];
    return typeof text === 'string' ? text : '';
  } catch {
    return '';
  }
}

/** The first place of a stack that is no part of Node.js: `upkeep.config.ts:12`. */
function placeIn(stack: string): string | undefined {
  for (const line of stack.split('\n')) {
    const [, place = '', number] =
      /(?:^|[\s(])(file:\/\/\/[^\s()]+?|\/[^():]+?):(\d+)(?::\d+)?\)?$/.exec(line) ?? [];
    if (number) return `${relative('', place.startsWith('file:') ? fileURLToPath(place) : place)}:${number}`;
  }
  return undefined;
}

function adviceOn(error: Error, message: string): string {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX')
    return '; Node.js takes types away and does nothing else: write what is left as JavaScript, such as an object in place of an enum';
  if (/\b(module|exports|require) is not defined/.test(message))
    return `; the file is an ES module: write ${EXPORTS}, and import in place of require`;
  return '';
}
