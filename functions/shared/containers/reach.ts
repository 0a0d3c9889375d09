import type { Command } from '../ecs-exec/wrapper.ts';
import type { FoundContainer } from './discover-containers.ts';

/** A command for a container. */
export interface Order {
  /** Under which the container or its host remembers it, so that it starts once. */
  id: string;
  /** Ids that begin so are over: what tells of them in the container may go when this one starts. */
  supersedes?: string;
  command: Command;
  /** Given to the command in the environment variable `UPKEEP_MARKER`. Hexadecimal, or empty for none. */
  marker: string;
  /** Likewise in `UPKEEP_PHASE`, for a command that has several: lower-case letters, digits, hyphens. @default none */
  phase?: string;
  /**
   * The command's standard input. By Run Command it is encrypted for the host, which needs openssl, and a document that takes it.
   * @default none: reading ends at once
   */
  stdin?: string;
}

/**
 * The id of a run's order, and those of the job's earlier runs, of which there is never one at the same time. Another deployment's
 * job of the same name may work in the same container: its runs have ids of their own, for no name has a dot.
 */
export function orderId({
  deployment,
  job,
  runId,
}: {
  deployment: string;
  job: string;
  runId: string;
}): Pick<Order, 'id' | 'supersedes'> {
  const supersedes = `${deployment}.${job}.`;
  const named = `${deployment}-${job}-`;
  return { id: supersedes + (runId.startsWith(named) ? runId.slice(named.length) : runId), supersedes };
}

/** How long to stay with a command. */
export interface Stay {
  /** Epoch milliseconds: the command is killed then. */
  deadline: number;
  /** After which a command that runs on is left alone, for a later look. */
  patienceMilliseconds: number;
}

/** How a command ended in a container. */
export type Ended =
  | { outcome: 'exited'; exitCode: number; output: string }
  /** It took too long and was killed. */
  | { outcome: 'timed-out'; output: string }
  /** The container or its task stopped meanwhile. `beforeStart`: before this look could have had it started. */
  | { outcome: 'gone'; detail: string; beforeStart?: true }
  /** It was started, or may have been, and how it ended could not be learned. */
  | { outcome: 'lost'; detail: string }
  /**
   * It was not started. `isFinal`: nor can it be, for as long as the container is. `isFull`: its sessions were all taken, such
   * as by those that a killed invocation left open. `isThrottled`: AWS asked for fewer calls, and the one who asked does not wait by itself.
   */
  | { outcome: 'not-started'; detail: string; isFinal?: true; isFull?: true; isThrottled?: true };

/** It is not the end: whoever does not wait for AWS by itself starts it again. */
export function isThrottled(ended: { outcome: string; isThrottled?: true }): boolean {
  return ended.isThrottled === true;
}

/** What a look at a command found. */
export type Seen =
  | Ended
  /** `handle` is what {@link Reach.follow} needs. */
  | { outcome: 'running'; handle: string }
  /** AWS asks for fewer calls. Nothing was started. */
  | { outcome: 'not-now'; detail: string };

/** A way into containers. What can be said by an answer is not thrown. */
export interface Reach {
  /** Starts a command, unless one of this id was started already, and stays with it for a while. */
  start(container: FoundContainer, order: Order, stay: Stay): Promise<Seen>;
  /** Looks at a command that was left running. */
  follow(container: FoundContainer, order: Order, handle: string, stay: Stay): Promise<Seen>;
  /**
   * What a file holds, where commands' output comes byte for byte.
   * @throws Error if it cannot be read, is larger than so many bytes, or is not there in time.
   */
  readFile?(container: FoundContainer, path: string, limits: FileLimits): Promise<Uint8Array>;
}

export interface FileLimits {
  /** Of the order by which it is read. */
  id: string;
  mostBytes: number;
  /** Epoch milliseconds. */
  deadline: number;
}
