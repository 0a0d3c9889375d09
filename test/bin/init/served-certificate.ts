import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { generate } from 'selfsigned';

/** A server for as long as something is done with its URL. */
export async function serve(
  { cert, private: key }: { cert: string; private: string },
  work: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer({ cert, key }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    await work(`https://localhost:${port}`);
  } finally {
    server.close();
  }
}

/** A certificate of a name, by itself or an authority. */
export const named = (name: string, ca?: { key: string; cert: string }) =>
  generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: name }] }],
    ...(ca && { ca }),
  });
