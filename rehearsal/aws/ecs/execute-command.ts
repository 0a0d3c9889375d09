import type { ExecuteCommandCommandInput } from '@aws-sdk/client-ecs';
import { AwsError } from '../aws-error.ts';
import type { SessionManager } from '../session-manager/session-manager.ts';
import { invalid } from './errors.ts';
import { containerArn, type EcsTask, sessionTarget } from './task.ts';

/** Starts a command in a container of a task, as a session of Session Manager. */
export function executeCommand(
  task: EcsTask | undefined,
  input: ExecuteCommandCommandInput,
  sessions: SessionManager,
) {
  const { command = '', interactive } = input;
  if (interactive !== true) throw invalid('Interactive is the only mode supported currently.');
  if (task === undefined) throw invalid('The referenced task was not found.');
  const container =
    input.container === undefined && task.containers.length === 1
      ? task.containers[0]
      : task.containers.find(({ name }) => name === input.container);
  if (container === undefined) throw invalid('Container name is missing or unknown in the task.');
  if (
    task.lastStatus !== 'RUNNING' ||
    !container.running ||
    !container.agentRunning ||
    (task.agentIn ?? container) !== container ||
    !task.enableExecuteCommand
  ) {
    throw invalid(
      "The execute command failed because execute command was not enabled when the task was run or the execute command agent isn't running. Wait and try again or run a new task with execute command enabled and try again.",
    );
  }
  if (!task.connected) {
    throw new AwsError(
      'TargetNotConnectedException',
      'The execute command failed due to an internal error. Try again later.',
    );
  }
  return {
    clusterArn: task.clusterArn,
    taskArn: task.arn,
    containerArn: containerArn(task, container),
    containerName: container.name,
    interactive: true,
    session: sessions.openSession({
      container,
      command,
      target: sessionTarget(task, container),
      ...(task.agentIn && { atOnce: 1 }),
    }),
  };
}
