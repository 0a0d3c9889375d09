/** What the relay stands between: a client, a webhook and a bus, each over HTTP, and what the relay logs. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  request as send,
} from 'node:http';
import { after, before, beforeEach } from 'node:test';
import type { CallbackRelaySettings } from '../../../functions/callback-relay/contract.ts';
import { type FunctionUrl, serveFunctionUrl } from '../../../rehearsal/aws/lambda/function-url.ts';
import { listen, stopListening } from '../../../rehearsal/aws/listen.ts';

export const BUS = 'arn:aws:events:eu-west-1:111111111111:event-bus/latam-callbacks';
export const SECRET = randomBytes(32).toString('hex');
export const MESSAGE =
  '{ "messages": [{"from": "16315551234", "id": "ABGGFlA5FpafAgo6tHcN", "text": {"body": "Hi"}}]}';

interface Stage {
  webhook: Webhook;
  bus: Bus;
  url: FunctionUrl;
  /** What the relay has logged in this test. */
  output: string[];
}

/** One relay, webhook and bus for all tests of the suite that calls this; as new before each, when they are given. */
export function onStage(give: (stage: Stage) => void) {
  let webhook: Webhook;
  let bus: Bus;
  let url: FunctionUrl;

  before(async () => {
    [webhook, bus] = await Promise.all([startWebhook(), startBus()]);
    useBus(bus);
    url = await startRelay();
  });
  beforeEach(() => {
    webhook.reset();
    bus.reset();
    give({ webhook, bus, url, output: captureOutput() });
  });
  after(async () => {
    await Promise.all([url.close(), webhook.close(), bus.close()]);
    restoreOutput();
  });

  async function startRelay(change: Partial<CallbackRelaySettings> = {}): Promise<FunctionUrl> {
    const { createRelay } = await import('../../../functions/callback-relay/relay.ts');
    return serveFunctionUrl(createRelay(settingsFor(webhook, change)));
  }

  /** A relay of other settings, for one test. */
  async function using<T>(
    change: Partial<CallbackRelaySettings>,
    work: (relay: FunctionUrl) => Promise<T>,
  ): Promise<T> {
    const relay = await startRelay(change);
    try {
      return await work(relay);
    } finally {
      await relay.close();
    }
  }

  return { using };
}

export function settingsFor(
  webhook: Webhook,
  change: Partial<CallbackRelaySettings> = {},
): CallbackRelaySettings {
  return {
    deployment: 'latam',
    secretPathHashes: [hashOf(SECRET)],
    webhookUrl: webhook.url,
    webhookTimeoutMilliseconds: 5_000,
    busTimeoutMilliseconds: 5_000,
    maximumBytes: 5 * 1024 * 1024,
    bus: BUS,
    ...change,
  };
}

export function hashOf(path: string): string {
  return createHash('sha256').update(path).digest('hex');
}

/** What the status is that the relay answers a client. */
export async function post(
  { url }: FunctionUrl,
  body: string | Buffer,
  headers: Record<string, string | string[]> = { 'content-type': 'application/json' },
  path = SECRET,
  method = 'POST',
): Promise<number> {
  const { expect: _expect, ...sent } = headers;
  const request = send(`${url}${path}`, { method, headers: sent, agent: false });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  return response.statusCode ?? 0;
}

export interface Webhook {
  url: string;
  server: Server;
  requests: { url: string; headers: Record<string, string | undefined>; rawNames: string[]; body: Buffer }[];
  answer: (response: ServerResponse) => unknown;
  onRequest: (count: number) => void;
  reset(): void;
  close(): Promise<void>;
}

export async function startWebhook(): Promise<Webhook> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    webhook.requests.push({
      url: request.url ?? '',
      headers: Object.fromEntries(
        Object.entries(request.headersDistinct).map(([name, values]) => [name, values?.join('|')]),
      ),
      rawNames: request.rawHeaders.filter((_name, index) => index % 2 === 0),
      body: Buffer.concat(chunks),
    });
    const { answer } = webhook;
    webhook.onRequest(webhook.requests.length);
    answer(response);
  });
  const port = await listen(server, 0);
  const webhook: Webhook = {
    url: `http://127.0.0.1:${port}/whatsapp`,
    server,
    requests: [],
    answer: () => {},
    onRequest: () => {},
    reset() {
      webhook.requests = [];
      webhook.answer = (response) => response.writeHead(200).end();
      webhook.onRequest = () => {};
    },
    close: () => stopListening(server),
  };
  webhook.reset();
  return webhook;
}

export interface Bus {
  port: number;
  entries: { EventBusName: string; Source: string; DetailType: string; Detail: string }[];
  requests: number;
  onRequest: () => unknown;
  /** In place of taking the entry. */
  respond: ((response: ServerResponse) => unknown) | undefined;
  reset(): void;
  close(): Promise<void>;
}

/** The little of EventBridge's protocol that the relay sees, refusals included. */
export async function startBus(): Promise<Bus> {
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    bus.requests += 1;
    const { respond } = bus;
    await bus.onRequest();
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    if (respond) {
      respond(response);
      return;
    }
    bus.entries.push(...JSON.parse(text).Entries);
    response.end(JSON.stringify({ FailedEntryCount: 0, Entries: [{ EventId: String(bus.requests) }] }));
  });
  const port = await listen(server, 0);
  const bus: Bus = {
    port,
    entries: [],
    requests: 0,
    onRequest: () => {},
    respond: undefined,
    reset() {
      bus.entries = [];
      bus.requests = 0;
      bus.onRequest = () => {};
      bus.respond = undefined;
    },
    close: () => stopListening(server),
  };
  return bus;
}

/** Points the SDK's clients that are made from now on at a bus. */
export function useBus({ port }: Bus): void {
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_EVENTBRIDGE: `http://127.0.0.1:${port}`,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'example',
  });
}

const streams = [process.stdout, process.stderr];
const writes = streams.map((stream) => stream.write);

/** What the function logs from now on: its log lines and metrics, each a line of JSON. */
export function captureOutput(): string[] {
  const lines: string[] = [];
  streams.forEach((stream, index) => {
    const write = writes[index];
    stream.write = ((chunk: unknown, ...others: unknown[]) => {
      if (typeof chunk !== 'string' || !chunk.startsWith('{'))
        return Reflect.apply(write ?? (() => true), stream, [chunk, ...others]);
      lines.push(chunk);
      return true;
    }) as typeof stream.write;
  });
  return lines;
}

export function restoreOutput(): void {
  streams.forEach((stream, index) => {
    const write = writes[index];
    if (write) stream.write = write;
  });
}

// biome-ignore lint/suspicious/noExplicitAny: a line of the embedded metric format.
export function metricsOf(lines: string[]): Record<string, any>[] {
  return lines.map((line) => JSON.parse(line)).filter((line) => '_aws' in line);
}
