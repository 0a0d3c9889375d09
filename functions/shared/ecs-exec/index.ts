/** A client of ECS Exec that knows how a command ended. */
export type { AttendanceTiming } from './attendance.ts';
export type { CommandResult, CommandStatus, Printed } from './command-result.ts';
export type { Target } from './container-state.ts';
export * from './errors.ts';
export {
  type ExecEvent,
  type ExecInAllOptions,
  execInAll,
  type RunningContainer,
  runningContainers,
} from './exec-in-all.ts';
export {
  commandStatus,
  executeCommand,
  forgetCommand,
  startCommand,
  stopCommand,
} from './execute-command.ts';
export type { Input } from './input.ts';
export { type InteractiveOptions, interactiveSession } from './interactive.ts';
export { type Output, type OutputLimits, outputText, type Sink } from './output.ts';
export type {
  ByteOptions,
  CommandOptions,
  ExecuteOptions,
  LookOptions,
  RunOptions,
  TextOptions,
} from './run-options.ts';
export { type Clients, ecsExecClients } from './session.ts';
export { type CommandStream, streamCommand } from './stream-command.ts';
export type { Command } from './wrapper.ts';
