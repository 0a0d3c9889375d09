// In one file though long: the operations of CloudWatch, each with what it asks.
import type {
  DescribeAlarmHistoryCommandInput,
  DescribeAlarmsCommandInput,
  EnableAlarmActionsCommandInput,
  GetMetricDataCommandInput,
  GetMetricStatisticsCommandInput,
  ListMetricsCommandInput,
  MetricDatum,
  PutMetricDataCommandInput,
  SetAlarmStateCommandInput,
} from '@aws-sdk/client-cloudwatch';
import * as client from '@aws-sdk/client-cloudwatch';
import { AwsError } from '../aws-error.ts';
import { anywhere, type Cloud, type Metrics, type Operations, operation, type Service } from '../cloud.ts';
import type { Place } from '../place.ts';
import { UnknownTemplate } from '../template/properties.ts';
import { type Alarm, type AlarmState, alarmOf, described, judge, seesTheSameUntil } from './alarm.ts';
import { embeddedMetrics } from './embedded-metrics.ts';
import type { MathInput, Series } from './metric-math.ts';
import { aggregate, dimensionsKey, type Metric, metricKey, type Point, span } from './metrics.ts';

/** A change of an alarm's state. */
export interface AlarmHistory {
  /** Epoch milliseconds on the rehearsal's clock. */
  time: number;
  alarm: string;
  arn: string;
  from: AlarmState;
  to: AlarmState;
  reason: string;
  /** What the change had done: none, where the alarm's actions are switched off. */
  actions: { arn: string; succeeded: boolean }[];
}

const MINUTE = 60_000;

/**
 * Besides its periods an alarm looks at some before them, and prefers old points to missing ones. CloudWatch's
 * documentation gives an example (3 periods: 5 points) but no formula.
 */
const EXTRA_PERIODS = 2;

/** Amazon CloudWatch: metrics, and the templates' alarms on the rehearsal's clock. */
export class CloudWatch implements Service, Metrics {
  readonly signingName = 'monitoring';
  readonly client = client;
  readonly accessDenied = 'AccessDenied';
  readonly namespace = 'http://monitoring.amazonaws.com/doc/2010-08-01/';
  readonly history: AlarmHistory[] = [];
  readonly operations: Operations;
  readonly #aws: Cloud;
  readonly #metrics = new Map<string, Metric>();
  readonly #alarms: Alarm[];
  /** Metrics that alarms look at, and these. */
  readonly #watched = new Map<string, Alarm[]>();
  /** What `wants` found. */
  readonly #wanted = new Map<string, boolean>();
  #cancel: () => void;

  constructor(aws: Cloud) {
    this.#aws = aws;
    const now = aws.clock.now();
    this.#alarms = aws.deployed.ofType('AWS::CloudWatch::Alarm').map((resource) => alarmOf(resource, now));
    for (const alarm of this.#alarms)
      for (const { source } of alarm.queries)
        if ('key' in source) this.#watched.set(source.key, [...(this.#watched.get(source.key) ?? []), alarm]);
    this.#cancel = aws.clock.at(nextMinute(now), () => this.#tick());
    this.operations = {
      PutMetricData: operation(
        (input: PutMetricDataCommandInput) => [
          {
            action: 'cloudwatch:PutMetricData',
            resource: '*',
            conditions: { 'cloudwatch:namespace': input.Namespace ?? '' },
          },
        ],
        (input, call) => {
          for (const datum of input.MetricData ?? []) this.#putDatum(call, input.Namespace ?? '', datum);
        },
      ),
      ListMetrics: operation(anywhere('cloudwatch:ListMetrics'), (input: ListMetricsCommandInput, call) => ({
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
      })),
      DescribeAlarms: operation(
        anywhere('cloudwatch:DescribeAlarms'),
        (input: DescribeAlarmsCommandInput, call) => ({
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
      ),
      SetAlarmState: operation(
        (input: SetAlarmStateCommandInput, { account, region }) => [
          {
            action: 'cloudwatch:SetAlarmState',
            resource: `arn:aws:cloudwatch:${region}:${account}:alarm:${input.AlarmName}`,
          },
        ],
        (input, call) => {
          const alarm = this.#alarms.find(
            ({ resource }) =>
              resource.name === input.AlarmName &&
              resource.account === call.account &&
              resource.region === call.region,
          );
          if (alarm === undefined)
            throw new AwsError('ResourceNotFound', `There is no alarm ${input.AlarmName}.`);
          this.#change(alarm, input.StateValue as AlarmState, input.StateReason ?? '');
        },
      ),
      EnableAlarmActions: this.#switchOfActions('EnableAlarmActions', true),
      DisableAlarmActions: this.#switchOfActions('DisableAlarmActions', false),
      DescribeAlarmHistory: operation(
        ({ AlarmName: name = '*' }: DescribeAlarmHistoryCommandInput, { account, region }) => [
          {
            action: 'cloudwatch:DescribeAlarmHistory',
            resource: `arn:aws:cloudwatch:${region}:${account}:alarm:${name}`,
          },
        ],
        (input, call) => ({
          AlarmHistoryItems: this.history
            .filter(
              ({ alarm, arn }) =>
                (input.AlarmName ?? alarm) === alarm &&
                arn.startsWith(`arn:aws:cloudwatch:${call.region}:${call.account}:`),
            )
            .flatMap(historyItems)
            .filter(({ HistoryItemType: kind }) => (input.HistoryItemType ?? kind) === kind)
            .reverse()
            .slice(0, input.MaxRecords),
        }),
      ),
      GetMetricStatistics: operation(
        anywhere('cloudwatch:GetMetricStatistics'),
        (input: GetMetricStatisticsCommandInput, call) => this.#statistics(input, call),
      ),
      GetMetricData: operation(
        anywhere('cloudwatch:GetMetricData'),
        (input: GetMetricDataCommandInput, call) => this.#data(input, call),
      ),
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
    for (const { namespace, name, dimensions, value, time } of embeddedMetrics(line)) {
      this.put(place, namespace, name, dimensions, value, time);
    }
  }

  /** Whether an alarm looks at a metric with these dimensions. */
  wants(namespace: string, place: Place, dimensions: Record<string, string>): boolean {
    const prefix = `${place.account}/${place.region}/${namespace}/`;
    const suffix = `/${dimensionsKey(dimensions)}`;
    const known = this.#wanted.get(prefix + suffix);
    if (known !== undefined) return known;
    const wants = [...this.#watched.keys()].some((key) => key.startsWith(prefix) && key.endsWith(suffix));
    this.#wanted.set(prefix + suffix, wants);
    return wants;
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

  /** Whether a metric ever had a value, wherever it is. */
  has(namespace: string, name: string, dimensions: Record<string, string>): boolean {
    const wanted = `/${namespace}/${name}/${dimensionsKey(dimensions)}`;
    return [...this.#metrics.keys()].some((key) => key.endsWith(wanted));
  }

  close(): void {
    this.#cancel();
  }

  #switchOfActions(name: 'EnableAlarmActions' | 'DisableAlarmActions', on: boolean) {
    return operation(
      ({ AlarmNames = [] }: EnableAlarmActionsCommandInput, { account, region }) =>
        AlarmNames.map((alarm) => ({
          action: `cloudwatch:${name}`,
          resource: `arn:aws:cloudwatch:${region}:${account}:alarm:${alarm}`,
        })),
      ({ AlarmNames = [] }, { account, region }) => {
        for (const alarm of this.#alarms) {
          const { resource } = alarm;
          if (
            resource.account === account &&
            resource.region === region &&
            AlarmNames.includes(resource.name)
          )
            alarm.actionsEnabled = on;
        }
      },
    );
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
    // Most alarms see the same for most of the time, and would come to the same as the minute before.
    if (alarm.settledUntil !== undefined && end < alarm.settledUntil) return;
    alarm.settledUntil = undefined;
    const range = alarm.evaluationPeriods + EXTRA_PERIODS;
    const series = this.#values(alarm, end, range);
    if (alarm.warmUp !== undefined) {
      const full = series.slice(-alarm.evaluationPeriods).every((point) => point !== undefined);
      if (end < alarm.warmUp.until && (alarm.warmUp.whole || !full)) return;
      alarm.warmUp = undefined;
    }
    const state = judge(alarm, series);
    if (state === alarm.state) {
      const metrics = alarm.queries.map(
        ({ source }) => ('key' in source && this.#metrics.get(source.key)?.points) || [],
      );
      alarm.settledUntil = seesTheSameUntil(alarm, metrics, end, range);
      return;
    }
    const shown = series
      .slice(-alarm.evaluationPeriods)
      .map((point) => point ?? 'missing')
      .slice(-5)
      .join(', ');
    this.#change(alarm, state, `${alarm.condition}; latest datapoints: [${shown}]`);
  }

  #change(alarm: Alarm, state: AlarmState, reason: string): void {
    if (state === alarm.state) return;
    const { name, arn } = alarm.resource;
    const change: AlarmHistory = {
      time: this.#aws.clock.now(),
      alarm: name,
      arn,
      from: alarm.state,
      to: state,
      reason,
      actions: [],
    };
    this.history.push(change);
    const before = alarm.state;
    alarm.state = state;
    alarm.settledUntil = undefined;
    alarm.since = this.#aws.clock.now();
    alarm.reason = reason;
    if (alarm.actionsEnabled) change.actions = this.#act(alarm, before);
    this.#aws.events.emit(
      alarm.resource,
      'aws.cloudwatch',
      'CloudWatch Alarm State Change',
      {
        alarmName: name,
        state: { value: state, reason, timestamp: new Date(alarm.since).toISOString() },
        previousState: { value: before },
        configuration: { description: alarm.resource.properties.text('AlarmDescription', '') },
      },
      [arn],
    );
  }

  #act(alarm: Alarm, before: AlarmState): AlarmHistory['actions'] {
    const { name, arn, account, region, properties } = alarm.resource;
    return alarm.actions[alarm.state].map((action) => ({
      arn: action,
      succeeded: this.#aws.sns.publish(
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
      ),
    }));
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
    for (const alarm of this.#watched.get(key) ?? []) alarm.settledUntil = undefined;
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

  #statistics(input: GetMetricStatisticsCommandInput, call: Place) {
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

  #data(input: GetMetricDataCommandInput, call: Place) {
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

function nextMinute(now: number): number {
  return (Math.floor(now / MINUTE) + 1) * MINUTE;
}

/** A change and what it had done, as DescribeAlarmHistory gives them: of both the form is that of what was seen on AWS. */
function historyItems({ time, alarm, from, to, reason, actions }: AlarmHistory) {
  const item = { AlarmName: alarm, AlarmType: 'MetricAlarm' as const, Timestamp: new Date(time) };
  return [
    {
      ...item,
      HistoryItemType: 'StateUpdate' as const,
      HistorySummary: `Alarm updated from ${from} to ${to}`,
      HistoryData: JSON.stringify({
        version: '1.0',
        oldState: { stateValue: from },
        newState: { stateValue: to, stateReason: reason },
      }),
    },
    ...actions.map(({ arn, succeeded }) => ({
      ...item,
      HistoryItemType: 'Action' as const,
      HistorySummary: `${succeeded ? 'Successfully executed' : 'Failed to execute'} action ${arn}`,
      HistoryData: JSON.stringify({
        actionState: succeeded ? 'Succeeded' : 'Failed',
        notificationResource: arn,
      }),
    })),
  ];
}
