import type { Outcome, RunReport } from '../functions/shared/run/report.ts';
import { settingsMismatches } from './application-settings.ts';
import type { Scale } from './clients.ts';
import type { AnyFault } from './faults/fault.ts';
import { keptLogsMismatches, type RotatedLogs } from './kept-logs.ts';
import { reportsOf } from './run-reports.ts';
import { shopMismatches } from './shop/shop-checks.ts';
import { UNKNOWN, YOUNG } from './unread-messages.ts';
import type { MediaFile } from './whatsapp/media-folder.ts';
import type { RowCounts } from './whatsapp/message-store.ts';
import type { PlayedDeployment, World } from './world.ts';

/** What a night came to. */
export interface Night {
  runs: RunReport[];
  /** The alarms that rang, each time they did. `told`: its topic took the message. */
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
  /** Logs and archives of the deployments with containers, in bytes, as they lie on this machine's disk. `kept`: files in S3. */
  logs: Record<string, { before: number; after: number; containers: number; kept?: number }>;
  /** What the containers saw that log in to their database all the time, those too that took another's place. */
  logins: { deployment: string; made: number; failed: number }[];
  /** What is not as the script, or the fault, says. Empty: the night went as expected. */
  mismatches: string[];
}

interface FileTotal {
  files: number;
  bytes: number;
}

/** At which the sample's database-size rings. */
export const LARGE_ROWS = 2_000_000;

export type Media = Record<string, Map<string, MediaFile>>;

/** How often each job is due until the end. */
export interface Due {
  name: string;
  job: string;
  times: number;
}

/** What is not as the script, or the fault, says. */
export async function mismatchesOf(
  night: Night,
  world: World,
  told: {
    due: Due[];
    faults: readonly AnyFault[];
    scale: Scale;
    media: { before: Media; after: Media };
    rotated: RotatedLogs;
  },
): Promise<string[]> {
  const { aws, deployments } = world;
  const { due, faults, scale, media, rotated } = told;
  const loseLogs = faults.filter(({ expected }) => expected.losesLogs).map(({ deployment }) => deployment);
  const isGood = faults.length === 0;
  // Each deployment of a good night, and those of faults that must come to the same.
  const held = <Value>(values: Record<string, Value>) =>
    Object.fromEntries(
      Object.entries(values).filter(
        ([name]) => isGood || faults.some((fault) => fault.asAfterAGoodNight && fault.deployment === name),
      ),
    );
  const heldNight = { ...night, rows: held(night.rows), logs: held(night.logs) };
  const heldWorld = { deployments: held(deployments) };
  return [
    ...refusalMismatches(aws.denials, faults.find(({ expected }) => expected.refusals)?.expected.refusals),
    ...aws.dropped.map(({ from, to, reason }) => `What ${from} sent to ${to} was dropped: ${reason}`),
    ...(await leaks(world)),
    ...compare(night, due, faults, scale),
    ...Object.values(deployments).flatMap(({ name, logins }) =>
      logins.failures.map((failure) => `${name}: a container could not log in to its database: ${failure}`),
    ),
    ...(await mediaMismatches(world, media)),
    ...keptLogsMismatches(world, rotated, loseLogs),
    ...goodNightMismatches(heldNight, heldWorld, scale),
    ...(isGood ? callMismatches(night, world) : []),
    ...(await passwordMismatches(world, faults)),
    ...(await rotationMismatches(heldNight, heldWorld)),
    ...(world.shop ? await shopMismatches(night.runs, world.shop, faults) : []),
  ];
}

function refusalMismatches(denials: string[], expected: RegExp | undefined): string[] {
  if (!expected) return denials;
  const others = denials.filter((denial) => !expected.test(denial));
  return others.length < denials.length ? others : [...others, `Nothing was refused as in ${expected}.`];
}

export function deletedBy({ collections }: PlayedDeployment['webApp'], kind: 'message' | 'media'): number {
  return collections.reduce(
    (sum, collection) => sum + (collection.kind === kind ? collection.deleted : 0),
    0,
  );
}

export function garbageOf(counts: RowCounts | undefined): number {
  return counts ? counts.sent + counts.read : 0;
}

export function totalOf(files: Map<string, MediaFile> = new Map()): FileTotal {
  return { files: files.size, bytes: [...files.values()].reduce((sum, { bytes }) => sum + bytes, 0) };
}

export function storageBytes({ aws, deployments }: World, name: string): number | undefined {
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

/** What did not come of one fault among those of its night. */
export function mismatchesOfFault(night: Night, fault: AnyFault): string[] {
  const { deployment: name, expected } = fault;
  return [
    ...Object.entries(expected.outcomes).flatMap(([job, wanted]) =>
      outcomeMismatches(night, { name, job, wanted }),
    ),
    ...alarmMismatches(night, [fault])
      .filter(({ alarm }) => [...expected.alarms, ...(expected.onlyShown ?? [])].includes(alarm))
      .map(({ what }) => what),
    ...problemMismatches(night, fault),
    ...(fault.mismatches?.() ?? []),
  ];
}

function problemMismatches(
  night: Night,
  { deployment, expected }: Pick<AnyFault, 'deployment' | 'expected'>,
): string[] {
  const said = night.runs
    .filter((run) => run.deployment === deployment)
    .flatMap(({ problems }) => problems.map(({ what, next }) => `${what} ${next}`));
  return (expected.problems ?? [])
    .filter((problem) => !said.some((each) => problem.test(each)))
    .map((problem) => `${deployment}: no report says ${problem}, but: ${said.join(' / ')}`);
}

function outcomeMismatches(
  night: Night,
  { name, job, wanted }: { name: string; job: string; wanted: readonly Outcome[] },
): string[] {
  const outcomes = night.runs
    .filter((run) => run.deployment === name && run.job === job)
    .map(({ outcome }) => outcome);
  const [expected, came] = [wanted, outcomes].map((list) => list.join(', ') || 'no run');
  return came === expected ? [] : [`${name}: expected ${expected} of ${job}, came ${came}.`];
}

function compare(night: Night, due: Due[], faults: readonly AnyFault[], { rows }: Scale): string[] {
  const mismatches: string[] = [];
  // Those that somebody starts by hand are not due.
  const byHand = faults.flatMap(({ deployment: name, expected }) =>
    Object.keys(expected.outcomes)
      .filter((job) => !due.some((each) => each.name === name && each.job === job))
      .map((job) => ({ name, job, times: 0 })),
  );
  for (const { name, job, times } of [...due, ...byHand]) {
    const good = Array.from({ length: times }, (): Outcome => 'succeeded');
    const struck = faults.filter(({ deployment, expected }) => deployment === name && expected.outcomes[job]);
    for (const wanted of struck.length > 0
      ? struck.map(({ expected }) => expected.outcomes[job] ?? [])
      : [good])
      mismatches.push(...outcomeMismatches(night, { name, job, wanted }));
  }
  mismatches.push(...alarmMismatches(night, faults, rows > LARGE_ROWS).map(({ what }) => what));
  mismatches.push(...faults.flatMap((fault) => problemMismatches(night, fault)));
  mismatches.push(...faults.flatMap((fault) => fault.mismatches?.() ?? []));
  return mismatches;
}

/**
 * Of each alarm, whether it rang and sent its message as often as it must: one cause, one message. What several faults of a night
 * ring together is their most.
 */
function alarmMismatches(
  { alarms }: Night,
  faults: readonly AnyFault[],
  areTablesLarge = false,
): { alarm: string; what: string }[] {
  const wanted = faults.map(({ expected: { alarms, alarmsOfLargeTables = [] } }) => [
    ...alarms,
    ...(areTablesLarge ? alarmsOfLargeTables : []),
  ]);
  const shown = faults.map(({ expected: { onlyShown = [] } }) => onlyShown);
  const all = new Set([...alarms.map(({ name }) => name), ...wanted.flat(), ...shown.flat()]);
  const most = (alarm: string, lists: string[][]) =>
    Math.max(0, ...lists.map((names) => names.filter((name) => name === alarm).length));
  return [...all].sort().flatMap((alarm) => {
    const messages = most(alarm, wanted);
    const times = messages + most(alarm, shown);
    const rang = alarms.filter(({ name }) => name === alarm);
    const sent = rang.filter(({ told }) => told).length;
    if (rang.length === times && sent === messages) return [];
    const at = rang.map(({ rangAt }) => rangAt).join(', ') || 'never';
    const what = `The alarm ${alarm}: expected ${times} times, with ${messages} messages; rang ${at}, with ${sent} messages.`;
    return { alarm, what };
  });
}

/** What a good night must have done, counted by SQL where it is about rows. */
function goodNightMismatches(
  night: Night,
  { deployments }: Pick<World, 'deployments'>,
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
  for (const [name, { before, after, containers, kept }] of Object.entries(night.logs)) {
    const figures = figuresOf(name, 'log-cleanup');
    expect(`${name}: containers cleaned`, figures?.containersCleaned, containers);
    expect(`${name}: bytesFreed in the report against bytes gone`, figures?.bytesFreed, before - after);
    if (after >= before) mismatches.push(`${name}: the clean-up freed nothing.`);
    expect(`${name}: logsKept in the report against files in S3`, figures?.logsKept, kept);
    if (kept === 0) mismatches.push(`${name}: no rotated log was kept.`);
  }
  mismatches.push(...settingsMismatches(deployments.emea, figuresOf('emea', 'application-settings')));
  if (night.rows.emea) {
    const used = Math.round(media / 4);
    expect('emea: entries of media left', night.rows.emea.left.media, used);
    expect('emea: media files left', night.media.emea?.after.files, used);
    expect('emea: StorageBytes, hours later', night.media.emea?.storageBytes, night.media.emea?.after.bytes);
  }
  return mismatches;
}

/** What a good night's garbage collection and its functions asked of others. */
function callMismatches(night: Night, { aws, deployments }: World): string[] {
  const mismatches = unusedEndpoints(aws);
  if (!night.rows.emea) return mismatches;
  const gc = night.runs.find(({ deployment, job }) => deployment === 'emea' && job === 'message-gc');
  if (gc?.figures.calls !== 3) mismatches.push(`emea: calls: expected 3, came ${gc?.figures.calls}.`);
  // Of two nodes, for each call; and one of the leader for media.
  const { taken } = deployments.emea?.webhook ?? {};
  if (taken !== 7)
    mismatches.push(`emea: callbacks that the relay brought to the webhook: expected 7, came ${taken}.`);
  return mismatches;
}

/** However a rotation ends, the containers are given a password that the database takes. */
async function passwordMismatches({ deployments }: World, faults: readonly AnyFault[]): Promise<string[]> {
  const mismatches: string[] = [];
  for (const { name, jobs, credential } of Object.values(deployments)) {
    const current = credential?.login('AWSCURRENT');
    if (!credential || !current || !jobs.includes('credential-rotation')) continue;
    if (!(await credential.accepts(current)))
      mismatches.push(`${name}: the database does not take the current password.`);
    if (!faults.some(({ deployment, expected }) => deployment === name && expected.bothPasswords)) continue;
    const old = credential.login('AWSPREVIOUS');
    if (!old || old.password === current.password) mismatches.push(`${name}: the password was not rotated.`);
    else if (!(await credential.accepts(old)))
      mismatches.push(`${name}: the database does not take the old password any more.`);
  }
  return mismatches;
}

/** What the rotations of a good night must have come to, as the containers, the databases and the copies tell. */
async function rotationMismatches(
  night: Night,
  { deployments }: Pick<World, 'deployments'>,
): Promise<string[]> {
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
export async function leaks({ aws, deployments, secrets, serverLogs }: World): Promise<string[]> {
  const tokens = Object.values(deployments).flatMap(({ webApp }) => webApp.issuedTokens);
  const own = [...secrets, ...tokens, ...aws.secrets.everyValue().flatMap(passwordsIn)];
  // What addresses are signed with, and what makes one whole.
  const sought = [...new Set([...own, 'rehearsal-session-', 'X-Amz-Signature='])];
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
