import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetDurableExecutionCommand, InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { Duration, type Stack } from 'aws-cdk-lib';
import { Rule } from 'aws-cdk-lib/aws-events';
import { SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Alias,
  Architecture,
  Code,
  type IVersion,
  Function as LambdaFunction,
  Runtime,
} from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { buildSync } from 'esbuild';
import type { Aws } from '../../../../rehearsal/aws/server.ts';
import type { Template } from '../../../../rehearsal/aws/template/assembly.ts';
import { reportsOf } from '../../../../rehearsal/run-reports.ts';
import { ACCOUNT, type Deployment, deploy, REGION } from '../deploy.ts';
import type { FixtureEvent } from './fixtures/durable.ts';

/** Where the fixture's bundle lies. */
export const bundle = mkdtempSync(join(tmpdir(), 'durable-fixture-'));
// Several files of one process use it.
process.once('exit', () => rmSync(bundle, { recursive: true }));
buildSync({
  entryPoints: [join(import.meta.dirname, 'fixtures/durable.ts')],
  outfile: join(bundle, 'index.mjs'),
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  minify: true,
  keepNames: true,
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
});

export function defineDurable(stack: Stack): void {
  const logGroup = new LogGroup(stack, 'Log', { logGroupName: '/aws/lambda/job' });
  const role = new Role(stack, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
  const own = `arn:aws:lambda:${REGION}:${ACCOUNT}:function:job:*`;
  role.addToPolicy(
    new PolicyStatement({
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      resources: [logGroup.logGroupArn],
    }),
  );
  role.addToPolicy(
    new PolicyStatement({
      actions: ['lambda:CheckpointDurableExecution', 'lambda:GetDurableExecutionState'],
      resources: [own],
    }),
  );
  role.addToPolicy(
    new PolicyStatement({
      actions: ['events:PutEvents'],
      resources: [`arn:aws:events:${REGION}:${ACCOUNT}:event-bus/default`],
    }),
  );
  const dead = new Queue(stack, 'Dead', { queueName: 'dead' });
  const job = new LambdaFunction(stack, 'Job', {
    functionName: 'job',
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    handler: 'index.handler',
    code: Code.fromAsset(bundle),
    timeout: Duration.minutes(15),
    role,
    logGroup,
    environment: { SETTING: 'value' },
    durableConfig: { executionTimeout: Duration.hours(24), retentionPeriod: Duration.days(30) },
    deadLetterQueue: dead,
  });
  new Alias(stack, 'Live', { aliasName: 'live', version: job.currentVersion as IVersion });
  new Rule(stack, 'Ended', {
    eventPattern: {
      source: ['aws.lambda'],
      detailType: ['Durable Execution Status Change'],
      detail: { status: ['FAILED', 'TIMED_OUT', 'STOPPED'], functionArn: [{ prefix: job.functionArn }] },
    },
    targets: [new SqsQueue(new Queue(stack, 'Lost', { queueName: 'lost' }))],
  });
}

export const ALIAS = `arn:aws:lambda:${REGION}:${ACCOUNT}:function:job:live`;

/** What the fixture says through the bus. */
export const marks = (aws: Aws) => reportsOf(aws).map((report) => Object.values({ ...report })[0]);

/** Deploys the fixture to a stand-in of its own, and starts executions of it. */
export function withJob(
  work: (
    start: (mode: FixtureEvent['mode'], others?: Partial<FixtureEvent>, name?: string) => Promise<string>,
    tools: Pick<Deployment, 'aws' | 'clock' | 'client'> & { lambda: LambdaClient },
  ) => Promise<void>,
  change?: (templates: Record<string, Template>) => void,
): Promise<void> {
  return deploy(
    defineDurable,
    async ({ aws, clock, client }) => {
      const lambda = new LambdaClient(client());
      await work(
        async (mode, others = {}, name = mode) => {
          const { DurableExecutionArn = '', StatusCode } = await lambda.send(
            new InvokeCommand({
              FunctionName: ALIAS,
              InvocationType: 'Event',
              Payload: JSON.stringify({ mode, ...others }),
              DurableExecutionName: name,
            }),
          );
          assert.equal(StatusCode, 202);
          return DurableExecutionArn;
        },
        { aws, clock, client, lambda },
      );
      lambda.destroy();
    },
    { isDeployedOften: true, ...(change && { change }) },
  );
}

/** As AWS publishes them beside its SDK's examples: `multiple-waits`, `otel-retry-steps`, `map-with-condition-long-poll`. */
export const HISTORIES = {
  wait: [
    'ExecutionStarted',
    'StepStarted before',
    'StepSucceeded before',
    'WaitStarted pause',
    'InvocationCompleted',
    'WaitSucceeded pause',
    'StepStarted after',
    'StepSucceeded after',
    'InvocationCompleted',
    'ExecutionSucceeded',
  ],
  condition: [
    'ExecutionStarted',
    'StepStarted three looks',
    'StepSucceeded three looks',
    'InvocationCompleted',
    'StepStarted three looks',
    'StepSucceeded three looks',
    'InvocationCompleted',
    'StepStarted three looks',
    'StepSucceeded three looks',
    'InvocationCompleted',
    'ExecutionSucceeded',
  ],
  retry: [
    'ExecutionStarted',
    'StepStarted flaky',
    'StepFailed flaky',
    'InvocationCompleted',
    'StepStarted flaky',
    'StepSucceeded flaky',
    'InvocationCompleted',
    'ExecutionSucceeded',
  ],
} as const;

/** How an execution ended, and with what. */
export const ended = async (lambda: LambdaClient, DurableExecutionArn: string) => {
  const {
    Status,
    Result,
    Error: error,
  } = await lambda.send(new GetDurableExecutionCommand({ DurableExecutionArn, IncludeExecutionData: true }));
  return [Status, Result ?? error?.ErrorMessage];
};
