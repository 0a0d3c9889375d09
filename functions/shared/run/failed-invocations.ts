import { type Event, GetDurableExecutionHistoryCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { logger } from './publish-report.ts';
import { REQUEST_LIMITS } from './request-limits.ts';

/** Invocations in a row that ended by force without getting the run further. */
export interface FailedInvocations {
  count: number;
  /** How the last one ended. */
  error: string;
}

/** Events of one invocation that got nowhere are few: this is far more than those of the invocations that matter. */
const EVENTS = 100;

/** That the run got further. Not the beginning of a step, nor its failure, which a step that is cut has too. */
const PROGRESS = /^(Step|Context|Wait|Callback|ChainedInvoke)(Succeeded|Cancelled|TimedOut)$/;

const lambda = new LambdaClient({ requestHandler: REQUEST_LIMITS });

/**
 * How often Lambda has repeated the invocation in vain, as the execution's history tells: each try is counted there, by Lambda
 * itself, whatever ended it. A history that cannot be read is none.
 */
export async function failedInvocations(durableExecutionArn: string): Promise<FailedInvocations> {
  try {
    const { Events: events = [] } = await lambda.send(
      new GetDurableExecutionHistoryCommand({
        DurableExecutionArn: durableExecutionArn,
        ReverseOrder: true,
        IncludeExecutionData: true,
        MaxItems: EVENTS,
      }),
    );
    return countFailed(events);
  } catch (error) {
    logger.warn("The run's history cannot be read, so that its failed tries are not counted.", {
      error: error as Error,
    });
    return { count: 0, error: '' };
  }
}

/** @param events the newest first. */
export function countFailed(events: readonly Event[]): FailedInvocations {
  const failed: FailedInvocations = { count: 0, error: '' };
  for (const { EventType: type = '', InvocationCompletedDetails: invocation } of events) {
    if (PROGRESS.test(type)) break;
    if (type !== 'InvocationCompleted') continue;
    const { ErrorType: kind, ErrorMessage: message } = invocation?.Error?.Payload ?? {};
    if (kind === undefined && message === undefined) break;
    failed.count += 1;
    failed.error ||= [kind, message].filter(Boolean).join(': ');
  }
  return failed;
}
