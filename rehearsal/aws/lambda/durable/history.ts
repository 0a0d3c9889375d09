import type { ErrorObject, Event, EventType } from '@aws-sdk/client-lambda';

type Details = Omit<Event, 'EventId' | 'EventTimestamp' | 'EventType'>;

/** Events on a page by default, and at most (API reference of GetDurableExecutionHistory, July 2026). */
const DEFAULT_PAGE = 100;
const LARGEST_PAGE = 1000;

/**
 * What happened in an execution, an event for each, numbered as they come: those of the operations, each attempt and each
 * poll with its own, and one for each invocation that ended. The form is that of the histories which AWS publishes beside
 * its SDK's examples (aws/aws-durable-execution-sdk-js, `*.history.json`, June 2026).
 */
export class History {
  readonly #events: Event[] = [];

  add(type: EventType, time: number, details: Details): void {
    const id = this.#events.length + 1;
    this.#events.push({ ...details, EventType: type, EventId: id, EventTimestamp: new Date(time) });
  }

  /** Without payloads, in order. */
  all(): Event[] {
    return this.#events.map(withoutData);
  }

  /** As GetDurableExecutionHistory answers: without their payloads, unless these are asked for. */
  page(options: {
    reverse: boolean;
    withData: boolean;
    marker: string | undefined;
    size: number | undefined;
  }): { Events: Event[]; NextMarker?: string } {
    const { reverse, withData, marker, size } = options;
    const ordered = reverse ? this.#events.toReversed() : this.#events;
    const from = Number(marker ?? 0);
    const next = from + Math.min(size || DEFAULT_PAGE, LARGEST_PAGE);
    return {
      Events: ordered.slice(from, next).map((event) => (withData ? event : withoutData(event))),
      ...(next < ordered.length && { NextMarker: String(next) }),
    };
  }
}

/** An error as events have it; `{}` where there is none. */
export function eventError(error: ErrorObject | undefined) {
  return { Error: error === undefined ? {} : { Payload: error } };
}

export function eventResult(result: string | undefined) {
  return { Result: result === undefined ? {} : { Payload: result } };
}

/** The details stay, but for inputs, results and errors' texts. */
function withoutData(event: Event): Event {
  return Object.fromEntries(
    Object.entries(event).map(([key, value]) => [
      key,
      key.endsWith('Details') && typeof value === 'object' ? stripped(value) : value,
    ]),
  ) as unknown as Event;
}

function stripped(details: object): object {
  return Object.fromEntries(
    Object.entries(details).map(([key, value]) => [
      key,
      ['Input', 'Result', 'Error'].includes(key) && Object.keys(value ?? {}).length > 0
        ? { Truncated: true }
        : value,
    ]),
  );
}
