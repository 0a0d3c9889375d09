import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { DATA_KEY_LENGTH, type SessionCipher, sessionCipher } from './encryption.ts';
import { EcsExecError, HandshakeError } from './errors.ts';
import { type Frame, PayloadType, parseFrame } from './frame.ts';
import {
  channelClosedOutput,
  encryptionChallenge,
  handshakeResponse,
  openDataChannel,
  type ProcessedAction,
  readEncryptionChallenge,
  readHandshakeRequest,
  type TerminalSize,
  terminalSize,
} from './messages.ts';
import { RESEND_INTERVAL } from './resend.ts';
import { SequencedStream } from './stream.ts';
import { withResolvers } from './timers.ts';

/** How a data channel ended. */
export type ChannelEnd =
  /** The service closed it; all output that was under way has arrived. */
  | {
      cause: 'closed';
      /** The service's or the agent's words on a failure; empty for an orderly end. */
      failure: string;
    }
  /** The websocket broke. The session may go on without us. */
  | { cause: 'cut'; detail: string }
  /** The websocket was not opened, with an answer that another attempt would get too. */
  | {
      cause: 'refused';
      /** Of HTTP: 403 where the signature or the permission is not as AWS wants it. */
      status: number;
      /** The service's words. */
      detail: string;
    }
  /** The key of an encrypted session could not be agreed on. */
  | { cause: 'handshake-failed'; error: HandshakeError }
  /** {@link DataChannel.close} was called. */
  | { cause: 'left' };

/** Gets the data key of a session that is encrypted by KMS. */
export type GenerateDataKey = (request: {
  keyId: string;
  /** Bytes. */
  length: number;
  encryptionContext: Record<string, string>;
}) => Promise<{ plaintext: Uint8Array; ciphertext: Uint8Array }>;

export interface DataChannelOptions {
  sessionId: string;
  /** As ExecuteCommand gave it, query and all. */
  streamUrl: string;
  token: string;
  /** The headers of each opening: its signature. @default none */
  openingHeaders?: (streamUrl: string) => Promise<Record<string, string>>;
  /**
   * What the terminal is said to be. @default 300 × 100, as the plugin says without a terminal of its own
   */
  size?: TerminalSize;
  /** Is given the terminal's output in order. It must not wait for anything: the agent waits for us. */
  onOutput: (bytes: Uint8Array) => void;
  /** Is called once. */
  onEnd: (end: ChannelEnd) => void;
  /**
   * For sessions that are encrypted by KMS.
   *
   * @default such a session ends with a {@link HandshakeError}
   */
  encryption?: {
    generateDataKey: GenerateDataKey;
    /** `ecs:CLUSTER_TASK_RUNTIMEID`, a part of the encryption context. */
    targetId: () => Promise<string>;
  };
}

/** The client's end of one session: Session Manager's data channel over a websocket. */
export class DataChannel {
  readonly #options: DataChannelOptions;
  readonly #clientId = randomUUID();
  readonly #stream: SequencedStream;
  /** Input that waits for the opening: an agent acknowledges what comes before, and throws it away. */
  readonly #held: Uint8Array[] = [];
  readonly #timers: NodeJS.Timeout[];
  #socket: WebSocket | undefined;
  /** What the websocket runs over. */
  #wire: Socket | undefined;
  #size: TerminalSize;
  #opening: 'unknown' | 'handshake' | 'done' = 'unknown';
  #cipher: SessionCipher | undefined;
  #lastArrival = performance.now();
  #ended = false;
  #closing = false;
  readonly #closedByService = withResolvers<void>();

  constructor(options: DataChannelOptions) {
    this.#options = options;
    this.#size = options.size ?? DEFAULT_SIZE;
    this.#stream = new SequencedStream({
      sends: 'input_stream_data',
      transmit: (bytes) => this.#transmit(bytes),
      deliver: (payloadType, payload) => this.#deliver(payloadType, payload),
      now: () => performance.now(),
      capacity: OUTGOING_CAPACITY,
    });
    void this.#connect(options.token);
    this.#timers = [
      setInterval(() => this.#stream.tick(), RESEND_INTERVAL),
      setInterval(() => this.#ping(), PING_INTERVAL),
    ];
  }

  /** Milliseconds since anything came over the websocket. */
  get silentFor(): number {
    return performance.now() - this.#lastArrival;
  }

  /** Fulfilled at the service's last word, when output may still be under way: for whoever needs no more of it. */
  get closedByService(): Promise<void> {
    return this.#closedByService.promise;
  }

  /** Types on the keyboard. What is sent before the session has opened waits until then. */
  send(input: Uint8Array): void {
    if (this.#opening === 'done') this.#sendInput(input);
    else this.#held.push(input);
  }

  /** Tells the terminal's size anew. */
  resize(size: TerminalSize): void {
    this.#size = size;
    if (this.#opening === 'done') this.#stream.send(PayloadType.size, Buffer.from(terminalSize(size)));
  }

  /**
   * Goes on over a new websocket, with the same client id and counters. To be called after the end `cut`; the
   * agent must still hold the session.
   */
  reconnect(token: string): void {
    this.#ended = false;
    void this.#connect(token);
  }

  /** Leaves, without a word to the agent. */
  close(): void {
    this.#end({ cause: 'left' });
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #connect(token: string): Promise<void> {
    const { streamUrl, openingHeaders } = this.#options;
    this.#lastArrival = performance.now();
    this.#socket = undefined;
    let headers: Record<string, string>;
    try {
      headers = (await openingHeaders?.(streamUrl)) ?? {};
    } catch (error) {
      this.#end({ cause: 'cut', detail: `the opening could not be signed: ${messageOf(error)}` });
      return;
    }
    if (this.#ended) return;
    const socket = new WebSocket(streamUrl, { headers, perMessageDeflate: false });
    this.#socket = socket;
    socket.on('open', () => {
      socket.send(
        openDataChannel({
          requestId: randomUUID(),
          token,
          clientId: this.#clientId,
          clientVersion: CLIENT_VERSION,
        }),
      );
      this.#ping();
    });
    socket.on('message', (data, isBinary) => {
      if (socket === this.#socket && isBinary && Buffer.isBuffer(data)) this.#receive(data);
    });
    socket.on('upgrade', (response) => {
      this.#wire = response.socket;
    });
    let detail = '';
    socket.on('error', ({ message }) => {
      detail = message;
    });
    socket.on('unexpected-response', (_, response) => void this.#refused(socket, response));
    socket.on('close', (code, reason) => {
      if (socket !== this.#socket || this.#closing) return;
      const why = [`close code ${code}`, reason.toString(), detail].filter(Boolean).join(', ');
      this.#end({ cause: 'cut', detail: why });
    });
  }

  /** An answer of HTTP instead of a websocket: final, unless it is the service's own trouble. */
  async #refused(socket: WebSocket, response: IncomingMessage): Promise<void> {
    const status = response.statusCode ?? 0;
    let text = '';
    try {
      for await (const piece of response) if (text.length < LONGEST_REFUSAL) text += piece;
    } catch {
      // The status says enough.
    }
    const detail = text.trim().slice(0, LONGEST_REFUSAL) || (response.statusMessage ?? '');
    if (socket !== this.#socket) return;
    const passing = status === 429 || status >= 500;
    this.#end(
      passing
        ? { cause: 'cut', detail: `the websocket was answered with ${status} ${detail}` }
        : { cause: 'refused', status, detail },
    );
  }

  #receive(bytes: Uint8Array): void {
    this.#lastArrival = performance.now();
    let frame: Frame;
    try {
      frame = parseFrame(bytes);
    } catch (error) {
      // A damaged message is not acknowledged, so that it comes again.
      if (error instanceof EcsExecError) return;
      throw error;
    }
    if (frame.messageType === 'channel_closed') this.#closed(channelClosedOutput(frame.payload));
    else this.#stream.receive(frame);
  }

  #deliver(payloadType: number, payload: Uint8Array): void {
    try {
      switch (payloadType) {
        case PayloadType.handshakeRequest:
          this.#opening = 'handshake';
          void this.#answerHandshake(payload);
          return;
        case PayloadType.encryptionChallengeRequest:
          this.#answerChallenge(payload);
          return;
        case PayloadType.handshakeComplete:
          this.#opened();
          return;
        case PayloadType.output:
        case PayloadType.standardError:
          if (this.#opening === 'unknown') this.#opened();
          this.#options.onOutput(this.#cipher === undefined ? payload : this.#cipher.decrypt(payload));
          return;
        default:
        // Nothing that an interactive session has.
      }
    } catch (error) {
      if (error instanceof HandshakeError) this.#end({ cause: 'handshake-failed', error });
      else throw error;
    }
  }

  async #answerHandshake(payload: Uint8Array): Promise<void> {
    let failure: HandshakeError | undefined;
    const actions: ProcessedAction[] = [];
    for (const action of readHandshakeRequest(payload).actions) {
      if (action.type === 'SessionType') {
        actions.push({ type: 'SessionType' });
      } else if (action.type === 'KMSEncryption') {
        try {
          actions.push(await this.#agreeOnKey(action.keyId, action.challenge));
        } catch (error) {
          const text = error instanceof Error ? error.message : String(error);
          actions.push({ type: 'failed', name: action.type, error: text });
          failure = new HandshakeError(
            `The session's KMS key ${action.keyId} gave no data key: ${text}. The caller needs kms:GenerateDataKey on it.`,
            { cause: error },
          );
        }
      } else {
        actions.push({ type: 'unsupported', name: action.name });
        failure = new HandshakeError(`The agent asks for «${action.name}», which this client does not know.`);
      }
    }
    if (this.#ended) return;
    const response = handshakeResponse({ clientVersion: CLIENT_VERSION, actions });
    this.#stream.send(PayloadType.handshakeResponse, Buffer.from(response));
    if (failure !== undefined) this.#end({ cause: 'handshake-failed', error: failure });
  }

  async #agreeOnKey(keyId: string, challenge: string | undefined): Promise<ProcessedAction> {
    const { encryption, sessionId } = this.#options;
    if (encryption === undefined) throw new HandshakeError('no way to call KMS was given');
    const { plaintext, ciphertext } = await encryption.generateDataKey({
      keyId,
      length: DATA_KEY_LENGTH,
      encryptionContext: {
        'aws:ssm:SessionId': sessionId,
        'aws:ssm:TargetId': await encryption.targetId(),
        ...(challenge === undefined ? {} : { 'aws:ssm:RandomChallenge': challenge }),
      },
    });
    this.#cipher = sessionCipher(plaintext, 'client');
    return {
      type: 'KMSEncryption',
      cipherTextKey: Buffer.from(ciphertext).toString('base64'),
      challengeAcknowledged: challenge !== undefined,
    };
  }

  #answerChallenge(payload: Uint8Array): void {
    if (this.#cipher === undefined)
      throw new HandshakeError('The agent challenges a key that was never made.');
    const answer = this.#cipher.encrypt(this.#cipher.decrypt(readEncryptionChallenge(payload)));
    this.#stream.send(PayloadType.encryptionChallengeResponse, Buffer.from(encryptionChallenge(answer)));
  }

  #opened(): void {
    if (this.#opening === 'done') return;
    this.#opening = 'done';
    this.#stream.send(PayloadType.size, Buffer.from(terminalSize(this.#size)));
    for (const input of this.#held.splice(0)) this.#sendInput(input);
  }

  #sendInput(input: Uint8Array): void {
    for (let start = 0; start < input.length; start += LONGEST_INPUT) {
      const piece = input.subarray(start, start + LONGEST_INPUT);
      this.#stream.send(PayloadType.output, this.#cipher === undefined ? piece : this.#cipher.encrypt(piece));
    }
  }

  /** The service's last word can overtake output that is still under way: that is waited for, shortly. */
  #closed(failure: string): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#closedByService.resolve();
    const closedAt = performance.now();
    const check = setInterval(() => {
      const waited = performance.now() - closedAt;
      const quiet = !this.#stream.hasGap && this.silentFor >= QUIET_BEFORE_END;
      const unreachable = this.#socket?.readyState === WebSocket.CLOSED;
      if (!this.#ended && waited < LONGEST_WAIT_FOR_GAPS && !quiet && !unreachable) return;
      clearInterval(check);
      this.#end({ cause: 'closed', failure });
    }, QUIET_BEFORE_END / 4);
  }

  #end(end: ChannelEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    if (end.cause !== 'cut') {
      for (const timer of this.#timers) clearInterval(timer);
    }
    // After a handshake that failed the agent is still to read why.
    const socket = this.#socket;
    if (socket?.readyState === WebSocket.OPEN) socket.close();
    else if (socket?.readyState === WebSocket.CONNECTING) socket.terminate();
    this.#options.onEnd(end);
  }

  #transmit(bytes: Uint8Array): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#gather();
    this.#socket.send(bytes);
  }

  /** The acknowledgements of all messages that came at once leave at once, in one write. */
  #gather(): void {
    const wire = this.#wire;
    if (wire === undefined || wire.writableCorked > 0) return;
    wire.cork();
    process.nextTick(() => wire.uncork());
  }

  #ping(): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.ping('keepalive');
  }
}

/**
 * The newest version of AWS's plugin (9 October 2026, its release history), whose openings are signed as ours are.
 * Systems Manager supports 1.2.764.0 and later; an agent can ask for a lowest one too.
 */
const CLIENT_VERSION = '1.2.896.0';
const DEFAULT_SIZE: TerminalSize = { columns: 300, rows: 100 };
/** Characters of the service's words that are kept. */
const LONGEST_REFUSAL = 1_000;
/** Milliseconds. The plugin's. */
const PING_INTERVAL = 5 * 60_000;
/** Bytes in a message: the plugin's. */
const LONGEST_INPUT = 1_024;
/** Messages kept for sending again: the plugin's. */
const OUTGOING_CAPACITY = 10_000;
/** Milliseconds without any message after which nothing is expected to be under way any more. */
const QUIET_BEFORE_END = 200;
/** Milliseconds. The agent itself waits no longer than this for acknowledgements before it ends a session. */
const LONGEST_WAIT_FOR_GAPS = 2_000;

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
