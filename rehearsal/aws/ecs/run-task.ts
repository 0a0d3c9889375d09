import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import type { ContainerOverride, Failure, KeyValuePair, RunTaskCommandInput } from '@aws-sdk/client-ecs';
import { AwsError } from '../aws-error.ts';
import { type Ask, type Call, type Cloud, required } from '../cloud.ts';
import { Container, childOf, rewritten } from '../containers/container.ts';
import type { Place } from '../place.ts';
import { clusterArn, lastPart, partOfCluster } from './arns.ts';
import { client, invalid } from './errors.ts';
import type { ManagedService } from './service.ts';
import { describeTask, type EcsTask, TAKES, type TaskOptions } from './task.ts';

/** What goes wrong with a task that RunTask is asked for. */
export type RunTaskFault =
  /** ECS answers that it did not start one. */
  | { at: 'placement'; reason: string }
  /** ECS answers with an error. */
  | { at: 'request'; error: AwsError }
  /** It is accepted, and takes so long until its containers run. */
  | { at: 'pending'; milliseconds: number }
  /** It is accepted, and stops before its containers run. */
  | { at: 'start'; stoppedReason: string }
  /** When its command runs: the container is out of memory, another one ends, the host is taken away, somebody stops it. */
  | { at: 'running'; what: 'out-of-memory' | 'other-container-ends' | 'interrupted' | 'stopped-by-hand' };

/** What RunTask answers. */
interface Answer {
  tasks: ReturnType<typeof describeTask>[];
  failures: Failure[];
}

/** What RunTask needs of the stand-in. */
interface Tasks {
  readonly clock: Cloud['clock'];
  /** The service whose task definition it is, or whose was copied. */
  serviceOf(definition: string, where: Place): ManagedService | undefined;
  /** What ECS is to fetch for a container, of a definition that somebody has registered. Undefined: it is refused. */
  secretsIn(
    definition: string,
    container: string,
    where: Place,
  ): { name: string; value: string | undefined }[];
  add(options: TaskOptions): EcsTask;
  openStream(place: Place, group: string, stream: string): (text: string) => void;
}

/** ECS's limit on a request's overrides, in characters (API reference, TaskOverride). */
const MOST_OVERRIDES = 8192;
/** Real milliseconds: the clock goes on while a command takes longer, also to end. */
const PATIENCE = 2_000;
/** Seconds between TERM and KILL, where the task definition says nothing of it (Developer Guide, `stopTimeout`). */
const STOP_TIMEOUT = 30;

/** A command that is the first process of its container. */
interface RunningCommand {
  container: Container;
  terminate(): void;
  ended: Promise<unknown>;
}

/** What RunTask asks of the caller's policies: itself, the roles that the task gets, and its tags. */
export function asksOfRunTask(
  { cluster, tags = [], ...input }: RunTaskCommandInput,
  call: Call,
  serviceOf: Tasks['serviceOf'],
): Ask[] {
  const inCluster = { 'ecs:cluster': clusterArn(cluster ?? 'default', call) };
  const taskDefinition = definitionArn(required(input.taskDefinition), call);
  const { taskRoleArn, executionRoleArn } = serviceOf(taskDefinition, call)?.options.definition ?? {};
  const { taskRoleArn: other = taskRoleArn, executionRoleArn: otherForStart = executionRoleArn } =
    input.overrides ?? {};
  const passed = [...new Set([other, otherForStart])].filter((role) => role !== undefined);
  return [
    {
      action: 'ecs:RunTask',
      resource: taskDefinition,
      conditions: {
        ...inCluster,
        'ecs:enable-execute-command': String(input.enableExecuteCommand ?? false),
      },
    },
    ...passed.map((role) => ({
      action: 'iam:PassRole',
      resource: role,
      conditions: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' },
    })),
    ...(tags.length > 0
      ? [
          {
            action: 'ecs:TagResource',
            // Which one is not known before.
            resource: partOfCluster(inCluster['ecs:cluster'], 'task', '0'.repeat(32)),
            conditions: {
              ...inCluster,
              'ecs:CreateAction': 'RunTask',
              ...Object.fromEntries(tags.map(({ key, value }) => [`aws:RequestTag/${key}`, value])),
            },
          },
        ]
      : []),
  ];
}

/** Starts tasks of a service's definition that belong to no service, with real processes for their commands. */
export class RunTasks {
  /** One for each task to come, in order. */
  readonly faults: RunTaskFault[] = [];
  readonly #tasks: Tasks;
  /** In place of its answers, one for each request: what is asked for is done. */
  readonly lostAnswers: AwsError[] = [];
  readonly #tokens = new Map<string, { input: string; task: EcsTask }>();
  readonly #commands = new Map<EcsTask, RunningCommand>();

  constructor(tasks: Tasks) {
    this.#tasks = tasks;
  }

  run(cluster: string, input: RunTaskCommandInput, call: Call): Answer {
    const answer = this.#run(cluster, input, call);
    const lost = this.lostAnswers.shift();
    if (lost) throw lost;
    return answer;
  }

  #run(cluster: string, input: RunTaskCommandInput, call: Call): Answer {
    const { clientToken, count = 1, startedBy, tags = [], overrides = {}, ...others } = input;
    const token = clientToken === undefined ? undefined : `${cluster} ${clientToken}`;
    const asked = JSON.stringify({ startedBy, tags, overrides, count, ...others });
    const before = token === undefined ? undefined : this.#tokens.get(token);
    if (before !== undefined) {
      if (before.input === asked) return { tasks: [describeTask(before.task)], failures: [] };
      throw new AwsError(
        'ConflictException',
        'The provided client token is already in use with a different RunTask request.',
        { resourceIds: [before.task.arn] },
      );
    }
    const definition = definitionArn(required(others.taskDefinition), call);
    const service = this.#tasks.serviceOf(definition, call);
    if (service === undefined) throw client('TaskDefinition not found.');
    check(service, input);
    const fault = this.faults.shift();
    if (fault?.at === 'request') throw fault.error;
    if (fault?.at === 'placement') return { tasks: [], failures: [{ reason: fault.reason }] };
    const task = this.#tasks.add({
      ...service.options,
      family: lastPart(definition).replace(/:\d+$/, ''),
      containers: [],
      isAlone: true,
      ...(startedBy !== undefined && { startedBy }),
      tags: Object.fromEntries(tags.map(({ key = '', value = '' }) => [key, value])),
    });
    task.enableExecuteCommand = others.enableExecuteCommand ?? false;
    if (token !== undefined) this.#tokens.set(token, { input: asked, task });
    const takes = fault?.at === 'pending' ? fault.milliseconds : TAKES.start;
    this.#later(takes, () => this.#start(task, service, input, fault, call));
    return { tasks: [describeTask(task)], failures: [] };
  }

  /** As StopTask does. */
  stop(task: EcsTask, reason: string): void {
    if (task.desiredStatus === 'STOPPED') return;
    Object.assign(task, { desiredStatus: 'STOPPED', stoppedReason: reason, stopCode: 'UserInitiated' });
    this.#later(TAKES.stop, () => this.#end(task));
  }

  /** Its command gets TERM and, where it goes on after its time for that, KILL, as all the others do. */
  async #end(task: EcsTask): Promise<void> {
    const kill = async () => {
      await task.stop(task.stoppedReason ?? '');
      task.stoppedAt ??= this.#tasks.clock.now();
    };
    const command = this.#commands.get(task);
    if (!command?.container.running) return kill();
    task.lastStatus = 'STOPPING';
    command.terminate();
    const { stopTimeout = STOP_TIMEOUT } = task.definition.container ?? {};
    this.#later(stopTimeout * 1000, kill);
    await withPatience(command.ended);
    // The others, whose end nobody looks at.
    if (!command.container.running) await kill();
  }

  #later(milliseconds: number, work: () => void | Promise<void>): void {
    const { clock } = this.#tasks;
    clock.at(clock.now() + milliseconds, work);
  }

  async #start(
    task: EcsTask,
    { options }: ManagedService,
    { overrides, taskDefinition = '' }: RunTaskCommandInput,
    fault: RunTaskFault | undefined,
    place: Place,
  ): Promise<void> {
    const { clock } = this.#tasks;
    if (task.desiredStatus === 'STOPPED') return;
    if (fault?.at === 'start') return this.#doesNotStart(task, fault.stoppedReason);
    const override = overrides?.containerOverrides?.find(({ command }) => command !== undefined);
    const secrets = this.#tasks.secretsIn(taskDefinition, override?.name ?? '', place);
    const refused = secrets.find(({ value }) => value === undefined);
    if (refused)
      return this.#doesNotStart(
        task,
        `ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm for ${refused.name}`,
      );
    const containers = await options.start();
    const container = containers.find(
      (each): each is Container => each instanceof Container && each.name === override?.name,
    );
    const [program = ''] = override?.command ?? [];
    if (container && !container.has(program)) {
      await Promise.all(containers.map((each) => each.kill()));
      return this.#doesNotStart(
        task,
        `CannotStartContainerError: failed to create task for container: exec: "${program}": executable file not found in $PATH`,
      );
    }
    task.endOthers = () => void this.#end(task);
    task.run(containers, clock.now());
    for (const each of containers)
      void each.stopped.then(() => {
        if (task.lastStatus === 'STOPPED') task.stoppedAt ??= clock.now();
      });
    if (container === undefined || override === undefined) return;
    const ended = this.#runCommand(task, container, override, place, [
      ...(options.environment ?? []),
      ...secrets.flatMap(({ name, value }) => (value === undefined ? [] : [{ name, value }])),
    ]);
    if (fault?.at === 'running') this.#later(5_000, () => this.#strike(task, container, fault.what));
    await withPatience(ended);
  }

  #doesNotStart(task: EcsTask, stoppedReason: string): void {
    Object.assign(task, {
      stopCode: 'TaskFailedToStart',
      stoppedReason,
      desiredStatus: 'STOPPED',
      lastStatus: 'STOPPED',
      stoppedAt: this.#tasks.clock.now(),
    });
  }

  #strike(
    task: EcsTask,
    container: Container,
    what: Extract<RunTaskFault, { at: 'running' }>['what'],
  ): void | Promise<void> {
    if (what === 'stopped-by-hand') return this.stop(task, 'Task stopped by user');
    if (what === 'interrupted') {
      const stoppedReason = 'Your Spot Task was interrupted.';
      Object.assign(task, { desiredStatus: 'STOPPED', stopCode: 'SpotInterruption', stoppedReason });
      return this.#end(task);
    }
    if (what === 'out-of-memory') {
      task.ends.set(container, {
        exitCode: 137,
        reason: 'OutOfMemoryError: Container killed due to memory usage',
      });
      return container.kill();
    }
    const other = task.containers.find((each) => each !== container);
    if (other === undefined) throw new Error('The task has one container only.');
    task.ends.set(other, { exitCode: 2 });
    return other.kill();
  }

  /** As the first process of its container, with which the container ends. */
  async #runCommand(
    task: EcsTask,
    container: Container,
    { command = [], environment: added = [] }: ContainerOverride,
    place: Place,
    own: KeyValuePair[] = [],
  ): Promise<void> {
    const { logConfiguration } = task.definition.container ?? {};
    const { 'awslogs-group': group = '', 'awslogs-stream-prefix': prefix = '' } =
      logConfiguration?.options ?? {};
    const write =
      logConfiguration?.logDriver === 'awslogs'
        ? this.#tasks.openStream(place, group, `${prefix}/${container.name}/${task.id}`)
        : () => {};
    const { entrance, environment, rewrittenTo: folder } = container.way;
    const words = [...(task.definition.container?.entryPoint ?? []), ...command];
    const argv = folder === undefined ? words : words.map((word) => rewritten(word, folder));
    const [program = '', ...rest] = [...entrance, ...argv];
    const values = [...own, ...added].map(({ name = '', value = '' }) => [name, value]);
    const child = spawn(program, rest, {
      cwd: '/',
      env: { ...environment, ...Object.fromEntries(values) },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, which ends with the container.
      detached: true,
    });
    let isOpen = true;
    const closed = new Promise<void>((resolve) => {
      child.once('close', () => {
        isOpen = false;
        resolve();
      });
    });
    const { linuxParameters } = task.definition.container ?? {};
    this.#commands.set(task, {
      container,
      terminate: () =>
        isOpen && terminate(child.pid, entrance.length > 0, linuxParameters?.initProcessEnabled ?? false),
      ended: closed.then(() => container.stopped),
    });
    void container.stopped.then(() => isOpen && endGroup(child.pid));
    for (const output of [child.stdout, child.stderr])
      createInterface({ input: output, crlfDelay: Number.POSITIVE_INFINITY }).on('line', write);
    const [exitCode, signal]: [number | null, string | null] = await once(child, 'close').then(
      ([code, signal]) => [code, signal],
      () => [126, null],
    );
    if (!container.running) return;
    if (!task.ends.has(container))
      task.ends.set(container, { exitCode: exitCode ?? (signal === 'SIGKILL' ? 137 : 143) });
    await container.kill();
  }
}

function endGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

/** So long as it may be about to end, no time jumps. */
async function withPatience(ended: Promise<unknown>): Promise<void> {
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, PATIENCE).unref())]);
}

/**
 * TERM for the first process of a container. Linux keeps from the first process of all a signal that it does not handle; with Docker's own
 * init before it (`initProcessEnabled`) it is an ordinary one.
 * @param isInside whether it is the child of who leads into the container.
 */
function terminate(leader: number | undefined, isInside: boolean, hasInit: boolean): void {
  const pid = isInside ? childOf(leader ?? 0) : leader;
  if (pid === undefined || !(hasInit || handlesTerm(pid))) return;
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has ended already.
  }
}

function handlesTerm(pid: number): boolean {
  try {
    const [, caught = '0'] =
      /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return (BigInt(`0x${caught}`) & (1n << BigInt(constants.signals.SIGTERM - 1))) !== 0n;
  } catch {
    // Where nobody tells, as on other systems than Linux.
    return true;
  }
}

function definitionArn(nameOrArn: string, { account, region }: Place): string {
  if (nameOrArn.startsWith('arn:')) return nameOrArn;
  const [family, revision = '1'] = nameOrArn.split(':');
  return `arn:aws:ecs:${region}:${account}:task-definition/${family}:${revision}`;
}

/** In ECS's words, as far as they are documented. */
function check({ options }: ManagedService, input: RunTaskCommandInput): void {
  const { overrides = {}, startedBy = '', clientToken = '', count = 1 } = input;
  if (count !== 1) throw invalid('the stand-in starts one task at once');
  if (options.definitionStatus === 'INACTIVE') throw client('TaskDefinition is inactive');
  if (input.launchType !== undefined && input.capacityProviderStrategy !== undefined)
    throw invalid('Specifying both a launch type and capacity provider strategy is not supported.');
  if (options.definition?.networkMode === 'awsvpc' && input.networkConfiguration === undefined)
    throw invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.");
  if (JSON.stringify(overrides).length > MOST_OVERRIDES)
    throw invalid('Overrides length must be at most 8192.');
  if (!/^[\w/-]{0,128}$/.test(startedBy)) throw invalid('startedBy has characters that are not allowed.');
  if (!/^[!-~]{0,64}$/.test(clientToken)) throw invalid('clientToken is too long.');
  const names = (options.running ?? []).flat().map(({ name }) => name);
  for (const { name } of overrides.containerOverrides ?? [])
    if (names.length > 0 && !names.includes(name ?? ''))
      throw invalid(`Override for container named ${name} is not a container in the TaskDefinition.`);
}
