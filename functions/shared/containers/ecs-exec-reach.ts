import type { CommandStatus } from '../ecs-exec/command-result.ts';
import { wordsOf } from '../ecs-exec/command-words.ts';
import {
  EcsExecError,
  ExecNotEnabledError,
  NoAgentInContainerError,
  NoShellError,
  SessionRefusedError,
  ThrottledError,
} from '../ecs-exec/errors.ts';
import { commandStatus, executeCommand, startCommand, stopCommand } from '../ecs-exec/execute-command.ts';
import type { Output } from '../ecs-exec/output.ts';
import type { RunOptions } from '../ecs-exec/run-options.ts';
import { type Clients, ecsExecClients } from '../ecs-exec/session.ts';
import type { Command } from '../ecs-exec/wrapper.ts';
import type { FoundContainer } from './discover-containers.ts';
import type { FileLimits, Order, Reach, Seen, Stay } from './reach.ts';

/** Bytes kept of an output's beginning and of its end. */
const KEPT = 16_384;
/** How long after its deadline a command is still looked for that no session reaches. */
const UNREACHABLE_MILLISECONDS = 120_000;

export function ecsExecReach(cluster: string): Reach {
  return new EcsExecReach(ecsExecClients(), cluster);
}

/** Into containers by ECS Exec. */
export class EcsExecReach implements Reach {
  readonly #clients: Clients;
  readonly #cluster: string;

  constructor(clients: Clients, cluster: string) {
    this.#clients = clients;
    this.#cluster = cluster;
  }

  async start(container: FoundContainer, order: Order, stay: Stay): Promise<Seen> {
    try {
      const status = await startCommand({
        ...this.#run(container, order),
        command: withMarker(order),
        ...(order.stdin !== undefined && { stdin: order.stdin }),
        ...(order.supersedes !== undefined && { supersedes: order.supersedes }),
        deadline: new Date(stay.deadline),
        attendFor: stay.patienceMilliseconds,
      });
      return status.outcome === 'gone' && status.notAskedToStart
        ? { outcome: 'gone', detail: status.reason, beforeStart: true }
        : seenOf(status);
    } catch (error) {
      if (!(error instanceof EcsExecError)) throw error;
      const detail = error.message;
      if (error instanceof ThrottledError) return { outcome: 'not-now', detail };
      return {
        outcome: 'not-started',
        detail,
        ...(isFinal(error) && { isFinal: true }),
        ...(isFull(error) && { isFull: true }),
      };
    }
  }

  async follow(container: FoundContainer, order: Order, handle: string, stay: Stay): Promise<Seen> {
    const run = this.#run(container, order);
    const now = Date.now();
    try {
      return seenOf(await (now >= stay.deadline ? stopCommand(run) : commandStatus(run)));
    } catch (error) {
      if (!(error instanceof EcsExecError)) throw error;
      // A later look may reach it.
      if (now < stay.deadline + UNREACHABLE_MILLISECONDS) return { outcome: 'running', handle };
      return { outcome: 'lost', detail: error.message };
    }
  }

  /** In one session, which it takes for as long: some hundred kilobytes a second. */
  readFile = async (
    container: FoundContainer,
    path: string,
    { id, mostBytes, deadline }: FileLimits,
  ): Promise<Uint8Array> => {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    const end = await executeCommand({
      ...this.#run(container, { id }),
      command: ['cat', path],
      bytes: true,
      deadline: new Date(deadline),
      sink(piece) {
        bytes += piece.length;
        if (bytes <= mostBytes) pieces.push(piece);
      },
    });
    if (bytes > mostBytes) throw new Error(`It has more than ${mostBytes} bytes.`);
    if (end.outcome !== 'exited' || end.exitCode !== 0)
      throw new Error(`It could not be read: ${end.outcome}.`);
    return Buffer.concat(pieces);
  };

  #run({ taskArn, container }: FoundContainer, { id }: Pick<Order, 'id'>): RunOptions {
    return {
      clients: this.#clients,
      cluster: this.#cluster,
      task: taskArn,
      container,
      runId: id,
      keep: { head: KEPT, tail: KEPT },
    };
  }
}

/** Of these nothing changes while the container runs. */
function isFinal(error: EcsExecError): boolean {
  return (
    error instanceof NoAgentInContainerError ||
    error instanceof NoShellError ||
    error instanceof ExecNotEnabledError
  );
}

/** The agent says so in words of its own, which no document gives; they name the limit. */
function isFull(error: EcsExecError): boolean {
  return error instanceof SessionRefusedError && /\blimit\b/i.test(error.message);
}

/** The container's own `env` is not needed for it. */
function withMarker({ command, marker, phase }: Order): Command {
  if (marker === '') return command;
  const phased = phase === undefined ? '' : `export UPKEEP_PHASE=${phase}; `;
  return ['sh', '-c', `export UPKEEP_MARKER="$0"; ${phased}exec "$@"`, marker, ...wordsOf(command)];
}

function seenOf(status: CommandStatus): Seen {
  switch (status.outcome) {
    case 'exited':
      return { outcome: 'exited', exitCode: status.exitCode, output: textOf(status.output) };
    case 'timed-out':
      return { outcome: 'timed-out', output: textOf(status.output) };
    case 'running':
      return { outcome: 'running', handle: '' };
    case 'gone':
    case 'lost':
      return { outcome: status.outcome, detail: status.reason };
    case 'unknown':
      return { outcome: 'lost', detail: 'The container no longer knows the command: it was started anew.' };
  }
}

function textOf({ head, tail, omittedBytes }: Output): string {
  return omittedBytes > 0 ? `${head}\n[… ${omittedBytes} bytes left out]\n${tail}` : `${head}${tail}`;
}
