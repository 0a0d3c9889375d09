// In one file though long: everything asks one handler, by the same stand-ins of what it calls.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, mock, test } from 'node:test';
import { takeForAws } from '../loopback-aws.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const ended = Math.floor(Date.now() / MINUTE) * MINUTE - 3 * HOUR;
/** AWS's clock in answers is in seconds. */
const seconds = (minutesBefore: number) => (ended - minutesBefore * MINUTE) / 1000;

/** An alarm that went on so many minutes before the run's end, and told its topic unless its actions were switched off. */
interface Ring {
  minutes: number;
  isMute?: true;
}

/** What Lambda has on record of the run, the newest first, on pages of so many. */
let events: object[] = [];
let pageSize = Number.POSITIVE_INFINITY;
let rings: Ring[] = [];
/** Lambda and CloudWatch take what is asked, and do not answer. */
let isSilent = false;
/** Of the job's dead letters, what each look brings. */
let letters: object[][] = [];
/** Names of executions that Lambda has, of whichever function; it refuses the list where there are none to say. */
let executions: string[] | undefined = [];
const taken: string[] = [];
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
    const isList = /\/(durable-executions|versions)\?/.test(target);
    response.writeHead(isList && !executions ? 403 : 200, { 'content-type': 'application/json' });
    if (isList)
      response.end(
        JSON.stringify({
          Versions: [],
          DurableExecutions: executions?.map((DurableExecutionName) => ({
            DurableExecutionName,
            DurableExecutionArn: `arn:aws:lambda:eu-central-1:111111111111:function:x:7/durable-execution/${DurableExecutionName}/1`,
          })),
        }),
      );
    else if (target.includes('/history')) {
      const from = Number(new URL(request.url ?? '', 'http://lambda').searchParams.get('Marker') ?? 0);
      const next = from + pageSize;
      const marker = next < events.length ? { NextMarker: String(next) } : {};
      response.end(JSON.stringify({ Events: events.slice(from, next), ...marker }));
    } else if (target.includes('AmazonSQS')) {
      if (target.endsWith('ReceiveMessage') && body.includes('MessageAttributeNames'))
        assert.match(body, /"ERROR_CODE","ERROR_MESSAGE"/);
      if (target.endsWith('ReceiveMessage'))
        response.end(JSON.stringify({ Messages: letters.shift() ?? [] }));
      else {
        const { ReceiptHandle: receipt } = JSON.parse(body);
        taken.push(`${target.split('.')[1]} ${receipt}`);
        response.end('{}');
      }
    } else if (target.includes('DescribeAlarmHistory')) {
      assert.match(body, /"latam-(message-gc-crashing|(message-gc|start-run|schedules)-dead-letters)"/);
      const item = (kind: string, minutes: number, data: object) => ({
        HistoryItemType: kind,
        Timestamp: seconds(minutes),
        HistoryData: JSON.stringify(data),
      });
      const change = (minutes: number, stateValue: string) =>
        item('StateUpdate', minutes, { newState: { stateValue } });
      response.end(
        JSON.stringify({
          AlarmHistoryItems: rings.flatMap(({ minutes, isMute }) => [
            change(minutes - 20, 'OK'),
            ...(isMute ? [] : [item('Action', minutes, { actionState: 'Succeeded' })]),
            change(minutes, 'ALARM'),
          ]),
        }),
      );
    } else response.end('{"Entries":[{}]}');
  });
});

let handler: (event: unknown) => Promise<void>;
let takeLetter: typeof import('../../../functions/report-lost-run/take-letter.ts').takeLetter;
let toldElsewhere: typeof import('../../../functions/report-lost-run/told-elsewhere.ts').toldElsewhere;
const lines: string[] = [];

takeForAws(bus);
before(async () => {
  process.env.UPKEEP_SETTINGS = JSON.stringify({
    deployment: 'latam',
    jobs: ['message-gc'],
    queues: 'https://sqs.eu-central-1.amazonaws.com/111111111111',
  });
  const write = process.stdout.write.bind(process.stdout);
  mock.method(process.stdout, 'write', (text: string | Uint8Array) => {
    if (String(text).startsWith('{')) lines.push(String(text));
    else write(text);
    return true;
  });
  ({ handler } = await import('../../../functions/report-lost-run/handler.ts'));
  ({ takeLetter } = await import('../../../functions/report-lost-run/take-letter.ts'));
  ({ toldElsewhere } = await import('../../../functions/report-lost-run/told-elsewhere.ts'));
});
after(() => mock.restoreAll());

/** The metrics that a lost run's end tells. */
async function told(
  name = 'latam-message-gc-20261125T053000Z',
  at = ended,
): Promise<Record<string, unknown>[]> {
  lines.length = 0;
  const functionArn = 'arn:aws:lambda:eu-central-1:111111111111:function:latam-message-gc:7';
  await handler({
    time: new Date(at).toISOString(),
    detail: {
      durableExecutionArn: `${functionArn}/durable-execution/${name}/1`,
      durableExecutionName: name,
      functionArn,
      status: 'TIMED_OUT',
      startTimestamp: new Date(at - 24 * HOUR).toISOString(),
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

test('a report that comes hours late rings when it comes, and of one run there is one', async () => {
  const all = await told();
  const [report = {}] = all;
  assert.equal(all.length, 1);
  assert.deepEqual([report.RunsLost, report.RunsFailed, report.RunsLostTold], [1, 1, 0]);
  const { Timestamp: at = 0 } = report._aws as { Timestamp?: number };
  assert.ok(Math.abs(at - Date.now()) < MINUTE);
});

const TIMES = Array.from({ length: 30 }, (_, index) => crashed(1 + index));
const cases: [what: string, history: object[], rang: Ring[], isTold: 0 | 1][] = [
  ['that crashed until its end, for which the alarm rang', [crashed(1), crashed(200)], [{ minutes: 195 }], 1],
  ['that crashed too rarely for the alarm', [crashed(1), crashed(200)], [], 0],
  [
    'that was lost to crashes after the alarm had rung for others',
    [crashed(1), crashed(2)],
    [{ minutes: 195 }],
    0,
  ],
  [
    'that got further after its crashes, and was lost to something else',
    [gotFurther, crashed(200)],
    [{ minutes: 195 }],
    0,
  ],
  [
    'that crashed until its end while the actions of the alarm on crashes were switched off',
    [crashed(1), crashed(200)],
    [{ minutes: 195, isMute: true }],
    0,
  ],
  [
    'that crashed for longer than its history is read, and for which the alarm rang before that',
    TIMES,
    [{ minutes: 195 }],
    1,
  ],
  [
    'that crashed for longer than its history is read, after the alarm had rung for an earlier one',
    TIMES,
    [{ minutes: 25 * 60 }],
    0,
  ],
];
for (const [what, history, rang, isTold] of cases)
  test(`of a run ${what}, ${isTold ? 'no other alarm' : 'the alarm on lost runs'} tells`, async () => {
    events = history;
    pageSize = 1;
    rings = rang;
    const report = (await told()).at(-1);
    assert.deepEqual([report?.RunsLost, report?.RunsLostTold], [1, isTold]);
  });

const letter = (receipt: string, Body: string) => ({
  MessageId: receipt,
  ReceiptHandle: receipt,
  Body,
  MD5OfBody: createHash('md5').update(Body).digest('hex'),
});
const LETTER = letter('own', '{"runId":"latam-message-gc-20261125T053000Z"}');
const OTHER = letter('other', '{"runId":"latam-message-gc-20261124T053000Z"}');
const STRANGE = letter('strange', 'test');
const letterCases: [what: string, looks: object[][], done: string[]][] = [
  ['its letter alone', [[LETTER]], ['DeleteMessage own']],
  [
    'its letter, and not what others have left',
    [[OTHER, STRANGE], [], [LETTER, OTHER]],
    ['DeleteMessage own'],
  ],
  ['nothing where the letter does not come', [[OTHER]], []],
];
for (const [what, looks, done] of letterCases)
  test(`of a lost run that is told, the dead letters lose ${what}`, async () => {
    letters = structuredClone(looks);
    taken.length = 0;
    await told();
    assert.deepEqual(taken, done);
  });

/** Minutes that a letter has lain, what the alarm on letters did so many minutes ago, and what becomes of it. */
const forgotten: [
  what: string,
  sent: object,
  lain: number,
  rang: number[],
  comes: 'told' | 'untold' | 'stays',
][] = [
  ['is reported, and the alarm on it has told of it', OTHER, 20, [4], 'told'],
  [
    'that came while the alarm was on is reported, and the alarm on lost runs tells of it',
    OTHER,
    20,
    [60],
    'untold',
  ],
  ['is reported and told where the alarm on it tells nobody', OTHER, 20, [], 'untold'],
  ['that is young stays, for who tells of its run may take it yet', OTHER, 5, [4], 'stays'],
  ['that is no run’s event is reported too, and keeps none from ringing', STRANGE, 20, [4], 'told'],
];
for (const [what, sent, lain, rang, comes] of forgotten)
  test(`a letter in the dead letters ${what}`, async () => {
    const ago = (minutes: number) => (ended - Date.now()) / MINUTE + minutes;
    rings = rang.map((minutes) => ({ minutes: ago(minutes) }));
    letters = [[{ ...sent, Attributes: { SentTimestamp: String(Date.now() - lain * MINUTE) } }]];
    lines.length = 0;
    taken.length = 0;
    await handler({
      'detail-type': 'CloudWatch Alarm State Change',
      detail: { alarmName: 'latam-message-gc-dead-letters', state: { value: 'ALARM' } },
    });
    const metrics = lines.map((line) => JSON.parse(line)).filter(({ _aws: told }) => told);
    const told = metrics.map((each) => [each.job, each.RunsFailed, each.RunsLost, each.RunsLostTold]);
    if (comes === 'stays') assert.deepEqual([told, taken], [[], []]);
    else {
      assert.deepEqual(told, [['message-gc', 1, 1, comes === 'told' ? 1 : 0]]);
      assert.deepEqual(taken, [`DeleteMessage ${sent === OTHER ? 'other' : 'strange'}`]);
      const { report } = JSON.parse(lines.find((line) => line.includes('"Run report"')) ?? '{}');
      assert.equal(
        report.runId,
        sent === OTHER ? 'latam-message-gc-20261124T053000Z' : 'latam-message-gc-letter-strange',
      );
    }
  });

const START = { job: 'message-gc', deployment: 'latam', scheduledFor: '2026-11-25T05:30:00Z' };
const NAME = 'latam-message-gc-20261125T053000Z';
/** As Lambda sends it (Developer Guide, "Capturing records of Lambda asynchronous invocations"). */
const failedStart = (requestPayload: object, responsePayload: object | null = { errorType: 'TypeError' }) =>
  letter(
    'start',
    JSON.stringify({
      requestContext: { requestId: 'b7c3', condition: 'RetriesExhausted', approximateInvokeCount: 3 },
      requestPayload,
      responsePayload,
    }),
  );
const starts: [
  what: string,
  of: 'start-run' | 'schedules',
  sent: object,
  begun: string[] | undefined,
  rang: number[],
  report: { runId: string; what: RegExp; isTold: 0 | 1 } | 'none' | 'stays',
][] = [
  [
    'at which start-run failed is a run that failed, of which the alarm on it has told',
    'start-run',
    failedStart(START, { errorType: 'TypeError', errorMessage: 'x is no function' }),
    [],
    [1],
    { runId: NAME, what: /not started: RetriesExhausted, TypeError, x is no function\./, isTold: 1 },
  ],
  [
    'that came while the alarm was on rings as a lost run',
    'start-run',
    failedStart(START, null),
    [],
    [8],
    { runId: NAME, what: /not started: RetriesExhausted\./, isTold: 0 },
  ],
  [
    'of which nobody can say whether its run began is told',
    'start-run',
    failedStart(START),
    undefined,
    [1],
    { runId: NAME, what: /TypeError/, isTold: 1 },
  ],
  [
    'whose run began all the same is no run that failed',
    'start-run',
    failedStart(START),
    [NAME],
    [1],
    'none',
  ],
  [
    'by hand has the name that it would have had',
    'start-run',
    failedStart({ job: 'message-gc', deployment: 'latam' }),
    ['another'],
    [1],
    { runId: 'latam-message-gc-manual-e65f2cf55', what: /TypeError/, isTold: 1 },
  ],
  [
    'that Scheduler could not hand over is a run that failed',
    'schedules',
    {
      ...letter('start', JSON.stringify(START)),
      MessageAttributes: {
        ERROR_CODE: { DataType: 'String', StringValue: 'AccessDeniedException' },
        ERROR_MESSAGE: { DataType: 'String', StringValue: 'not authorized' },
      },
    },
    [],
    [1],
    { runId: NAME, what: /not started: AccessDeniedException, not authorized\./, isTold: 1 },
  ],
  ['of no job of ours stays', 'start-run', failedStart({ ...START, job: 'nothing' }), [], [1], 'stays'],
  [
    'of another deployment stays',
    'start-run',
    failedStart({ ...START, deployment: 'latam-2' }),
    [],
    [1],
    'stays',
  ],
  ['that is none stays', 'schedules', letter('start', 'test'), [], [1], 'stays'],
];
for (const [what, of, sent, begun, rang, comes] of starts)
  test(`a start ${what}`, async () => {
    const sentAt = Date.now() - 5 * MINUTE;
    executions = begun;
    rings = rang.map((minutes) => ({ minutes: (ended - Date.now()) / MINUTE + minutes }));
    letters = [[{ ...sent, Attributes: { SentTimestamp: String(sentAt) } }]];
    lines.length = 0;
    taken.length = 0;
    await handler({
      'detail-type': 'CloudWatch Alarm State Change',
      detail: { alarmName: `latam-${of}-dead-letters`, state: { value: comes === 'none' ? 'OK' : 'ALARM' } },
    });
    const metrics = lines.map((line) => JSON.parse(line)).filter(({ _aws: told }) => told);
    assert.deepEqual(taken, comes === 'stays' ? [] : ['DeleteMessage start']);
    if (typeof comes === 'string') return assert.deepEqual(metrics, []);
    assert.deepEqual(
      metrics.map((each) => [each.job, each.RunsFailed, each.RunsLost, each.RunsLostTold]),
      [['message-gc', 1, 1, comes.isTold]],
    );
    const { report } = JSON.parse(lines.find((line) => line.includes('"Run report"')) ?? '{}');
    assert.equal(report.runId, comes.runId);
    assert.match(report.problems[0].what, comes.what);
  });

test('of an alarm on letters of what is no job nothing is looked for', async () => {
  asked.length = 0;
  for (const alarmName of ['latam-nothing-dead-letters', 'latam-2-message-gc-dead-letters'])
    await handler({
      'detail-type': 'CloudWatch Alarm State Change',
      detail: { alarmName, state: { value: 'ALARM' } },
    });
  assert.deepEqual(asked, []);
});

/** A problem of a run, and the moment since which an alarm can have told of it, in minutes before the end. */
type Said = { since?: number } | 'by nobody';
const elsewhere: [what: string, problems: Said[], rang: Ring[], isUntold: boolean][] = [
  ['for whose tries the alarm on crashes rang', [{ since: 50 }], [{ minutes: 45 }], false],
  ['after tries that were too few for it', [{ since: 1 }], [], true],
  [
    'while the alarm on crashes was still on because of an earlier run',
    [{ since: 5 }],
    [{ minutes: 20 }],
    true,
  ],
  [
    'while the actions of the alarm on crashes were switched off',
    [{ since: 50 }],
    [{ minutes: 45, isMute: true }],
    true,
  ],
  ['with a problem of which an alarm has told since its start', [{}], [{ minutes: 59 }], false],
  ['with a problem of which an alarm had told before its start', [{}], [{ minutes: 61 }], true],
  [
    'with two problems, of one of which the alarm has not told',
    [{ since: 50 }, { since: 40 }],
    [{ minutes: 45 }],
    true,
  ],
];
for (const outcome of ['failed', 'partial'] as const)
  for (const [what, problems, rang, isUntold] of elsewhere)
    test(`a run that ended ${outcome} ${what} ${isUntold ? `rings as ${outcome}` : 'rings nothing more'}`, async () => {
      rings = rang;
      assert.deepEqual(await toldOf(outcome, problems), isUntold ? [1] : []);
    });

test('of a run with a problem of which its own alarm has told, nothing more is looked for', async () => {
  rings = [];
  asked.length = 0;
  assert.deepEqual(await toldOf('failed', [{}, 'by nobody']), []);
  assert.deepEqual(asked, []);
});

async function toldOf(outcome: 'failed' | 'partial', problems: Said[]): Promise<unknown[]> {
  lines.length = 0;
  const iso = (minutes: number) => new Date(ended - minutes * MINUTE).toISOString();
  await handler({
    'detail-type': 'Run Report',
    detail: {
      job: 'message-gc',
      deployment: 'latam',
      runId: 'latam-message-gc-20261125T053000Z',
      startedAt: iso(60),
      outcome,
      figures: {},
      problems: problems.map((problem) =>
        problem === 'by nobody'
          ? { what: 'x' }
          : {
              what: 'x',
              toldBy: {
                alarm: 'latam-message-gc-crashing',
                ...(problem.since && { since: iso(problem.since) }),
              },
            },
      ),
    },
  });
  const [name, runs] =
    outcome === 'failed' ? ['RunsFailedUntold', 'RunsFailed'] : ['RunsPartialUntold', 'RunsPartial'];
  return lines
    .map((line) => JSON.parse(line))
    .filter(({ _aws: told }) => told)
    .map((each) => {
      assert.deepEqual([each.job, each[runs]], ['message-gc', 0]);
      return each[name];
    });
}

test('what ran is told by the function, whatever somebody has named the execution', async () => {
  events = [];
  for (const name of [
    'latam-credential-rotation-20261125T053000Z',
    'latam-media-gc-manual-0123456789',
    'x',
  ]) {
    const report = (await told(name)).at(-1);
    assert.deepEqual([report?.job, report?.RunsLost], ['message-gc', 1]);
    const { report: said } = JSON.parse(lines.find((line) => line.includes('"Run report"')) ?? '{}');
    assert.deepEqual(
      [said.job, said.runId, said.scheduledFor],
      ['message-gc', name, new Date(ended - 24 * HOUR).toISOString()],
    );
  }
});

test('of a run of another deployment, whose name begins like this one’s, nothing is told', async () => {
  lines.length = 0;
  asked.length = 0;
  const functionArn = 'arn:aws:lambda:eu-central-1:111111111111:function:latam-2-message-gc:7';
  await handler({
    time: new Date(ended).toISOString(),
    detail: {
      durableExecutionArn: `${functionArn}/durable-execution/x/1`,
      durableExecutionName: 'x',
      functionArn,
      status: 'STOPPED',
    },
  });
  assert.deepEqual([lines, asked], [[], []]);
});

test('who does not answer does not keep a lost run from its report, nor the function beyond its time', async () => {
  isSilent = true;
  assert.equal(
    await toldElsewhere(
      {
        durableExecutionArn: 'arn:aws:lambda:eu-central-1:111111111111:function:f:7/durable-execution/n/1',
        startedAt: undefined,
      },
      'latam-message-gc-crashing',
      1,
    ),
    false,
  );
  await takeLetter('https://sqs.eu-central-1.amazonaws.com/111111111111/q', 'x', 1);
  isSilent = false;
});
