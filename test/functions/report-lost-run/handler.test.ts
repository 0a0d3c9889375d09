import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, mock, test } from 'node:test';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const ended = Math.floor(Date.now() / MINUTE) * MINUTE - 3 * HOUR;
/** AWS's clock in answers is in seconds. */
const seconds = (minutesBefore: number) => (ended - minutesBefore * MINUTE) / 1000;

/** What Lambda has on record of the run, the newest first, and when the alarm on crashes went on, in minutes before its end. */
let events: object[] = [];
let rings: number[] = [];
/** Lambda and CloudWatch take what is asked, and do not answer. */
let isSilent = false;
const asked: string[] = [];
const bus = createServer((request, response) => {
  const target = String(request.headers['x-amz-target'] ?? request.url);
  asked.push(target);
  let body = '';
  request.on('data', (chunk) => {
    body += chunk;
  });
  request.on('end', () => {
    if (isSilent && !target.includes('PutEvents')) return;
    response.writeHead(200, { 'content-type': 'application/json' });
    if (target.includes('/history')) response.end(JSON.stringify({ Events: events }));
    else if (target.includes('DescribeAlarmHistory')) {
      assert.match(body, /latam-message-gc-crashing/);
      const item = (stateValue: string) => ({ newState: { stateValue } });
      response.end(
        JSON.stringify({
          AlarmHistoryItems: rings.flatMap((minutes) => [
            { Timestamp: seconds(minutes - 20), HistoryData: JSON.stringify(item('OK')) },
            { Timestamp: seconds(minutes), HistoryData: JSON.stringify(item('ALARM')) },
          ]),
        }),
      );
    } else response.end('{"Entries":[{}]}');
  });
});

let handler: (event: unknown) => Promise<void>;
let toldByCrashes: (durableExecutionArn: string, alarmName: string, patience?: number) => Promise<boolean>;
const lines: string[] = [];

before(async () => {
  await new Promise<void>((resolve) => bus.listen(0, '127.0.0.1', resolve));
  const address = bus.address();
  assert.ok(address && typeof address === 'object');
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: `http://127.0.0.1:${address.port}`,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    UPKEEP_SETTINGS: JSON.stringify({ deployment: 'latam' }),
  });
  const write = process.stdout.write.bind(process.stdout);
  mock.method(process.stdout, 'write', (text: string | Uint8Array) => {
    if (String(text).startsWith('{')) lines.push(String(text));
    else write(text);
    return true;
  });
  ({ handler } = await import('../../../functions/report-lost-run/handler.ts'));
  ({ toldByCrashes } = await import('../../../functions/report-lost-run/told-by-crashes.ts'));
});
after(() => {
  mock.restoreAll();
  bus.closeAllConnections();
  bus.close();
});

/** The metrics that a lost run's end tells. */
async function told(): Promise<Record<string, unknown>[]> {
  lines.length = 0;
  const functionArn = 'arn:aws:lambda:eu-central-1:111111111111:function:latam-message-gc:7';
  await handler({
    time: new Date(ended).toISOString(),
    detail: {
      durableExecutionArn: `${functionArn}/durable-execution/latam-message-gc-20261125T053000Z/1`,
      durableExecutionName: 'latam-message-gc-20261125T053000Z',
      functionArn,
      status: 'TIMED_OUT',
    },
  });
  return lines.map((line) => JSON.parse(line)).filter(({ _aws: metrics }) => metrics);
}

const crashed = (minutes: number) => ({
  EventType: 'InvocationCompleted',
  InvocationCompletedDetails: {
    StartTimestamp: seconds(minutes),
    EndTimestamp: seconds(minutes),
    Error: { Payload: { ErrorType: 'Runtime.ExitError', ErrorMessage: 'signal: killed' } },
  },
});
const gotFurther = { EventType: 'StepSucceeded' };

test('a report that comes hours late counts when the run ended, beside its dead letter', async () => {
  const all = await told();
  const report = all.pop();
  const letters = all;
  assert.deepEqual([report?.RunsLost, report?.RunsFailed, report?.RunsLostInCrashes], [1, 1, 0]);
  const timeOf = (metrics: Record<string, unknown> | undefined) =>
    (metrics?._aws as { Timestamp?: number } | undefined)?.Timestamp;
  assert.equal(timeOf(report), ended);
  assert.deepEqual(
    letters.map((metrics) => [metrics.LettersExpected, ((timeOf(metrics) ?? 0) - ended) / MINUTE]),
    [-1, 0, 1, 2, 3].map((minute) => [1, minute]),
  );
});

for (const [what, history, rang, inCrashes] of [
  ['that crashed until its end, for which the alarm rang', [crashed(1), crashed(200)], [195], 1],
  ['that crashed too rarely for the alarm', [crashed(1), crashed(200)], [], 0],
  ['that was lost to crashes after the alarm had rung for others', [crashed(1), crashed(2)], [195], 0],
  [
    'that got further after its crashes, and was lost to something else',
    [gotFurther, crashed(200)],
    [195],
    0,
  ],
] as const)
  test(`of a run ${what}, ${inCrashes ? 'no other alarm' : 'the alarm on lost runs'} tells`, async () => {
    events = [...history];
    rings = [...rang];
    const report = (await told()).at(-1);
    assert.deepEqual([report?.RunsLost, report?.RunsLostInCrashes], [1, inCrashes]);
  });

test('who does not answer does not keep a lost run from its report', async () => {
  isSilent = true;
  assert.equal(
    await toldByCrashes(
      'arn:aws:lambda:eu-central-1:111111111111:function:f:7/durable-execution/n/1',
      'f-crashing',
      1,
    ),
    false,
  );
  isSilent = false;
});
