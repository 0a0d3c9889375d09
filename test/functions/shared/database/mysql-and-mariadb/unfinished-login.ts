import { connect } from 'node:net';

/** Of a client: LONG_PASSWORD, PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH. */
const CAPABILITIES = 0x1 | 0x200 | 0x8000 | 0x80000;

/**
 * Begins to log in to MySQL or MariaDB and gives no password, as one that is slow, or is about to be refused: names a plugin that the
 * account does not have, and leaves the server's request for the right one unanswered.
 * @returns once the server waits for it; ends it
 */
export function beginLogin(port: number, username: string): Promise<() => void> {
  const socket = connect(port, '127.0.0.1');
  const { promise, resolve, reject } = Promise.withResolvers<() => void>();
  let packets = 0;
  socket.on('error', reject);
  socket.on('data', (data) => {
    packets += 1;
    if (packets === 1) socket.write(response(username));
    // The request to switch the plugin.
    else if (data[4] === 0xfe) resolve(() => socket.destroy());
    else reject(new Error(`The server answered ${data.toString('latin1')}`));
  });
  return promise;
}

function response(username: string): Buffer {
  const head = Buffer.alloc(32);
  head.writeUInt32LE(CAPABILITIES, 0);
  head.writeUInt32LE(0xffffff, 4);
  head[8] = 45;
  const body = Buffer.concat([head, Buffer.from(`${username}\0\0mysql_clear_password\0`)]);
  const frame = Buffer.alloc(4);
  frame.writeUIntLE(body.length, 0, 3);
  frame[3] = 1;
  return Buffer.concat([frame, body]);
}
