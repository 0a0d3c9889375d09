import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as realTime } from 'node:timers/promises';
import {
  CheckpointDurableExecutionCommand,
  DurableExecutionAlreadyStartedException,
  GetDurableExecutionCommand,
  GetDurableExecutionHistoryCommand,
  InvokeCommand,
  type LambdaClient,
  ListDurableExecutionsByFunctionCommand,
  SendDurableExecutionCallbackSuccessCommand,
  StopDurableExecutionCommand,
} from '@aws-sdk/client-lambda';
import { HOUR, MINUTE, START } from '../deploy.ts';

import { ALIAS, marks, withJob } from './job.ts';

const ended = async (lambda: LambdaClient, DurableExecutionArn: string) => {
  const {
    Status,
    Result,
    Error: error,
  } = await lambda.send(new GetDurableExecutionCommand({ DurableExecutionArn }));
  return [Status, Result ?? error?.ErrorMessage];
};

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
  }));

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
