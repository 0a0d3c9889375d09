/** Lambda's limit on the name of a durable execution. */
const MAXIMUM_NAME_LENGTH = 64;

/** A run's name, made of its identity, which is what makes it start once. */
export function runIdOf(deployment: string, job: string, scheduledFor: Date): string {
  const compactTime = `${scheduledFor.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
  const runId = `${deployment}-${job}-${compactTime}`;
  if (runId.length > MAXIMUM_NAME_LENGTH)
    throw new Error(
      `The run's name ${runId} is longer than the ${MAXIMUM_NAME_LENGTH} characters that Lambda allows: shorten the deployment's name.`,
    );
  return runId;
}

/** What {@link runIdOf} was given, read from the name; `undefined` for a name made by somebody else. */
export function identityOf(
  runId: string,
  deployment: string,
): { job: string; scheduledFor: string } | undefined {
  const [, job, date, time] =
    /^(.+)-(\d{8})T(\d{6})Z$/.exec(
      runId.startsWith(`${deployment}-`) ? runId.slice(deployment.length + 1) : '',
    ) ?? [];
  if (!job || !date || !time) return undefined;
  const day = `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}`;
  const moment = `${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4)}`;
  return { job, scheduledFor: `${day}T${moment}.000Z` };
}
