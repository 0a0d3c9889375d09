import { setTimeout } from 'node:timers/promises';
import { CloudWatchClient, DescribeAlarmHistoryCommand } from '@aws-sdk/client-cloudwatch';
import { failedInvocations } from '../shared/run/failed-invocations.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { logger } from '../shared/run/publish-report.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';

const cloudWatch = namingErrors(new CloudWatchClient({ requestHandler: REQUEST_LIMITS }));

/** Of a history: how often Lambda repeats an invocation nobody says, so that a longer one is not read to its beginning. */
const HISTORY = { pages: 20, pageSize: 100 };

/** Of the function's minute: the run has to be reported in it, whoever else does not answer. */
const PATIENCE_MS = 20_000;

/** CloudWatch's limit. Each time that an alarm tells somebody gives a few. */
const HISTORY_ITEMS = 100;

/** A run that ended without a report. */
export interface LostRun {
  durableExecutionArn: string;
  startedAt: Date | undefined;
}

/** CloudWatch's own `HistoryData`, as far as it is read: of a change of state, and of an action. */
interface HistoryData {
  newState?: { stateValue?: string };
  actionState?: string;
}

/**
 * Whether the alarm on crashes has told somebody of a lost run already: where its last invocations were ended by force, since the
 * first of these began. What cannot be found out, or not in time, is not told.
 * @param alarm its name.
 * @param patience milliseconds.
 */
export async function toldElsewhere(run: LostRun, alarm: string, patience = PATIENCE_MS): Promise<boolean> {
  const told = await Promise.race([
    crashesToldOf(run, alarm),
    setTimeout(patience, undefined, { ref: false }),
  ]);
  if (told === undefined) logger.warn('Whether another alarm has told of this run was not known in time.');
  return told ?? false;
}

/**
 * Whether each of some alarms has told somebody since a moment. What cannot be found out, or not in time, is not told.
 * @param patience milliseconds, for each alarm.
 */
export async function haveTold(
  alarms: readonly { alarm: string; since: Date }[],
  patience = PATIENCE_MS,
): Promise<boolean> {
  const named = Map.groupBy(alarms, ({ alarm }) => alarm);
  const told = await Promise.all(
    [...named].map(async ([alarm, causes]) => {
      const late = setTimeout<Date[]>(patience, [], { ref: false });
      const messages = await Promise.race([messagesOf(alarm), late]);
      return causes.every(({ since }) => messages.some((message) => message >= since));
    }),
  );
  return told.every(Boolean);
}

async function crashesToldOf({ durableExecutionArn, startedAt }: LostRun, alarm: string): Promise<boolean> {
  const [{ since, goesFurtherBack }, messages] = await Promise.all([
    failedInvocations(durableExecutionArn, HISTORY),
    messagesOf(alarm),
  ]);
  const first = goesFurtherBack ? (startedAt ?? since) : since;
  return first !== undefined && messages.some((message) => message >= first);
}

/**
 * When an alarm went on and told somebody, as far as a page of its history tells. Of one whose actions are switched off, or whose
 * topic does not take its message, the history has the change of state and no action that succeeded.
 */
async function messagesOf(alarmName: string): Promise<Date[]> {
  try {
    const { AlarmHistoryItems: items = [] } = await cloudWatch.send(
      new DescribeAlarmHistoryCommand({
        AlarmName: alarmName,
        ScanBy: 'TimestampDescending',
        MaxRecords: HISTORY_ITEMS,
      }),
    );
    const entries = items.flatMap(({ HistoryItemType: kind, Timestamp: at, HistoryData: data = '{}' }) => {
      if (at === undefined || (kind !== 'StateUpdate' && kind !== 'Action')) return [];
      return [{ kind, at, ...(JSON.parse(data) as HistoryData) }];
    });
    const changes = entries.filter(({ kind }) => kind === 'StateUpdate');
    // An action is on record at the very moment of its change, or soon after it.
    return changes
      .filter(({ newState }) => newState?.stateValue === 'ALARM')
      .filter(({ at: since }) => {
        const until = changes.findLast(({ at }) => at > since)?.at ?? new Date();
        return entries.some(
          ({ actionState, at }) => actionState === 'Succeeded' && at >= since && (at < until || at <= since),
        );
      })
      .map(({ at }) => at);
  } catch (error) {
    logger.warn(`Whether the alarm ${alarmName} told somebody could not be found out.`, error as Error);
    return [];
  }
}
