import { setTimeout } from 'node:timers/promises';
import {
  CloudWatchLogsClient,
  type FilteredLogEvent,
  paginateFilterLogEvents,
} from '@aws-sdk/client-cloudwatch-logs';
import { LambdaClient, paginateGetDurableExecutionHistory } from '@aws-sdk/client-lambda';
import { Command } from 'commander';
import { type BegunRun, functionOf, runNamed, runWith } from './deployments.ts';
import { EXIT_CODES_HELP, giveUp, helpText, levelText } from './output.ts';
import { type LogLine, RunLines } from './run-lines.ts';

/** Between two looks at a log that grows. */
const LOOK_MS = 2_000;
/** The clocks of Lambda and of the function's log need not agree to the second, and the last lines come after the run's end. */
const BEFORE_MS = 10_000;
const AFTER_MS = 60_000;

interface LogsOptions {
  follow?: true;
  json?: true;
  region?: string;
}

/** `wa-upkeep logs`: what the function logged in one run. */
export function logsCommand(): Command {
  return new Command('logs')
    .summary("the function's lines of one run")
    .description(
      "Reads a run's lines in the log of its function, those of each invocation that the run had, and no others.",
    )
    .argument('<run>', "the run's name, or its execution's ARN")
    .option('--follow', 'of a run that goes on: its lines as they come, to its end')
    .option('--json', 'each line as an object in JSON, metrics and Lambda’s own lines among them')
    .option('--region <name>', 'default: that of the environment')
    .addHelpText(
      'after',
      helpText(`
Examples:
  wa-upkeep logs shop-message-gc-20261125T053000Z
  wa-upkeep logs --follow shop-log-cleanup-manual-17642

The log keeps its lines for as long as its retention says (three months by default), Lambda the run for as long as the job's does.
${EXIT_CODES_HELP}`),
    )
    .action(async (name: string, options: LogsOptions) => {
      try {
        const where = { ...(options.region && { region: options.region }) };
        const lambda = new LambdaClient(where);
        const run = await runNamed(lambda, name);
        await tell(lambda, new CloudWatchLogsClient(where), run, options);
      } catch (error) {
        giveUp(error);
      }
    });
}

async function tell(
  lambda: LambdaClient,
  logs: CloudWatchLogsClient,
  run: BegunRun,
  { follow, json }: LogsOptions,
): Promise<void> {
  const { logGroup: group } = await functionOf(lambda, run.arn);
  const lines = new RunLines([run.runId, run.arn]);
  const seen = new Set<string>();
  const enough = new AbortController();
  const stop = () => enough.abort();
  if (follow) process.once('SIGINT', stop);
  let told = 0;
  try {
    for (let from = run.startedAt.getTime() - BEFORE_MS; ; ) {
      // Looked at before the log, so that what the last look misses came after the end.
      const { status, endedAt } = await runWith(lambda, run.arn);
      lines.learn(await invocationsOf(lambda, run.arn));
      for await (const event of eventsOf(logs, group, from, endedAt && endedAt.getTime() + AFTER_MS)) {
        if (seen.has(event.eventId ?? '')) continue;
        seen.add(event.eventId ?? '');
        from = Math.max(from, (event.timestamp ?? 0) - BEFORE_MS);
        lines.take({
          time: event.timestamp ?? 0,
          stream: event.logStreamName ?? '',
          text: (event.message ?? '').trimEnd(),
        });
      }
      for (const line of lines.given()) {
        const text = json ? JSON.stringify(line) : textOf(line);
        if (text === undefined) continue;
        process.stdout.write(`${text}\n`);
        told++;
      }
      if (!follow || status !== 'RUNNING') break;
      await setTimeout(LOOK_MS, undefined, { signal: enough.signal }).catch(() => {});
      if (enough.signal.aborted) break;
    }
  } finally {
    process.off('SIGINT', stop);
  }
  if (told === 0)
    process.stderr.write(
      `The log ${group} has no line of ${run.runId}${run.endedAt ? '' : ' yet'}: is it older than the log's retention?\n`,
    );
}

/** The request ids of those that have ended. */
async function invocationsOf(lambda: LambdaClient, arn: string): Promise<string[]> {
  const found: string[] = [];
  const pages = paginateGetDurableExecutionHistory(
    { client: lambda },
    { DurableExecutionArn: arn, IncludeExecutionData: false },
  );
  for await (const { Events: events = [] } of pages)
    for (const { InvocationCompletedDetails: details } of events)
      if (details?.RequestId) found.push(details.RequestId);
  return found;
}

async function* eventsOf(
  client: CloudWatchLogsClient,
  logGroupName: string,
  startTime: number,
  endTime: number | undefined,
): AsyncGenerator<FilteredLogEvent> {
  const pages = paginateFilterLogEvents(
    { client },
    { logGroupName, startTime, ...(endTime !== undefined && { endTime }) },
  );
  for await (const { events = [] } of pages) yield* events;
}

/** For a person, who does not read metrics; undefined of them. */
function textOf({ time, text }: LogLine): string | undefined {
  const at = new Date(time).toISOString().slice(11);
  try {
    const entry: unknown = JSON.parse(text);
    if (typeof entry === 'object' && entry !== null && '_aws' in entry) return undefined;
    if (typeof entry === 'object' && entry !== null && 'level' in entry && 'message' in entry) {
      const {
        level,
        message,
        timestamp: _,
        service: __,
        sampling_rate: ___,
        runId: ____,
        ...others
      } = entry as Record<string, unknown>;
      const rest = Object.keys(others).length > 0 ? `  ${JSON.stringify(others)}` : '';
      return `${at}  ${levelText(String(level))}  ${message}${rest}`;
    }
  } catch {
    // Not of our logger: as it is.
  }
  return `${at}  ${text}`;
}
