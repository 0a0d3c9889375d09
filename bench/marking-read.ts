/**
 * Marking messages read: ids of a queue, each of a customer of its own, so that each takes a request to WebApp. First without a limit
 * of requests in a second, against undici's bare pipeline: the same requests over as many connections, with nothing around
 * them. Then at the highest rate that can be configured, against that rate. None may be lost, none asked for twice, and memory must
 * not grow with how many were marked.
 *
 *     node bench/marking-read.ts [MESSAGES] [CUSTOMERS]     @default 100,000, of which a tenth without a limit: 17 minutes
 *
 * Of fewer customers than messages a request marks several: `1000000 10000` is a client that was left to itself for long.
 */
import { createHash } from 'node:crypto';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { Pool } from 'undici';
import { insideInvocations } from '../functions/shared/run/time-left.ts';
import { realClock } from '../rehearsal/aws/clock.ts';
import { type Certificate, createCertificate } from '../rehearsal/whatsapp/certificate.ts';
import { NO_ROWS } from '../rehearsal/whatsapp/message-store.ts';
import { startWebApp } from '../rehearsal/whatsapp/web-app.ts';
import { ACCOUNT, deploy, REGION } from '../test/rehearsal/aws/deploy.ts';
import { IS_SHORT, tell } from './figures.ts';

const MESSAGES = Number(process.argv[2] ?? (IS_SHORT ? 3_000 : 100_000));
const CUSTOMERS = Number(process.argv[3] ?? MESSAGES);
/** The highest that the configuration takes. */
const [RATE, CONCURRENCY] = [100, 50];
const SECRET = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:api-user-a1B2c3`;
const USER = { username: 'upkeep', password: 'Upkeep-1-bench' };
const DAY = 24 * 3600 * 1000;

/** What WebApp tells of the messages that it was asked to mark, since it was asked last. */
interface Marked {
  messages: number;
  /** Of them, those that it was asked to mark more than once. */
  twice: number;
}

if (isMainThread) await measure();
else await serveWebApp();

/** In a thread of its own, so that a million messages on their way from the queue do not keep it from answering. */
async function serveWebApp(): Promise<void> {
  const marked = new Map<string, number>();
  const webApp = await startWebApp({
    store: {
      ...NO_ROWS,
      markRead: async (id) => {
        marked.set(id, (marked.get(id) ?? 0) + 1);
        return 'marked';
      },
    },
    clock: realClock(),
    certificate: workerData as Certificate,
    users: [USER],
    callbackUrl: 'http://127.0.0.1:9',
    coreApps: 1,
  });
  parentPort?.on('message', () => {
    const twice = [...marked.values()].filter((times) => times > 1).length;
    parentPort?.postMessage({ messages: marked.size, twice } satisfies Marked);
    marked.clear();
  });
  parentPort?.postMessage(webApp.port);
}

async function measure(): Promise<void> {
  let highest = 0;
  const watch = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage().heapUsed);
  }, 200);
  const certificate = await createCertificate('localhost');
  const webApp = new Worker(new URL(import.meta.url), {
    workerData: certificate,
    argv: process.argv.slice(2),
  });
  const answer = <T>() => new Promise<T>((resolve) => webApp.once('message', resolve));
  const port = await answer<number>();
  const toldMarked = () => {
    webApp.postMessage('told');
    return answer<Marked>();
  };

  await deploy(
    (stack) => {
      new Queue(stack, 'Unread', { queueName: 'unread' });
    },
    async ({ aws, client }) => {
      aws.secrets.put(SECRET, JSON.stringify(USER));
      const { endpoint, credentials } = client();
      Object.assign(process.env, {
        AWS_ENDPOINT_URL: endpoint,
        AWS_REGION: REGION,
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
        AWS_SESSION_TOKEN: credentials.sessionToken,
      });
      // It makes its clients when it is loaded.
      const { markMessagesRead } = await import('../functions/message-gc/mark-messages-read.ts');
      const [queue] = aws.deployed.ofType('AWS::SQS::Queue');
      if (!queue) throw new Error('There is no queue.');
      const url = `https://localhost:${port}`;
      const context = insideInvocations({
        lambdaContext: { getRemainingTimeInMillis: () => 900_000 },
        step: (_: string, work: () => Promise<unknown>) => work(),
        wait: async () => {},
      } as unknown as DurableContext);

      const fill = (count: number, of: string) => {
        const principal = { kind: 'anonymous' as const };
        aws.access.attach(queue.arn, {
          Statement: [{ Effect: 'Allow', Principal: '*', Action: 'sqs:SendMessage', Resource: queue.arn }],
        });
        const timestamp = String(Math.floor((Date.now() - 3 * DAY) / 1000));
        for (let number = 0; number < count; number++) {
          const id = createHash('sha256').update(`${of} ${number}`).digest('hex').slice(0, 22);
          const from = `49${of}${number % CUSTOMERS}`;
          const detail = { messages: [{ from, id, timestamp, type: 'text' }] };
          const refused = aws.sqs.deliver(principal, queue.arn, JSON.stringify({ detail }), {}, {});
          if (refused) throw new Error(refused);
        }
      };
      const mark = async (count: number, requestsPerSecond: number, of: string) => {
        fill(count, of);
        await toldMarked();
        const begun = performance.now();
        const result = await markMessagesRead(
          {
            deployment: 'bench',
            webApp: { url, certificateAuthority: certificate.certificate, secretArn: SECRET },
            markRead: {
              queueUrl: `${endpoint}/${ACCOUNT}/unread`,
              olderThanSeconds: 3600,
              concurrency: CONCURRENCY,
              requestsPerSecond,
            },
          } as Parameters<typeof markMessagesRead>[0],
          { until: Date.now() + DAY },
          context,
        );
        const seconds = (performance.now() - begun) / 1000;
        const { messages, twice } = await toldMarked();
        const left = aws.sqs.bodies('unread').length;
        const isEach = CUSTOMERS < count ? messages >= CUSTOMERS : messages === count;
        if (result.messagesMarkedRead !== count || !isEach || twice > 0 || left > 0)
          throw new Error(
            `Of ${count}: ${messages} marked, ${twice} twice, ${left} left; ${JSON.stringify(result)}`,
          );
        return { requests: messages, rate: messages / seconds };
      };
      const raw = async (count: number) => {
        const login = await fetchToken(url, certificate.certificate);
        const pool = new Pool(url, {
          connections: CONCURRENCY,
          pipelining: 1,
          connect: { ca: certificate.certificate },
        });
        const begun = performance.now();
        let next = 0;
        const work = async () => {
          while (next < count) {
            const { statusCode, body } = await pool.request({
              path: `/v1/messages/raw${next++}`,
              method: 'PUT',
              headers: { authorization: `Bearer ${login}`, 'content-type': 'application/json' },
              body: JSON.stringify({ status: 'read' }),
            });
            if (statusCode !== 200) throw new Error(`WebApp answered ${statusCode}.`);
            await body.dump();
          }
        };
        await Promise.all(Array.from({ length: CONCURRENCY }, work));
        await pool.close();
        return count / ((performance.now() - begun) / 1000);
      };
      try {
        const few = Math.min(Math.ceil(MESSAGES / 10), 10_000);
        await mark(Math.min(500, few), 1e6, 'warm');
        const bare = await raw(few);
        const { rate: ours } = await mark(few, 1e6, 'unlimited');
        console.log(
          `${few} without a limit: ${ours.toFixed(0)} a second, undici's bare pipeline ${bare.toFixed(0)}`,
        );
        tell({
          bench: 'marking-read',
          what: 'messages a second where no rate is set, queue included',
          rival: "undici's bare pipeline, no queue",
          value: ours / bare,
        });
        highest = 0;
        const { requests, rate } = await mark(MESSAGES, RATE, 'limited');
        console.log(
          `${MESSAGES} of ${CUSTOMERS} customers at ${RATE} requests a second: ${requests} at ${rate.toFixed(1)} a second, ${(highest / 1e6).toFixed(0)} MB of heap at its highest, the queue's in it`,
        );
        tell({
          bench: 'marking-read',
          what: `${MESSAGES.toLocaleString('en')} messages ${CUSTOMERS < MESSAGES ? `of ${CUSTOMERS.toLocaleString('en')} customers, ` : ''}at ${RATE} requests a second, none lost and none twice`,
          rival: 'the rate that is allowed',
          value: rate / RATE,
          goal: { atLeast: 0.9 },
        });
      } finally {
        await webApp.terminate();
      }
    },
    { start: 'now' },
  );
  clearInterval(watch);
}

/** As whoever speaks to WebApp by hand. */
async function fetchToken(url: string, ca: string): Promise<string> {
  const pool = new Pool(url, { connect: { ca } });
  const { body } = await pool.request({
    path: '/v1/users/login',
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${USER.username}:${USER.password}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    body: '{}',
  });
  const answer = (await body.json()) as { users: [{ token: string }] };
  await pool.close();
  return answer.users[0].token;
}
