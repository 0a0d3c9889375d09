import type { Place } from '../place.ts';
import { type Properties, UnknownTemplate } from '../template/properties.ts';
import type { Resource } from '../template/resource.ts';
import { type MathExpression, parseMetricMath, type Series } from './metric-math.ts';
import { metricKey, type Point, STATISTICS } from './metrics.ts';

export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';

interface Query {
  id: string;
  source: { key: string; statistic: string } | { expression: MathExpression; text: string };
  returned: boolean;
}

/** An alarm of the templates, and its state. */
export interface Alarm {
  resource: Resource;
  queries: Query[];
  /** Milliseconds after which what its expressions say of the time may be another. `undefined`: they say nothing of it. */
  timeStep: number | undefined;
  /** When it was judged last it kept its state, and it would again until that time (epoch milliseconds), or until a value comes in. */
  settledUntil: number | undefined;
  /** Milliseconds. */
  period: number;
  compare: (value: number) => boolean;
  condition: string;
  /** N, and M of them. */
  evaluationPeriods: number;
  datapointsToAlarm: number;
  treatMissing: string;
  actions: Record<AlarmState, string[]>;
  actionsEnabled: boolean;
  warmUp: { until: number; whole: boolean } | undefined;
  state: AlarmState;
  since: number;
  reason: string;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Of metric math: what they give depends on the period's time. */
const TIME_FUNCTIONS = /\b(DATE|DAY|EPOCH|HOUR|MINUTE|MONTH|YEAR)\b/;
/** Of these, those that differ within an hour. */
const WITHIN_HOURS = /\b(EPOCH|MINUTE)\b/;

/** The state that the points of an evaluation range give, oldest first, after CloudWatch's documented tables. */
export function judge(
  alarm: Pick<Alarm, 'compare' | 'evaluationPeriods' | 'datapointsToAlarm' | 'treatMissing' | 'state'>,
  series: Series,
): AlarmState {
  const { compare, evaluationPeriods: periods, datapointsToAlarm: needed, treatMissing, state } = alarm;
  // The most recent real points, those from before the periods included.
  const real: { breaching: boolean; age: number }[] = [];
  for (let age = 1; age <= series.length && real.length < periods; age++) {
    const value = series[series.length - age];
    if (value !== undefined) real.push({ breaching: compare(value), age });
  }
  const missing = periods - real.length;
  const breaching = real.filter((point) => point.breaching).length;
  if (breaching >= needed) return 'ALARM';
  if (missing === 0) return 'OK';
  switch (treatMissing) {
    case 'breaching':
      return breaching + missing >= needed ? 'ALARM' : 'OK';
    case 'notBreaching':
      return 'OK';
    case 'ignore':
      return breaching < real.length ? 'OK' : state;
    case 'missing': {
      if (real.length === 0) return 'INSUFFICIENT_DATA';
      if (breaching < real.length) return 'OK';
      return (real.at(-1)?.age ?? 0) >= needed ? 'ALARM' : state;
    }
  }
  throw new UnknownTemplate(`TreatMissingData ${treatMissing} is not understood`);
}

/** Of a template, as it is when it is made. */
export function alarmOf(resource: Resource, now: number): Alarm {
  const { properties, account, region } = resource;
  const place = { account, region };
  const queries = properties.has('Metrics')
    ? properties.children('Metrics').map((query) => queryOf(query, place))
    : [simpleQuery(properties, place)];
  if (queries.filter(({ query }) => query.returned).length !== 1) {
    throw new UnknownTemplate(`${properties.where}: exactly one of Metrics has to be returned`);
  }
  const periods = new Set(queries.flatMap(({ period }) => (period === undefined ? [] : [period])));
  const [period] = periods;
  if (period === undefined || periods.size !== 1) {
    throw new UnknownTemplate(`${properties.where}: metrics of different periods are not understood`);
  }
  if (period % 60 !== 0)
    throw new UnknownTemplate(`${properties.where}: a period of ${period} s is not understood`);
  for (const { query } of queries) {
    if ('key' in query.source) continue;
    for (const used of query.source.expression.uses) {
      if (!queries.some((other) => other.query.id === used)) {
        throw new UnknownTemplate(`${properties.where}: ${query.source.text} uses ${used}, which it lacks`);
      }
    }
  }
  const evaluationPeriods = properties.number('EvaluationPeriods');
  const threshold = properties.number('Threshold');
  const operator = properties.text('ComparisonOperator');
  const compare = COMPARISONS[operator];
  if (compare === undefined) {
    throw new UnknownTemplate(`${properties.where}: ComparisonOperator ${operator} is not understood`);
  }
  const warmUp = properties
    .child('WarmUpConfiguration')
    ?.only('WarmUpPeriodDurationInMinutes', 'OnlyStartEvaluatingAfterWarmUpPeriodEnds');
  const datapointsToAlarm = properties.number('DatapointsToAlarm', evaluationPeriods);
  return {
    resource,
    queries: queries.map(({ query }) => query),
    timeStep: timeStepOf(
      queries.flatMap(({ query: { source } }) => ('text' in source ? [source.text] : [])).join(),
      period * 1000,
    ),
    settledUntil: undefined,
    period: period * 1000,
    compare: (value) => compare(value, threshold),
    condition: `${datapointsToAlarm} of ${evaluationPeriods} periods of ${period} s ${operator} ${threshold}`,
    evaluationPeriods,
    datapointsToAlarm,
    treatMissing: properties.text('TreatMissingData', 'missing'),
    actions: {
      ALARM: properties.texts('AlarmActions'),
      OK: properties.texts('OKActions'),
      INSUFFICIENT_DATA: properties.texts('InsufficientDataActions'),
    },
    actionsEnabled: properties.boolean('ActionsEnabled', true),
    warmUp: warmUp && {
      until: now + warmUp.number('WarmUpPeriodDurationInMinutes') * MINUTE,
      whole: warmUp.boolean('OnlyStartEvaluatingAfterWarmUpPeriodEnds', false),
    },
    state: 'INSUFFICIENT_DATA',
    since: now,
    reason: 'Unchecked: Initial alarm creation',
  };
}

/** Periods begin at any minute: which hour one is in changes at the next hour at the latest, or by a period within it. */
function timeStepOf(expressions: string, period: number): number | undefined {
  if (!TIME_FUNCTIONS.test(expressions)) return undefined;
  const isEven = HOUR % period === 0 || period % HOUR === 0;
  return isEven && !WITHIN_HOURS.test(expressions) ? Math.min(period, HOUR) : MINUTE;
}

/**
 * When an alarm that looks back from `end` sees something else than then, if no value comes in: when a value comes to lie in another one of
 * its periods, or a period in another hour. Epoch milliseconds of a minute.
 */
export function seesTheSameUntil(
  { period, timeStep }: Pick<Alarm, 'period' | 'timeStep'>,
  metrics: readonly (readonly Point[])[],
  end: number,
  periods: number,
): number {
  let until = timeStep === undefined ? Number.POSITIVE_INFINITY : (Math.floor(end / timeStep) + 1) * timeStep;
  for (const points of metrics)
    for (let index = points.length - 1; index >= 0 && until > end + MINUTE; index -= 1) {
      const { time = 0 } = points[index] ?? {};
      if (time < end - periods * period) break;
      // A minute's values are looked at from its end on, and each period later they are one further back.
      const passed = Math.max(0, Math.floor((end - MINUTE - time) / period) + 1);
      until = Math.min(until, time + MINUTE + passed * period);
    }
  return until;
}

interface PeriodicQuery {
  query: Query;
  /** Seconds. */
  period: number | undefined;
}

function simpleQuery(properties: Properties, place: Place): PeriodicQuery {
  return {
    query: {
      id: 'm',
      source: {
        key: metricKey(
          place,
          properties.text('Namespace'),
          properties.text('MetricName'),
          dimensionsOf(properties),
        ),
        statistic: known(properties.text('Statistic'), properties),
      },
      returned: true,
    },
    period: properties.number('Period'),
  };
}

function queryOf(properties: Properties, place: Place): PeriodicQuery {
  properties.only('Id', 'Expression', 'Label', 'MetricStat', 'ReturnData', 'Period', 'AccountId');
  const account = properties.text('AccountId', place.account);
  if (account !== place.account) {
    throw new UnknownTemplate(`${properties.where}: metrics of another account are not understood`);
  }
  const id = properties.text('Id');
  const returned = properties.boolean('ReturnData', true);
  const text = properties.text('Expression', undefined);
  if (text !== undefined) {
    const source = { expression: parseMetricMath(text), text };
    return { query: { id, source, returned }, period: properties.number('Period', undefined) };
  }
  const stat = properties.child('MetricStat')?.only('Metric', 'Period', 'Stat', 'Unit');
  const metric = stat?.child('Metric')?.only('Namespace', 'MetricName', 'Dimensions');
  if (stat === undefined || metric === undefined) {
    throw new UnknownTemplate(`${properties.where} has neither Expression nor MetricStat`);
  }
  const key = metricKey(place, metric.text('Namespace'), metric.text('MetricName'), dimensionsOf(metric));
  return {
    query: { id, source: { key, statistic: known(stat.text('Stat'), stat) }, returned },
    period: stat.number('Period'),
  };
}

function dimensionsOf(properties: Properties): Record<string, string> {
  return Object.fromEntries(
    properties.children('Dimensions').map((item) => [item.text('Name'), item.text('Value')]),
  );
}

function known(statistic: string, properties: Properties): string {
  if (!(statistic in STATISTICS)) {
    throw new UnknownTemplate(`${properties.where}: the statistic ${statistic} is not understood`);
  }
  return statistic;
}

const COMPARISONS: Record<string, ((value: number, threshold: number) => boolean) | undefined> = {
  GreaterThanOrEqualToThreshold: (value, threshold) => value >= threshold,
  GreaterThanThreshold: (value, threshold) => value > threshold,
  LessThanThreshold: (value, threshold) => value < threshold,
  LessThanOrEqualToThreshold: (value, threshold) => value <= threshold,
};

/** As DescribeAlarms gives it. */
export function described(alarm: Alarm) {
  const { resource, state, since, reason, evaluationPeriods, datapointsToAlarm, actions } = alarm;
  const { properties } = resource;
  return {
    AlarmName: resource.name,
    AlarmArn: resource.arn,
    AlarmDescription: properties.text('AlarmDescription', ''),
    ActionsEnabled: alarm.actionsEnabled,
    AlarmActions: actions.ALARM,
    OKActions: actions.OK,
    InsufficientDataActions: actions.INSUFFICIENT_DATA,
    StateValue: state,
    StateReason: reason,
    StateUpdatedTimestamp: new Date(since),
    EvaluationPeriods: evaluationPeriods,
    DatapointsToAlarm: datapointsToAlarm,
    Threshold: properties.number('Threshold'),
    ComparisonOperator: properties.text('ComparisonOperator'),
    TreatMissingData: alarm.treatMissing,
    ...(properties.has('MetricName') && {
      Namespace: properties.text('Namespace'),
      MetricName: properties.text('MetricName'),
      Statistic: properties.text('Statistic'),
      Period: properties.number('Period'),
    }),
  };
}
