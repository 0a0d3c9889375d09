import { type Container, DescribeTasksCommand, type ECSClient, type Task } from '@aws-sdk/client-ecs';

/** The container in which a command runs. */
export interface Target {
  /** Name or ARN. */
  cluster: string;
  /** Id or ARN. */
  task: string;
  /** As in the task definition. */
  container: string;
}

export type ContainerState =
  | {
      state: 'running';
      /** Undefined in the moments before ECS knows it. */
      runtimeId: string | undefined;
      execEnabled: boolean;
      /** `lastStatus` of the ExecuteCommandAgent; undefined if there is none. */
      agentStatus: string | undefined;
      /** The other containers of the task that have one. */
      agentIn: string[];
    }
  | { state: 'gone'; reason: string };

/** How the container is, as ECS knows it. */
export async function containerState(ecs: ECSClient, target: Target): Promise<ContainerState> {
  const { tasks = [], failures = [] } = await ecs.send(
    new DescribeTasksCommand({ cluster: target.cluster, tasks: [target.task] }),
  );
  const [task] = tasks;
  if (task === undefined) {
    return { state: 'gone', reason: `ECS knows no such task (${failures[0]?.reason ?? 'no reason given'})` };
  }
  const container = task.containers?.find(({ name }) => name === target.container);
  if (container === undefined) {
    return { state: 'gone', reason: `the task has no container named ${target.container}` };
  }
  const reason = whyGone(task, container);
  if (reason !== undefined) return { state: 'gone', reason };
  return {
    state: 'running',
    runtimeId: container.runtimeId,
    execEnabled: task.enableExecuteCommand === true,
    agentStatus: agentStatus(container),
    agentIn: (task.containers ?? [])
      .filter((each) => each !== container && agentStatus(each) !== undefined)
      .flatMap(({ name }) => name ?? []),
  };
}

function agentStatus({ managedAgents }: Container): string | undefined {
  return managedAgents?.find(({ name }) => name === 'ExecuteCommandAgent')?.lastStatus;
}

/** Part of the encryption context of a session's key: Session Manager's name for a container. */
export function sessionTargetId({ cluster, task }: Target, runtimeId: string): string {
  return `ecs:${lastPart(cluster)}_${lastPart(task)}_${runtimeId}`;
}

function whyGone(task: Task, container: Container): string | undefined {
  const code = container.exitCode === undefined ? '' : `, exit code ${container.exitCode}`;
  const why = container.reason ?? task.stoppedReason;
  const because = why === undefined ? '' : `: ${why}`;
  if (container.lastStatus === 'STOPPED') return `the container has stopped${code}${because}`;
  if (ENDING.includes(task.lastStatus ?? '')) return `the task is ${task.lastStatus}${because}`;
  return undefined;
}

/** States of a task in which its containers end or have ended. */
const ENDING = ['DEACTIVATING', 'STOPPING', 'DEPROVISIONING', 'STOPPED', 'DELETED'];

function lastPart(nameOrArn: string): string {
  return nameOrArn.slice(nameOrArn.lastIndexOf('/') + 1);
}
