import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CredentialRotationSettings } from '../functions/credential-rotation/contract.ts';
import type { DatabaseSizeSettings } from '../functions/database-size/contract.ts';
import { type Clock, realClock, simulatedClock } from './aws/clock.ts';
import type { FunctionUrl } from './aws/lambda/function-url.ts';
import { type Aws, type AwsOptions, startAws } from './aws/server.ts';
import type { Template } from './aws/template/assembly.ts';
import type { Resource } from './aws/template/resource.ts';
import { keepCertificate } from './certificates.ts';
import { openDatabases } from './client-databases.ts';
import { putTemplateOf } from './client-template.ts';
import { startRelayed, webhookOf } from './client-webhook.ts';
import type { DatabaseServer } from './databases/mysql-family.ts';
import type { Postgres } from './databases/postgres.ts';
import { functionNamed, settingsOf } from './deployed-functions.ts';
import { openMediaVolume, type PlayedMediaVolume } from './media-volume.ts';
import { buildNetwork, type TaskNetwork } from './network.ts';
import { keepCredential, type RotatedCredential } from './rotated-credential.ts';
import { SHOP_STACK } from './shop/names.ts';
import { type PlayedShop, startShop } from './shop/shop.ts';
import configuration, { RELAY_PATH } from './upkeep.config.ts';
import type { ClientDatabase } from './whatsapp/client-database.ts';
import type { ClientRole } from './whatsapp/client-files.ts';
import {
  type ClientService,
  type ClientTasks,
  type DatabaseUse,
  startClientTasks,
} from './whatsapp/client-tasks.ts';
import { Logins } from './whatsapp/logins.ts';
import type { Filling } from './whatsapp/message-rows.ts';
import { type MessageStore, NO_ROWS } from './whatsapp/message-store.ts';
import { metaLoadBalancers } from './whatsapp/meta-template.ts';
import { startWebApp, type WebApp, type WebAppOptions } from './whatsapp/web-app.ts';
import { startWebhook, type Webhook } from './whatsapp/webhook.ts';

/** What a deployment's client is like when the rehearsal begins. */
export interface ClientScript
  extends Pick<WebAppOptions, 'coreApps' | 'rowsPerCall' | 'rowsPerSecond' | 'onRequest' | 'onCollection'> {
  /** Of a client on MySQL: none, it has some rows of its own. */
  filling?: Filling;
  /** How many containers of each role run in ECS. @default none: then its log clean-up never runs */
  containers?: Partial<Record<ClientRole, number>>;
  /** How many of them log in to the database all the time. @default none: then its credential is never rotated */
  logins?: Partial<Record<ClientRole, number>>;
  /** Real milliseconds between two logins of a container. @default 350 */
  loginPause?: number;
  /** Whether a client of Meta's template has tasks with an address each, which the template gives none. @default it has not */
  ownAddresses?: boolean;
  /** How ECS may replace its tasks. @default as ECS does by default */
  percentages?: Partial<Record<ClientRole, Pick<ClientService, 'minimumHealthyPercent' | 'maximumPercent'>>>;
}

export interface WorldOptions extends Pick<AwsOptions, 'change' | 'port' | 'sessions'> {
  /** The cloud assembly that `cdk synth` wrote. */
  cdkOut: string;
  /** That of the shop. @default there is none */
  shop?: string | undefined;
  /** Of the shop: whether it has only what commands run in. @default it has all */
  commandsOnly?: boolean;
  /** Of the shop: real milliseconds between two logins of a container. @default 350 */
  loginPause?: number | undefined;
  /** Needed where a client's databases are PostgreSQL's. */
  postgres?: Postgres | undefined;
  /** Needed where a client's databases are MySQL's. A MariaDB takes its place: such a client is configured for that then. */
  mysql?: DatabaseServer | undefined;
  /** By deployment. A deployment without one has no WebApp, and its schedules never fire. */
  clients: Record<string, ClientScript>;
  /** The only jobs whose schedules fire. @default all for which the client has what they work on */
  jobs?: readonly string[];
  /** Epoch milliseconds; undefined: the real time, which does not jump. */
  start: number | undefined;
}

/** One deployment of the templates with the client that it is there for. */
export interface PlayedDeployment {
  name: string;
  /** Those whose schedules fire. */
  jobs: string[];
  /** Under which its functions reach WebApp. */
  webAppUrl: string;
  /** Undefined: its databases are MySQL's. */
  store: MessageStore | undefined;
  database: ClientDatabase;
  webApp: WebApp;
  webhook: Webhook;
  /** The URL of the relay before the webhook, where there is one. */
  relay: FunctionUrl | undefined;
  containers: ClientTasks | undefined;
  /** Undefined: the database's credential is never rotated. */
  credential: RotatedCredential | undefined;
  logins: Logins;
  /** Undefined: the client's media lie nowhere. */
  mediaVolume: PlayedMediaVolume | undefined;
}

/** The stand-ins of everything, at work together. */
export interface World {
  clock: Clock;
  aws: Aws;
  deployments: Record<string, PlayedDeployment>;
  /** What is played beside them that has nothing of WhatsApp. */
  shop: PlayedShop | undefined;
  /** What must appear in no log, event, metric or process: passwords and keys that are in play. */
  secrets: string[];
  /** What the database servers have written to their logs. */
  serverLogs(): Promise<string>;
  /** Calls it when the world ends, before anything else does. */
  atEnd(stop: () => Promise<unknown>): void;
  close(): Promise<void>;
}

/** Holds the version of what `cdk bootstrap` made. */
const BOOTSTRAP = '/cdk-bootstrap/hnb659fds/version';

/** Deploys a cloud assembly to the stand-ins, and gives each of its deployments a client and a webhook. */
export async function createWorld(worldOptions: WorldOptions): Promise<World> {
  const { postgres, mysql, clients, jobs, start, change, cdkOut, shop, ...options } = worldOptions;
  const { commandsOnly = false, loginPause } = options;
  // It loads the CDK and the constructs, which no other night needs.
  const onMariadb = mysql?.engine === 'mariadb' ? await import('./on-mariadb.ts') : undefined;
  const folder = mkdtempSync(join(tmpdir(), 'rehearsal-'));
  const clock = start === undefined ? realClock() : simulatedClock(start, folder);
  const aws = await startAws({
    ...options,
    cdkOut: shop === undefined ? cdkOut : [cdkOut, shop],
    clock,
    change: (templates, assets) => {
      onMariadb?.configureForMariadb(templates, assets);
      for (const [stack, template] of Object.entries(templates))
        if (stack === SHOP_STACK ? commandsOnly : !clients[stack.replace(/^upkeep-/, '')]?.logins)
          leaveRotationOut(template);
      change?.(templates, assets);
    },
  });
  const stops: (() => Promise<unknown>)[] = [];
  const world: World = {
    clock,
    aws,
    deployments: {},
    shop: undefined,
    secrets: [postgres, mysql].flatMap((server) => server?.password ?? []),
    serverLogs: async () =>
      [postgres?.logs(), await mysql?.logs(), world.shop?.readers?.serverLogs()].join('\n'),
    atEnd: (stop) => stops.push(stop),
    async close() {
      for (const stop of stops.reverse()) await stop();
      for (const { webApp, webhook, relay, database, containers } of Object.values(world.deployments)) {
        await containers?.close();
        await webApp.close();
        await relay?.close();
        await webhook.close();
        await database.drop();
      }
      await world.shop?.close();
      await aws.close();
      clock.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    const schedules = aws.deployed
      .ofType('AWS::Scheduler::Schedule')
      .filter(({ stack }) => stack !== SHOP_STACK)
      .map(scheduled);
    if (shop) world.shop = await startShop(aws, { folder, secrets: world.secrets, commandsOnly, loginPause });
    const creations: Promise<PlayedDeployment>[] = [];
    for (const name of new Set(schedules.map(({ deployment }) => deployment))) {
      const own = schedules.filter(({ deployment }) => deployment === name);
      const script = clients[name];
      const takesPart = ({ job }: { job: string }) =>
        script !== undefined &&
        (jobs === undefined || jobs.includes(job)) &&
        (job !== 'log-cleanup' || script.containers !== undefined) &&
        (job !== 'credential-rotation' || script.logins !== undefined);
      for (const each of own) if (!takesPart(each)) aws.scheduler.fault(each.schedule, { kind: 'disabled' });
      if (!script) continue;
      creations.push(
        createDeployment(
          world,
          { postgres, mysql },
          name,
          own.filter(takesPart).map(({ job }) => job),
          script,
          join(folder, name),
        ),
      );
    }
    // At once, for they wait for their servers; all of them, so that those that are there are closed if one fails.
    const created = await Promise.allSettled(creations);
    for (const creation of created)
      if (creation.status === 'fulfilled') world.deployments[creation.value.name] = creation.value;
    for (const creation of created) if (creation.status === 'rejected') throw creation.reason;
    return world;
  } catch (error) {
    await world.close();
    throw error;
  }
}

async function createDeployment(
  { aws, clock, secrets }: World,
  servers: Pick<WorldOptions, 'postgres' | 'mysql'>,
  name: string,
  jobs: string[],
  script: ClientScript,
  folder: string,
): Promise<PlayedDeployment> {
  const configured = configuration.deployments.find((each) => each.name === name);
  if (!configured) throw new Error(`The configuration has no deployment ${name}, though the templates have.`);
  const network = buildNetwork(aws, configured);
  // By `cdk bootstrap`, and by whoever has the webhook.
  aws.ssm.write(BOOTSTRAP, '31', configured);
  for (const sender of configured.callbacks?.senders ?? [])
    if (sender.startsWith('arn:')) aws.iam.putRole({ arn: sender, policies: [] });
  const { url: webAppUrl, serverName, apiUser } = configured.webApp;
  const { hostname, port } = new URL(webAppUrl);
  const user = { username: 'upkeep', password: `Upkeep-${name}-${crypto.randomUUID()}` };
  secrets.push(user.password);
  aws.secrets.put(apiUser.secretArn, JSON.stringify(user));

  const admin = { username: 'admin', password: `Admin-${name}-${crypto.randomUUID()}` };
  const { administrator } = configured.jobs.applicationSettings ?? {};
  if (administrator) aws.secrets.put(administrator.secretArn, JSON.stringify(admin));
  secrets.push(admin.password);

  const relayFunction = functionNamed(aws, `${name}-callback-relay`);
  const { webhook, relay } = relayFunction
    ? await startRelayed(aws, name, relayFunction, secrets)
    : {
        webhook: await startWebhook({ ...webhookOf(aws, name), endpoint: aws.endpoint }),
        relay: undefined,
      };
  const { store, database } = await openDatabases(servers, configured);
  if (script.filling) await store?.fill(script.filling);
  const replicas = configured.jobs.credentialRotation?.replicas ?? [];
  for (const { host, port } of [...(configured.databases ?? []), ...replicas])
    aws.hosts[`${host}:${port}`] = `127.0.0.1:${database.port}`;
  const sizeFunction = functionNamed(aws, `${name}-database-size`);
  for (const set of sizeFunction ? settingsOf<DatabaseSizeSettings>(sizeFunction).sets : []) {
    const { engine, host, port } = set.database;
    const login = await database.createSizeUser(`${name}_database_size`);
    secrets.push(login.password);
    aws.secrets.put(set.secretArn, JSON.stringify({ ...login, engine, host, port }));
  }
  const mediaVolume = store && (await openMediaVolume(aws, name, store, join(folder, 'media-volume')));
  const webApp = await startWebApp({
    ...script,
    store: store ?? NO_ROWS,
    media: mediaVolume?.media,
    clock,
    certificate: await keepCertificate(name, serverName ?? hostname),
    users: [user, { ...admin, administrator: true }],
    callbackUrl: relay ? `${relay.url}${RELAY_PATH}` : webhook.url,
  });
  aws.hosts[`${hostname}:${port || 443}`] = `127.0.0.1:${webApp.port}`;
  const credential = await createCredential(aws, name, database, secrets);
  putTemplateOf(aws, configured);
  const logins = new Logins(clock, database.logIn, script.loginPause);
  const containers =
    script.containers &&
    (await startContainers(
      aws,
      configured,
      network,
      script,
      folder,
      credential && databaseUse(credential, logins, script, webApp),
    ));
  return {
    name,
    jobs,
    webAppUrl,
    store,
    database,
    webApp,
    webhook,
    relay,
    containers,
    credential,
    logins,
    mediaVolume,
  };
}

type Configured = (typeof configuration)['deployments'][number];

/** The credential that the containers log in with, where a job rotates it. */
async function createCredential(
  aws: Aws,
  name: string,
  database: ClientDatabase,
  secrets: string[],
): Promise<RotatedCredential | undefined> {
  const rotation = functionNamed(aws, `${name}-credential-rotation`);
  if (!rotation) return undefined;
  const users = await database.createUsers();
  for (const login of [users.user, users.administrator]) if (login) secrets.push(login.password);
  return keepCredential(aws, settingsOf<CredentialRotationSettings>(rotation), rotation, users, database);
}

function databaseUse(
  credential: RotatedCredential,
  logins: Logins,
  { logins: perRole }: ClientScript,
  webApp: WebApp,
): DatabaseUse | undefined {
  if (!perRole) return undefined;
  let replaced = 0;
  return {
    credential: credential.givenTo,
    logins,
    perRole,
    onReplaced(role) {
      if (role !== 'coreapp') return;
      // Each in turn: the stand-in's WebApp may know fewer CoreApps than there are containers.
      const nodes = webApp.nodes();
      webApp.replaceNode(nodes[replaced++ % nodes.length] ?? '');
    },
  };
}

/** As Meta's template names them, where no job is configured to reach into them. */
const CONTAINERS: Record<ClientRole, string> = {
  webapp: 'wa-web',
  coreapp: 'wa-coreapp',
  master: 'wa-master',
  exporter: 'mysqld-exporter',
};

/** The client's tasks, where its jobs are to find them: on instances of EC2 if its log clean-up goes by Run Command. */
async function startContainers(
  aws: Aws,
  { name, account, region, jobs: { logCleanup, credentialRotation } }: Configured,
  network: TaskNetwork,
  { containers = {}, percentages = {}, ownAddresses = false }: ClientScript,
  folder: string,
  database: DatabaseUse | undefined,
): Promise<ClientTasks> {
  const cluster = credentialRotation?.clusterName ?? logCleanup?.clusterName;
  if (!cluster) throw new Error(`No job of ${name} is configured that would find its containers.`);
  const { others, ...services } = credentialRotation?.services ?? {};
  const runCommand = logCleanup?.runCommand;
  const { secret, metaTemplate } = credentialRotation ?? {};
  // Meta's containers read a copy by themselves.
  const secrets = ['username', 'password'].flatMap((key) =>
    secret && !metaTemplate
      ? [{ name: `WA_DB_${key.toUpperCase()}`, valueFrom: `${secret.secretArn}:${key}::` }]
      : [],
  );
  const roles = Object.entries(containers) as [ClientRole, number][];
  return startClientTasks({
    network,
    aws,
    account,
    region,
    cluster,
    folder,
    roles: Object.fromEntries(
      roles.map(([role, tasks]) => {
        const cleaned = role === 'exporter' ? undefined : logCleanup?.roles[role];
        const [other] = role === 'exporter' ? (others ?? []) : [];
        const [rolled] = role === 'exporter' ? [other?.name] : (services[role] ?? []);
        const service = rolled ?? cleaned?.services[0] ?? '';
        const container = cleaned?.container ?? CONTAINERS[role];
        const place = { service, ...(other?.clusterName && { cluster: other.clusterName }) };
        const behind = metaTemplate &&
          role === 'webapp' && {
            loadBalancers: metaLoadBalancers(metaTemplate.stackName, { account, region }),
          };
        return [role, { ...place, container, tasks, secrets, ...behind, ...percentages[role] }];
      }),
    ),
    ...(database && { database }),
    metaTemplate: ownAddresses ? undefined : metaTemplate,
    ...(runCommand && {
      hosts: { count: 2, tag: { key: runCommand.tagKey, value: runCommand.tagValue } },
    }),
  });
}

/** What a schedule starts. */
function scheduled({ name, properties }: Resource): { schedule: string; deployment: string; job: string } {
  const { deployment, job } = JSON.parse(properties.child('Target')?.text('Input') ?? '');
  return { schedule: name, deployment, job };
}

/** Nobody is to rotate, nor to test the rotation function at its deployment. */
function leaveRotationOut({ Resources: resources }: Template): void {
  for (const [id, { Type: type }] of Object.entries(resources))
    if (type === 'AWS::SecretsManager::RotationSchedule') delete resources[id];
}
