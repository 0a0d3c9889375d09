import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Clock } from '../aws/clock.ts';
import { listen, stopListening } from '../aws/listen.ts';
import { type ApplicationSettings, applicationSettings } from './application-settings.ts';
import { type CallbackAttempt, callbacks } from './callbacks.ts';
import type { Certificate } from './certificate.ts';
import { type Answer, failure, success } from './envelope.ts';
import {
  type Collection,
  type CollectorFaults,
  type CollectorOptions,
  garbageCollector,
} from './garbage-collector.ts';
import type { InboundMessage } from './message-rows.ts';
import type { ClientRows } from './message-store.ts';
import { type ApiUser, users } from './users.ts';

/** A deployment of the client, as it is to be played. */
export interface WebAppOptions extends Omit<CollectorOptions, 'callbacks'> {
  store: ClientRows;
  clock: Clock;
  certificate: Certificate;
  users: readonly ApiUser[];
  /** The business's webhook, to which everything is sent that the client has to say. */
  callbackUrl: string;
  /** Callbacks sent at once: the client's `webhooks.max_concurrent_requests`, one of 6, 12, 18 and 24. @default 24 */
  concurrentCallbacks?: number;
  /** By the clock. @default 604800, seven days, as the client's */
  tokenLifetimeSeconds?: number;
  /** Requests with a token that are answered in each second of the clock; those above get error 1015. @default unlimited */
  requestsPerSecond?: number;
  /** The loopback port. @default a free one */
  port?: number;
  /** Called before a request is handled: the moment for a fault that has to strike in the middle of a run. */
  onRequest?: (request: { method: string; path: string }) => void | Promise<void>;
}

/** A request to WebApp and its answer. Never holds a header or a body. */
export interface ApiRequest {
  /** Epoch milliseconds on the clock. */
  at: number;
  method: string;
  path: string;
  status: number;
  /** WebApp's error code, where the answer was an error. */
  code?: number;
}

/** What can go wrong with GC, and with marking messages read. */
export interface WebAppFaults extends CollectorFaults {
  /** Requests to mark a message read that will still be refused as too many. */
  refusedMarkReads: number;
  /** What something before WebApp still answers with status 200, in its place, to requests for GC. */
  strayAnswers: string[];
  /** Messages of which WebApp says each time that they cannot be marked. */
  oddMessages: string[];
  /** What the first of the nodes says of its connection, in place of `connected`. */
  firstNodeIs: 'disconnected' | 'uninitialized' | 'unregistered' | undefined;
  /** Whether no node is connected. */
  isCutOff: boolean;
}

/** The running stand-in of WebApp and the CoreApps behind it. */
export interface WebApp {
  /** Where it listens on loopback, also while it is down. */
  port: number;
  /** What can go wrong. May be changed at any time. */
  faults: WebAppFaults;
  requests: readonly ApiRequest[];
  collections: readonly Collection[];
  callbacks: readonly CallbackAttempt[];
  /** WebApp's own settings. */
  settings: Pick<ApplicationSettings, 'values' | 'faults'>;
  /** The CoreApps' names now. */
  nodes(): string[];
  /** Messages of customers arrive: unread rows, and a callback each. Resolves when each was sent once. */
  deliverInbound(messages: readonly InboundMessage[]): Promise<void>;
  /** Sends any payload to the webhook as the client would. */
  sendCallback(payload: object): Promise<void>;
  /** The client collects garbage by itself and notifies. */
  collectUnasked(kind: Collection['kind']): void;
  /** Gives a CoreApp a new container and name; what it was doing ends without a callback. Returns the new name. */
  replaceNode(name: string): string;
  /** Every token that was given out so far. */
  issuedTokens: readonly string[];
  /** Ends all tokens. */
  revokeTokens(): void;
  setPassword(username: string, password: string): void;
  /** Shows another certificate from the next connection on. */
  useCertificate(certificate: Certificate): void;
  /** WebApp's container stops: its connections end, nobody listens. CoreApp goes on and still sends callbacks. */
  goDown(): Promise<void>;
  comeBack(): Promise<void>;
  close(): Promise<void>;
}

/** `PUT /v1/messages/{id}` takes messages of the last 30 days (Meta's documentation of marking messages as read). */
const MARKABLE_MS = 30 * 24 * 60 * 60 * 1000;

/**
 * Starts WebApp's stand-in: its API over TLS, with the answers that Meta documents, in front of real rows.
 * Where Meta's documentation is silent, the comment at the place says so.
 */
export async function startWebApp(options: WebAppOptions): Promise<WebApp> {
  const { store, clock, certificate, callbackUrl, onRequest } = options;
  const { concurrentCallbacks = 24, tokenLifetimeSeconds = 7 * 24 * 60 * 60 } = options;
  const accounts = users(options.users, clock, tokenLifetimeSeconds);
  const sender = callbacks(callbackUrl, clock, concurrentCallbacks);
  const collector = garbageCollector({ ...options, callbacks: sender });
  const faults: WebAppFaults = Object.assign(collector.faults, {
    refusedMarkReads: 0,
    strayAnswers: [],
    oddMessages: [],
    firstNodeIs: undefined,
    isCutOff: false,
  });
  const settings = applicationSettings(callbackUrl);
  const isTooMuch = rateLimit(clock, options.requestsPerSecond ?? Infinity);
  const masters = [1, 2].map((number) => `master${number}:${randomBytes(6).toString('hex')}`);
  const requests: ApiRequest[] = [];

  async function answerTo(method: string, path: string, request: IncomingMessage): Promise<Answer> {
    const { authorization } = request.headers;
    const body = await jsonBody(request);
    await onRequest?.({ method, path });
    if (method === 'POST' && path === '/v1/users/login') return accounts.login(authorization, body);
    if (method === 'POST' && path === '/v1/users/logout') return accounts.logout(authorization);
    if (!accounts.allows(authorization)) return failure(1005, 'The token is missing, invalid or expired.');
    // Whether and where the client limits requests is undocumented; its code for it is 1015.
    if (isTooMuch()) return failure(1015, 'Rate limit hit.');
    if (method === 'GET' && path === '/v1/health') return health();
    if (method === 'PUT' && path === '/v1/services/message/gc') return collector.request('message');
    if (method === 'PUT' && path === '/v1/services/media/gc') return collector.request('media');
    if (path === '/v1/settings/application') {
      if (!accounts.allowsAdministration(authorization))
        return failure(1005, 'It is for administrators only.');
      if (method === 'GET') return settings.read();
      if (method === 'PATCH') return settings.change(body);
    }
    const [, messageId] = /^\/v1\/messages\/([^/]+)$/.exec(path) ?? [];
    if (method === 'PUT' && messageId !== undefined) return markRead(decodeURIComponent(messageId), body);
    return failure(1006, `There is no ${method} ${path}.`);
  }

  async function markRead(id: string, body: unknown): Promise<Answer> {
    if (typeof body !== 'object' || body === null || !('status' in body)) {
      return failure(1008, 'status is required.');
    }
    if (body.status !== 'read') return failure(1009, 'status can only be read.');
    if (faults.refusedMarkReads > 0) {
      faults.refusedMarkReads -= 1;
      return failure(1015, 'Rate limit hit.');
    }
    if (faults.oddMessages.includes(id)) return failure(1009, 'Parameter value is not valid');
    switch (await store.markRead(id, clock.now() - MARKABLE_MS)) {
      case 'marked':
        return { status: 200, body: {} };
      // That it is 404 is a reseller's word; the code is unknown.
      case 'unknown':
        return failure(1006, 'Message id not found.');
      // Meta says that it fails, not how.
      case 'too old':
        return failure(1009, 'The message is older than 30 days.');
    }
  }

  /** Speaks of the connection to WhatsApp's servers. A cluster names its Masters too, of which one stands by. */
  function health(): Answer {
    const connected = faults.isCutOff ? 'disconnected' : 'connected';
    const first = faults.firstNodeIs ?? connected;
    if (options.coreApps === 1) return success({ health: { gateway_status: first } });
    const coreApps = collector
      .nodes()
      .map(
        (name, index) =>
          [name, { gateway_status: index === 0 ? first : connected, role: 'coreapp' }] as const,
      );
    const [primary, secondary] = masters;
    return success({
      health: {
        ...Object.fromEntries(coreApps),
        ...(primary && { [primary]: { gateway_status: connected, role: 'primary_master' } }),
        ...(secondary && { [secondary]: { gateway_status: 'disconnected', role: 'secondary_master' } }),
      },
    });
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? '';
    const path = new URL(request.url ?? '/', 'https://localhost').pathname;
    const stray = path.endsWith('/gc') ? faults.strayAnswers.shift() : undefined;
    if (stray !== undefined) {
      request.resume();
      requests.push({ at: clock.now(), method, path, status: 200 });
      response.writeHead(200, { 'content-type': 'text/html' }).end(stray);
      return;
    }
    const answer = await answerTo(method, path, request);
    const { status, code } = answer;
    requests.push({ at: clock.now(), method, path, status, ...(code !== undefined && { code }) });
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
  }

  const server = createServer(
    { cert: certificate.certificate, key: certificate.key },
    (request, response) => {
      clock
        .hold(() => serve(request, response))
        .catch((error: unknown) => {
          // The cause goes to the rehearsal (the clock throws it), the caller learns as much as WebApp would say.
          response.destroy();
          clock.at(clock.now(), () => {
            throw error;
          });
        });
    },
  );
  const port = await listen(server, options.port ?? 0);

  return {
    port,
    faults,
    requests,
    collections: collector.collections,
    callbacks: sender.attempts,
    settings,
    nodes: collector.nodes,
    async deliverInbound(messages) {
      await store.insertInbound(messages);
      await Promise.all(messages.map((message) => sender.send(inboundPayload(message))));
    },
    sendCallback: sender.send,
    collectUnasked: collector.collectUnasked,
    replaceNode: collector.replaceNode,
    issuedTokens: accounts.issued,
    revokeTokens: accounts.revokeTokens,
    setPassword: accounts.setPassword,
    useCertificate(other) {
      server.setSecureContext({ cert: other.certificate, key: other.key });
      // Connections that are kept alive were made with the old one.
      server.closeIdleConnections();
    },
    goDown: () => stopListening(server),
    comeBack: async () => {
      await listen(server, port);
    },
    async close() {
      collector.close();
      await stopListening(server);
      await sender.close();
    },
  };
}

/** A message's callback as Meta documents it: one message of one customer, seconds as text. */
function inboundPayload({ from, id, timestamp }: InboundMessage): object {
  return {
    contacts: [{ profile: { name: `Customer ${from.slice(-4)}` }, wa_id: from }],
    messages: [
      {
        from,
        id,
        timestamp: String(Math.floor(timestamp / 1000)),
        text: { body: 'Where is my parcel?' },
        type: 'text',
      },
    ],
  };
}

/** Counts the calls within each second of the clock; returns whether this one is above the limit. */
function rateLimit(clock: Clock, perSecond: number): () => boolean {
  let second = 0;
  let count = 0;
  return () => {
    const now = Math.floor(clock.now() / 1000);
    if (now !== second) count = 0;
    second = now;
    count += 1;
    return count > perSecond;
  };
}

async function jsonBody(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
