import { DescribeTasksCommand, type ECSClient, ListTasksCommand, type Task } from '@aws-sdk/client-ecs';
import type { CommandResult } from './command-result.ts';
import {
  AccessDeniedError,
  ClusterNotFoundError,
  EcsExecError,
  InvalidCommandError,
  NoRunningTaskError,
  ServiceNotFoundError,
  ThrottledError,
} from './errors.ts';
import { execute } from './execute-command.ts';
import { HandOver } from './hand-over.ts';
import type { ExecuteOptions } from './run-options.ts';
import { ecsExecClients } from './session.ts';

/** A running container of a service. */
export interface RunningContainer {
  /** ARN. */
  task: string;
  /** As in the task definition. */
  container: string;
}

/** Where and how a command is run in the containers of a service. */
export interface ExecInAllOptions
  extends Pick<
    ExecuteOptions,
    'clients' | 'command' | 'deadline' | 'signal' | 'keep' | 'shell' | 'folders' | 'timing'
  > {
  /** Standard input of the command in each of the containers. @default none */
  stdin?: string | Uint8Array;
  /** The cluster's name or ARN. */
  cluster: string;
  /** The service's name or ARN. */
  service: string;
  /** @default the only container in which ECS Exec's agent runs */
  container?: string;
  /** Containers at once. @default 10 */
  concurrency?: number;
  /** Names the run in each container, so that it starts once. @default made up */
  runId?: string;
  /** At most so many of the containers, the first that ECS names. @default all */
  limit?: number;
}

/** What comes from the containers, as it comes. */
export type ExecEvent =
  | ({ event: 'output'; text: string } & RunningContainer)
  | ({ event: 'ended'; result: CommandResult } & RunningContainer)
  /** It was not started there: one class of error per cause. */
  | ({ event: 'failed'; error: EcsExecError } & RunningContainer);

/** ECS's limit for both calls. */
const PAGE = 100;

/**
 * The running containers of a service: at least one.
 *
 * @throws InvalidCommandError if the container is not named and more than one of a task could be meant
 * @throws NoRunningTaskError, ServiceNotFoundError, ClusterNotFoundError, AccessDeniedError or ThrottledError
 */
export async function runningContainers(
  ecs: ECSClient,
  where: Pick<ExecInAllOptions, 'cluster' | 'service' | 'container'>,
): Promise<[RunningContainer, ...RunningContainer[]]> {
  const { cluster, service, container } = where;
  const tasks = await tasksOf(ecs, where);
  const [first, ...others] = tasks
    .filter(({ lastStatus }) => lastStatus === 'RUNNING')
    .map((task) => ({ task: task.taskArn ?? '', container: container ?? onlyContainer(task) }));
  if (first === undefined) {
    const statuses = [...new Set(tasks.map(({ lastStatus }) => lastStatus))].join(', ');
    const has = tasks.length === 0 ? 'none at all' : `${tasks.length}, ${statuses}`;
    throw new NoRunningTaskError(
      `Service ${service} has no running task in cluster ${cluster}, but ${has}. See its events in ECS for why none comes up.`,
    );
  }
  return [first, ...others];
}

async function tasksOf(
  ecs: ECSClient,
  { cluster, service }: Pick<ExecInAllOptions, 'cluster' | 'service'>,
): Promise<Task[]> {
  const found: Task[] = [];
  try {
    let nextToken: string | undefined;
    do {
      const request = { cluster, serviceName: service, desiredStatus: 'RUNNING', maxResults: PAGE } as const;
      const listed = await ecs.send(new ListTasksCommand({ ...request, nextToken }));
      nextToken = listed.nextToken;
      if (!listed.taskArns?.length) continue;
      const described = await ecs.send(new DescribeTasksCommand({ cluster, tasks: listed.taskArns }));
      found.push(...(described.tasks ?? []));
    } while (nextToken !== undefined);
    return found;
  } catch (error) {
    throw listingFailure(error, `service ${service} of cluster ${cluster}`);
  }
}

function listingFailure(cause: unknown, where: string): unknown {
  const { name, message } = Object(cause);
  switch (name) {
    case 'ServiceNotFoundException':
    case 'ServiceNotActiveException':
      return new ServiceNotFoundError(`There is no such service in this account and region: ${where}.`, {
        cause,
      });
    case 'ClusterNotFoundException':
      return new ClusterNotFoundError(`There is no such cluster in this account and region: ${where}.`, {
        cause,
      });
    case 'AccessDeniedException':
      return new AccessDeniedError(`No permission to list the tasks of ${where}: ${message}`, { cause });
    case 'ThrottlingException':
      return new ThrottledError(`AWS wants fewer calls (${where}): ${message}`, { cause });
    default:
      return cause;
  }
}

function onlyContainer({ containers = [], taskArn }: Task): string {
  const reachable = containers.filter(({ managedAgents }) =>
    managedAgents?.some(({ name }) => name === 'ExecuteCommandAgent'),
  );
  const [only, ...others] = reachable.length > 0 ? reachable : containers;
  if (only?.name !== undefined && others.length === 0) return only.name;
  const names = containers.map(({ name }) => name).join(', ');
  throw new InvalidCommandError(`Task ${taskArn} has the containers ${names}: name the one that is meant.`);
}

/**
 * Runs a command in every running container of a service, a few at a time, and gives what they print and how they
 * end, as it comes. Breaking off the iteration, or the signal, stops the commands.
 *
 * @throws EcsExecError if the containers cannot be found, or none runs: as {@link runningContainers}
 * @throws InvalidCommandError if it would run nowhere: `concurrency` or `limit` less than 1
 * @throws the signal's reason
 */
export async function* execInAll(options: ExecInAllOptions): AsyncGenerator<ExecEvent, void> {
  const { clients = ecsExecClients(), concurrency = 10, limit, runId = madeUp(), ...rest } = options;
  atLeastOne('concurrency', concurrency);
  if (limit !== undefined) atLeastOne('limit', limit);
  const containers = (await runningContainers(clients.ecs, options)).slice(0, limit);
  const broken = new AbortController();
  const signal = AbortSignal.any([broken.signal, ...(options.signal ? [options.signal] : [])]);
  const events = new HandOver<ExecEvent>();
  const waiting = [...containers];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const where = next;
      try {
        const result = await execute<string>(
          {
            ...commandOf(rest),
            ...where,
            cluster: options.cluster,
            clients,
            runId,
            signal,
            sink: (text) => events.give({ event: 'output', text, ...where }),
          },
          { sinkPatience: Number.POSITIVE_INFINITY },
        );
        void events.give({ event: 'ended', result, ...where });
      } catch (error) {
        if (!(error instanceof EcsExecError)) throw error;
        void events.give({ event: 'failed', error, ...where });
      }
    }
  };
  let failure: { error: unknown } | undefined;
  const workers = Array.from({ length: Math.min(concurrency, containers.length) }, async () => {
    try {
      await work();
    } catch (error) {
      // Of the first only: the others are stopped because of it.
      failure ??= { error };
      broken.abort(error);
    }
  });
  const all = Promise.all(workers).then(() => events.end());
  try {
    yield* events;
    if (failure !== undefined) throw failure.error;
  } finally {
    broken.abort(new Error('The iteration was broken off.'));
    events.end();
    await all;
  }
}

/** With none of them it would end without a word, as if all had gone well. */
function atLeastOne(name: string, count: number): void {
  if (!(count >= 1)) throw new InvalidCommandError(`${name} is ${count}: it must be at least 1.`);
}

function commandOf({
  command,
  deadline,
  keep,
  shell,
  folders,
  timing,
  stdin,
}: Omit<ExecInAllOptions, 'cluster' | 'service'>) {
  return {
    command,
    ...(deadline && { deadline }),
    ...(keep && { keep }),
    ...(shell && { shell }),
    ...(folders && { folders }),
    ...(timing && { timing }),
    ...(stdin !== undefined && { stdin }),
  };
}

function madeUp(): string {
  return `exec-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
}
