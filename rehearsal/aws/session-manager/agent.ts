import { randomBytes } from 'node:crypto';
import { type SessionCipher, sessionCipher } from '../../../functions/shared/ecs-exec/encryption.ts';
import { EcsExecError } from '../../../functions/shared/ecs-exec/errors.ts';
import {
  CONTROL_FLAGS,
  type Frame,
  PayloadType,
  parseFrame,
} from '../../../functions/shared/ecs-exec/frame.ts';
import {
  agentSessionState,
  encryptionChallenge,
  handshakeComplete,
  handshakeRequest,
  readEncryptionChallenge,
  readHandshakeResponse,
  readTerminalSize,
} from '../../../functions/shared/ecs-exec/messages.ts';
import { RESEND_INTERVAL } from '../../../functions/shared/ecs-exec/resend.ts';
import { controlMessage, SequencedStream } from '../../../functions/shared/ecs-exec/stream.ts';
import type { TaskContainer } from '../containers/container.ts';
import type { Terminal } from '../containers/terminal.ts';
import { AgentOutput } from './output.ts';
import { splitCommand } from './shlex.ts';

/** How long the agent takes for things, in milliseconds. */
export interface AgentTiming {
  /** From a command's start to the first reading of its output. */
  readingDelay: number;
  /** Between two readings of 1,024 bytes: what limits a session to 0.88 MB/s. */
  readingPause: number;
  /** For acknowledgements once the output has ended. What is unacknowledged then is lost. */
  acknowledgementWait: number;
  /** For each answer of an encryption handshake. */
  handshakeWait: number;
}

/** As in amazon-ssm-agent. */
export const AGENT_TIMING: AgentTiming = {
  readingDelay: 1_000,
  readingPause: 1,
  acknowledgementWait: 2_000,
  handshakeWait: 15_000,
};

/** How a session's key is made known to the agent. */
export interface AgentEncryption {
  keyId: string;
  targetId: string;
  /** KMS's Decrypt, with the permissions of the task's role. */
  decryptDataKey: (ciphertext: Buffer, encryptionContext: Record<string, string>) => Promise<Uint8Array>;
  /** Newer agents send a random challenge with the key's id. */
  randomChallenge: boolean;
}

export interface AgentSessionOptions {
  sessionId: string;
  container: TaskContainer;
  command: string;
  timing: AgentTiming;
  encryption?: AgentEncryption;
  /** Sends to the service. */
  transmit: (bytes: Uint8Array) => void;
  /** The session is over; the text says what failed, if anything did. */
  onEnd: (failure: string) => void;
}

/** One session in ECS Exec's agent: a command under a terminal, and its end of the data channel. */
export class AgentSession {
  readonly #options: AgentSessionOptions;
  readonly #stream: SequencedStream;
  readonly #output = new AgentOutput();
  readonly #answers = new Map<number, PromiseWithResolvers<Uint8Array>>();
  readonly #resending: NodeJS.Timeout;
  #cipher: SessionCipher | undefined;
  #terminal: Terminal | undefined;
  #readings: Buffer[] = [];
  #read = Promise.withResolvers<void>();
  #state: 'starting' | 'handshake' | 'running' | 'over' = 'starting';

  constructor(options: AgentSessionOptions) {
    this.#options = options;
    this.#stream = new SequencedStream({
      sends: 'output_stream_data',
      transmit: (bytes) => {
        if (this.#state !== 'over') options.transmit(bytes);
      },
      deliver: (payloadType, payload) => this.#takeInput(payloadType, payload),
      now: () => performance.now(),
      capacity: OUTGOING_CAPACITY,
    });
    this.#resending = setInterval(() => this.#stream.tick(), RESEND_INTERVAL);
    void options.container.stopped.then(() => this.vanish());
    void this.#run();
  }

  /** A message from the service: the client's, or its own about the client. */
  receive(bytes: Uint8Array): void {
    let frame: Frame;
    try {
      frame = parseFrame(bytes, { reading: 'agent' });
    } catch (error) {
      if (error instanceof EcsExecError) return;
      throw error;
    }
    // Until there is a terminal or a handshake, input is neither taken nor acknowledged.
    if (this.#state === 'starting' && frame.messageType === 'input_stream_data') return;
    if (this.#state === 'over') return;
    const paused = this.#stream.paused;
    this.#stream.receive(frame);
    if (paused && !this.#stream.paused) this.#read.resolve();
  }

  /** TerminateSession: only the direct child is killed, then the terminal is closed under the others. */
  terminate(): void {
    this.#terminal?.killChild();
    this.#terminal?.hangUp();
    if (this.#terminal === undefined) this.#end('');
  }

  /** The container is gone, and the agent with it: nobody is told. */
  vanish(): void {
    this.#state = 'over';
    clearInterval(this.#resending);
    this.#terminal?.hangUp();
    this.#read.resolve();
    for (const answer of this.#answers.values()) answer.reject(new Error('The session is over.'));
  }

  async #run(): Promise<void> {
    // The agent's worker is a process of its own: it never answers in the same instant.
    await new Promise(setImmediate);
    const { container, command, encryption, timing } = this.#options;
    if (encryption !== undefined) {
      try {
        await this.#shakeHands(encryption);
      } catch (error) {
        this.#end(`Encountered error while initiating handshake. ${messageOf(error)}`);
        return;
      }
    }
    try {
      const argv = splitCommand(command);
      this.#terminal = container.startInTerminal(argv, (bytes) => this.#takeReading(bytes));
    } catch (error) {
      this.#end(`Unable to start command: Failed to start pty: ${messageOf(error)}`);
      return;
    }
    this.#state = 'running';
    await pause(timing.readingDelay);
    this.#terminal.resume();
    let closed = false;
    void this.#terminal.closed.then(() => {
      closed = true;
      this.#read.resolve();
    });
    while (this.#isOpen() && (!closed || this.#readings.length > 0)) {
      if (this.#readings.length === 0 || this.#stream.paused) {
        await this.#read.promise;
        this.#read = Promise.withResolvers();
      } else {
        this.#send(this.#output.take(this.#nextReading()));
        await pause(timing.readingPause);
      }
    }
    const waitUntil = performance.now() + timing.acknowledgementWait;
    while (this.#isOpen() && this.#stream.unacknowledged > 0 && performance.now() < waitUntil) {
      await pause(ACKNOWLEDGEMENT_CHECK);
    }
    this.#end('');
  }

  #isOpen(): boolean {
    return this.#state !== 'over';
  }

  #takeReading(bytes: Buffer): void {
    this.#readings.push(bytes);
    this.#read.resolve();
    if (this.#stream.paused || this.#readings.length > READINGS_AHEAD) this.#terminal?.pause();
  }

  #nextReading(): Buffer {
    const [first = Buffer.alloc(0), ...rest] = this.#readings;
    const left = first.subarray(READING_LENGTH);
    this.#readings = left.length > 0 ? [left, ...rest] : rest;
    if (this.#readings.length === 0) this.#terminal?.resume();
    return first.subarray(0, READING_LENGTH);
  }

  #send(payload: Buffer): void {
    if (payload.length === 0) return;
    this.#stream.send(
      PayloadType.output,
      this.#cipher === undefined ? payload : this.#cipher.encrypt(payload),
    );
  }

  #takeInput(payloadType: number, payload: Uint8Array): void {
    this.#answers.get(payloadType)?.resolve(payload);
    if (this.#terminal === undefined) return;
    if (payloadType === PayloadType.output) {
      try {
        this.#terminal.write(this.#cipher === undefined ? payload : this.#cipher.decrypt(payload));
      } catch (error) {
        this.#end(messageOf(error));
      }
    } else if (payloadType === PayloadType.size) {
      const size = readTerminalSize(payload);
      if (size !== undefined) this.#terminal.resize(size.columns, size.rows);
    }
  }

  async #shakeHands(encryption: AgentEncryption): Promise<void> {
    const startedAt = performance.now();
    this.#state = 'handshake';
    const { sessionId } = this.#options;
    const challenge = encryption.randomChallenge ? randomBytes(16).toString('base64') : undefined;
    const response = readHandshakeResponse(
      await this.#ask(
        PayloadType.handshakeRequest,
        handshakeRequest({
          agentVersion: AGENT_VERSION,
          actions: [
            { type: 'SessionType', sessionType: 'InteractiveCommands' },
            {
              type: 'KMSEncryption',
              keyId: encryption.keyId,
              ...(challenge === undefined ? {} : { challenge }),
            },
          ],
        }),
        PayloadType.handshakeResponse,
      ),
    );
    const failed = response.actions.find(({ succeeded }) => !succeeded);
    if (failed !== undefined) throw new Error(`${failed.name} failed on client with status: ${failed.error}`);
    const kms = response.actions.find(({ name }) => name === 'KMSEncryption');
    if (kms?.cipherTextKey === undefined) throw new Error('The client sent no key.');
    const dataKey = await encryption.decryptDataKey(Buffer.from(kms.cipherTextKey, 'base64'), {
      'aws:ssm:SessionId': sessionId,
      'aws:ssm:TargetId': encryption.targetId,
      ...(challenge !== undefined && kms.challengeAcknowledged
        ? { 'aws:ssm:RandomChallenge': challenge }
        : {}),
    });
    const cipher = sessionCipher(dataKey, 'agent');
    const expected = randomBytes(64);
    const answer = await this.#ask(
      PayloadType.encryptionChallengeRequest,
      encryptionChallenge(cipher.encrypt(expected)),
      PayloadType.encryptionChallengeResponse,
    );
    if (!cipher.decrypt(readEncryptionChallenge(answer)).equals(expected)) {
      throw new Error('Encryption challenge does not match');
    }
    this.#cipher = cipher;
    this.#stream.send(
      PayloadType.handshakeComplete,
      Buffer.from(
        handshakeComplete({
          timeToComplete: Math.round((performance.now() - startedAt) * 1e6),
          customerMessage: 'This session is encrypted using AWS KMS.',
        }),
      ),
    );
  }

  /** Sends a message and waits for the client's message of the other type. */
  async #ask(payloadType: number, text: string, answerType: number): Promise<Uint8Array> {
    const answer = Promise.withResolvers<Uint8Array>();
    this.#answers.set(answerType, answer);
    this.#stream.send(payloadType, Buffer.from(text));
    const timer = setTimeout(
      () => answer.reject(new Error('Handshake timed out. Please ensure that you have the latest plugin.')),
      this.#options.timing.handshakeWait,
    );
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      this.#answers.delete(answerType);
    }
  }

  #end(failure: string): void {
    if (this.#state === 'over') return;
    const { sessionId, transmit, onEnd } = this.#options;
    transmit(
      controlMessage(
        'agent_session_state',
        agentSessionState({ state: 'Terminating', sessionId }),
        CONTROL_FLAGS,
      ),
    );
    this.vanish();
    onEnd(failure);
  }
}

const AGENT_VERSION = '3.3.987.0';
/** Bytes. */
const READING_LENGTH = 1_024;
/** Messages that the agent keeps for sending again. */
const OUTGOING_CAPACITY = 100_000;
/** Our own: readings of the terminal that wait to be sent, before its writers are made to wait. */
const READINGS_AHEAD = 16;
/** Milliseconds. */
const ACKNOWLEDGEMENT_CHECK = 10;

async function pause(milliseconds: number): Promise<void> {
  await new Promise<void>((resolve) => {
    if (milliseconds === 0) setImmediate(resolve);
    else setTimeout(resolve, milliseconds);
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
