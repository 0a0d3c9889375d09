import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { LambdaFunctionURLEvent, LambdaFunctionURLResult } from 'aws-lambda';
import { listen, stopListening } from '../listen.ts';

/** What a function URL invokes: a handler, or a function by its name. */
export type Invoke = (event: LambdaFunctionURLEvent) => Promise<LambdaFunctionURLResult>;

/** A running function URL. */
export interface FunctionUrl {
  /** With a slash at the end, as AWS gives it. */
  url: string;
  close(): Promise<void>;
}

/** Lambda's limit on a request, in bytes of its event. */
const MAXIMUM_BYTES = 6 * 1024 * 1024;
/** Types whose bodies come as text; all others as base64. */
const TEXT_TYPES = /^(text\/|application\/(json|javascript|xml)\b)|\+(json|xml)\b/;

/** Serves a function URL without authentication: payload format 2.0, buffered answers. */
export async function serveFunctionUrl(invoke: Invoke, port = 0): Promise<FunctionUrl> {
  const server = createServer((request, response) => {
    answer(invoke, request, response).catch(() => {
      // An unhandled error of the function.
      if (!response.headersSent) response.writeHead(502);
      response.end('Internal Server Error');
    });
  });
  const listening = await listen(server, port);
  return { url: `http://127.0.0.1:${listening}/`, close: () => stopListening(server) };
}

async function answer(invoke: Invoke, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const event = eventOf(request, Buffer.concat(chunks));
  if (Buffer.byteLength(JSON.stringify(event)) > MAXIMUM_BYTES) {
    response.writeHead(413).end('{"Message":"Request must be smaller than 6291456 bytes"}');
    return;
  }
  const result = await invoke(event);
  if (typeof result === 'string') {
    response.writeHead(200, { 'content-type': 'application/json' }).end(result);
    return;
  }
  const { statusCode = 200, headers = {}, body = '', isBase64Encoded = false, cookies } = result;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, String(value));
  if (!response.hasHeader('content-type')) response.setHeader('content-type', 'application/json');
  if (cookies) response.setHeader('set-cookie', cookies);
  response.writeHead(statusCode).end(Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8'));
}

/** The event that Lambda makes of a request: names in lower case, values of one name joined, cookies apart. */
function eventOf(request: IncomingMessage, bytes: Buffer): LambdaFunctionURLEvent {
  const { pathname, search, searchParams } = new URL(request.url ?? '/', 'http://function.invalid');
  const { headersDistinct, method = 'GET', socket } = request;
  const sourceIp = socket.remoteAddress ?? '127.0.0.1';
  const { cookie, ...others } = headersDistinct;
  const headers: Record<string, string> = {};
  for (const [name, values = []] of Object.entries(others)) headers[name] = values.join(',');
  headers['x-forwarded-for'] = headers['x-forwarded-for']
    ? `${headers['x-forwarded-for']},${sourceIp}`
    : sourceIp;
  headers['x-forwarded-proto'] = 'https';
  headers['x-forwarded-port'] = '443';
  headers['x-amzn-trace-id'] =
    `Root=1-${Math.floor(Date.now() / 1000).toString(16)}-${randomUUID().replaceAll('-', '').slice(0, 24)}`;
  headers['x-amzn-tls-version'] = 'TLSv1.3';
  const isText = TEXT_TYPES.test(headers['content-type'] ?? '') && isUtf8(bytes);
  const now = new Date();
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: pathname,
    rawQueryString: search.slice(1),
    ...(cookie && { cookies: cookie.flatMap((value) => value.split('; ')) }),
    headers,
    ...(searchParams.size > 0 && { queryStringParameters: Object.fromEntries(searchParams) }),
    requestContext: {
      accountId: 'anonymous',
      apiId: 'function',
      domainName: headers.host ?? '',
      domainPrefix: 'function',
      http: {
        method,
        path: pathname,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp,
        userAgent: headers['user-agent'] ?? '',
      },
      requestId: randomUUID(),
      routeKey: '$default',
      stage: '$default',
      time: now.toUTCString(),
      timeEpoch: now.getTime(),
    },
    ...(bytes.length > 0 && { body: bytes.toString(isText ? 'utf8' : 'base64') }),
    isBase64Encoded: bytes.length > 0 && !isText,
  };
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8')).equals(bytes);
}
