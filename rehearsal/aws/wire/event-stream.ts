import { EventStreamCodec } from '@smithy/core/event-streams';
import type { NormalizedSchema } from '@smithy/core/schema';
import { encode, JSON_FORMAT } from './codec.ts';
import type { OperationShape } from './shape.ts';
import { isRecord } from './values.ts';

const CODEC = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString(),
  (text) => Buffer.from(text),
);

/** The member of an answer that is a stream of events, if one is. */
export function eventsOf(
  operation: OperationShape,
  output: unknown,
): { events: AsyncIterable<unknown>; schema: NormalizedSchema } | undefined {
  if (!isRecord(output) || !operation.output.isStructSchema()) return undefined;
  for (const [name, schema] of operation.output.structIterator()) {
    const events = output[name];
    if (isEvents(events)) return { events, schema };
  }
  return undefined;
}

/** A stream of events as JSON, as services of the JSON protocol answer with: each `{ NAME: VALUE }` of the schema's. */
export async function* writeEvents(
  operation: OperationShape,
  { events, schema }: { events: AsyncIterable<unknown>; schema: NormalizedSchema },
): AsyncIterable<Uint8Array> {
  yield messageOf('initial-response', '{}');
  for await (const event of events)
    for (const [name, value] of Object.entries(isRecord(event) ? event : {}))
      yield messageOf(
        name,
        JSON.stringify(encode(schema.getMemberSchema(name), value, `${operation.name}.${name}`, JSON_FORMAT)),
      );
}

function isEvents(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

function messageOf(eventType: string, body: string): Uint8Array {
  const text = (value: string) => ({ type: 'string' as const, value });
  return CODEC.encode({
    headers: {
      ':message-type': text('event'),
      ':event-type': text(eventType),
      ':content-type': text('application/json'),
    },
    body: Buffer.from(body),
  });
}
