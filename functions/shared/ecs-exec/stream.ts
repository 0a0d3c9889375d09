import { randomUUID } from 'node:crypto';
import { CONTROL_FLAGS, FLAG_SYN, type Frame, serializeFrame } from './frame.ts';
import { acknowledgedSequenceNumber, acknowledgement } from './messages.ts';
import { OrderedArrivals } from './ordering.ts';
import { ResendQueue } from './resend.ts';

/** The two directions of a data channel, named by their message types. */
export type Direction = 'input_stream_data' | 'output_stream_data';

export interface StreamOptions {
  /** The direction this end sends in: `input_stream_data` for a client. */
  sends: Direction;
  /** Puts bytes on the wire. May drop them: they are sent again. */
  transmit: (bytes: Uint8Array) => void;
  /** Is given each stream message of the other end, once and in order. It must not wait for anything. */
  deliver: (payloadType: number, payload: Uint8Array) => void;
  /** Milliseconds of a clock that never goes back. */
  now: () => number;
  /** Unacknowledged messages kept for sending again. @default no limit */
  capacity?: number;
}

/**
 * One end of a data channel's sequenced streams, without a socket or a timer: what it is told arrived, it
 * acknowledges at once and delivers in order; what it sends, it sends again until the other end acknowledges it.
 */
export class SequencedStream {
  /** While the other end is away nothing is sent again. */
  paused = false;
  readonly #options: StreamOptions;
  readonly #sent: ResendQueue;
  readonly #arrivals = new OrderedArrivals<Frame>();
  #next = 0;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#sent = new ResendQueue(options.capacity);
  }

  /** Sent messages that the other end has not acknowledged. */
  get unacknowledged(): number {
    return this.#sent.size;
  }

  /** Something arrived that waits for an earlier message. */
  get hasGap(): boolean {
    return this.#arrivals.hasGap;
  }

  send(payloadType: number, payload: Uint8Array): void {
    const { sends, now, transmit } = this.#options;
    const sequenceNumber = this.#next++;
    const bytes = serializeFrame({
      messageType: sends,
      schemaVersion: 1,
      createdDate: BigInt(Date.now()),
      sequenceNumber: BigInt(sequenceNumber),
      flags: sequenceNumber === 0 && sends === 'output_stream_data' ? FLAG_SYN : 0n,
      messageId: randomUUID(),
      payloadType,
      payload,
    });
    this.#sent.add(sequenceNumber, bytes, now());
    transmit(bytes);
  }

  /** Takes a message of the other end's stream, or its acknowledgement of one of ours. Ignores any other. */
  receive(frame: Frame): void {
    if (frame.messageType === 'acknowledge') {
      this.paused = false;
      const sequenceNumber = acknowledgedSequenceNumber(frame.payload);
      if (sequenceNumber !== undefined) this.#sent.acknowledge(Number(sequenceNumber), this.#options.now());
    } else if (frame.messageType === 'pause_publication') {
      this.paused = true;
    } else if (frame.messageType === 'start_publication') {
      this.paused = false;
    } else if (isStream(frame.messageType) && frame.messageType !== this.#options.sends) {
      this.paused = false;
      this.#take(frame);
    }
  }

  /** To be called every {@link RESEND_INTERVAL} milliseconds. */
  tick(): void {
    if (this.paused) return;
    const bytes = this.#sent.due(this.#options.now());
    if (bytes !== undefined) this.#options.transmit(bytes);
  }

  #take(frame: Frame): void {
    const arrival = this.#arrivals.take(frame.sequenceNumber, frame);
    if (arrival.outcome === 'refused') return;
    this.#options.transmit(controlMessage('acknowledge', acknowledgement(frame), CONTROL_FLAGS));
    if (arrival.outcome !== 'ready') return;
    for (const { payloadType, payload } of arrival.messages) this.#options.deliver(payloadType, payload);
  }
}

/** A message that is not part of a stream. */
export function controlMessage(messageType: string, payload: string, flags: bigint): Buffer {
  return serializeFrame({
    messageType,
    schemaVersion: 1,
    createdDate: BigInt(Date.now()),
    sequenceNumber: 0n,
    flags,
    messageId: randomUUID(),
    payloadType: 0,
    payload: Buffer.from(payload, 'utf8'),
  });
}

function isStream(messageType: string): messageType is Direction {
  return messageType === 'input_stream_data' || messageType === 'output_stream_data';
}
