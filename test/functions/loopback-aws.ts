import type { Server } from 'node:http';
import { after, before } from 'node:test';
import { listen, stopListening } from '../../rehearsal/aws/listen.ts';

/** In all tests of the file that calls this, clients of the SDK that are made call the server in place of AWS. */
export function takeForAws(server: Server): void {
  before(async () => {
    const port = await listen(server, 0);
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    });
  });
  after(() => stopListening(server));
}
