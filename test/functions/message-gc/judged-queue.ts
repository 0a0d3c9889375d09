import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs';
import { startFauxqs } from 'fauxqs';
import { Pool } from 'undici';
import type { Template } from '../../../rehearsal/aws/template/assembly.ts';

/** A queue at fauxqs, an emulator of SQS that nobody here wrote, in place of one of the stand-in's. */
export interface JudgedQueue {
  /** Has a function use it in place of that of this name in the templates. */
  lead(templates: Record<string, Template>, functionName: string): void;
  fill(bodies: string[]): Promise<void>;
  /** What was asked about the queue, by operation. */
  asked: Record<string, number>;
  /** Messages that it has, hidden ones too. */
  left(): number;
  close(): Promise<void>;
}

export async function startJudgedQueue(name: string, region: string): Promise<JudgedQueue> {
  const fauxqs = await startFauxqs({ port: 0, logger: false, defaultRegion: region });
  const { queueUrl: QueueUrl } = fauxqs.createQueue(name);
  const theirs = `http://127.0.0.1:${fauxqs.port}`;
  const pool = new Pool(theirs);
  // The SDK asks where the queue's URL leads, and that of fauxqs has a name that not every machine can look up.
  const proxy = createServer(async (request, response) => {
    const { 'x-amz-target': target = '', 'content-type': type = '' } = request.headers;
    const [, operation = ''] = String(target).split('.');
    judged.asked[operation] = (judged.asked[operation] ?? 0) + 1;
    const asked = JSON.parse((await buffer(request)).toString());
    const answer = await pool.request({
      path: '/',
      method: 'POST',
      headers: { 'x-amz-target': String(target), 'content-type': type },
      body: JSON.stringify({ ...asked, QueueUrl }),
    });
    response.writeHead(answer.statusCode, answer.headers as Record<string, string>);
    response.end(await buffer(answer.body));
  });
  await new Promise<void>((ready) => proxy.listen(0, '127.0.0.1', ready));
  const { port } = proxy.address() as AddressInfo;
  const sqs = new SQSClient({
    endpoint: theirs,
    region,
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'example' },
  });
  const judged: JudgedQueue = {
    asked: {},
    lead(templates, functionName) {
      for (const { Resources: resources } of Object.values(templates)) {
        const named = Object.entries(resources).map(([id, { Properties }]) => ({
          id,
          ...Object(Properties),
        }));
        const queue = named.find(({ QueueName }) => QueueName === name);
        for (const { FunctionName, Environment } of named)
          if (queue && FunctionName === functionName)
            Environment.Variables = JSON.parse(
              JSON.stringify(Environment.Variables).replaceAll(
                JSON.stringify({ Ref: queue.id }),
                JSON.stringify(`http://127.0.0.1:${port}/000000000000/${name}`),
              ),
            );
      }
    },
    async fill(bodies) {
      for (let from = 0; from < bodies.length; from += 10) {
        const some = bodies.slice(from, from + 10);
        const Entries = some.map((MessageBody, index) => ({ Id: String(index), MessageBody }));
        await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
      }
    },
    left() {
      const { ready = [], delayed = [], inflight = [] } = fauxqs.inspectQueue(name)?.messages ?? {};
      return ready.length + delayed.length + inflight.length;
    },
    async close() {
      sqs.destroy();
      proxy.closeAllConnections();
      proxy.close();
      await pool.close();
      await fauxqs.stop();
    },
  };
  return judged;
}
