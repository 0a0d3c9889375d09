import type { OperationUpdate } from '@aws-sdk/client-lambda';
import { AwsError } from '../../aws-error.ts';

/** Of one execution, each retry and each poll counted as an operation (Lambda quotas, durable functions). */
export const MOST_OPERATIONS = 3000;
/**
 * Bytes of an operation's result or error. The API reference (June 2026) says 1 MB; what users met is this (issues of the SDK's
 * repositories), so it is what has to be enough.
 */
const LARGEST_PAYLOAD = 262_144;
/** Bytes of the answer of an execution that was started asynchronously (Lambda quotas, asynchronous invocations). */
export const LARGEST_ANSWER = 1_048_576;
/** Names of operations: API reference, `OperationUpdate`. */
const NAME = /^[\x20-\x7E]{1,256}$/;
/** Updates in one checkpoint. */
const MOST_UPDATES = 250;

/** Throws what Lambda refuses a checkpoint with. */
export function checkUpdates(updates: readonly OperationUpdate[]): void {
  if (updates.length > MOST_UPDATES) throw invalid(`a checkpoint has at most ${MOST_UPDATES} updates`);
  for (const { Id, Name, Payload, Error: error } of updates) {
    if (Name !== undefined && !NAME.test(Name)) {
      throw invalid(`the name of the operation ${Id} is not of the form ${NAME.source}`);
    }
    const bytes = Buffer.byteLength(Payload ?? '') + Buffer.byteLength(error ? JSON.stringify(error) : '');
    if (bytes > LARGEST_PAYLOAD) {
      throw invalid(
        `STEP output payload size must be less than or equal to ${LARGEST_PAYLOAD} bytes: ${Name ?? Id} has ${bytes}`,
      );
    }
  }
}

export function invalid(message: string): AwsError {
  return new AwsError('InvalidParameterValueException', message, { Type: 'User' });
}
