import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  GetFunctionConfigurationCommand,
  InvokeCommand,
  LambdaClient,
  ListFunctionsCommand,
} from '@aws-sdk/client-lambda';
import { Duration, type Stack } from 'aws-cdk-lib';
import { CfnVPCEndpoint, SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { deploy, HOUR, MINUTE, REGION, START } from '../deploy.ts';
import { ALIAS, defineDurable, marks } from './job.ts';

const code = (text: string) => Code.fromInline(`exports.handler = async (event, context) => { ${text} };`);

function ordinary(stack: Stack, text: string, others: object = {}) {
  return new LambdaFunction(stack, 'Plain', {
    functionName: 'plain',
    runtime: Runtime.NODEJS_24_X,
    handler: 'index.handler',
    code: code(text),
    timeout: Duration.seconds(30),
    ...others,
  });
}

test('runs an ordinary function, keeps its process warm for a while, and gives concurrency another', () =>
  deploy(
    (stack) =>
      void ordinary(
        stack,
        'await new Promise((resolve) => setTimeout(resolve, event.wait)); return [process.pid, event, context.functionName, new Date().getUTCFullYear()];',
      ),
    async ({ aws, clock, client }) => {
      const lambda = new LambdaClient(client());
      const invoke = async (wait = 0) => {
        const { Payload, FunctionError } = await lambda.send(
          new InvokeCommand({ FunctionName: 'plain', Payload: JSON.stringify({ a: 'ä', wait }) }),
        );
        assert.equal(FunctionError, undefined);
        return JSON.parse(Buffer.from(Payload ?? '').toString());
      };
      const [first, event, name, year] = await invoke();
      assert.deepEqual([event, name, year], [{ a: 'ä', wait: 0 }, 'plain', 2027]);
      assert.equal((await invoke())[0], first);
      const both = await Promise.all([invoke(300), invoke(300)]);
      assert.equal(new Set(both.map(([pid]) => pid)).size, 2);
      await clock.runUntil(START + 10 * MINUTE);
      assert.deepEqual(aws.lambda.processes, { plain: 0 });
      const { Functions } = await lambda.send(new ListFunctionsCommand({}));
      assert.deepEqual(
        Functions?.map(({ FunctionName }) => FunctionName),
        ['plain'],
      );
      const { Timeout } = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName: 'plain' }));
      assert.equal(Timeout, 30);
      lambda.destroy();
    },
  ));

test('says how an invocation failed: by its code, by its end, by its time', () =>
  deploy(
    (stack) =>
      void ordinary(
        stack,
        'if (event === 1) throw new RangeError("no"); if (event === 2) process.exit(3); await new Promise(() => setInterval(() => {}, 1000));',
        { timeout: Duration.seconds(1) },
      ),
    async ({ client }) => {
      const lambda = new LambdaClient(client());
      const errors: string[] = [];
      for (const event of ['1', '2', '3']) {
        const { Payload, FunctionError } = await lambda.send(
          new InvokeCommand({ FunctionName: 'plain', Payload: event }),
        );
        assert.equal(FunctionError, 'Unhandled');
        const { errorType, errorMessage } = JSON.parse(Buffer.from(Payload ?? '').toString());
        errors.push(`${errorType}: ${errorMessage.replace(/RequestId: \S+ /, '')}`);
      }
      assert.deepEqual(errors, [
        'RangeError: no',
        'Runtime.ExitError: Error: Runtime exited with error: exit status 3',
        'Sandbox.Timedout: Error: Task timed out after 1.00 seconds',
      ]);
      lambda.destroy();
    },
  ));

test('tries an asynchronous event again, one and two minutes later, then sends it to its destination', () =>
  deploy(
    (stack) => {
      const failed = new Queue(stack, 'Failed', { queueName: 'failed' });
      ordinary(stack, 'console.log("try"); throw new Error("no");', {
        onFailure: new SqsDestination(failed),
        retryAttempts: 2,
      });
    },
    async ({ aws, clock, client }) => {
      const lambda = new LambdaClient(client());
      await lambda.send(
        new InvokeCommand({ FunctionName: 'plain', InvocationType: 'Event', Payload: '{"a":1}' }),
      );
      await clock.runUntil(START + 10 * MINUTE);
      const tries = aws.logs
        .filter(({ text }) => text === 'try')
        .map(({ time }) => Math.round((time - START) / MINUTE));
      assert.deepEqual(tries, [0, 1, 3]);
      const [body] = aws.sqs.bodies('failed');
      const { requestPayload, requestContext, responsePayload } = JSON.parse(body ?? '{}');
      assert.deepEqual(requestPayload, { a: 1 });
      assert.equal(requestContext.condition, 'RetriesExhausted');
      assert.equal(responsePayload.errorMessage, 'no');
      assert.equal(aws.cloudWatch.total('AWS/Lambda', 'Errors', { FunctionName: 'plain' }), 3);
      lambda.destroy();
    },
  ));

test('an interceptor fails the first attempts of a function', () =>
  deploy(
    (stack) => void ordinary(stack, 'console.log("worked");'),
    async ({ aws, clock, client }) => {
      const lambda = new LambdaClient(client());
      aws.onInvoke(({ functionName, attempt }) =>
        functionName === 'plain' && attempt < 3 ? new Error('not yet') : undefined,
      );
      await lambda.send(new InvokeCommand({ FunctionName: 'plain', InvocationType: 'Event' }));
      await clock.runUntil(START + 10 * MINUTE);
      assert.deepEqual(aws.logs.filter(({ text }) => text === 'worked').length, 1);
      lambda.destroy();
    },
  ));

function inVpc(stack: Stack): void {
  const vpc = Vpc.fromVpcAttributes(stack, 'Vpc', {
    vpcId: 'vpc-0123456789abcdef0',
    availabilityZones: ['eu-central-1a'],
  });
  ordinary(stack, 'return 1;', {
    vpc,
    vpcSubnets: { subnets: [Subnet.fromSubnetId(stack, 'Subnet', 'subnet-0123456789abcdef0')] },
    securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-0123456789abcdef0')],
  });
}

test('a function in a VPC needs what Lambda needs to put it there', () =>
  deploy(
    (stack) => {
      inVpc(stack);
      const fn = stack.node.findChild('Plain');
      assert.ok(fn instanceof LambdaFunction);
      fn.addToRolePolicy(
        new PolicyStatement({ effect: Effect.DENY, actions: ['ec2:DescribeSubnets'], resources: ['*'] }),
      );
    },
    async ({ aws, client }) => {
      const lambda = new LambdaClient(client());
      const { Payload } = await lambda.send(new InvokeCommand({ FunctionName: 'plain' }));
      assert.match(
        Buffer.from(Payload ?? '').toString(),
        /AccessDenied.*ec2:DescribeSubnets on resource: \*/,
      );
      assert.equal(aws.denials.length, 1);
      lambda.destroy();
    },
  ));

for (const [services, reached] of [
  [['sqs'], 'no'],
  [['sqs', 'events'], 'yes'],
] as const) {
  test(`a function in a VPC with endpoints for ${services.join(' and ')} reaches EventBridge: ${reached}`, () =>
    deploy(
      (stack) => {
        defineDurable(stack);
        for (const service of [...services, 'lambda']) {
          new CfnVPCEndpoint(stack, service, {
            vpcId: 'vpc-0123456789abcdef0',
            vpcEndpointType: 'Interface',
            serviceName: `com.amazonaws.${REGION}.${service}`,
          });
        }
      },
      async ({ aws, clock, client }) => {
        const lambda = new LambdaClient(client());
        const payload = { FunctionName: ALIAS, InvocationType: 'Event', Payload: '{"mode":"wait"}' } as const;
        await lambda.send(new InvokeCommand(payload));
        await clock.runUntil(START + 3 * HOUR);
        assert.deepEqual([...(aws.servicesFromVpc.get('job') ?? [])].sort(), ['events', 'lambda']);
        assert.equal(marks(aws).length > 0, reached === 'yes');
        assert.equal(
          aws.dropped.some(({ reason }) => reason.includes('no interface endpoint for events')),
          reached === 'no',
        );
        lambda.destroy();
      },
      {
        change: (templates) => {
          for (const { Type, Properties = {} } of Object.values(templates.test?.Resources ?? {})) {
            if (Type === 'AWS::Lambda::Function') {
              Properties.VpcConfig = { SubnetIds: ['subnet-0123456789abcdef0'], SecurityGroupIds: [] };
            } else if (Type === 'AWS::IAM::Role') {
              const Statement = { Effect: 'Allow', Action: 'ec2:*', Resource: '*' };
              Properties.Policies = [{ PolicyName: 'Network', PolicyDocument: { Statement } }];
            }
          }
        },
      },
    ));
}
