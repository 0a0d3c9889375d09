/**
 * What the relay adds to a callback: the time of its handler with the bus beside it, as a ratio to the time of calling the
 * webhook directly by the same HTTP client. Loopback, so of the network there is nothing in it: with a webhook that
 * answers at once it is the relay's own work and the bus, with one that takes longer than the bus what is left of it: the
 * relay asks both at once, and answers when both have answered.
 *
 * Run: node bench/callback-relay.ts
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { Writable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import type { LambdaFunctionURLEvent } from 'aws-lambda';
import { Pool } from 'undici';
import { listen } from '../rehearsal/aws/listen.ts';
import { tell } from './figures.ts';

/** EventBridge's PutEvents takes some tens of milliseconds. */
const BUS_MILLISECONDS = 20;
/** The last is what any way could reach by which the answer would not wait for the bus. */
const CASES = [
  { webhook: 0, bus: BUS_MILLISECONDS },
  { webhook: 10, bus: BUS_MILLISECONDS },
  { webhook: 50, bus: BUS_MILLISECONDS },
  { webhook: 200, bus: BUS_MILLISECONDS },
  { webhook: 10, bus: 0 },
];
const BODY = JSON.stringify({
  contacts: [{ profile: { name: 'Kerry Fisher' }, wa_id: '16315551234' }],
  messages: [
    {
      from: '16315551234',
      id: 'ABGGFlA5FpafAgo6tHcNmNjXmuSf',
      text: { body: 'x'.repeat(500) },
      timestamp: '1518694235',
      type: 'text',
    },
  ],
});
const SECRET = 'a path that only the bench knows';

async function measure(): Promise<void> {
  const worker = new Worker(new URL(import.meta.url));
  const { port } = await new Promise<{ port: number }>((resolve) => worker.once('message', resolve));
  const origin = `http://127.0.0.1:${port}`;
  Object.assign(process.env, {
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'example',
  });
  const { createRelay } = await import('../functions/callback-relay/relay.ts');
  const lines = discardOutput();
  const direct = new Pool(origin);
  const rows: string[] = [];
  for (const { webhook: milliseconds, bus } of CASES) {
    const path = `/webhook/${milliseconds}`;
    // Read when the relay makes its client.
    process.env.AWS_ENDPOINT_URL_EVENTBRIDGE = `${origin}/bus/${bus}`;
    const relay = createRelay({
      deployment: 'bench',
      secretPathHashes: [createHash('sha256').update(SECRET).digest('hex')],
      webhookUrl: `${origin}${path}`,
      webhookTimeoutMilliseconds: 10_000,
      busTimeoutMilliseconds: 2_000,
      maximumBytes: 5_000_000,
      bus: 'callbacks',
    });
    const ways = {
      direct: async () => {
        const { statusCode, body } = await direct.request({
          method: 'POST',
          path,
          headers: { 'content-type': 'application/json' },
          body: BODY,
        });
        await body.dump();
        return statusCode;
      },
      relayed: async () => {
        const result = await relay(EVENT);
        return typeof result === 'string' ? 0 : result.statusCode;
      },
    };
    const times: Record<keyof typeof ways, number[]> = { direct: [], relayed: [] };
    const rounds = milliseconds > 100 ? 20 : 100;
    // In turn, so that what else the machine does falls on both. The first rounds open connections and warm up.
    for (let round = -10; round < rounds; round += 1)
      for (const way of ['direct', 'relayed'] as const) {
        const begin = performance.now();
        if ((await ways[way]()) !== 200) throw new Error(`${way}: not answered with 200`);
        if (round >= 0) times[way].push(performance.now() - begin);
      }
    const value = quantile(times.relayed, 0.5) / quantile(times.direct, 0.5);
    tell({
      bench: 'callback-relay',
      what: `a webhook that takes ${milliseconds} ms, a bus that takes ${bus} ms`,
      rival: 'the webhook called directly',
      value,
      ...(milliseconds > 0 && { goal: { atMost: 1.3 } }),
    });
    rows.push(
      [
        `${milliseconds} ms${bus === BUS_MILLISECONDS ? '' : `, bus ${bus}`}`,
        ...(['direct', 'relayed'] as const).flatMap((way) => [
          quantile(times[way], 0.5),
          quantile(times[way], 0.95),
        ]),
        value,
        quantile(times.relayed, 0.5) - quantile(times.direct, 0.5),
      ]
        .map((cell) => (typeof cell === 'number' ? cell.toFixed(2) : cell).padStart(14))
        .join(''),
    );
  }
  lines.restore();
  await direct.close();
  await worker.terminate();
  console.log(`A bus that takes ${BUS_MILLISECONDS} ms beside it; milliseconds, median and 95th percentile.`);
  console.log(
    ['webhook takes', 'direct p50', 'p95', 'relayed p50', 'p95', 'ratio of p50', 'added (p50)']
      .map((title) => title.padStart(14))
      .join(''),
  );
  for (const row of rows) console.log(row);
}

/** Webhook and bus, in a thread of their own. */
async function serve(): Promise<void> {
  const server = createServer(async (request, response) => {
    for await (const _chunk of request);
    const [, kind, milliseconds] = (request.url ?? '').split('/');
    await setTimeout(Number(milliseconds));
    if (kind === 'bus') response.setHeader('content-type', 'application/x-amz-json-1.1');
    response.end(kind === 'bus' ? '{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}' : undefined);
  });
  parentPort?.postMessage({ port: await listen(server, 0) });
}

/** The function's log would be most of what is printed. */
function discardOutput(): { restore(): void } {
  const { write } = process.stdout;
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  process.stdout.write = nowhere.write.bind(nowhere) as typeof process.stdout.write;
  return {
    restore() {
      process.stdout.write = write;
    },
  };
}

function quantile(values: number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;
}

const EVENT: LambdaFunctionURLEvent = {
  version: '2.0',
  routeKey: '$default',
  rawPath: `/${SECRET}`,
  rawQueryString: '',
  headers: { 'content-type': 'application/json', 'user-agent': 'WhatsApp/2.57', host: 'function.example' },
  requestContext: {
    accountId: 'anonymous',
    apiId: 'function',
    domainName: 'function.example',
    domainPrefix: 'function',
    http: {
      method: 'POST',
      path: '/',
      protocol: 'HTTP/1.1',
      sourceIp: '127.0.0.1',
      userAgent: 'WhatsApp/2.57',
    },
    requestId: 'bench',
    routeKey: '$default',
    stage: '$default',
    time: '',
    timeEpoch: 0,
  },
  body: BODY,
  isBase64Encoded: false,
};

if (isMainThread) await measure();
else await serve();
