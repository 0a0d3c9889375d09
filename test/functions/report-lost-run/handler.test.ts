import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';

const HOUR = 3_600_000;

test('a report that comes hours late counts when the run ended, beside its dead letter', async (t) => {
  const bus = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end('{"Entries":[{}]}');
  });
  await new Promise<void>((resolve) => bus.listen(0, '127.0.0.1', resolve));
  t.after(() => bus.closeAllConnections());
  t.after(() => bus.close());
  const address = bus.address();
  assert.ok(address && typeof address === 'object');
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: `http://127.0.0.1:${address.port}`,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    UPKEEP_SETTINGS: JSON.stringify({ deployment: 'latam' }),
  });
  const lines: string[] = [];
  const write = process.stdout.write.bind(process.stdout);
  t.mock.method(process.stdout, 'write', (text: string | Uint8Array) => {
    if (String(text).startsWith('{')) lines.push(String(text));
    else write(text);
    return true;
  });
  const { handler } = await import('../../../functions/report-lost-run/handler.ts');
  const ended = Math.floor(Date.now() / 1000) * 1000 - 3 * HOUR;
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
  const [metrics] = lines.filter((line) => line.includes('"RunsLost":1')).map((line) => JSON.parse(line));
  assert.equal(metrics?._aws.Timestamp, ended);
  assert.equal(metrics?.RunsFailed, 1);
});
