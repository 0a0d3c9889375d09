/** A client of ECS Exec that knows how a command ended. */
export * from './errors.ts';
export {
  type ExecEvent,
  type ExecInAllOptions,
  execInAll,
  type RunningContainer,
  runningContainers,
} from './exec-in-all.ts';
export {
  type ByteOptions,
  type CommandOptions,
  type CommandResult,
  type CommandStatus,
  commandStatus,
  type ExecuteOptions,
  executeCommand,
  forgetCommand,
  type LookOptions,
  type Printed,
  type RunOptions,
  startCommand,
  stopCommand,
  type TextOptions,
} from './execute-command.ts';
export { type InteractiveOptions, interactiveSession } from './interactive.ts';
export { type Output, type OutputLimits, outputText, type Sink } from './output.ts';
export { type Clients, ecsExecClients } from './session.ts';
export type { Command } from './wrapper.ts';
