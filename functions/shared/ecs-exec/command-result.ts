import type { Output } from './output.ts';

/** How a command ended. */
export type CommandResult<Content extends string | Uint8Array = string> =
  | ({ outcome: 'exited'; exitCode: number } & Printed<Content>)
  /** The container or its task stopped meanwhile. */
  | ({
      outcome: 'gone';
      reason: string;
      /** Nobody had asked by this question for its start: what an earlier caller may have done is not known. */
      notAskedToStart?: true;
    } & Printed<Content>)
  /** `stopped`: it was seen to have ended after the signals TERM and KILL. */
  | ({ outcome: 'timed-out'; stopped: boolean } & Printed<Content>)
  /** Nothing tells how it ended, or whether it has. */
  | ({ outcome: 'lost'; reason: string } & Printed<Content>);

/** How a command stands. */
export type CommandStatus<Content extends string | Uint8Array = string> =
  | CommandResult<Content>
  | ({ outcome: 'running' } & Printed<Content>)
  /** The container knows no run of this id: not started there, or forgotten. */
  | ({ outcome: 'unknown' } & Printed<Content>);

/** What a command has printed. */
export interface Printed<Content extends string | Uint8Array> {
  /** What was kept of it. */
  output: Output<Content>;
  /** Bytes that the sink did not get: it was too slow, or had failed. */
  skippedBySink: number;
  /** What the sink threw. */
  sinkError?: unknown;
}
