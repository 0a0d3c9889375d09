/** The message of a line in the log for each container in which a try of the command has ended. */
export const CONTAINER_ENDED = 'Ended in a container';

/** What that line tells. */
export interface ContainerEnd {
  role: string;
  /** The task's id. */
  task: string;
  container: string;
  /** `exited`, `timed-out`, `gone`, `lost` or `not-started`. */
  outcome: string;
  /** Of `exited`. */
  exitCode?: number;
  seconds: number;
  attempt: number;
}
