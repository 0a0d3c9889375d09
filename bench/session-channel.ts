/**
 * Output through the data channel against a plain websocket: 100 MB in messages of 1,024 bytes, as the agent sends
 * them. The plain one sends each message back; the channel checks digest and order, acknowledges, and keeps head and
 * tail. The plain one is undici's websocket, which echoes
 * faster than ws, the one that the channel uses; the peer is the same, a process of its own. (A real agent gives 0.88 MB/s at best: this is about our side only.)
 *
 * The ratio is of speeds, the channel's divided by the plain one's: more is better, and 0.7 is the goal. At the end one more
 * round is profiled: where the channel's processor time goes.
 *
 *     node bench/session-channel.ts [megabytes]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Session } from 'node:inspector/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';
import { WebSocket as PlainSocket } from 'undici';
import { type WebSocket, WebSocketServer } from 'ws';
import { DataChannel } from '../functions/shared/ecs-exec/data-channel.ts';
import { PayloadType, serializeFrame } from '../functions/shared/ecs-exec/frame.ts';
import { channelClosed } from '../functions/shared/ecs-exec/messages.ts';
import { OutputKeeper } from '../functions/shared/ecs-exec/output.ts';
import { controlMessage } from '../functions/shared/ecs-exec/stream.ts';
import { IS_SHORT, median, tell } from './figures.ts';

/** Bytes of output in a message: what the agent reads at once. */
const MESSAGE_LENGTH = 1_024;
/** Messages on their way at most, so that neither side only fills the other's buffers. */
const WINDOW = 512;
const ROUNDS = 5;
/** Of the plain one's speed. */
const GOAL = 0.7;
/** Lines of the profile. */
const PROFILED = 12;

interface Measurement {
  megabytesPerSecond: number;
  /** Seconds of processor time in this process. */
  cpuSeconds: number;
  /** Highest resident set less that before, in MB. */
  memoryMegabytes: number;
}

async function bench(megabytes: number): Promise<void> {
  const count = Math.round((megabytes * 1e6) / MESSAGE_LENGTH);
  const peer = fork(fileURLToPath(import.meta.url));
  const [port] = await once(peer, 'message');
  const url = (kind: string) => `ws://127.0.0.1:${port}/${kind}?count=${count}`;
  const runs = {
    plain: () => echoPlainly(url('plain'), count),
    channel: () => receive(url('channel'), count),
  };
  const results: Record<keyof typeof runs, Measurement[]> = { plain: [], channel: [] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const kind of ['plain', 'channel'] as const) {
      const result = await measure(count, runs[kind]);
      // The first round warms both up.
      if (round > 0) results[kind].push(result);
    }
  }
  const profile = await profiled(runs.channel);
  peer.kill();
  console.log(`${megabytes} MB in messages of ${MESSAGE_LENGTH} bytes, median of ${ROUNDS} rounds:`);
  for (const kind of ['plain', 'channel'] as const) {
    const of = (what: keyof Measurement) => median(results[kind].map((each) => each[what])).toFixed(1);
    const name = kind === 'plain' ? 'plain websocket echo' : 'data channel';
    console.log(
      `${name.padEnd(21)} ${of('megabytesPerSecond').padStart(6)} MB/s, ${of('cpuSeconds')} s of processor time, ` +
        `${of('memoryMegabytes')} MB more memory at its highest`,
    );
  }
  const speed = (kind: keyof typeof runs) => median(results[kind].map((each) => each.megabytesPerSecond));
  const ratio = speed('channel') / speed('plain');
  tell({
    bench: 'session-channel',
    what: "the data channel's throughput (more is better)",
    rival: 'a plain echo by the same WebSocket',
    value: ratio,
    goal: { atLeast: GOAL },
  });
  const reached = ratio >= GOAL ? 'reached' : 'missed';
  console.log(
    `The data channel has ${ratio.toFixed(2)} times the speed of the plain echo (more is better; the goal, ${GOAL} or more, is ${reached}).`,
  );
  console.log(`Where the channel's processor time goes:\n${profile}`);
}

/** A table of the functions that take the most time by themselves. */
async function profiled(work: () => Promise<void>): Promise<string> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.start');
  await work();
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  const names = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url } }) => [
      id,
      `${functionName || '(anonymous)'}${url && ` ${basename(url)}`}`,
    ]),
  );
  const times = new Map<string, number>();
  for (const [index, id] of (profile.samples ?? []).entries()) {
    const name = names.get(id) ?? '';
    if (name === '(idle)') continue;
    times.set(name, (times.get(name) ?? 0) + (profile.timeDeltas?.[index] ?? 0));
  }
  const busy = [...times.values()].reduce((total, each) => total + each, 0);
  const table = new Table({ head: ['function', 'of the time'], style: { head: [], border: [] } });
  for (const [name, time] of [...times].sort(([, a], [, b]) => b - a).slice(0, PROFILED))
    table.push([name, `${((time / busy) * 100).toFixed(1)} %`]);
  return table.toString();
}

async function receive(url: string, count: number): Promise<void> {
  const keeper = new OutputKeeper();
  const ended = Promise.withResolvers<string>();
  const channel = new DataChannel({
    sessionId: 'bench',
    streamUrl: url,
    token: 'bench',
    onOutput: (bytes) => {
      keeper.take(bytes);
      if (keeper.totalBytes === count * MESSAGE_LENGTH) ended.resolve('all');
    },
    onEnd: (end) => ended.resolve(end.cause),
  });
  const how = await ended.promise;
  channel.close();
  if (how !== 'all') throw new Error(`The channel ended (${how}) after ${keeper.totalBytes} bytes.`);
}

async function echoPlainly(url: string, count: number): Promise<void> {
  const socket = new PlainSocket(url);
  socket.binaryType = 'arraybuffer';
  let received = 0;
  const all = Promise.withResolvers<void>();
  socket.addEventListener('message', ({ data }) => {
    socket.send(data);
    received += 1;
    if (received === count) all.resolve();
  });
  await all.promise;
  socket.close();
}

async function measure(count: number, run: () => Promise<void>): Promise<Measurement> {
  const before = process.memoryUsage.rss();
  let highest = before;
  const watch = setInterval(() => {
    highest = Math.max(highest, process.memoryUsage.rss());
  }, 20);
  const [cpu, start] = [process.cpuUsage(), performance.now()];
  await run();
  const seconds = (performance.now() - start) / 1e3;
  const { user, system } = process.cpuUsage(cpu);
  clearInterval(watch);
  return {
    megabytesPerSecond: (count * MESSAGE_LENGTH) / 1e6 / seconds,
    cpuSeconds: (user + system) / 1e6,
    memoryMegabytes: (highest - before) / 1e6,
  };
}

/** The peer: sends so many messages, and waits for an answer to each, whatever it is. */
async function serve(): Promise<void> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(server, 'listening');
  server.on('connection', (socket, request) => {
    const url = new URL(request.url ?? '', 'ws://peer');
    sendAll(socket, Number(url.searchParams.get('count')), url.pathname === '/channel');
  });
  const address = server.address();
  process.send?.(typeof address === 'object' && address !== null ? address.port : 0);
  process.on('disconnect', () => process.exit());
}

function sendAll(socket: WebSocket, count: number, framed: boolean): void {
  let sent = 0;
  let answered = 0;
  const send = () => {
    for (; sent < count && sent - answered < WINDOW; sent += 1) {
      socket.send(framed ? outputFrame(sent) : TEMPLATE.subarray(-MESSAGE_LENGTH));
    }
  };
  socket.on('message', (_, isBinary) => {
    if (isBinary) answered += 1;
    send();
    if (framed && answered === count) {
      const content = { messageId: '', createdDate: '', destinationId: '', sessionId: '', output: '' };
      socket.send(controlMessage('channel_closed', channelClosed(content), 0n));
    }
  });
  socket.on('error', () => {});
  send();
}

/** Made once and numbered anew, so that the peer's own work does not count: the digest is of the payload alone. */
const TEMPLATE = serializeFrame({
  messageType: 'output_stream_data',
  schemaVersion: 1,
  createdDate: 1n,
  sequenceNumber: 0n,
  flags: 0n,
  messageId: '00112233-4455-6677-8899-aabbccddeeff',
  payloadType: PayloadType.output,
  payload: Buffer.alloc(MESSAGE_LENGTH, 'output of a command, '),
});

function outputFrame(sequenceNumber: number): Buffer {
  const frame = Buffer.from(TEMPLATE);
  frame.writeBigInt64BE(BigInt(sequenceNumber), 48);
  return frame;
}

if (process.send === undefined) await bench(Number(process.argv[2] ?? (IS_SHORT ? 30 : 100)));
else await serve();
