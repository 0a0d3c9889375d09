import { ECSClient, type ECSClientConfig, ExecuteCommandCommand } from '@aws-sdk/client-ecs';
import { GenerateDataKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { ResumeSessionCommand, SSMClient, TerminateSessionCommand } from '@aws-sdk/client-ssm';
import { containerState, sessionTargetId, type Target } from './container-state.ts';
import { Conversation, type Question, type RunState } from './conversation.ts';
import { type ChannelEnd, DataChannel, type GenerateDataKey } from './data-channel.ts';
import {
  AccessDeniedError,
  AgentNotRunningError,
  ClusterNotFoundError,
  ExecNotEnabledError,
  StartError,
  TargetNotConnectedError,
  ThrottledError,
} from './errors.ts';
import { openingHeaders } from './signing.ts';
import { withTimeout } from './timers.ts';

/** The AWS clients that are called. */
export interface Clients {
  /** For ExecuteCommand alone: it must not repeat a call by itself, for the command could start twice. */
  starting: ECSClient;
  ecs: ECSClient;
  ssm: SSMClient;
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
    requestHandler: { connectionTimeout: CONNECTION_TIMEOUT, requestTimeout: REQUEST_TIMEOUT },
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
  onOutput: (bytes: Buffer) => void,
): Promise<SessionOpening> {
  const request = new ExecuteCommandCommand({ ...target, command: commandLine, interactive: true });
  try {
    const { session } = await clients.starting.send(request).catch((error: unknown) => {
      // Refused before it was looked at: the client has set its clock by the answer.
      if (isClockSkew(error)) return clients.starting.send(request);
      throw error;
    });
    if (!session?.sessionId || !session.streamUrl || !session.tokenValue) {
      return { opening: 'unknown', reason: 'ExecuteCommand answered without a session' };
    }
    const { sessionId, streamUrl, tokenValue } = session;
    return {
      opening: 'opened',
      session: new Session({ clients, target, sessionId, streamUrl, token: tokenValue, onOutput }),
    };
  } catch (error) {
    return await openingFailure(clients, target, error);
  }
}

function isClockSkew(error: unknown): boolean {
  return Boolean(Object(Object(error).$metadata).clockSkewCorrected);
}

/** How an asking ended. */
export type Asking =
  | { asking: 'answered'; state: RunState }
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
  readonly #conversation: Conversation;
  #end = Promise.withResolvers<ChannelEnd>();
  #answer: Promise<RunState> = new Promise(() => {});

  constructor({
    clients,
    target,
    sessionId,
    streamUrl,
    token,
    onOutput,
  }: {
    clients: Clients;
    target: Target;
    sessionId: string;
    streamUrl: string;
    token: string;
    onOutput: (bytes: Buffer) => void;
  }) {
    this.id = sessionId;
    this.#clients = clients;
    this.#conversation = new Conversation(onOutput);
    this.#channel = new DataChannel({
      sessionId,
      streamUrl,
      token,
      openingHeaders: (url) => openingHeaders(url, clients.starting.config),
      onOutput: (bytes) => this.#conversation.take(bytes),
      onEnd: (end) => this.#end.resolve(end),
      encryption: {
        generateDataKey: generateDataKey(clients.kms),
        targetId: async () => {
          const state = await containerState(clients.ecs, target);
          return sessionTargetId(target, state.state === 'running' ? (state.runtimeId ?? '') : '');
        },
      },
    });
  }

  /** Milliseconds since anything came from the session. */
  get silentFor(): number {
    return this.#channel.silentFor;
  }

  /** Asks the wrapper. */
  ask(question: Question): Promise<Asking> {
    const { line, answer } = this.#conversation.ask(question);
    this.#channel.send(line);
    this.#answer = answer;
    return this.answer();
  }

  /** Waits for the answer to the last question, or for the session's end. */
  async answer(): Promise<Asking> {
    const answered = this.#answer.then((state): Asking => ({ asking: 'answered', state }));
    const broken = this.#end.promise.then((end): Asking => ({ asking: 'broken', end }));
    const result = await Promise.race([answered, broken]);
    this.hasAnswered ||= result.asking === 'answered';
    return result;
  }

  /**
   * Goes on over a new websocket, if Session Manager lets us: whether it does for ECS Exec is nowhere said.
   *
   * @returns whether it may; the last question then still stands
   */
  async resume(): Promise<boolean> {
    try {
      const { TokenValue: token } = await this.#clients.ssm.send(
        new ResumeSessionCommand({ SessionId: this.id }),
      );
      if (!token) return false;
      this.#end = Promise.withResolvers();
      this.#channel.reconnect(token);
      return true;
    } catch {
      return false;
    }
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
    try {
      await this.#clients.ssm.send(new TerminateSessionCommand({ SessionId: this.id }));
    } catch {
      // Then it ends by itself when it has been idle long enough.
    }
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
async function openingFailure(clients: Clients, target: Target, cause: unknown): Promise<SessionOpening> {
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
    if (state.agentStatus !== 'RUNNING') {
      throw new AgentNotRunningError(
        `ECS Exec's agent is ${state.agentStatus ?? 'missing'} in ${where}: replace the task if it stays so.`,
        { cause },
      );
    }
    throw new StartError(`ECS refused to run a command in ${where}: ${message}`, { cause });
  }
  // Neither our mistake nor a clear refusal: the network, or AWS's own trouble.
  return { opening: 'unknown', reason: `ExecuteCommand failed with ${name}: ${message}` };
}
