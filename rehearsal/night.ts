import { clientsOf, FULL_SCALE, type Scale } from './clients.ts';
import type { AnyFault, Hooks } from './faults/fault.ts';
import { keptLogsCount, rotatedLogs } from './kept-logs.ts';
import {
  type Due,
  deletedBy,
  garbageOf,
  type Media,
  mismatchesOf,
  type Night,
  storageBytes,
  totalOf,
} from './night-checks.ts';
import { distinctReports, reportsOf } from './run-reports.ts';
import { REPLACED_AFTER } from './shop/names.ts';
import { collectionText, tell } from './tell.ts';
import { deliverUnread } from './unread-messages.ts';
import type { RowCounts } from './whatsapp/message-store.ts';
import { type ClientScript, createWorld, type World, type WorldOptions } from './world.ts';

const HOUR = 3600 * 1000;

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

export interface NightOptions
  extends Pick<WorldOptions, 'cdkOut' | 'change' | 'postgres' | 'mysql' | 'jobs'> {
  /** The cloud assembly of the shop. @default it takes no part */
  shop?: string | undefined;
  /**
   * What goes wrong, at the same hour and for as long. Of one deployment's job no two may say what comes of it, unless that
   * is the same.
   * @default a good night
   */
  faults?: readonly AnyFault[];
  /** @default FULL_SCALE */
  scale?: Scale;
  /** The only deployments that take part. @default all of the script, but those on MySQL where there is none */
  only?: readonly string[];
  /** Called with each thing that happens: the moment on the clock, and a sentence. */
  onEvent?: (at: number, what: string) => void;
  /** Called before the night begins, when all is there. */
  onBegin?: (world: World) => void;
  /** Called when the night is over, before all of it is taken away. */
  onEnd?: (world: World, night: Night) => void;
}

/** A fault, and what it is told of. */
interface Striking {
  fault: AnyFault;
  hooks: Hooks;
}

/** Of a night in which something goes wrong: with what that is about. So the command and the tests expect the same. */
function scaleOf({ containers, rotation = false, ...others }: Scale, faults: readonly AnyFault[]): Scale {
  const isFor = (what: 'containers' | 'rotation') =>
    faults.length === 0 || faults.some((fault) => fault[what]);
  return {
    ...others,
    ...(containers && isFor('containers') && { containers }),
    rotation: rotation && isFor('rotation'),
  };
}

/** Of the shop's faults: whether its database and what reads from it are of no matter to any of them. */
function isOfCommandsOnly(faults: readonly AnyFault[]): boolean {
  const ofShop = faults.filter((fault) => fault.deployment === 'shop');
  return ofShop.length > 0 && ofShop.every(({ commandsOnly }) => commandsOnly);
}

/** The one value that faults of a night have of something; of those that say nothing of it, the default. */
function common<Value>(values: readonly (Value | undefined)[], otherwise: Value): Value {
  const said = new Set(values.filter((value) => value !== undefined));
  if (said.size > 1) throw new Error(`Not of one night: ${[...said].join(', ')}.`);
  return [...said][0] ?? otherwise;
}

/**
 * When a night with these faults begins, in epoch milliseconds, and how long it lasts.
 * @throws Error if they are not of one night
 */
export function timesOf(faults: readonly AnyFault[]): { start: number; lasts: number } {
  return {
    start: common(
      faults.map(({ starts }) => starts),
      faults.length > 0 ? FAULTY_NIGHT_STARTS : GOOD_NIGHT_STARTS,
    ),
    lasts: common(
      faults.map(({ lasts = NIGHT_LASTS }) => lasts),
      NIGHT_LASTS,
    ),
  };
}

/** Plays a night of upkeep with real rows through what was synthesized, and holds it against the script. */
export async function playNight(options: NightOptions): Promise<Night> {
  const { cdkOut, change, postgres, mysql, jobs, faults = [], only, onEvent = () => {} } = options;
  const scale = scaleOf(options.scale ?? FULL_SCALE, faults);
  const striking = faults.map((fault): Striking => ({ fault, hooks: {} }));
  const hooksOf = (name: string) =>
    striking.filter(({ fault }) => fault.deployment === name).map(({ hooks }) => hooks);
  const { start, lasts } = timesOf(faults);
  const clients = Object.entries(clientsOf(scale, start, mysql))
    .filter(([name]) => only === undefined || only.includes(name))
    .map(([name, client]) => {
      const script: ClientScript = {
        ...client,
        ownAddresses: faults.some((fault) => fault.deployment === name && fault.ownAddresses),
        onRequest(request) {
          for (const hooks of hooksOf(name)) hooks.onRequest?.(request);
        },
        onCollection(collection) {
          for (const hooks of hooksOf(name)) hooks.onCollection?.(collection);
          onEvent(world.clock.now(), collectionText(name, collection));
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
    shop: (only?.includes('shop') ?? true) ? options.shop : undefined,
    commandsOnly: isOfCommandsOnly(faults),
    loginPause: scale.loginPause,
  });
  try {
    options.onBegin?.(world);
    const night = await play(world, striking, { scale, lasts, onEvent });
    options.onEnd?.(world, night);
    return night;
  } finally {
    await world.close();
  }
}

async function play(
  world: World,
  striking: readonly Striking[],
  { scale, lasts, onEvent }: { scale: Scale; lasts: number; onEvent: NonNullable<NightOptions['onEvent']> },
): Promise<Night> {
  const { clock, aws } = world;
  const { latam } = world.deployments;
  const faults = striking.map(({ fault }) => fault);
  const start = clock.now();
  const before = await countAll(world);
  const logsBefore = logBytes(world);
  const mediaBefore = mediaOf(world);
  await clock.hold(async () => {
    if (latam && scale.unread > 0) await deliverUnread(latam, scale.unread, start);
    await strikeAll(world, striking);
  });
  // A fault can put others in their place.
  const rotated = rotatedLogs(world);

  const end = start + lasts;
  const due = runsDue(world, end);
  let told = { reports: 0, alarms: 0 };
  for (let time = start; time < end; ) {
    // By the half hour, so that what happened is told while the night goes on.
    time = Math.min(time + HOUR / 2, end);
    await clock.runUntil(time);
    told = tell(aws, told, onEvent);
  }

  const { shop } = world;
  const shopLogins = Object.entries(shop?.readers?.credentials ?? {});
  await Promise.all(
    [...Object.values(world.deployments), ...shopLogins.map(([, each]) => each)].map(({ logins }) =>
      logins.end(),
    ),
  );
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
    const kept = keptLogsCount(world, name);
    logs[name] = {
      before: logsBefore[name] ?? 0,
      after: left,
      containers,
      ...(kept !== undefined && { kept }),
    };
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
  const played = [...Object.values(world.deployments), ...(shop ? [shop] : [])];
  const takesPart = (alarm: string) =>
    played.some(
      ({ name, jobs }) =>
        alarm.startsWith(`${name}-`) &&
        SCHEDULED_JOBS.every((job) => jobs.includes(job) || !alarm.startsWith(`${name}-${job}-`)),
    );
  const alarms = aws.alarms
    .filter(({ alarm, to }) => to === 'ALARM' && takesPart(alarm))
    .map(({ alarm: name, time, actions }) => ({
      name,
      rangAt: new Date(time).toISOString(),
      told: actions.some(({ succeeded }) => succeeded),
    }));
  const logins = [
    ...Object.values(world.deployments)
      .filter(({ jobs }) => jobs.includes('credential-rotation'))
      .map(({ name, logins }) => ({ deployment: name, ...logins.count })),
    ...shopLogins.map(([name, { logins }]) => ({ deployment: `shop, ${name}`, ...logins.count })),
  ];
  const reports = reportsOf(aws);
  const runs = faults.some(({ cutsReports }) => cutsReports) ? distinctReports(reports) : reports;
  const night: Night = { runs, alarms, rows, media, logs, logins, mismatches: [] };
  const mediaFiles = { before: mediaBefore, after: mediaAfter };
  night.mismatches.push(
    ...(await mismatchesOf(night, world, { due, faults, scale, media: mediaFiles, rotated })),
  );
  return night;
}

/** Before anything goes on. In a good night of the shop somebody replaces what its services read. */
async function strikeAll(world: World, striking: readonly Striking[]): Promise<void> {
  for (const { fault, hooks } of striking) {
    if (fault.deployment === 'shop') {
      if (world.shop) await fault.strike(world.shop, world);
      continue;
    }
    const struck = world.deployments[fault.deployment];
    if (struck) await fault.strike(struck, world, hooks);
  }
  const { clock } = world;
  const readers = world.shop?.readers;
  if (
    !readers ||
    striking.some(({ fault: { deployment, expected } }) => deployment === 'shop' && expected.behind)
  )
    return;
  clock.at(clock.now() + REPLACED_AFTER, () => {
    readers.replace('certificate');
    readers.replace('payment-key');
  });
}

/** Whose alarms say nothing where they take no part. */
const SCHEDULED_JOBS = [
  'message-gc',
  'media-gc',
  'log-cleanup',
  'credential-rotation',
  'database-size',
  'application-settings',
  'reload-on-change',
];

/** How often each job is due until the end. */
function runsDue({ aws, deployments, shop }: World, end: number): Due[] {
  const upcoming = new Map(aws.scheduler.upcoming(MOST_RUNS).map(({ name, times }) => [name, times]));
  return [...Object.values(deployments), ...(shop ? [shop] : [])].flatMap(({ name, jobs }) =>
    jobs.map((job) => {
      const times = upcoming.get(`${name}-${job}`) ?? [];
      return { name, job, times: times.filter((time) => time < end).length };
    }),
  );
}

async function countAll({ deployments }: World): Promise<Record<string, RowCounts>> {
  const counts: Record<string, RowCounts> = {};
  for (const { name, database } of Object.values(deployments)) counts[name] = await database.count();
  return counts;
}

function mediaOf({ deployments }: World): Media {
  return Object.fromEntries(
    Object.values(deployments).flatMap(({ name, mediaVolume }) =>
      mediaVolume ? [[name, mediaVolume.media.files()]] : [],
    ),
  );
}

function logBytes({ deployments }: World): Record<string, number> {
  return Object.fromEntries(
    Object.values(deployments).flatMap(({ name, jobs, containers }) =>
      containers && jobs.includes('log-cleanup') ? [[name, containers.files().bytes]] : [],
    ),
  );
}
