import { connect, createServer, type Socket } from 'node:net';
import type { TestDatabase } from '../rotate-secret/databases.ts';

/** A way to the database that can be cut. */
export interface Wire {
  /** `host:port`. */
  address: string;
  /** Connections that were asked for, in all. */
  asked: number;
  /** Whether the connection of that number is refused. @default none is */
  refuses: (number: number) => boolean;
  close(): Promise<void>;
}

export async function startWire({ address: { port } }: TestDatabase): Promise<Wire> {
  const sockets = new Set<Socket>();
  const wire = { asked: 0, refuses: (_number: number) => false };
  const server = createServer((socket) => {
    const number = wire.asked++;
    socket.on('error', () => socket.destroy());
    if (wire.refuses(number)) {
      socket.resetAndDestroy();
      return;
    }
    const server = connect(port, '127.0.0.1');
    for (const [end, other] of [
      [socket, server],
      [server, socket],
    ] as const) {
      sockets.add(end);
      end.on('error', () => end.destroy());
      end.on('close', () => {
        sockets.delete(end);
        other.destroy();
      });
      end.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const listening = server.address();
  if (listening === null || typeof listening === 'string') throw new Error('the wire has no port');
  return Object.assign(wire, {
    address: `127.0.0.1:${listening.port}`,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}
