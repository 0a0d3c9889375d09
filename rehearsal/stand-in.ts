import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startClientDatabases, startClientMysql } from './client-databases.ts';
import { clientsOf } from './clients.ts';
import { synthesize } from './synthesize.ts';
import { createWorld } from './world.ts';

/** Small: who looks at the sample deployments need not wait for many rows. */
const SCALE = { rows: 20_000, unread: 0, media: 200 };

const { values } = parseArgs({ options: { port: { type: 'string' } } });

const cdkOut = await synthesize();
const postgres = await startClientDatabases();
const found = await startClientMysql();
const mysql = typeof found === 'string' ? undefined : found;
if (typeof found === 'string') console.log(`${found} The deployment on MySQL has no stand-ins.`);
const world = await createWorld({
  cdkOut,
  postgres,
  mysql,
  clients: clientsOf(SCALE, Date.now(), mysql),
  start: undefined,
  ...(values.port && { port: Number(values.port) }),
});

const accounts = new Map(world.aws.deployed.resources.map(({ account, region }) => [account, region]));
console.log(`The stand-ins are up, in real time, until Ctrl-C. Endpoint: ${world.aws.endpoint}\n`);
for (const [account, region] of accounts) {
  const { accessKeyId, secretAccessKey, sessionToken } = world.aws.credentialsFor({
    arn: `arn:aws:sts::${account}:assumed-role/operator/stand-in`,
    policy: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] },
  });
  console.log(`# account ${account}
export AWS_ENDPOINT_URL=${world.aws.endpoint}
export AWS_REGION=${region} AWS_DEFAULT_REGION=${region}
export AWS_ACCESS_KEY_ID=${accessKeyId}
export AWS_SECRET_ACCESS_KEY=${secretAccessKey}
export AWS_SESSION_TOKEN=${sessionToken}
`);
}
for (const { name, webApp, webhook } of Object.values(world.deployments))
  console.log(`${name}: WebApp on https://127.0.0.1:${webApp.port}, the webhook on ${webhook.url}`);

await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
await world.close();
await Promise.all([postgres.stop(), mysql?.stop()]);
rmSync(cdkOut, { recursive: true });
