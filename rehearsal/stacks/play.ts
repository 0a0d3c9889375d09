import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CredentialRotationSettings } from '../../functions/credential-rotation/contract.ts';
import type { Watched } from '../../functions/reload-on-change/contract.ts';
import type { DatabaseAddress, Login } from '../../functions/shared/database/contract/engine.ts';
import type { RunReport } from '../../functions/shared/run/report.ts';
import { type Clock, simulatedClock } from '../aws/clock.ts';
import { Container } from '../aws/containers/container.ts';
import { clusterArn } from '../aws/ecs/arns.ts';
import type { Definition } from '../aws/ecs/task.ts';
import type { Place } from '../aws/place.ts';
import { type Aws, RESOURCE_TYPES, startAws } from '../aws/server.ts';
import type { Template } from '../aws/template/assembly.ts';
import type { Deployed, Resource } from '../aws/template/resource.ts';
import { readTemplates } from '../aws/template/template.ts';
import { settingsOf } from '../deployed-functions.ts';
import { reportsOf } from '../run-reports.ts';
import { Logins } from '../whatsapp/logins.ts';
import { certificatesFor, type RotatedDatabase, startRotatedDatabase } from './databases.ts';
import type { Description } from './description.ts';
import { otherResource } from './other-resources.ts';

const HOUR = 3600 * 1000;
/** After the start of what is played. */
const CHANGES_AFTER = 10 * 60_000;
const DAY = 24 * HOUR;
/** As most services have: then one can be replaced while another serves. */
const TASKS = 2;

export interface PlayOptions {
  /** What `cdk synth` wrote. */
  cdkOut: string;
  description: Description;
  /** Epoch milliseconds. */
  start: number;
  hours: number;
  /** Called with each thing that happens: the moment on the clock, and a sentence. */
  onEvent?: (at: number, what: string) => void;
}

/** What came of it. */
export interface Played {
  runs: RunReport[];
  alarms: { alarm: string; time: number }[];
  /** Each call that a policy did not allow, as AWS's sentence. */
  denied: string[];
  /** Of the containers to databases whose credential is rotated. */
  logins: { made: number; failed: number };
  /** What was put in place of the stacks' own. */
  notes: string[];
}

/** What a function of ours says of itself, as far as a rehearsal looks at it. */
type Settings = Partial<CredentialRotationSettings> & {
  roles?: { services: string[]; container: string }[];
  clusterArn?: string;
  /** Of a job in tasks of its own. */
  service?: string;
  container?: string;
  family?: string;
  logGroup?: string;
  secrets?: unknown;
  /** Of a job that reloads services. */
  watched?: Watched[];
};

/** Plays synthesized stacks for some hours: by their schedules, with their functions, containers and databases. */
export async function playStacks(options: PlayOptions): Promise<Played> {
  const { cdkOut, description, start, hours, onEvent = () => {} } = options;
  const folder = mkdtempSync(join(tmpdir(), 'rehearsal-'));
  const clock = simulatedClock(start, folder);
  const close: (() => unknown)[] = [
    () => rmSync(folder, { recursive: true, force: true }),
    () => clock.close(),
  ];
  try {
    const certificates = await certificatesFor(
      rotationsIn(
        readTemplates(cdkOut, {
          endpoint: 'http://127.0.0.1',
          types: RESOURCE_TYPES,
          otherwise: otherResource,
        }),
      ).map(({ database }) => database.host),
    );
    const trusted = [...certificates.values()].map(({ certificate }) => `${certificate.trim()}\n`).join('');
    const aws = await startAws({
      cdkOut,
      clock,
      otherwise: otherResource,
      ...(trusted && { change: (templates) => trust(templates, trusted) }),
    });
    close.push(() => aws.close());
    const stage: Stage = { aws, clock, folder, description, containers: [], logins: [], notes: [] };
    close.push(() => Promise.all(stage.containers.map((container) => container.remove())));
    for (const [secret, value] of Object.entries(description.secrets))
      aws.secrets.put(secret, typeof value === 'string' ? value : JSON.stringify(value), start - DAY);
    const databases = new Map<string, { database: RotatedDatabase; logins: Logins }>();
    for (const rotation of rotationsIn(aws.deployed)) {
      const certificate = certificates.get(rotation.database.host);
      if (!certificate) continue;
      const database = await startRotatedDatabase(rotation.database, rotation.strategy, certificate);
      close.push(() => database.stop());
      const logins = new Logins(clock, database.logIn);
      stage.logins.push(logins);
      databases.set(rotation.secretArn, { database, logins });
      keepCredential(stage, rotation, database);
    }
    keepWatched(stage);
    await startServices(stage, databases);
    let told = { reports: 0, alarms: 0 };
    for (let time = start; time < start + hours * HOUR; ) {
      time = Math.min(time + HOUR / 2, start + hours * HOUR);
      await clock.runUntil(time);
      told = tell(aws, told, onEvent);
    }
    await Promise.all(stage.logins.map((logins) => logins.end()));
    const sum = (count: 'made' | 'failed') =>
      stage.logins.reduce((all, logins) => all + logins.count[count], 0);
    return {
      runs: reportsOf(aws),
      alarms: aws.alarms.filter(({ to }) => to === 'ALARM').map(({ alarm, time }) => ({ alarm, time })),
      denied: [...aws.denials],
      logins: { made: sum('made'), failed: sum('failed') },
      notes: stage.notes,
    };
  } finally {
    for (const end of close.reverse()) await end();
  }
}

interface Stage {
  readonly aws: Aws;
  readonly clock: Clock;
  readonly folder: string;
  readonly description: Description;
  readonly containers: Container[];
  readonly logins: Logins[];
  readonly notes: string[];
}

function settingsIn(deployed: Deployed): { settings: Settings; place: Resource }[] {
  return deployed.ofType('AWS::Lambda::Function').flatMap((resource) => {
    const text = resource.properties
      .child('Environment')
      ?.child('Variables')
      ?.text('UPKEEP_SETTINGS', undefined);
    return text === undefined ? [] : [{ settings: settingsOf<Settings>(resource), place: resource }];
  });
}

type Rotation = Pick<
  CredentialRotationSettings,
  'secretArn' | 'database' | 'strategy' | 'rotateAfterDays'
> & {
  adminSecretArn?: string | undefined;
};

/** Of the jobs that rotate, and not of the functions of their steps. */
function rotationsIn(deployed: Deployed): Rotation[] {
  return settingsIn(deployed).flatMap(({ settings }) => {
    const { secretArn, database, strategy, rotateAfterDays } = settings;
    if (!secretArn || !database || !strategy || rotateAfterDays === undefined) return [];
    return [
      { secretArn, database, strategy, rotateAfterDays, adminSecretArn: settings.adminSecretArn },
      ...(settings.further ?? []).map((each) => ({ ...each, rotateAfterDays })),
    ];
  });
}

/** The certificates of the rehearsal's own servers stand for those that the functions trust. */
function trust(templates: Record<string, Template>, certificates: string): void {
  const replaced = (value: unknown): unknown => {
    if (typeof value === 'string')
      return value.replaceAll(
        /"certificateAuthority":"(?:[^"\\]|\\.)*"/g,
        () => `"certificateAuthority":${JSON.stringify(certificates)}`,
      );
    if (Array.isArray(value)) return value.map(replaced);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, replaced(part)]));
  };
  for (const { Resources } of Object.values(templates))
    for (const { Type, Properties } of Object.values(Resources))
      if (Type === 'AWS::Lambda::Function' && Properties?.Environment)
        Properties.Environment = replaced(Properties.Environment);
}

/** The secret, so old that its rotation is due, and that of who changes passwords. */
function keepCredential(
  { aws, clock, notes }: Stage,
  rotation: Rotation,
  { port, user, administrator }: RotatedDatabase,
): void {
  const { secretArn, adminSecretArn, rotateAfterDays, database } = rotation;
  const address = ({ engine, host, port }: DatabaseAddress) => ({ engine, host, port });
  const value = (login: Login) => JSON.stringify({ ...address(database), ...login });
  aws.secrets.put(secretArn, value(user), clock.now() - rotateAfterDays * DAY);
  if (adminSecretArn) aws.secrets.put(adminSecretArn, value(administrator));
  aws.hosts[`${database.host}:${database.port}`] = `127.0.0.1:${port}`;
  notes.push(
    `${database.host}:${database.port} is a server of the rehearsal's own (${database.engine}), whose certificate the functions trust; ${secretArn} holds the password of ${user.username} there.`,
  );
}

/** What is watched, of yesterday where the description does not say what it is; each gets a new version soon. */
function keepWatched({ aws, clock, notes }: Stage): void {
  for (const { settings, place } of settingsIn(aws.deployed))
    for (const each of settings.watched ?? []) {
      const write = (value: string, since?: number) =>
        'parameter' in each
          ? aws.ssm.write(each.parameter, value, { ...place, ...(since !== undefined && { since }) })
          : aws.secrets.put(each.secretArn, value, since);
      const known = 'parameter' in each ? undefined : aws.secrets.value(each.secretArn);
      const value = known ?? 'rehearsal';
      if (known === undefined) write(value, clock.now() - DAY);
      clock.at(clock.now() + CHANGES_AFTER, () => write(value));
      notes.push(`${each.name} gets a new version ten minutes after the start, with the value that it has.`);
    }
}

/** A service as jobs know it: by the containers that they work in, and the secret that these read. */
interface KnownService extends Place {
  cluster: string;
  service: string;
  names: Set<string>;
  /** What is rotated, and its containers read. */
  secretArns: Set<string>;
  family?: string;
  logGroup?: string;
  /** By which ECS fetches the secrets of new tasks. */
  executionRoleArn?: string;
}

/** Of the roles that a job's function hands on to its tasks the last one, as they are told. */
function executionRoleOf({ access }: Aws, job: Resource): string | undefined {
  const roleArn = job.properties.text('Role');
  return access
    .everyPolicy()
    .filter(({ of, kind }) => of === roleArn && kind === 'identity')
    .flatMap(({ policy }) => [policy.Statement].flat())
    .filter(({ Action }) => [Action ?? []].flat().includes('iam:PassRole'))
    .flatMap(({ Resource }) => Resource ?? [])
    .at(-1);
}

function servicesIn(aws: Aws): KnownService[] {
  const services = new Map<string, KnownService>();
  const known = (place: Place, cluster: string | undefined, service: string) => {
    const arn = clusterArn(cluster ?? 'default', place);
    const key = `${arn} ${service}`;
    const { account, region } = place;
    const made = services.get(key) ?? {
      account,
      region,
      cluster: arn.split('/').pop() ?? '',
      service,
      names: new Set(),
      secretArns: new Set(),
    };
    services.set(key, made);
    return made;
  };
  for (const { settings, place } of settingsIn(aws.deployed)) {
    for (const { services: names, container } of settings.roles ?? [])
      for (const name of names) known(place, settings.clusterArn, name).names.add(container);
    const { service, container, family, logGroup } = settings;
    if (service && container && family) {
      const own = known(place, settings.clusterArn, service);
      own.names.add(container);
      const executionRoleArn = settings.secrets ? executionRoleOf(aws, place) : undefined;
      Object.assign(own, {
        family,
        ...(logGroup && { logGroup }),
        ...(executionRoleArn && { executionRoleArn }),
      });
    }
    if (settings.watched)
      for (const { name, clusterArn: own } of settings.services ?? [])
        known(place, own ?? settings.clusterArn, name);
    if (settings.rotateAfterDays !== undefined && settings.secretArn) {
      const credentials = [
        { name: settings.name, secretArn: settings.secretArn },
        ...(settings.further ?? []),
      ];
      for (const { name, clusterArn: own, reads } of settings.services ?? [])
        for (const { name: credential = '', secretArn } of credentials)
          if (reads?.includes(credential) ?? true)
            known(place, own ?? settings.clusterArn, name).secretArns.add(secretArn);
    }
  }
  return [...services.values()];
}

/** Starts the tasks of each service that a job knows: with the containers that it works in, which log in where a password is rotated. */
async function startServices(
  stage: Stage,
  databases: ReadonlyMap<string, { database: RotatedDatabase; logins: Logins }>,
): Promise<void> {
  const { aws, description } = stage;
  for (const { names, secretArns, logGroup, executionRoleArn, ...where } of servicesIn(aws)) {
    const desiredCount = description.tasks[where.service] ?? TASKS;
    const start = async (): Promise<Container[]> => {
      const started: Container[] = [];
      for (const name of names.size > 0 ? names : ['app']) started.push(await startContainer(stage, name));
      const [first] = started;
      for (const secretArn of secretArns)
        if (first)
          await databases
            .get(secretArn)
            ?.logins.begin(first, JSON.parse(aws.secrets.value(secretArn) ?? '{}'));
      return started;
    };
    const running: Container[][] = [];
    for (let task = 0; task < desiredCount; task++) running.push(await start());
    aws.ecs.manageService({
      ...where,
      desiredCount,
      start,
      running,
      definition: {
        ...(logGroup && loggingTo(logGroup)),
        ...(executionRoleArn && { executionRoleArn }),
      },
      ...(secretArns.size > 0 && {
        secrets: [...secretArns].flatMap((secretArn) =>
          ['username', 'password'].map((key) => ({
            name: key.toUpperCase(),
            valueFrom: `${secretArn}:${key}::`,
          })),
        ),
      }),
    });
  }
}

function loggingTo(group: string): Definition {
  const options = { 'awslogs-group': group, 'awslogs-stream-prefix': 'ecs' };
  return { container: { logConfiguration: { logDriver: 'awslogs', options } } };
}

async function startContainer({ folder, description, containers }: Stage, name: string): Promise<Container> {
  const { command, folders = {} } = description.containers[name] ?? {};
  const container = await Container.start({ name, folder: join(folder, `${name}-${containers.length}`) });
  containers.push(container);
  for (const [path, from] of Object.entries(folders)) cpSync(from, container.path(path), { recursive: true });
  // Without one it sleeps.
  if (command !== undefined) container.startInTerminal(['sh', '-c', command], () => {}).resume();
  return container;
}

function tell(
  aws: Aws,
  told: { reports: number; alarms: number },
  onEvent: NonNullable<PlayOptions['onEvent']>,
): { reports: number; alarms: number } {
  const reports = reportsOf(aws);
  for (const { deployment, job, outcome, endedAt } of reports.slice(told.reports))
    onEvent(Date.parse(endedAt), `${deployment}: ${job} ${outcome}`);
  for (const { alarm, to, time } of aws.alarms.slice(told.alarms))
    if (to === 'ALARM') onEvent(time, `${alarm} rings`);
  return { reports: reports.length, alarms: aws.alarms.length };
}
