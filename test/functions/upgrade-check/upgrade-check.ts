import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { Duration, type Stack } from 'aws-cdk-lib';
import pg from 'pg';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import type { StartOutcome } from '../../../functions/start-run/contract.ts';
import type { Finding } from '../../../functions/upgrade-check/criteria.ts';
import { Upkeep } from '../../../lib/upkeep.ts';
import { UpkeepJob } from '../../../lib/upkeep-job.ts';
import { UpgradeCheck, type UpgradeCheckProps } from '../../../lib/whatsapp/upgrade-check.ts';
import type { Container } from '../../../rehearsal/aws/containers/container.ts';
import type { ManagedService, ManagedServiceOptions } from '../../../rehearsal/aws/ecs/service.ts';
import { type Postgres, startPostgres } from '../../../rehearsal/databases/postgres.ts';
import { serverCertificate } from '../../../rehearsal/databases/tls-certificate.ts';
import { reportsOf } from '../../../rehearsal/run-reports.ts';
import { networkIn } from '../../lib/network.ts';
import { ACCOUNT, type Deployment, deploy, HOUR, MINUTE, REGION, START } from '../../rehearsal/aws/deploy.ts';
import { startsIn } from '../../rehearsal/aws/ecs/service-containers.ts';
import type { CollectGarbageSettings } from './collect-garbage.ts';

export const HOST = 'database.internal';
export const DATABASE = 'wa1_messageStore';
/** How many rows may be there for an upgrade. */
const MAXIMUM_ROWS = 20_000;
const PORT = 5432;
const SECRET = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:database/size-a1B2c3`;
const PLACE = { account: ACCOUNT, region: REGION };
/** The downtime window begins at 02:00, fourteen hours after the start. */
export const WINDOW = START + 14 * HOUR;

/** A real PostgreSQL with a client's tables. */
export interface ClientDatabase {
  server: Postgres;
  authority: string;
  password: string;
  run(...statements: string[]): Promise<void>;
  /** Gives a table so many rows, of which the server knows. */
  fill(table: 'messages' | 'media', rows: number): Promise<void>;
}

export async function startClientDatabase(): Promise<ClientDatabase> {
  const { authority, ...tls } = await serverCertificate(HOST);
  const server = await startPostgres({ tls, settings: { autovacuum: 'off' } });
  const password = crypto.randomUUID();
  const runIn = async (database: string, statements: string[]) => {
    const { host, port, user, password } = server;
    const client = new pg.Client({ host, port, user, password, database });
    await client.connect();
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  };
  await runIn('postgres', [`CREATE ROLE size LOGIN PASSWORD '${password}'`, `CREATE DATABASE "${DATABASE}"`]);
  await runIn(DATABASE, [
    'CREATE UNLOGGED TABLE messages (id bigint PRIMARY KEY)',
    'CREATE UNLOGGED TABLE media (id bigint PRIMARY KEY)',
    "CREATE TABLE garbage AS SELECT 0 AS per_run, 'succeeded' AS outcome",
  ]);
  return {
    server,
    authority,
    password,
    run: (...statements) => runIn(DATABASE, statements),
    fill: (table, rows) =>
      runIn(DATABASE, [
        `TRUNCATE ${table}`,
        `INSERT INTO ${table} SELECT generate_series(1, ${rows})`,
        // Else it would be added to what ANALYZE finds.
        'SELECT pg_stat_force_next_flush()',
        `ANALYZE ${table}`,
      ]),
  };
}

/** What a test works with. */
export interface Checked extends Deployment {
  service: ManagedService;
  /** CloudWatch's number of the server's free space, as of now. */
  freeSpace(bytes: number): void;
  /** Sends an event to start-run, and returns its answer. */
  start(job: string, options?: object): Promise<StartOutcome>;
  /** Plays until the run has ended. */
  report(runId: string): Promise<RunReport>;
  /** Asks, and plays until there is an answer. */
  check(options?: object): Promise<RunReport>;
  /** Has garbage collected by hand. */
  collect(): Promise<RunReport>;
}

export interface Deployed {
  /** @default all is configured */
  props?: (jobs: { messageGc: UpkeepJob }) => Partial<UpgradeCheckProps>;
  engine?: 'postgres' | 'aurora-postgresql';
  service?: Partial<ManagedServiceOptions>;
  /** Takes actions away from upgrade-check's role. */
  without?: string[];
}

/** A deployment of upgrade-check, of a job in the place of garbage collection and of one that this must not meet. */
export async function checkedDeployment(
  database: ClientDatabase,
  work: (checked: Checked) => Promise<void>,
  { props = () => ({}), engine = 'postgres', service: changed = {}, without = [] }: Deployed = {},
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'upgrade-check-'));
  const containers: Container[] = [];
  try {
    await deploy(
      (stack) => define(stack, database, props, engine),
      async (deployment) => {
        const { aws, clock, client } = deployment;
        aws.hosts[`${HOST}:${PORT}`] = `127.0.0.1:${database.server.port}`;
        aws.secrets.put(
          SECRET,
          JSON.stringify({ username: 'size', password: database.password, engine, host: HOST }),
        );
        const service = aws.ecs.manageService({
          ...PLACE,
          cluster: 'shop',
          service: 'web',
          desiredCount: 2,
          start: startsIn(folder, containers),
          ...changed,
        });
        const lambda = new LambdaClient(client());
        const start: Checked['start'] = async (job, options) => {
          const { Payload: payload } = await clock.hold(() =>
            lambda.send(
              new InvokeCommand({
                FunctionName: 'shop-start-run',
                Payload: JSON.stringify({ job, deployment: 'shop', ...(options && { options }) }),
              }),
            ),
          );
          return JSON.parse(Buffer.from(payload ?? []).toString());
        };
        const report: Checked['report'] = async (runId) => {
          // By so little that a function which is soon asked again still has its process.
          for (let minutes = 0; minutes < 6 * 60; minutes += 1) {
            const found = reportsOf(aws).find((report) => report.runId === runId);
            if (found) return found;
            await clock.runUntil(clock.now() + MINUTE);
          }
          throw new Error(`${runId} has not ended.`);
        };
        const started = async (job: string, options?: object) => {
          const outcome = await start(job, options);
          assert.equal(outcome.outcome, 'started', JSON.stringify(outcome));
          return report(outcome.runId);
        };
        try {
          await clock.runUntil(START + 10 * MINUTE);
          await work({
            ...deployment,
            service,
            freeSpace: (bytes) =>
              aws.cloudWatch.put(
                PLACE,
                'AWS/RDS',
                'FreeStorageSpace',
                { DBInstanceIdentifier: 'shop-db' },
                bytes,
              ),
            start,
            report,
            check: (options) => started('upgrade-check', options),
            collect: () => started('message-gc'),
          });
        } finally {
          lambda.destroy();
        }
      },
      {
        change: (templates) => {
          for (const { Resources: resources } of Object.values(templates))
            for (const [id, { Properties: properties }] of Object.entries(resources)) {
              if (id.startsWith('UpgradeCheck') && properties?.Environment) lowerLimit(properties);
              const document = properties?.PolicyDocument as { Statement: { Action: unknown }[] } | undefined;
              if (id.startsWith('UpgradeCheck') && document)
                document.Statement = document.Statement.filter(
                  ({ Action }) => !without.some((action) => [Action].flat().includes(action)),
                );
            }
        },
      },
    );
  } finally {
    await Promise.all(containers.map((container) => container.remove()));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What is true of two millions of rows is of twenty thousand, which are there a hundred times as soon. */
function lowerLimit(properties: Record<string, unknown>): void {
  const text = JSON.stringify(properties.Environment);
  const lowered = text.replace(/(maximumRows\\+":)2000000\b/, `$1${MAXIMUM_ROWS}`);
  assert.notEqual(lowered, text);
  properties.Environment = JSON.parse(lowered);
}

function define(
  stack: Stack,
  { server, authority }: ClientDatabase,
  props: NonNullable<Deployed['props']>,
  engine: NonNullable<Deployed['engine']>,
): void {
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Etc/UTC',
    window: { from: '02:00', to: '05:00' },
  });
  const { host, port, user, password } = server;
  const garbageCollection = (job: string, ...others: string[]) =>
    new UpkeepJob(stack, job, {
      upkeep,
      job,
      description: 'Collects garbage',
      entry: new URL('collect-garbage.ts', import.meta.url).pathname,
      settings: {
        connection: { host, port, user, password, database: DATABASE },
      } satisfies CollectGarbageSettings,
      timeLimit: Duration.hours(2),
      conflictsWith: others,
    });
  const messageGc = garbageCollection('message-gc', 'media-gc');
  const mediaGc = garbageCollection('media-gc', 'message-gc');
  // Of which upgrade-check is not told.
  garbageCollection('nightly-export');
  new UpgradeCheck(stack, 'UpgradeCheck', {
    upkeep,
    sets: [
      {
        prefix: 'wa1_',
        database: { engine, host: HOST, port: PORT, certificateAuthority: authority },
        secretArn: SECRET,
      },
    ],
    network: networkIn(stack),
    messageGc,
    otherJobs: [mediaGc],
    services: { clusterName: 'shop', names: ['web'] },
    storage: [{ host: HOST, identifier: 'shop-db' }],
    ...props({ messageGc }),
  });
}

/** The answer to each criterion. */
export function answers({ details }: RunReport): Record<string, Finding['answer']> {
  const { criteria } = details as { criteria: Finding[] };
  return Object.fromEntries(criteria.map(({ criterion, answer }) => [criterion, answer]));
}

export const ALL_YES: Record<string, Finding['answer']> = {
  'rows of messages': 'yes',
  'rows of media': 'yes',
  'last garbage collection': 'yes',
  'other runs': 'yes',
  services: 'yes',
  'free space': 'yes',
};
