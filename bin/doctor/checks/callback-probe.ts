import { randomUUID } from 'node:crypto';
import { PutEventsCommand } from '@aws-sdk/client-eventbridge';
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
} from '@aws-sdk/client-sqs';
import { CALLBACK_SOURCE, CALLBACK_TYPE } from '../../../functions/callback-relay/contract.ts';
import { executionsOf } from '../../../functions/shared/run/executions.ts';
import type { Check, Finding } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { rulesOf, waitsForCallbacks } from './event-rules.ts';

/** EventBridge delivers within a second, mostly. */
const PATIENCE_MS = 20_000;
/** What was received and is no probe is given back at the end; of one that is not given back, after so long. Seconds. */
const HIDDEN = 30;
const LONG_POLL = 2;

const KINDS = ['message', 'media'] as const;

/**
 * Whether what a webhook puts on the bus comes to the queue: puts a callback of each kind there, whose event names a deployment that
 * there is not, so that a run which hears it sets it aside, and takes it out of the queue again.
 */
export const callbackProbe: Check = {
  name: 'a callback through the bus',
  when: 'deployed',
  actions: [
    'lambda:GetFunctionConfiguration',
    'lambda:ListDurableExecutionsByFunction',
    'lambda:ListVersionsByFunction',
    'events:ListRules',
    'events:PutEvents',
    'kms:Decrypt',
    'sqs:ChangeMessageVisibility',
    'sqs:DeleteMessage',
    'sqs:GetQueueAttributes',
    'sqs:ReceiveMessage',
  ],
  run: (deployment) => probeCallbacks(deployment),
};

/** @param patience milliseconds. @default twenty seconds */
export async function probeCallbacks(
  deployment: ExaminedDeployment,
  patience: number = PATIENCE_MS,
): Promise<Finding[]> {
  const waiting = await deployment.settingsOf(waitsForCallbacks);
  const [first] = waiting;
  if (first === undefined) return [];
  const rules = await rulesOf(deployment);
  // What is wrong with the rules is told by the check of them.
  if (rules.length === 0 || rules.some(({ State: state }) => state === 'DISABLED')) return [];
  const queueUrl = first.settings.notificationsQueueUrl;
  const of = queueUrl.slice(queueUrl.lastIndexOf('/') + 1);
  for (const { job } of waiting) {
    const running = await executionsOf(deployment.clients.lambda, `${deployment.name}-${job}`, {
      Statuses: ['RUNNING'],
    });
    if (running.length > 0)
      return [{ of, status: 'ok', saw: `Not tried, for a run of ${job} reads the queue at present.` }];
  }
  const waits = await callbacksIn(deployment, queueUrl);
  // Each time that one is received it comes nearer to the dead letters, also if doctor does it.
  if (waits > 0)
    return [
      {
        of,
        status: 'ok',
        saw: `Not tried, for ${waits === 1 ? 'a callback waits' : `${waits} callbacks wait`} there, which came by the bus, and the next run reads.`,
      },
    ];
  const missing = await pass(deployment, queueUrl, patience);
  if (missing.length === 0)
    return [
      { of, status: 'ok', saw: 'What is put on the bus comes to the queue, of messages and of media.' },
    ];
  return [
    {
      of,
      status: 'failed',
      saw: `A callback of ${missing.join(' and of ')} garbage collection was put on the bus, and did not come to the queue within ${Math.round(patience / 1000)} seconds.`,
      mend: `aws sqs receive-message --queue-url ${queueUrl.slice(0, queueUrl.lastIndexOf('/'))}/${deployment.name}-callbacks-dead-letters --message-attribute-names All   # ERROR_CODE and ERROR_MESSAGE say why; where there is none: npx cdk deploy --all`,
    },
  ];
}

/** Hidden ones too, as SQS counts them: approximately. */
async function callbacksIn({ clients: { sqs } }: ExaminedDeployment, QueueUrl: string): Promise<number> {
  const { Attributes: attributes = {} } = await sqs.send(
    new GetQueueAttributesCommand({
      QueueUrl,
      AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
    }),
  );
  return Object.values(attributes).reduce((sum, count) => sum + Number(count), 0);
}

/** @returns the kinds that did not come. */
async function pass(
  { clients: { events, sqs }, name }: ExaminedDeployment,
  QueueUrl: string,
  patience: number,
): Promise<string[]> {
  const probe = `doctor-${randomUUID()}`;
  const missing = new Set<string>(KINDS);
  const { FailedEntryCount: failed = 0, Entries: entries = [] } = await events.send(
    new PutEventsCommand({
      Entries: KINDS.map((kind) => ({
        EventBusName: `${name}-callbacks`,
        Source: CALLBACK_SOURCE,
        DetailType: CALLBACK_TYPE,
        Resources: [probe],
        Detail: JSON.stringify({
          services: [{ [kind]: { gc: { status: 'complete', node: `${probe} ${kind}` } } }],
        }),
      })),
    }),
  );
  if (failed > 0)
    throw new Error(`The bus took no callback: ${entries.map(({ ErrorMessage: why }) => why).join('; ')}`);
  const until = Date.now() + patience;
  const others: Message[] = [];
  do {
    const { Messages: messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        VisibilityTimeout: HIDDEN,
        WaitTimeSeconds: LONG_POLL,
      }),
    );
    for (const message of messages) {
      const kind = kindOf(message, probe);
      if (kind === undefined) others.push(message);
      else {
        missing.delete(kind);
        await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
      }
    }
  } while (missing.size > 0 && Date.now() < until);
  for (const { ReceiptHandle } of others)
    await sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 0 }));
  return [...missing];
}

/** Undefined: it is none of ours. */
function kindOf({ Body: body = '' }: Message, probe: string): string | undefined {
  return KINDS.find((kind) => body.includes(`${probe} ${kind}`));
}
