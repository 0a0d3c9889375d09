import { Duration, type Stack } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import pg from 'pg';
import type { RotatedCredential } from '../../../lib/credential-rotation/credential-copies.ts';
import { MediaVolume } from '../../../lib/media-volume/media-volume.ts';
import { MediaVolumeAlarms } from '../../../lib/media-volume/media-volume-alarms.ts';
import { Upkeep } from '../../../lib/upkeep.ts';
import { DatabaseSize } from '../../../lib/whatsapp/database-size.ts';
import type { AwsOptions } from '../../../rehearsal/aws/server.ts';
import { startPostgres } from '../../../rehearsal/databases/postgres.ts';
import { serverCertificate } from '../../../rehearsal/databases/tls-certificate.ts';
import { networkIn } from '../../lib/network.ts';
import { ACCOUNT, type Deployment, deploy, HOUR, REGION, START } from '../../rehearsal/aws/deploy.ts';

export const ROWS = 2_500_000;
export const DAY = 24 * HOUR;
export const HOST = 'database.internal';
export const PORT = 5432;
export const SECRET = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:database/size-a1B2c3`;
export const FILE_SYSTEM = 'fs-0123456789abcdef0';
export const FILE_SYSTEM_ARN = `arn:aws:elasticfilesystem:${REGION}:${ACCOUNT}:file-system/${FILE_SYSTEM}`;
/** The credential that is rotated, and the places of its copies. */
export const CREDENTIAL = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:shop/database-d4E5f6`;
export const EXPORTER = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:shop/exporter-g7H8i9`;
const LINE = '{username}:{password}@(database.internal:5432)/';
export const PARAMETER = 'shop-WA_DB_PASSWORD';
const DIMENSIONS = { deployment: 'shop', job: 'database-size' };

/** What there is besides the databases. */
interface What {
  withVolume?: boolean;
  withCopies?: boolean;
}

export type Stage = Awaited<ReturnType<typeof startStage>>;

/** A PostgreSQL with two sets of databases, one of them large, on which any number of nights are played. */
export async function startStage() {
  const password = crypto.randomUUID();
  const tls = await serverCertificate(HOST);
  const server = await startPostgres({ tls, settings: { autovacuum: 'off' } });
  try {
    await run('postgres', `CREATE ROLE size LOGIN PASSWORD '${password}'`);
    // The prefix of the one begins the other's.
    await createSet('wa1_', ROWS);
    await createSet('wa1_b_', 10);
  } catch (error) {
    await server.stop();
    throw error;
  }

  async function run(database: string, ...statements: string[]): Promise<void> {
    const { host, port, user, password } = server;
    const client = new pg.Client({ host, port, user, password, database });
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  }

  async function createSet(prefix: string, rows: number): Promise<void> {
    await run('postgres', `CREATE DATABASE "${prefix}messageStore"`);
    await run(
      `${prefix}messageStore`,
      'CREATE UNLOGGED TABLE messages (id bigint PRIMARY KEY, body text)',
      `INSERT INTO messages SELECT n, repeat('m', 50) FROM generate_series(1, ${rows}) n`,
      'CREATE TABLE media (id bigint PRIMARY KEY)',
      'INSERT INTO media SELECT generate_series(1, 7)',
    );
  }

  function define(stack: Stack, { withVolume, withCopies }: What): void {
    const upkeep = new Upkeep(stack, 'Upkeep', {
      deployment: 'shop',
      timeZone: 'Etc/UTC',
      window: { from: '02:00', to: '05:00' },
    });
    const database = {
      engine: 'postgres' as const,
      host: HOST,
      port: PORT,
      certificateAuthority: tls.authority,
    };
    const mediaVolume = withVolume
      ? MediaVolume.fromFileSystem(stack, 'Volume', {
          deployment: 'shop',
          fileSystemId: FILE_SYSTEM,
          securityGroupId: 'sg-12345678',
          accessPointId: 'fsap-0123456789abcdef0',
        })
      : undefined;
    if (mediaVolume) new MediaVolumeAlarms(stack, 'Alarms', { volume: mediaVolume, topic: upkeep.topic });
    new DatabaseSize(stack, 'DatabaseSize', {
      upkeep,
      sets: [
        { prefix: 'wa1_', database, secretArn: SECRET },
        { prefix: 'wa1_b_', database, secretArn: SECRET },
      ],
      network: networkIn(stack),
      schedule: { at: '03:00' },
      timeLimit: Duration.minutes(30),
      mediaVolume,
      ...(withCopies && { passwordCopies: copiesOf(stack) }),
    });
  }

  function copiesOf(stack: Stack): RotatedCredential {
    const key = new Key(stack, 'Key', { alias: 'alias/client', enableKeyRotation: true });
    return {
      secretArn: CREDENTIAL,
      copies: [
        { kind: 'parameter', name: PARAMETER, keyId: 'alias/client', keyArn: key.keyArn },
        { kind: 'secret', secretArn: EXPORTER, key: 'data_src_name', template: LINE },
      ],
      timeLimit: Duration.hours(2),
    };
  }

  async function atNight(
    work: (deployment: Deployment) => Promise<void>,
    { change, ...what }: What & { change?: AwsOptions['change'] } = {},
  ): Promise<void> {
    const play = async (deployment: Deployment) => {
      const { aws } = deployment;
      aws.hosts[`${HOST}:${PORT}`] = `127.0.0.1:${server.port}`;
      aws.secrets.put(SECRET, JSON.stringify({ username: 'size', password, engine: 'postgres', host: HOST }));
      // As if it had been running for three nights, in which the table grew fast.
      for (const [daysAgo, rows] of [
        [3, 100_000],
        [2, 900_000],
        [1, 1_700_000],
      ] as const)
        putMessageRows(aws, rows, START + 15 * HOUR - daysAgo * DAY);
      await work(deployment);
    };
    await deploy((stack) => define(stack, what), play, change && { change });
  }

  return { password, run, atNight, stop: () => server.stop() };
}

/** As a run tells it of the large set. */
export function putMessageRows({ cloudWatch }: Deployment['aws'], rows: number, at: number): void {
  cloudWatch.put(
    { account: ACCOUNT, region: REGION },
    'Upkeep',
    'MessageRows',
    { ...DIMENSIONS, set: 'wa1' },
    rows,
    at,
  );
}

/** The names' ends of the alarms that ring now. */
export function ringing({ aws }: Deployment): string[] {
  const states = new Map(aws.alarms.map(({ alarm, to }) => [alarm, to]));
  return [...states.keys()].filter((alarm) => states.get(alarm) === 'ALARM').map(nameEnd);
}

/** The names' ends of the alarms that began to ring, in their order. */
export function rang({ aws }: Deployment): string[] {
  return aws.alarms.filter(({ to }) => to === 'ALARM').map(({ alarm }) => nameEnd(alarm));
}

function nameEnd(alarm: string): string {
  return alarm.replace('shop-database-size-', '');
}
