import { ownAddress } from '../../../rehearsal/aws/containers/client-socket.ts';
import type { TaskContainer } from '../../../rehearsal/aws/containers/container.ts';
import type { ManagedService } from '../../../rehearsal/aws/ecs/service.ts';
import type { EcsTask } from '../../../rehearsal/aws/ecs/task.ts';
import type { Postgres } from '../../../rehearsal/databases/postgres.ts';
import type { Collection } from '../../../rehearsal/whatsapp/garbage-collector.ts';
import type { GivenLogin } from '../../../rehearsal/whatsapp/logins.ts';
import { createWorld, type PlayedDeployment, type World } from '../../../rehearsal/world.ts';
import { cleanedUp } from '../many-containers.ts';
import { PlayedContainer } from '../played-container.ts';

export const NAME = 'emea';
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** In the evening, before the window of the sample's deployment; not on the days on which clocks are changed. */
const STARTS = Date.parse('2026-11-03T21:00:00Z');
export const PLACE = { account: '222222222222', region: 'eu-central-1', cluster: 'whatsapp-emea' };
const SERVICES = [
  { role: 'webapp', container: 'wa-web' },
  { role: 'coreapp', container: 'wa-coreapp' },
  { role: 'master', container: 'wa-master' },
] as const;

/** Tasks of each service, each with one container. */
export const SMALL = { webapp: 2, coreapp: 2, master: 1 };
const NODES = 2;
/** Of the database's credential. */
export const SECRET = 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/database-j1K2l3';
const KEPT_WARM = 40 * DAY;

/** One deployment over many nights in one process of this machine's: what a night leaves, the next one finds. */
export interface Life {
  world: World;
  played: PlayedDeployment;
  services: Record<'webapp' | 'coreapp' | 'master', ManagedService>;
  tasks(): EcsTask[];
  /** Has a service run so many tasks from now on. */
  scale(role: keyof Life['services'], tasks: number): void;
  /** What each container logs in with. */
  given: Map<TaskContainer, GivenLogin>;
  /** Called at each request to WebApp. */
  onRequest: Set<() => void>;
  /** Called when a collection of garbage begins and when it ended. */
  onCollection: Set<(collection: Collection) => void>;
  /** Which of the commands in containers fail, counted from now on. */
  failingCommands: { first: number; count: number } | undefined;
  close(): Promise<void>;
}

/** Every other night the credential is old enough. */
const ROTATE_AFTER_DAYS = 2;

export async function beginLife({ cdkOut, postgres }: { cdkOut: string; postgres: Postgres }): Promise<Life> {
  const onRequest: Life['onRequest'] = new Set();
  const onCollection: Life['onCollection'] = new Set();
  const given: Life['given'] = new Map();
  const world = await createWorld({
    cdkOut,
    postgres,
    start: STARTS,
    sessions: { timing: { readingDelay: 0, readingPause: 0 } },
    clients: {
      [NAME]: {
        coreApps: NODES,
        filling: { sent: 100, read: 20, pending: 5, oldest: STARTS - 90 * DAY, newest: STARTS - DAY },
        containers: {},
        logins: {},
        loginPause: 60_000,
        onRequest() {
          for (const hook of onRequest) hook();
        },
        onCollection(collection) {
          for (const hook of onCollection) hook(collection);
        },
      },
    },
    change(templates) {
      for (const [stack, template] of Object.entries(templates))
        if (!stack.includes(NAME)) Object.assign(template, { Resources: {}, Outputs: {} });
      for (const { Resources: resources } of Object.values(templates))
        for (const { Properties: properties } of Object.values(resources)) {
          const variables = (properties as { Environment?: { Variables?: Record<string, unknown> } })
            ?.Environment?.Variables;
          if (!variables?.UPKEEP_SETTINGS) continue;
          variables.UPKEEP_SETTINGS = JSON.parse(
            JSON.stringify(variables.UPKEEP_SETTINGS).replace(
              /(\\"rotateAfterDays\\":)\d+/,
              `$1${ROTATE_AFTER_DAYS}`,
            ),
          );
        }
    },
  });
  const { aws } = world;
  const played = world.deployments[NAME];
  if (!played?.credential) throw new Error('The sample has no such deployment.');
  const { credential, logins } = played;
  aws.lambda.keepWarm(KEPT_WARM);
  const services: Partial<Life['services']> = {};
  let life: Life | undefined;
  for (const { role, container } of SERVICES) {
    const tasks = SMALL[role];
    const start = async () => {
      const started = new PlayedContainer(container, (words) => {
        const failing = life?.failingCommands;
        if (failing === undefined || --failing.first > 0 || --failing.count < 0) return cleanedUp(words);
        return { exitCode: 3, output: 'cannot lock' };
      });
      started.address = ownAddress();
      const login = credential.givenTo(role);
      given.set(started, login);
      await logins.begin(started, login);
      return [started];
    };
    services[role] = await aws.ecs.manageService({
      ...PLACE,
      service: role,
      desiredCount: tasks,
      secrets: ['username', 'password'].map((key) => ({
        name: `WA_DB_${key.toUpperCase()}`,
        valueFrom: `${SECRET}:${key}::`,
      })),
      definition: {
        taskRoleArn: `arn:aws:iam::${PLACE.account}:role/${PLACE.cluster}-${role}`,
        container: { linuxParameters: { initProcessEnabled: true } },
      },
      running: await Promise.all(Array.from({ length: tasks }, start)),
      start,
    });
    aws.iam.putRole({
      arn: `arn:aws:iam::${PLACE.account}:role/${PLACE.cluster}-${role}`,
      policies: [
        {
          Version: '2012-10-17',
          Statement: { Effect: 'Allow', Action: 'ssmmessages:*', Resource: '*' },
        },
      ],
    });
  }
  life = {
    world,
    played,
    services: services as Life['services'],
    given,
    onRequest,
    onCollection,
    failingCommands: undefined,
    tasks: () => SERVICES.flatMap(({ role }) => aws.ecs.tasksOf({ ...PLACE, service: role })),
    scale(role, tasks) {
      const service = services[role];
      if (!service || service.options.desiredCount === tasks) return;
      service.options.desiredCount = tasks;
      service.deploy();
    },
    async close() {
      await logins.end();
      await world.close();
    },
  };
  return life;
}
