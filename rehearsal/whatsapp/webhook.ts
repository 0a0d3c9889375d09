import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { listen, stopListening } from '../aws/listen.ts';
import type { Certificate } from './certificate.ts';

/** The business's webhook, as it is to be played. */
export interface WebhookOptions {
  /** Name or ARN of the bus that gets each payload. */
  bus: string;
  /** What each event names as the deployment, as the README has it. @default none, as of a webhook of one's own */
  deployment?: string;
  region: string;
  /** @default AWS's own */
  endpoint?: string;
  credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  /** The loopback port. @default a free one */
  port?: number;
  /**
   * Makes it one that a relay stands before: it takes what it gets by TLS and puts nothing on the bus itself.
   * @default http, for the client itself
   */
  relayed?: Certificate;
}

/** The running webhook. */
export interface Webhook {
  /** What the client is given as its callback URL. */
  url: string;
  port: number;
  /** Payloads taken, and payloads refused because the bus did not take them. */
  taken: number;
  refused: number;
  /** Why the bus refused last: an error's name and message. */
  lastRefusal: string | undefined;
  /** Puts any object on the bus, as a webhook with a defect might. */
  put(detail: object): Promise<void>;
  /** Nobody listens; the client tries again later. */
  goDown(): Promise<void>;
  comeBack(): Promise<void>;
  close(): Promise<void>;
}

/** Objects that a bus's rules for GC notifications may let through although no client would send them. */
export const MALFORMED_NOTIFICATIONS: readonly object[] = [
  { services: [{ message: { gc: 'complete' } }] },
  { services: [{ message: { gc: { messages_deleted: 'eleven', status: 'complete' } } }] },
  { services: [{ message: { gc: { messages_deleted: 11 } } }] },
  { services: [{ message: { gc: { messages_deleted: 11, node: 7, status: 'done' } } }] },
];

/** Most entries that one PutEvents request may hold (EventBridge's quota). */
const LARGEST_BATCH = 10;

/**
 * Starts the webhook: it puts each payload, verbatim, on the bus as an event's detail, and answers 200 only after
 * the bus took it. Any other answer makes the client send it again, so nothing is lost.
 */
export async function startWebhook(options: WebhookOptions): Promise<Webhook> {
  const { bus, deployment, region, endpoint, credentials, relayed } = options;
  const events = new EventBridgeClient({ region, credentials, ...(endpoint && { endpoint }) });
  const put = batched(LARGEST_BATCH, (details: string[]) => putEvents(events, { bus, deployment }, details));

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let payload = '';
    for await (const chunk of request.setEncoding('utf8')) payload += chunk;
    try {
      if (!relayed) await put(payload);
      webhook.taken += 1;
      response.writeHead(200).end();
    } catch (error) {
      webhook.refused += 1;
      webhook.lastRefusal = String(error);
      response.writeHead(500).end();
    }
  }

  const listener = (request: IncomingMessage, response: ServerResponse) => {
    take(request, response).catch(() => response.destroy());
  };
  const server = relayed
    ? createSecureServer({ cert: relayed.certificate, key: relayed.key }, listener)
    : createServer(listener);
  const port = await listen(server, options.port ?? 0);
  const webhook: Webhook = {
    url: `${relayed ? 'https' : 'http'}://127.0.0.1:${port}/whatsapp`,
    port,
    taken: 0,
    refused: 0,
    lastRefusal: undefined,
    put: (detail) => put(JSON.stringify(detail)),
    goDown: () => stopListening(server),
    comeBack: async () => {
      await listen(server, port);
    },
    async close() {
      await stopListening(server);
      events.destroy();
    },
  };
  return webhook;
}

/** Puts details on the bus. Returns for each what went wrong with it, if anything. */
async function putEvents(
  events: EventBridgeClient,
  { bus, deployment }: { bus: string; deployment: string | undefined },
  details: readonly string[],
): Promise<(Error | undefined)[]> {
  const { FailedEntryCount, Entries = [] } = await events.send(
    new PutEventsCommand({
      Entries: details.map((Detail) => ({
        EventBusName: bus,
        Source: 'whatsapp',
        DetailType: 'WhatsApp Callback',
        ...(deployment && { Resources: [deployment] }),
        Detail,
      })),
    }),
  );
  // The request as a whole succeeds even where entries do not.
  if (!FailedEntryCount) return details.map(() => undefined);
  return details.map((_, index) => {
    const entry = Entries[index];
    return entry?.EventId === undefined
      ? new Error(`${entry?.ErrorCode}: ${entry?.ErrorMessage}`)
      : undefined;
  });
}

/** Runs single items through a function of several, one batch after the other: what comes meanwhile goes together. */
function batched<T>(
  size: number,
  run: (items: T[]) => Promise<(Error | undefined)[]>,
): (item: T) => Promise<void> {
  const waiting: { item: T; resolve: () => void; reject: (error: unknown) => void }[] = [];
  let isRunning = false;

  async function runAll(): Promise<void> {
    isRunning = true;
    while (waiting.length > 0) {
      const batch = waiting.splice(0, size);
      try {
        const errors = await run(batch.map(({ item }) => item));
        for (const [index, { resolve, reject }] of batch.entries()) {
          const error = errors[index];
          if (error === undefined) resolve();
          else reject(error);
        }
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    isRunning = false;
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (!isRunning) void runAll();
    });
}
