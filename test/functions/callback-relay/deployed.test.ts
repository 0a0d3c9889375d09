import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import { after, before, describe, it } from 'node:test';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { Stack } from 'aws-cdk-lib';
import type { LambdaFunctionURLResult } from 'aws-lambda';
import { AlarmTopic } from '../../../lib/alarm-topic.ts';
import { CallbackRelay } from '../../../lib/callback-relay.ts';
import { CallbacksBus } from '../../../lib/whatsapp/callbacks-bus.ts';
import { AwsError } from '../../../rehearsal/aws/aws-error.ts';
import { type FunctionUrl, serveFunctionUrl } from '../../../rehearsal/aws/lambda/function-url.ts';
import { listen, stopListening } from '../../../rehearsal/aws/listen.ts';
import { callbacks } from '../../../rehearsal/whatsapp/callbacks.ts';
import { type Certificate, createCertificate } from '../../../rehearsal/whatsapp/certificate.ts';
import { ACCOUNT, type Deployment, deploy, MINUTE } from '../../rehearsal/aws/deploy.ts';

const SECRET = randomBytes(32).toString('hex');
const NOTIFICATION = { services: [{ message: { gc: { messages_deleted: 11, status: 'complete' } } }] };

describe('the relay as it is deployed, between the client and a webhook by TLS', () => {
  let certificate: Certificate;
  let server: Server;
  let webhookUrl: string;
  let statuses: number[] = [];
  let received: string[] = [];

  before(async () => {
    certificate = await createCertificate('localhost');
    server = createServer(
      { key: certificate.key, cert: certificate.certificate },
      async (request, response) => {
        let body = '';
        for await (const chunk of request.setEncoding('utf8')) body += chunk;
        received.push(body);
        response.writeHead(statuses.shift() ?? 200).end();
      },
    );
    webhookUrl = `https://localhost:${await listen(server, 0)}/whatsapp`;
  });
  after(() => stopListening(server));

  /** Deploys bus and relay, and gives the client's way to them. */
  async function withRelay(
    work: (deployed: Deployment & { whatsapp: ReturnType<typeof callbacks> }) => Promise<void>,
  ): Promise<void> {
    statuses = [];
    received = [];
    await deploy(
      (stack) => define(stack, webhookUrl, certificate.certificate),
      async (deployment) => {
        const lambda = new LambdaClient(deployment.client());
        const url: FunctionUrl = await serveFunctionUrl(async (event) => {
          const { Payload, FunctionError } = await lambda.send(
            new InvokeCommand({ FunctionName: 'latam-callback-relay', Payload: JSON.stringify(event) }),
          );
          assert.equal(FunctionError, undefined);
          return JSON.parse(Buffer.from(Payload ?? []).toString()) as LambdaFunctionURLResult;
        });
        const whatsapp = callbacks(`${url.url}${SECRET}`, deployment.clock, 6);
        try {
          await work({ ...deployment, whatsapp });
          assert.deepEqual(deployment.aws.denials, []);
        } finally {
          await whatsapp.close();
          await url.close();
          lambda.destroy();
        }
      },
    );
  }

  it('brings a notification to the webhook, and by the bus to the queue of the run that waits for it', async () => {
    await withRelay(async ({ whatsapp, client }) => {
      await whatsapp.send(NOTIFICATION);
      assert.deepEqual(
        whatsapp.attempts.map(({ result }) => result),
        [200],
      );
      assert.deepEqual(received, [JSON.stringify(NOTIFICATION)]);
      assert.deepEqual(await notifications(client()), [NOTIFICATION]);
    });
  });

  it('leaves it to the client to try again until the webhook takes it', async () => {
    await withRelay(async ({ whatsapp, clock, client }) => {
      statuses = [503, 500];
      await whatsapp.send(NOTIFICATION);
      await clock.runUntil(clock.now() + MINUTE);
      assert.deepEqual(
        whatsapp.attempts.map(({ result }) => result),
        [503, 500, 200],
      );
      assert.equal(received.length, 3);
      assert.deepEqual(await notifications(client()), [NOTIFICATION], 'as if it had come once');
    });
  });

  it('passes callbacks on while EventBridge is down, and rings', async () => {
    await withRelay(async ({ whatsapp, clock, aws }) => {
      aws.onCall(({ service }) =>
        service === 'events' ? new AwsError('InternalFailure', 'EventBridge is down') : undefined,
      );
      await whatsapp.send(NOTIFICATION);
      assert.equal(whatsapp.attempts[0]?.result, 200);
      assert.deepEqual(received, [JSON.stringify(NOTIFICATION)]);
      await clock.runUntil(clock.now() + 20 * MINUTE);
      assert.ok(rang(aws).includes('latam-callback-relay-not-on-bus'), String(rang(aws)));
    });
  });

  it('passes on what is too large for the bus, and rings', async () => {
    await withRelay(async ({ whatsapp, clock, aws }) => {
      const large = { messages: [{ id: 'large', text: { body: 'x'.repeat(1_100_000) } }] };
      await whatsapp.send(large);
      assert.equal(whatsapp.attempts[0]?.result, 200);
      assert.deepEqual(received, [JSON.stringify(large)]);
      await clock.runUntil(clock.now() + 20 * MINUTE);
      assert.deepEqual(rang(aws), ['latam-callback-relay-too-large-for-bus']);
    });
  });
});

function define(stack: Stack, webhookUrl: string, certificateAuthority: string): void {
  const deployment = 'latam';
  const { topic } = new AlarmTopic(stack, 'Topic', { deployment });
  const { bus } = new CallbacksBus(stack, 'Callbacks', { deployment, topic });
  new CallbackRelay(stack, 'Relay', {
    deployment,
    topic,
    bus,
    webhookUrl,
    certificateAuthority,
    secretPathHashes: [createHash('sha256').update(SECRET).digest('hex')],
  });
}

async function notifications(options: ReturnType<Deployment['client']>): Promise<unknown[]> {
  const sqs = new SQSClient(options);
  const { Messages: messages = [] } = await sqs.send(
    new ReceiveMessageCommand({
      QueueUrl: `${options.endpoint}/${ACCOUNT}/latam-gc-notifications`,
      MaxNumberOfMessages: 10,
      WaitTimeSeconds: 20,
    }),
  );
  sqs.destroy();
  return messages.map(({ Body }) => JSON.parse(Body ?? '{}').detail);
}

/** The names of the alarms that rang. */
function rang(aws: Deployment['aws']): string[] {
  return aws.alarms.filter(({ to }) => to === 'ALARM').map(({ alarm }) => alarm);
}
