/** Everything that this client throws, apart from what the AWS SDK throws for causes that are not ours. */
export class EcsExecError extends Error {
  override name = 'EcsExecError';
  /** The cause in a word, for those who would rather compare than use `instanceof`. */
  readonly code: string = 'ECS_EXEC';
}

/** Bytes that are no message of the data channel, or one that AWS's own readers would stop or crash on. */
export class FrameError extends EcsExecError {
  override name = 'FrameError';
  override readonly code = 'FRAME';
}

/** A command, run id or option that cannot work, found before anything was sent. */
export class InvalidCommandError extends EcsExecError {
  override name = 'InvalidCommandError';
  override readonly code = 'INVALID_COMMAND';
}

/** The caller may not do this: the message names the action. */
export class AccessDeniedError extends EcsExecError {
  override name = 'AccessDeniedError';
  override readonly code = 'ACCESS_DENIED';
}

/** AWS asks for fewer calls: the account's token bucket for them is empty. Wait, and start the same run again. */
export class ThrottledError extends EcsExecError {
  override name = 'ThrottledError';
  override readonly code = 'THROTTLED';
}

/** There is no such cluster. */
export class ClusterNotFoundError extends EcsExecError {
  override name = 'ClusterNotFoundError';
  override readonly code = 'CLUSTER_NOT_FOUND';
}

/** The cluster has no such service, or has one no more. */
export class ServiceNotFoundError extends EcsExecError {
  override name = 'ServiceNotFoundError';
  override readonly code = 'SERVICE_NOT_FOUND';
}

/** The service has no task that runs: the message says how those stand that it has. */
export class NoRunningTaskError extends EcsExecError {
  override name = 'NoRunningTaskError';
  override readonly code = 'NO_RUNNING_TASK';
}

/** The task was started without `enableExecuteCommand`: only a new task can have it. */
export class ExecNotEnabledError extends EcsExecError {
  override name = 'ExecNotEnabledError';
  override readonly code = 'EXEC_NOT_ENABLED';
}

/** ECS Exec is enabled, but the agent in the container has stopped or has not started yet. */
export class AgentNotRunningError extends EcsExecError {
  override name = 'AgentNotRunningError';
  override readonly code = 'AGENT_NOT_RUNNING';
}

/** The container of an interactive session has stopped, or its task has. */
export class ContainerGoneError extends EcsExecError {
  override name = 'ContainerGoneError';
  override readonly code = 'CONTAINER_GONE';
}

/** The agent runs but is not connected to Session Manager: often so in a task's first seconds. */
export class TargetNotConnectedError extends EcsExecError {
  override name = 'TargetNotConnectedError';
  override readonly code = 'TARGET_NOT_CONNECTED';
}

/** The session was opened and ended before the command had started: the message has the agent's words. */
export class SessionRefusedError extends EcsExecError {
  override name = 'SessionRefusedError';
  override readonly code = 'SESSION_REFUSED';
}

/** The session is encrypted by KMS, and its key could not be agreed on. */
export class HandshakeError extends EcsExecError {
  override name = 'HandshakeError';
  override readonly code = 'HANDSHAKE';
}

/** Output was wanted byte for byte, and the container has no program that could encode it. Nothing was started. */
export class EncoderMissingError extends EcsExecError {
  override name = 'EncoderMissingError';
  override readonly code = 'ENCODER_MISSING';
}

/** The command was not started, for a cause that none of the other errors names. */
export class StartError extends EcsExecError {
  override name = 'StartError';
  override readonly code = 'START';
}

/** The container has no shell, as distroless images have none: nothing can be run in it this way. */
export class NoShellError extends EcsExecError {
  override name = 'NoShellError';
  override readonly code = 'NO_SHELL';
}

/** ECS runs an agent in another container of the task only: with `pidMode: task`, one container has it. */
export class NoAgentInContainerError extends EcsExecError {
  override name = 'NoAgentInContainerError';
  override readonly code = 'NO_AGENT_IN_CONTAINER';
}
