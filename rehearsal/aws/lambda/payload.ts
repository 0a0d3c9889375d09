import { AwsError } from '../aws-error.ts';

/** An asynchronous payload and a synchronous one may have so many bytes. */
const LARGEST_EVENT = 1_048_576;
const LARGEST_REQUEST = 6_291_456;

/** @throws AwsError if Lambda would not take it */
export function parsePayload(payload: string, type: string): void {
  if (payload.length > (type === 'Event' ? LARGEST_EVENT : LARGEST_REQUEST)) {
    throw new AwsError('RequestTooLargeException', 'Request must be smaller than the limit.', {
      Type: 'User',
    });
  }
  try {
    JSON.parse(payload);
  } catch {
    throw new AwsError('InvalidRequestContentException', 'Could not parse request body into json.', {
      Type: 'User',
    });
  }
}
