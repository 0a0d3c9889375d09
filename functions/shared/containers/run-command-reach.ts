import {
  GetCommandInvocationCommand,
  type GetCommandInvocationCommandOutput,
  InvocationDoesNotExist,
  SendCommandCommand,
  SSMClient,
} from '@aws-sdk/client-ssm';
import { namingErrors } from '../run/naming-errors.ts';
import { REQUEST_LIMITS } from '../run/request-limits.ts';
import type { FoundContainer } from './discover-containers.ts';
import {
  HOST_PARAMETERS,
  HOST_SCRIPT_EXTRA_SECONDS,
  type HostAnswer,
  KEY_PHASE,
  readHostOutput,
} from './host-script.ts';
import type { Order, Reach, Seen, Stay } from './reach.ts';
import { sealFor } from './seal.ts';

/** The least that Run Command allows: how long an instance may take to fetch the command. */
const DELIVERY_SECONDS = 60;
/** Just after sending, Run Command may not know the invocation yet (boto/boto3#2701). Given up after this. */
const UNKNOWN_SECONDS = 30;
/** Between two questions within one look. */
const FIRST_PAUSE_MILLISECONDS = 500;
const LONGEST_PAUSE_MILLISECONDS = 5_000;
/** How long to stay with a command that no instance has fetched: one that is out of reach keeps it for an hour. */
const PENDING_PATIENCE_MILLISECONDS = 10_000;

/** Which, encrypted and in base64, are fewer than the 40,000 characters that a document takes. */
const MOST_INPUT_BYTES = 29_000;
/** A key is made in a moment; it is waited for in the same look. */
const KEY_MILLISECONDS = 60_000;
const keyStay = ({ deadline }: Stay): Stay => ({ deadline, patienceMilliseconds: KEY_MILLISECONDS });

export function runCommandReach(): Reach {
  return new RunCommandReach(namingErrors(new SSMClient({ maxAttempts: 1, requestHandler: REQUEST_LIMITS })));
}

/**
 * Into containers on EC2 instances by SSM Run Command, whose document calls `docker exec` on the host.
 *
 * One command for each container: so Run Command's limits on instances and errors in one command don't matter,
 * nor do several containers share its 24,000 characters of output.
 */
export class RunCommandReach implements Reach {
  readonly #ssm: SSMClient;

  /** @param ssm without retries of its own: a SendCommand that was tried again can run twice. */
  constructor(ssm: SSMClient) {
    this.#ssm = ssm;
  }

  async start(container: FoundContainer, order: Order, stay: Stay): Promise<Seen> {
    const { instanceId, documentName, runtimeId } = container;
    if (!instanceId || !documentName)
      return {
        outcome: 'not-started',
        detail: 'Its task runs on no EC2 container instance: Run Command cannot reach it, ECS Exec could.',
      };
    if (!new RegExp(HOST_PARAMETERS.container).test(runtimeId))
      return { outcome: 'not-started', detail: `Its id ${runtimeId} is none of Docker's.` };
    if (order.stdin === undefined) return this.#send(container, order, stay, '');
    // Whoever may list commands sees their parameters: so the host says how to keep the input from them.
    const { stdin, ...withoutInput } = order;
    const bytes = Buffer.byteLength(stdin);
    if (bytes > MOST_INPUT_BYTES)
      return {
        outcome: 'not-started',
        detail: `Its standard input has ${bytes} bytes: by Run Command it may have ${MOST_INPUT_BYTES}.`,
        isFinal: true,
      };
    const key = await this.#send(container, { ...withoutInput, phase: KEY_PHASE }, keyStay(stay), '');
    if (key.outcome === 'running')
      return { outcome: 'not-now', detail: `The instance ${instanceId} is slow to answer.` };
    if (key.outcome !== 'exited') return key;
    return this.#send(container, { phase: '', ...withoutInput }, stay, sealFor(key.output, stdin));
  }

  async #send(
    container: FoundContainer,
    order: Omit<Order, 'stdin'>,
    stay: Stay,
    input: string,
  ): Promise<Seen> {
    const { instanceId = '', documentName = '', runtimeId } = container;
    let commandId: string | undefined;
    try {
      const { Command: command } = await this.#ssm.send(
        new SendCommandCommand({
          DocumentName: documentName,
          InstanceIds: [instanceId],
          Comment: order.id,
          TimeoutSeconds: DELIVERY_SECONDS,
          Parameters: {
            container: [runtimeId],
            order: [order.id],
            marker: [order.marker],
            seconds: [String(Math.max(1, Math.ceil((stay.deadline - Date.now()) / 1000)))],
            ...(order.phase !== undefined && { phase: [order.phase], input: [input] }),
          },
        }),
      );
      commandId = command?.CommandId;
    } catch (error) {
      return refusal(error, instanceId);
    }
    if (!commandId) return { outcome: 'lost', detail: 'SendCommand answered without a command id.' };
    return this.#stay(container, commandId, stay);
  }

  async follow(container: FoundContainer, _order: Order, commandId: string, stay: Stay): Promise<Seen> {
    return this.#stay(container, commandId, { ...stay, patienceMilliseconds: 0 });
  }

  async #stay(
    { instanceId = '' }: FoundContainer,
    commandId: string,
    { deadline, patienceMilliseconds }: Stay,
  ): Promise<Seen> {
    const sentAt = Date.now();
    for (let pause = FIRST_PAUSE_MILLISECONDS; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE_MILLISECONDS)) {
      const now = Date.now();
      const { seen, isPending } = await this.#look(
        instanceId,
        commandId,
        now < sentAt + UNKNOWN_SECONDS * 1000,
      );
      if (seen.outcome !== 'running') return seen;
      // The host's own script would have ended by now; an instance that is out of reach stays pending for longer.
      if (now > deadline + HOST_SCRIPT_EXTRA_SECONDS * 1000) {
        const detail = `Run Command has no result of command ${commandId} on instance ${instanceId}, though its time is over: the SSM agent does not answer.`;
        return { outcome: 'lost', detail };
      }
      const patience = isPending
        ? Math.min(patienceMilliseconds, PENDING_PATIENCE_MILLISECONDS)
        : patienceMilliseconds;
      if (now + pause >= sentAt + patience) return seen;
      await sleep(pause);
    }
  }

  async #look(
    instanceId: string,
    commandId: string,
    mayBeUnknown: boolean,
  ): Promise<{ seen: Seen; isPending: boolean }> {
    try {
      const invocation = await this.#ssm.send(
        new GetCommandInvocationCommand({ CommandId: commandId, InstanceId: instanceId }),
      );
      const isPending = invocation.StatusDetails === 'Pending';
      return { seen: seenOf(invocation, instanceId, commandId), isPending };
    } catch (error) {
      return { seen: unread(error, commandId, mayBeUnknown), isPending: true };
    }
  }
}

/** Reading can be tried again without harm, so what the matter is counts only where it will not pass. */
function unread(error: unknown, commandId: string, mayBeUnknown: boolean): Seen {
  if (error instanceof InvocationDoesNotExist && !mayBeUnknown)
    return { outcome: 'lost', detail: `Run Command does not know its command ${commandId}.` };
  if (error instanceof Error && error.name === 'AccessDeniedException')
    return { outcome: 'lost', detail: error.message };
  return { outcome: 'running', handle: commandId };
}

/** What an error of SendCommand says of the container: nothing was started unless it is not known. */
function refusal(error: unknown, instanceId: string): Seen {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  switch (name) {
    case 'ThrottlingException':
      return { outcome: 'not-now', detail: `Run Command wants fewer calls: ${message}` };
    case 'InvalidInstanceId':
      return {
        outcome: 'not-started',
        detail: `Run Command does not reach the instance ${instanceId}: its SSM agent is not running, or its role lacks AmazonSSMManagedInstanceCore.`,
      };
    case 'AccessDeniedException':
    case 'InvalidDocument':
    case 'InvalidParameters':
    case 'UnsupportedPlatformType':
      return { outcome: 'not-started', detail: message };
    default:
      return { outcome: 'lost', detail: `SendCommand failed with ${name}: ${message}` };
  }
}

function seenOf(invocation: GetCommandInvocationCommandOutput, instanceId: string, commandId: string): Seen {
  const { StatusDetails: status = '', StandardOutputContent: output = '', ResponseCode: code } = invocation;
  const where = `command ${commandId} on instance ${instanceId}`;
  const answer = readHostOutput(output);
  // Also for a status of failure: a command that has run can still be called Delivery Timed Out (amazon-ssm-agent#316).
  if (answer.answer !== 'none') return seenOfAnswer(answer, where);
  switch (status) {
    case 'Pending':
    case 'InProgress':
    case 'In Progress':
    case 'Delayed':
    case 'Cancelling':
      return { outcome: 'running', handle: commandId };
    case 'DeliveryTimedOut':
    case 'Delivery Timed Out':
    case 'Undeliverable':
    case 'Terminated':
      return code === undefined || code === -1
        ? {
            outcome: 'not-started',
            detail: `Run Command says ${status} (${where}): its SSM agent is not answering.`,
          }
        : { outcome: 'lost', detail: `Run Command says ${status} (${where}).` };
    default: {
      const errors = invocation.StandardErrorContent?.trim() ?? '';
      const hint = `${errors} ${invocation.StandardOutputContent}`.includes('not found')
        ? ' A full disk on the instance looks like this: the agent could not unpack its own plugin.'
        : '';
      const detail = `Run Command says ${status}, response code ${code ?? 'unknown'} (${where})${errors && `: ${errors.slice(0, 500)}`}.${hint}`;
      return { outcome: code === -1 || hint ? 'not-started' : 'lost', detail };
    }
  }
}

function seenOfAnswer(answer: Exclude<HostAnswer, { answer: 'none' }>, where: string): Seen {
  switch (answer.answer) {
    case 'exit':
      return { outcome: 'exited', exitCode: answer.exitCode, output: answer.output };
    case 'timed-out':
      return { outcome: 'timed-out', output: answer.output };
    case 'gone':
      return { outcome: 'gone', detail: `Docker runs no such container of ECS any more (${where}).` };
    case 'no-docker':
      return {
        outcome: 'not-started',
        detail: `There is no docker command for the SSM agent (${where}), as on Bottlerocket: use ECS Exec there.`,
      };
    case 'no-openssl':
      return {
        outcome: 'not-started',
        detail: `The host has no openssl, by which it could be told what others may not read (${where}).`,
      };
    case 'no-folder':
      return { outcome: 'not-started', detail: `The folder /run/upkeep could not be made (${where}).` };
    case 'docker-failed':
      return { outcome: 'not-started', detail: `docker ps failed (${where}): ${answer.detail}` };
    case 'lost':
      return { outcome: 'lost', detail: `The command left no status on the host (${where}).` };
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
