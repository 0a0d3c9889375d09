// In one file though long: all of it is played with one bundled job.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as realTime } from 'node:timers/promises';
import {
  CheckpointDurableExecutionCommand,
  DurableExecutionAlreadyStartedException,
  GetDurableExecutionHistoryCommand,
  GetFunctionConfigurationCommand,
  InvokeCommand,
  LambdaClient,
  ListDurableExecutionsByFunctionCommand,
  ListFunctionsCommand,
  SendDurableExecutionCallbackSuccessCommand,
  StopDurableExecutionCommand,
} from '@aws-sdk/client-lambda';
import { Duration, type Stack } from 'aws-cdk-lib';
import { CfnVPCEndpoint, SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Template } from '../../../../rehearsal/aws/template/assembly.ts';
import { deploy, HOUR, MINUTE, REGION, START } from '../deploy.ts';
import { ALIAS, defineDurable, ended, marks, withJob } from './durable-job.ts';

test('waits on the clock, without a process, and does no step twice', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    const arn = await start('wait');
    assert.match(arn, /:function:job:1\/durable-execution\/wait\/[0-9a-f-]{36}$/);
    await clock.runUntil(START + 10 * MINUTE);
    assert.deepEqual(marks(aws), ['before']);
    assert.deepEqual(aws.lambda.processes, { job: 0 });
    await clock.runUntil(START + HOUR);
    assert.deepEqual(marks(aws), ['before', 'after']);
    assert.deepEqual(await ended(lambda, arn), ['SUCCEEDED', '"after"']);
    const [{ invocations } = { invocations: 0 }] = aws.lambda.durable.list();
    assert.equal(invocations, 2);
    const { Events = [] } = await lambda.send(
      new GetDurableExecutionHistoryCommand({ DurableExecutionArn: arn }),
    );
    assert.ok(Events.some(({ EventType, Name }) => EventType === 'WaitSucceeded' && Name === 'pause'));
    assert.deepEqual(aws.denials, []);
    assert.deepEqual(aws.dropped, []);
    assert.equal(aws.cloudWatch.total('AWS/Lambda', 'DurableExecutionSucceeded', { FunctionName: 'job' }), 1);
  }));

test('tries a step again when its delay is over', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    const arn = await start('retry', { until: new Date(START + 5 * MINUTE).toISOString() });
    await clock.runUntil(START + HOUR);
    assert.deepEqual(marks(aws), ['tried', 'tried']);
    assert.deepEqual(await ended(lambda, arn), ['SUCCEEDED', '"worked"']);
  }));

test('looks again and again for a condition, with its state kept', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    const arn = await start('condition');
    await clock.runUntil(START + HOUR);
    assert.deepEqual(marks(aws), ['look 0', 'look 1', 'look 2']);
    assert.deepEqual(await ended(lambda, arn), ['SUCCEEDED', '3']);
  }));

test('replays a map of many operations from pages of its state', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    aws.lambda.durable.page = 10;
    const arn = await start('map');
    await clock.runUntil(START + 2 * HOUR);
    assert.deepEqual(await ended(lambda, arn), ['SUCCEEDED', String(29 * 30)]);
    const [{ operations } = { operations: [] }] = aws.lambda.durable.list();
    assert.ok(operations.length > 60);
    assert.ok(aws.calls.filter(({ action }) => action === 'lambda:GetDurableExecutionState').length >= 3);
  }));

test('is invoked again when its process was killed, and replays', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    const arn = await start('hang');
    const killing = (async () => {
      while (marks(aws).length === 0) await realTime(5);
      assert.equal(aws.killFunction('job'), 1);
    })();
    await Promise.all([clock.runUntil(START + HOUR), killing]);
    assert.deepEqual(marks(aws), ['slow', 'slow']);
    assert.deepEqual(await ended(lambda, arn), ['SUCCEEDED', '"slept"']);
    assert.ok(aws.logs.some(({ text }) => text.includes('signal: SIGKILL')));
  }));

test('does not repeat an at-most-once step in which its process was killed', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    const arn = await start('once');
    const killing = (async () => {
      while (marks(aws).length === 0) await realTime(5);
      aws.killFunction('job');
    })();
    await Promise.all([clock.runUntil(START + HOUR), killing]);
    assert.deepEqual(marks(aws), ['slow']);
    const [status] = await ended(lambda, arn);
    assert.equal(status, 'FAILED');
  }));

test('finds an execution by its name again, and refuses the name with another payload', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    const first = await start('wait', {}, 'night');
    assert.equal(await start('wait', {}, 'night'), first);
    await assert.rejects(start('fail', {}, 'night'), DurableExecutionAlreadyStartedException);
    await clock.runUntil(START + HOUR);
    assert.equal(await start('wait', {}, 'night'), first);
    await start('forever');
    const list = (input: object = {}) =>
      lambda.send(new ListDurableExecutionsByFunctionCommand({ FunctionName: 'job', ...input }));
    assert.deepEqual(
      (await list({ Statuses: ['RUNNING'] })).DurableExecutions?.map(
        ({ DurableExecutionName: name }) => name,
      ),
      ['forever'],
    );
    assert.equal(
      (await list({ DurableExecutionName: 'night', Qualifier: 'live' })).DurableExecutions?.length,
      1,
    );
    assert.equal((await list()).DurableExecutions?.length, 2);
    await clock.runUntil(START + 40 * 24 * HOUR);
    assert.deepEqual((await list()).DurableExecutions, []);
    assert.notEqual(await start('wait', {}, 'night'), first);
    assert.deepEqual(aws.dropped, []);
  }));

test('tells of the end of a run that failed, timed out or was stopped, and keeps its event', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    const [failed, late, stopped] = [
      await start('fail'),
      await start('forever', {}, 'late'),
      await start('forever'),
    ];
    await clock.runUntil(START + HOUR);
    await lambda.send(new StopDurableExecutionCommand({ DurableExecutionArn: stopped }));
    await clock.runUntil(START + 30 * HOUR);
    assert.deepEqual(await ended(lambda, failed), ['FAILED', 'not today']);
    assert.equal((await ended(lambda, late))[0], 'TIMED_OUT');
    assert.deepEqual(
      aws.sqs.bodies('lost').map((body) => {
        const { detail, source } = JSON.parse(body);
        return [source, detail.durableExecutionName, detail.status];
      }),
      [
        ['aws.lambda', 'fail', 'FAILED'],
        ['aws.lambda', 'forever', 'STOPPED'],
        ['aws.lambda', 'late', 'TIMED_OUT'],
      ],
    );
    assert.equal(aws.sqs.bodies('dead').length, 3);
    assert.equal(aws.cloudWatch.total('AWS/Lambda', 'DurableExecutionTimedOut', { FunctionName: 'job' }), 1);
  }));

test('waits for a callback', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    const arn = await start('callback');
    await clock.runUntil(START + HOUR);
    const [CallbackId] = marks(aws);
    await lambda.send(
      new SendDurableExecutionCallbackSuccessCommand({
        CallbackId: String(CallbackId),
        Result: Buffer.from('yes'),
      }),
    );
    await clock.runUntil(START + 2 * HOUR);
    assert.deepEqual(await ended(lambda, arn), ['SUCCEEDED', '"yes"']);
  }));

test('refuses a stale checkpoint token', () =>
  withJob(async (start, { clock, lambda }) => {
    const DurableExecutionArn = await start('forever');
    await clock.runUntil(START + MINUTE);
    await assert.rejects(
      lambda.send(
        new CheckpointDurableExecutionCommand({ DurableExecutionArn, CheckpointToken: 'old', Updates: [] }),
      ),
      /Invalid Checkpoint Token/,
    );
  }));

/** Lambda refuses to wait for longer ones. */
function lastsTenMinutes(templates: Record<string, Template>): void {
  for (const { Type, Properties = {} } of Object.values(templates.test?.Resources ?? {})) {
    if (Type === 'AWS::Lambda::Function') Properties.DurableConfig = { ExecutionTimeout: 600 };
  }
}

test("answers a synchronous invocation with the execution's result", () =>
  withJob(async (_start, { clock, lambda }) => {
    const invoked = lambda.send(
      new InvokeCommand({ FunctionName: ALIAS, Payload: JSON.stringify({ mode: 'environment' }) }),
    );
    let settled = false;
    void invoked.finally(() => {
      settled = true;
    });
    while (!settled) {
      await clock.runUntil(clock.now() + 100);
      await realTime(5);
    }
    const names: string[] = JSON.parse(Buffer.from((await invoked).Payload ?? '').toString());
    const own = names.filter((name) => !/^(AWS_|REHEARSAL_|LAMBDA_|_HANDLER$|PATH$|LANG$|TZ$)/.test(name));
    assert.deepEqual(own, ['SETTING']);
    assert.ok(names.includes('AWS_SESSION_TOKEN') && names.includes('REHEARSAL_CLOCK'));
    assert.ok(!names.includes('REHEARSAL_HOSTS'));
    await assert.rejects(lambda.send(new InvokeCommand({ FunctionName: 'job' })), /unqualified ARN/);
  }, lastsTenMinutes));

for (const [action, where] of [
  ['lambda:CheckpointDurableExecution', 'the execution fails'],
  ['lambda:GetDurableExecutionState', 'the execution fails'],
  ['logs:CreateLogStream', 'the lines are lost'],
  ['logs:PutLogEvents', 'the lines are lost'],
  ['sqs:SendMessage', 'the execution fails'],
] as const) {
  test(`without ${action} ${where}, and the refusal is on record`, () =>
    withJob(
      async (start, { aws, clock }) => {
        await start('map');
        await clock.runUntil(START + 3 * HOUR);
        assert.ok(
          aws.denials.some((text) => text.includes(`perform: ${action} on resource: arn:aws:`)),
          aws.denials.join('\n'),
        );
        if (where === 'the lines are lost') assert.deepEqual(aws.logs, []);
        else assert.notEqual(aws.lambda.durable.list()[0]?.status, 'SUCCEEDED');
      },
      (templates) => {
        for (const { Type, Properties } of Object.values(templates.test?.Resources ?? {})) {
          if (Type !== 'AWS::IAM::Policy') continue;
          const text = JSON.stringify(Properties).replaceAll(`"${action}"`, '"sts:GetCallerIdentity"');
          Object.assign(Properties ?? {}, JSON.parse(text));
        }
      },
    ));
}

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

test("a process serves another function once its own is given up, which finds nothing of the first's; never after a crash", async () => {
  const invoke = (setting: string, ...events: string[]) => {
    const answers: unknown[][] = [];
    return deploy(
      (stack) =>
        void ordinary(stack, '', {
          memorySize: 333,
          environment: { SETTING: setting },
          code: Code.fromInline(`
            let modules = 0;
            process.on('SIGUSR2', () => {});
            exports.handler = async (event) => {
              if (event === 'crash') process.exit(3);
              globals = (globalThis.globals ?? 0) + 1;
              const { SETTING, AWS_ENDPOINT_URL, NODE_COMPILE_CACHE } = process.env;
              return [process.pid, AWS_ENDPOINT_URL, SETTING, ++modules, globals, process.listenerCount('SIGUSR2'), NODE_COMPILE_CACHE];
            };`),
        }),
      async ({ aws, client }) => {
        const lambda = new LambdaClient(client());
        for (const event of events) {
          const { Payload } = await lambda.send(
            new InvokeCommand({ FunctionName: 'plain', Payload: JSON.stringify(event) }),
          );
          const answer: unknown = JSON.parse(Buffer.from(Payload ?? '').toString());
          if (!Array.isArray(answer)) continue;
          const [pid, endpoint, ...others] = answer;
          assert.equal(endpoint, aws.endpoint);
          answers.push([pid, ...others]);
        }
        lambda.destroy();
      },
    ).then(() => answers);
  };
  const [[pid, ...first] = [], [, ...second] = []] = await invoke('one', 'call', 'call');
  assert.deepEqual(
    [first, second],
    [
      ['one', 1, 1, 1, null],
      ['one', 2, 2, 1, null],
    ],
  );
  assert.deepEqual(await invoke('other', 'call'), [[pid, 'other', 1, 1, 1, null]]);
  const [crashed] = await invoke('third', 'call', 'crash');
  assert.deepEqual(crashed, [pid, 'third', 1, 1, 1, null]);
  const [[another] = []] = await invoke('third', 'call');
  assert.notEqual(another, pid);
});

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
