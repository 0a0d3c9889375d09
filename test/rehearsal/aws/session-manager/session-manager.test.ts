import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import {
  type Frame,
  PayloadType,
  parseFrame,
  serializeFrame,
} from '../../../../functions/shared/ecs-exec/frame.ts';
import { acknowledgedSequenceNumber } from '../../../../functions/shared/ecs-exec/messages.ts';
import { Container } from '../../../../rehearsal/aws/containers/container.ts';
import { AgentOutput } from '../../../../rehearsal/aws/session-manager/output.ts';
import {
  type SessionAccess,
  SessionManager,
} from '../../../../rehearsal/aws/session-manager/session-manager.ts';
import { splitCommand } from '../../../../rehearsal/aws/session-manager/shlex.ts';
import { NO_VECTORS, vectors } from '../../../functions/shared/ecs-exec/vectors.ts';

describe("the agent's ways", { skip: NO_VECTORS }, () => {
  for (const { command, argv, error } of vectors?.shlex ?? []) {
    it(`splits as google/shlex: ${JSON.stringify(command)}`, () => {
      if (error === undefined) assert.deepEqual(splitCommand(command), argv);
      else assert.throws(() => splitCommand(command), { message: error });
    });
  }

  for (const { name, ptyReadsBase64, sentPayloadsBase64, heldBackBase64 } of vectors?.agentOutput ?? []) {
    it(`sends and loses the same bytes of a terminal's output: ${name}`, () => {
      const output = new AgentOutput();
      const sent = ptyReadsBase64.map((reading) => output.take(Buffer.from(reading, 'base64')));
      assert.deepEqual(
        sent.filter(({ length }) => length > 0).map((payload) => payload.toString('base64')),
        sentPayloadsBase64,
      );
      assert.equal(output.held.toString('base64'), heldBackBase64);
    });
  }
});

describe('the gateway', () => {
  let container: Container;
  let gateway: SessionManager;
  before(async () => {
    container = await Container.start({
      name: 'web',
      folder: mkdtempSync(join(tmpdir(), 'upkeep-gateway-')),
    });
  });
  after(() => container.remove());
  const withGateway =
    (work: () => Promise<void>, readingDelay = 20) =>
    async () => {
      gateway = await SessionManager.start({ timing: { readingDelay, acknowledgementWait: 300 } });
      try {
        await work();
      } finally {
        gateway.faults = {};
        await gateway.close();
      }
    };

  it(
    "serves AWS's plugin: the recorded session, with its resendings, its gap and its resumption",
    { skip: NO_VECTORS },
    withGateway(async () => {
      const recorded = (vectors?.pluginSession ?? []).filter(({ from }) => from === 'plugin');
      const [opening, reopening] = recorded.filter(({ text }) => text !== undefined);
      const inputs = recorded.filter(({ messageType }) => messageType === 'input_stream_data');
      const command = `sh -c 'stty size; echo first; read a; read b; echo "got $a"; sleep 0.3; stty size; read c; echo after resume'`;
      const access = gateway.openSession({ container, command });
      // As recorded: five of the six acknowledgements of input 0 do not arrive.
      const order = inputs.map(({ sequenceNumber }) => sequenceNumber);
      const withheld = new Set(order.flatMap((number, i) => (number === '0' ? [i] : [])).slice(0, 5));
      let acknowledgements = 0;
      gateway.faults.link = ({ to, messageType }) =>
        to === 'client' && messageType === 'acknowledge' && withheld.has(acknowledgements++)
          ? 'lose'
          : 'pass';

      const plugin = await Plugin.connect(access, opening?.text ?? '');
      const first = await plugin.output('first');
      assert.equal(first[0]?.flags, 1n, 'SYN on the first message of the stream');
      assert.equal(first[0]?.sequenceNumber, 0n);
      assert.match(plugin.printed, /^0 0\r\nfirst/, 'no size until the plugin says one');
      for (const { sequenceNumber, payloadType, payload } of inputs) {
        plugin.input(Number(sequenceNumber), payloadType ?? 0, payload ?? '');
      }
      await plugin.output('100 300');
      assert.deepEqual(
        new Set(plugin.acknowledged),
        new Set(['0', '1', '2']),
        'each input is acknowledged, a doubled one again',
      );
      assert.equal(plugin.acknowledged.length + 5, inputs.length);
      assert.match(plugin.printed, /got ls\r\n/);

      plugin.cut();
      const resumed = gateway.resumeSession(access.sessionId);
      assert.ok(resumed && resumed.tokenValue !== access.tokenValue);
      const again = await Plugin.connect({ ...resumed, streamUrl: access.streamUrl }, reopening?.text ?? '');
      again.input(3, PayloadType.output, 'go\r');
      await again.output('after resume');
      const resumedAt = again.frames.find(({ messageType }) => messageType === 'output_stream_data');
      assert.ok((resumedAt?.sequenceNumber ?? 0n) > 0n, 'counters go on');
      assert.equal(await again.closed, '', 'an orderly end');
      // Until the plugin is there, on a busy machine too: what is printed before is sent again only, without its mark.
    }, 1_000),
  );

  it(
    'serves the npm package ssm-session, whose frames have another type field, digest and acknowledgement',
    withGateway(async () => {
      const access = gateway.openSession({ container, command: `sh -c 'read a; echo "got $a"'` });
      const plugin = await Plugin.connect(
        access,
        JSON.stringify({ MessageSchemaVersion: '1.0', RequestId: 'r', TokenValue: 'TOKEN' }),
      );
      plugin.frameOf = (frame) => {
        const bytes = serializeFrame(frame);
        bytes.fill(0, 4, 36);
        bytes.write(frame.messageType, 36 - frame.messageType.length);
        bytes.write(createHash('sha256').update(frame.payload).digest('hex').slice(0, 32), 80, 'latin1');
        if (frame.messageType === 'acknowledge') bytes.writeUInt32BE(3, 112);
        return bytes;
      };
      await plugin.output('');
      plugin.input(0, PayloadType.output, 'hello\r');
      await plugin.output('got hello');
      assert.equal(await plugin.closed, '');
    }),
  );

  it(
    'closes with code 1003 on a wrong token, an old one, and a first message that is none',
    withGateway(async () => {
      const access = gateway.openSession({ container, command: 'sleep 300' });
      gateway.resumeSession(access.sessionId);
      for (const first of [
        JSON.stringify({ TokenValue: 'x' }),
        JSON.stringify({ TokenValue: access.tokenValue }),
        '{',
        Buffer.from('x'),
      ]) {
        const socket = new WebSocket(access.streamUrl);
        socket.on('open', () => socket.send(first));
        const code = await new Promise((resolve) => socket.on('close', resolve));
        assert.equal(code, 1003);
      }
    }),
  );

  it(
    'loses what is not acknowledged within the time that the agent waits at the end',
    withGateway(async () => {
      const access = gateway.openSession({ container, command: 'seq 1000' });
      const plugin = await Plugin.connect(access, JSON.stringify({ TokenValue: 'TOKEN' }));
      plugin.acknowledges = false;
      gateway.faults.link = ({ to, sequenceNumber }) =>
        to === 'client' && sequenceNumber === 1 ? 'lose' : 'pass';
      assert.equal(await plugin.closed, '');
      assert.ok(
        !plugin.frames.some(
          ({ sequenceNumber, messageType }) => messageType === 'output_stream_data' && sequenceNumber === 1n,
        ),
      );
      assert.equal(gateway.openSessions(container), 0);
    }),
  );

  for (const [what, command, failure] of [
    ['no such program', '/no/such/program', /^Unable to start command: Failed to start pty: .*no such file/],
    ['a quote that is not closed', "sh -c 'x", /EOF found when expecting closing quote/],
    ['nothing at all', '  ', /Failed to start pty/],
  ] as const) {
    it(
      `says in channel_closed why a command did not start: ${what}`,
      withGateway(async () => {
        const plugin = await Plugin.connect(
          gateway.openSession({ container, command }),
          JSON.stringify({ TokenValue: 'TOKEN' }),
        );
        assert.match(await plugin.closed, failure);
      }),
    );
  }

  it(
    'refuses a third session in a container until one of two has ended',
    withGateway(async () => {
      const [first] = [1, 2].map(() => gateway.openSession({ container, command: 'sleep 300' }));
      const third = await Plugin.connect(
        gateway.openSession({ container, command: 'true' }),
        JSON.stringify({ TokenValue: 'TOKEN' }),
      );
      assert.match(await third.closed, /limit/);
      assert.ok(gateway.terminateSession(first?.sessionId ?? ''));
      assert.equal(gateway.openSessions(container), 1);
      const fourth = await Plugin.connect(
        gateway.openSession({ container, command: 'echo hi' }),
        JSON.stringify({ TokenValue: 'TOKEN' }),
      );
      await fourth.output('hi');
    }),
  );

  it('ends a session in which nothing happens, and its command', async () => {
    // Longer than a busy machine takes until the command has said its word.
    const idle = await SessionManager.start({ timing: { readingDelay: 0 }, idleTimeout: 2_000 });
    try {
      const access = idle.openSession({ container, command: `sh -c 'echo hi; read a'` });
      const plugin = await Plugin.connect(access, JSON.stringify({ TokenValue: 'TOKEN' }));
      await plugin.output('hi');
      assert.equal(await plugin.closed, '');
      assert.equal(idle.resumeSession(access.sessionId), undefined);
    } finally {
      await idle.close();
    }
  });

  it(
    'starts the command although nobody connects, and ignores the flag that would end other sessions',
    withGateway(async () => {
      const access = gateway.openSession({
        container,
        command: `sh -c 'touch /tmp/alone; echo hi; read a; echo "$a"'`,
      });
      while ((await container.run('ls /tmp')) !== 'alone\n')
        await new Promise((resolve) => setTimeout(resolve, 20));
      const plugin = await Plugin.connect(access, JSON.stringify({ TokenValue: 'TOKEN' }));
      await plugin.output('hi');
      plugin.input(0, PayloadType.flag, '\0\0\0\u0002');
      plugin.input(1, PayloadType.output, 'still here\r');
      await plugin.output('still here');
    }),
  );
});

/** A client of the gateway that keeps to what AWS's plugin says. */
class Plugin {
  readonly frames: Frame[] = [];
  readonly acknowledged: string[] = [];
  readonly closed: Promise<string>;
  printed = '';
  acknowledges = true;
  frameOf: (frame: Frame) => Uint8Array = serializeFrame;
  readonly #socket: WebSocket;
  #next = 0n;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    const closed = Promise.withResolvers<string>();
    this.closed = closed.promise;
    socket.on('message', (data: Buffer) => {
      const frame = parseFrame(data);
      this.frames.push(frame);
      const text = Buffer.from(frame.payload).toString();
      if (frame.messageType === 'channel_closed') closed.resolve(JSON.parse(text).Output);
      if (frame.messageType === 'acknowledge') {
        assert.match(
          text,
          /^{"AcknowledgedMessageType":"input_stream_data","AcknowledgedMessageId":"[0-9a-f-]{36}",/,
        );
        assert.deepEqual([frame.flags, frame.payloadType, frame.sequenceNumber], [3n, 0, 0n]);
        this.acknowledged.push(String(acknowledgedSequenceNumber(frame.payload)));
      }
      if (frame.messageType !== 'output_stream_data') return;
      if (this.#next === 0n || frame.sequenceNumber === this.#next) {
        this.printed += text;
        this.#next = frame.sequenceNumber + 1n;
      }
      if (this.acknowledges) this.#acknowledge(frame);
    });
  }

  static async connect({ streamUrl, tokenValue }: SessionAccess, opening: string): Promise<Plugin> {
    const socket = new WebSocket(streamUrl, { perMessageDeflate: false });
    const plugin = new Plugin(socket);
    await new Promise((resolve) => socket.on('open', resolve));
    socket.send(opening.replace(/TOKEN\d?/, tokenValue));
    socket.ping('keepalive');
    return plugin;
  }

  /** Waits until this was printed. */
  async output(text: string): Promise<Frame[]> {
    while (!this.printed.includes(text)) {
      assert.notEqual(this.#socket.readyState, WebSocket.CLOSED, `closed before "${text}": ${this.printed}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.frames;
  }

  input(sequenceNumber: number, payloadType: number, content: string): void {
    const payload = Buffer.from(content);
    this.#send({
      messageType: 'input_stream_data',
      sequenceNumber: BigInt(sequenceNumber),
      payloadType,
      payload,
      flags: 0n,
    });
  }

  cut(): void {
    this.#socket.terminate();
  }

  #acknowledge({ messageType, messageId, sequenceNumber }: Frame): void {
    const content = `{"AcknowledgedMessageType":"${messageType}","AcknowledgedMessageId":"${messageId}","AcknowledgedMessageSequenceNumber":${sequenceNumber},"IsSequentialMessage":true}`;
    this.#send({
      messageType: 'acknowledge',
      sequenceNumber: 0n,
      payloadType: 0,
      payload: Buffer.from(content),
      flags: 3n,
    });
  }

  #send(frame: Omit<Frame, 'schemaVersion' | 'createdDate' | 'messageId'>): void {
    const rest = {
      schemaVersion: 1,
      createdDate: BigInt(Date.now()),
      messageId: '00112233-4455-6677-8899-aabbccddeeff',
    };
    this.#socket.send(this.frameOf({ ...rest, ...frame }));
  }
}
