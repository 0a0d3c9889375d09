import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Duration, type Stack } from 'aws-cdk-lib';
import { SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import type { Login } from '../../../functions/shared/database/secret.ts';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import { CredentialRotation, type CredentialRotationProps } from '../../../lib/credential-rotation.ts';
import { Upkeep } from '../../../lib/upkeep.ts';
import type { ManagedService, ManagedServiceOptions } from '../../../rehearsal/aws/ecs-service.ts';
import { Container } from '../../../rehearsal/containers/container.ts';
import { ACCOUNT, type Deployment, deploy, HOUR, MINUTE, REGION, START } from '../../rehearsal/aws/deploy.ts';
import type { TestDatabase } from '../rotate-secret/databases.ts';

export const DAY = 24 * HOUR;
export const SECRET = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:shop/database-a1B2c3`;
export const EXPORTER = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:shop/exporter-a1B2c3`;
const ADMINISTRATOR = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:shop/rotator-a1B2c3`;
export const PARAMETER = 'shop-WA_DB_PASSWORD';
const PLACE = { account: ACCOUNT, region: REGION };
/** Between two logins of a container. Milliseconds. */
const PAUSE = 120;

export interface Days extends Deployment {
  services: Record<string, ManagedService>;
  logins: { made: number; failed: number; reasons: string[] };
  /** The credential in the secret. */
  current(): Login;
  accepts(login: Login): Promise<boolean>;
  /** Plays until the day's run is over; the first day is 0. */
  day(number: number): Promise<RunReport>;
  /** The alarms that ring now. */
  ringing(): string[];
}

/**
 * A deployment with three services, whose containers read the credential at their start (two from Parameter Store, one
 * from the secret) and then log in to a real database all the time, played day by day.
 */
export async function rotationDays(
  database: TestDatabase,
  work: (days: Days) => Promise<void>,
  {
    services: changed = {},
    props = {},
    beside,
  }: {
    services?: Record<string, Partial<ManagedServiceOptions>>;
    props?: Partial<CredentialRotationProps>;
    /** Adds other jobs of the deployment. */
    beside?: (upkeep: Upkeep) => void;
  } = {},
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'rotation-days-'));
  const containers: Container[] = [];
  const loops: Promise<void>[] = [];
  const logins: Days['logins'] = { made: 0, failed: 0, reasons: [] };
  try {
    await deploy(
      (stack) => {
        define(stack, database, props);
        beside?.(stack.node.findChild('Upkeep') as Upkeep);
      },
      async (deployment) => {
        const { aws, clock } = deployment;
        const { engine, host, port } = database.address;
        const common = { engine, host, port };
        aws.secrets.put(SECRET, JSON.stringify({ ...common, ...database.user }));
        aws.secrets.put(ADMINISTRATOR, JSON.stringify(database.rotator));
        aws.secrets.put(EXPORTER, JSON.stringify({ other: 'kept', data_src_name: 'not written yet' }));
        aws.ssm.write(PARAMETER, 'not written yet', { ...PLACE, keyId: 'alias/client' });
        const current = () => JSON.parse(aws.secrets.value(SECRET) ?? '') as Login;
        // What each kind of container is given when it starts.
        const fromParameter = () => {
          const [username = '', password = ''] = aws.ssm.parameter(PARAMETER, PLACE)?.value.split(' ') ?? [];
          return { username, password };
        };
        const keepLoggingIn = async (container: Container, login: Login) => {
          while (container.running) {
            try {
              await database.logIn(login);
              logins.made += 1;
            } catch (error) {
              logins.failed += 1;
              logins.reasons.push(`${container.name}: ${error instanceof Error ? error.message : error}`);
            }
            await delay(PAUSE);
          }
        };
        const starter = (name: string, read: () => Login) => async () => {
          const login = read();
          const container = await Container.start({
            name,
            folder: join(folder, String(containers.length)),
            isolation: 'rewritten',
          });
          containers.push(container);
          loops.push(keepLoggingIn(container, login));
          return [container];
        };
        const service = (name: string, options: Partial<ManagedServiceOptions>, read: () => Login) =>
          aws.ecs.manageService({
            ...PLACE,
            cluster: 'shop',
            service: name,
            desiredCount: 2,
            start: starter(name, read),
            ...options,
            ...changed[name],
          });
        // Before the first run the copies are written by whoever made the deployment.
        aws.ssm.write(PARAMETER, `${database.user.username} ${database.user.password}`, {
          ...PLACE,
          keyId: 'alias/client',
        });
        aws.secrets.put(
          EXPORTER,
          JSON.stringify({ other: 'kept', data_src_name: exporterLine(database, database.user) }),
        );
        const services = {
          web: service(
            'web',
            { minimumHealthyPercent: 25, maximumPercent: 100, desiredCount: 3 },
            fromParameter,
          ),
          master: service('master', { minimumHealthyPercent: 50, maximumPercent: 100 }, fromParameter),
          core: service('core', { minimumHealthyPercent: 100, maximumPercent: 200 }, current),
        };
        const ringing = () => {
          const states = new Map(aws.alarms.map(({ alarm, to }) => [alarm, to]));
          return [...states.keys()].filter((alarm) => states.get(alarm) === 'ALARM').sort();
        };
        await clock.runUntil(START + 10 * MINUTE);
        try {
          await work({
            ...deployment,
            services,
            logins,
            current,
            ringing,
            accepts: (login) =>
              database.logIn(login).then(
                () => true,
                () => false,
              ),
            day: async (number) => {
              const before = aws.reports.length;
              await clock.runUntil(START + number * DAY + 4.5 * HOUR);
              const report = aws.reports[aws.reports.length - 1];
              assert.ok(report && aws.reports.length > before, `no run on day ${number}`);
              return report;
            },
          });
        } finally {
          // The next deployment begins with what this one left.
          database.user = current();
        }
      },
    );
  } finally {
    await Promise.all(containers.map((container) => container.kill()));
    await Promise.all(loops);
    await Promise.all(containers.map((container) => container.remove()));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The exporter's connection string. */
export function exporterLine({ address }: TestDatabase, { username, password }: Login): string {
  return `${username}:${password}@(${address.host}:3306)/`;
}

export function define(
  stack: Stack,
  database: Pick<TestDatabase, 'address' | 'strategy'>,
  props: Partial<CredentialRotationProps> = {},
): CredentialRotation {
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Etc/UTC',
    window: { from: '13:00', to: '17:00' },
  });
  const key = new Key(stack, 'Key', { alias: 'alias/client', enableKeyRotation: true });
  return new CredentialRotation(stack, 'Rotation', {
    upkeep,
    secretArn: SECRET,
    adminSecretArn: ADMINISTRATOR,
    database: database.address,
    strategy: database.strategy,
    clusterName: 'shop',
    services: [{ name: 'web' }, { name: 'master' }, { name: 'core', oneAtATime: true }],
    copies: [
      {
        kind: 'parameter',
        name: PARAMETER,
        keyId: 'alias/client',
        keyArn: key.keyArn,
        template: '{username} {password}',
      },
      {
        kind: 'secret',
        secretArn: EXPORTER,
        key: 'data_src_name',
        template: `{username}:{password}@(${database.address.host}:3306)/`,
      },
    ],
    network: {
      vpc: Vpc.fromVpcAttributes(stack, 'Vpc', {
        vpcId: 'vpc-12345678',
        availabilityZones: [`${REGION}a`],
      }),
      subnets: [
        Subnet.fromSubnetAttributes(stack, 'Subnet', {
          subnetId: 'subnet-12345678',
          availabilityZone: `${REGION}a`,
        }),
      ],
      securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-12345678')],
    },
    schedule: { at: '13:30' },
    timeLimit: Duration.hours(3),
    rotateAfter: Duration.days(1),
    maximumAge: Duration.days(2),
    ...props,
  });
}
