import { Duration, Stack, Token } from 'aws-cdk-lib';
import {
  type Alarm,
  ComparisonOperator,
  type IWidget,
  type Metric,
  type MetricOptions,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { IBaseService } from 'aws-cdk-lib/aws-ecs';
import { CfnRule } from 'aws-cdk-lib/aws-events';
import { CfnPermission } from 'aws-cdk-lib/aws-lambda';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { CfnParameter } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import * as v from 'valibot';
import {
  type ReloadOnChangeSettings,
  STALE_HOURS_METRIC,
  WATCHED_DIMENSION,
  type Watched,
} from '../functions/reload-on-change/contract.ts';
import type { RolledService } from '../functions/shared/roll/rolled-service.ts';
import type { StartRunEvent } from '../functions/start-run/contract.ts';
import { clusterName, field, serviceName } from './checks/fields.ts';
import type { Finding } from './checks/mistakes.ts';
import { checkProps, duration, lessThanTimeLimit, passesPropsOn, refuse } from './checks/props.ts';
import { graph, type OnDashboard } from './dashboards/on-dashboard.ts';
import { type ClusterReference, clusterFindings, clusterNameOf, clusterReference } from './ecs-services.ts';
import { entryFile } from './entry-file.ts';
import { ecsArn, letFollowRuns, letRollServices } from './roll-permissions.ts';
import { partialSecretFindings } from './secret-reference.ts';
import type { DailySchedule } from './start-run.ts';
import type { Upkeep } from './upkeep.ts';
import { createAlarm, LATEST_PERIOD } from './upkeep-alarm.ts';
import { functionArn, MAXIMUM_SETTINGS_BYTES } from './upkeep-function.ts';
import { UpkeepJob } from './upkeep-job.ts';
import type { JobReference } from './upkeep-job-props.ts';

/** What others change, and containers are given at their start. */
export type WatchedValue =
  /** A secret of whichever stack; one that is not of this app by its full ARN (`Secret.fromSecretCompleteArn`). RDS's own (`rds!…`) too. */
  | { readonly secret: ISecret }
  /** The name of a parameter of Parameter Store, such as `/shop/tls`, in the stack's account and region. */
  | { readonly parameter: string };

/** A service whose containers read something that is watched at their start. */
export interface ReloadedService extends Omit<RolledService, 'clusterArn'> {
  /** Name of its ECS cluster. @default `cluster` */
  readonly clusterName?: string | undefined;
  /**
   * What its application reads by itself, besides what its task definition gives to the containers: names of `watched`.
   * @default what the task definition gives; where that gives none of it, all
   */
  readonly reads?: string[];
}

/** What a `ReloadOnChange` is made of. */
export interface ReloadOnChangeProps {
  /** What this deployment's jobs share. */
  readonly upkeep: Upkeep;
  /** A name for the job. Lower case, digits, hyphens, at most 22 characters. @default 'reload-on-change' */
  readonly job?: string;
  /**
   * What is watched, at most twenty, each by a name of your own that its alarm and the report call it by: lower case, digits,
   * hyphens, at most 32 characters. Its value is never read.
   */
  readonly watched: Record<string, WatchedValue>;
  /** The ECS cluster of those services that are given by name and name none, or its name. */
  readonly cluster?: ClusterReference;
  /**
   * Whose containers read it at their start, in the order in which their tasks are replaced: the services themselves, of whichever
   * stack, or their names. Which of them reads what the task definition tells.
   */
  readonly services: (IBaseService | ReloadedService)[];
  /** When to look, each day: most days nothing is new. */
  readonly schedule: DailySchedule;
  /** How long a run may take, counted from its scheduled time. */
  readonly timeLimit: Duration;
  /**
   * Looks when Secrets Manager or Parameter Store tells of a change as well, at any hour, and begins to replace tasks then: for
   * values of which the earlier ones end at once, such as the passwords that RDS manages.
   * @default false: the daily look finds it
   */
  readonly atOnce?: boolean;
  /** How long a service may take to be steady: at the beginning, and after each change. @default 20 minutes */
  readonly steadyTimeout?: Duration;
  /** How long the new tasks of a service must stay up before the next service is touched. @default 2 minutes */
  readonly settleTime?: Duration;
  /**
   * Jobs of the same deployment for the end of whose runs it waits before it replaces a task.
   * @default none
   */
  readonly waitsFor?: string[];
  /**
   * Jobs of the same deployment during whose runs it does not start. Those should name this one in their own `conflictsWith`, or
   * `waitsFor`, too.
   * @default `credential-rotation`, if there is one
   */
  readonly conflictsWith?: JobReference[];
}

const DEFAULT_JOB = 'reload-on-change';
const DEFAULT_STEADY_TIMEOUT = Duration.minutes(20);
const DEFAULT_SETTLE_TIME = Duration.minutes(2);
/** What a run notes of so many has room in a parameter, and the policy that names them in a role. */
const MOST_WATCHED = 20;
/** "Within a day", measured at a run's end: the next day's run may begin earlier than this day's did. */
const STALE_AFTER_HOURS = 20;

const PARAMETER_NAME = /^[\w./-]{1,1011}$/;

const PROPS = v.looseObject({
  watched: field(
    v.pipe(
      v.record(
        v.string(),
        field(
          v.custom<WatchedValue>(isWatchedValue),
          'an object with "secret", such as Secret.fromSecretCompleteArn(…), or with "parameter", the name of a parameter',
          'What is watched.',
        ),
      ),
      v.minEntries(1),
      v.maxEntries(MOST_WATCHED),
    ),
    `an object of 1 to ${MOST_WATCHED} names, each with { secret } or { parameter }`,
    'What is watched.',
  ),
  cluster: v.optional(clusterReference('The cluster.')),
  services: field(
    v.pipe(v.array(v.looseObject({})), v.minLength(1), v.maxLength(50)),
    'a list of 1 to 50 ECS services, or of { name }',
    'The services.',
  ),
  atOnce: v.optional(field(v.boolean(), 'true or false', 'Whether it goes by events too.')),
  steadyTimeout: v.optional(duration(Duration.minutes(1), Duration.hours(12))),
  settleTime: v.optional(duration(Duration.seconds(0), Duration.hours(1))),
});

/** Of what the services mean. */
const SERVICES = v.looseObject({
  services: v.array(
    v.looseObject({
      name: serviceName('A service.'),
      clusterName: v.optional(clusterName('Its cluster.')),
      reads: v.optional(field(v.array(v.string()), 'a list of names of "watched"', 'What it reads.')),
    }),
  ),
});

function isWatchedValue(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { secret, parameter }: { secret?: unknown; parameter?: unknown } = value;
  return typeof parameter === 'string'
    ? PARAMETER_NAME.test(parameter)
    : typeof secret === 'object' && secret !== null && 'secretArn' in secret;
}

const WATCHED_NAME = /^[a-z][a-z0-9-]{0,31}$/;

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
    checkProps(this, PROPS, props);
    const services = servicesOf(props);
    checkProps(this, SERVICES, { services }, () => findings(props, services));
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

function isService(service: IBaseService | ReloadedService): service is IBaseService {
  return typeof service === 'object' && service !== null && 'serviceName' in service;
}

function servicesOf({ services }: ReloadOnChangeProps): ReloadedService[] {
  return services.map((service) =>
    isService(service) ? { name: service.serviceName, clusterName: service.cluster.clusterName } : service,
  );
}

function watchedOf({ watched }: ReloadOnChangeProps): Watched[] {
  return Object.entries(watched).map(([name, each]) =>
    'secret' in each
      ? { name, secretArn: each.secret.secretFullArn ?? '' }
      : { name, parameter: each.parameter },
  );
}

/** What no single property can say. */
function findings(props: ReloadOnChangeProps, services: ReloadedService[]): Finding[] {
  const { timeLimit, steadyTimeout = DEFAULT_STEADY_TIMEOUT, settleTime = DEFAULT_SETTLE_TIME } = props;
  const watched = watchedOf(props);
  const placeOf = (each: Watched) => ('parameter' in each ? each.parameter : each.secretArn);
  return [
    ...partialSecretFindings(
      Object.entries(props.watched).map(([name, each]) => ({
        field: ['watched', name, 'secret'],
        secret: 'secret' in each ? each.secret : undefined,
      })),
    ),
    ...watched.flatMap((each, index): Finding[] => {
      const { name } = each;
      const twin = watched.findIndex((other) => placeOf(other) === placeOf(each));
      return [
        ...(WATCHED_NAME.test(name)
          ? []
          : [
              {
                field: ['watched', name],
                problem:
                  'has a name that cannot be one of an alarm; it must be a lower-case letter, then at most 31 lower-case letters, digits and hyphens.',
              },
            ]),
        ...(twin !== index && placeOf(each) !== ''
          ? [
              {
                field: ['watched', name],
                problem: `is the same as watched.${watched[twin]?.name}; it must be left out.`,
              },
            ]
          : []),
      ];
    }),
    ...(props.services.every((service) => isService(service) || service.clusterName)
      ? []
      : clusterFindings(props.cluster, [])),
    ...services.flatMap(({ name, reads = [] }, index) => {
      const first = services.findIndex((other) => other.name === name);
      const unknown = reads.find((of) => !watched.some((each) => each.name === of));
      return [
        ...(first === index || Token.isUnresolved(name)
          ? []
          : [
              {
                field: ['services', index, 'name'],
                problem: `is "${name}", as is services[${first}].name; each service must be named once.`,
              },
            ]),
        ...(unknown === undefined
          ? []
          : [
              {
                field: ['services', index, 'reads'],
                problem: `names "${unknown}", which is not watched; it must be of ${watched.map((each) => each.name).join(', ')}.`,
              },
            ]),
      ];
    }),
    ...lessThanTimeLimit('steadyTimeout', steadyTimeout, timeLimit),
    ...lessThanTimeLimit('settleTime', settleTime, steadyTimeout).map(({ field, problem }) => ({
      field,
      problem: problem.replace('timeLimit', 'steadyTimeout'),
    })),
  ];
}
