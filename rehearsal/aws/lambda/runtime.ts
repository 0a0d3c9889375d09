/**
 * What stands in a function's process in place of Lambda's managed runtime: imports the bundle's handler and speaks the
 * Lambda Runtime API (next, response, error, initialization error) with `AWS_LAMBDA_RUNTIME_API`.
 */
import { existsSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

type Handler = (event: unknown, context: object) => unknown;

const {
  AWS_LAMBDA_RUNTIME_API: api = '',
  LAMBDA_TASK_ROOT: root = '.',
  _HANDLER: handlerName = '',
  AWS_LAMBDA_FUNCTION_NAME: functionName,
  AWS_LAMBDA_FUNCTION_VERSION: functionVersion,
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: memoryLimitInMB,
  AWS_LAMBDA_LOG_GROUP_NAME: logGroupName,
  AWS_LAMBDA_LOG_STREAM_NAME: logStreamName,
} = process.env;

const handler = await load();
for (let number = 1; ; number++) {
  const { headers, body } = await call('GET', 'invocation/next');
  const requestId = String(headers['lambda-runtime-aws-request-id']);
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const context = {
    functionName,
    functionVersion,
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    memoryLimitInMB,
    awsRequestId: requestId,
    logGroupName,
    logStreamName,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
  let path: string;
  let answer: string;
  try {
    answer = JSON.stringify((await handler(JSON.parse(body), context)) ?? null);
    path = `invocation/${requestId}/response`;
  } catch (error) {
    console.error(error);
    answer = JSON.stringify(described(error));
    path = `invocation/${requestId}/error`;
  }
  // Tells the stand-in that it has read all that this invocation wrote.
  for (const stream of [process.stdout, process.stderr]) stream.write(`\0end ${requestId}\n`);
  await call('POST', path, answer);
  // For the processes that come after it: this one is killed in the end, and would not write it then.
  if (number === 1) flushCompileCache();
}

async function load(): Promise<Handler> {
  try {
    const [file = '', name = ''] = handlerName.split('.');
    const path = ['.mjs', '.js', '.cjs'].map((ending) => join(root, file + ending)).find(existsSync);
    if (path === undefined) throw new Error(`the bundle has no module ${file}`);
    const loaded: unknown = (await import(pathToFileURL(path).href))[name];
    if (!isHandler(loaded)) throw new Error(`the module ${file} exports no function ${name}`);
    return loaded;
  } catch (error) {
    console.error(error);
    await call('POST', 'init/error', JSON.stringify(described(error)));
    process.exit(1);
  }
}

function isHandler(value: unknown): value is Handler {
  return typeof value === 'function';
}

function described(error: unknown): object {
  return error instanceof Error
    ? { errorType: error.name, errorMessage: error.message, stackTrace: error.stack?.split('\n').slice(1) }
    : { errorType: 'Error', errorMessage: String(error) };
}

function call(
  method: string,
  path: string,
  body = '',
): Promise<{ headers: IncomingMessage['headers']; body: string }> {
  return new Promise((resolve) => {
    // Without the stand-in there is nothing to live for.
    const stop = () => process.exit(1);
    const sent = request(`http://${api}/2018-06-01/runtime/${path}`, { method }, (response) => {
      let text = '';
      response
        .setEncoding('utf8')
        .on('data', (chunk: string) => {
          text += chunk;
        })
        .on('end', () => resolve({ headers: response.headers, body: text }))
        .on('error', stop);
    });
    sent.on('error', stop).end(body);
  });
}
