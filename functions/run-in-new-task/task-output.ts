import { CloudWatchLogsClient, GetLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { taskIdOf } from '../shared/containers/discover-containers.ts';
import { firstWords, lastWords } from '../shared/containers/words.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import type { Launch } from './launch.ts';

/** The beginning of a container's output and its end, or why they are not known. */
export type TaskOutput = { first: string; last: string } | { unread: string };

/** Lines that are asked for: more than enough for the words that are told. */
const LINES = 50;
/** Pages that may be empty though more follow (API reference of GetLogEvents: as long as the token is another one). */
const EMPTY_PAGES = 20;
/** Bytes of the beginning. */
const FIRST_BYTES = 500;

/**
 * Reads the log stream of a task's container, whose name is made of the prefix, the container's name and the task's id
 * (Developer Guide, awslogs).
 */
export async function readOutput(
  log: Launch['log'],
  { container, taskArn }: { container: string; taskArn: string },
): Promise<TaskOutput> {
  if (log === undefined)
    return { unread: 'its container does not log to CloudWatch Logs by "awslogs" with a stream prefix' };
  const logs = namingErrors(
    new CloudWatchLogsClient({ ...(log.region && { region: log.region }), requestHandler: REQUEST_LIMITS }),
  );
  const stream = {
    logGroupName: log.group,
    logStreamName: `${log.streamPrefix}/${container}/${taskIdOf(taskArn)}`,
    limit: LINES,
  };
  const linesOf = async (startFromHead: boolean) => {
    let nextToken: string | undefined;
    for (let page = 1; ; page++) {
      const answer = await logs.send(
        new GetLogEventsCommand({ ...stream, startFromHead, ...(nextToken !== undefined && { nextToken }) }),
      );
      const { events = [], nextForwardToken, nextBackwardToken } = answer;
      const further = startFromHead ? nextForwardToken : nextBackwardToken;
      if (events.length > 0 || further === nextToken || page === EMPTY_PAGES)
        return events.map(({ message = '' }) => `${message}\n`).join('');
      nextToken = further;
    }
  };
  try {
    return { first: firstWords(await linesOf(true), FIRST_BYTES), last: lastWords(await linesOf(false)) };
  } catch (error) {
    return { unread: error instanceof Error ? error.message : String(error) };
  } finally {
    logs.destroy();
  }
}
