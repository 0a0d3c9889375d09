import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { EcsExecError } from '../../../functions/shared/ecs-exec/errors.ts';
import { CONTROL_FLAGS, parseFrame } from '../../../functions/shared/ecs-exec/frame.ts';
import { channelClosed } from '../../../functions/shared/ecs-exec/messages.ts';
import { controlMessage } from '../../../functions/shared/ecs-exec/stream.ts';
import type { AccessControl, Caller } from '../access/access-control.ts';
import {
  presigned,
  type SignatureScope,
  type SignedRequest,
  signatureFault,
  signatureScope,
} from '../access/signature.ts';
import type { TaskContainer } from '../containers/container.ts';
import { AGENT_TIMING, type AgentEncryption, AgentSession, type AgentTiming } from './agent.ts';
import type { LinkFault, SessionFaults, SessionManagerOptions } from './options.ts';

/** By what openings are judged: signatures by the callers' secret keys, and what their policies allow. */
export interface OpeningJudge {
  access: AccessControl;
  /** Epoch milliseconds. */
  now: () => number;
  /** The clock that a caller's signatures must keep to; undefined for none. */
  clockOf: (caller: Caller) => number | undefined;
}

/** How a client opens a data channel: by a URL that bears its own signature, by signed headers, or neither. */
export type Opening = 'presigned' | 'signed' | 'unsigned';

export interface OpenSession {
  container: TaskContainer;
  /** As given to ExecuteCommand. */
  command: string;
  /** What is connected to: `ecs:CLUSTER_TASK_RUNTIME`. */
  target?: string;
  /** Sessions that the container can have at once. @default as the service's options say */
  atOnce?: number;
  /** For a cluster whose sessions are encrypted by KMS. */
  encryption?: AgentEncryption;
}

/** What ExecuteCommand and ResumeSession answer with. */
export interface SessionAccess {
  sessionId: string;
  streamUrl: string;
  tokenValue: string;
}

/**
 * Session Manager's service and its agents, as their clients see them on the wire: data channels over websockets,
 * to commands that run in containers. Between client and agent it passes messages on as they are.
 */
export class SessionManager {
  faults: SessionFaults = {};
  readonly #options: SessionManagerOptions;
  readonly #sessions = new Map<string, Session>();
  /** By session. */
  readonly #targets = new Map<string, string>();
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  readonly #server: Server = createServer((_, response) => response.writeHead(404).end());
  #port = 0;
  #judge: OpeningJudge | undefined;

  private constructor(options: SessionManagerOptions) {
    this.#options = options;
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** Listens on a free port of loopback. */
  static async start(options: SessionManagerOptions = {}): Promise<SessionManager> {
    const manager = new SessionManager(options);
    await new Promise<void>((resolve) => manager.#server.listen(0, '127.0.0.1', resolve));
    const address: AddressInfo | string | null = manager.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The gateway got no port.');
    manager.#port = address.port;
    return manager;
  }

  /** Every opening so far, refused ones too. */
  readonly openings: { sessionId: string; opening: Opening; refused: string | undefined }[] = [];

  /** From now on signatures and permissions count. */
  judgeBy(judge: OpeningJudge): void {
    this.#judge = judge;
  }

  /** Starts the command, whether or not a client ever connects. */
  openSession({ container, command, target, atOnce: most, encryption }: OpenSession): SessionAccess {
    const sessionId = `ecs-execute-command-${randomBytes(9).toString('hex').slice(1)}`;
    const limit = most ?? this.#options.sessionsPerContainer ?? 2;
    const atOnce = [...this.#sessions.values()].filter(
      (session) => session.container === container && session.isOpen,
    );
    const session = new Session({
      sessionId,
      container,
      startedAt: this.#judge?.now() ?? Date.now(),
      faults: () => this.faults,
      idleTimeout: this.#options.idleTimeout ?? IDLE_TIMEOUT,
    });
    this.#sessions.set(sessionId, session);
    if (target !== undefined) this.#targets.set(sessionId, target);
    // How AWS words this is not published.
    if (atOnce.length >= limit) session.end(`Session limit reached: ${limit} in a container`);
    else {
      session.start({
        command,
        timing: { ...AGENT_TIMING, ...this.#options.timing },
        ...(encryption === undefined ? {} : { encryption }),
      });
    }
    return this.#access(session);
  }

  /** A new token for a session that is still open. */
  resumeSession(sessionId: string): SessionAccess | undefined {
    const session = this.#sessions.get(sessionId);
    if (session === undefined || !session.isOpen || this.faults.neverResume) return undefined;
    session.token = newToken();
    return this.#access(session);
  }

  /** What a session is connected to; undefined for one that never was. */
  targetOf(sessionId: string): string | undefined {
    return this.#targets.get(sessionId);
  }

  /** @returns whether there was such a session */
  terminateSession(sessionId: string): boolean {
    const session = this.#sessions.get(sessionId);
    session?.terminate();
    return session !== undefined;
  }

  /** Those that hold a place in a container. */
  get open(): { sessionId: string; startedAt: number }[] {
    return [...this.#sessions.values()].filter(({ isOpen }) => isOpen);
  }

  /** Sessions that hold a place in the container. */
  openSessions(container: TaskContainer): number {
    return [...this.#sessions.values()].filter((each) => each.container === container && each.isOpen).length;
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) session.terminate();
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #access({ sessionId, token }: Session): SessionAccess {
    const path = `/v1/data-channel/${sessionId}?role=publish_subscribe&cell-number=AAEAAcell`;
    const url = `ws://127.0.0.1:${this.#port}${path}`;
    const { presignedFor } = this.#options;
    const now = this.#judge?.now() ?? Date.now();
    const streamUrl = presignedFor === undefined ? url : presigned(url, SERVICE_KEY, now, presignedFor);
    return { sessionId, streamUrl, tokenValue: token };
  }

  /** AWS's sentence for an opening that it does not allow. How it words them for this is not published. */
  #refusal(sessionId: string, { method = 'GET', url = '', headers }: IncomingMessage): string | undefined {
    const request = { method, url: new URL(url, `http://${headers.host}`), headers, body: new Uint8Array() };
    const scope = signatureScope(request);
    const opening = scope === undefined ? 'unsigned' : scope.presigned ? 'presigned' : 'signed';
    const session = this.#sessions.get(sessionId);
    const refused =
      (session && this.faults.opening?.(session.container)) ?? this.#judged(sessionId, request, scope);
    this.openings.push({ sessionId, opening, refused });
    return refused;
  }

  #judged(sessionId: string, request: SignedRequest, scope: SignatureScope | undefined): string | undefined {
    const judge = this.#judge;
    const { unsignedOpenings = judge === undefined ? 'allowed' : 'refused' } = this.#options;
    if (scope === undefined)
      return unsignedOpenings === 'allowed' ? undefined : 'Missing Authentication Token';
    if (scope.accessKeyId === SERVICE_KEY.accessKeyId)
      return signatureFault(request, SERVICE_KEY.secretAccessKey, judge?.now() ?? Date.now());
    if (judge === undefined) return undefined;
    const caller = judge.access.caller(scope.accessKeyId);
    const token = request.headers['x-amz-security-token'];
    if (caller === undefined || token !== caller.credentials.sessionToken)
      return 'The security token included in the request is invalid.';
    if (scope.service !== 'ssmmessages')
      return `Credential should be scoped to correct service: 'ssmmessages', not '${scope.service}'.`;
    const fault = signatureFault(request, caller.credentials.secretAccessKey, judge.clockOf(caller));
    if (fault !== undefined) return fault;
    return judge.access.check({
      principal: caller.principal,
      action: 'ssmmessages:OpenDataChannel',
      resource: `arn:aws:ssm:${scope.region}:${caller.principal.account}:session/${sessionId}`,
      conditions: { 'aws:RequestedRegion': scope.region },
      ...(caller.function !== undefined && { function: caller.function.name }),
    });
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const [, sessionId = ''] = /^\/v1\/data-channel\/([^/?]+)\?/.exec(request.url ?? '') ?? [];
    const refused = this.#refusal(sessionId, request);
    if (refused !== undefined) {
      const body = JSON.stringify({ message: refused });
      socket.end(
        `HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (client) => {
      client.on('error', () => {});
      client.once('message', (data, isBinary) => {
        const session = this.#sessions.get(sessionId);
        const text = isBinary ? '' : String(data);
        if (session === undefined || tokenIn(text) !== session.token) client.close(1003, 'Invalid token');
        else session.connect(client);
      });
    });
  }
}

/** One session as the service holds it: the agent on one side, at most one client on the other. */
class Session {
  readonly sessionId: string;
  readonly container: TaskContainer;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  token = newToken();
  readonly #faults: () => SessionFaults;
  readonly #idleTimeout: number;
  readonly #counts = { client: 0, agent: 0 };
  #agent: AgentSession | undefined;
  #client: WebSocket | undefined;
  #failure: string | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(options: {
    sessionId: string;
    container: TaskContainer;
    startedAt: number;
    faults: () => SessionFaults;
    idleTimeout: number;
  }) {
    this.startedAt = options.startedAt;
    this.sessionId = options.sessionId;
    this.container = options.container;
    this.#faults = options.faults;
    this.#idleTimeout = options.idleTimeout;
  }

  get isOpen(): boolean {
    return this.#failure === undefined && this.container.running;
  }

  start(options: { command: string; timing: AgentTiming; encryption?: AgentEncryption }): void {
    const { sessionId, container } = this;
    this.#agent = new AgentSession({
      ...options,
      sessionId,
      container,
      transmit: (bytes) => this.#fromAgent(bytes),
      onEnd: (failure) => this.end(failure),
    });
    void container.stopped.then(() => clearTimeout(this.#idle));
    this.#stillInUse();
  }

  connect(client: WebSocket): void {
    this.#client?.terminate();
    this.#client = client;
    client.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.#pass('agent', data);
    });
    client.on('close', () => {
      if (this.#client !== client) return;
      this.#client = undefined;
      this.#tellAgent('pause_publication');
    });
    if (this.#failure === undefined) this.#tellAgent('start_publication');
    else this.#sayClosed(this.#failure);
  }

  terminate(): void {
    this.#agent?.terminate();
    this.end('');
  }

  end(failure: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    clearTimeout(this.#idle);
    this.#sayClosed(failure);
  }

  #sayClosed(output: string): void {
    const content = channelClosed({
      messageId: randomUUID(),
      createdDate: new Date().toISOString(),
      destinationId: randomUUID(),
      sessionId: this.sessionId,
      output,
    });
    this.#pass('client', controlMessage('channel_closed', content, 0n));
  }

  #tellAgent(messageType: 'pause_publication' | 'start_publication'): void {
    this.#agent?.receive(controlMessage(messageType, messageType, CONTROL_FLAGS));
  }

  /** What the agent says to the service itself goes no further. */
  #fromAgent(bytes: Uint8Array): void {
    if (parseFrame(bytes).messageType !== 'agent_session_state') this.#pass('client', bytes);
  }

  #pass(to: 'client' | 'agent', bytes: Uint8Array): void {
    const index = this.#counts[to]++;
    switch (this.#judge(to, bytes, index)) {
      case 'pass':
        this.#hand(to, bytes);
        break;
      case 'double':
        this.#hand(to, bytes);
        this.#hand(to, bytes);
        break;
      case 'damage': {
        const damaged = Buffer.from(bytes);
        damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
        this.#hand(to, damaged);
        break;
      }
      case 'cut':
        this.#client?.terminate();
        break;
      case 'lose':
    }
  }

  /** The fault of a message; one that is only late is handed over here, later. */
  #judge(to: 'client' | 'agent', bytes: Uint8Array, index: number): Exclude<LinkFault, object> {
    const { link } = this.#faults();
    if (link === undefined) return 'pass';
    try {
      const { messageType, payloadType, sequenceNumber } = parseFrame(bytes, { reading: 'agent' });
      const fault = link({
        sessionId: this.sessionId,
        to,
        messageType,
        payloadType,
        sequenceNumber: Number(sequenceNumber),
        index,
      });
      if (typeof fault !== 'object') return fault;
      setTimeout(() => this.#hand(to, bytes), fault.late);
      return 'lose';
    } catch (error) {
      if (error instanceof EcsExecError) return 'pass';
      throw error;
    }
  }

  #hand(to: 'client' | 'agent', bytes: Uint8Array): void {
    this.#stillInUse();
    if (to === 'agent') this.#agent?.receive(bytes);
    else if (this.#client?.readyState === this.#client?.OPEN) this.#client?.send(bytes);
  }

  #stillInUse(): void {
    clearTimeout(this.#idle);
    if (this.isOpen) this.#idle = setTimeout(() => this.terminate(), this.#idleTimeout);
    this.#idle?.unref();
  }
}

/** By which the service signs the URLs that it gives. */
const SERVICE_KEY = {
  accessKeyId: 'ASIASESSIONMANAGER00',
  secretAccessKey: randomBytes(30).toString('base64'),
  region: 'eu-central-1',
  service: 'ssmmessages',
};

/** Milliseconds. Fixed by ECS. */
const IDLE_TIMEOUT = 20 * 60_000;

function newToken(): string {
  return `AAEAA${randomBytes(96).toString('base64')}`;
}

function tokenIn(text: string): string | undefined {
  try {
    const { TokenValue: token } = JSON.parse(text);
    return token;
  } catch {
    return undefined;
  }
}
