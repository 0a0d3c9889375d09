import type { Outcome, RunReport } from '../functions/shared/run/report.ts';
import type { Fault, Hooks } from './faults/fault.ts';
import { reportsOf } from './run-reports.ts';
import type { MediaFile } from './whatsapp/media-folder.ts';
import { inboundMessages, type RowCounts } from './whatsapp/message-store.ts';
import {
  type ClientScript,
  createWorld,
  type PlayedDeployment,
  type World,
  type WorldOptions,
} from './world.ts';

const HOUR = 3600 * 1000;
const DAY = 24 * HOUR;

/**
 * In the evening of both deployments' time zones, before their downtime windows. Of a Sunday, so that the weekly jobs
 * take part.
 */
const GOOD_NIGHT_STARTS = Date.parse('2026-11-29T21:00:00Z');
/** A Tuesday's: what goes wrong meets the daily jobs only, unless the fault says otherwise. */
const FAULTY_NIGHT_STARTS = Date.parse('2026-11-24T21:00:00Z');
/** Until after both windows, and the periods of the alarms. A longer one has a second night after a day. */
const NIGHT_LASTS = 12 * HOUR;
/** Of one job, in the longest night. */
const MOST_RUNS = 10;

/** How large a night is. The tests of the faults play small ones. */
export interface Scale {
  /** Rows of `messages` in the cluster, nearly all of them garbage. The single instance has a twentieth. */
  rows: number;
  /** Inbound messages that are old enough to be marked read. 0: none come at all. */
  unread: number;
  /** Media of the cluster, each a file. A quarter is in use. @default none */
  media?: number;
  /** How many containers the clients have. @default none, and no log clean-up */
  containers?: 'few' | 'all';
  /**
   * Whether containers log in to their databases, and the passwords are rotated. Needs containers. In a night in which
   * something goes wrong they are only where that is said of the fault.
   * @default false
   */
  rotation?: boolean;
}

export const FULL_SCALE: Scale = {
  rows: 2_500_000,
  unread: 3_000,
  media: 4_000,
  containers: 'all',
  rotation: true,
};

/** What the clients run in ECS: a single instance, a cluster of 32 shards, and one in high availability. */
const CONTAINERS = {
  latam: { few: { webapp: 1, coreapp: 1 }, all: { webapp: 1, coreapp: 1 } },
  emea: { few: { webapp: 1, coreapp: 2, master: 1 }, all: { webapp: 3, coreapp: 33, master: 2 } },
  apac: { webapp: 2, master: 2, coreapp: 2, exporter: 1 },
} as const;

/** How many of them log in to the database all the time. */
const LOGINS = { webapp: 2, master: 2, coreapp: 2, exporter: 1 };

/** Version 3.0.3 of Meta's template in high availability; of its monitoring they are not known, and as if for one host port. */
const META_PERCENTAGES = {
  webapp: { minimumHealthyPercent: 25, maximumPercent: 100 },
  master: { minimumHealthyPercent: 50, maximumPercent: 100 },
  coreapp: { minimumHealthyPercent: 25, maximumPercent: 100 },
  exporter: { minimumHealthyPercent: 0, maximumPercent: 100 },
};

export interface NightOptions
  extends Pick<WorldOptions, 'cdkOut' | 'change' | 'postgres' | 'mysql' | 'jobs'> {
  /** @default a good night */
  fault?: Fault;
  /** @default FULL_SCALE */
  scale?: Scale;
  /** The only deployment that takes part. @default all of the script, but those on MySQL where there is none */
  only?: string;
  /** Called with each thing that happens: the moment on the clock, and a sentence. */
  onEvent?: (at: number, what: string) => void;
  /** Called when the night is over, before all of it is taken away. */
  onEnd?: (world: World) => void;
}

/** What a night came to. */
export interface Night {
  runs: RunReport[];
  /** The alarms that rang, each time they did. `told`: the topic sent the message on. */
  alarms: { name: string; rangAt: string; told: boolean }[];
  /** Rows by deployment, counted by SQL. `deleted`: of messages. `left`: in the tables, at the end. */
  rows: Record<
    string,
    {
      garbageBefore: number;
      garbageAfter: number;
      deleted: number;
      mediaDeleted: number;
      left: Pick<RowCounts, 'messages' | 'media'>;
    }
  >;
  /** The media volumes, as the folders lie on this machine's disk and as CloudWatch has their size at the end. */
  media: Record<string, { before: FileTotal; after: FileTotal; storageBytes: number | undefined }>;
  /** Logs and archives of the deployments with containers, in bytes, as they lie on this machine's disk. */
  logs: Record<string, { before: number; after: number; containers: number }>;
  /** What the containers saw that log in to their database all the time, those too that took another's place. */
  logins: { deployment: string; made: number; failed: number }[];
  /** What is not as the script, or the fault, says. Empty: the night went as expected. */
  mismatches: string[];
}

interface FileTotal {
  files: number;
  bytes: number;
}

/** Inbound messages of the single instance that it is not to mark. */
const YOUNG = 40;
const UNKNOWN = 15;

/**
 * The clients at the beginning: one single instance, one cluster of two CoreApps whose table is too large for one call,
 * and one on MySQL, where there is a server for it.
 */
export function clientsOf(
  { rows, media = 0, containers, rotation }: Scale,
  now: number,
  mysql?: WorldOptions['mysql'],
): Record<string, ClientScript> {
  const logins = rotation && { logins: LOGINS };
  const garbage = Math.round(rows * 0.98);
  const garbageOfOne = Math.round(rows / 20);
  const read = (all: number) => Math.round(all / 10);
  const usedMedia = Math.round(media / 4);
  const age = { oldest: now - 90 * DAY, newest: now - DAY };
  return {
    latam: {
      coreApps: 1,
      filling: { sent: garbageOfOne - read(garbageOfOne), read: read(garbageOfOne), pending: 50, ...age },
      ...(containers && { containers: CONTAINERS.latam[containers] }),
    },
    emea: {
      ...(containers && { containers: CONTAINERS.emea[containers], ...logins }),
      coreApps: 2,
      filling: {
        sent: garbage - read(garbage),
        read: read(garbage),
        pending: 50,
        unread: rows - garbage,
        unusedMedia: media - usedMedia,
        usedMedia,
        ...age,
      },
      // Two calls that end with errors, and a third that has the rest.
      rowsPerCall: Math.ceil(garbage / 2 / 2.5),
    },
    ...(mysql && {
      apac: {
        coreApps: CONTAINERS.apac.coreapp,
        percentages: META_PERCENTAGES,
        ...(containers && { containers: CONTAINERS.apac, ...logins }),
      },
    }),
  };
}

/** Plays a night of upkeep with real rows through what was synthesized, and holds it against the script. */
export async function playNight(options: NightOptions): Promise<Night> {
  const { cdkOut, change, postgres, mysql, jobs, fault, only, onEvent = () => {} } = options;
  const { rotation = false, ...others } = options.scale ?? FULL_SCALE;
  const scale = { ...others, rotation: rotation && (!fault || fault.rotation === true) };
  const hooks: Hooks = {};
  const start = fault ? (fault.starts ?? FAULTY_NIGHT_STARTS) : GOOD_NIGHT_STARTS;
  const clients = Object.entries(clientsOf(scale, start, mysql))
    .filter(([name]) => only === undefined || only === name)
    .map(([name, client]) => {
      const script: ClientScript = {
        ...client,
        onRequest: (request) => (name === fault?.deployment ? hooks.onRequest?.(request) : undefined),
        onCollection(collection) {
          if (name === fault?.deployment) hooks.onCollection?.(collection);
          const { kind, node = 'the client', outcome, deleted } = collection;
          const what =
            outcome === 'running' ? `collects ${kind} garbage` : `${outcome}, ${deleted} rows deleted`;
          onEvent(world.clock.now(), `${name}: ${node} ${what}`);
        },
      };
      return [name, script];
    });
  const world = await createWorld({
    cdkOut,
    postgres,
    mysql,
    start,
    clients: Object.fromEntries(clients),
    ...(jobs && { jobs }),
    ...(change && { change }),
  });
  try {
    const night = await play(world, hooks, { scale, fault, onEvent });
    options.onEnd?.(world);
    return night;
  } finally {
    await world.close();
  }
}

async function play(
  world: World,
  hooks: Hooks,
  {
    scale,
    fault,
    onEvent,
  }: { scale: Scale; fault: Fault | undefined; onEvent: NonNullable<NightOptions['onEvent']> },
): Promise<Night> {
  const { clock, aws } = world;
  const { latam } = world.deployments;
  const start = clock.now();
  const before = await countAll(world);
  const logsBefore = logBytes(world);
  const mediaBefore = mediaOf(world);
  await clock.hold(async () => {
    if (latam && scale.unread > 0) await deliverUnread(latam, scale, start);
    const struck = fault && world.deployments[fault.deployment];
    if (struck) await fault.strike(struck, world, hooks);
  });

  const end = start + (fault?.lasts ?? NIGHT_LASTS);
  const due = runsDue(world, end);
  let told = { reports: 0, alarms: 0 };
  for (let time = start; time < end; ) {
    // By the half hour, so that what happened is told while the night goes on.
    time = Math.min(time + HOUR / 2, end);
    await clock.runUntil(time);
    told = tell(aws, told, onEvent);
  }

  await Promise.all(Object.values(world.deployments).map(({ logins }) => logins.end()));
  const after = await countAll(world);
  const rows: Night['rows'] = {};
  for (const { name, webApp } of Object.values(world.deployments))
    rows[name] = {
      garbageBefore: garbageOf(before[name]),
      garbageAfter: garbageOf(after[name]),
      left: { messages: after[name]?.messages ?? 0, media: after[name]?.media ?? 0 },
      deleted: deletedBy(webApp, 'message'),
      mediaDeleted: deletedBy(webApp, 'media'),
    };
  const logs: Night['logs'] = {};
  for (const [name, left] of Object.entries(logBytes(world))) {
    const containers = world.deployments[name]?.containers?.containers.length ?? 0;
    logs[name] = { before: logsBefore[name] ?? 0, after: left, containers };
  }
  const media: Night['media'] = {};
  const mediaAfter = mediaOf(world);
  for (const [name, files] of Object.entries(mediaAfter))
    media[name] = {
      before: totalOf(mediaBefore[name]),
      after: totalOf(files),
      storageBytes: storageBytes(world, name),
    };
  // A deployment that takes no part has nights without runs, and so has a job that takes none.
  const takesPart = (alarm: string) =>
    Object.values(world.deployments).some(
      ({ name, jobs }) =>
        alarm.startsWith(`${name}-`) &&
        SCHEDULED_JOBS.every((job) => jobs.includes(job) || !alarm.startsWith(`${name}-${job}-`)),
    );
  const alarms = aws.alarms
    .filter(({ alarm, to }) => to === 'ALARM' && takesPart(alarm))
    .map(({ alarm: name, time }) => ({
      name,
      rangAt: new Date(time).toISOString(),
      told: aws.notifications.some(({ subject }) => subject?.includes(`"${name}"`)),
    }));
  const logins = Object.values(world.deployments)
    .filter(({ jobs }) => jobs.includes('credential-rotation'))
    .map(({ name, logins }) => ({ deployment: name, ...logins.count }));
  const night: Night = { runs: [...reportsOf(aws)], alarms, rows, media, logs, logins, mismatches: [] };
  night.mismatches.push(
    ...aws.denials,
    ...aws.dropped.map(({ from, to, reason }) => `What ${from} sent to ${to} was dropped: ${reason}`),
    ...(await leaks(world)),
    ...compare(night, due, fault),
    ...Object.values(world.deployments).flatMap(({ name, logins }) =>
      logins.failures.map((failure) => `${name}: a container could not log in to its database: ${failure}`),
    ),
    ...(await mediaMismatches(world, { before: mediaBefore, after: mediaAfter })),
    ...(fault ? [] : goodNightMismatches(night, world, scale)),
    ...(await passwordMismatches(world)),
    ...(fault ? [] : await rotationMismatches(night, world)),
  );
  return night;
}

/** Whose alarms say nothing where they take no part. */
const SCHEDULED_JOBS = ['message-gc', 'media-gc', 'log-cleanup', 'credential-rotation', 'database-size'];

/** How often each job is due until the end. */
function runsDue({ aws, deployments }: World, end: number): { name: string; job: string; times: number }[] {
  const upcoming = new Map(aws.scheduler.upcoming(MOST_RUNS).map(({ name, times }) => [name, times]));
  return Object.values(deployments).flatMap(({ name, jobs }) =>
    jobs.map((job) => {
      const times = upcoming.get(`${name}-${job}`) ?? [];
      return { name, job, times: times.filter((time) => time < end).length };
    }),
  );
}

function deletedBy({ collections }: PlayedDeployment['webApp'], kind: 'message' | 'media'): number {
  return collections.reduce(
    (sum, collection) => sum + (collection.kind === kind ? collection.deleted : 0),
    0,
  );
}

async function countAll({ deployments }: World): Promise<Record<string, RowCounts>> {
  const counts: Record<string, RowCounts> = {};
  for (const { name, database } of Object.values(deployments)) counts[name] = await database.count();
  return counts;
}

function garbageOf(counts: RowCounts | undefined): number {
  return counts ? counts.sent + counts.read : 0;
}

type Media = Record<string, Map<string, MediaFile>>;

function mediaOf({ deployments }: World): Media {
  return Object.fromEntries(
    Object.values(deployments).flatMap(({ name, mediaVolume }) =>
      mediaVolume ? [[name, mediaVolume.media.files()]] : [],
    ),
  );
}

function totalOf(files: Map<string, MediaFile> = new Map()): FileTotal {
  return { files: files.size, bytes: [...files.values()].reduce((sum, { bytes }) => sum + bytes, 0) };
}

function storageBytes({ aws, deployments }: World, name: string): number | undefined {
  const fileSystem = deployments[name]?.mediaVolume?.fileSystem;
  return fileSystem && aws.efs.storageBytes(fileSystem);
}

/** Whatever the night: a file is gone with its entry or not at all, and what is there is what was there, byte for byte. */
async function mediaMismatches(
  { deployments }: World,
  { before, after }: { before: Media; after: Media },
): Promise<string[]> {
  const mismatches: string[] = [];
  for (const [name, left] of Object.entries(after)) {
    const { store, webApp } = deployments[name] ?? {};
    const were = before[name] ?? new Map<string, MediaFile>();
    const entries = new Set((await store?.media())?.map(({ path }) => path));
    const lost = [...entries].filter((path) => !left.has(path)).length;
    if (lost > 0) mismatches.push(`${name}: ${lost} media files are gone whose entries are there.`);
    const stray = [...were.keys()].filter((path) => left.has(path) && !entries.has(path)).length;
    if (stray > 0) mismatches.push(`${name}: ${stray} media files are there whose entries are gone.`);
    const changed = [...entries].filter((path) => left.get(path)?.digest !== were.get(path)?.digest).length;
    if (changed > 0) mismatches.push(`${name}: ${changed} media files have another content than before.`);
    const gone = [...were.keys()].filter((path) => !left.has(path)).length;
    const deleted = webApp ? deletedBy(webApp, 'media') : 0;
    if (gone !== deleted)
      mismatches.push(`${name}: ${gone} media files are gone, of ${deleted} items deleted.`);
  }
  return mismatches;
}

function logBytes({ deployments }: World): Record<string, number> {
  return Object.fromEntries(
    Object.values(deployments).flatMap(({ name, jobs, containers }) =>
      containers && jobs.includes('log-cleanup') ? [[name, containers.files().bytes]] : [],
    ),
  );
}

/** Thousands of messages from customers, most of them old enough to be marked read, some not, some unknown by now. */
async function deliverUnread(
  { webApp, store }: PlayedDeployment,
  { unread }: Scale,
  now: number,
): Promise<void> {
  const conversations = Math.ceil(unread / 10);
  const old = { oldest: now - 6 * DAY, newest: now - 2 * DAY };
  // The newest of their conversations, so that each is asked for before an earlier one is.
  const unknown = inboundMessages({
    count: UNKNOWN,
    conversations,
    oldest: now - 30 * HOUR,
    newest: now - 29 * HOUR,
  });
  await webApp.deliverInbound([
    ...inboundMessages({ count: unread, conversations, ...old }),
    ...unknown,
    ...inboundMessages({
      count: YOUNG,
      conversations,
      oldest: now - 2 * HOUR,
      newest: now,
    }),
  ]);
  await store?.forget(unknown.map(({ id }) => id));
}

function tell(
  aws: World['aws'],
  told: { reports: number; alarms: number },
  onEvent: (at: number, what: string) => void,
): typeof told {
  for (const { endedAt, deployment, job, outcome, problems } of reportsOf(aws).slice(told.reports))
    onEvent(
      Date.parse(endedAt),
      [`${deployment}: ${job} ${outcome}`, ...problems.map(({ what }) => what)].join('. '),
    );
  for (const { time, alarm, to } of aws.alarms.slice(told.alarms))
    if (to === 'ALARM') onEvent(time, `The alarm ${alarm} rings`);
  return { reports: reportsOf(aws).length, alarms: aws.alarms.length };
}

function compare(night: Night, due: ReturnType<typeof runsDue>, fault: Fault | undefined): string[] {
  const mismatches: string[] = [];
  for (const { name, job, times } of due) {
    const good = Array.from({ length: times }, (): Outcome => 'succeeded');
    const expected = (name === fault?.deployment && fault.expected.outcomes[job]) || good;
    const outcomes = night.runs
      .filter((run) => run.deployment === name && run.job === job)
      .map(({ outcome }) => outcome);
    const [wanted, came] = [expected, outcomes].map((list) => list.join(', ') || 'no run');
    if (came !== wanted) mismatches.push(`${name}: expected ${wanted} of ${job}, came ${came}.`);
  }
  const rang = [...new Set(night.alarms.map(({ name }) => name))].sort().join(', ') || 'none';
  const wanted = [...(fault?.expected.alarms ?? [])].sort().join(', ') || 'none';
  if (rang !== wanted) mismatches.push(`Alarms: expected ${wanted}, rang ${rang}.`);
  for (const { name, told } of night.alarms)
    if (!told) mismatches.push(`The alarm ${name} rang, but its topic never got the message.`);
  return mismatches;
}

/** What a good night must have done, counted by SQL where it is about rows. */
function goodNightMismatches(
  night: Night,
  { aws, deployments }: World,
  { unread, media = 0 }: Scale,
): string[] {
  const mismatches: string[] = [];
  const expect = (what: string, came: number | undefined, wanted: number | undefined) => {
    if (came !== wanted) mismatches.push(`${what}: expected ${wanted}, came ${came}.`);
  };
  const figuresOf = (name: string, wanted: string) =>
    night.runs.find(({ deployment, job }) => deployment === name && job === wanted)?.figures;
  for (const [name, { garbageAfter, deleted, mediaDeleted, left }] of Object.entries(night.rows)) {
    expect(`${name}: rows of garbage left`, garbageAfter, 0);
    const { jobs = [] } = deployments[name] ?? {};
    if (jobs.includes('message-gc'))
      expect(
        `${name}: messagesDeleted in the report against rows gone`,
        figuresOf(name, 'message-gc')?.messagesDeleted,
        deleted,
      );
    if (jobs.includes('media-gc'))
      expect(
        `${name}: itemsDeleted in the report against rows gone`,
        figuresOf(name, 'media-gc')?.itemsDeleted,
        mediaDeleted,
      );
    if (!jobs.includes('database-size')) continue;
    const sizes = figuresOf(name, 'database-size');
    expect(`${name}: messageRows in the report against rows left`, sizes?.messageRows, left.messages);
    expect(`${name}: mediaRows in the report against rows left`, sizes?.mediaRows, left.media);
    if (!jobs.includes('message-gc')) continue;
    const gc = figuresOf(name, 'message-gc');
    expect(
      `${name}: messageRowsBefore in the report against rows left and gone`,
      gc?.messageRowsBefore,
      left.messages + deleted,
    );
    expect(`${name}: messageRowsAfter in the report against rows left`, gc?.messageRowsAfter, left.messages);
  }
  if (night.rows.latam) {
    expect('latam: messages marked read', figuresOf('latam', 'message-gc')?.messagesMarkedRead, unread);
    expect('latam: messages too young', figuresOf('latam', 'message-gc')?.messagesTooYoung, YOUNG);
    expect(
      'latam: messages unknown to the client',
      figuresOf('latam', 'message-gc')?.messagesDropped,
      UNKNOWN,
    );
  }
  for (const [name, { before, after, containers }] of Object.entries(night.logs)) {
    const figures = figuresOf(name, 'log-cleanup');
    expect(`${name}: containers cleaned`, figures?.containersCleaned, containers);
    expect(`${name}: bytesFreed in the report against bytes gone`, figures?.bytesFreed, before - after);
    if (after >= before) mismatches.push(`${name}: the clean-up freed nothing.`);
  }
  if (night.rows.emea) {
    const used = Math.round(media / 4);
    expect('emea: entries of media left', night.rows.emea.left.media, used);
    expect('emea: media files left', night.media.emea?.after.files, used);
    expect('emea: StorageBytes, hours later', night.media.emea?.storageBytes, night.media.emea?.after.bytes);
    expect('emea: calls', figuresOf('emea', 'message-gc')?.calls, 3);
    // Of two nodes, for each call; and one of the leader for media.
    expect('emea: callbacks that the relay brought to the webhook', deployments.emea?.webhook.taken, 7);
  }
  return [...mismatches, ...unusedEndpoints(aws)];
}

/** However a rotation ends, the containers are given a password that the database takes. */
async function passwordMismatches({ deployments }: World): Promise<string[]> {
  const mismatches: string[] = [];
  for (const { name, jobs, credential } of Object.values(deployments)) {
    const current = credential?.login('AWSCURRENT');
    if (!credential || !current || !jobs.includes('credential-rotation')) continue;
    if (!(await credential.accepts(current)))
      mismatches.push(`${name}: the database does not take the current password.`);
  }
  return mismatches;
}

/** What the rotations of a good night must have come to, as the containers, the databases and the copies tell. */
async function rotationMismatches(night: Night, { deployments }: World): Promise<string[]> {
  const mismatches: string[] = [];
  const expect = (what: string, came: unknown, wanted: unknown) => {
    if (came !== wanted) mismatches.push(`${what}: expected ${wanted}, came ${came}.`);
  };
  for (const { name, jobs, credential, containers, logins } of Object.values(deployments)) {
    if (!credential || !containers || !jobs.includes('credential-rotation')) continue;
    const { figures, problems } =
      night.runs.find(({ deployment, job }) => deployment === name && job === 'credential-rotation') ?? {};
    expect(`${name}: rotations`, figures?.rotations, 1);
    expect(`${name}: tasks replaced`, figures?.tasksReplaced, containers.containers.length);
    expect(`${name}: refused logins, by the server`, figures?.refusedLogins ?? 0, 0);
    expect(`${name}: problems of the rotation`, problems?.length, 0);
    const stopped = containers.containers.filter(({ container }) => !container.running).length;
    expect(`${name}: containers that ended`, stopped, containers.containers.length);
    // Each at its start and at its end, by old and new passwords; far more in between.
    if (logins.count.made < 2 * logins.containers)
      mismatches.push(`${name}: ${logins.containers} containers logged in ${logins.count.made} times.`);
    const [current, previous] = [credential.login('AWSCURRENT'), credential.login('AWSPREVIOUS')];
    expect(`${name}: the old password logs in`, previous && (await credential.accepts(previous)), false);
    for (const { role } of containers.containers)
      expect(`${name}: what a new ${role} is given`, credential.givenTo(role).password, current?.password);
  }
  return mismatches;
}

/** A stack that makes interface endpoints makes those that its functions use, and no others. */
function unusedEndpoints({ deployed, servicesFromVpc }: World['aws']): string[] {
  return deployed.ofType('AWS::EC2::VPCEndpoint').flatMap(({ stack, properties }) => {
    const service = properties.text('ServiceName').split('.').at(-1) ?? '';
    const users = deployed
      .ofType('AWS::Lambda::Function')
      .filter((fn) => fn.stack === stack && servicesFromVpc.get(fn.name)?.has(service));
    return users.length > 0 ? [] : [`${stack} makes an interface endpoint for ${service} that nobody used.`];
  });
}

/** Passwords and tokens, looked for in everything that leaves a function, and in what the database servers write. */
async function leaks({ aws, deployments, secrets, serverLogs }: World): Promise<string[]> {
  const tokens = Object.values(deployments).flatMap(({ webApp }) => webApp.issuedTokens);
  const sought = [...new Set([...secrets, ...tokens, ...aws.secrets.everyValue().flatMap(passwordsIn)])];
  const places: Record<string, string> = {
    // The metrics too, which functions write there.
    'a log': aws.logs.map(({ text }) => text).join('\n'),
    'a run report': JSON.stringify(reportsOf(aws)),
    'an alarm message': JSON.stringify(aws.notifications),
    "a durable execution's history": JSON.stringify(aws.lambda.durable.list()),
    "a database server's log": await serverLogs(),
  };
  return Object.entries(places).flatMap(([place, text]) =>
    sought.some((secret) => text.includes(secret)) ? [`A secret stands in ${place}.`] : [],
  );
}

/** Of a secret's value: the password, or the whole of what is not in the form of a login. */
function passwordsIn(value: string): string[] {
  const { password, ...others } = JSON.parse(value) as Record<string, string>;
  return password ? [password] : Object.values(others);
}
