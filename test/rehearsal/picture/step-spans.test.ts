import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event } from '@aws-sdk/client-lambda';
import { stepSpans } from '../../../rehearsal/picture/step-spans.ts';

const at = (second: number) => new Date(second * 1000);
const event = (second: number, type: Event['EventType'], details: Partial<Event> = {}): Event => ({
  EventType: type,
  EventTimestamp: at(second),
  Id: '1',
  Name: 'ask',
  ...details,
});

/** In seconds, as `works 1-2`. */
function shown(events: Event[], end = 100): string[] {
  return stepSpans(events, end * 1000).spans.map(
    ({ step, kind, begin, end }) => `${step} ${kind} ${begin / 1000}-${end / 1000}`,
  );
}

test('a step that fails is tried again after a wait', () => {
  assert.deepEqual(
    shown([
      event(1, 'StepStarted'),
      event(2, 'StepFailed', {
        StepFailedDetails: { Error: {}, RetryDetails: { NextAttemptDelaySeconds: 5 } },
      }),
      event(7, 'StepStarted'),
      event(8, 'StepSucceeded', { StepSucceededDetails: { Result: {}, RetryDetails: {} } }),
    ]),
    ['ask fails 1-2', 'ask retry 2-7', 'ask works 7-8'],
  );
});

test('a step that fails for good has no wait after it', () => {
  assert.deepEqual(
    shown([
      event(1, 'StepStarted'),
      event(2, 'StepFailed', { StepFailedDetails: { Error: {}, RetryDetails: {} } }),
    ]),
    ['ask fails 1-2'],
  );
});

test('between two looks whether something has come about, and while a wait lasts, a run waits', () => {
  assert.deepEqual(
    shown([
      event(1, 'StepStarted'),
      event(1, 'StepSucceeded', {
        StepSucceededDetails: { Result: {}, RetryDetails: { NextAttemptDelaySeconds: 15 } },
      }),
      event(16, 'StepStarted'),
      event(17, 'StepSucceeded', { StepSucceededDetails: { Result: {}, RetryDetails: {} } }),
      event(17, 'WaitStarted', { Id: '2', Name: 'pause' }),
      event(77, 'WaitSucceeded', { Id: '2', Name: 'pause' }),
    ]),
    ['ask works 1-1', 'ask waits 1-16', 'ask works 16-17', 'pause waits 17-77'],
  );
});

test("what a run was at when it was cut off lasts to the run's end", () => {
  assert.deepEqual(shown([event(1, 'StepStarted')], 9), ['ask works 1-9']);
});

test('invocations that ended with an error are told by their time, others are not', () => {
  const { crashes } = stepSpans(
    [
      event(3, 'InvocationCompleted', {
        InvocationCompletedDetails: {
          StartTimestamp: at(1),
          EndTimestamp: at(3),
          RequestId: 'r',
          Error: { Truncated: true },
        },
      }),
      event(5, 'InvocationCompleted', {
        InvocationCompletedDetails: { StartTimestamp: at(4), EndTimestamp: at(5), RequestId: 'r', Error: {} },
      }),
    ],
    9000,
  );
  assert.deepEqual(crashes, [3000]);
});
