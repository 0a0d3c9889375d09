import type { LambdaFunctionURLEvent } from 'aws-lambda';
import { Agent, request } from 'undici';
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

/** The connection broke before an answer, as one does that the webhook closed while the function was frozen. */
const BROKEN_CONNECTION = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/** The business's webhook, by connections that are kept. */
export function webhook(settings: CallbackRelaySettings): {
  call(event: LambdaFunctionURLEvent, body: Buffer): Promise<Answer>;
} {
  const { webhookUrl, webhookTimeoutMilliseconds, certificateAuthority } = settings;
  const dispatcher = new Agent({
    // The signal below is what ends a request.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: {
      timeout: webhookTimeoutMilliseconds,
      ...(certificateAuthority && { ca: certificateAuthority }),
    },
  });

  async function post(event: LambdaFunctionURLEvent, body: Buffer, signal: AbortSignal): Promise<number> {
    const { statusCode, body: answer } = await request(withQuery(webhookUrl, event.rawQueryString), {
      method: 'POST',
      headers: passedOn(event),
      body,
      signal,
      dispatcher,
    });
    // Only the status is passed back; what else there is must be read before the connection can be used again.
    answer.dump().catch(() => {});
    return statusCode;
  }

  return {
    async call(event, body) {
      const signal = AbortSignal.timeout(webhookTimeoutMilliseconds);
      try {
        try {
          return { status: await post(event, body, signal) };
        } catch (error) {
          // The client would send it again as well, but only seconds later.
          if (!BROKEN_CONNECTION.has(codeOf(error))) throw error;
          return { status: await post(event, body, signal) };
        }
      } catch (error) {
        const code = codeOf(error);
        return { status: code === 'TimeoutError' || code.endsWith('_TIMEOUT') ? 504 : 502, error: code };
      }
    },
  };
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
  return { ...(cookies.length > 0 && { cookie: cookies.join('; ') }), ...Object.fromEntries(kept) };
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
