import { ECSClient, type ECSClientConfig, ExecuteCommandCommand } from '@aws-sdk/client-ecs';
import { GenerateDataKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { ResumeSessionCommand, SSMClient, TerminateSessionCommand } from '@aws-sdk/client-ssm';
import { containerState, sessionTargetId, type Target } from './container-state.ts';
import { Conversation, type Question, type Reply, type Take } from './conversation.ts';
import {
  type ChannelEnd,
  DataChannel,
  type DataChannelOptions,
  type GenerateDataKey,
} from './data-channel.ts';
import {
  AccessDeniedError,
  AgentNotRunningError,
  ClusterNotFoundError,
  ExecNotEnabledError,
  NoAgentInContainerError,
  StartError,
  TargetNotConnectedError,
  ThrottledError,
} from './errors.ts';
import { openingHeaders } from './signing.ts';
import { withResolvers, withTimeout } from './timers.ts';

/** The AWS clients that are called. */
export interface Clients {
  /** For ExecuteCommand alone: it must not repeat a call by itself, for the command could start twice. */
  starting: ECSClient;
  /** Starts sessions. */
  ecs: ECSClient;
  /** Resumes and ends them. */
  ssm: SSMClient;
  /** Agrees on a session's key, where the cluster encrypts them. */
  kms: KMSClient;
}

/**
 * Clients with timeouts that suit, and without retries where a repeated call does harm.
 *
 * @param config region, endpoint, credentials: whatever all of them share
 */
export function ecsExecClients(
  config: Pick<ECSClientConfig, 'region' | 'endpoint' | 'credentials'> = {},
): Clients {
  const shared = {
    ...config,
    // Otherwise the SDK only warns, and waits on.
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT,
      requestTimeout: REQUEST_TIMEOUT,
      throwOnRequestTimeout: true,
    },
  };
  return {
    starting: new ECSClient({ ...shared, maxAttempts: 1 }),
    ecs: new ECSClient(shared),
    ssm: new SSMClient({ ...shared, maxAttempts: 2 }),
    kms: new KMSClient(shared),
  };
}

/** What came of opening a session. */
export type SessionOpening =
  | { opening: 'opened'; session: Session }
  | { opening: 'gone'; reason: string }
  /** No answer from AWS: the session may or may not have been opened, and the command started. */
  | { opening: 'unknown'; reason: string };

/**
 * Calls ExecuteCommand and connects to the session.
 *
 * @throws EcsExecError, one class per cause
 */
export async function openSession(
  clients: Clients,
  target: Target,
  commandLine: string,
): Promise<SessionOpening> {
  try {
    const access = await startSession(clients, target, commandLine);
    if (access === undefined) {
      return { opening: 'unknown', reason: 'ExecuteCommand answered without a session' };
    }
    return { opening: 'opened', session: new Session(clients, target, access) };
  } catch (error) {
    return await openingFailure(clients, target, error);
  }
}

/** A session whose terminal is the caller's own. */
export interface OpenedChannel {
  channel: DataChannel;
  /** Goes on over a new websocket, as {@link Session.resume}. */
  resume(): Promise<boolean>;
  /** Ends the session with what runs in it. */
  terminate(): Promise<void>;
}

/**
 * Calls ExecuteCommand and connects to the session's terminal, without a wrapper around the command.
 *
 * @throws EcsExecError, one class per cause
 */
export async function openChannel(
  clients: Clients,
  target: Target,
  commandLine: string,
  terminal: Pick<DataChannelOptions, 'size' | 'onOutput' | 'onEnd'>,
): Promise<OpenedChannel> {
  let reason = 'ExecuteCommand answered without a session';
  try {
    const access = await startSession(clients, target, commandLine);
    if (access !== undefined) {
      const channel = new DataChannel({ ...channelOptions(clients, target, access), ...terminal });
      return {
        channel,
        resume: async () => {
          const token = await resumeSession(clients, access.sessionId);
          if (token !== undefined) channel.reconnect(token);
          return token !== undefined;
        },
        terminate: () => terminateSession(clients, access.sessionId),
      };
    }
  } catch (error) {
    ({ reason } = await openingFailure(clients, target, error));
  }
  throw new StartError(
    `No session was opened in container ${target.container} of task ${target.task}: ${reason}`,
  );
}

type SessionAccess = Pick<DataChannelOptions, 'sessionId' | 'streamUrl' | 'token'>;

async function startSession(
  clients: Clients,
  target: Target,
  commandLine: string,
): Promise<SessionAccess | undefined> {
  const request = new ExecuteCommandCommand({ ...target, command: commandLine, interactive: true });
  const { session } = await clients.starting.send(request).catch((error: unknown) => {
    // Refused before it was looked at: the client has set its clock by the answer.
    if (isClockSkew(error)) return clients.starting.send(request);
    throw error;
  });
  const { sessionId, streamUrl, tokenValue: token } = session ?? {};
  return sessionId && streamUrl && token ? { sessionId, streamUrl, token } : undefined;
}

function channelOptions(clients: Clients, target: Target, access: SessionAccess) {
  return {
    ...access,
    openingHeaders: (url: string) => openingHeaders(url, clients.starting.config),
    encryption: {
      generateDataKey: generateDataKey(clients.kms),
      targetId: async () => {
        const state = await containerState(clients.ecs, target);
        return sessionTargetId(target, state.state === 'running' ? (state.runtimeId ?? '') : '');
      },
    },
  };
}

/**
 * A new token for a session, if Session Manager gives one: whether it does for ECS Exec is nowhere said.
 */
async function resumeSession({ ssm }: Clients, sessionId: string): Promise<string | undefined> {
  try {
    const { TokenValue: token } = await ssm.send(new ResumeSessionCommand({ SessionId: sessionId }));
    return token || undefined;
  } catch {
    return undefined;
  }
}

/** Where that is not possible, it ends by itself when it has been idle long enough. */
async function terminateSession({ ssm }: Clients, sessionId: string): Promise<void> {
  await ssm.send(new TerminateSessionCommand({ SessionId: sessionId })).catch(() => {});
}

/** Every error sets the client's clock; of these alone is it the cause. */
function isClockSkew(error: unknown): boolean {
  const { name, $metadata } = Object(error);
  return CLOCK_SKEW_ERRORS.includes(name) && Boolean(Object($metadata).clockSkewCorrected);
}

/** As the AWS SDK knows them (@smithy/core, service-error-classification). */
const CLOCK_SKEW_ERRORS = [
  'AccessDeniedException',
  'AuthFailure',
  'InvalidSignatureException',
  'RequestExpired',
  'RequestInTheFuture',
  'RequestTimeTooSkewed',
  'SignatureDoesNotMatch',
];

/** How an asking ended. */
export type Asking =
  | { asking: 'answered'; reply: Reply }
  | { asking: 'broken'; end: ChannelEnd }
  /** Nothing came for longer than was allowed. */
  | { asking: 'silent' };

/** One session with the wrapper. */
export class Session {
  readonly id: string;
  /** An answer has come: the command was started, by this session or an earlier one, if it could be. */
  hasAnswered = false;
  readonly #clients: Clients;
  readonly #channel: DataChannel;
  readonly #conversation = new Conversation();
  #end = withResolvers<ChannelEnd>();
  #answer: Promise<Reply> = new Promise(() => {});

  constructor(clients: Clients, target: Target, access: SessionAccess) {
    this.id = access.sessionId;
    this.#clients = clients;
    this.#channel = new DataChannel({
      ...channelOptions(clients, target, access),
      onOutput: (bytes) => this.#conversation.take(bytes),
      onEnd: (end) => this.#end.resolve(end),
    });
  }

  /** Milliseconds since anything came from the session. */
  get silentFor(): number {
    return this.#channel.silentFor;
  }

  /** What the terminal said beside the answers. */
  get aside(): string {
    return this.#conversation.aside;
  }

  /**
   * Asks the wrapper.
   *
   * @param take is given the output that comes with the answer
   */
  ask(question: Question, take?: Take): Promise<Asking> {
    const { line, answer } = this.#conversation.ask(question, take);
    this.#channel.send(line);
    this.#answer = answer;
    return this.answer();
  }

  /** Waits for the answer to the last question, or for the session's end. */
  async answer(): Promise<Asking> {
    const answered = this.#answer.then((reply): Asking => ({ asking: 'answered', reply }));
    const broken = this.#end.promise.then((end): Asking => ({ asking: 'broken', end }));
    const result = await Promise.race([answered, broken]);
    this.hasAnswered ||= result.asking === 'answered';
    return result;
  }

  /**
   * Goes on over a new websocket, if Session Manager lets us.
   *
   * @returns whether it does; the last question then still stands
   */
  async resume(): Promise<boolean> {
    const token = await resumeSession(this.#clients, this.id);
    if (token === undefined) return false;
    this.#end = withResolvers();
    this.#channel.reconnect(token);
    return true;
  }

  /** Waits for the session's orderly end, so that its place in the container is free again. */
  async finish(): Promise<void> {
    const closed = this.#channel.closedByService.then(() => true);
    const over = this.#end.promise.then(() => false);
    if (await withTimeout(Promise.race([closed, over]), LONGEST_ENDING)) this.#channel.close();
    else await this.abandon();
  }

  /** Ends a session that is lost: it would hold one of the container's two places for twenty minutes. */
  async abandon(): Promise<void> {
    this.#channel.close();
    await terminateSession(this.#clients, this.id);
  }
}

/** Milliseconds. */
const CONNECTION_TIMEOUT = 5_000;
/** Milliseconds. */
const REQUEST_TIMEOUT = 20_000;
/** Milliseconds: the agent ends a session within two seconds of its last output. */
const LONGEST_ENDING = 4_000;

function generateDataKey(kms: KMSClient): GenerateDataKey {
  return async ({ keyId, length, encryptionContext }) => {
    const { Plaintext: plaintext, CiphertextBlob: ciphertext } = await kms.send(
      new GenerateDataKeyCommand({
        KeyId: keyId,
        NumberOfBytes: length,
        EncryptionContext: encryptionContext,
      }),
    );
    if (plaintext === undefined || ciphertext === undefined) throw new Error('KMS answered without a key');
    return { plaintext, ciphertext };
  };
}

/** Tells the causes apart. One text of AWS's stands for several, which DescribeTasks then tells apart. */
async function openingFailure(
  clients: Clients,
  target: Target,
  cause: unknown,
): Promise<Exclude<SessionOpening, { opening: 'opened' }>> {
  const where = `container ${target.container} of task ${target.task} in cluster ${target.cluster}`;
  const { name, message } = cause instanceof Error ? cause : new Error(String(cause));
  switch (name) {
    case 'AccessDeniedException':
      throw new AccessDeniedError(`No permission to run a command in ${where}: ${message}`, { cause });
    case 'ThrottlingException':
    case 'Throttling':
    case 'TooManyRequestsException':
      throw new ThrottledError(`AWS wants fewer ExecuteCommand calls (${where}): ${message}`, { cause });
    case 'ClusterNotFoundException':
      throw new ClusterNotFoundError(`There is no cluster ${target.cluster} in this account and region.`, {
        cause,
      });
    case 'TargetNotConnectedException':
      throw new TargetNotConnectedError(
        `ECS Exec's agent is not connected in ${where}. Just after a task's start it soon will be; otherwise ` +
          'look whether the task role may use ssmmessages and the subnet reaches that endpoint.',
        { cause },
      );
  }
  if (name === 'InvalidParameterException' || name === 'ClientException') {
    const state = await containerState(clients.ecs, target);
    if (state.state === 'gone') return { opening: 'gone', reason: state.reason };
    if (!state.execEnabled) {
      throw new ExecNotEnabledError(
        `ECS Exec was not enabled when the task was started (${where}): set enableExecuteCommand on the ` +
          'service and start new tasks.',
        { cause },
      );
    }
    if (state.agentStatus === undefined && state.agentIn.length > 0) {
      throw new NoAgentInContainerError(
        `ECS Exec's agent runs in container ${state.agentIn.join(', ')} of the task only, not in ${where}: with ` +
          'pidMode "task" one container has it. Run the command there, or give the containers PID namespaces of their own.',
        { cause },
      );
    }
    if (state.agentStatus !== 'RUNNING') {
      throw new AgentNotRunningError(
        `ECS Exec's agent is ${state.agentStatus ?? 'missing'} in ${where}. Where a restart policy has started the ` +
          'container anew, the agent does not come back: replace the task.',
        { cause },
      );
    }
    throw new StartError(`ECS refused to run a command in ${where}: ${message}`, { cause });
  }
  // Neither our mistake nor a clear refusal: the network, or AWS's own trouble.
  return { opening: 'unknown', reason: `ExecuteCommand failed with ${name}: ${message}` };
}
