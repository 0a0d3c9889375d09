import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { CallbackRelaySettings } from '../functions/callback-relay/contract.ts';
import type { DatabaseSizeSettings } from '../functions/database-size/contract.ts';
import type { LogCleanupSettings } from '../functions/log-cleanup/contract.ts';
import type { MessageGcSettings } from '../functions/message-gc/contract.ts';
import { type FunctionUrl, serveFunctionUrl } from './aws/function-url.ts';
import { type Aws, type AwsOptions, startAws } from './aws/server.ts';
import type { Resource } from './aws/template.ts';
import { keepCertificate } from './certificates.ts';
import { createSizeUser, prefixOf } from './client-databases.ts';
import { type Clock, realClock, simulatedClock } from './clock.ts';
import type { Postgres } from './databases/postgres.ts';
import configuration, { RELAY_PATH } from './upkeep.config.ts';
import type { ClientRole } from './whatsapp/client-files.ts';
import { type ClientTasks, startClientTasks } from './whatsapp/client-tasks.ts';
import { type Filling, type MessageStore, openMessageStore } from './whatsapp/message-store.ts';
import { startWebApp, type WebApp, type WebAppOptions } from './whatsapp/web-app.ts';
import { startWebhook, type Webhook } from './whatsapp/webhook.ts';

/** What a deployment's client is like when the rehearsal begins. */
export interface ClientScript
  extends Pick<WebAppOptions, 'coreApps' | 'rowsPerCall' | 'rowsPerSecond' | 'onRequest' | 'onCollection'> {
  filling: Filling;
  /** How many containers of each role run in ECS. @default none: then its log clean-up never runs */
  containers?: Partial<Record<ClientRole, number>>;
}

export interface WorldOptions extends Pick<AwsOptions, 'cdkOut' | 'change' | 'port'> {
  postgres: Postgres;
  /** By deployment. A deployment without one has no WebApp, and its schedules never fire. */
  clients: Record<string, ClientScript>;
  /** Epoch milliseconds; undefined: the real time, which does not jump. */
  start: number | undefined;
}

/** One deployment of the templates with the client that it is there for. */
export interface PlayedDeployment {
  name: string;
  /** Those that have a schedule. */
  jobs: string[];
  settings: MessageGcSettings;
  store: MessageStore;
  webApp: WebApp;
  webhook: Webhook;
  /** The URL of the relay before the webhook, where there is one. */
  relay: FunctionUrl | undefined;
  containers: ClientTasks | undefined;
}

/** The stand-ins of everything, at work together. */
export interface World {
  clock: Clock;
  aws: Aws;
  deployments: Record<string, PlayedDeployment>;
  /** What must appear in no log, event, metric or process: passwords and keys that are in play. */
  secrets: string[];
  close(): Promise<void>;
}

/** Deploys a cloud assembly to the stand-ins, and gives each of its deployments a client and a webhook. */
export async function createWorld({ postgres, clients, start, ...options }: WorldOptions): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'rehearsal-'));
  const clock = start === undefined ? realClock() : simulatedClock(start, folder);
  const aws = await startAws({ ...options, clock });
  const world: World = {
    clock,
    aws,
    deployments: {},
    secrets: [postgres.password],
    async close() {
      for (const { webApp, webhook, relay, store, containers } of Object.values(world.deployments)) {
        await containers?.close();
        await webApp.close();
        await relay?.close();
        await webhook.close();
        await store.drop();
      }
      await aws.close();
      clock.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    const schedules = aws.deployed.ofType('AWS::Scheduler::Schedule').map(scheduled);
    for (const name of new Set(schedules.map(({ deployment }) => deployment))) {
      const own = schedules.filter(({ deployment }) => deployment === name);
      const script = clients[name];
      const takesPart = ({ job }: { job: string }) =>
        script !== undefined && (job !== 'log-cleanup' || script.containers !== undefined);
      for (const each of own) if (!takesPart(each)) aws.scheduler.fault(each.schedule, { kind: 'disabled' });
      if (script)
        world.deployments[name] = await createDeployment(
          world,
          postgres,
          name,
          own.filter(takesPart).map(({ job }) => job),
          script,
          join(folder, name),
        );
    }
    return world;
  } catch (error) {
    await world.close();
    throw error;
  }
}

async function createDeployment(
  { aws, clock, secrets }: World,
  postgres: Postgres,
  name: string,
  jobs: string[],
  script: ClientScript,
  folder: string,
): Promise<PlayedDeployment> {
  const gc = functionNamed(aws, `${name}-message-gc`);
  if (!gc) throw new Error(`The templates have no message-gc for ${name}.`);
  const settings = settingsOf<MessageGcSettings>(gc);
  const { hostname, port } = new URL(settings.webApp.url);
  const user = { username: 'upkeep', password: `Upkeep-${name}-${crypto.randomUUID()}` };
  secrets.push(user.password);
  aws.secrets.put(settings.webApp.secretArn, JSON.stringify(user));

  const relayFunction = functionNamed(aws, `${name}-callback-relay`);
  const { webhook, relay } = relayFunction
    ? await startRelayed(aws, name, relayFunction, secrets)
    : {
        webhook: await startWebhook({ ...webhookOf(aws, name), endpoint: aws.endpoint }),
        relay: undefined,
      };
  const sizeFunction = functionNamed(aws, `${name}-database-size`);
  const sizes = sizeFunction && settingsOf<DatabaseSizeSettings>(sizeFunction);
  const store = await openMessageStore(postgres, sizes ? prefixOf(sizes) : `${name}_`);
  await store.fill(script.filling);
  for (const { secretArn, database } of sizes?.sets ?? []) {
    const { engine, host, port } = database;
    const login = await createSizeUser(store, `${name}_database_size`);
    secrets.push(login.password);
    aws.secrets.put(secretArn, JSON.stringify({ ...login, engine, host, port }));
    aws.hosts[`${host}:${port}`] = `127.0.0.1:${postgres.port}`;
  }
  const webApp = await startWebApp({
    ...script,
    store,
    clock,
    certificate: await keepCertificate(name, settings.webApp.serverName ?? hostname),
    users: [user],
    callbackUrl: relay ? `${relay.url}${RELAY_PATH}` : webhook.url,
  });
  aws.hosts[`${hostname}:${port || 443}`] = `127.0.0.1:${webApp.port}`;
  const containers = script.containers && (await startContainers(aws, name, script.containers, folder));
  return { name, jobs, settings, store, webApp, webhook, relay, containers };
}

/** The client's tasks, where its log clean-up is to find them: on instances of EC2 if it goes by Run Command. */
async function startContainers(
  aws: Aws,
  name: string,
  counts: NonNullable<ClientScript['containers']>,
  folder: string,
): Promise<ClientTasks> {
  const cleanup = functionNamed(aws, `${name}-log-cleanup`);
  if (!cleanup) throw new Error(`The templates have no log clean-up of ${name}.`);
  const { clusterArn, roles } = settingsOf<LogCleanupSettings>(cleanup);
  const { runCommand } = configuration.deployments.find((each) => each.name === name)?.jobs.logCleanup ?? {};
  return startClientTasks({
    aws,
    account: cleanup.account,
    region: cleanup.region,
    cluster: clusterArn.slice(clusterArn.lastIndexOf('/') + 1),
    folder,
    roles: Object.fromEntries(
      roles.map(({ name, services: [service = ''], container }) => [
        name,
        { service, container, tasks: counts[name as ClientRole] ?? 0 },
      ]),
    ),
    ...(runCommand && {
      hosts: { count: 2, tag: { key: runCommand.tagKey, value: runCommand.tagValue } },
    }),
  });
}

/** A webhook that knows nothing of the bus, and the relay's URL before it. */
async function startRelayed(
  aws: Aws,
  name: string,
  relayFunction: Resource,
  secrets: string[],
): Promise<{ webhook: Webhook; relay: FunctionUrl }> {
  const { webhookUrl } = settingsOf<CallbackRelaySettings>(relayFunction);
  const { hostname, port } = new URL(webhookUrl);
  const webhook = await startWebhook({
    ...webhookOf(aws, name),
    endpoint: aws.endpoint,
    relayed: await keepCertificate(hostname, hostname),
  });
  aws.hosts[`${hostname}:${port || 443}`] = `127.0.0.1:${webhook.port}`;
  secrets.push(RELAY_PATH);
  // Whoever calls the URL: the function's policy lets everybody, by the URL only.
  const lambda = new LambdaClient({
    endpoint: aws.endpoint,
    region: relayFunction.region,
    credentials: aws.credentialsFor({
      arn: `arn:aws:sts::${relayFunction.account}:assumed-role/function-url/${name}`,
      policy: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: relayFunction.arn }],
      },
    }),
  });
  const relay = await serveFunctionUrl(async (event) => {
    const { Payload: payload, FunctionError: failed } = await lambda.send(
      new InvokeCommand({ FunctionName: relayFunction.name, Payload: JSON.stringify(event) }),
    );
    const text = Buffer.from(payload ?? []).toString();
    if (failed) throw new Error(text);
    return JSON.parse(text);
  });
  return { webhook, relay };
}

/** The webhook's role: what the README tells its owner to allow. */
function webhookOf(aws: Aws, deployment: string) {
  const bus = aws.deployed
    .ofType('AWS::Events::EventBus')
    .find(({ name }) => name === `${deployment}-callbacks`);
  if (!bus) throw new Error(`The templates have no callbacks bus for ${deployment}.`);
  const credentials = aws.credentialsFor({
    arn: `arn:aws:sts::${bus.account}:assumed-role/webhook/${deployment}`,
    policy: {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'events:PutEvents', Resource: bus.arn }],
    },
  });
  return { bus: bus.name, region: bus.region, credentials };
}

function functionNamed({ deployed }: Aws, functionName: string): Resource | undefined {
  return deployed.ofType('AWS::Lambda::Function').find(({ name }) => name === functionName);
}

/** What a schedule starts. */
function scheduled({ name, properties }: Resource): { schedule: string; deployment: string; job: string } {
  const { deployment, job } = JSON.parse(properties.child('Target')?.text('Input') ?? '');
  return { schedule: name, deployment, job };
}

function settingsOf<Settings>(resource: Resource): Settings {
  const variables = resource.properties.child('Environment')?.child('Variables');
  return JSON.parse(variables?.text('UPKEEP_SETTINGS') ?? '');
}
