import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { spawn as spawnInTerminal } from '@lydell/node-pty';
import { runIdOf } from '../../functions/shared/run/identity.ts';
import type { StartRunEvent } from '../../functions/start-run/contract.ts';
import { inThisProcess } from './command-line.ts';
import { COMPILE_CACHE } from './compile-cache.ts';

const SETTINGS = {
  ...{ deployment: 'shop', timeZone: 'UTC', window: { from: '01:00', to: '05:00' } },
  jobs: { 'message-gc': {} },
};

/** How Lambda answers the invocation of start-run. Undefined: not at all. */
type Answer = { status: number; body: object; headers?: Record<string, string> } | undefined;

describe('a start of which nobody has said how it ended', () => {
  let lambda: Server;
  let environment: Record<string, string>;
  let answer: Answer;
  let asked: StartRunEvent[] = [];
  let onceAsked: (() => void) | undefined;

  before(async () => {
    lambda = createServer(async (request, response) => {
      if (request.method === 'GET') {
        const Environment = { Variables: { UPKEEP_SETTINGS: JSON.stringify(SETTINGS) } };
        response.end(JSON.stringify({ FunctionName: 'shop-start-run', Environment }));
        return;
      }
      asked.push(JSON.parse(await text(request)));
      onceAsked?.();
      if (!answer) return;
      response.writeHead(answer.status, answer.headers).end(JSON.stringify(answer.body));
    }).listen(0, '127.0.0.1');
    await once(lambda, 'listening');
    const { port } = lambda.address() as AddressInfo;
    environment = {
      ...COMPILE_CACHE,
      PATH: process.env.PATH ?? '',
      AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
      ...{ AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key' },
    };
  });

  after(() => {
    lambda.closeAllConnections();
    lambda.close();
  });

  /** The run that start-run was asked for, as often as it was. */
  function runAskedFor(): string {
    const [first, ...others] = asked;
    assert.ok(first?.request);
    for (const each of others) assert.deepEqual(each, first);
    asked = [];
    return runIdOf('shop', 'message-gc', { request: first.request });
  }

  it('is told as such when the person leaves, with the name of the run', async () => {
    answer = undefined;
    const terminal = spawnInTerminal(process.execPath, ['bin/wa-upkeep.ts', 'run', 'message-gc', 'shop'], {
      env: environment,
      cols: 400,
    });
    let shown = '';
    terminal.onData((data) => {
      shown += stripVTControlCharacters(data).replaceAll('\r\n', '\n');
    });
    onceAsked = () => terminal.write('\u0003');
    const status = await new Promise<number>((resolve) =>
      terminal.onExit(({ exitCode }) => resolve(exitCode)),
    );
    onceAsked = undefined;
    const runId = runAskedFor();
    assert.equal(status, 1);
    assert.match(shown, /Left with Ctrl-C before start-run had answered\.\n/);
    assert.match(shown, new RegExp(`Whether ${runId} has begun is not known\\. .*wa-upkeep show ${runId}\n`));
  });

  it('is told as such when start-run fails, or Lambda does, which is asked for the same run again', async () => {
    for (const [given, says, timesAsked] of [
      [
        {
          status: 200,
          body: { errorMessage: 'Task timed out' },
          headers: { 'x-amz-function-error': 'Unhandled' },
        },
        'start-run of shop failed: Task timed out',
        1,
      ],
      [
        { status: 500, body: { message: 'Oops' }, headers: { 'x-amzn-errortype': 'ServiceException' } },
        'Oops',
        3,
      ],
    ] as const) {
      answer = given;
      const { status, err } = await inThisProcess(['run', 'message-gc', 'shop'], environment);
      assert.equal(status, 1);
      assert.equal(asked.length, timesAsked);
      const runId = runAskedFor();
      assert.ok(err.startsWith(says), err);
      assert.match(err, new RegExp(`\nWhether ${runId} has begun is not known`));
    }
    answer = {
      status: 403,
      body: { message: 'No' },
      headers: { 'x-amzn-errortype': 'AccessDeniedException' },
    };
    const refused = await inThisProcess(['run', 'message-gc', 'shop'], environment);
    assert.doesNotMatch(refused.err, /not known/);
  });
});
