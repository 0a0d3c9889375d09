import { Duration, Stack } from 'aws-cdk-lib';
import {
  type Alarm,
  ComparisonOperator,
  type IWidget,
  type Metric,
  type MetricOptions,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { CfnRule } from 'aws-cdk-lib/aws-events';
import { CfnPermission } from 'aws-cdk-lib/aws-lambda';
import { CfnParameter } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import {
  type ReloadOnChangeSettings,
  STALE_HOURS_METRIC,
  WATCHED_DIMENSION,
  type Watched,
} from '../functions/reload-on-change/contract.ts';
import type { StartRunEvent } from '../functions/start-run/contract.ts';
import { checkProps, passesPropsOn, refuse } from './checks/props.ts';
import { graph, type OnDashboard } from './dashboards/on-dashboard.ts';
import { clusterNameOf } from './ecs-services.ts';
import { entryFile } from './entry-file.ts';
import {
  DEFAULT_SETTLE_TIME,
  DEFAULT_STEADY_TIMEOUT,
  isService,
  NAMES,
  PROPS,
  type ReloadOnChangeProps,
  reloadFindings,
  SERVICES,
  servicesOf,
  watchedOf,
} from './reload-on-change-props.ts';
import { ecsArn, letFollowRuns, letRollServices } from './roll-permissions.ts';
import type { Upkeep } from './upkeep.ts';
import { createAlarm, LATEST_PERIOD } from './upkeep-alarm.ts';
import { functionArn, MAXIMUM_SETTINGS_BYTES } from './upkeep-function.ts';
import { UpkeepJob } from './upkeep-job.ts';

const DEFAULT_JOB = 'reload-on-change';
/** "Within a day", measured at a run's end: the next day's run may begin earlier than this day's did. */
const STALE_AFTER_HOURS = 20;

/**
 * Notices that a secret or a parameter which others change has a new version, replaces the tasks of the services that read it,
 * one service after the other, and reports. Its value is never read; where nothing is new nothing is touched.
 */
export class ReloadOnChange extends Construct implements OnDashboard {
  /** The job underneath: its function, schedule and alarms. */
  readonly job: UpkeepJob;
  /** By the names of what is watched: rings when tasks have not got the version in use for a day. */
  readonly staleAlarms: Record<string, Alarm>;

  private readonly names: string[];

  constructor(scope: Construct, id: string, props: ReloadOnChangeProps) {
    super(scope, id);
    passesPropsOn(this);
    checkProps(this, PROPS, props, undefined, NAMES);
    const services = servicesOf(props);
    checkProps(this, SERVICES, { services }, () => reloadFindings(props, services));
    const { upkeep, job = DEFAULT_JOB, timeLimit, schedule, waitsFor = [], atOnce = false } = props;
    const { deployment } = upkeep;
    this.names = Object.keys(props.watched);
    const watched = watchedOf(props);
    const cluster = clusterNameOf(props.cluster, props.services.filter(isService));
    const seen = new CfnParameter(this, 'Seen', {
      name: `/upkeep/${deployment}/${job}/seen`,
      description: `Which versions ${job} of ${deployment} has seen`,
      type: 'String',
      value: '{}',
    });
    const settings: ReloadOnChangeSettings = {
      deployment,
      job,
      watched,
      seenParameter: `/upkeep/${deployment}/${job}/seen`,
      clusterArn: ecsArn(this, 'cluster', cluster || (services[0]?.clusterName ?? '')),
      services: services.map(({ clusterName: own, ...service }) => ({
        ...service,
        ...(own && { clusterArn: ecsArn(this, 'cluster', own) }),
      })),
      steadyTimeoutSeconds: (props.steadyTimeout ?? DEFAULT_STEADY_TIMEOUT).toSeconds(),
      settleSeconds: (props.settleTime ?? DEFAULT_SETTLE_TIME).toSeconds(),
    };
    const bytes = Buffer.byteLength(JSON.stringify(settings));
    if (bytes > MAXIMUM_SETTINGS_BYTES)
      refuse(
        this,
        `the settings take ${bytes} bytes, of which ${MAXIMUM_SETTINGS_BYTES} fit into the function's environment. Make two of it, each with a part of "services" or "watched".`,
      );
    this.job = new UpkeepJob(this, 'Job', {
      upkeep,
      job,
      description: `Reloads services of ${deployment} whose secrets or parameters have changed`,
      entry: entryFile('reload-on-change'),
      settings,
      schedule,
      timeLimit,
      waitsFor,
      conflictsWith: props.conflictsWith ?? [{ job: 'credential-rotation', optional: true }],
      outsideWindow: atOnce,
    });
    // Before its first run.
    this.job.alias.node.addDependency(seen);
    this.allow(watched, settings.seenParameter, waitsFor, upkeep);
    letRollServices(
      this.job.function,
      services.map((service) => ({ ...service, clusterName: service.clusterName ?? cluster })),
    );
    if (atOnce) for (const each of watched) this.startOnChange(each, upkeep);
    this.staleAlarms = Object.fromEntries(this.names.map((name) => [name, this.createStaleAlarm(name)]));
  }

  /** For how many hours a version has been in use that not all tasks have, 0 where all have it. @default the largest number in five minutes */
  metricStaleHours(watched: string, options?: MetricOptions): Metric {
    const { upkeep, job } = this.job;
    return this.job.metric(STALE_HOURS_METRIC, {
      dimensionsMap: { deployment: upkeep.deployment, job, [WATCHED_DIMENSION]: watched },
      statistic: 'Maximum',
      period: LATEST_PERIOD,
      ...options,
    });
  }

  /** Tasks that were replaced. @default the sum over five minutes */
  metricTasksReplaced(options?: MetricOptions): Metric {
    return this.job.metric('TasksReplaced', options);
  }

  /** For how long versions have not reached all tasks, and the tasks that were replaced. */
  dashboardWidgets(): IWidget[] {
    const { job } = this.job;
    const period = Duration.days(1);
    return [
      graph(
        `Hours in which tasks lacked a version that ${job} watches`,
        this.names.map((name) => this.metricStaleHours(name, { period, label: name }).attachTo(this)),
        { leftAnnotations: [{ value: STALE_AFTER_HOURS, label: 'the alarm rings' }] },
      ),
      graph(`Tasks that ${job} replaced`, [this.metricTasksReplaced({ period }).attachTo(this)]),
    ];
  }

  private allow(watched: Watched[], seenParameter: string, waitsFor: string[], upkeep: Upkeep): void {
    const { function: own } = this.job;
    const secrets = watched.flatMap((each) => ('secretArn' in each ? each.secretArn : []));
    const parameters = watched.flatMap((each) =>
      'parameter' in each ? this.parameterArn(each.parameter) : [],
    );
    // Neither GetSecretValue nor kms:Decrypt: it sees that there is a new value, and no value.
    if (secrets.length > 0)
      own.allow(
        'SeeVersions',
        ['secretsmanager:DescribeSecret', 'secretsmanager:ListSecretVersionIds'],
        secrets,
      );
    if (parameters.length > 0) own.allow('SeeParameters', ['ssm:GetParameter'], parameters);
    own.allow('NoteVersions', ['ssm:GetParameter', 'ssm:PutParameter'], [this.parameterArn(seenParameter)]);
    if (waitsFor.length > 0)
      letFollowRuns(
        own,
        waitsFor.map((other) => functionArn(own, `${upkeep.deployment}-${other}`)),
      );
  }

  private parameterArn(name: string): string {
    return Stack.of(this).formatArn({
      service: 'ssm',
      resource: 'parameter',
      resourceName: name.replace(/^\//, ''),
    });
  }

  /** Both services tell of it on the default bus by themselves, without a trail of CloudTrail. */
  private startOnChange(watched: Watched, { deployment, startRun }: Upkeep): void {
    const { job } = this.job;
    const pattern =
      'parameter' in watched
        ? {
            source: ['aws.ssm'],
            'detail-type': ['Parameter Store Change'],
            resources: [this.parameterArn(watched.parameter)],
            detail: { operation: ['Create', 'Update'] },
          }
        : {
            source: ['aws.secretsmanager'],
            'detail-type': ['Secret Label Updated'],
            resources: [watched.secretArn],
          };
    const event: StartRunEvent = { job, deployment };
    const rule = new CfnRule(this, `On-${watched.name}`, {
      description: `Starts ${job} of ${deployment} when ${watched.name} changes`,
      eventPattern: pattern,
      targets: [{ id: 'start-run', arn: startRun.function.functionArn, input: JSON.stringify(event) }],
    });
    new CfnPermission(this, `LetEventsStart-${watched.name}`, {
      principal: 'events.amazonaws.com',
      action: 'lambda:InvokeFunction',
      functionName: startRun.function.functionArn,
      sourceArn: rule.attrArn,
    });
  }

  private createStaleAlarm(name: string): Alarm {
    const { job, upkeep } = this.job;
    const { deployment } = upkeep;
    return createAlarm(
      this,
      `Stale-${name}`,
      {
        alarmName: `${deployment}-${job}-stale-${name}`,
        meaning: `A version of ${name} has been in use for a day, and some tasks of ${deployment} that read it have an earlier one.`,
        whatToDo: [
          `Read the last report: the log /aws/lambda/${deployment}-${job}, message "Run report". Each problem there says what, where (the service) and what next.`,
          `If no run began at all, the alarm ${deployment}-${job}-missed rings too: go on there.`,
        ],
        topic: upkeep.warningTopic,
      },
      {
        metric: this.metricStaleHours(name),
        threshold: STALE_AFTER_HOURS,
        comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluationPeriods: 1,
        // There is one point a day; between two the alarm stays as it is.
        treatMissingData: TreatMissingData.IGNORE,
      },
    );
  }
}
