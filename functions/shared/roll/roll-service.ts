import { type DurableContext, DurableOperationError } from '@aws/durable-execution-sdk-js';
import { type ECSClient, type Service, StopTaskCommand, UpdateServiceCommand } from '@aws-sdk/client-ecs';
import { taskIdOf } from '../containers/discover-containers.ts';
import {
  describeServices,
  isOlder,
  lastEvents,
  livingTasks,
  type ServiceAddress,
  whyUnsteady,
} from '../containers/services.ts';
import { atMostOnce } from '../run/at-most-once.ts';
import { deploymentProgress, type Progress, rollingProgress } from './deployment-progress.ts';
import type { RollablePlan } from './roll-way.ts';

/** What a look at the new tasks of a service comes to. */
export interface Verdict {
  /** What was seen, in a sentence for people. */
  evidence: string;
  /** What to do about it, where it is not as it should be. */
  next: string;
}

/** What became of a service. */
export interface RolledResult<Proof extends Verdict = Verdict> {
  service: string;
  /** `was-new`: every task had been made since already. */
  outcome: 'rolled' | 'was-new' | 'failed';
  how: 'forced' | 'task-by-task';
  tasksReplaced: number;
  /** Why it failed, with what ECS says. */
  reason?: string;
  /** What to do about that. @default what the proof says, or to look into ECS */
  next?: string;
  /** Of its new tasks. Absent: the roll did not come so far. */
  proof?: Proof;
}

export interface RollRequest<Plan extends RollablePlan = RollablePlan, Proof extends Verdict = Verdict> {
  ecs: ECSClient;
  /** Tasks of a service made before that moment are replaced. Epoch milliseconds. */
  madeBefore(service: ServiceAddress): number;
  steadyTimeoutSeconds: number;
  /** Epoch milliseconds. */
  endBy: number;
  /** Looks whether new tasks of a service are right. */
  prove(context: DurableContext, plan: Plan, which: NewTasks): Promise<Proof>;
  /** Whether the roll must not go on after such a proof. */
  stopsAt(proof: Proof): boolean;
  /** How many durable operations the run has on record, about: the roll counts its own. */
  operations: { count: number };
  words: RollWords;
}

/** All of a service; the first one of a service that goes task by task; those that an earlier run has made before it stopped. */
export type NewTasks = 'all' | 'first' | 'earlier';

/** What a roll says of itself. */
export interface RollWords {
  /** Why a task is stopped, for ECS. */
  stopTask: string;
  /** Of tasks that did not end, before they are named. */
  oldTasks: string;
  /** What to do about those. */
  oldTasksNext: string;
}

const LOOK_SECONDS = 15;

/** Lambda keeps so many of a run, each look counted. A run that has none left is ended by force, without a report. */
const MOST_OPERATIONS = 3000;
/** For what comes after the roll, besides the looks. */
const OPERATIONS_AFTER_ROLL = 340;
/** Whose looks have to have room, each as long as a service may take: of this service, at old tasks, at the application. */
const WAITS_LEFT = 3;
/** Of one service, besides the looks at its deployment or its tasks: for proofs that its tasks are right, mostly. */
const OPERATIONS_OF_SERVICE = 30;
/** Of a task that is replaced by itself, besides the looks. */
const OPERATIONS_OF_TASK = 3;

/**
 * Replaces every task of a service that is older than the delivery, waits until the service is steady again, and looks
 * whether its new tasks are right. What AWS refuses is a failure like others.
 */
export async function rollService<Plan extends RollablePlan, Proof extends Verdict>(
  context: DurableContext,
  plan: Plan,
  request: RollRequest<Plan, Proof>,
): Promise<RolledResult<Proof>> {
  const { kind: how, service } = plan;
  const { name } = service;
  const result = { service: name, how };
  if (isTooMuch(request, OPERATIONS_OF_SERVICE))
    return { ...result, outcome: 'failed', tasksReplaced: 0, ...tooManyOperations(request) };
  request.operations.count += OPERATIONS_OF_SERVICE;
  const before = await context.step(`look at ${name}`, () => lookAt(request, service)).catch(refusal);
  if ('reason' in before) return { ...result, outcome: 'failed', tasksReplaced: 0, ...before };
  const { old } = before;
  if (old > 0 && before.at >= request.endBy)
    return { ...result, outcome: 'failed', tasksReplaced: 0, reason: 'The downtime window is over.' };
  const end: Replaced<Proof> = await replaceAndProve(context, plan, request, before).catch(refusal);
  if (end.reason === undefined)
    return { ...result, outcome: old > 0 ? 'rolled' : 'was-new', tasksReplaced: old, ...end };
  const left = await context
    .step(`look at ${name} again`, () => lookAt(request, service))
    // How many were replaced is not known then: none is not too many.
    .catch(() => before);
  const tasksReplaced = Math.max(0, old - left.old);
  return { ...result, outcome: 'failed', tasksReplaced, ...end };
}

/** Whether Lambda might have no room for the looks at what is to be begun, if they take as long as they may. */
function isTooMuch(
  { operations, steadyTimeoutSeconds }: Pick<RollRequest, 'operations' | 'steadyTimeoutSeconds'>,
  others: number,
): boolean {
  const looks = (WAITS_LEFT * steadyTimeoutSeconds) / LOOK_SECONDS;
  return operations.count + others + looks + OPERATIONS_AFTER_ROLL > MOST_OPERATIONS;
}

function tooManyOperations({ operations }: Pick<RollRequest, 'operations'>) {
  return {
    reason: `Lambda keeps ${MOST_OPERATIONS} operations of a run on record, and this one has some ${operations.count} of them: too few are left to go on.`,
    next: 'Nothing needs to be mended: the next run goes on from there. Start it by hand to have that at once.',
  };
}

/** `reason`: why it stopped. */
interface Replaced<Proof> {
  reason?: string;
  next?: string;
  proof?: Proof;
}

async function replaceAndProve<Plan extends RollablePlan, Proof extends Verdict>(
  context: DurableContext,
  plan: Plan,
  request: RollRequest<Plan, Proof>,
  before: Look,
): Promise<Replaced<Proof>> {
  if (before.old > 0) {
    // An earlier run has made some and stopped: the others are not to go before those are seen to be right.
    if (before.hasNew) {
      const proof = await request.prove(context, plan, 'earlier');
      if (request.stopsAt(proof)) return { proof, reason: proof.evidence };
    }
    const end =
      plan.kind === 'forced'
        ? await forceDeployment(context, plan, request, before.primary)
        : await replaceTaskByTask(context, plan, request);
    if (end !== undefined) return end;
  }
  const proof = await request.prove(context, plan, 'all');
  return { proof, ...(request.stopsAt(proof) && { reason: proof.evidence }) };
}

function refusal(error: unknown): { reason: string } {
  if (error instanceof DurableOperationError) return { reason: `AWS refused a call: ${error.message}` };
  throw error;
}

type Look = Awaited<ReturnType<typeof lookAt>>;

async function lookAt({ ecs, madeBefore }: Pick<RollRequest, 'ecs' | 'madeBefore'>, address: ServiceAddress) {
  const since = madeBefore(address);
  const tasks = await livingTasks(ecs, address);
  const [service] = await describeServices(ecs, [address]);
  const old = tasks.filter(
    (task) => isOlder(task, since) && task.desiredStatus === 'RUNNING' && task.taskArn,
  );
  const [{ taskArn } = {}] = old;
  // Of thousands of tasks only how many: each look is kept in the run's history.
  return {
    /** Of those that are to go on. */
    old: old.length,
    /** The first of them. */
    ...(taskArn !== undefined && { task: taskArn }),
    hasNew: tasks.some(
      (task) => !isOlder(task, since) && task.lastStatus === 'RUNNING' && task.desiredStatus === 'RUNNING',
    ),
    primary: service?.deployments?.[0]?.id ?? '',
    at: Date.now(),
  };
}

/** What a deployment needs of the roll. */
type Rolling = Omit<RollRequest, 'prove' | 'stopsAt'>;

/** `undefined` when it is done; otherwise why not. */
type End<Proof = never> = { reason: string; next?: string; proof?: Proof } | undefined;

/** Of a condition that is looked at again and again, with how often that was. */
type Looked = Progress & { looks: number };

async function forceDeployment(
  context: DurableContext,
  { service, strategy }: { service: ServiceAddress; strategy: string },
  request: Rolling,
  idBefore: string,
): Promise<End> {
  const { endBy, steadyTimeoutSeconds } = request;
  const update = () => requestDeployment(request, service);
  const asked = await atMostOnce(context, `deploy ${service.name} anew`, update);
  const begun =
    asked.kind === 'done'
      ? asked.value
      : await context.step(`deploy ${service.name} anew after the interruption`, async () => {
          const { primary, at } = await lookAt(request, service);
          return primary === idBefore ? update() : { id: primary, at };
        });
  const deadline = Math.min(begun.at + steadyTimeoutSeconds * 1000, endBy);
  const end = await context.waitForCondition(
    `${service.name} is deployed`,
    async ({ looks }: Looked): Promise<Looked> => {
      const progress =
        strategy === 'ROLLING'
          ? await rollingProgress(request, service, begun.id)
          : await deploymentProgress(request, service, idBefore, begun.at);
      return { ...late(progress, deadline, steadyTimeoutSeconds), looks: looks + 1 };
    },
    movingUntilTheEnd(begun.at),
  );
  request.operations.count += end.looks;
  if (end.kind === 'done') return undefined;
  return { reason: `${end.reason} ${await eventsOf(context, service, request)}` };
}

async function requestDeployment(
  { ecs }: Pick<RollRequest, 'ecs'>,
  { clusterArn: cluster, name: service }: ServiceAddress,
) {
  const at = Date.now();
  const { service: updated } = await ecs.send(
    new UpdateServiceCommand({ cluster, service, forceNewDeployment: true }),
  );
  return { id: updated?.deployments?.find(({ status }) => status === 'PRIMARY')?.id ?? '', at };
}

async function replaceTaskByTask<Plan extends RollablePlan, Proof extends Verdict>(
  context: DurableContext,
  plan: Plan,
  request: RollRequest<Plan, Proof>,
): Promise<End<Proof>> {
  const { service } = plan;
  const { clusterArn: cluster, name } = service;
  const { ecs, endBy, steadyTimeoutSeconds } = request;
  for (let number = 1; ; number++) {
    const { old, task, at } = await context.step(`choose a task of ${name} ${number}`, () =>
      lookAt(request, service),
    );
    if (task === undefined) return undefined;
    if (at >= endBy) return { reason: 'The downtime window ended before all tasks were replaced.' };
    if (isTooMuch(request, OPERATIONS_OF_TASK)) return tooManyOperations(request);
    // Stopping the same task again does nothing, so this step may be repeated.
    await context.step(`stop a task of ${name} ${number}`, async () => {
      await ecs.send(new StopTaskCommand({ cluster, task, reason: request.words.stopTask }));
    });
    const deadline = Math.min(at + steadyTimeoutSeconds * 1000, endBy);
    const end = await context.waitForCondition(
      `${name} is steady again ${number}`,
      async ({ looks }: Looked): Promise<Looked> => ({
        ...late(await steadiness(request, service, task, at), deadline, steadyTimeoutSeconds),
        looks: looks + 1,
      }),
      movingUntilTheEnd(at),
    );
    request.operations.count += OPERATIONS_OF_TASK + end.looks;
    if (end.kind !== 'done') {
      return {
        reason: `The task ${taskIdOf(task)} was stopped, and no steady one took its place: ${end.reason} ${await eventsOf(context, service, request)}`,
      };
    }
    // The others are not touched before the first one has logged in. All of them are looked at in the end.
    if (number > 1 || old === 1) continue;
    const proof = await request.prove(context, plan, 'first');
    if (request.stopsAt(proof)) return { reason: proof.evidence, proof };
  }
}

/** ECS says that a service is steady by an event, only when its tasks are healthy to the load balancer too. */
async function steadiness(
  { ecs }: Pick<RollRequest, 'ecs'>,
  address: ServiceAddress,
  stopped: string,
  since: number,
): Promise<Progress> {
  const [service] = await describeServices(ecs, [address]);
  const tasks = await livingTasks(ecs, address);
  const at = Date.now();
  const moving = (reason: string): Progress => ({ kind: 'moving', reason, at });
  if (service === undefined) return moving('ECS does not show the service.');
  if (tasks.some(({ taskArn }) => taskArn === stopped)) return moving('The old task is still ending.');
  const unsteady = whyUnsteady(service);
  if (unsteady !== undefined) return moving(unsteady);
  const unhealthy = tasks.find(({ healthStatus }) => healthStatus === 'UNHEALTHY');
  if (unhealthy) return moving(`The task ${taskIdOf(unhealthy.taskArn ?? '')} is unhealthy.`);
  return saidSteady(service, since)
    ? { kind: 'done', reason: '', at }
    : moving('ECS has not called it steady.');
}

function saidSteady({ events = [] }: Service, since: number): boolean {
  return events.some(
    ({ message = '', createdAt }) =>
      message.includes('has reached a steady state') && (createdAt?.getTime() ?? 0) > since,
  );
}

function late(progress: Progress, deadline: number, seconds: number): Progress {
  if (progress.kind !== 'moving' || progress.at < deadline) return progress;
  return {
    kind: 'failed',
    reason: `It was not steady after ${seconds} seconds, or when the downtime window ended: ${progress.reason}`,
    at: progress.at,
  };
}

function movingUntilTheEnd(at: number) {
  return {
    initialState: { kind: 'moving', reason: '', at, looks: 0 } as Looked,
    waitStrategy: ({ kind }: Looked) =>
      kind === 'moving'
        ? ({ shouldContinue: true, delay: { seconds: LOOK_SECONDS } } as const)
        : ({ shouldContinue: false } as const),
  };
}

function eventsOf(
  context: DurableContext,
  service: ServiceAddress,
  { ecs }: Pick<RollRequest, 'ecs'>,
): Promise<string> {
  return context.step(`events of ${service.name}`, async () => {
    const [described] = await describeServices(ecs, [service]);
    return described ? lastEvents(described) : '';
  });
}
