import { AwsError } from '../aws/aws-error.ts';
import type { RunTaskFault } from '../aws/ecs/run-task.ts';
import type { EcsTask } from '../aws/ecs/task.ts';
import type { Aws } from '../aws/server.ts';
import { CATALOGUE, CLOSE_CARTS, PLACE, REINDEX, REPLACED_AFTER, SECRETS } from '../shop/names.ts';
import type { PlayedReaders } from '../shop/readers.ts';
import type { PlayedShop } from '../shop/shop.ts';
import type { World } from '../world.ts';
import { GOOD, HOUR, MINUTE, type ShopFault } from './fault.ts';

/** It is about what the shop's services read. */
function striking(strike: (readers: PlayedReaders, world: World) => void | Promise<void>) {
  return ({ readers }: PlayedShop, world: World) => {
    if (!readers) throw new Error('The shop is played without those that read something.');
    return strike(readers, world);
  };
}

/** A task for a command fails, as often as it is tried. */
function newTask(
  description: string,
  fault: RunTaskFault,
  { problem, program }: { problem: RegExp; program?: string },
): ShopFault {
  return {
    description,
    deployment: 'shop',
    commandsOnly: true,
    strike({ catalogue }, { aws }) {
      // More than are tried in the time that a run has.
      aws.ecs.runTasks.faults.push(...Array.from({ length: 100 }, () => fault));
      if (program) catalogue.replace(REINDEX, program);
    },
    expected: {
      outcomes: { [REINDEX]: ['failed'] },
      alarms: [`shop-${REINDEX}-failed`],
      problems: [problem],
    },
  };
}

const REINDEX_TASKS = `shop/${REINDEX}`;

/** The tasks in which the command was to run. */
function reindexTasks({ ecs }: Aws): EcsTask[] {
  return ecs.tasks.filter(({ startedBy }) => startedBy === REINDEX_TASKS);
}

/** A task of the run of the evening before, which somebody has stopped, still takes its time for that, or never ends. */
function earlierTask(description: string, takes: number, expected: ShopFault['expected']): ShopFault {
  let after: () => EcsTask[] = () => [];
  let earlier: EcsTask | undefined;
  return {
    description,
    deployment: 'shop',
    commandsOnly: true,
    strike(_shop, { aws, clock }) {
      const { service } = CATALOGUE;
      // The service had another task definition then.
      const options = { ...PLACE, cluster: 'shop', service, family: `${service}-before`, containers: [] };
      const task = aws.ecs.addTask({ ...options, isAlone: true, startedBy: REINDEX_TASKS });
      Object.assign(task, { desiredStatus: 'STOPPED', lastStatus: 'STOPPING', stopCode: 'UserInitiated' });
      const stop = aws.onCall(({ operation, caller }) => {
        if (operation !== 'ListTasks' || caller.function?.name !== `shop-${REINDEX}`) return undefined;
        stop();
        if (Number.isFinite(takes))
          clock.at(clock.now() + takes, () => {
            Object.assign(task, { lastStatus: 'STOPPED', stoppedAt: clock.now() });
          });
        return undefined;
      });
      earlier = task;
      after = () => reindexTasks(aws).filter((each) => each !== task);
    },
    mismatches() {
      const end = earlier?.stoppedAt ?? Number.POSITIVE_INFINITY;
      return after().flatMap(({ createdAt, id }) =>
        createdAt < end ? [`shop: the task ${id} was started beside one that was being stopped.`] : [],
      );
    },
    expected,
  };
}

/** Until somebody ends it. */
const ENDLESS = ': >"$(dirname "$0")/begun"; sleep 60';

/** It was started, and whoever asked for it never hears so. */
function notToldOf(): ShopFault {
  let started: () => EcsTask[] = () => [];
  return {
    description:
      'ECS starts the task for a command, and answers with an error of its own, as often as it is asked: the task is found, and followed',
    deployment: 'shop',
    commandsOnly: true,
    strike(_shop, { aws }) {
      const error = new AwsError('ServerException', 'Service Unavailable. Please try again later.');
      aws.ecs.runTasks.lostAnswers.push(...Array.from({ length: 1_000 }, () => error));
      // It is found before its command has ended.
      aws.ecs.runTasks.faults.push({ at: 'pending', milliseconds: 10 * MINUTE });
      started = () => reindexTasks(aws);
    },
    mismatches() {
      const { length } = started();
      return length === 1 ? [] : [`shop: ${length} tasks were started, and not one.`];
    },
    expected: GOOD,
  };
}

/** What goes wrong where the same services read several passwords, with what others replace, and with commands in one place. */
export const SHOP_FAULTS: Record<string, ShopFault> = {
  'second-password-unproven': {
    description:
      'Of two passwords that are rotated by one roll the database may not show who logs in with the second: the first one is retired, that one kept',
    deployment: 'shop',
    strike: striking(async ({ administer }) => {
      await administer('REVOKE pg_read_all_stats FROM stock_rotator');
    }),
    expected: {
      outcomes: { 'credential-rotation': ['partial'] },
      alarms: ['shop-credential-rotation-partial'],
      oldPasswords: ['stock'],
      problems: [/GRANT pg_read_all_stats TO "stock_rotator"/],
    },
  },
  'second-password-misread': {
    description:
      'Of two passwords the workers take the second one from elsewhere, until the next day: the roll stops, and goes on then',
    deployment: 'shop',
    strike: striking(({ credentials: { stock }, tasks }, { clock }) => {
      stock.misread = (login, service) =>
        service === 'worker' ? { ...login, password: 'of yesterday' } : login;
      clock.at(clock.now() + 18 * HOUR, async () => {
        stock.misread = undefined;
        // As the report says, so that others take their place.
        for (const { containers } of tasks('worker')) await containers[0]?.kill();
      });
    }),
    expected: {
      outcomes: { 'credential-rotation': ['failed', 'succeeded'] },
      alarms: ['shop-credential-rotation-stopped-worker'],
      problems: [/The roll stopped at the service worker: Of stock: /],
    },
    lasts: 36 * HOUR,
  },
  'certificate-unusable': {
    description:
      'A certificate is replaced by one with which the proxy ends: its roll stops, and it is left alone until it is mended',
    deployment: 'shop',
    strike: striking(({ services: { proxy }, replace }, { clock }) => {
      clock.at(clock.now() + REPLACED_AFTER, () => {
        replace('certificate');
        proxy.fault = 'tasks-exit';
      });
    }),
    expected: {
      outcomes: { 'reload-on-change': ['failed', 'skipped'] },
      alarms: [
        'shop-reload-on-change-failed',
        'shop-reload-on-change-missed',
        'shop-reload-on-change-stale-certificate',
      ],
      severalMessages:
        'the run that failed; a day later, that none has succeeded since, and that tasks have lacked the certificate for a day',
      behind: ['proxy'],
      problems: [/The roll stopped at the service proxy: .* It was for a new version of certificate/],
    },
    lasts: 36 * HOUR,
  },
  'key-pinned': {
    description: "A service's task definition names one version of a key, so that it would get no other",
    deployment: 'shop',
    strike: striking(({ services: { worker }, replace }, { aws, clock }) => {
      clock.at(clock.now() + REPLACED_AFTER, () => {
        const { versions } = aws.secrets.secret(SECRETS.paymentKey);
        const pinned = versions.find(({ stages }) => stages.has('AWSCURRENT'))?.id;
        const { secrets = [] } = worker.options;
        worker.options.secrets = secrets.map(({ name, valueFrom }) => ({
          name,
          valueFrom: name === 'PAYMENT_KEY' ? `${valueFrom}${pinned}` : valueFrom,
        }));
        replace('payment-key');
      });
    }),
    expected: {
      outcomes: { 'reload-on-change': ['partial'] },
      alarms: ['shop-reload-on-change-partial'],
      behind: ['worker'],
      problems: [/Its task definition pins the version \S+ of payment-key, and \S+ is in use/],
    },
  },
  'image-not-pulled': newTask(
    'The image of the task that is to run a command is not there any more',
    {
      at: 'start',
      stoppedReason: 'CannotPullContainerError: pull image manifest has been retried 5 time(s): not found',
    },
    {
      problem:
        /^The command was not started: CannotPullContainerError.* See that the image and its tag are there/,
    },
  ),
  'command-out-of-memory': newTask(
    'The task that runs a command is out of memory',
    { at: 'running', what: 'out-of-memory' },
    { problem: /exit code 137\. It was killed for want of memory \(OutOfMemoryError/, program: ENDLESS },
  ),
  'no-capacity': newTask(
    'The cluster has no room for the task that is to run a command, as long as it is tried',
    { at: 'placement', reason: 'RESOURCE:MEMORY' },
    {
      problem:
        /It found no place until the window ended: RESOURCE:MEMORY No container instance has room for it: add one/,
    },
  ),
  'command-past-its-time': newTask(
    'The command in a task of its own takes longer than it may: it is stopped, heeds that, and ends with 0, which is no success for that',
    { at: 'pending', milliseconds: MINUTE },
    {
      problem: /^The command was stopped after \d+ seconds/,
      program: 'trap "exit 0" TERM; while :; do sleep 0.2; done',
    },
  ),
  'command-stopped-by-hand': newTask(
    'Somebody stops the task in which the command runs',
    { at: 'running', what: 'stopped-by-hand' },
    {
      problem: /^The task ended before its command: Task stopped by user \(UserInitiated\)/,
      program: ENDLESS,
    },
  ),
  'earlier-task-stopping': earlierTask(
    'A task of an earlier run, of another task definition, is being stopped when a command is to run in a new one: it is waited for',
    3 * MINUTE,
    GOOD,
  ),
  'earlier-task-never-ends': earlierTask(
    'A task of an earlier run is told to stop, and does not: no other one is started beside it',
    Number.POSITIVE_INFINITY,
    {
      outcomes: { [REINDEX]: ['failed'] },
      alarms: [`shop-${REINDEX}-failed`],
      problems: [
        /A task of an earlier run, which was told to stop, was still there when the window ended.* See in ECS why it does not end/,
      ],
    },
  ),
  'task-not-told-of': notToldOf(),
  'chosen-container-goes-away': {
    description:
      'The one container that was chosen for a command goes away just when it is to begin: another one is taken',
    deployment: 'shop',
    commandsOnly: true,
    strike(_shop, { aws }) {
      const stop = aws.onCall(({ operation, input, caller }) => {
        if (operation !== 'ExecuteCommand' || caller.function?.name !== `shop-${CLOSE_CARTS}`)
          return undefined;
        stop();
        void aws.ecs.tasks.find(({ arn }) => arn === input.task)?.stop('scaling in');
        return undefined;
      });
    },
    expected: {
      outcomes: {},
      alarms: [],
      problems: [/^The command was not begun in this container, and another one was tried/],
    },
  },
  'command-loses-its-container': {
    description: 'The one container in which a command runs goes away: it is begun in no other one',
    deployment: 'shop',
    commandsOnly: true,
    strike({ catalogue }) {
      catalogue.replace(CLOSE_CARTS, ENDLESS);
      catalogue.whenBegun((container) => container.kill());
    },
    expected: {
      outcomes: { [CLOSE_CARTS]: ['failed'] },
      alarms: [`shop-${CLOSE_CARTS}-failed`],
      problems: [
        /The container went away meanwhile: .* See in its log whether the command did its work.* in one of those that run then\.$/,
      ],
    },
  },
};
