import { mock } from 'node:test';
import {
  DescribeServicesCommand,
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
  StopTaskCommand,
  UpdateServiceCommand,
} from '@aws-sdk/client-ecs';
import { judgeLogins } from '../../functions/credential-rotation/judge-logins.ts';
import { recordedInParts } from '../../functions/credential-rotation/logins-before.ts';
import { pack } from '../../functions/credential-rotation/packed.ts';
import type { RollablePlan } from '../../functions/credential-rotation/plan-roll.ts';
import { rollServices } from '../../functions/shared/roll/roll-services.ts';
import { seededRandom } from '../../rehearsal/aws/seeded-random.ts';
import { countingContext, type RunSize, VirtualTime } from './run-size.ts';

const SERVICE = 'whatsapp-production-coreapp';
const MINUTE = 60_000;
const START = Date.parse('2026-11-29T02:00:00Z');

/** So long a task takes to end and to be replaced. */
const TASK_TAKES = 2 * MINUTE;
/** So long a whole deployment takes, as long as the default of `steadyTimeout` lets it. */
const DEPLOYMENT_TAKES = 14 * MINUTE;

/** ECS with a service of so many tasks, all of them older than the delivery. */
class RolledService {
  readonly #tasks: { taskArn: string; createdAt: number; gone: number }[];
  #deployment: { id: string; at: number } | undefined;
  /** Until something changes. */
  #known: { at: number; living: { taskArn: string; createdAt: number }[] } | undefined;

  constructor(tasks: number) {
    this.#tasks = Array.from({ length: tasks }, (_, number) => this.#task(number, START - MINUTE));
  }

  get client(): ECSClient {
    const client = new ECSClient({ region: 'ap-southeast-1' });
    client.send = async (command: unknown) => this.#answer(command);
    return client;
  }

  get replaced(): number {
    return this.#living().filter(({ createdAt }) => createdAt >= START).length;
  }

  #task(number: number, createdAt: number) {
    const id = number.toString(16).padStart(32, '0');
    return {
      taskArn: `arn:aws:ecs:ap-southeast-1:123456789012:task/whatsapp-production/${id}`,
      createdAt,
      gone: Number.POSITIVE_INFINITY,
    };
  }

  #living() {
    const now = Date.now();
    if (this.#known?.at === now) return this.#known.living;
    const living = this.#livingAt(now);
    this.#known = { at: now, living };
    return living;
  }

  #livingAt(now: number) {
    const { at = Number.POSITIVE_INFINITY } = this.#deployment ?? {};
    const isDeployed = now >= at + DEPLOYMENT_TAKES;
    return this.#tasks
      .filter(({ createdAt, gone }) => gone > now && createdAt <= now)
      .map((task) => (isDeployed ? { ...task, createdAt: at } : task));
  }

  #answer(command: unknown) {
    if (command instanceof ListTasksCommand) {
      if (command.input.desiredStatus !== 'RUNNING') return { taskArns: [] };
      const from = Number(command.input.nextToken ?? 0);
      const living = this.#living();
      const next = from + 100;
      return {
        taskArns: living.slice(from, next).map(({ taskArn }) => taskArn),
        ...(next < living.length && { nextToken: String(next) }),
      };
    }
    if (command instanceof DescribeTasksCommand) {
      // A page of the list is what is described next.
      const [first] = command.input.tasks ?? [];
      const living = this.#living();
      const from = living.findIndex(({ taskArn }) => taskArn === first);
      return {
        tasks: living.slice(from, from + 100).map(({ taskArn, createdAt }) => ({
          ...{ taskArn, createdAt: new Date(createdAt) },
          ...{ lastStatus: 'RUNNING', desiredStatus: 'RUNNING' },
        })),
      };
    }
    if (command instanceof StopTaskCommand) {
      const stopped = this.#tasks.find(({ taskArn }) => taskArn === command.input.task);
      if (stopped === undefined) throw new Error('There is no such task.');
      this.#known = undefined;
      stopped.gone = Date.now();
      this.#tasks.push(this.#task(this.#tasks.length, Date.now() + TASK_TAKES));
      return {};
    }
    if (command instanceof UpdateServiceCommand) {
      this.#known = undefined;
      this.#deployment = { id: 'ecs-svc/1234567890123456789', at: Date.now() };
      return { service: this.#service() };
    }
    if (command instanceof DescribeServicesCommand) return { services: [this.#service()] };
    throw new Error('ECS is not asked for this here.');
  }

  #service() {
    const now = Date.now();
    const { id = 'ecs-svc/1', at = START - MINUTE } = this.#deployment ?? {};
    const isOver = this.#deployment === undefined || now >= at + DEPLOYMENT_TAKES;
    const running = this.#living().length;
    const youngest = this.#tasks.at(-1)?.createdAt ?? 0;
    return {
      serviceName: SERVICE,
      status: 'ACTIVE',
      deployments: [{ id, status: 'PRIMARY', rolloutState: isOver ? 'COMPLETED' : 'IN_PROGRESS' }],
      desiredCount: running,
      runningCount: running,
      pendingCount: youngest > now ? 1 : 0,
      events: [
        { message: `(service ${SERVICE}) has reached a steady state.`, createdAt: new Date(youngest) },
      ],
    };
  }
}

/** What the database shows of as many tasks, each with two addresses: of that of IPv6 the last 64 bits are random, as in a VPC. */
function loginsOf(tasks: number, random: () => number) {
  const group = () => Math.floor(random() * 65_536).toString(16);
  return Array.from({ length: tasks }, (_, number) => ({
    id: number.toString(16).padStart(32, '0'),
    addresses: [
      `10.0.${number >> 8}.${number & 255}`,
      `2600:1f18:4a3:6900:${group()}:${group()}:${group()}:${group()}`,
    ],
  }));
}

/** Plays the roll of a rotation over one service, by its own code. */
export async function rollSize(
  tasks: number,
  {
    kind,
    limitSeconds,
    steadyTimeoutSeconds = 900,
  }: { kind: 'forced' | 'task-by-task'; limitSeconds: number; steadyTimeoutSeconds?: number },
): Promise<RunSize & { stopped?: string }> {
  mock.timers.enable({ apis: ['Date'], now: START });
  try {
    const time = new VirtualTime();
    const size: RunSize = { operations: 0, largest: 0, longestName: 0, done: 0 };
    const context = countingContext(time, size);
    const service = new RolledService(tasks);
    const address = { name: SERVICE, clusterArn: 'whatsapp-production' };
    const plan: RollablePlan = {
      ...{ service: address, isGiven: true },
      ...(kind === 'forced' ? { kind, strategy: 'ROLLING' } : { kind }),
    };
    const random = seededRandom(`${tasks} tasks`);
    const upTo = (most: number) => Math.floor(random() * most);
    const known = loginsOf(tasks, random);
    // Who has two connects by one of them: by the one that takes more.
    const from = known.map(({ addresses: [, address = ''] }) => ({ address, username: 'whatsapp_clone' }));
    // As loginsBefore records it, of a server that counts both users' logins and refuses each address some.
    await recordedInParts(context, 'look for logins before the roll', async () => ({
      mark: {
        at: '123456789',
        logins: Object.fromEntries(
          from.flatMap(({ address }) => [
            [`${address} whatsapp`, upTo(50_000)],
            [`${address} whatsapp_clone`, upTo(50_000)],
          ]),
        ),
        refusedFrom: Object.fromEntries(from.map(({ address }) => [address, upTo(3)])),
      },
      services: { [SERVICE]: { tasks, seen: tasks } },
      addresses: known.flatMap(({ addresses }) => addresses),
    }));
    const { services, stopped } = await time.play(
      rollServices(context, [plan], {
        ecs: service.client,
        madeBefore: () => START,
        steadyTimeoutSeconds,
        endBy: START + limitSeconds * 1000,
        // As proveLogins records it, with every task seen.
        prove: (inContext, plan, which) =>
          inContext
            .step(`${which === 'all' ? '' : 'the first of '}${plan.service.name} logs in`, async () => ({
              proof: judgeLogins({
                tasks: known,
                logins: { kind: 'done', value: { mark: { at: '', logins: {}, refusedFrom: {} }, from } },
                username: 'whatsapp_clone',
                sameUser: false,
                isGiven: true,
                before: { tasks, seen: tasks },
              }),
              from: pack(from),
            }))
            .then(({ proof }) => proof),
        stopsAt: ({ answer }) => answer === 'disproven',
        operations: { count: 0 },
        words: { stopTask: '', oldTasks: '', oldTasksNext: '' },
      }),
    );
    if (services.length !== 1) throw new Error('The service was not rolled.');
    size.done = service.replaced;
    return { ...size, ...(stopped && { stopped: `${stopped.what} ${stopped.next}` }) };
  } finally {
    mock.timers.reset();
  }
}

/** The table of docs/operations.md. */
export async function rollSizeTable(): Promise<string> {
  const lines = [
    '| Tasks of a service | Replaced | Within | Done | Operations | Largest result, bytes | Longest name |',
    '|---|---|---|---|---|---|---|',
  ];
  for (const [kind, how, counts] of [
    ['forced', 'by a deployment', [10, 1000, 5000]],
    // Of more, as many are replaced in that time.
    ['task-by-task', 'one by one', [10, 1000]],
  ] as const)
    for (const tasks of counts) {
      const { operations, largest, longestName, done } = await rollSize(tasks, {
        kind,
        limitSeconds: 4 * 3600,
      });
      // What is packed may take some bytes more or less with another Node.
      const atMost = 1000 * Math.ceil(largest / 1000);
      lines.push(`| ${tasks} | ${how} | 4 hours | ${done} | ${operations} | ${atMost} | ${longestName} |`);
    }
  return lines.join('\n');
}
