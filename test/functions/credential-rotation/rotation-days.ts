import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { RotateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Duration, type Stack } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import type { CredentialRotationOptions } from '../../../functions/credential-rotation/contract.ts';
import type { Login } from '../../../functions/shared/database/contract/engine.ts';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import { CredentialRotation } from '../../../lib/credential-rotation/credential-rotation.ts';
import type {
  CredentialRotationProps,
  OtherCredential,
} from '../../../lib/credential-rotation/credential-rotation-props.ts';
import { Upkeep } from '../../../lib/upkeep.ts';
import { Container } from '../../../rehearsal/aws/containers/container.ts';
import type { ManagedService, ManagedServiceOptions } from '../../../rehearsal/aws/ecs/service.ts';
import { isRecord } from '../../../rehearsal/aws/wire/values.ts';
import { reportsOf } from '../../../rehearsal/run-reports.ts';
import { networkIn } from '../../lib/network.ts';
import { ACCOUNT, type Deployment, deploy, HOUR, MINUTE, REGION, START } from '../../rehearsal/aws/deploy.ts';
import type { TestDatabase } from '../rotate-secret/databases.ts';
import { bothLogins, type Logins, startLogins } from './logins.ts';
import { startWire, type Wire } from './wire.ts';

export const DAY = 24 * HOUR;
export const SECRET = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:shop/database-a1B2c3`;
export const EXPORTER = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:shop/exporter-a1B2c3`;
export const SECOND = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:shop/stock-a1B2c3`;
const SECOND_ADMINISTRATOR = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:shop/stock-rotator-a1B2c3`;
const ADMINISTRATOR = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:shop/rotator-a1B2c3`;
export const PARAMETER = 'shop-WA_DB_PASSWORD';
export const JOB = 'shop-credential-rotation';
const PLACE = { account: ACCOUNT, region: REGION };
/** The schedule, from the beginning of the test's day on. */
const SCHEDULED = 1.5 * HOUR;
/** By then the day's run is over, and each alarm rings that is to. Milliseconds from noon on, when a day begins. */
export const EVENING = 4.5 * HOUR;
/** When the window has ended, until the next day begins. */
export const MORNING = 21 * HOUR;
/** The window ends some hours later, too few for a run that goes wrong. */
const LAST_START = 17 * HOUR;
/** Longer than all days of a test: of a run's work here, half would be to start its functions' processes anew. */
const KEPT_WARM = 1000 * DAY;
/** Operations of a run, more than it has: the nights go through its record page by page. */
const WHOLE_RECORD = 1000;
/** No run takes so long. */
const LONGEST_RUN = 3.5 * HOUR;

export interface Days extends Deployment {
  database: TestDatabase;
  services: { web: ManagedService; master: ManagedService; core: ManagedService };
  logins: Logins;
  /** Of every service: those that run. */
  containers(): Container[];
  /** What a container that starts takes for its credential, given what it was given. A test can change it. */
  reading: { misread: (login: Login, service: string) => Login };
  /** The functions' way to the database. */
  wire: Wire;
  /** The credential in the secret. */
  current(): Login;
  accepts(login: Login): Promise<boolean>;
  /** Plays until the evening of a day, whose run has reported then; the first day is 0. @default the next whose run has not begun */
  day(number?: number): Promise<RunReport>;
  /** Plays until it is so late, the same day or the next. Milliseconds from noon on, when a day begins. */
  playUntil(timeOfDay: number): Promise<void>;
  /** Starts a run by hand, in the window, and plays until it and all that it set going is over. Its report, if it made one. */
  run(options?: CredentialRotationOptions): Promise<RunReport | undefined>;
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
    second,
  }: {
    services?: Record<string, Partial<ManagedServiceOptions>>;
    props?: Partial<CredentialRotationProps>;
    /** Another credential that the containers read from its secret, and log in with, too: of all services, or of some. */
    second?: TestDatabase & Pick<Days['reading'], 'misread'> & { readers?: string[] };
    /** Adds other jobs of the deployment. */
    beside?: (upkeep: Upkeep) => void;
  } = {},
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'rotation-days-'));
  const containers: Container[] = [];
  const ofFirst = startLogins(database);
  const ofSecond = second && startLogins(second);
  const logins = ofSecond ? bothLogins(ofFirst, ofSecond) : ofFirst;
  const reading: Days['reading'] = { misread: (login) => login };
  const wire = await startWire(database);
  try {
    await deploy(
      (stack) => {
        define(stack, database, { ...props, ...(second && { others: { stock: secondIn(stack, second) } }) });
        beside?.(stack.node.findChild('Upkeep') as Upkeep);
      },
      async (deployment) => {
        const { aws, clock, client } = deployment;
        aws.lambda.keepWarm(KEPT_WARM);
        aws.lambda.durable.page = WHOLE_RECORD;
        const { engine, host, port } = database.address;
        const common = { engine, host, port };
        aws.hosts[`${host}:${port}`] = wire.address;
        aws.secrets.put(SECRET, JSON.stringify({ ...common, ...database.user }));
        aws.secrets.put(ADMINISTRATOR, JSON.stringify(database.rotator));
        if (second) {
          const { engine, host, port } = second.address;
          aws.hosts[`${host}:${port}`] = `127.0.0.1:${port}`;
          aws.secrets.put(SECOND, JSON.stringify({ engine, host, port, ...second.user }));
          aws.secrets.put(SECOND_ADMINISTRATOR, JSON.stringify(second.rotator));
        }
        // Before the first run the copies are written by whoever made the deployment.
        aws.ssm.write(PARAMETER, `${database.user.username} ${database.user.password}`, {
          ...PLACE,
          keyId: 'alias/client',
        });
        const exporter = { other: 'kept', data_src_name: exporterLine(database, database.user) };
        aws.secrets.put(EXPORTER, JSON.stringify(exporter));
        const current = () => JSON.parse(aws.secrets.value(SECRET) ?? '') as Login;
        const readsSecond = (name: string) => second && (second.readers?.includes(name) ?? true);
        // What each kind of container is given when it starts.
        const fromParameter = () => {
          const [username = '', password = ''] = aws.ssm.parameter(PARAMETER, PLACE)?.value.split(' ') ?? [];
          return { username, password };
        };
        const service = (name: string, options: Partial<ManagedServiceOptions>, read: () => Login) =>
          aws.ecs.manageService({
            ...PLACE,
            cluster: 'shop',
            service: name,
            desiredCount: 2,
            healthyAfterSeconds: 2,
            start: async () => {
              const login = reading.misread(read(), name);
              const container = await Container.start({
                name,
                folder: join(folder, String(containers.length)),
                isolation: 'rewritten',
              });
              containers.push(container);
              await ofFirst.begin(container, login);
              if (second && ofSecond && readsSecond(name)) {
                const other = JSON.parse(aws.secrets.value(SECOND) ?? '') as Login;
                await ofSecond.begin(container, second.misread(other, name));
              }
              return [container];
            },
            ...options,
            ...(readsSecond(name) && { secrets: [...(options.secrets ?? []), ofStock] }),
            ...changed[name],
          });
        const parameter = [{ name: 'LOGIN', valueFrom: PARAMETER }];
        const secrets = [{ name: 'LOGIN', valueFrom: SECRET }];
        const services = {
          // Its percentages would take both away at once.
          web: service(
            'web',
            { minimumHealthyPercent: 0, maximumPercent: 100, secrets: parameter },
            fromParameter,
          ),
          master: service(
            'master',
            { minimumHealthyPercent: 50, maximumPercent: 100, secrets: parameter },
            fromParameter,
          ),
          core: service(
            'core',
            { minimumHealthyPercent: 100, maximumPercent: 200, desiredCount: 1, secrets },
            current,
          ),
        };
        const ringing = () => {
          const states = new Map(aws.alarms.map(({ alarm, to }) => [alarm, to]));
          return [...states.keys()].filter((alarm) => states.get(alarm) === 'ALARM').sort();
        };
        const timeOfDay = () => (clock.now() - START) % DAY;
        const playUntil = (time: number) => clock.runUntil(clock.now() + ((time - timeOfDay() + DAY) % DAY));
        const isGoingOn = () =>
          aws.lambda.durable.list().some(({ status }) => status === 'RUNNING') ||
          aws.secrets.isRotating(SECRET);
        const lambda = new LambdaClient(client());
        await clock.runUntil(START + 10 * MINUTE);
        try {
          await work({
            ...deployment,
            database,
            services,
            logins,
            containers: () => containers.filter(({ running }) => running),
            reading,
            wire,
            current,
            ringing,
            playUntil,
            accepts: (login) =>
              database.logIn(login).then(
                () => true,
                () => false,
              ),
            day: async (number = Math.ceil((clock.now() - START - SCHEDULED) / DAY)) => {
              const before = reportsOf(aws).length;
              await clock.runUntil(START + number * DAY + EVENING);
              const report = reportsOf(aws).at(-1);
              assert.ok(report && reportsOf(aws).length > before, 'the day had no run');
              return report;
            },
            run: async (options) => {
              if (timeOfDay() < EVENING || timeOfDay() > LAST_START) await playUntil(EVENING);
              const before = reportsOf(aws).length;
              const event = { job: 'credential-rotation', deployment: 'shop', ...(options && { options }) };
              await lambda.send(
                new InvokeCommand({ FunctionName: 'shop-start-run', Payload: JSON.stringify(event) }),
              );
              const limit = clock.now() + LONGEST_RUN;
              do {
                assert.ok(clock.now() < limit, 'the run does not end');
                await clock.runUntil(clock.now() + 5000);
              } while (isGoingOn());
              return reportsOf(aws)[before];
            },
          });
        } finally {
          lambda.destroy();
          // The next deployment begins with what this one left.
          database.user = current();
          if (second) second.user = JSON.parse(aws.secrets.value(SECOND) ?? '') as Login;
        }
      },
    );
  } finally {
    await Promise.all(containers.map((container) => container.kill()));
    await logins.stop();
    await wire.close();
    await Promise.all(containers.map((container) => container.remove()));
    rmSync(folder, { recursive: true, force: true });
  }
}

function secondIn(stack: Stack, { address, strategy }: TestDatabase): OtherCredential {
  const secret = (id: string, arn: string) => Secret.fromSecretCompleteArn(stack, id, arn);
  return {
    secret: secret('Second', SECOND),
    administrator: secret('SecondAdministrator', SECOND_ADMINISTRATOR),
    database: address,
    strategy,
    acceptFailedLogins: strategy.kind === 'single-password',
  };
}

/** Whose runs are watched, and broken off. */
export type Watched = Pick<Days, 'aws' | 'clock' | 'client'> & {
  /** The function's name. @default that of the rotation */
  job?: string;
  logins?: Pick<Logins, 'round'>;
};

/**
 * Calls the listener at the end of each operation of the job's runs, before the function hears that it is on record.
 * `calls`: how many the function has made for it, besides those for the record; `changes`: how many of them do more than read.
 */
export function onOperationEnd(
  { aws, job = JOB }: Watched,
  listener: (name: string, made: { calls: number; changes: number }) => void,
): () => void {
  let calls = 0;
  let changes = 0;
  return aws.onCall(({ caller, service, operation, input }) => {
    if (caller.function?.name !== job) return undefined;
    if (service !== 'lambda') {
      calls += 1;
      if (!/^(?:Get|Describe|List)/.test(operation)) changes += 1;
    }
    if (operation !== 'CheckpointDurableExecution') return undefined;
    for (const { Name, Action } of Array.isArray(input.Updates) ? input.Updates.filter(isRecord) : []) {
      if (Action !== 'SUCCEED' || typeof Name !== 'string') continue;
      listener(Name, { calls, changes });
      calls = 0;
      changes = 0;
    }
    return undefined;
  });
}

/** Does the work once what is being done now is done; the clock stands still until it is over. */
export function soon({ clock }: Pick<Days, 'clock'>, work: () => void | Promise<void>): void {
  void clock.hold(async () => {
    await turn();
    await work();
  });
}

/** What a service that reads the second credential is given. */
export const ofStock = { name: 'STOCK_PASSWORD', valueFrom: `${SECOND}:password::` };

/** As in the console. */
export async function rotateByHand({ client }: Days, secretArn = SECRET): Promise<void> {
  const secrets = new SecretsManagerClient(client());
  await secrets.send(new RotateSecretCommand({ SecretId: secretArn }));
  secrets.destroy();
}

/** Each place other than the secret holds the credential. */
export function expectCopies({ aws, database }: Days, login: Login): void {
  assert.equal(aws.ssm.parameter(PARAMETER, PLACE)?.value, `${login.username} ${login.password}`);
  assert.deepEqual(JSON.parse(aws.secrets.value(EXPORTER) ?? ''), {
    other: 'kept',
    data_src_name: exporterLine(database, login),
  });
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
    window: { from: '13:00', to: '09:00' },
  });
  const key = new Key(stack, 'Key', { alias: 'alias/client', enableKeyRotation: true });
  return new CredentialRotation(stack, 'Rotation', {
    upkeep,
    secret: Secret.fromSecretCompleteArn(stack, 'Secret', SECRET),
    administrator: Secret.fromSecretCompleteArn(stack, 'Administrator', ADMINISTRATOR),
    database: database.address,
    strategy: database.strategy,
    cluster: 'shop',
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
    network: networkIn(stack),
    schedule: { at: '13:30' },
    timeLimit: Duration.hours(3),
    rotateAfter: Duration.days(1),
    maximumAge: Duration.days(2),
    // A little more than Secrets Manager's repetitions take.
    rotationTimeout: Duration.minutes(5),
    ...props,
  });
}
