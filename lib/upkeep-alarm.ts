import { Duration, Lazy } from 'aws-cdk-lib';
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
import { onlyShown } from '../functions/shared/run/only-shown.ts';

/** CloudWatch's limit. */
const MAXIMUM_DESCRIPTION_LENGTH = 1024;

/** What an `UpkeepAlarm` is made of. */
export interface UpkeepAlarmProps {
  /** Its name, unique in account and region. */
  readonly alarmName: string;
  /** What the alarm means, one sentence. */
  readonly meaning: string;
  /** What to do, step by step. */
  readonly whatToDo: string[];
  /** Where the alarms go. */
  readonly topic: ITopic;
  /**
   * The name of another alarm that tells of the same cause: this one is then shown, and tells nobody. A function is asked when the
   * template is made.
   * @default its topic is told
   */
  readonly toldBy?: string | (() => string | undefined);
}

/** What is counted again and again, as long as its one cause lasts: garbage collection that nobody hears of is asked for each half hour. */
export const ONE_CAUSE = Duration.hours(1);

/**
 * Rings as soon as the metric counts anything, or one of several.
 * @param props `metric`: several are added up; CloudWatch takes for 0 what has no data where another has (User Guide, "Using metric
 *   math", of arithmetic).
 *   `quietAfter`: so long after the last that was counted it is quiet again, and only then rings anew. @default five minutes
 *   `lastsFor`: it rings only once something has been counted in all of this time, by its five minutes. @default at once
 */
export function alarmOnAny(
  scope: Construct,
  id: string,
  props: UpkeepAlarmProps & { metric: Metric | [Metric, ...Metric[]] } & (
      | { quietAfter?: Duration; lastsFor?: undefined }
      | { quietAfter?: undefined; lastsFor: Duration }
    ),
): Alarm {
  const period = Duration.minutes(5);
  const [metric, ...more] = Array.isArray(props.metric) ? props.metric : [props.metric];
  const first = metric.with({ period });
  const others = more.map((each, index) => [`other${index}`, each.with({ period })] as const);
  return createAlarm(scope, id, props, {
    metric:
      others.length === 0
        ? first
        : new MathExpression({
            expression: ['first', ...others.map(([name]) => name)].join(' + '),
            usingMetrics: { first, ...Object.fromEntries(others) },
            period,
            label: 'what is counted, of all of them',
          }),
    threshold: 1,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    evaluationPeriods: Math.ceil(
      (props.quietAfter ?? props.lastsFor ?? period).toSeconds() / period.toSeconds(),
    ),
    ...(props.quietAfter && { datapointsToAlarm: 1 }),
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
}

/**
 * Of a metric of which each run tells a new value. In a longer one a second run soon after would stand beside the first: once it is an
 * old point, which CloudWatch prefers to missing ones, the alarm would ring again for what is mended.
 */
export const LATEST_PERIOD = Duration.minutes(5);

/**
 * Rings as soon as a metric counts more than those of other alarms, which ring for these: one cause sends one message, and what
 * has another cause is not kept back.
 *
 * The others may have no data, or never have had any: then `IF` gives 0 for each point of `all` (CloudWatch User Guide, "Using
 * IF expressions", its table of `IF(metric1, metric2, scalar3)`). Of a sum over a list the guide says nothing there; should `IF`
 * have no data all the same, that sum does without it.
 *
 * @param props `nowhere`: of those told elsewhere, what was told there to nobody. It has no value where `all` has none. @default nothing
 *   `besides`: what it rings for too, whether `all` has a value or not. @default nothing
 */
export function alarmOnOthers(
  scope: Construct,
  id: string,
  props: UpkeepAlarmProps & {
    all: Metric;
    toldElsewhere: Metric[];
    nowhere?: Metric;
    besides?: Metric;
    label: string;
  },
): Alarm {
  const period = Duration.minutes(5);
  const told = props.toldElsewhere.map((metric, index) => [`told${index}`, metric.with({ period })] as const);
  const nowhere = props.nowhere?.with({ period });
  const besides = props.besides?.with({ period });
  const parts = [
    'all',
    ...told.map(([name]) => `-IF(all, ${name}, 0)`),
    ...(nowhere ? ['IF(all >= 0, nowhere, 0)'] : []),
  ];
  return createAlarm(scope, id, props, {
    metric: new MathExpression({
      expression: `SUM([${parts.join(', ')}])${besides ? ' + besides' : ''}`,
      usingMetrics: {
        all: props.all.with({ period }),
        ...Object.fromEntries(told),
        ...(nowhere && { nowhere }),
        ...(besides && { besides }),
      },
      period,
      label: props.label,
    }),
    threshold: 1,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    evaluationPeriods: 1,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
}

/** A run that crashes gives up by itself after three in a row, and says so; more are of one that cannot even do that. */
const CRASHES = 5;
/** Of the timeout: a run leaves its steps at 97 %, so what takes longer was cut, or nearly. */
const NEAR_TIMEOUT = 0.99;
/**
 * Longer than an invocation, by as much as the pause after it may take for tries that take their whole time, one after the other,
 * to ring once. How long Lambda pauses nobody says: after longer pauses the alarm rings for each of the three tries that a run has.
 */
const CRASHES_COUNT_FOR = Duration.minutes(30);

/** Rings when invocations of a durable function fail again and again, or when one takes all the time that it may. */
export function alarmOnCrashes(
  scope: Construct,
  id: string,
  props: UpkeepAlarmProps & { errors: Metric; duration: Metric; timeout: Duration },
): Alarm {
  const { errors, duration, timeout } = props;
  const period = CRASHES_COUNT_FOR;
  const nearly = Math.floor(timeout.toMilliseconds() * NEAR_TIMEOUT);
  return createAlarm(scope, id, props, {
    metric: new MathExpression({
      // Filled, for CloudWatch prefers old points to missing ones, and would ring again for them after the last invocation.
      expression: `IF(FILL(errors, 0) >= ${CRASHES} || FILL(duration, 0) >= ${nearly}, 1, 0)`,
      usingMetrics: {
        errors: errors.with({ period }),
        duration: duration.with({ period }),
      },
      period,
      label: 'invocations that end by force',
    }),
    threshold: 1,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    evaluationPeriods: 1,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
}

export function createAlarm(
  scope: Construct,
  id: string,
  { alarmName, meaning, whatToDo, topic, toldBy }: UpkeepAlarmProps,
  condition: {
    metric: IMetric;
    threshold: number;
    comparisonOperator: ComparisonOperator;
    evaluationPeriods: number;
    datapointsToAlarm?: number;
    treatMissingData: TreatMissingData;
  },
): Alarm {
  const steps = whatToDo.map((step, index) => `${index + 1}. ${step}`);
  const described = (by: string | undefined) =>
    [meaning, ...(by ? [onlyShown(by)] : []), '', ...steps].join('\n');
  const toldByName = typeof toldBy === 'function' ? toldBy : () => toldBy;
  const { length } = described(typeof toldBy === 'function' ? alarmName : toldBy);
  if (length > MAXIMUM_DESCRIPTION_LENGTH)
    throw new Error(
      `The description of the alarm ${alarmName} has ${length} characters; CloudWatch takes ${MAXIMUM_DESCRIPTION_LENGTH}. Shorten it.`,
    );
  const alarmDescription = Lazy.string({ produce: () => described(toldByName()) });
  const alarm = new Alarm(scope, id, { alarmName, alarmDescription, ...condition });
  if (typeof toldBy === 'function')
    (alarm.node.defaultChild as CfnAlarm).alarmActions = Lazy.list(
      { produce: () => (toldBy() ? [] : [topic.topicArn]) },
      { omitEmpty: true },
    );
  else if (!toldBy) alarm.addAlarmAction(new SnsAction(topic));
  return alarm;
}
