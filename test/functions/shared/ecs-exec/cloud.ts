import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clients, ecsExecClients } from '../../../../functions/shared/ecs-exec/session.ts';
import { Container, type ContainerOptions } from '../../../../rehearsal/aws/containers/container.ts';
import type { SessionManagerOptions } from '../../../../rehearsal/aws/session-manager/options.ts';
import { SessionManager } from '../../../../rehearsal/aws/session-manager/session-manager.ts';

/** One call that arrived. */
export interface Call {
  operation: string;
  input: Record<string, unknown>;
}

/** What goes wrong with a call: an error is answered, or the connection breaks after the call was served. */
export type CallFault = { error: string; message?: string; status?: number } | 'no-answer';

export interface CloudOptions extends SessionManagerOptions {
  container?: Partial<ContainerOptions>;
  /** Sessions are encrypted by KMS; the agent is a newer one, with a random challenge, or not. */
  encrypted?: 'with-challenge' | 'without-challenge';
}

/**
 * One container in one task of one cluster, behind just enough of ECS, Systems Manager and KMS for this client: the
 * few awsJson1.1 calls that it makes, and the session gateway.
 */
export class Cloud {
  readonly target = { cluster: 'upkeep', task: '0123456789abcdef0123456789abcdef', container: 'web' };
  readonly calls: Call[] = [];
  onCall: (call: Call) => CallFault | undefined = () => undefined;
  execEnabled = true;
  /** With `pidMode: task`: the agent runs in another container of the task. */
  agentIsElsewhere = false;
  readonly clients: Clients;
  readonly gateway: SessionManager;
  readonly container: Container;
  readonly #server: Server;
  readonly #folder: string;
  readonly #encrypted: CloudOptions['encrypted'];
  readonly #dataKeys = new Map<string, { key: Buffer; context: string }>();

  private constructor(parts: {
    gateway: SessionManager;
    container: Container;
    server: Server;
    endpoint: string;
    folder: string;
    encrypted: CloudOptions['encrypted'];
  }) {
    this.gateway = parts.gateway;
    this.container = parts.container;
    this.#server = parts.server;
    this.#folder = parts.folder;
    this.#encrypted = parts.encrypted;
    this.clients = ecsExecClients({
      region: 'eu-central-1',
      endpoint: parts.endpoint,
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'example' },
    });
  }

  static async start({ container: given, encrypted, ...options }: CloudOptions = {}): Promise<Cloud> {
    const folder = mkdtempSync(join(tmpdir(), 'upkeep-cloud-'));
    const container = await Container.start({ name: 'web', folder: join(folder, 'web'), ...given });
    const gateway = await SessionManager.start({
      ...options,
      timing: { readingDelay: 20, readingPause: 0, acknowledgementWait: 500, ...options.timing },
    });
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const endpoint = `http://127.0.0.1:${port}`;
    const cloud = new Cloud({ gateway, container, server, endpoint, folder, encrypted });
    server.on('request', async (request, response) => {
      const operation = String(request.headers['x-amz-target']).split('.')[1] ?? '';
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const call: Call = { operation, input: JSON.parse(Buffer.concat(chunks).toString() || '{}') };
      cloud.calls.push(call);
      const fault = cloud.onCall(call);
      const answer = typeof fault === 'object' ? fault : cloud.#serve(call);
      if (fault === 'no-answer') {
        request.socket.destroy();
        return;
      }
      const body = isFault(answer) ? { __type: answer.error, message: answer.message } : answer;
      const status = isFault(answer) ? (answer.status ?? 400) : 200;
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
      response.end(JSON.stringify(body));
    });
    return cloud;
  }

  count(operation: string): number {
    return this.calls.filter((call) => call.operation === operation).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway.close();
    await this.container.remove();
    this.#server.closeAllConnections();
    this.#server.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #serve({ operation, input }: Call): Answer {
    switch (operation) {
      case 'ExecuteCommand':
        return this.#executeCommand(String(input.command));
      case 'DescribeTasks':
        return { tasks: [this.#task()], failures: [] };
      case 'TerminateSession':
        return this.gateway.terminateSession(String(input.SessionId))
          ? { SessionId: input.SessionId }
          : { error: 'DoesNotExistException' };
      case 'ResumeSession': {
        const access = this.gateway.resumeSession(String(input.SessionId));
        if (access === undefined) return { error: 'DoesNotExistException' };
        return { SessionId: access.sessionId, TokenValue: access.tokenValue, StreamUrl: access.streamUrl };
      }
      case 'GenerateDataKey':
        return this.#generateDataKey(Number(input.NumberOfBytes), input.EncryptionContext);
      default:
        return { error: 'UnknownOperationException', message: operation };
    }
  }

  #executeCommand(command: string): Answer {
    const reachable = this.container.agentRunning && this.execEnabled && !this.agentIsElsewhere;
    if (!this.container.running || !reachable) {
      return {
        error: 'InvalidParameterException',
        message:
          'The execute command failed because execute command was not enabled when the task was run or the ' +
          "execute command agent isn't running. Wait and try again or run a new task with execute command " +
          'enabled and try again.',
      };
    }
    const session = this.gateway.openSession({
      container: this.container,
      command,
      ...(this.#encrypted === undefined
        ? {}
        : {
            encryption: {
              keyId: 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd',
              targetId: `ecs:upkeep_${this.target.task}_${this.container.runtimeId}`,
              randomChallenge: this.#encrypted === 'with-challenge',
              decryptDataKey: async (ciphertext, context) => this.#decrypt(ciphertext, context),
            },
          }),
    });
    return { clusterArn: 'c', taskArn: 't', containerName: 'web', interactive: true, session };
  }

  #task(): Record<string, unknown> {
    const status = this.container.running ? 'RUNNING' : 'STOPPED';
    return {
      taskArn: `arn:aws:ecs:eu-central-1:111122223333:task/upkeep/${this.target.task}`,
      lastStatus: status,
      enableExecuteCommand: this.execEnabled,
      containers: [
        {
          name: 'web',
          lastStatus: status,
          runtimeId: this.container.runtimeId,
          ...(this.container.running ? {} : { exitCode: 137, reason: 'OutOfMemoryError' }),
          ...(!this.agentIsElsewhere && { managedAgents: [agent(this.container.agentRunning)] }),
        },
        ...(this.agentIsElsewhere
          ? [{ name: 'proxy', lastStatus: status, managedAgents: [agent(true)] }]
          : []),
      ],
    };
  }

  #generateDataKey(length: number, context: unknown): Record<string, unknown> {
    const [key, ciphertext] = [randomBytes(length), randomBytes(32).toString('base64')];
    this.#dataKeys.set(ciphertext, { key, context: inOrder(context) });
    return { KeyId: 'k', Plaintext: key.toString('base64'), CiphertextBlob: ciphertext };
  }

  #decrypt(ciphertext: Buffer, context: Record<string, string>): Buffer {
    const found = this.#dataKeys.get(ciphertext.toString('base64'));
    if (found === undefined || found.context !== inOrder(context))
      throw new Error('InvalidCiphertextException');
    return found.key;
  }
}

/** What of runs the container still has. */
export function filesOfRuns({ container }: Pick<Cloud, 'container'>): string[] {
  return readdirSync(container.path('/run')).filter((name) => name.startsWith('ecs-exec-'));
}

function agent(isRunning: boolean) {
  return { name: 'ExecuteCommandAgent', lastStatus: isRunning ? 'RUNNING' : 'STOPPED' };
}

type Answer = Record<string, unknown> | Exclude<CallFault, string>;

function isFault(answer: Answer): answer is Exclude<CallFault, string> {
  return typeof answer.error === 'string';
}

function inOrder(context: unknown): string {
  return JSON.stringify(Object.entries(Object(context)).sort());
}
