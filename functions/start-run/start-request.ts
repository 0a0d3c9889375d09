import { Temporal } from 'temporal-polyfill';
import * as v from 'valibot';
import { type Occasion, runIdOf } from '../shared/run/identity.ts';
import { isObject } from '../shared/run/is-object.ts';
import { parseOrThrow } from '../shared/run/settings.ts';
import {
  type JobTarget,
  MAXIMUM_EVENT_BYTES,
  OLDEST_START_HOURS,
  type StartRunEvent,
  type StartRunSettings,
} from './contract.ts';

/** A request to start a run, checked. */
export interface StartRequest {
  job: string;
  target: JobTarget;
  runId: string;
  /** When the schedule wanted it, or now. */
  scheduledFor: Date;
  /** A person wants it outside the downtime window too. */
  outsideWindow: boolean;
  options: Record<string, unknown> | undefined;
}

/** How far ahead of ours the clock of the scheduler may be. */
const CLOCK_SKEW_MS = 30_000;
const HOUR_MS = 3600_000;
/** How much of a text from outside an error's text shows. */
const SHOWN_CHARACTERS = 80;

/** An instant, to the minute at least, with its offset from UTC. */
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;

const eventSchema = v.strictObject({
  job: v.string(),
  deployment: v.string(),
  scheduledFor: v.exactOptional(
    v.pipe(
      v.string(),
      v.check(
        (text) => instantOf(text) !== undefined,
        'an ISO 8601 time with its zone, such as 2026-11-25T05:30:00Z',
      ),
    ),
  ),
  request: v.exactOptional(v.pipe(v.string(), v.minLength(1))),
  outsideWindow: v.exactOptional(v.boolean()),
  options: v.exactOptional(v.record(v.string(), v.unknown())),
}) satisfies v.GenericSchema<StartRunEvent>;

const FIELDS = Object.keys(eventSchema.entries);

/**
 * Reads what a schedule or a person asks for.
 * @param requestId Lambda's, which is the same when it repeats the invocation.
 * @throws Error saying what to correct.
 */
export function readRequest(
  event: unknown,
  settings: StartRunSettings,
  now: Date,
  requestId: string,
): StartRequest {
  const bytes = Buffer.byteLength(JSON.stringify(event) ?? '');
  if (bytes > MAXIMUM_EVENT_BYTES)
    throw new Error(
      `The event for start-run has ${bytes} bytes as JSON; at most ${MAXIMUM_EVENT_BYTES} are taken.`,
    );
  // Misspelled, "scheduledFor" or "outsideWindow" would be no mistake but another request.
  const unknown = Object.keys(isObject(event) ? event : {}).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined)
    throw new Error(
      `The event for start-run has a field ${JSON.stringify(shown(unknown))}, which it does not know; it knows ${FIELDS.join(', ')}.`,
    );
  const parsed = parseOrThrow(eventSchema, event, 'The event for start-run');
  const { job, deployment, scheduledFor, request = requestId, outsideWindow = false, options } = parsed;
  // An object from JSON has members of its own only where the configuration has them.
  const target = Object.hasOwn(settings.jobs, job) ? settings.jobs[job] : undefined;
  if (deployment !== settings.deployment || !target)
    throw new Error(
      `This start-run starts ${Object.keys(settings.jobs).join(', ')} of ${settings.deployment}, not ${shown(job)} of ${shown(deployment)}. Correct the event's "job" and "deployment".`,
    );
  const scheduled = scheduledFor === undefined ? undefined : instantOf(scheduledFor);
  if (scheduled) {
    const age = now.getTime() - scheduled.getTime();
    if (age < -CLOCK_SKEW_MS)
      throw new Error(
        `The event for start-run has a "scheduledFor" that lies ahead: ${scheduled.toISOString()}, and now it is ${now.toISOString()}. A run is started when it is due; to start one by hand, leave "scheduledFor" out.`,
      );
    if (age > OLDEST_START_HOURS * HOUR_MS)
      throw new Error(
        `The event for start-run has a "scheduledFor" more than ${OLDEST_START_HOURS} hours ago: ${scheduled.toISOString()}. To start a run by hand, leave "scheduledFor" out.`,
      );
    if (parsed.request !== undefined || outsideWindow)
      throw new Error(
        'The event for start-run has "scheduledFor", which is a schedule\'s, beside "request" or "outsideWindow", which are for a start by hand. Leave "scheduledFor" out.',
      );
  }
  const occasion: Occasion = scheduled ? { scheduledFor: scheduled } : { request };
  return {
    job,
    target,
    runId: runIdOf(deployment, job, occasion),
    scheduledFor: scheduled ?? now,
    outsideWindow,
    options,
  };
}

function instantOf(text: string): Date | undefined {
  if (!INSTANT.test(text)) return undefined;
  try {
    return new Date(Temporal.Instant.from(text).epochMilliseconds);
  } catch {
    return undefined;
  }
}

function shown(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}
