/**
 * What stands in a function's process in place of Lambda's managed runtime: imports the bundle's handler and calls it with the
 * invocations that the stand-in sends. A process whose function is given up can be another one's: its modules are loaded anew.
 */

import { existsSync, realpathSync } from 'node:fs';
import { createRequire, flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { InvocationError } from '../cloud.ts';
import { readEnvironment } from './preload.ts';

/** A function to run from now on. */
export interface Assignment {
  kind: 'assignment';
  /** Everything that `process.env` holds. */
  environment: Record<string, string>;
  folder: string;
  handler: string;
}

/** An invocation of it. */
export interface Call {
  kind: 'call';
  requestId: string;
  payload: string;
  invokedArn: string;
  /** Epoch milliseconds on the rehearsal's clock. */
  deadline: number;
}

/** What the process answers. */
export type Answer =
  | { kind: 'returned'; requestId: string; payload: string }
  | { kind: 'threw'; requestId: string; error: InvocationError }
  /** The bundle could not be loaded: the process ends. */
  | { kind: 'did-not-start'; error: InvocationError };

type Handler = (event: unknown, context: object) => unknown;

const { send } = process;
// No function has such a channel at Lambda.
delete process.send;
/** What a bundle adds to these goes with it. */
const listened = new Set(process.eventNames());
const globals = new Set(Object.getOwnPropertyNames(globalThis));
const { cache } = createRequire(import.meta.url);
/** How often each module was imported. */
const imported = new Map<string, number>();
let isFirstCall = true;
let handler: Handler | undefined;
let work: Promise<void> = Promise.resolve();

// Without the stand-in there is nothing to live for.
process.on('disconnect', () => process.exit(1));
process.on('message', (message: Assignment | Call) => {
  work = work.then(() => (message.kind === 'call' ? run(message) : load(message)));
});

async function load({ environment, folder, handler: name }: Assignment): Promise<void> {
  for (const key of Object.keys(process.env)) delete process.env[key];
  Object.assign(process.env, environment);
  readEnvironment();
  process.chdir(folder);
  if (imported.size > 0) forget();
  try {
    handler = await importHandler(folder, name);
    isFirstCall = true;
  } catch (error) {
    console.error(error);
    await answer({ kind: 'did-not-start', error: described(error) });
    process.exit(1);
  }
}

/** Removes what an earlier bundle has left in the process. */
function forget(): void {
  for (const event of process.eventNames())
    if (!listened.has(event) && event !== 'message' && event !== 'disconnect')
      process.removeAllListeners(event);
  for (const name of Object.getOwnPropertyNames(globalThis))
    if (!globals.has(name)) Reflect.deleteProperty(globalThis, name);
  for (const file of Object.keys(cache)) delete cache[file];
}

async function importHandler(folder: string, name: string): Promise<Handler> {
  const [file = '', exported = ''] = name.split('.');
  const found = ['.mjs', '.js', '.cjs'].map((ending) => join(folder, file + ending)).find(existsSync);
  if (found === undefined) throw new Error(`the bundle has no module ${file}`);
  // As Node sees it: by whichever link, it is the same module.
  const path = realpathSync(found);
  // What is asked for by another address is another module to Node, with a state of its own.
  const number = imported.get(path) ?? 0;
  imported.set(path, number + 1);
  const address = `${pathToFileURL(path)}${number === 0 ? '' : `?${number}`}`;
  const loaded: unknown = (await import(address))[exported];
  if (!isHandler(loaded)) throw new Error(`the module ${file} exports no function ${exported}`);
  return loaded;
}

async function run({ requestId, payload, invokedArn, deadline }: Call): Promise<void> {
  const { env } = process;
  const context = {
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: invokedArn,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    awsRequestId: requestId,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
  let outcome: Answer;
  try {
    const returned = (await handler?.(JSON.parse(payload), context)) ?? null;
    outcome = { kind: 'returned', requestId, payload: JSON.stringify(returned) };
  } catch (error) {
    console.error(error);
    outcome = { kind: 'threw', requestId, error: described(error) };
  }
  // Tells the stand-in that it has read all that this invocation wrote.
  for (const stream of [process.stdout, process.stderr]) stream.write(`\0end ${requestId}\n`);
  await answer(outcome);
  // For the processes that come after it: this one is killed in the end, and would not write it then.
  if (isFirstCall) flushCompileCache();
  isFirstCall = false;
}

function isHandler(value: unknown): value is Handler {
  return typeof value === 'function';
}

function described(error: unknown): InvocationError {
  return error instanceof Error
    ? {
        errorType: error.name,
        errorMessage: error.message,
        ...(error.stack !== undefined && { stackTrace: error.stack.split('\n').slice(1) }),
      }
    : { errorType: 'Error', errorMessage: String(error) };
}

function answer(message: Answer): Promise<void> {
  return new Promise((resolve) => {
    send?.call(process, message, () => resolve());
  });
}
