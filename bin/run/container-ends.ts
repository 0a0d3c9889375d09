import { CloudWatchLogsClient, paginateFilterLogEvents } from '@aws-sdk/client-cloudwatch-logs';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import { CONTAINER_ENDED, type ContainerEnd } from '../../functions/shared/containers/container-ended.ts';
import { awsTime, type BegunRun, functionOf } from '../deployments.ts';
import { messageOf } from '../output.ts';

/** The clocks of Lambda and of the function's log need not agree to the second, and lines come late. */
const BEFORE_MS = 10_000;

/** The containers in which a run's command has ended, as the function's log tells them while the run goes on. */
export class ContainerEnds {
  readonly #lambda: LambdaClient;
  readonly #logs: CloudWatchLogsClient;
  readonly #seen = new Set<string>();
  #from: number | undefined;
  #group: string | undefined;
  #isOver = false;

  constructor(lambda: LambdaClient) {
    this.#lambda = lambda;
    this.#logs = new CloudWatchLogsClient({ region: () => lambda.config.region() });
  }

  /** A line for each since the last look. Where it may not be looked, one line that says so, once. */
  async since({ runId, arn, startedAt }: BegunRun): Promise<{ time: Date; text: string }[]> {
    if (this.#isOver) return [];
    try {
      if (this.#group === undefined) {
        const { logGroup, worksInContainers } = await functionOf(this.#lambda, arn);
        this.#group = logGroup;
        this.#isOver = !worksInContainers;
        if (this.#isOver) return [];
      }
      this.#from ??= startedAt.getTime() - BEFORE_MS;
      const pages = paginateFilterLogEvents(
        { client: this.#logs },
        {
          logGroupName: this.#group,
          startTime: this.#from,
          filterPattern: `"${CONTAINER_ENDED}" "${runId}"`,
        },
      );
      const found: { time: Date; text: string }[] = [];
      for await (const { events = [] } of pages)
        for (const { eventId = '', timestamp = 0, message = '' } of events) {
          if (this.#seen.has(eventId)) continue;
          this.#seen.add(eventId);
          this.#from = Math.max(this.#from, timestamp - BEFORE_MS);
          const end = JSON.parse(message) as ContainerEnd & { runId: string };
          if (end.runId === runId) found.push({ time: new Date(timestamp), text: textOf(end) });
        }
      return found;
    } catch (error) {
      this.#isOver = true;
      return [
        { time: awsTime(this.#lambda), text: `containers are not shown as they end: ${messageOf(error)}` },
      ];
    }
  }
}

function textOf({ role, task, container, outcome, exitCode, seconds, attempt }: ContainerEnd): string {
  const how = outcome === 'exited' ? `exit code ${exitCode}` : outcome;
  const again = attempt > 1 ? `, try ${attempt}` : '';
  return `${role} ${task}/${container}: ${how} after ${seconds} s${again}`;
}
