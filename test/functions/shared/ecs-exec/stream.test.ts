import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Frame, PayloadType, parseFrame } from '../../../../functions/shared/ecs-exec/frame.ts';
import { acknowledgedSequenceNumber } from '../../../../functions/shared/ecs-exec/messages.ts';
import { RESEND_INTERVAL, ResendQueue } from '../../../../functions/shared/ecs-exec/resend.ts';
import { controlMessage, SequencedStream } from '../../../../functions/shared/ecs-exec/stream.ts';

describe('a stream', () => {
  it('acknowledges each message on arrival, a doubled one again, and delivers in order', () => {
    const { client, sent, delivered } = clientEnd();
    const [first, second, third] = outputFrames('a', 'b', 'c');
    assert.ok(first && second && third);
    for (const frame of [second, first, first, third, second]) client.receive(frame);
    assert.deepEqual(delivered, ['a', 'b', 'c']);
    assert.deepEqual(sent.map(acknowledged), [1n, 0n, 0n, 2n, 1n]);
  });

  it('does not acknowledge what is too far ahead to be kept', () => {
    const { client, sent, delivered } = clientEnd();
    const frames = outputFrames(...Array.from({ length: 10_002 }, (_, i) => String(i)));
    for (const frame of frames.slice(1)) client.receive(frame);
    assert.equal(sent.length, 10_000);
    for (const frame of [frames[0], frames.at(-1)]) if (frame) client.receive(frame);
    assert.equal(sent.length, 10_002);
    assert.equal(delivered.length, 10_002);
  });

  it('sends again only the oldest message, until its acknowledgement, and nothing while paused', () => {
    let now = 0;
    const { client, sent } = clientEnd(() => now);
    const tick = () => {
      now += RESEND_INTERVAL;
      client.tick();
    };
    client.send(PayloadType.output, Buffer.from('one'));
    client.send(PayloadType.output, Buffer.from('two'));
    tick();
    tick();
    assert.equal(sent.length, 2, 'the first time-out is 200 ms');
    tick();
    assert.deepEqual(sent.slice(2).map(text), ['one']);
    client.receive(parseFrame(controlMessage('pause_publication', 'pause_publication', 3n)));
    for (let i = 0; i < 50; i += 1) tick();
    assert.equal(sent.length, 3);
    client.receive(parseFrame(controlMessage('start_publication', 'start_publication', 3n)));
    tick();
    assert.deepEqual(sent.slice(3).map(text), ['one']);
  });

  it('measures the time-out as the agent does', () => {
    const queue = new ResendQueue();
    assert.equal(queue.timeout, 200);
    queue.add(0, Buffer.from('x'), 0);
    queue.acknowledge(0, 100);
    // Round trip as assumed: 100 ms, no variation, and at least 10 ms more.
    assert.equal(queue.timeout, 110);
    queue.add(1, Buffer.from('x'), 0);
    queue.acknowledge(1, 180);
    // 100 + 80/8 + 4 · 80/4
    assert.equal(queue.timeout, 190);
    queue.add(2, Buffer.from('x'), 0);
    queue.acknowledge(2, 60_000);
    assert.equal(queue.timeout, 1_000);
  });

  it('delivers 0 B to 5 MB once and in order through loss, doubling and reordering', () => {
    fc.assert(
      fc.property(
        fc.record({
          size: fc.oneof(fc.nat(3_000), fc.nat(5_000_000), fc.constantFrom(0, 1, 1_024, 5_000_000)),
          loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
          doubling: fc.double({ min: 0, max: 0.3, noNaN: true }),
          longestDelay: fc.integer({ min: 1, max: 400 }),
          seed: fc.nat(),
        }),
        (network) => {
          const content = randomBytes(network.size);
          const received = carry(content, network);
          assert.equal(received.length, content.length);
          assert.equal(digest(received), digest(content));
        },
      ),
      { numRuns: process.env.CI ? 30 : 15, endOnFailure: true },
    );
  });
});

interface Network {
  loss: number;
  doubling: number;
  /** Milliseconds. Two messages whose delays differ arrive in another order. */
  longestDelay: number;
  seed: number;
}

/** Sends the content from an agent to a client over a bad network, in simulated time. */
function carry(content: Buffer, { loss, doubling, longestDelay, seed }: Network): Buffer {
  const random = randomFrom(seed);
  const received: Buffer[] = [];
  let now = 0;
  const due = new Map<number, (() => void)[]>();
  let onTheWay = 0;
  const wire = (receive: (frame: Frame) => void) => (bytes: Uint8Array) => {
    for (let copies = random() < doubling ? 2 : 1; copies > 0; copies -= 1) {
      if (random() < loss) continue;
      const at = now + 1 + Math.floor(random() * longestDelay);
      onTheWay += 1;
      const arrivals = due.get(at) ?? [];
      arrivals.push(() => receive(parseFrame(bytes)));
      due.set(at, arrivals);
    }
  };
  const agent: SequencedStream = new SequencedStream({
    sends: 'output_stream_data',
    transmit: wire((frame) => client.receive(frame)),
    deliver: () => {},
    now: () => now,
  });
  const client: SequencedStream = new SequencedStream({
    sends: 'input_stream_data',
    transmit: wire((frame) => agent.receive(frame)),
    deliver: (_, payload) => received.push(Buffer.from(payload)),
    now: () => now,
  });
  // A millisecond a message, as the agent reads the terminal.
  for (let start = 0; start < content.length || agent.unacknowledged > 0 || onTheWay > 0; now += 1) {
    if (start < content.length) {
      agent.send(PayloadType.output, content.subarray(start, start + 1_024));
      start += 1_024;
    }
    for (const arrive of due.get(now) ?? []) {
      onTheWay -= 1;
      arrive();
    }
    due.delete(now);
    if (now % RESEND_INTERVAL === 0) agent.tick();
  }
  return Buffer.concat(received);
}

function clientEnd(now = () => 0) {
  const sent: Frame[] = [];
  const delivered: string[] = [];
  const client = new SequencedStream({
    sends: 'input_stream_data',
    transmit: (bytes) => sent.push(parseFrame(bytes)),
    deliver: (_, payload) => delivered.push(Buffer.from(payload).toString()),
    now,
  });
  return { client, sent, delivered };
}

function outputFrames(...texts: string[]): Frame[] {
  const frames: Frame[] = [];
  const agent = new SequencedStream({
    sends: 'output_stream_data',
    transmit: (bytes) => frames.push(parseFrame(bytes)),
    deliver: () => {},
    now: () => 0,
  });
  for (const each of texts) agent.send(PayloadType.output, Buffer.from(each));
  return frames;
}

const acknowledged = ({ payload }: Frame) => acknowledgedSequenceNumber(payload);
const text = ({ payload }: Frame) => Buffer.from(payload).toString();
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Numbers from 0 to 1, the same for the same seed: a linear congruential generator (Numerical Recipes). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
