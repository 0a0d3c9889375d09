import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Stack } from 'aws-cdk-lib';
import { Alarm, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { EventBus } from 'aws-cdk-lib/aws-events';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { ACCOUNT, deploy, REGION } from './deploy.ts';

function installed(): boolean {
  try {
    execFileSync('aws', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function define(stack: Stack): void {
  new Queue(stack, 'Queue', { queueName: 'orders' });
  new Topic(stack, 'Topic', { topicName: 'alarms' });
  new EventBus(stack, 'Bus', { eventBusName: 'callbacks' });
  new Secret(stack, 'Secret', { secretName: 'login' });
  new Alarm(stack, 'Alarm', {
    alarmName: 'failed',
    metric: new Metric({ namespace: 'Shop', metricName: 'Failures' }),
    threshold: 1,
    evaluationPeriods: 1,
  });
  new LambdaFunction(stack, 'Function', {
    functionName: 'plain',
    runtime: Runtime.NODEJS_24_X,
    handler: 'index.handler',
    code: Code.fromInline('exports.handler = async (event) => event;'),
  });
}

const looks: [command: string, query: string, answer: unknown][] = [
  ['sts get-caller-identity', 'Arn', `arn:aws:iam::${ACCOUNT}:user/tester`],
  ['sqs list-queues', 'length(QueueUrls)', 1],
  ['sns list-topics', 'Topics[].TopicArn', [`arn:aws:sns:${REGION}:${ACCOUNT}:alarms`]],
  ['events list-event-buses', 'EventBuses[].Name', ['default', 'callbacks']],
  ['secretsmanager list-secrets', 'SecretList[].Name', ['login']],
  ['cloudwatch describe-alarms', 'MetricAlarms[].AlarmName', ['failed']],
  ['lambda list-functions', 'Functions[].FunctionName', ['plain']],
  ['lambda invoke --function-name plain /dev/null', 'StatusCode', 200],
];

test(
  'the AWS CLI looks at what is deployed, in the protocols that it chooses',
  { skip: installed() ? false : 'the AWS CLI is not installed on this machine' },
  () =>
    deploy(define, async ({ client }) => {
      const { endpoint, region, credentials } = client();
      const environment = {
        ...process.env,
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
        AWS_SESSION_TOKEN: credentials.sessionToken,
        AWS_DEFAULT_REGION: region,
        AWS_REGION: region,
        AWS_PAGER: '',
      };
      for (const [command, query, answer] of looks) {
        const { stdout } = await promisify(execFile)(
          'aws',
          [...command.split(' '), '--endpoint-url', endpoint, '--output', 'json', '--query', query],
          { env: environment },
        );
        assert.deepEqual(JSON.parse(stdout), answer, command);
      }
    }),
);
