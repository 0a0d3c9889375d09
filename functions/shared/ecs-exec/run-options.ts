import type { AttendanceTiming } from './attendance.ts';
import type { Target } from './container-state.ts';
import type { Input } from './input.ts';
import type { OutputLimits, Sink } from './output.ts';
import type { Clients } from './session.ts';
import type { Command } from './wrapper.ts';

/** What all questions about a run have in common. */
export interface RunOptions extends Target {
  /**
   * Names the run in the container, so that it is started once however often it is asked for: letters, digits, `.`,
   * `_`, `-`, at most 100.
   */
  runId: string;
  /** @default {@link ecsExecClients} for the environment's region and credentials */
  clients?: Clients;
  /** Bytes kept of the output. */
  keep?: OutputLimits;
  /** When the command must have ended. @default never */
  deadline?: Date;
  /** Stops the command; the function then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** The container's shell. @default ['sh'] */
  shell?: string[];
  /** Folders of the container for the run's files: the first that can be written. @default /run, /tmp, /var/tmp, /dev/shm */
  folders?: string[];
  /** Intervals and patience, for those who know why. @default what the agent needs */
  timing?: Partial<AttendanceTiming>;
}

/** Output as text, as most commands print it. */
export interface TextOptions {
  /** Whether output comes byte for byte rather than as text. */
  bytes?: false;
  /** Gets all of the output as it comes. @default it is kept only, head and tail */
  sink?: Sink<string>;
}

/** Output byte for byte, for which it is encoded in the container (by base64 or od). */
export interface ByteOptions {
  /** Whether output comes byte for byte rather than as text. */
  bytes: true;
  /** Gets all of the output as it comes. @default it is kept only, head and tail */
  sink?: Sink<Uint8Array>;
}

export interface CommandOptions extends RunOptions {
  /** What is run: a program with its arguments, or a script for the container's `sh`. */
  command: Command;
  /**
   * Standard input. It is brought into the container before the command starts, which then reads it from a file of its
   * own, so it needs room there. A stream is read to its end first.
   *
   * @default none: reading ends at once
   */
  stdin?: Input;
  /**
   * Run ids that begin so are over: what they left in the container is removed when this run starts. For a job that
   * does not forget its runs one by one, which would take a session more. @default nothing is removed
   */
  supersedes?: string;
}

export interface LookOptions extends RunOptions {
  /** Bytes of the output that the caller has: `output.totalBytes` of its look before. @default 0 */
  from?: number;
}

export interface ExecuteOptions extends CommandOptions {
  /**
   * Keeps the status in the container, for a caller that could be interrupted before it has noted the result. Then
   * {@link forgetCommand} is to follow.
   *
   * @default false: the run's files are removed, and the same run id would start the command anew
   */
  keepStatus?: boolean;
}
