import { cbor, dateToTag } from '@smithy/core/cbor';
import { decodeStructure, encode, JSON_FORMAT, parseJson } from './codec.ts';
import type { OperationShape } from './shape.ts';

/** The input of a JSON 1.0 or 1.1 request. */
export function readJson(operation: OperationShape, body: Buffer): Record<string, unknown> {
  return decodeStructure(operation.input, body.length === 0 ? {} : parseJson(body), operation.name);
}

export function writeJson(operation: OperationShape, output: unknown): string {
  return operation.output.isUnitSchema()
    ? '{}'
    : JSON.stringify(encode(operation.output, output, operation.name, JSON_FORMAT));
}

/** The input of an RPC v2 CBOR request, which the AWS CLI speaks with CloudWatch. */
export function readCbor(operation: OperationShape, body: Buffer): Record<string, unknown> {
  return decodeStructure(operation.input, body.length === 0 ? {} : cbor.deserialize(body), operation.name);
}

export function writeCbor(operation: OperationShape, output: unknown): Uint8Array {
  if (operation.output.isUnitSchema()) return cbor.serialize({});
  return cbor.serialize(
    encode(operation.output, output, operation.name, { timestamp: dateToTag, blob: (bytes) => bytes }),
  );
}
