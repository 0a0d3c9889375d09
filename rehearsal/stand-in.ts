import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeProfiles } from './aws-profiles.ts';
import { clientsOf } from './clients.ts';
import { answerClock, CLOCK_PATH, readMoment, readSpeed } from './clock-page.ts';
import { RunningClock } from './running-clock.ts';
import { startStage } from './start-stage.ts';
import { collectionText, printEvent, say, tell } from './tell.ts';
import { deliverUnread } from './unread-messages.ts';
import configuration from './upkeep.config.ts';
import { type ClientScript, createWorld, type World } from './world.ts';

/** Small: who looks at the sample deployments need not wait for many rows, nor for many containers. */
const SCALE = {
  rows: 20_000,
  unread: 100,
  media: 200,
  containers: 'few',
  rotation: true,
  loginPause: 2_000,
} as const;
const PORT = 4600;
const HOUR_MS = 3600_000;
/** Of a database server. */
const FREE_BYTES = 50e9;
/** Beside what else the rehearsal keeps, which git does not see. */
const PROFILES = join(import.meta.dirname, '..', '.cache', 'stand-in.ini');
/** Between two looks at what there is to tell. */
const TELL_MS = 500;

const NAMES = configuration.deployments.map(({ name }) => name);

const USAGE = `npm run stand-in has the world of npm start stand on this machine, to be used by hand: AWS with all that is deployed, the clients
with their containers and databases, the webhooks. Its time runs by itself; it stays until Ctrl-C.

  npm run stand-in                          now, in real time
  npm run stand-in -- --at 02:00            today at two in the deployment's time zone; or at 2026-11-29T02:00:00-03:00
  npm run stand-in -- --at 23:20 --in emea  in another deployment's time zone (${NAMES.join(', ')}; default: ${NAMES[0]})
  npm run stand-in -- --speed 60            a minute a second; work takes as long as it takes
  npm run stand-in -- --port NUMBER         the endpoint's (default: ${PORT}; 0: a free one)
  npm run stand-in -- --profiles FILE       where AWS's tools find the profiles (default: .cache/stand-in.ini)

The clock, while it runs:

  curl http://127.0.0.1:${PORT}${CLOCK_PATH}                     what time it is
  curl -X POST "http://127.0.0.1:${PORT}${CLOCK_PATH}?to=02:30"  on to the next half past two, with all that happens until then
  curl -X POST "http://127.0.0.1:${PORT}${CLOCK_PATH}?by=2h30m"  on by so much
  curl -X POST "http://127.0.0.1:${PORT}${CLOCK_PATH}?speed=60"`;

const { values } = parseArgs({
  options: {
    at: { type: 'string' },
    in: { type: 'string' },
    speed: { type: 'string', default: '1' },
    port: { type: 'string', default: String(PORT) },
    profiles: { type: 'string', default: PROFILES },
    help: { type: 'boolean', short: 'h' },
  },
});

if (values.help) console.log(USAGE);
else await standIn();

async function standIn(): Promise<void> {
  const settings = read();
  if (settings === undefined) return;
  const { start, timeZone, speed, port } = settings;
  // Before it has them wait for what it stands on.
  if (port !== 0 && (await isTaken(port))) {
    console.error(
      `Something listens on port ${port} already, perhaps another stand-in: end it, or say --port NUMBER.`,
    );
    process.exitCode = 1;
    return;
  }
  say(
    'Synthesizing the stacks of the sample configuration, and starting PostgreSQL and MySQL: half a minute, the first time more, for MySQL is fetched from Debian',
  );
  const stage = await startStage();
  if (stage.withoutMysql) console.log(`${stage.withoutMysql} The deployment on MySQL has no client.`);
  const clients = Object.entries(clientsOf(SCALE, start, stage.mysql)).map(
    ([name, client]): [string, ClientScript] => [
      name,
      { ...client, onCollection: (event) => printEvent(world.clock.now(), collectionText(name, event)) },
    ],
  );
  const world = await createWorld({
    ...stage,
    clients: Object.fromEntries(clients),
    start,
    port,
    // AWS's own client does not sign when it opens a session.
    sessions: { unsignedOpenings: 'allowed' },
  });
  const { aws, clock, deployments } = world;
  const { latam } = deployments;
  if (latam) await clock.hold(() => deliverUnread(latam, SCALE.unread, start));
  tellFreeSpace(world, start);
  const running = new RunningClock(clock, speed, (error) =>
    console.error(error instanceof Error ? error.message : error),
  );
  aws.pages.set(CLOCK_PATH, (request, response) => void answerClock(running, timeZone, request, response));
  const deleteProfiles = writeProfiles(values.profiles, aws, configuration.deployments);

  console.log(`· It stands at ${aws.endpoint}, ${new Date(start).toISOString()}. For AWS's tools and the command line, in another terminal:

export AWS_CONFIG_FILE=${values.profiles}
export AWS_PROFILE=${NAMES[0]}        # or ${NAMES.slice(1).join(', ')}
`);
  for (const { name, webApp, webhook } of Object.values(deployments))
    console.log(`${name}: WebApp on https://127.0.0.1:${webApp.port}, the webhook on ${webhook.url}`);
  let told = { reports: 0, alarms: 0 };
  const telling = setInterval(() => {
    told = tell(aws, told, printEvent);
  }, TELL_MS);

  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  clearInterval(telling);
  deleteProfiles();
  const stopped = running.stop();
  await world.close();
  await stopped;
  await stage.close();
}

async function isTaken(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** As RDS tells it of its servers, for upgrade-check: for a week, which is longer than the stand-in stands. */
function tellFreeSpace({ aws }: World, start: number): void {
  for (const { account, region, upgradeCheck } of configuration.deployments)
    for (const { identifier: DBInstanceIdentifier } of upgradeCheck?.storage ?? [])
      for (let at = start - 3 * HOUR_MS; at < start + 7 * 24 * HOUR_MS; at += HOUR_MS)
        aws.cloudWatch.put(
          { account, region },
          ...(['AWS/RDS', 'FreeStorageSpace', { DBInstanceIdentifier }, FREE_BYTES, at] as const),
        );
}

/** Undefined, after saying why, where something of the command line was not understood. */
function read(): { start: number; timeZone: string; speed: number; port: number } | undefined {
  try {
    const name = values.in ?? NAMES[0];
    const deployment = configuration.deployments.find((each) => each.name === name);
    if (!deployment) throw new Error(`There is no deployment ${name}: ${NAMES.join(', ')}.`);
    const { timeZone } = deployment;
    const now = Date.now();
    const port = Number(values.port);
    if (!(Number.isInteger(port) && port >= 0 && port < 65_536))
      throw new Error(`${values.port} is no number of a port.`);
    return {
      start: values.at === undefined ? now : readMoment(values.at, timeZone, now, 'today'),
      timeZone,
      speed: readSpeed(values.speed),
      port,
    };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
    return undefined;
  }
}
