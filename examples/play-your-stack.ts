/**
 * Another's CDK stack, played by the rehearsal's stand-in for AWS on this machine: nothing here is of WhatsApp, nor of upkeep.
 * A schedule puts an order into a queue each morning, and a function that is called an hour later takes it out.
 *
 *     node examples/play-your-stack.ts
 *
 * The function runs as Lambda would run it, under its own role: an action that the stack did not allow is refused, and listed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Duration, Stack, TimeZone } from 'aws-cdk-lib';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { Schedule, ScheduleExpression, ScheduleTargetInput } from 'aws-cdk-lib/aws-scheduler';
import { LambdaInvoke, SqsSendMessage } from 'aws-cdk-lib/aws-scheduler-targets';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { simulatedClock } from '../rehearsal/aws/clock.ts';
import { type Aws, startAws } from '../rehearsal/aws/server.ts';

/** Signs nothing by itself: the AWS SDK that Lambda brings along is what a function of yours would import. */
const BAKER = `
const { SQSClient, ReceiveMessageCommand, DeleteMessageCommand } = require(process.env.SDK);
exports.handler = async () => {
  const sqs = new SQSClient();
  const QueueUrl = process.env.ORDERS;
  const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 1 }));
  for (const { Body, ReceiptHandle } of Messages) {
    console.log('baking ' + Body);
    await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
  }
};
`;

export function bakery(app: App, { mayRead = true } = {}): Stack {
  const stack = new Stack(app, 'bakery', { env: { account: '123456789012', region: 'eu-central-1' } });
  const orders = new Queue(stack, 'Orders', { queueName: 'orders' });
  const baker = new LambdaFunction(stack, 'Baker', {
    functionName: 'baker',
    runtime: Runtime.NODEJS_24_X,
    handler: 'index.handler',
    code: Code.fromInline(BAKER),
    timeout: Duration.seconds(30),
    environment: { ORDERS: orders.queueUrl, SDK: import.meta.resolve('@aws-sdk/client-sqs').slice(7) },
  });
  if (mayRead) orders.grantConsumeMessages(baker);
  const at = (hour: string) =>
    ScheduleExpression.cron({ hour, minute: '0', timeZone: TimeZone.EUROPE_BERLIN });
  new Schedule(stack, 'Order', {
    schedule: at('4'),
    target: new SqsSendMessage(orders, { input: ScheduleTargetInput.fromText('forty rolls') }),
  });
  new Schedule(stack, 'Bake', { schedule: at('5'), target: new LambdaInvoke(baker, {}) });
  return stack;
}

/** Plays a morning of it, and hands over the stand-in at the end. */
export async function playMorning(
  look: (aws: Aws) => void | Promise<void>,
  define: (app: App) => void = (app) => void bakery(app),
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bakery-'));
  const start = Date.parse('2027-01-10T23:00:00Z');
  const clock = simulatedClock(start, folder);
  try {
    const app = new App({ outdir: join(folder, 'cdk.out'), analyticsReporting: false });
    define(app);
    const aws = await startAws({ cdkOut: app.synth().directory, clock });
    try {
      await clock.runUntil(start + 12 * 3600 * 1000);
      await look(aws);
    } finally {
      await aws.close();
    }
  } finally {
    clock.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main)
  await playMorning((aws) => {
    for (const { time, text } of aws.logs) console.log(`${new Date(time).toISOString()}  ${text}`);
    console.log(`orders left: ${aws.sqs.bodies('orders').length}, refused: ${aws.denials.length}`);
  });
