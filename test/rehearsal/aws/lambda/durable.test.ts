import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type Event,
  GetDurableExecutionCommand,
  GetDurableExecutionHistoryCommand,
  InvokeCommand,
  LambdaClient,
  ListDurableExecutionsByFunctionCommand,
  SendDurableExecutionCallbackHeartbeatCommand,
} from '@aws-sdk/client-lambda';
import { executionsOf } from '../../../../functions/shared/run/executions.ts';
import { AwsError } from '../../../../rehearsal/aws/aws-error.ts';
import { ACCOUNT, HOUR, MINUTE, START } from '../deploy.ts';
import { ALIAS, ended, HISTORIES, marks, withJob } from './durable-job.ts';

async function historyOf(
  lambda: LambdaClient,
  DurableExecutionArn: string,
  others: { ReverseOrder?: boolean; IncludeExecutionData?: boolean; MaxItems?: number } = {},
): Promise<Event[]> {
  const events: Event[] = [];
  let Marker: string | undefined;
  do {
    const page = await lambda.send(
      new GetDurableExecutionHistoryCommand({
        DurableExecutionArn,
        IncludeExecutionData: true,
        ...others,
        ...(Marker !== undefined && { Marker }),
      }),
    );
    events.push(...(page.Events ?? []));
    Marker = page.NextMarker;
  } while (Marker !== undefined);
  return events;
}

for (const [mode, expected] of Object.entries(HISTORIES) as [keyof typeof HISTORIES, readonly string[]][])
  test(`the history of ${mode} has each attempt, each poll and each invocation, numbered in order`, () =>
    withJob(async (start, { clock, lambda }) => {
      const arn = await start(mode, { until: new Date(START + 5 * MINUTE).toISOString() });
      await clock.runUntil(START + 2 * HOUR);
      const events = await historyOf(lambda, arn);
      assert.deepEqual(
        events.map(({ EventType, Name }) => [EventType, Name].filter(Boolean).join(' ')),
        expected,
      );
      assert.deepEqual(
        events.map(({ EventId }) => EventId),
        expected.map((_, index) => index + 1),
      );
      const [first] = events;
      assert.equal(JSON.parse(first?.ExecutionStartedDetails?.Input?.Payload ?? '{}').mode, mode);
      const reversed = await historyOf(lambda, arn, { ReverseOrder: true, MaxItems: 3 });
      assert.deepEqual(
        reversed.map(({ EventId }) => EventId),
        expected.map((_, index) => expected.length - index),
      );
      const [bare] = await historyOf(lambda, arn, { IncludeExecutionData: false });
      assert.deepEqual(bare?.ExecutionStartedDetails?.Input, { Truncated: true });
    }));

test('an invocation that crashes is repeated, ever later, until the execution times out', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    const arn = await start('poisoned');
    await clock.runUntil(START + HOUR);
    const [status] = await ended(lambda, arn);
    assert.equal(status, 'RUNNING');
    const [{ invocations = 0 } = {}] = aws.lambda.durable.list();
    // Nine in the first eight and a half minutes, then one each five minutes.
    assert.ok(invocations >= 17 && invocations <= 22, `${invocations} invocations`);
    const events = await historyOf(lambda, arn, { ReverseOrder: true, MaxItems: 2 });
    const crashed = events.find(({ EventType }) => EventType === 'InvocationCompleted');
    assert.match(crashed?.InvocationCompletedDetails?.Error?.Payload?.ErrorMessage ?? '', /SIGKILL/);
  }));

test('what goes on when a new version is deployed ends under the version that it began with, though its process is gone', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    const next = mkdtempSync(join(tmpdir(), 'next-version-'));
    writeFileSync(
      join(next, 'index.mjs'),
      "export const handler = async () => { throw new Error('The next version does not know this run.'); };",
    );
    try {
      const [waiting, looking] = [await start('wait'), await start('condition')];
      await clock.runUntil(START + 1000);
      assert.deepEqual(await ended(lambda, waiting), ['RUNNING', undefined]);
      aws.lambda.deployVersion('job', next);
      aws.killFunction('job');
      const later = await start('wait', {}, 'later');
      await clock.runUntil(START + 2 * HOUR);
      assert.deepEqual(await ended(lambda, waiting), ['SUCCEEDED', '"after"']);
      assert.equal((await ended(lambda, looking))[0], 'SUCCEEDED');
      assert.notEqual((await ended(lambda, later))[0], 'SUCCEEDED');
    } finally {
      rmSync(next, { recursive: true });
    }
  }));

test('a checkpoint that is throttled ends the invocation, which is repeated: nothing is lost', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    aws.onCall(({ operation }) =>
      operation === 'CheckpointDurableExecution' && aws.lambda.durable.list()[0]?.invocations === 1
        ? new AwsError('TooManyRequestsException', 'Rate exceeded')
        : undefined,
    );
    const arn = await start('wait');
    await clock.runUntil(START + 2 * HOUR);
    assert.deepEqual(await ended(lambda, arn), ['SUCCEEDED', '"after"']);
    const invocations = (await historyOf(lambda, arn)).filter(
      ({ EventType }) => EventType === 'InvocationCompleted',
    );
    const [first, ...others] = invocations.map(
      ({ InvocationCompletedDetails: details }) => details?.Error?.Payload?.ErrorMessage,
    );
    assert.match(first ?? '', /Checkpoint failed: Rate exceeded/);
    assert.deepEqual(others, [undefined, undefined]);
  }));

test('what is on record is given to whoever asks for it, and to nobody else', () =>
  withJob(async (start, { clock, lambda }) => {
    const DurableExecutionArn = await start('environment');
    await clock.runUntil(START + HOUR);
    const of = async (IncludeExecutionData?: boolean) => {
      const { Result, InputPayload, ExecutionDataIncluded } = await lambda.send(
        new GetDurableExecutionCommand({
          DurableExecutionArn,
          ...(IncludeExecutionData !== undefined && { IncludeExecutionData }),
        }),
      );
      return [Result !== undefined, InputPayload !== undefined, ExecutionDataIncluded];
    };
    assert.deepEqual(await of(true), [true, true, true]);
    assert.deepEqual(await of(), [false, false, false]);
  }));

/** Lambda Developer Guide, "Encrypting AWS Lambda durable execution data". */
test('what is on record under a key of one’s own is written by Lambda, and read by whom the key lets, the function’s role among them', () =>
  withJob(
    async (start, { aws, clock, client, lambda }) => {
      const [key] = aws.deployed.ofType('AWS::KMS::Key');
      assert.ok(key);
      const withoutLambda = aws.access.withdraw(key.arn, 'Lambda');
      await assert.rejects(start('wait'), /KMSAccessDenied|kms:GenerateDataKey/);
      withoutLambda();
      const withoutRole = aws.access.withdraw(key.arn, 'Role');
      const refused = await start('wait', {}, 'refused');
      await clock.runUntil(START + 2 * HOUR);
      withoutRole();
      const [status, message] = await ended(lambda, refused);
      assert.equal(status, 'FAILED');
      assert.match(String(message), /kms:Decrypt/);
      const permitted = await start('wait', {}, 'let');
      await clock.runUntil(START + 4 * HOUR);
      assert.deepEqual(await ended(lambda, permitted), ['SUCCEEDED', '"after"']);
      const stranger = new LambdaClient(client([{ Effect: 'Allow', Action: 'lambda:*', Resource: '*' }]));
      const asked = (IncludeExecutionData: boolean) =>
        stranger.send(
          new GetDurableExecutionCommand({ DurableExecutionArn: permitted, IncludeExecutionData }),
        );
      assert.equal((await asked(false)).Status, 'SUCCEEDED');
      await assert.rejects(asked(true), /kms:Decrypt/);
      stranger.destroy();
    },
    (templates) => {
      for (const { Resources: resources } of Object.values(templates)) {
        const [, job] =
          Object.entries(resources).find(([, { Type }]) => Type === 'AWS::Lambda::Function') ?? [];
        const [role] = Object.entries(resources).find(([, { Type }]) => Type === 'AWS::IAM::Role') ?? [];
        assert.ok(job?.Properties && role);
        Object.assign(job.Properties.DurableConfig as object, {
          KMSKeyArn: { 'Fn::GetAtt': ['Key', 'Arn'] },
        });
        const statement = (Sid: string, Action: string | string[], Principal: object) => ({
          Sid,
          Effect: 'Allow',
          Action,
          Resource: '*',
          Principal,
        });
        resources.Key = {
          Type: 'AWS::KMS::Key',
          Properties: {
            KeyPolicy: {
              Version: '2012-10-17',
              Statement: [
                // By their own policies: the role has none for keys.
                statement('Account', 'kms:*', { AWS: `arn:aws:iam::${ACCOUNT}:root` }),
                statement('Lambda', ['kms:GenerateDataKey', 'kms:Decrypt'], {
                  Service: 'lambda.amazonaws.com',
                }),
                statement('Role', 'kms:Decrypt', { AWS: { 'Fn::GetAtt': [role, 'Arn'] } }),
              ],
            },
          },
        };
      }
    },
  ));

test('the list is in the order that the text of its day says, and takes one status', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    for (const name of ['first', 'second', 'third']) {
      await start('environment', {}, name);
      await clock.runUntil(clock.now() + MINUTE);
    }
    const names = async (ReverseOrder?: boolean) => {
      const { DurableExecutions = [] } = await lambda.send(
        new ListDurableExecutionsByFunctionCommand({
          FunctionName: 'job',
          ...(ReverseOrder !== undefined && { ReverseOrder }),
        }),
      );
      return DurableExecutions.map(({ DurableExecutionName }) => DurableExecutionName);
    };
    assert.deepEqual(await names(), ['third', 'second', 'first']);
    assert.deepEqual(await names(true), ['first', 'second', 'third']);
    aws.lambda.durable.listOrder = 'oldest first';
    assert.deepEqual(await names(), ['first', 'second', 'third']);
    aws.lambda.durable.unqualifiedList = '$LATEST';
    assert.deepEqual(await names(), []);
    const found = (await executionsOf(lambda, 'job')).map((execution) => execution.DurableExecutionName);
    assert.deepEqual(found, ['third', 'second', 'first'], 'by neither text');
    assert.deepEqual(await executionsOf(lambda, 'job', { Statuses: ['RUNNING'] }), []);
    await assert.rejects(
      lambda.send(
        new ListDurableExecutionsByFunctionCommand({ FunctionName: 'job', Statuses: ['RUNNING', 'FAILED'] }),
      ),
      /exactly one/,
    );
    await assert.rejects(
      lambda.send(new ListDurableExecutionsByFunctionCommand({ FunctionName: 'job', MaxItems: 1001 })),
      /at most 1000/,
    );
  }));

test('a callback without heartbeats times out; each heartbeat puts that off, up to the whole time', () =>
  withJob(async (start, { aws, clock, lambda }) => {
    const arn = await start('heartbeats');
    await clock.runUntil(START + 5 * MINUTE);
    const CallbackId = String(marks(aws)[0]);
    const beat = () => lambda.send(new SendDurableExecutionCallbackHeartbeatCommand({ CallbackId }));
    await beat();
    await clock.runUntil(START + 14 * MINUTE);
    assert.equal((await ended(lambda, arn))[0], 'RUNNING');
    await clock.runUntil(START + 16 * MINUTE);
    const [status, message] = await ended(lambda, arn);
    assert.equal(status, 'FAILED');
    assert.match(String(message), /timed out on heartbeat/);
    const timedOut = (await historyOf(lambda, arn)).find(({ EventType }) => EventType === 'CallbackTimedOut');
    assert.equal(timedOut?.CallbackTimedOutDetails?.Error?.Payload?.ErrorType, 'Callback.Heartbeat');
    await assert.rejects(beat(), /has ended/);
  }));

test('what users met as the largest result, an answer of more than 1 MB, and names that are not plain ASCII, are refused', () =>
  withJob(async (start, { clock, lambda }) => {
    const [large, answer, named] = [await start('large'), await start('answer'), await start('named')];
    await clock.runUntil(START + MINUTE);
    assert.match(String((await ended(lambda, large))[1]), /less than or equal to 262144 bytes/);
    assert.match(String((await ended(lambda, answer))[1]), /at most 1048576 bytes/);
    assert.match(String((await ended(lambda, named))[1]), /not of the form/);
  }));

test('a chained invocation, which the stand-in has not, is refused by name when it is created', () =>
  withJob(async (start, { clock, lambda }) => {
    const arn = await start('chained');
    await clock.runUntil(START + MINUTE);
    assert.match(String((await ended(lambda, arn))[1]), /has no operations of the type CHAINED_INVOKE/);
  }));

test('is not waited for where it may last over fifteen minutes', () =>
  withJob(async (_start, { lambda }) => {
    await assert.rejects(
      lambda.send(new InvokeCommand({ FunctionName: ALIAS, Payload: '{"mode":"environment"}' })),
      /executionTimeout greater than 15 minutes/,
    );
  }));
