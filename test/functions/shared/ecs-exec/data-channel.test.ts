import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  type ChannelEnd,
  DataChannel,
  type DataChannelOptions,
} from '../../../../functions/shared/ecs-exec/data-channel.ts';
import { HandshakeError } from '../../../../functions/shared/ecs-exec/errors.ts';
import {
  type Frame,
  PayloadType,
  parseFrame,
  serializeFrame,
} from '../../../../functions/shared/ecs-exec/frame.ts';
import {
  acknowledgedSequenceNumber,
  channelClosed,
  handshakeComplete,
  handshakeRequest,
} from '../../../../functions/shared/ecs-exec/messages.ts';
import { controlMessage } from '../../../../functions/shared/ecs-exec/stream.ts';
import { vectors } from './vectors.ts';

describe('a data channel', () => {
  it('opens with its token and a ping, and says nothing more until the first output', async () => {
    await using service = await Service.start();
    service.channel.send(Buffer.from('early'));
    const opening = JSON.parse(await service.text());
    assert.deepEqual(Object.keys(opening), [
      'MessageSchemaVersion',
      'RequestId',
      'TokenValue',
      'ClientId',
      'ClientVersion',
    ]);
    assert.equal(opening.TokenValue, 'TOKEN');
    assert.equal(await service.pinged, 'keepalive');
    assert.equal(service.frames.length, 0);
    service.output(0, 'hello');
    const [acknowledgement, size, input] = await service.received(3);
    assert.equal(acknowledgement && acknowledgedSequenceNumber(acknowledgement.payload), 0n);
    assert.deepEqual(
      [acknowledgement?.messageType, acknowledgement?.flags, acknowledgement?.payloadType],
      ['acknowledge', 3n, 0],
    );
    assert.deepEqual(
      [size?.payloadType, size?.sequenceNumber, text(size)],
      [PayloadType.size, 0n, '{"cols":300,"rows":100}'],
    );
    assert.deepEqual(
      [input?.payloadType, input?.sequenceNumber, text(input)],
      [PayloadType.output, 1n, 'early'],
    );
  });

  it('opens with a handshake of a newer agent, which asks for nothing', async () => {
    await using service = await Service.start();
    service.send(
      0,
      PayloadType.handshakeRequest,
      handshakeRequest({
        agentVersion: '3.3',
        actions: [{ type: 'SessionType', sessionType: 'InteractiveCommands' }],
      }),
    );
    const [, response] = await service.received(2);
    assert.equal(response?.payloadType, PayloadType.handshakeResponse);
    assert.equal(JSON.parse(text(response)).ProcessedClientActions[0].ActionStatus, 1);
    service.send(
      1,
      PayloadType.handshakeComplete,
      handshakeComplete({ timeToComplete: 1, customerMessage: '' }),
    );
    const [, , , size] = await service.received(4);
    assert.deepEqual([size?.payloadType, size?.sequenceNumber], [PayloadType.size, 1n]);
  });

  it('says that it does not know an action of the handshake, and fails', async () => {
    await using service = await Service.start();
    service.send(
      0,
      PayloadType.handshakeRequest,
      '{"AgentVersion":"9","RequestedClientActions":[{"ActionType":"NewThing"}]}',
    );
    const end = await service.end;
    assert.ok(end.cause === 'handshake-failed' && end.error instanceof HandshakeError);
    const [, response] = await service.received(2);
    assert.equal(JSON.parse(text(response)).ProcessedClientActions[0].ActionStatus, 3);
  });

  it('waits for output that the end of the channel has overtaken', async () => {
    await using service = await Service.start();
    service.output(0, 'a');
    service.output(2, 'c');
    service.close('');
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(service.printed, 'a');
    service.output(1, 'b');
    assert.deepEqual(await service.end, { cause: 'closed', failure: '' });
    assert.equal(service.printed, 'abc');
  });

  it('does not wait for ever for output that never comes', async () => {
    await using service = await Service.start();
    service.output(1, 'lost its first half');
    service.close('Session limit reached <2>');
    assert.deepEqual(await service.end, { cause: 'closed', failure: 'Session limit reached <2>' });
    assert.equal(service.printed, '');
  });

  it("survives what AWS's own readers stop or crash on, and acknowledges none of it", async () => {
    await using service = await Service.start();
    service.output(0, 'before, ');
    const refused = (vectors?.parserCases ?? []).filter(({ plugin }) => plugin.decoded === undefined);
    for (const { bytesBase64 } of refused) service.raw(Buffer.from(bytesBase64, 'base64'));
    service.raw(Buffer.alloc(0));
    service.raw('a text');
    service.output(1, 'after');
    await service.received(3);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(service.printed, 'before, after');
    const acknowledged = service.frames.filter(({ messageType }) => messageType === 'acknowledge');
    assert.deepEqual(
      acknowledged.map(({ payload }) => acknowledgedSequenceNumber(payload)),
      [0n, 1n],
    );
  });

  it('sends input again until it is acknowledged, and goes on over a new websocket', async () => {
    await using service = await Service.start();
    service.output(0, 'hello');
    await service.received(4);
    assert.deepEqual(service.inputs(), [0n, 0n, 0n], 'only the oldest, again and again');
    service.cut();
    const end = await service.end;
    assert.ok(end.cause === 'cut' && /1006/.test(end.detail));
    service.channel.send(Buffer.from('while away'));
    service.channel.reconnect('TOKEN2');
    await service.connected();
    const again = JSON.parse(await service.text());
    assert.deepEqual([again.TokenValue, again.ClientId], ['TOKEN2', service.clientId]);
    service.output(1, ' again');
    await service.until(() => service.printed === 'hello again');
    service.acknowledge(0);
    await service.until(() => service.inputs().includes(1n));
  });
});

/** Session Manager's end of one channel, as a test wants it to behave. */
class Service {
  readonly frames: Frame[] = [];
  readonly pinged: Promise<string>;
  readonly end: Promise<ChannelEnd>;
  readonly channel: DataChannel;
  printed = '';
  clientId = '';
  #socket: WebSocket | undefined;
  readonly #server: WebSocketServer;
  readonly #texts: string[] = [];

  private constructor(server: WebSocketServer, options?: Partial<DataChannelOptions>) {
    this.#server = server;
    const pinged = Promise.withResolvers<string>();
    this.pinged = pinged.promise;
    server.on('connection', (socket) => {
      this.#socket = socket;
      socket.on('ping', (data) => pinged.resolve(data.toString()));
      socket.on('message', (data: Buffer, isBinary) => {
        if (isBinary) this.frames.push(parseFrame(data));
        else this.#texts.push(data.toString());
      });
    });
    const end = Promise.withResolvers<ChannelEnd>();
    this.end = end.promise;
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    this.channel = new DataChannel({
      sessionId: 'ecs-execute-command-1',
      streamUrl: `ws://127.0.0.1:${port}/v1/data-channel/ecs-execute-command-1?role=publish_subscribe`,
      token: 'TOKEN',
      onOutput: (bytes) => {
        this.printed += Buffer.from(bytes).toString();
      },
      onEnd: end.resolve,
      ...options,
    });
  }

  static async start(): Promise<Service> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    const service = new Service(server);
    await service.connected();
    await service.until(() => service.#texts.length > 0);
    service.clientId = JSON.parse(service.#texts[0] ?? '{}').ClientId;
    return service;
  }

  async connected(): Promise<void> {
    await this.until(() => this.#socket?.readyState === 1);
  }

  /** The next text message. */
  async text(): Promise<string> {
    await this.until(() => this.#texts.length > 0);
    return this.#texts.shift() ?? '';
  }

  async received(count: number): Promise<Frame[]> {
    await this.until(() => this.frames.length >= count);
    return this.frames;
  }

  inputs(): bigint[] {
    return this.frames
      .filter(({ messageType }) => messageType === 'input_stream_data')
      .map(({ sequenceNumber }) => sequenceNumber);
  }

  output(sequenceNumber: number, content: string): void {
    this.send(sequenceNumber, PayloadType.output, content);
  }

  send(sequenceNumber: number, payloadType: number, content: string): void {
    this.raw(
      serializeFrame({
        messageType: 'output_stream_data',
        schemaVersion: 1,
        createdDate: BigInt(Date.now()),
        sequenceNumber: BigInt(sequenceNumber),
        flags: sequenceNumber === 0 ? 1n : 0n,
        messageId: '00112233-4455-6677-8899-aabbccddeeff',
        payloadType,
        payload: Buffer.from(content),
      }),
    );
  }

  acknowledge(sequenceNumber: number): void {
    this.raw(controlMessage('acknowledge', `{"AcknowledgedMessageSequenceNumber":${sequenceNumber}}`, 3n));
  }

  close(output: string): void {
    const content = channelClosed({
      messageId: 'm',
      createdDate: 'd',
      destinationId: 'd',
      sessionId: 's',
      output,
    });
    this.raw(controlMessage('channel_closed', content, 0n));
  }

  raw(message: Buffer | string): void {
    this.#socket?.send(message);
  }

  cut(): void {
    this.#socket?.terminate();
    this.#texts.length = 0;
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.channel.close();
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

function text(frame: Frame | undefined): string {
  return Buffer.from(frame?.payload ?? []).toString();
}
