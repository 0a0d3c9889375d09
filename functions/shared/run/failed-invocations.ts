import { type Event, LambdaClient, paginateGetDurableExecutionHistory } from '@aws-sdk/client-lambda';
import { logger } from './publish-report.ts';
import { REQUEST_LIMITS } from './request-limits.ts';

/** Invocations in a row that ended by force without getting the run further. */
export interface FailedInvocations {
  /** Without those of which Lambda itself was the cause. */
  count: number;
  /** How the last one ended. */
  error: string;
  /** When the first one began, of those that were read. */
  since: Date | undefined;
  /** Whether the history has more than was read, all of which got nowhere. */
  goesFurtherBack: boolean;
}

/**
 * Events on a page: nearly always the newest few say that the run got further. Of an invocation that got nowhere there are few more, but for
 * what it begins at once, such as commands in many containers.
 */
const PAGE = 20;
/** Of those of the newest invocations that got nowhere: where the run got further, only the first is read. */
const PAGES = 50;

/** That the run got further. Not the beginning of a step, nor its failure, which a step that is cut has too. */
const PROGRESS = /^(Step|Context|Wait|Callback|ChainedInvoke)(Succeeded|Cancelled|TimedOut)$/;

/**
 * Of an invocation that ended because Lambda did not take, or not give, what is on record: it was throttled, or out for a moment
 * (`classifyCheckpointError` of the SDK; what the run itself has wrong fails the execution). A repetition is what helps, and giving
 * up would have to be recorded too.
 */
const NOT_RECORDED = /^Checkpoint failed: |\bRate exceeded\b|\bTooManyRequests/;

const lambda = new LambdaClient({ requestHandler: REQUEST_LIMITS });

/**
 * How often Lambda has repeated the invocation in vain, as the execution's history tells: each try is counted there, by Lambda
 * itself, whatever ended it. A history that cannot be read is none.
 * @param limits of the history: pages that are read at most, the newest first, and events on each.
 */
export async function failedInvocations(
  durableExecutionArn: string,
  { pages, pageSize } = { pages: PAGES, pageSize: PAGE },
): Promise<FailedInvocations> {
  const failed: FailedInvocations = { count: 0, error: '', since: undefined, goesFurtherBack: false };
  try {
    let read = 0;
    const history = paginateGetDurableExecutionHistory(
      { client: lambda, pageSize },
      { DurableExecutionArn: durableExecutionArn, ReverseOrder: true, IncludeExecutionData: true },
    );
    for await (const { Events: events = [], NextMarker: next } of history) {
      if (!countFailed(events, failed)) break;
      failed.goesFurtherBack = ++read >= pages && next !== undefined;
      if (failed.goesFurtherBack) break;
    }
  } catch (error) {
    logger.warn("The run's history cannot be read, so that its failed tries are not counted.", {
      error: error as Error,
    });
  }
  return failed;
}

/**
 * @param events the newest first.
 * @param failed what the events after them gave: it is counted up.
 * @returns whether those before them may count too.
 */
function countFailed(events: readonly Event[], failed: FailedInvocations): boolean {
  for (const { EventType: type = '', InvocationCompletedDetails: invocation } of events) {
    if (PROGRESS.test(type)) return false;
    if (type !== 'InvocationCompleted') continue;
    const { ErrorType: kind, ErrorMessage: message } = invocation?.Error?.Payload ?? {};
    if (kind === undefined && message === undefined) return false;
    failed.since = invocation?.StartTimestamp;
    if (NOT_RECORDED.test(message ?? '') || NOT_RECORDED.test(kind ?? '')) continue;
    failed.count += 1;
    failed.error ||= [kind, message].filter(Boolean).join(': ');
  }
  return true;
}
