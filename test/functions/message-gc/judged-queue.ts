import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs';
import { startFauxqs } from 'fauxqs';
import { Agent } from 'undici';
import type { Template } from '../../../rehearsal/aws/template/assembly.ts';

/** A queue at fauxqs, an emulator of SQS that nobody here wrote, for a function of the stand-in. */
export interface JudgedQueue {
  /** Has a function ask there for the queue, and the stand-in for whatever else it asks of SQS. */
  lead(templates: Record<string, Template>, functionName: string): void;
  /** Where the stand-in is. */
  standIn: string;
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
  const agent = new Agent();
  const proxy = createServer(async (request, response) => {
    const { host = '', 'content-length': _, 'x-amz-target': target = '', ...headers } = request.headers;
    const body = JSON.parse((await buffer(request)).toString());
    const isJudged = body.QueueUrl?.endsWith(`/${name}`) === true;
    if (isJudged) {
      const [, operation = ''] = String(target).split('.');
      judged.asked[operation] = (judged.asked[operation] ?? 0) + 1;
    }
    const answer = await agent.request({
      origin: isJudged ? theirs : judged.standIn,
      path: request.url ?? '/',
      method: 'POST',
      // The host is signed.
      headers: { ...headers, host, 'x-amz-target': String(target) },
      body: JSON.stringify(isJudged ? { ...body, QueueUrl } : body),
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
    standIn: '',
    asked: {},
    lead(templates, functionName) {
      for (const { Resources: resources } of Object.values(templates))
        for (const { Properties: properties } of Object.values(resources)) {
          const { FunctionName, Environment } = Object(properties);
          if (FunctionName === functionName)
            Environment.Variables.AWS_ENDPOINT_URL_SQS = `http://127.0.0.1:${port}`;
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
      await agent.close();
      await fauxqs.stop();
    },
  };
  return judged;
}
