import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { LambdaClient, ListFunctionsCommand } from '@aws-sdk/client-lambda';
import { ListQueuesCommand, SQSClient } from '@aws-sdk/client-sqs';

test('npm run stand-in serves the sample deployments to any AWS client until it is interrupted', async () => {
  const standIn = spawn('node', ['rehearsal/stand-in.ts'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(standIn, 'exit');
  let printed = '';
  for await (const text of standIn.stdout.setEncoding('utf8')) {
    printed += text;
    if (printed.includes('emea: WebApp on')) break;
  }
  try {
    const value = (name: string) => new RegExp(`${name}=(\\S+)`).exec(printed)?.[1] ?? '';
    const options = {
      endpoint: value('AWS_ENDPOINT_URL'),
      region: value('AWS_REGION'),
      credentials: {
        accessKeyId: value('AWS_ACCESS_KEY_ID'),
        secretAccessKey: value('AWS_SECRET_ACCESS_KEY'),
        sessionToken: value('AWS_SESSION_TOKEN'),
      },
    };
    const { Functions: functions } = await new LambdaClient(options).send(new ListFunctionsCommand({}));
    assert.ok(functions?.some(({ FunctionName: name }) => name === 'latam-message-gc'));
    const { QueueUrls: queues } = await new SQSClient(options).send(new ListQueuesCommand({}));
    assert.ok(queues?.some((url) => url.endsWith('/latam-gc-notifications')));
  } finally {
    standIn.kill('SIGINT');
  }
  assert.deepEqual(await ended, [0, null]);
});
