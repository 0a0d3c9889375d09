import { setTimeout } from 'node:timers/promises';
import { CloudWatchClient, DescribeAlarmHistoryCommand } from '@aws-sdk/client-cloudwatch';
import { failedInvocations } from '../shared/run/failed-invocations.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { logger } from '../shared/run/publish-report.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';

const cloudWatch = namingErrors(new CloudWatchClient({ requestHandler: REQUEST_LIMITS }));

/** Of a history: two days of invocations that are repeated each five minutes have not half as many. */
const PAGES = 20;

/** Of the function's minute: the run has to be reported in it, whoever else does not answer. */
const PATIENCE_MS = 20_000;

/** CloudWatch's own `HistoryData` of a change of state, as far as it is read. */
interface StateUpdate {
  newState?: { stateValue?: string };
}

/**
 * Whether a run was lost to what the alarm on crashes has rung for already: its last invocations were ended by force, and the
 * alarm rang since the first of these began. What cannot be found out, or not in time, is not told.
 * @param patience milliseconds.
 */
export async function toldByCrashes(
  durableExecutionArn: string,
  alarmName: string,
  patience = PATIENCE_MS,
): Promise<boolean> {
  const told = await Promise.race([
    rangForIt(durableExecutionArn, alarmName),
    setTimeout(patience, undefined, { ref: false }),
  ]);
  if (told === undefined) logger.warn(`Whether ${alarmName} rang for this run was not known in time.`);
  return told ?? false;
}

async function rangForIt(durableExecutionArn: string, alarmName: string): Promise<boolean> {
  const [{ since }, rings] = await Promise.all([
    failedInvocations(durableExecutionArn, PAGES),
    ringsOf(alarmName),
  ]);
  return since !== undefined && rings.some((ring) => ring >= since);
}

/** When an alarm went on, as far as a page of its history tells: each crash changes it twice. */
async function ringsOf(alarmName: string): Promise<Date[]> {
  try {
    const { AlarmHistoryItems: items = [] } = await cloudWatch.send(
      new DescribeAlarmHistoryCommand({
        AlarmName: alarmName,
        HistoryItemType: 'StateUpdate',
        ScanBy: 'TimestampDescending',
      }),
    );
    return items.flatMap(({ Timestamp: time, HistoryData: data = '{}' }) => {
      const { newState } = JSON.parse(data) as StateUpdate;
      return time !== undefined && newState?.stateValue === 'ALARM' ? [time] : [];
    });
  } catch (error) {
    logger.warn(`Whether the alarm ${alarmName} rang could not be found out.`, error as Error);
    return [];
  }
}
