import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { type Clock, simulatedClock } from '../../../rehearsal/aws/clock.ts';
import { listen, stopListening } from '../../../rehearsal/aws/listen.ts';
import { type Certificate, createCertificate } from '../../../rehearsal/whatsapp/certificate.ts';
import {
  type DatabaseServer,
  type MessageStore,
  openMessageStore,
} from '../../../rehearsal/whatsapp/message-store.ts';
import { startWebApp, type WebApp, type WebAppOptions } from '../../../rehearsal/whatsapp/web-app.ts';

export const START = Date.parse('2026-03-10T01:00:00Z');
export const HOST = 'webapp.whatsapp.internal';
export const USER = { username: 'upkeep', password: 'Sehr-Geheim-17' };

/** A deployment for one test, ended in one go. */
export interface Night extends AsyncDisposable {
  clock: Clock;
  store: MessageStore;
  webApp: WebApp;
  certificate: Certificate;
  receiver: Receiver;
  /** Speaks to WebApp as a client that trusts the one certificate. */
  call(method: 'GET' | 'POST' | 'PUT', path: string, options?: CallOptions): Promise<Reply>;
  /** A token of {@link USER}. */
  token(): Promise<string>;
  /** Plays so many seconds. */
  play(seconds: number): Promise<void>;
}

export interface CallOptions {
  token?: string;
  basic?: { username: string; password: string };
  body?: object;
}

export interface Reply {
  status: number;
  body: unknown;
}

let prefixes = 0;

export async function night(
  server: DatabaseServer,
  options: Partial<Omit<WebAppOptions, 'store' | 'clock' | 'certificate'>> = {},
): Promise<Night> {
  const folder = mkdtempSync(join(tmpdir(), 'wa-upkeep-test-'));
  const clock = simulatedClock(START, folder);
  prefixes += 1;
  const store = await openMessageStore(server, `night${prefixes}_`);
  const certificate = await createCertificate(HOST);
  const receiver = await startReceiver(clock);
  const webApp = await startWebApp({
    store,
    clock,
    certificate,
    users: [USER],
    callbackUrl: receiver.url,
    coreApps: 1,
    ...options,
  });

  async function call(
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    { token, basic, body }: CallOptions = {},
  ): Promise<Reply> {
    const agent = new Agent({ connect: { ca: certificate.certificate, servername: HOST } });
    try {
      const authorization = token
        ? `Bearer ${token}`
        : basic && `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString('base64')}`;
      const answer = await request(`https://127.0.0.1:${webApp.port}${path}`, {
        method,
        dispatcher: agent,
        headers: { ...(authorization && { authorization }) },
        body: body ? JSON.stringify(body) : null,
      });
      return { status: answer.statusCode, body: await answer.body.json() };
    } finally {
      await agent.destroy();
    }
  }

  return {
    clock,
    store,
    webApp,
    certificate,
    receiver,
    call,
    async token() {
      const { body } = await call('POST', '/v1/users/login', { basic: USER });
      return (body as { users: [{ token: string }] }).users[0].token;
    },
    play: (seconds) => clock.runUntil(clock.now() + seconds * 1000),
    async [Symbol.asyncDispose]() {
      await webApp.close();
      await receiver.close();
      await store.close();
      clock.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A webhook that remembers what came and answers what it is told to. */
export interface Receiver {
  url: string;
  received: { at: number; payload: unknown }[];
  /** The status of each further answer; 200 when it is empty. */
  answers: number[];
  close(): Promise<void>;
}

async function startReceiver(clock: Clock): Promise<Receiver> {
  const server = createServer(async (incoming, response) => {
    let text = '';
    for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
    receiver.received.push({ at: clock.now(), payload: JSON.parse(text) });
    response.writeHead(receiver.answers.shift() ?? 200).end();
  });
  const port = await listen(server, 0);
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}/whatsapp?key=1`,
    received: [],
    answers: [],
    close: () => stopListening(server),
  };
  return receiver;
}

/** The code of WebApp's error. */
export function codeOf(reply: Reply): number | undefined {
  return (reply.body as { errors?: { code: number }[] }).errors?.[0]?.code;
}

/** The payloads that a receiver got. */
export function payloads(receiver: Receiver): unknown[] {
  return receiver.received.map(({ payload }) => payload);
}

interface Gc {
  messages_deleted?: number;
  items_deleted?: number;
  node?: string;
  status: string;
}

/** What a notification tells of a garbage collection. */
export function gcOf(payload: unknown): Gc {
  const { services } = payload as { services: [Record<string, { gc: Gc }>] };
  const [service] = Object.values(services[0]);
  assert.ok(service);
  return service.gc;
}
