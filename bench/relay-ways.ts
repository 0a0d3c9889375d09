/**
 * Whether the relay's answer need wait for the bus: ways in which it does not, beside ours. Each is played in processes that answer as a function
 * URL does, between a webhook that takes 10 ms and a bus that takes 20 and answers each tenth request with an error at first. How long an answer takes, against the
 * webhook called directly; and, with each process killed while callbacks are on their way, how many were answered with 200 and are not on the bus:
 * the client never sends them again. What was not answered it sends again, as here.
 *
 * Run: node bench/relay-ways.ts
 */
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import type { LambdaFunctionURLEvent } from 'aws-lambda';
import { Pool } from 'undici';
import { admission } from '../functions/callback-relay/admission.ts';
import { callbacksBus } from '../functions/callback-relay/callbacks-bus.ts';
import type { CallbackRelaySettings } from '../functions/callback-relay/contract.ts';
import { createRelay } from '../functions/callback-relay/relay.ts';
import { webhook } from '../functions/callback-relay/webhook.ts';
import { listen } from '../rehearsal/aws/listen.ts';
import { IS_SHORT, median, tell } from './figures.ts';

const [WEBHOOK_MILLISECONDS, BUS_MILLISECONDS] = [10, 20];
/** Of so many requests the bus refuses one, which the SDK then sends once more. */
const REFUSES_EACH = 10;
const ROUNDS = IS_SHORT ? 50 : 200;
const PROCESSES = IS_SHORT ? 5 : 25;
/** Callbacks on their way in each process that is killed, and how long after each other they come. */
const [CALLBACKS, APART] = [20, 4];
const SECRET = 'a path that only the bench knows';

type Way = (event: LambdaFunctionURLEvent, answer: (status: number) => void) => Promise<void>;

const WAYS = {
  'the relay, which waits for the bus': (settings): Way => {
    const relay = createRelay(settings);
    return async (event, answer) => {
      const result = await relay(event);
      answer(typeof result === 'string' ? 0 : (result.statusCode ?? 0));
    };
  },
  'response streaming: the invocation goes on after the answer': (settings): Way => {
    const admit = admission(settings);
    const { call } = webhook(settings);
    const { put, within } = callbacksBus(settings);
    return async (event, answer) => {
      const admitted = admit(event);
      if (!('body' in admitted)) return answer(admitted.status);
      const putting = put(String(admitted.body));
      answer((await call(event, admitted.body)).status);
      await within(putting);
    };
  },
  'an extension: a second process of the environment puts it on the bus': async (settings): Promise<Way> => {
    const admit = admission(settings);
    const { call } = webhook(settings);
    // It ends with its environment: Lambda shuts the whole of it down after a timeout or a crash.
    const extension = fork(import.meta.filename, [], { env: { ...process.env, EXTENSION: '1' } });
    // Lambda too has extensions ready before the first invocation.
    await once(extension, 'message');
    const handOver = (detail: string) =>
      new Promise<void>((resolve) => extension.send(detail, () => resolve()));
    return async (event, answer) => {
      const admitted = admit(event);
      if (!('body' in admitted)) return answer(admitted.status);
      const handing = handOver(String(admitted.body));
      const { status } = await call(event, admitted.body);
      await handing;
      answer(status);
    };
  },
} satisfies Record<string, (settings: CallbackRelaySettings) => Way | Promise<Way>>;

const { WAY, EXTENSION, ORIGIN = '' } = process.env;
if (EXTENSION !== undefined) extend();
else if (WAY !== undefined) await serve(await WAYS[WAY as keyof typeof WAYS](settings()));
else await measure();

async function measure(): Promise<void> {
  const outside = await startOutside();
  const direct = new Pool(outside.origin);
  for (const way of Object.keys(WAYS)) {
    const begun = await start(way, outside.origin);
    const times: Record<'direct' | 'relayed', number[]> = { direct: [], relayed: [] };
    // In turn, so that what else the machine does falls on both. The first rounds open connections and warm up.
    for (let round = -10; round < ROUNDS; round += 1)
      for (const [name, pool, path] of [
        ['direct', direct, '/webhook'],
        ['relayed', begun.pool, `/${encodeURIComponent(SECRET)}`],
      ] as const) {
        const began = performance.now();
        if ((await post(pool, path, `warm ${way} ${round}`)) !== 200) throw new Error(`${name}: not 200`);
        if (round >= 0) times[name].push(performance.now() - began);
      }
    await begun.end();
    const { sent, answeredOnly } = await killedOnTheWay(way, outside);
    console.log(
      `${way}: ${median(times.relayed).toFixed(1)} ms, ${median(times.direct).toFixed(1)} directly; of ${sent} callbacks through ${PROCESSES} processes that were killed ${answeredOnly} were answered and are not on the bus`,
    );
    tell({
      bench: 'relay-ways',
      what: `an answer's time: ${way}`,
      rival: 'the webhook called directly',
      value: median(times.relayed) / median(times.direct),
    });
    tell({
      bench: 'relay-ways',
      what: `answered with 200 and not on the bus, of ${sent} with ${PROCESSES} processes killed: ${way}`,
      rival: 'none',
      value: answeredOnly,
      unit: 'callbacks',
      ...(way === Object.keys(WAYS)[0] && { goal: { atMost: 0 } }),
    });
  }
  await direct.close();
  outside.close();
}

/** Sends callbacks to one process after the other, each of which is killed meanwhile, until all are answered. */
async function killedOnTheWay(
  way: string,
  { origin, onBus }: { origin: string; onBus: Set<string> },
): Promise<{ sent: number; answeredOnly: number }> {
  const answered = new Set<string>();
  let left: string[] = [];
  for (let number = 0; number < PROCESSES || left.length > 0; number += 1) {
    const isLast = number >= PROCESSES;
    const { pool, end, kill } = await start(way, origin);
    const added = isLast ? 0 : CALLBACKS;
    const ids = [...left, ...Array.from({ length: added }, (_, index) => `${way} ${number} ${index}`)];
    const sending = ids.map(async (id, index) => {
      await setTimeout(index * APART);
      const status = await post(pool, `/${encodeURIComponent(SECRET)}`, id).catch(() => undefined);
      if (status === 200) answered.add(id);
    });
    if (!isLast) {
      await setTimeout(Math.random() * (ids.length * APART + WEBHOOK_MILLISECONDS + BUS_MILLISECONDS));
      kill();
    }
    await Promise.all(sending);
    await end();
    left = ids.filter((id) => !answered.has(id));
  }
  return { sent: answered.size, answeredOnly: [...answered].filter((id) => !onBus.has(id)).length };
}

/** Webhook and bus. What is on the bus is what it has said that it has. */
async function startOutside(): Promise<{ origin: string; onBus: Set<string>; close(): void }> {
  const onBus = new Set<string>();
  let requests = 0;
  const server = createServer(async (request, response) => {
    // Of a process that was killed.
    response.on('error', () => {});
    const body = await text(request);
    if (body === undefined) return;
    if (request.url === '/webhook') {
      await setTimeout(WEBHOOK_MILLISECONDS);
      return response.end();
    }
    await setTimeout(BUS_MILLISECONDS);
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    if (++requests % REFUSES_EACH === 0)
      return response.writeHead(500).end('{"__type":"InternalException","message":"once more"}');
    const { Entries: entries } = JSON.parse(body) as { Entries: [{ Detail: string }] };
    onBus.add(idOf(entries[0].Detail));
    response.end('{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}');
  });
  const port = await listen(server, 0);
  return {
    origin: `http://127.0.0.1:${port}`,
    onBus,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function text(request: IncomingMessage): Promise<string | undefined> {
  return buffer(request).then(String, () => undefined);
}

function callbackOf(id: string): string {
  return JSON.stringify({ messages: [{ id, type: 'text' }] });
}

function idOf(callback: string): string {
  return (JSON.parse(callback) as { messages: [{ id: string }] }).messages[0].id;
}

async function post(pool: Pool, path: string, id: string): Promise<number> {
  const { statusCode, body } = await pool.request({
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json' },
    body: callbackOf(id),
  });
  await body.dump();
  return statusCode;
}

/** A process that relays: an execution environment. */
async function start(
  way: string,
  origin: string,
): Promise<{ pool: Pool; kill(): void; end(): Promise<void> }> {
  const child = fork(import.meta.filename, [], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    detached: true,
    env: {
      PATH: process.env.PATH,
      WAY: way,
      ORIGIN: origin,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'example',
      AWS_ENDPOINT_URL_EVENTBRIDGE: `${origin}/bus`,
    },
  });
  const closed = once(child, 'exit');
  const [port] = await once(child, 'message');
  const pool = new Pool(`http://127.0.0.1:${port}`, { pipelining: 1 });
  return {
    pool,
    kill: () => {
      // The whole environment, an extension too.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    },
    async end() {
      await pool.destroy();
      if (child.connected) child.disconnect();
      await closed;
    },
  };
}

/** Answers requests as a function URL does, until the bench lets go of it and what it has begun has ended. */
async function serve(way: Way): Promise<void> {
  const going = new Set<Promise<void>>();
  const server = createServer(async (request, response) => {
    const body = await text(request);
    if (body === undefined) return;
    const invocation = way(eventOf(request, body), (status) => response.writeHead(status).end());
    going.add(invocation);
    await invocation;
    going.delete(invocation);
  });
  process.on('disconnect', async () => {
    await Promise.all(going);
    process.exit(0);
  });
  process.send?.(await listen(server, 0));
}

/** What is handed over it puts on the bus. It ends when its environment has, and all is put. */
function extend(): void {
  const { put, within } = callbacksBus(settings());
  const going = new Set<Promise<unknown>>();
  process.on('message', (detail: string) => {
    going.add(within(put(detail)));
  });
  process.send?.('ready');
  process.on('disconnect', async () => {
    await Promise.all(going);
    process.exit(0);
  });
}

function settings(): CallbackRelaySettings {
  return {
    deployment: 'bench',
    secretPathHashes: [createHash('sha256').update(encodeURIComponent(SECRET)).digest('hex')],
    webhookUrl: `${ORIGIN}/webhook`,
    webhookTimeoutMilliseconds: 10_000,
    busTimeoutMilliseconds: 10_000,
    maximumBytes: 5_000_000,
    bus: 'callbacks',
  };
}

function eventOf({ url = '', method = '', headers }: IncomingMessage, body: string): LambdaFunctionURLEvent {
  return {
    rawPath: url,
    rawQueryString: '',
    headers,
    requestContext: { http: { method } },
    body,
    isBase64Encoded: false,
    // What else an event has, the relay does not read.
  } as unknown as LambdaFunctionURLEvent;
}
