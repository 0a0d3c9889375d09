import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FrameError } from '../../../../functions/shared/ecs-exec/errors.ts';
import { type Frame, parseFrame, serializeFrame } from '../../../../functions/shared/ecs-exec/frame.ts';
import { NO_VECTORS, type VectorFields, vectors } from './vectors.ts';

describe('a frame', () => {
  it('has each field where the format says', () => {
    const payload = Buffer.from('ls -l\r');
    const expected = Buffer.concat([
      Buffer.from([0, 0, 0, 116]),
      Buffer.from('input_stream_data'.padEnd(32, ' ')),
      Buffer.from([0, 0, 0, 1]),
      Buffer.from('0000015e0baa7884', 'hex'),
      Buffer.from('0000000000000005', 'hex'),
      Buffer.from('0000000000000003', 'hex'),
      Buffer.from('8899aabbccddeeff', 'hex'),
      Buffer.from('0011223344556677', 'hex'),
      createHash('sha256').update(payload).digest(),
      Buffer.from([0, 0, 0, 1]),
      Buffer.from([0, 0, 0, 6]),
      payload,
    ]);
    const frame: Frame = {
      messageType: 'input_stream_data',
      schemaVersion: 1,
      createdDate: 0x15e0baa7884n,
      sequenceNumber: 5n,
      flags: 3n,
      messageId: '00112233-4455-6677-8899-aabbccddeeff',
      payloadType: 1,
      payload,
    };
    assert.deepEqual(serializeFrame(frame), expected);
    assert.deepEqual(parseFrame(expected), frame);
  });

  it('comes back as it was, whatever its fields', () => {
    fc.assert(
      fc.property(
        fc.record(
          {
            messageType: fc.stringMatching(/^[a-z_]{1,32}$/),
            schemaVersion: fc.nat(0xffffffff),
            createdDate: fc.bigInt(1n, 2n ** 64n - 1n),
            sequenceNumber: fc.bigInt(0n, 2n ** 63n - 1n),
            flags: fc.bigInt(0n, 2n ** 64n - 1n),
            messageId: fc.uuid(),
            payloadType: fc.nat(0xffffffff),
            payload: fc.uint8Array({ minLength: 1, maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
          },
          { noNullPrototype: true },
        ),
        (frame) => assert.deepEqual(parseFrame(serializeFrame(frame)), frame),
      ),
    );
  });

  it('is refused with an error, never a crash, whatever its bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          parseFrame(bytes);
        } catch (error) {
          assert.ok(error instanceof FrameError);
        }
      }),
    );
  });

  it('is refused if one bit of its payload changed on the way', () => {
    const bytes = serializeFrame({
      messageType: 'output_stream_data',
      schemaVersion: 1,
      createdDate: 1n,
      sequenceNumber: 0n,
      flags: 1n,
      messageId: '00112233-4455-6677-8899-aabbccddeeff',
      payloadType: 1,
      payload: Buffer.from('hello'),
    });
    bytes[122] = (bytes[122] ?? 0) ^ 1;
    assert.throws(() => parseFrame(bytes), /digest of output_stream_data 0 does not fit/);
    assert.equal(Buffer.from(parseFrame(bytes, { reading: 'agent' }).payload).toString(), 'hemlo');
  });
});

describe("AWS's own frames", { skip: NO_VECTORS }, () => {
  for (const { name, bytesBase64, fields } of vectors?.frames ?? []) {
    it(`are made and read alike: ${name}`, () => {
      const bytes = Buffer.from(bytesBase64, 'base64');
      assert.deepEqual(serializeFrame(frameOf(fields)), bytes);
      assert.deepEqual(parseFrame(bytes), frameOf(fields));
    });
  }

  for (const { name, fields } of vectors?.serializerRefusals ?? []) {
    it(`are not made where AWS's serializers fail: ${name}`, () => {
      assert.throws(() => serializeFrame(frameOf(fields)), FrameError);
    });
  }

  /** Accepted by AWS's plugin, refused by us, because the fields contradict each other. */
  const stricter = /payload length|sequence number negative/;

  for (const { name, bytesBase64, plugin, agent } of vectors?.parserCases ?? []) {
    it(`are judged as AWS's parsers do, or more strictly: ${name}`, () => {
      const bytes = Buffer.from(bytesBase64, 'base64');
      if (plugin.decoded === undefined || stricter.test(name)) {
        assert.throws(() => parseFrame(bytes), FrameError);
      } else {
        assert.deepEqual(parseFrame(bytes), frameOf(plugin.decoded));
      }
      if (agent.panic !== undefined) assert.throws(() => parseFrame(bytes, { reading: 'agent' }), FrameError);
    });
  }
});

function frameOf(fields: VectorFields): Frame {
  return {
    messageType: fields.messageType,
    schemaVersion: fields.schemaVersion,
    createdDate: BigInt(fields.createdDate),
    sequenceNumber: BigInt(fields.sequenceNumber),
    flags: BigInt(fields.flags),
    messageId: fields.messageId,
    payloadType: fields.payloadType,
    payload: Buffer.from(fields.payloadBase64, 'base64'),
  };
}
