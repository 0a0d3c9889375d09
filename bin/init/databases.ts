import { paginateDescribeDBClusters, paginateDescribeDBInstances } from '@aws-sdk/client-rds';
import { GetParameterCommand, paginateDescribeParameters } from '@aws-sdk/client-ssm';
import type { Engine } from '../../functions/shared/database/contract/engine.ts';
import type { ClientContainer } from './client-containers.ts';
import { type Source, sourceOf } from './secrets.ts';
import { environmentOf, secretsOf } from './services.ts';
import { allOf, type Surroundings } from './surroundings.ts';

/** A server of RDS or Aurora. */
export interface DatabaseServer {
  /** Of the instance, or of Aurora's cluster: what CloudWatch calls it. */
  identifier: string;
  engine: Engine;
  host: string;
  port: number;
  masterUsername: string;
}

/** The databases of the client, as far as its containers' environment tells. */
export interface FoundDatabases {
  prefix: string;
  server: DatabaseServer | undefined;
  host: string | undefined;
  port: number | undefined;
  engine: Engine | undefined;
  idleTimeoutSeconds: number | undefined;
  /** Where the containers take user and password from; undefined: from nowhere that is known. */
  user: Source | { kind: 'written'; name: string } | undefined;
  password: Source | undefined;
  /** Of a parameter with the password, where it is not the account's own for Parameter Store. */
  passwordKeyArn: string | undefined;
}

/** What the client calls its engines, with the port that each has. */
const CLIENT_ENGINES: Record<string, { engine: Engine; port: number }> = {
  MYSQL: { engine: 'mysql', port: 3306 },
  PGSQL: { engine: 'postgres', port: 5432 },
};
const RDS_ENGINES: readonly string[] = [
  'mysql',
  'aurora-mysql',
  'mariadb',
  'postgres',
  'aurora-postgresql',
] satisfies Engine[];

/** All servers of the account and region of the engines that the client can use. */
export function listServers(around: Surroundings): Promise<DatabaseServer[]> {
  return around.look('database servers of RDS', [], async () => {
    const client = { client: around.rds };
    const clusters = await allOf(paginateDescribeDBClusters(client, {}), (page) => page.DBClusters);
    const instances = await allOf(paginateDescribeDBInstances(client, {}), (page) => page.DBInstances);
    return [
      ...clusters.map(
        ({
          DBClusterIdentifier: identifier,
          Endpoint: host,
          Port: port,
          Engine: engine,
          MasterUsername,
        }) => ({
          ...{ identifier, host, port, engine, masterUsername: MasterUsername },
        }),
      ),
      // Those of a cluster are reached by it.
      ...instances
        .filter(({ DBClusterIdentifier: cluster }) => cluster === undefined)
        .map(({ DBInstanceIdentifier: identifier, Endpoint: endpoint, Engine: engine, MasterUsername }) => ({
          ...{ identifier, host: endpoint?.Address, port: endpoint?.Port, engine },
          masterUsername: MasterUsername,
        })),
    ].flatMap(({ identifier = '', host, port, engine = '', masterUsername = '' }) =>
      host !== undefined && port !== undefined && RDS_ENGINES.includes(engine)
        ? [{ identifier, host, port, engine: engine as Engine, masterUsername }]
        : [],
    );
  });
}

/** Of the containers' environment, what concerns the databases. */
export async function findDatabases(
  around: Surroundings,
  containers: ClientContainer[],
  servers: DatabaseServer[],
  given: { host?: string | undefined; identifier?: string | undefined },
): Promise<FoundDatabases | undefined> {
  const written = Object.assign({}, ...containers.map(({ container }) => environmentOf(container)));
  const taken = Object.assign({}, ...containers.map(({ container }) => secretsOf(container)));
  const read = (name: string) => plainValue(around, name, written, taken);
  const host = given.host ?? (await read('WA_DB_HOSTNAME'));
  const named = servers.find(({ identifier }) => identifier === given.identifier);
  const said = CLIENT_ENGINES[(await read('WA_DB_ENGINE')) ?? ''];
  const server =
    named ?? servers.find((each) => each.host === host) ?? onlyServer(around, host, said, servers);
  if (!server && !host && !said) return undefined;
  const port = Number((await read('WA_DB_PORT')) ?? server?.port ?? said?.port);
  const idle = Number(await read('WA_DB_CONNECTION_IDLE_TIMEOUT')) / 1000;
  const userName = await read('WA_DB_USERNAME');
  const password = taken.WA_DB_PASSWORD ? sourceOf(taken.WA_DB_PASSWORD) : undefined;
  return {
    prefix: (await read('WA_DB_NAME_PREFIX')) ?? '',
    server,
    host: server?.host ?? host,
    port: Number.isInteger(port) ? port : undefined,
    engine: server?.engine ?? said?.engine,
    idleTimeoutSeconds: Number.isInteger(idle) && idle > 0 ? idle : undefined,
    user: written.WA_DB_USERNAME
      ? { kind: 'written', name: written.WA_DB_USERNAME }
      : taken.WA_DB_USERNAME
        ? sourceOf(taken.WA_DB_USERNAME)
        : userName
          ? { kind: 'written', name: userName }
          : undefined,
    password,
    passwordKeyArn: password?.kind === 'parameter' ? await keyOf(around, password.name) : undefined,
  };
}

/** The key of a parameter. An alias is none that a policy can name. */
async function keyOf(around: Surroundings, name: string): Promise<string | undefined> {
  const found = await parametersBeginning(around, name);
  const key = found.find((each) => each.name === name)?.keyId;
  return key?.includes(':key/') ? key : undefined;
}

/** Where nothing names the host: the one server that it can be. */
function onlyServer(
  around: Surroundings,
  host: string | undefined,
  said: { engine: Engine } | undefined,
  servers: DatabaseServer[],
): DatabaseServer | undefined {
  if (host !== undefined) return undefined;
  const family = said?.engine === 'postgres' ? ['postgres', 'aurora-postgresql'] : undefined;
  const fitting = servers.filter(({ engine }) =>
    said === undefined ? true : family ? family.includes(engine) : !engine.includes('postgres'),
  );
  const [only, ...others] = fitting;
  if (only === undefined || others.length > 0) return undefined;
  around.note(
    'taken',
    `The databases are taken to lie on ${only.identifier}, the only server here that they can lie on: --database takes another.`,
  );
  return only;
}

/** What a container's variable is, if no secret: written out, or in a parameter that is not encrypted. */
async function plainValue(
  around: Surroundings,
  variable: string,
  written: Record<string, string>,
  taken: Record<string, string>,
): Promise<string | undefined> {
  if (written[variable]) return written[variable];
  const source = taken[variable] ? sourceOf(taken[variable]) : undefined;
  if (source?.kind !== 'parameter' || variable === 'WA_DB_USERNAME') return undefined;
  return plainParameter(around, source.name);
}

/** A parameter's value, unless it is encrypted: without decryption nothing of a secret comes. */
export function plainParameter(around: Surroundings, name: string): Promise<string | undefined> {
  return around.look(`the parameter ${name}`, undefined, async () => {
    const { Parameter: found } = await around.ssm.send(
      new GetParameterCommand({ Name: name, WithDecryption: false }),
    );
    return found?.Type === 'String' ? found.Value : undefined;
  });
}

/** A parameter that is there, with its key. */
export interface FoundParameter {
  name: string;
  isEncrypted: boolean;
  keyId: string | undefined;
}

/** The parameters whose names begin so. */
export function parametersBeginning(around: Surroundings, prefix: string): Promise<FoundParameter[]> {
  return around.look(`parameters named ${prefix}…`, [], async () => {
    const found = await allOf(
      paginateDescribeParameters(
        { client: around.ssm },
        { ParameterFilters: [{ Key: 'Name', Option: 'BeginsWith', Values: [prefix] }] },
      ),
      (page) => page.Parameters,
    );
    return found.map(({ Name: name = '', Type: type, KeyId: keyId }) => ({
      name,
      isEncrypted: type === 'SecureString',
      keyId,
    }));
  });
}
