import type { Server } from 'node:http';
import type { Server as SecureServer } from 'node:https';

/** Listens on a loopback port (0: a free one) and returns it. */
export async function listen(server: Server | SecureServer, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server listens on no port');
  return address.port;
}

/** Ends the listener and all its connections. It may listen again. */
export async function stopListening(server: Server | SecureServer): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}
