import { randomUUID } from 'node:crypto';
import type { Cloud, InvocationError, InvocationOutcome } from '../cloud.ts';
import { LOST } from './environments.ts';
import type { Target } from './function.ts';

/** What Lambda runs and counts for those who invoke functions. */
export interface Runner {
  /** Runs one invocation in a process. */
  run(
    target: Target,
    payload: string,
    seen: { payload: string; attempt: number },
    requestId?: string,
  ): Promise<InvocationOutcome>;
  /** A value of one of Lambda's metrics, for the function and, if it was invoked by one, the alias. */
  count(target: Target, metric: string, value: number): void;
}

interface Event {
  target: Target;
  payload: string;
  requestId: string;
  attempt: number;
  accepted: number;
}

/** Lambda's defaults for asynchronous invocations: two retries, one and then two minutes later, within six hours. */
export const DEFAULT_RETRIES = 2;
export const DEFAULT_AGE_SECONDS = 21_600;
const RETRY_WAITS = [60_000, 120_000];

/** Lambda's asynchronous invocations, and where it puts what failed. */
export class AsynchronousInvocations {
  readonly #aws: Cloud;
  readonly #runner: Runner;

  constructor(aws: Cloud, runner: Runner) {
    this.#aws = aws;
    this.#runner = runner;
  }

  /** Takes an event for a function that is not durable. */
  enqueue(target: Target, payload: string): void {
    const { clock } = this.#aws;
    this.#runner.count(target, 'AsyncEventsReceived', 1);
    const event = { target, payload, requestId: randomUUID(), attempt: 1, accepted: clock.now() };
    clock.at(clock.now(), () => this.#attempt(event));
  }

  /** Sends an event that failed for good to the function's dead-letter queue, if it has one. */
  deadLetter(target: Target, payload: string, error: InvocationError): void {
    const { fn } = target;
    const arn = fn.resource.properties.child('DeadLetterConfig')?.text('TargetArn');
    if (arn === undefined) return;
    const text = (value: string) => ({ DataType: 'String', StringValue: value });
    const refused = arn.startsWith('arn:aws:sqs:')
      ? this.#aws.sqs.deliver(
          fn.role,
          arn,
          payload,
          {
            RequestID: text(randomUUID()),
            ErrorCode: { DataType: 'Number', StringValue: '200' },
            ErrorMessage: text(error.errorMessage.slice(0, 1024) || error.errorType),
          },
          {},
        )
      : `dead-letter targets like ${arn} are not understood`;
    if (refused === undefined) return;
    this.#runner.count(target, 'DeadLetterErrors', 1);
    this.#aws.drop(fn.arn, arn, refused);
  }

  async #attempt(event: Event): Promise<void> {
    const { target, payload, requestId, attempt, accepted } = event;
    const { clock } = this.#aws;
    const settings = target.fn.asynchronous.get(target.qualifier ?? '$LATEST') ?? {
      retries: DEFAULT_RETRIES,
      maximumAge: DEFAULT_AGE_SECONDS * 1000,
      onFailure: undefined,
    };
    const outcome = await this.#runner.run(target, payload, { payload, attempt }, requestId);
    if (outcome.outcome === 'returned' || outcome.error.errorType === LOST) return;
    const wait = RETRY_WAITS[attempt - 1] ?? 0;
    const tooOld = clock.now() + wait - accepted > settings.maximumAge;
    if (attempt <= settings.retries && !tooOld) {
      clock.at(clock.now() + wait, () => this.#attempt({ ...event, attempt: attempt + 1 }));
      return;
    }
    this.#runner.count(target, 'AsyncEventsDropped', 1);
    this.deadLetter(target, payload, outcome.error);
    if (settings.onFailure !== undefined) {
      const condition = tooOld ? 'EventAgeExceeded' : 'RetriesExhausted';
      this.#toDestination(settings.onFailure, event, condition, outcome.error);
    }
  }

  #toDestination(destination: string, event: Event, condition: string, error: InvocationError): void {
    const { target, payload, requestId, attempt } = event;
    const record = {
      version: '1.0',
      timestamp: new Date(this.#aws.clock.now()).toISOString(),
      requestContext: {
        requestId,
        functionArn: target.arn,
        condition,
        approximateInvokeCount: attempt,
      },
      requestPayload: JSON.parse(payload),
      responseContext: { statusCode: 200, executedVersion: target.version, functionError: 'Unhandled' },
      responsePayload: error,
    };
    const refused = destination.startsWith('arn:aws:sqs:')
      ? this.#aws.sqs.deliver(target.fn.role, destination, JSON.stringify(record), {}, {})
      : `destinations like ${destination} are not understood`;
    if (refused === undefined) return;
    this.#runner.count(target, 'DestinationDeliveryFailures', 1);
    this.#aws.drop(target.fn.arn, destination, refused);
  }
}
