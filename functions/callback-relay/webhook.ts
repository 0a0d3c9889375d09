import https from 'node:https';
import type { LambdaFunctionURLEvent } from 'aws-lambda';
import type { CallbackRelaySettings } from './contract.ts';

/** The status that the client is to see, and why where the webhook gave none. */
export type Answer = { status: number } | { status: 502 | 504; error: string };

/** What concerns one connection only and is not passed on (RFC 9110, 7.6.1), and what is made anew for the next. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  // Lambda has the body already.
  'expect',
  // Those of the webhook's own address, and of the body as it is sent.
  'host',
  'content-length',
]);

/** What Lambda adds to a request; `x-forwarded-…`, which it adds as well, tell the webhook where the client is. */
const ADDED_BY_LAMBDA = /^x-amzn-/;

/** Statuses with which a response can end; others would be refused by Lambda. */
const FINAL_STATUSES = { from: 200, to: 599 };

/** The business's webhook, by connections that are kept. */
export function webhook(settings: CallbackRelaySettings): {
  call(event: LambdaFunctionURLEvent, body: Buffer): Promise<Answer>;
} {
  const { webhookUrl, webhookTimeoutMilliseconds, certificateAuthority } = settings;
  const [send, agent] = webhookUrl.startsWith('https:')
    ? [
        https.request,
        new https.Agent({ keepAlive: true, ...(certificateAuthority && { ca: certificateAuthority }) }),
      ]
    : plain();

  const { host } = new URL(webhookUrl);

  function post(event: LambdaFunctionURLEvent, body: Buffer, signal: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      const options = {
        method: 'POST',
        agent,
        signal,
        // Those of this hop too in lower case, as all others come.
        headers: { host, connection: 'keep-alive', ...passedOn(event), 'content-length': body.length },
      };
      // Interim answers (1xx) pass by: only the last one is the response.
      const request = send(withQuery(webhookUrl, event.rawQueryString), options, (response) => {
        // Only the status is passed back; what else there is must be read before the connection can be used again.
        response.on('error', () => {}).resume();
        const { statusCode = 0 } = response;
        if (statusCode >= FINAL_STATUSES.from && statusCode <= FINAL_STATUSES.to) resolve(statusCode);
        else reject(Object.assign(new Error(), { code: 'InvalidStatus' }));
      });
      // One that switches protocols, unasked, takes no callback.
      request.on('upgrade', (_response, socket) => {
        socket.destroy();
        reject(Object.assign(new Error(), { code: 'Upgrade' }));
      });
      request.on('error', (error) => reject(new BrokenRequest(error, request.reusedSocket)));
      request.end(body);
    });
  }

  return {
    async call(event, body) {
      const signal = AbortSignal.timeout(webhookTimeoutMilliseconds);
      try {
        try {
          return { status: await post(event, body, signal) };
        } catch (error) {
          // A kept connection that the webhook had closed meanwhile, as while the function was frozen. The client would
          // send it again as well, but only seconds later.
          if (!(error instanceof BrokenRequest && error.onKeptConnection)) throw error;
          return { status: await post(event, body, signal) };
        }
      } catch (error) {
        if (signal.aborted) return { status: 504, error: 'TimeoutError' };
        const code = codeOf(error instanceof BrokenRequest ? error.cause : error);
        return { status: code === 'ETIMEDOUT' ? 504 : 502, error: code };
      }
    },
  };
}

/** By HTTP, as in a rehearsal. Not an `import`: that has Node load its WebSocket and `fetch` too, a third of the function's start. */
function plain() {
  const http = process.getBuiltinModule('node:http');
  return [http.request, new http.Agent({ keepAlive: true })] as const;
}

class BrokenRequest extends Error {
  readonly onKeptConnection: boolean;

  constructor(cause: Error, reusedSocket: boolean) {
    super(cause.message, { cause });
    this.onKeptConnection = reusedSocket && ['ECONNRESET', 'EPIPE'].includes(codeOf(cause));
  }
}

/**
 * The client's headers, all in lower case: so Lambda gives them, several of one name joined by commas, and cookies by
 * themselves.
 */
function passedOn({ headers, cookies = [] }: LambdaFunctionURLEvent): Record<string, string> {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  const kept = Object.entries(headers).filter(
    (header): header is [string, string] =>
      header[1] !== undefined &&
      !HOP_BY_HOP.has(header[0]) &&
      !named.includes(header[0]) &&
      !ADDED_BY_LAMBDA.test(header[0]),
  );
  const all = [...(cookies.length > 0 ? [['cookie', cookies.join('; ')] as const] : []), ...kept];
  return Object.fromEntries(all.map(([name, value]) => [name, asBytes(value)]));
}

/** HTTP's header values are bytes, a character each. What has others came as UTF-8, and goes on as that. */
function asBytes(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the characters that are a byte each.
  return /^[\x00-\xff]*$/.test(value) ? value : Buffer.from(value).toString('latin1');
}

function withQuery(url: string, query: string): string {
  if (query === '') return url;
  return `${url}${url.includes('?') ? '&' : '?'}${query}`;
}

/** Not the message, which can hold the webhook's address, and that a secret. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'Error';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
