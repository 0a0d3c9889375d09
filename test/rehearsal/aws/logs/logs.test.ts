import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CloudWatchLogsClient,
  DescribeLogGroupsCommand,
  DescribeLogStreamsCommand,
  FilterLogEventsCommand,
  GetLogEventsCommand,
  paginateFilterLogEvents,
  StartLiveTailCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { ACCOUNT, deploy, HOUR, REGION, START } from '../deploy.ts';

const GROUP = '/aws/lambda/plain';
const DAY = 24 * HOUR;

test("a function's log is read as CloudWatch Logs gives it: by group, stream, time, pattern and page", () =>
  deploy(
    (stack) => {
      new LambdaFunction(stack, 'Function', {
        functionName: 'plain',
        runtime: Runtime.NODEJS_24_X,
        handler: 'index.handler',
        code: Code.fromInline(
          'exports.handler = async ({ words }) => { for (const word of words) console.log(word); if (words[0] === "end") process.exit(1); };',
        ),
        logGroup: new LogGroup(stack, 'Log', { logGroupName: GROUP, retention: RetentionDays.ONE_WEEK }),
      });
    },
    async ({ clock, client }) => {
      const lambda = new LambdaClient(client());
      const logs = new CloudWatchLogsClient(client());
      const say = (...words: string[]) =>
        lambda.send(new InvokeCommand({ FunctionName: 'plain', Payload: JSON.stringify({ words }) }));
      await say('one', 'two');
      await clock.runUntil(START + HOUR);
      await say('three');
      await say('end');

      const { logGroups: groups } = await logs.send(
        new DescribeLogGroupsCommand({ logGroupNamePrefix: '/aws/lambda/' }),
      );
      assert.deepEqual(
        groups?.map(({ logGroupName, retentionInDays, logGroupArn }) => [
          ...[logGroupName, retentionInDays, logGroupArn],
        ]),
        [[GROUP, 7, `arn:aws:logs:${REGION}:${ACCOUNT}:log-group:${GROUP}`]],
      );
      const { logStreams: streams = [] } = await logs.send(
        new DescribeLogStreamsCommand({ logGroupName: GROUP, orderBy: 'LastEventTime', descending: true }),
      );
      // After an hour the first process had been dropped.
      assert.equal(streams.length, 2);
      assert.ok((streams[0]?.lastEventTimestamp ?? 0) >= START + HOUR);

      const all = await logs.send(new FilterLogEventsCommand({ logGroupName: GROUP }));
      const said = (all.events ?? []).map(({ message = '' }) => message.replaceAll(/[\da-f-]{36}/g, 'ID'));
      assert.deepEqual(
        said.map((message) => message.replace(/Duration: .*/, 'Duration: …')),
        [
          ...['START RequestId: ID Version: $LATEST', 'one', 'two', 'END RequestId: ID'],
          ...['REPORT RequestId: ID\tDuration: …', 'START RequestId: ID Version: $LATEST', 'three'],
          ...['END RequestId: ID', 'REPORT RequestId: ID\tDuration: …'],
          ...['START RequestId: ID Version: $LATEST', 'end'],
          'RequestId: ID Error: Runtime exited with error: exit status 1 Runtime.ExitError',
          ...['END RequestId: ID', 'REPORT RequestId: ID\tDuration: …'],
        ],
      );
      const some = await logs.send(
        new FilterLogEventsCommand({
          logGroupName: GROUP,
          filterPattern: '?one ?three',
          startTime: START + HOUR,
        }),
      );
      assert.deepEqual(
        some.events?.map(({ message }) => message),
        ['three'],
      );

      const paged: string[] = [];
      const pages = paginateFilterLogEvents({ client: logs }, { logGroupName: GROUP, limit: 4 });
      for await (const { events = [] } of pages) {
        assert.ok(events.length <= 4);
        paged.push(...events.map(({ eventId = '' }) => eventId));
      }
      assert.deepEqual(
        paged,
        all.events?.map(({ eventId }) => eventId),
      );

      const [{ logStreamName } = {}] = streams;
      const last = await logs.send(new GetLogEventsCommand({ logGroupName: GROUP, logStreamName, limit: 2 }));
      assert.match(last.events?.at(-1)?.message ?? '', /^REPORT /);
      const before = await logs.send(
        new GetLogEventsCommand({
          logGroupName: GROUP,
          logStreamName,
          limit: 2,
          nextToken: last.nextBackwardToken,
        }),
      );
      assert.match(before.events?.at(-1)?.message ?? '', /exit status 1/);
      const after = await logs.send(
        new GetLogEventsCommand({ logGroupName: GROUP, logStreamName, nextToken: last.nextForwardToken }),
      );
      assert.deepEqual([after.events, after.nextForwardToken], [[], last.nextForwardToken]);

      const limited = new CloudWatchLogsClient(
        client({
          Effect: 'Allow',
          Action: 'logs:FilterLogEvents',
          Resource: `arn:aws:logs:${REGION}:${ACCOUNT}:log-group:${GROUP}:*`,
        }),
      );
      await limited.send(new FilterLogEventsCommand({ logGroupName: GROUP }));
      await assert.rejects(
        limited.send(new FilterLogEventsCommand({ logGroupName: '/aws/lambda/other' })),
        /not authorized to perform: logs:FilterLogEvents/,
      );
      await assert.rejects(
        logs.send(new FilterLogEventsCommand({ logGroupName: '/aws/lambda/other' })),
        /The specified log group does not exist/,
      );

      // At another host than that of all else, unless told otherwise.
      const tailing = new CloudWatchLogsClient({ ...client(), disableHostPrefix: true });
      const arn = `arn:aws:logs:${REGION}:${ACCOUNT}:log-group:${GROUP}`;
      const tail = (input: { logGroupIdentifiers: string[]; logEventFilterPattern?: string }) =>
        tailing.send(new StartLiveTailCommand(input));
      const { responseStream = [] } = await tail({
        logGroupIdentifiers: [arn],
        logEventFilterPattern: '?four ?six',
      });
      const saying = say('four', 'five', 'six');
      const tailed: string[] = [];
      for await (const { sessionStart, sessionUpdate } of responseStream) {
        if (sessionStart) assert.deepEqual(sessionStart.logGroupIdentifiers, [arn]);
        assert.notEqual(sessionUpdate?.sessionMetadata?.sampled, true);
        tailed.push(...(sessionUpdate?.sessionResults ?? []).map(({ message = '' }) => message));
        if (tailed.length > 1) break;
      }
      await saying;
      assert.deepEqual(tailed, ['four', 'six']);
      await assert.rejects(tail({ logGroupIdentifiers: [arn.replace('plain', 'other')] }), {
        name: 'ResourceNotFoundException',
      });

      await clock.runUntil(START + 8 * DAY);
      const kept = await logs.send(new FilterLogEventsCommand({ logGroupName: GROUP }));
      assert.deepEqual(kept.events, []);
      for (const each of [lambda, logs, limited, tailing]) each.destroy();
    },
  ));
