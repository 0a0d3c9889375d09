import type {
  DescribeAlarmHistoryCommandInput,
  DescribeAlarmsCommandInput,
  GetMetricDataCommandInput,
  GetMetricStatisticsCommandInput,
  ListMetricsCommandInput,
  MetricDatum,
  PutMetricDataCommandInput,
} from '@aws-sdk/client-cloudwatch';
import { AwsError } from '../aws-error.ts';
import type { Aws, Call, Operations } from '../server.ts';
import { type Properties, type Resource, UnknownTemplate } from '../template/template.ts';
import { isRecord } from '../wire/wire.ts';
import { type MathExpression, type MathInput, parseMetricMath, type Series } from './metric-math.ts';

export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';

/** A change of an alarm's state. */
export interface AlarmHistory {
  /** Epoch milliseconds on the rehearsal's clock. */
  time: number;
  alarm: string;
  arn: string;
  from: AlarmState;
  to: AlarmState;
  reason: string;
}

interface Place {
  account: string;
  region: string;
}

/** A minute's values. */
interface Point {
  /** Epoch milliseconds of the minute's beginning. */
  time: number;
  sum: number;
  count: number;
  minimum: number;
  maximum: number;
}

interface Metric extends Place {
  namespace: string;
  name: string;
  dimensions: Record<string, string>;
  points: Point[];
}

interface Query {
  id: string;
  source: { key: string; statistic: string } | { expression: MathExpression; text: string };
  returned: boolean;
}

interface Alarm {
  resource: Resource;
  queries: Query[];
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

/**
 * Besides its periods an alarm looks at some before them, and prefers old points to missing ones. CloudWatch's
 * documentation gives an example (3 periods: 5 points) but no formula.
 */
const EXTRA_PERIODS = 2;

/** Amazon CloudWatch: metrics, and the templates' alarms on the rehearsal's clock. */
export class CloudWatch {
  readonly history: AlarmHistory[] = [];
  readonly operations: Operations;
  readonly #aws: Aws;
  readonly #metrics = new Map<string, Metric>();
  readonly #alarms: Alarm[];
  /** Metrics that an alarm looks at. */
  readonly #watched: Set<string>;
  #cancel: () => void;

  constructor(aws: Aws) {
    this.#aws = aws;
    const now = aws.clock.now();
    this.#alarms = aws.deployed.ofType('AWS::CloudWatch::Alarm').map((resource) => alarmOf(resource, now));
    this.#watched = new Set(
      this.#alarms.flatMap(({ queries }) =>
        queries.flatMap(({ source }) => ('key' in source ? [source.key] : [])),
      ),
    );
    this.#cancel = aws.clock.at(nextMinute(now), () => this.#tick());
    this.operations = {
      PutMetricData: (input: PutMetricDataCommandInput, call: Call) => {
        for (const datum of input.MetricData ?? []) this.#putDatum(call, input.Namespace ?? '', datum);
      },
      ListMetrics: (input: ListMetricsCommandInput, call: Call) => ({
        Metrics: this.#of(call)
          .filter(
            ({ namespace, name }) =>
              (input.Namespace ?? namespace) === namespace && (input.MetricName ?? name) === name,
          )
          .map(({ namespace, name, dimensions }) => ({
            Namespace: namespace,
            MetricName: name,
            Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
          })),
      }),
      DescribeAlarms: (input: DescribeAlarmsCommandInput, call: Call) => ({
        MetricAlarms: this.#alarms
          .filter(
            ({ resource, state }) =>
              resource.account === call.account &&
              resource.region === call.region &&
              (input.AlarmNames?.includes(resource.name) ?? true) &&
              resource.name.startsWith(input.AlarmNamePrefix ?? '') &&
              (input.StateValue ?? state) === state,
          )
          .map(described),
      }),
      DescribeAlarmHistory: (input: DescribeAlarmHistoryCommandInput, call: Call) => ({
        AlarmHistoryItems: this.history
          .filter(
            ({ alarm, arn }) =>
              (input.AlarmName ?? alarm) === alarm &&
              arn.startsWith(`arn:aws:cloudwatch:${call.region}:${call.account}:`),
          )
          .map(({ time, alarm, from, to, reason }) => ({
            AlarmName: alarm,
            AlarmType: 'MetricAlarm' as const,
            Timestamp: new Date(time),
            HistoryItemType: 'StateUpdate' as const,
            HistorySummary: `Alarm updated from ${from} to ${to}`,
            HistoryData: JSON.stringify({ oldState: from, newState: to, reason }),
          }))
          .reverse(),
      }),
      GetMetricStatistics: (input: GetMetricStatisticsCommandInput, call: Call) =>
        this.#statistics(input, call),
      GetMetricData: (input: GetMetricDataCommandInput, call: Call) => this.#data(input, call),
    };
  }

  /** A value of a metric, now. */
  put(
    place: Place,
    namespace: string,
    name: string,
    dimensions: Record<string, string>,
    value: number,
    time = this.#aws.clock.now(),
  ): void {
    this.#add(place, namespace, name, dimensions, time, {
      sum: value,
      count: 1,
      minimum: value,
      maximum: value,
    });
  }

  /** Takes the metrics of a log line in the embedded metric format. */
  readEmbedded(line: string, place: Place): void {
    let document: unknown;
    try {
      document = JSON.parse(line);
    } catch {
      return;
    }
    if (!isRecord(document) || !isRecord(document._aws)) return;
    const { Timestamp: timestamp, CloudWatchMetrics: directives } = document._aws;
    if (!Array.isArray(directives)) return;
    for (const directive of directives.filter(isRecord)) {
      const { Namespace: namespace, Dimensions: sets, Metrics: metrics } = directive;
      if (typeof namespace !== 'string' || !Array.isArray(sets) || !Array.isArray(metrics)) continue;
      for (const names of sets.filter(Array.isArray)) {
        const dimensions = Object.fromEntries(
          names.map((name: unknown) => [String(name), String(document[String(name)])]),
        );
        for (const metric of metrics.filter(isRecord)) {
          const name = String(metric.Name);
          const values: unknown = document[name];
          for (const value of Array.isArray(values) ? values : [values]) {
            if (typeof value !== 'number') continue;
            this.put(place, namespace, name, dimensions, value, Number(timestamp) || this.#aws.clock.now());
          }
        }
      }
    }
  }

  /** Whether an alarm looks at a metric with these dimensions. */
  wants(namespace: string, place: Place, dimensions: Record<string, string>): boolean {
    const prefix = `${place.account}/${place.region}/${namespace}/`;
    const suffix = `/${dimensionsKey(dimensions)}`;
    for (const key of this.#watched) if (key.startsWith(prefix) && key.endsWith(suffix)) return true;
    return false;
  }

  /** The names of the alarms that are in a state now. */
  inState(state: AlarmState): string[] {
    return this.#alarms.filter((alarm) => alarm.state === state).map(({ resource }) => resource.name);
  }

  /** The sum of all values of a metric: for a test or a table. */
  total(namespace: string, name: string, dimensions: Record<string, string>): number {
    const wanted = `/${namespace}/${name}/${dimensionsKey(dimensions)}`;
    let sum = 0;
    for (const [key, { points }] of this.#metrics) {
      if (key.endsWith(wanted)) for (const point of points) sum += point.sum;
    }
    return sum;
  }

  close(): void {
    this.#cancel();
  }

  #tick(): void {
    const { clock } = this.#aws;
    const now = clock.now();
    const minute = Math.floor(now / MINUTE) * MINUTE;
    this.#aws.sqs.publishGauges();
    for (const alarm of this.#alarms) this.#evaluate(alarm, minute);
    this.#cancel = clock.at(nextMinute(now), () => this.#tick());
  }

  /** The alarm's window slides: each minute it looks at the periods that end now. */
  #evaluate(alarm: Alarm, end: number): void {
    const range = alarm.evaluationPeriods + EXTRA_PERIODS;
    const series = this.#values(alarm, end, range);
    if (alarm.warmUp !== undefined) {
      const full = series.slice(-alarm.evaluationPeriods).every((point) => point !== undefined);
      if (end < alarm.warmUp.until && (alarm.warmUp.whole || !full)) return;
      alarm.warmUp = undefined;
    }
    const state = judge(alarm, series);
    if (state === alarm.state) return;
    const shown = series
      .slice(-alarm.evaluationPeriods)
      .map((point) => point ?? 'missing')
      .slice(-5)
      .join(', ');
    const reason = `${alarm.condition}; latest datapoints: [${shown}]`;
    const { name, arn } = alarm.resource;
    this.history.push({
      time: this.#aws.clock.now(),
      alarm: name,
      arn,
      from: alarm.state,
      to: state,
      reason,
    });
    const before = alarm.state;
    alarm.state = state;
    alarm.since = this.#aws.clock.now();
    alarm.reason = reason;
    if (alarm.actionsEnabled) this.#act(alarm, before);
  }

  #act(alarm: Alarm, before: AlarmState): void {
    const { name, arn, account, region, properties } = alarm.resource;
    for (const action of alarm.actions[alarm.state]) {
      this.#aws.sns.publish(
        'cloudwatch.amazonaws.com',
        arn,
        action,
        `${alarm.state}: "${name}" in ${region}`,
        JSON.stringify({
          AlarmName: name,
          AlarmDescription: properties.text('AlarmDescription', ''),
          AWSAccountId: account,
          Region: region,
          AlarmArn: arn,
          NewStateValue: alarm.state,
          NewStateReason: alarm.reason,
          OldStateValue: before,
          StateChangeTime: new Date(alarm.since).toISOString(),
        }),
      );
    }
  }

  #values({ queries, period }: Alarm, end: number, length: number): Series {
    const results = new Map<string, MathInput>();
    const read = (id: string): MathInput => {
      const done = results.get(id);
      if (done !== undefined) return done;
      const query = queries.find((other) => other.id === id);
      if (query === undefined) throw new UnknownTemplate(`an alarm's expression uses ${id}, which it lacks`);
      const { source } = query;
      let input: MathInput;
      if ('key' in source) {
        const points = this.#metrics.get(source.key)?.points ?? [];
        input = {
          series: aggregate(points, source.statistic, end, period, length),
          exists: points.length > 0,
        };
      } else {
        const inputs = new Map(source.expression.uses.map((used) => [used, read(used)]));
        const series = source.expression.evaluate(inputs, { start: end - length * period, period });
        input = { series, exists: series.some((point) => point !== undefined) };
      }
      results.set(id, input);
      return input;
    };
    const returned = queries.find((query) => query.returned);
    return returned === undefined ? [] : read(returned.id).series;
  }

  #add(
    { account, region }: Place,
    namespace: string,
    name: string,
    dimensions: Record<string, string>,
    time: number,
    value: Omit<Point, 'time'>,
  ): void {
    const key = metricKey({ account, region }, namespace, name, dimensions);
    let metric = this.#metrics.get(key);
    if (metric === undefined) {
      metric = { account, region, namespace, name, dimensions, points: [] };
      this.#metrics.set(key, metric);
    }
    const minute = Math.floor(time / MINUTE) * MINUTE;
    let index = metric.points.length;
    while (index > 0 && (metric.points[index - 1]?.time ?? 0) >= minute) index--;
    const point = metric.points[index];
    if (point?.time === minute) {
      point.sum += value.sum;
      point.count += value.count;
      point.minimum = Math.min(point.minimum, value.minimum);
      point.maximum = Math.max(point.maximum, value.maximum);
    } else {
      metric.points.splice(index, 0, { time: minute, ...value });
    }
  }

  #putDatum(place: Place, namespace: string, datum: MetricDatum): void {
    const { MetricName: name = '', Dimensions = [], Value, StatisticValues: set, Timestamp } = datum;
    const dimensions = Object.fromEntries(Dimensions.map((item) => [item.Name ?? '', item.Value ?? '']));
    const time = Timestamp?.getTime() ?? this.#aws.clock.now();
    if (set !== undefined) {
      this.#add(place, namespace, name, dimensions, time, {
        sum: set.Sum ?? 0,
        count: set.SampleCount ?? 0,
        minimum: set.Minimum ?? 0,
        maximum: set.Maximum ?? 0,
      });
    } else if (Value !== undefined) {
      this.put(place, namespace, name, dimensions, Value, time);
    } else {
      throw new AwsError('InvalidParameterValue', 'only Value and StatisticValues are understood');
    }
  }

  #of({ account, region }: Place): Metric[] {
    return [...this.#metrics.values()].filter(
      (metric) => metric.account === account && metric.region === region,
    );
  }

  #statistics(input: GetMetricStatisticsCommandInput, call: Call) {
    const { Namespace = '', MetricName = '', Dimensions = [], Period = 60, Statistics = [] } = input;
    const dimensions = Object.fromEntries(Dimensions.map((item) => [item.Name ?? '', item.Value ?? '']));
    const points = this.#metrics.get(metricKey(call, Namespace, MetricName, dimensions))?.points ?? [];
    const { start, length, period } = span(input.StartTime, input.EndTime, Period);
    const columns = Statistics.map(
      (statistic) =>
        [statistic, aggregate(points, statistic, start + length * period, period, length)] as const,
    );
    const datapoints: Record<string, unknown>[] = [];
    for (let index = 0; index < length; index++) {
      const values = columns.flatMap(([statistic, series]) => {
        const value = series[index];
        return value === undefined ? [] : [[statistic, value] as const];
      });
      if (values.length === 0) continue;
      datapoints.push({ Timestamp: new Date(start + index * period), ...Object.fromEntries(values) });
    }
    return { Label: MetricName, Datapoints: datapoints };
  }

  #data(input: GetMetricDataCommandInput, call: Call) {
    const results = (input.MetricDataQueries ?? []).map((query) => {
      const stat = query.MetricStat;
      if (stat?.Metric === undefined) {
        throw new AwsError('InvalidParameterValue', 'expressions are understood only in alarms');
      }
      const dimensions = Object.fromEntries(
        (stat.Metric.Dimensions ?? []).map((item) => [item.Name ?? '', item.Value ?? '']),
      );
      const key = metricKey(call, stat.Metric.Namespace ?? '', stat.Metric.MetricName ?? '', dimensions);
      const { start, length, period } = span(input.StartTime, input.EndTime, stat.Period ?? 60);
      const series = aggregate(
        this.#metrics.get(key)?.points ?? [],
        stat.Stat ?? 'Sum',
        start + length * period,
        period,
        length,
      );
      const present = series
        .flatMap((value, index) => (value === undefined ? [] : [{ value, time: start + index * period }]))
        .reverse();
      return {
        Id: query.Id,
        Label: query.Label ?? stat.Metric.MetricName,
        Timestamps: present.map(({ time }) => new Date(time)),
        Values: present.map(({ value }) => value),
        StatusCode: 'Complete' as const,
      };
    });
    return { MetricDataResults: results };
  }
}

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

function alarmOf(resource: Resource, now: number): Alarm {
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

const STATISTICS: Record<string, (points: Point[]) => number> = {
  Sum: (points) => points.reduce((sum, point) => sum + point.sum, 0),
  SampleCount: (points) => points.reduce((sum, point) => sum + point.count, 0),
  Average: (points) =>
    points.reduce((sum, point) => sum + point.sum, 0) / points.reduce((sum, point) => sum + point.count, 0),
  Minimum: (points) => Math.min(...points.map((point) => point.minimum)),
  Maximum: (points) => Math.max(...points.map((point) => point.maximum)),
};

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

/** The statistic of each of the periods that end at `end`, oldest first. */
function aggregate(points: Point[], statistic: string, end: number, period: number, length: number): Series {
  const series: Series = new Array(length).fill(undefined);
  const compute = STATISTICS[statistic];
  if (compute === undefined) throw new AwsError('InvalidParameterValue', `${statistic} is not understood`);
  const start = end - length * period;
  let index = points.length;
  while (index > 0 && (points[index - 1]?.time ?? 0) >= start) index--;
  let group: Point[] = [];
  let slot = -1;
  const flush = () => {
    if (group.length > 0) series[slot] = compute(group);
    group = [];
  };
  for (const point of points.slice(index)) {
    if (point.time >= end) break;
    const its = Math.floor((point.time - start) / period);
    if (its !== slot) {
      flush();
      slot = its;
    }
    group.push(point);
  }
  flush();
  return series;
}

function span(from: Date | undefined, to: Date | undefined, seconds: number) {
  const period = seconds * 1000;
  const start = Math.floor((from?.getTime() ?? 0) / period) * period;
  const length = Math.min(Math.max(Math.ceil(((to?.getTime() ?? start) - start) / period), 0), 100_000);
  return { start, length, period };
}

function metricKey(
  { account, region }: Place,
  namespace: string,
  name: string,
  dimensions: Record<string, string>,
): string {
  return `${account}/${region}/${namespace}/${name}/${dimensionsKey(dimensions)}`;
}

function dimensionsKey(dimensions: Record<string, string>): string {
  return Object.entries(dimensions)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(',');
}

function nextMinute(now: number): number {
  return (Math.floor(now / MINUTE) + 1) * MINUTE;
}

function described(alarm: Alarm) {
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
