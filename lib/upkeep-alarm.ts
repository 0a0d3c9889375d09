import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  type CfnAlarm,
  ComparisonOperator,
  type IMetric,
  MathExpression,
  type Metric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';

/** CloudWatch's limit. */
const MAXIMUM_DESCRIPTION_LENGTH = 1024;
/** CloudWatch's limit on the warm-up of an alarm: two days. */
const MAXIMUM_WARM_UP_MINUTES = 2880;
/** The longest day of the year, when daylight saving ends. */
const LONGEST_DAY_HOURS = 25;

export interface UpkeepAlarmProps {
  readonly alarmName: string;
  /** What the alarm means, one sentence. */
  readonly meaning: string;
  /** What to do, step by step. */
  readonly whatToDo: string[];
  readonly topic: ITopic;
}

/** Rings as soon as the metric counts anything, and is quiet again five minutes after it does not. */
export function alarmOnAny(
  scope: Construct,
  id: string,
  props: UpkeepAlarmProps & { metric: Metric },
): Alarm {
  return createAlarm(scope, id, props, {
    metric: props.metric.with({ period: Duration.minutes(5) }),
    threshold: 1,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    evaluationPeriods: 1,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
}

/** How late the next success of something daily can be, when all is well. */
export interface DailySuccess {
  /** Within which the scheduler picks its moment. */
  readonly flexibleWindow: Duration;
  /** How long the start may be tried again. */
  readonly startDelay: Duration;
  readonly timeLimit: Duration;
}

/**
 * Hours without a success after which something is wrong with what is done daily: a day of 25 hours, the flexible
 * window, the time for starting, the time limit, and one more because success and check both fall somewhere in
 * an hour.
 */
export function hoursUntilMissed({ flexibleWindow, startDelay, timeLimit }: DailySuccess): number {
  const minutes = [flexibleWindow, startDelay, timeLimit].reduce((sum, part) => sum + part.toMinutes(), 0);
  return LONGEST_DAY_HOURS + Math.ceil(minutes / 60) + 1;
}

/**
 * Rings when something daily has not succeeded in time, even if it never began.
 *
 * CloudWatch prefers old real points to missing ones and would ring days late, so every hour without a point
 * counts as zero here. A metric that was never seen is breaching. After the alarm's creation it waits for the
 * first success for as long as it would for any.
 */
export function alarmOnMissing(
  scope: Construct,
  id: string,
  props: UpkeepAlarmProps & { metric: Metric; daily: DailySuccess },
): Alarm {
  const hours = hoursUntilMissed(props.daily);
  if (hours * 60 > MAXIMUM_WARM_UP_MINUTES)
    throw new Error(
      `The alarm ${props.alarmName} would wait ${hours} hours for a success; CloudWatch lets a new alarm wait ${MAXIMUM_WARM_UP_MINUTES / 60}, and would ring falsely on the first days. Shorten the time limit or the flexible window.`,
    );
  const period = Duration.hours(1);
  const alarm = createAlarm(scope, id, props, {
    metric: new MathExpression({
      expression: 'FILL(successes, 0)',
      usingMetrics: { successes: props.metric.with({ period }) },
      period,
      label: 'successes',
    }),
    threshold: 1,
    comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
    evaluationPeriods: hours,
    treatMissingData: TreatMissingData.BREACHING,
  });
  // The construct has no property for it yet.
  (alarm.node.defaultChild as CfnAlarm).warmUpConfiguration = {
    warmUpPeriodDurationInMinutes: hours * 60,
    onlyStartEvaluatingAfterWarmUpPeriodEnds: true,
  };
  return alarm;
}

export function createAlarm(
  scope: Construct,
  id: string,
  { alarmName, meaning, whatToDo, topic }: UpkeepAlarmProps,
  condition: {
    metric: IMetric;
    threshold: number;
    comparisonOperator: ComparisonOperator;
    evaluationPeriods: number;
    treatMissingData: TreatMissingData;
  },
): Alarm {
  const alarmDescription = [meaning, '', ...whatToDo.map((step, index) => `${index + 1}. ${step}`)].join(
    '\n',
  );
  if (alarmDescription.length > MAXIMUM_DESCRIPTION_LENGTH)
    throw new Error(
      `The description of the alarm ${alarmName} has ${alarmDescription.length} characters; CloudWatch takes ${MAXIMUM_DESCRIPTION_LENGTH}. Shorten it.`,
    );
  const alarm = new Alarm(scope, id, { alarmName, alarmDescription, ...condition });
  alarm.addAlarmAction(new SnsAction(topic));
  return alarm;
}
