import { hash } from 'node:crypto';
import { FrameError } from './errors.ts';

/** One binary message of Session Manager's data channel. */
export interface Frame {
  /** What it is, such as `output_stream_data`: at most 32 bytes. */
  messageType: string;
  /** 1 in every message that AWS's programs send. */
  schemaVersion: number;
  /** Epoch milliseconds. */
  createdDate: bigint;
  /** The place in the sender's stream, counted from 0; 0 in messages that are not part of a stream. */
  sequenceNumber: bigint;
  /** Bits: {@link FLAG_SYN}, {@link FLAG_FIN}. */
  flags: bigint;
  /** A UUID in its usual text form. */
  messageId: string;
  /** One of {@link PayloadType}, in stream messages. */
  payloadType: number;
  payload: Uint8Array;
}

/** What a stream message carries. */
export const PayloadType = {
  /** Terminal output, or keyboard input. */
  output: 1,
  error: 2,
  /** `{"cols","rows"}`. */
  size: 3,
  parameter: 4,
  handshakeRequest: 5,
  handshakeResponse: 6,
  handshakeComplete: 7,
  encryptionChallengeRequest: 8,
  encryptionChallengeResponse: 9,
  /** A 32-bit number: 1 disconnect, 2 terminate, 3 connection failed. Port sessions only. */
  flag: 10,
  /** Standard error of a command without a terminal. */
  standardError: 11,
  /** `EXIT_CODE: n` of a command without a terminal. ECS Exec never sends it. */
  exitCode: 12,
} as const;

/** The first message of the agent's stream. */
export const FLAG_SYN = 1n;
/** The last one, by the format; no stream is ended so. */
export const FLAG_FIN = 2n;

/** What an acknowledgement and the control messages carry as flags, as AWS's programs set them. */
export const CONTROL_FLAGS = FLAG_SYN | FLAG_FIN;

/**
 * The bytes of a message.
 *
 * @throws FrameError if AWS's own serializers could not make it either: an empty payload, or a message type of
 * more than 32 bytes.
 */
export function serializeFrame(frame: Frame): Buffer {
  const type = Buffer.from(frame.messageType, 'utf8');
  if (type.length > TYPE_LENGTH) {
    throw new FrameError(`The message type «${frame.messageType}» is longer than ${TYPE_LENGTH} bytes.`);
  }
  if (frame.payload.length === 0) {
    throw new FrameError(`A message of type ${frame.messageType} cannot have an empty payload.`);
  }
  const bytes = Buffer.alloc(PAYLOAD_START + frame.payload.length);
  bytes.writeUInt32BE(HEADER_LENGTH, Offset.headerLength);
  bytes.fill(SPACE, Offset.messageType, Offset.schemaVersion);
  type.copy(bytes, Offset.messageType);
  bytes.writeUInt32BE(frame.schemaVersion, Offset.schemaVersion);
  bytes.writeBigUInt64BE(frame.createdDate, Offset.createdDate);
  bytes.writeBigInt64BE(frame.sequenceNumber, Offset.sequenceNumber);
  bytes.writeBigUInt64BE(frame.flags, Offset.flags);
  writeMessageId(bytes, frame.messageId);
  sha256(frame.payload).copy(bytes, Offset.digest);
  bytes.writeUInt32BE(frame.payloadType, Offset.payloadType);
  bytes.writeUInt32BE(frame.payload.length, Offset.payloadLength);
  bytes.set(frame.payload, PAYLOAD_START);
  return bytes;
}

/** How exact a message must be. */
export interface ParseOptions {
  /**
   * `strict` checks the digest and the payload's length, and refuses negative sequence numbers. `agent` reads as
   * AWS's agent does, which checks none of these: older clients send digests of another form.
   *
   * @default 'strict'
   */
  reading?: 'strict' | 'agent';
}

/**
 * Reads a message. The payload is a view into `bytes`, not a copy.
 *
 * @throws FrameError if it is no message, or one on which AWS's own readers stop or crash.
 */
export function parseFrame(bytes: Uint8Array, { reading = 'strict' }: ParseOptions = {}): Frame {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < PAYLOAD_START) {
    throw new FrameError(`A frame of ${buffer.length} bytes is too short: a header has ${PAYLOAD_START}.`);
  }
  const headerLength = buffer.readUInt32BE(Offset.headerLength);
  if (headerLength < HEADER_LENGTH || headerLength + PAYLOAD_LENGTH_SIZE > buffer.length) {
    throw new FrameError(
      `A header length of ${headerLength} is impossible in a frame of ${buffer.length} bytes.`,
    );
  }
  const messageType = trimmedType(buffer);
  if (messageType === '') throw new FrameError('The frame names no message type.');
  const payload = buffer.subarray(headerLength + PAYLOAD_LENGTH_SIZE);
  const frame: Frame = {
    messageType,
    schemaVersion: buffer.readUInt32BE(Offset.schemaVersion),
    createdDate: buffer.readBigUInt64BE(Offset.createdDate),
    sequenceNumber: buffer.readBigInt64BE(Offset.sequenceNumber),
    flags: buffer.readBigUInt64BE(Offset.flags),
    messageId: readMessageId(buffer),
    payloadType: buffer.readUInt32BE(Offset.payloadType),
    payload,
  };
  // The plugin checks nothing in these two, and nothing in them matters.
  if (messageType === 'start_publication' || messageType === 'pause_publication') return frame;
  if (frame.createdDate === 0n) throw new FrameError(`The ${messageType} frame has no date.`);
  if (reading === 'strict') checkContent(buffer, frame);
  return frame;
}

const TYPE_LENGTH = 32;
const HEADER_LENGTH = 116;
const PAYLOAD_LENGTH_SIZE = 4;
const PAYLOAD_START = HEADER_LENGTH + PAYLOAD_LENGTH_SIZE;
const SPACE = 0x20;

/** Where each field starts: agent/session/contracts/model.go of amazon-ssm-agent. */
const Offset = {
  headerLength: 0,
  messageType: 4,
  schemaVersion: 36,
  createdDate: 40,
  sequenceNumber: 48,
  flags: 56,
  messageId: 64,
  digest: 80,
  payloadType: 112,
  payloadLength: 116,
} as const;

function checkContent(buffer: Buffer, frame: Frame): void {
  const { messageType, sequenceNumber, payload } = frame;
  const length = buffer.readUInt32BE(Offset.payloadLength);
  if (length !== payload.length) {
    throw new FrameError(`The ${messageType} frame says ${length} bytes and has ${payload.length}.`);
  }
  if (sequenceNumber < 0n) {
    throw new FrameError(`The ${messageType} frame has the sequence number ${sequenceNumber}.`);
  }
  const digest = buffer.subarray(Offset.digest, Offset.payloadType);
  // As in the plugin, whose own empty messages carry any digest.
  if (length !== 0 && !sha256(payload).equals(digest)) {
    throw new FrameError(`The digest of ${messageType} ${sequenceNumber} does not fit its payload.`);
  }
}

function trimmedType(buffer: Buffer): string {
  let [start, end] = [Offset.messageType as number, Offset.schemaVersion as number];
  // Readers trim NULs first, then spaces, on both sides.
  for (const padding of [0, SPACE]) {
    while (start < end && buffer[start] === padding) start += 1;
    while (end > start && buffer[end - 1] === padding) end -= 1;
  }
  return buffer.toString('utf8', start, end);
}

/** The wire has the second half of a UUID before the first. */
function writeMessageId(bytes: Buffer, messageId: string): void {
  if (!UUID.test(messageId)) throw new FrameError(`«${messageId}» is no UUID.`);
  const half = messageId.length === 36 ? 18 : 16;
  const [first, second] = [messageId.slice(0, half), messageId.slice(half)];
  bytes.write(second.replaceAll('-', '') + first.replaceAll('-', ''), Offset.messageId, 'hex');
}

const UUID = /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})$/i;

function readMessageId(buffer: Buffer): string {
  const hex = buffer.toString('hex', Offset.messageId, Offset.digest);
  return `${hex.slice(16, 24)}-${hex.slice(24, 28)}-${hex.slice(28, 32)}-${hex.slice(0, 4)}-${hex.slice(4, 16)}`;
}

function sha256(payload: Uint8Array): Buffer {
  return hash('sha256', payload, 'buffer');
}
