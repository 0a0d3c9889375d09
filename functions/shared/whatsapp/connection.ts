import type { IncomingMessage } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import type { Socket } from 'node:net';
import { type ConnectionOptions, connect, TLSSocket } from 'node:tls';
import { certificateAdvice, type SeenCertificate, seenCertificate } from './certificate.ts';
import { UntrustedCertificateError, WebAppUnreachableError } from './errors.ts';
import type { WebAppSettings } from './settings.ts';

/** Between two bytes, and for all of an answer: WebApp answers what is asked here within seconds. */
const PATIENCE = { idleMs: 30_000, totalMs: 60_000 };

/** For the connection and its TLS, of the idle time: a security group that drops packets is told sooner than a slow answer. */
const CONNECT_MS = 10_000;

/** How long a connection is kept for the next request: less than servers and load balancers keep theirs (5 seconds, Node's). */
const KEEP_MS = 4_000;

/** More than any answer to what is asked here: the health of a hundred nodes takes 20 KB. */
const MAXIMUM_ANSWER_BYTES = 1024 * 1024;

/** Codes with which OpenSSL and Node refuse a certificate (`openssl verify`, x509 errors). */
const CERTIFICATE_CODES =
  /CERT|SIGNATURE|SELF_SIGNED|ISSUER|ALTNAME|INVALID_CA|PATH_LENGTH|INVALID_PURPOSE|HOSTNAME/;

/** What WebApp is asked by. */
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH';

/** What WebApp answered, as text. */
export interface Answer {
  status: number;
  text: string;
}

/** Connections to WebApp, which trust the configured certificate and no other. */
export interface Connection {
  /** @throws UntrustedCertificateError, WebAppUnreachableError */
  send(method: Method, path: string, headers: Record<string, string>, body?: object): Promise<Answer>;
  /** What WebApp showed, once something was sent. */
  certificate(): SeenCertificate | undefined;
  close(): void;
}

export function connectTo(settings: WebAppSettings, patience = PATIENCE): Connection {
  const { certificateAuthority: ca, serverName } = settings;
  const agent = new Agent({
    keepAlive: true,
    timeout: KEEP_MS,
    ca,
    ...(serverName && { servername: serverName }),
  });
  let seen: SeenCertificate | undefined;
  const see = (socket: Socket) => {
    const certificate = socket instanceof TLSSocket && socket.getPeerX509Certificate();
    if (certificate) seen = seenCertificate(certificate);
  };

  return {
    async send(method, path, headers, body) {
      const url = new URL(path, settings.url);
      const options = {
        method,
        agent,
        headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
      };
      try {
        return await exchange(url, options, body && JSON.stringify(body), patience, see);
      } catch (error) {
        throw await explained(error, settings, url);
      }
    },
    certificate: () => seen,
    // What is under way is of no use any more, and could keep the function waiting.
    close: () => agent.destroy(),
  };
}

class TooLargeError extends Error {}
class TooSlowError extends Error {}

/** One request and its whole answer. */
function exchange(
  url: URL,
  options: RequestOptions,
  body: string | undefined,
  { idleMs, totalMs }: typeof PATIENCE,
  onConnected: (socket: Socket) => void,
): Promise<Answer> {
  const timers: NodeJS.Timeout[] = [];
  const answer = new Promise<Answer>((resolve, reject) => {
    const giveUp = (error: Error) => {
      reject(error);
      sent.destroy();
    };
    const sent = request(url, { ...options, timeout: idleMs }, (response) => {
      textOf(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), giveUp);
    });
    sent.on('error', reject);
    sent.on('timeout', () => giveUp(new TooSlowError()));
    sent.on('socket', (socket) => {
      if (!socket.connecting) return;
      const timer = setTimeout(() => giveUp(timedOut()), CONNECT_MS);
      timers.push(timer);
      socket.once('secureConnect', () => {
        clearTimeout(timer);
        onConnected(socket);
      });
    });
    timers.push(setTimeout(() => giveUp(new TooSlowError()), totalMs));
    sent.end(body);
  });
  return answer.finally(() => {
    for (const timer of timers) clearTimeout(timer);
  });
}

function timedOut(): Error {
  return Object.assign(new Error(), { code: 'ETIMEDOUT' });
}

async function textOf(body: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAXIMUM_ANSWER_BYTES) throw new TooLargeError();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function explained(error: unknown, settings: WebAppSettings, url: URL): Promise<Error> {
  const { name, code: given } = error as NodeJS.ErrnoException;
  const code = typeof given === 'string' ? given : name;
  if (error instanceof TooLargeError)
    return new WebAppUnreachableError(
      `What answered at ${url.origin} is not WebApp: its answer has more than ${MAXIMUM_ANSWER_BYTES} bytes. Check the load balancer before it.`,
    );
  if (error instanceof TooSlowError)
    return new WebAppUnreachableError(
      `WebApp at ${url.origin} did not finish its answer in time. Check how busy it and its database are.`,
    );
  if (!CERTIFICATE_CODES.test(code))
    return new WebAppUnreachableError(
      `WebApp at ${url.origin} could not be reached (${code}). Check that it runs and that the function's security group may reach it.`,
    );
  const shown = await look(settings, url);
  return new UntrustedCertificateError(
    `WebApp at ${url.origin} shows a certificate that cannot be trusted (${code}). ${certificateAdvice(code, shown, settings, url.hostname)}`,
  );
}

/**
 * The certificate that was refused, for the text that tells of it: Node shows it only on a connection that does not refuse.
 * Nothing is sent on that, and nothing read.
 */
async function look(settings: WebAppSettings, url: URL): Promise<SeenCertificate | undefined> {
  const servername = settings.serverName ?? url.hostname;
  const options: ConnectionOptions = {
    host: url.hostname,
    port: Number(url.port || 443),
    rejectUnauthorized: false,
    // An address is no name that can be asked for.
    ...(/[a-z]/i.test(servername) && !servername.includes(':') && { servername }),
  };
  return new Promise((resolve) => {
    const socket = connect(options, () => {
      const certificate = socket.getPeerX509Certificate();
      resolve(certificate && seenCertificate(certificate));
      socket.destroy();
    });
    socket.setTimeout(PATIENCE.idleMs / 6, () => socket.destroy());
    socket.on('error', () => resolve(undefined));
    socket.on('close', () => resolve(undefined));
  });
}
