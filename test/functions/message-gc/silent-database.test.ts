import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, before, it, mock } from 'node:test';

/** Takes connections, and never says a word. */
const sockets = new Set<Socket>();
const silent = createServer((socket) => sockets.add(socket.on('error', () => {})));
let messageRows: typeof import('../../../functions/message-gc/message-rows.ts').messageRows;

before(async () => {
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  process.env.AWS_ENDPOINT_URL = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  process.env.AWS_REGION = 'eu-central-1';
  process.env.AWS_ACCESS_KEY_ID = process.env.AWS_SECRET_ACCESS_KEY = 'none';
  ({ messageRows } = await import('../../../functions/message-gc/message-rows.ts'));
});
after(() => {
  mock.timers.reset();
  silent.close();
  for (const socket of sockets) socket.destroy();
});

it('garbage collection is held up for two minutes at the most by what does not tell the rows, even where nothing else ends the wait', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const database = { engine: 'mysql' as const, host: '127.0.0.1', port: 1, certificateAuthority: 'rds' };
  const set = {
    name: 'wa1',
    database,
    secretArn: 'arn:aws:secretsmanager:eu-central-1:1:secret:size',
    databases: ['wa1_x'],
  };
  let told = false;
  const connected = new Promise((resolve) => silent.once('connection', resolve));
  const asked = messageRows([set, { ...set, name: 'wa2' }]).then((rows) => {
    told = true;
    return rows;
  });
  await connected;
  mock.timers.tick(119_999);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(told, false);
  mock.timers.tick(1);
  const error = 'The database did not tell it within 120 seconds.';
  assert.deepEqual(await asked, [
    { kind: 'not-told', error },
    { kind: 'not-told', error },
  ]);
});
