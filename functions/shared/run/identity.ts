import { createHash } from 'node:crypto';

/** Lambda's limit on the name of a durable execution. */
const MAXIMUM_NAME_LENGTH = 64;

/** So many letters of a digest that a start by hand takes no more of the name than a scheduled time does. */
const DIGEST_LENGTH = 9;

/**
 * What makes a run one and the same, however often it is asked for: the time for which a schedule wants it, or, of one that
 * somebody starts by hand, what names the request.
 */
export type Occasion = { scheduledFor: Date } | { request: string };

/** A run's name, made of its identity, which is what makes it start once. By hand it is never that of a schedule. */
export function runIdOf(deployment: string, job: string, occasion: Occasion): string {
  const runId = `${deployment}-${job}-${'request' in occasion ? `manual-${digest(occasion.request)}` : compact(occasion.scheduledFor)}`;
  if (runId.length > MAXIMUM_NAME_LENGTH)
    throw new Error(
      `The run's name ${runId} is longer than the ${MAXIMUM_NAME_LENGTH} characters that Lambda allows: shorten the deployment's name.`,
    );
  return runId;
}

/**
 * What can be read from a name that {@link runIdOf} made; `undefined` for one made by somebody else. The name of a run that was
 * started by hand tells no time.
 */
export function identityOf(
  runId: string,
  deployment: string,
): { job: string; scheduledFor: string | undefined } | undefined {
  if (!runId.startsWith(`${deployment}-`)) return undefined;
  const rest = runId.slice(deployment.length + 1);
  const [, byHand] = /^(.+)-manual-[0-9a-f]{9}$/.exec(rest) ?? [];
  if (byHand) return { job: byHand, scheduledFor: undefined };
  const [, job, date, time] = /^(.+)-(\d{8})T(\d{6})Z$/.exec(rest) ?? [];
  if (!job || !date || !time) return undefined;
  const day = `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}`;
  const moment = `${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4)}`;
  return { job, scheduledFor: `${day}T${moment}.000Z` };
}

function compact(scheduledFor: Date): string {
  return `${scheduledFor.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

function digest(request: string): string {
  return createHash('sha256').update(request).digest('hex').slice(0, DIGEST_LENGTH);
}
