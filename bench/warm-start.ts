/**
 * What follows a cold start, by the function that is called most, the relay: its first invocation, in which it speaks to AWS and to the
 * webhook for the first time (name, TLS, credentials, what the SDK makes only then), and one of a function that is warm; against a
 * bare function that makes the same two calls by the same clients, bundled alike. In the process's own CPU time, the two in turn.
 *
 * What a job's calls cost is measured by `run-seconds`.
 *
 *     node bench/warm-start.ts [ROUNDS]
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { entryFile } from '../lib/entry-file.ts';
import { bundle, keepBundlesIn } from '../lib/function-bundle.ts';
import { listen, stopListening } from '../rehearsal/aws/listen.ts';
import { createCertificate } from '../rehearsal/whatsapp/certificate.ts';
import { IS_SHORT, median, tell } from './figures.ts';
import { FUNCTION_ENVIRONMENT, inTurn } from './in-turn.ts';

const ROUNDS = Number(process.argv[2] ?? (IS_SHORT ? 5 : 15));
/** Of a warm function, after those in which V8 gets to know it. */
const [WARM_UP, WARM] = [30, 200];
const SECRET = 'a path that only the bench knows';
const EVENT = {
  rawPath: `/${SECRET}`,
  rawQueryString: '',
  headers: { 'content-type': 'application/json' },
  requestContext: { http: { method: 'POST' } },
  body: JSON.stringify({
    messages: [{ from: '16315551234', id: 'ABGGFlA5FpafAgo6', text: { body: 'x'.repeat(500) } }],
  }),
};

/** As a function that somebody writes who wants no more than these two calls. */
const BARE = `
  import { Agent, request } from 'node:https';
  import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
  const { webhookUrl, certificateAuthority, bus } = JSON.parse(process.env.UPKEEP_SETTINGS ?? '');
  const events = new EventBridgeClient({});
  const agent = new Agent({ keepAlive: true, ca: certificateAuthority });
  const post = (body: string) =>
    new Promise<number>((resolve, reject) =>
      request(webhookUrl, { method: 'POST', agent }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      })
        .on('error', reject)
        .end(body),
    );
  export const handler = async ({ body }: { body: string }) => {
    const entry = { EventBusName: bus, Source: 'whatsapp', DetailType: 'Callback', Detail: body };
    const [statusCode] = await Promise.all([post(body), events.send(new PutEventsCommand({ Entries: [entry] }))]);
    return { statusCode };
  };
`;

const MEASURE = `
  const { handler } = await import(process.argv[1]);
  const event = JSON.parse(process.argv[2]);
  const { write } = process.stdout;
  // What the function logs is most of what would be printed.
  process.stdout.write = () => true;
  const cost = async (times) => {
    const before = process.cpuUsage();
    for (let time = 0; time < times; time += 1)
      if ((await handler(event)).statusCode !== 200) throw new Error('The webhook was not reached.');
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000 / times;
  };
  const first = await cost(1);
  await cost(${WARM_UP});
  const warm = await cost(${WARM});
  process.stdout.write = write;
  console.log(JSON.stringify({ first, warm }));
  process.exit();
`;

/** Milliseconds of all the process's threads. */
interface Cost {
  first: number;
  warm: number;
}

if (process.env.BUNDLES) keepBundlesIn(process.env.BUNDLES);
const work = resolve('.cache/bench-warm-start');
rmSync(work, { recursive: true, force: true });
const certificate = await createCertificate('localhost');
const server = createServer(
  { key: certificate.key, cert: certificate.certificate },
  async (request, response) => {
    for await (const _chunk of request);
    const isBus = request.url?.startsWith('/bus');
    if (isBus) response.setHeader('content-type', 'application/x-amz-json-1.1');
    response.end(isBus ? '{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}' : undefined);
  },
);
try {
  const origin = `https://localhost:${await listen(server, 0)}`;
  const bareEntry = join(work, 'bare/handler.ts');
  mkdirSync(join(work, 'bare'), { recursive: true });
  writeFileSync(bareEntry, BARE);
  const authority = join(work, 'authority.pem');
  writeFileSync(authority, certificate.certificate);
  const bundles = {
    own: bundle(entryFile('callback-relay')),
    bare: bundle(bareEntry, { isOwn: true }),
  };
  const costs = await inTurn(bundles, work, ROUNDS, (url) => start(url, origin, authority));
  const WHAT = {
    first: 'the first invocation, with the first call of AWS',
    warm: 'a warm invocation',
  };
  for (const what of ['first', 'warm'] as const) {
    const cpu = (way: keyof typeof bundles) => median(costs[way].map((cost) => cost[what]));
    const value = cpu('own') / cpu('bare');
    console.log(
      `${WHAT[what]}: ${cpu('own').toFixed(1)} ms of CPU, bare ${cpu('bare').toFixed(1)}: ${value.toFixed(2)} times`,
    );
    tell({
      bench: 'warm-start',
      what: `${WHAT[what]}, of callback-relay`,
      rival: 'a bare function that makes the same two calls',
      value,
    });
  }
} finally {
  await stopListening(server);
  rmSync(work, { recursive: true, force: true });
}

async function start(url: string, origin: string, authority: string): Promise<Cost> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--enable-source-maps', '--input-type=module', '--eval', MEASURE, url, JSON.stringify(EVENT)],
    {
      env: {
        ...FUNCTION_ENVIRONMENT,
        AWS_ENDPOINT_URL_EVENTBRIDGE: `${origin}/bus`,
        NODE_EXTRA_CA_CERTS: authority,
        UPKEEP_SETTINGS: JSON.stringify({
          deployment: 'bench',
          secretPathHashes: [createHash('sha256').update(SECRET).digest('hex')],
          webhookUrl: `${origin}/webhook`,
          certificateAuthority: certificate.certificate,
          webhookTimeoutMilliseconds: 10_000,
          busTimeoutMilliseconds: 10_000,
          maximumBytes: 5_000_000,
          bus: 'callbacks',
        }),
      },
    },
  );
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}');
}
