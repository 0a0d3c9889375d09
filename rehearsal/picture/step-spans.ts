import type { Event } from '@aws-sdk/client-lambda';

/** A part of a run's time. Times are epoch milliseconds on the night's clock. */
export interface StepSpan {
  /** Of the operation. */
  step: string;
  /**
   * `works`: an attempt, or a look whether something has come about. `fails`: an attempt that failed. `retry`: until the next
   * attempt after one that failed. `waits`: between two looks, for a time, or for a callback.
   */
  kind: 'works' | 'fails' | 'retry' | 'waits';
  begin: number;
  end: number;
}

/** What a run's history says of its steps, in the order in which they began, and when invocations of it ended with an error. */
export function stepSpans(
  events: readonly Event[],
  endOfRun: number,
): { spans: StepSpan[]; crashes: number[] } {
  const spans: StepSpan[] = [];
  const crashes: number[] = [];
  /** What each operation is at. */
  const open = new Map<string, StepSpan>();
  const close = (id: string, time: number, kind?: StepSpan['kind']): void => {
    const span = open.get(id);
    if (!span) return;
    open.delete(id);
    spans.push({ ...span, end: time, ...(kind && { kind }) });
  };
  for (const event of events) {
    const { EventType: type = '', Id: id = '', Name: step = id, EventTimestamp: at } = event;
    const time = at?.getTime() ?? endOfRun;
    const begin = (kind: StepSpan['kind']) => {
      close(id, time);
      open.set(id, { step, kind, begin: time, end: time });
    };
    switch (type) {
      case 'StepStarted':
        begin('works');
        break;
      case 'StepSucceeded':
        close(id, time);
        // A look that did not find it: there is another one.
        if (event.StepSucceededDetails?.RetryDetails?.NextAttemptDelaySeconds !== undefined) begin('waits');
        break;
      case 'StepFailed':
        close(id, time, 'fails');
        if (event.StepFailedDetails?.RetryDetails?.NextAttemptDelaySeconds !== undefined) begin('retry');
        break;
      case 'WaitStarted':
      case 'CallbackStarted':
        begin('waits');
        break;
      case 'WaitSucceeded':
      case 'WaitCancelled':
      case 'CallbackSucceeded':
      case 'CallbackFailed':
      case 'CallbackTimedOut':
        close(id, time);
        break;
      case 'InvocationCompleted':
        if (Object.keys(event.InvocationCompletedDetails?.Error ?? {}).length > 0) crashes.push(time);
        break;
    }
  }
  for (const id of [...open.keys()]) close(id, endOfRun);
  return { spans: spans.sort((one, other) => one.begin - other.begin), crashes };
}
