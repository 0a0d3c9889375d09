import { join } from 'node:path';
import pg from 'pg';
import type { Login } from '../../functions/shared/database/contract/engine.ts';
import { Container } from '../aws/containers/container.ts';
import type { ManagedService } from '../aws/ecs/service.ts';
import type { EcsTask } from '../aws/ecs/task.ts';
import type { Aws } from '../aws/server.ts';
import { keepCertificate } from '../certificates.ts';
import { type Postgres, startPostgres } from '../databases/postgres.ts';
import { connectFrom, createAlternatingUsers } from '../whatsapp/client-on-postgres.ts';
import { Logins } from '../whatsapp/logins.ts';
import { ADDRESS, PARAMETER, PLACE, SECRETS, USERS } from './names.ts';

const DAY = 24 * 3600 * 1000;

export type CredentialName = 'orders' | 'stock';
export type ServiceName = 'proxy' | 'worker' | 'checkout' | 'storefront';

/** How many tasks each service has, and what its containers are given at their start. */
const SERVICES: Record<ServiceName, { tasks: number; credentials: CredentialName[]; watched: Watched[] }> = {
  proxy: { tasks: 1, credentials: [], watched: ['certificate'] },
  worker: { tasks: 1, credentials: ['orders', 'stock'], watched: ['payment-key'] },
  checkout: { tasks: 2, credentials: ['orders', 'stock'], watched: ['payment-key'] },
  storefront: { tasks: 1, credentials: ['orders'], watched: [] },
};

type Watched = 'certificate' | 'payment-key';

/** One of the passwords that are rotated. */
interface ShopCredential {
  secretArn: string;
  logins: Logins;
  /** What the secret holds under a label. */
  login(stage?: 'AWSCURRENT' | 'AWSPREVIOUS'): Login | undefined;
  /** What a container that starts takes for it. A fault can set it. */
  misread?: ((login: Login, service: ServiceName) => Login) | undefined;
}

/** The services of the shop that read what is rotated or watched, and its database. */
export interface PlayedReaders {
  credentials: Record<CredentialName, ShopCredential>;
  services: Record<ServiceName, ManagedService>;
  /** How many tasks read one of the passwords, and how many one of what is watched. */
  reading: { passwords: number; watched: number };
  /** Whether the database lets it in. */
  accepts(login: Login): Promise<boolean>;
  /** As the database's administrator of everything. */
  administer(statement: string): Promise<unknown>;
  /** Somebody replaces what is watched. */
  replace(watched: Watched): void;
  /** Those that run, and are to. */
  tasks(service: ServiceName): EcsTask[];
  /** The services of which some task has not what is in use now. */
  behind(): ServiceName[];
  serverLogs(): string;
  close(): Promise<void>;
}

/** Starts the shop's database, and the services that read something. Its secrets are put into `secrets`. */
export async function startReaders(
  aws: Aws,
  { folder, secrets, loginPause }: { folder: string; secrets: string[]; loginPause?: number | undefined },
): Promise<PlayedReaders> {
  const { clock } = aws;
  const certificate = await keepCertificate(ADDRESS.host, ADDRESS.host);
  const server = await startPostgres({ tls: certificate });
  const containers: Container[] = [];
  const pool = new pg.Pool({ ...server, max: 2 });
  const logIn = logInTo(server, certificate.certificate);
  secrets.push(server.password);
  aws.hosts[`${ADDRESS.host}:${ADDRESS.port}`] = `127.0.0.1:${server.port}`;
  const keepPassword = async (name: CredentialName): Promise<ShopCredential> => {
    const { user, administrator } = await createAlternatingUsers(pool, USERS[name]);
    secrets.push(user.password, administrator.password);
    aws.secrets.put(SECRETS[name], JSON.stringify({ ...ADDRESS, ...user }), clock.now() - 30 * DAY);
    aws.secrets.put(SECRETS[`${name}Rotator`], JSON.stringify({ ...ADDRESS, ...administrator }));
    return {
      secretArn: SECRETS[name],
      logins: new Logins(clock, logIn, loginPause),
      login(stage) {
        const value = aws.secrets.value(SECRETS[name], stage);
        return value === undefined ? undefined : JSON.parse(value);
      },
    };
  };
  const credentials = { orders: await keepPassword('orders'), stock: await keepPassword('stock') };
  const replace = (watched: Watched, at?: number) => {
    const value = `Key-${crypto.randomUUID()}`;
    if (watched === 'certificate') aws.ssm.write(PARAMETER, value, PLACE);
    else {
      secrets.push(value);
      aws.secrets.put(SECRETS.paymentKey, JSON.stringify({ key: value }), at);
    }
  };
  replace('certificate');
  replace('payment-key', clock.now() - 3 * DAY);
  const inUse = (watched: Watched) =>
    watched === 'certificate'
      ? aws.ssm.parameter(PARAMETER, PLACE)?.value
      : aws.secrets.value(SECRETS.paymentKey);
  const given = new Map<unknown, (string | undefined)[]>();
  const manage = async (service: ServiceName): Promise<ManagedService> => {
    const { tasks, credentials: read, watched } = SERVICES[service];
    const start = async () => {
      const container = await Container.start({
        name: service,
        folder: join(folder, `shop-${service}-${containers.length}`),
        isolation: 'rewritten',
      });
      containers.push(container);
      given.set(container, watched.map(inUse));
      for (const name of read) {
        const { login, misread, logins } = credentials[name];
        const current = login();
        if (current === undefined) continue;
        const taken = misread?.(current, service);
        await logins.begin(container, taken ? { ...taken, isMisread: true } : current);
      }
      return [container];
    };
    const running: Container[][] = [];
    for (let task = 0; task < tasks; task++) running.push(await start());
    return aws.ecs.manageService({
      ...PLACE,
      cluster: 'shop',
      service,
      desiredCount: tasks,
      start,
      running,
      secrets: [
        ...read.flatMap((name) =>
          ['username', 'password'].map((key) => ({
            name: `${name}_${key}`.toUpperCase(),
            valueFrom: `${SECRETS[name]}:${key}::`,
          })),
        ),
        ...(watched.includes('payment-key')
          ? [{ name: 'PAYMENT_KEY', valueFrom: `${SECRETS.paymentKey}:key::` }]
          : []),
      ],
    });
  };
  const services = {
    proxy: await manage('proxy'),
    worker: await manage('worker'),
    checkout: await manage('checkout'),
    storefront: await manage('storefront'),
  };
  const tasksOf = (service: ServiceName): EcsTask[] =>
    aws.ecs
      .tasksOf({ ...PLACE, cluster: 'shop', service })
      .filter(({ lastStatus, desiredStatus }) => lastStatus === 'RUNNING' && desiredStatus === 'RUNNING');
  const tasksThat = (read: (of: (typeof SERVICES)[ServiceName]) => boolean) =>
    Object.values(SERVICES).reduce((sum, each) => sum + (read(each) ? each.tasks : 0), 0);
  return {
    credentials,
    services,
    reading: {
      passwords: tasksThat(({ credentials }) => credentials.length > 0),
      watched: tasksThat(({ watched }) => watched.length > 0),
    },
    accepts: (tried) =>
      logIn(tried).then(
        async (close) => {
          await close();
          return true;
        },
        () => false,
      ),
    administer: (statement) => pool.query(statement),
    replace: (watched) => replace(watched),
    tasks: tasksOf,
    behind: () =>
      (Object.keys(SERVICES) as ServiceName[]).filter((service) => {
        const wanted = SERVICES[service].watched.map(inUse).join();
        return tasksOf(service).some(({ containers: [first] }) => given.get(first)?.join() !== wanted);
      }),
    serverLogs: server.logs,
    async close() {
      for (const { logins } of Object.values(credentials)) await logins.end();
      await Promise.all(containers.map((container) => container.remove()));
      await pool.end();
      await server.stop();
    },
  };
}

function logInTo({ port, database }: Postgres, certificateAuthority: string) {
  const { host } = ADDRESS;
  return async (login: Login, address?: string): Promise<() => Promise<void>> => {
    const client = await connectFrom(address, login, { host, certificateAuthority, port, database });
    return () => client.end();
  };
}
