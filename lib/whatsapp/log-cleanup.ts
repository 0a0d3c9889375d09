import { Duration, Stack } from 'aws-cdk-lib';
import {
  type Alarm,
  ComparisonOperator,
  type IWidget,
  type Metric,
  type MetricOptions,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import * as v from 'valibot';
import { cleanupScript } from '../../functions/log-cleanup/cleanup-script.ts';
import type { KeepIn, LogRole, RotationRules } from '../../functions/log-cleanup/contract.ts';
import { pascalCased } from '../../functions/shared/containers/container-report.ts';
import { containerPath, field, wholeNumber } from '../checks/fields.ts';
import { checkProps, passesPropsOn } from '../checks/props.ts';
import {
  type ContainerServices,
  ContainersJob,
  type ContainersJobProps,
  type NamedContainerServices,
} from '../containers-job.ts';
import { graph, type OnDashboard } from '../dashboards/on-dashboard.ts';
import { createAlarm } from '../upkeep-alarm.ts';
import type { UpkeepJob } from '../upkeep-job.ts';
import type { JobReference } from '../upkeep-job-props.ts';
import { LOG_ARCHIVE, LogArchive, type LogArchiveProps, logArchiveFindings } from './log-archive.ts';

/** A role of the client's containers. */
export type ClientRole = 'webapp' | 'coreapp' | 'master';

/** Where a role's logs lie. */
export interface RoleLogs {
  /** Absolute paths in the container. */
  readonly logs?: string[] | undefined;
  /** The folder of the rotated logs. */
  readonly archive?: string | undefined;
}

/** `conflictsWith` is by default `credential-rotation`, which restarts the containers. */
export interface LogCleanupProps extends ContainersJobProps {
  /** The roles that this client has; a single instance has no `master`. */
  readonly roles: { readonly [Role in ClientRole]?: (ContainerServices & RoleLogs) | undefined };
  /** The clean-up script in each container. @default /opt/whatsapp/bin/cleanup.sh */
  readonly script?: string;
  /** An alarm rings when a log file system has less than this free, in percent. @default 15 */
  readonly nearlyFullPercent?: number;
  /**
   * Keeps rotated logs in S3 before the clean-up, each once. What cannot be kept is not deleted, unless a log file system
   * has less than `nearlyFullPercent` free. See docs/log-archive.md.
   * @default they are not kept
   */
  readonly archive?: LogArchiveProps;
}

const DEFAULT_SCRIPT = '/opt/whatsapp/bin/cleanup.sh';
const DEFAULT_ARCHIVE = '/var/log/whatsapp/archive';
const DEFAULT_NEARLY_FULL_PERCENT = 15;
const MEBIBYTE = 1024 * 1024;

/** The client's own rules ("data management" in its documentation): size from which a log is rotated, files kept. */
const WEBAPP_ROTATION: RotationRules = { maximumBytes: 20 * MEBIBYTE, keptFiles: 30 };
const COREAPP_ROTATION: RotationRules = { maximumBytes: 15 * MEBIBYTE, keptFiles: 30 };

/** Where the client's images have their logs, by Meta's own checker WADebug. */
const DEFAULTS: Record<ClientRole, Pick<LogRole, 'logs' | 'rotation'>> = {
  webapp: { logs: ['/var/log/whatsapp', '/var/log/lighttpd'], rotation: WEBAPP_ROTATION },
  coreapp: { logs: ['/usr/local/waent/logs', '/var/log/whatsapp'], rotation: COREAPP_ROTATION },
  master: { logs: ['/usr/local/waent/logs', '/var/log/whatsapp'], rotation: COREAPP_ROTATION },
};

const role = v.optional(
  v.looseObject({
    logs: v.optional(
      field(
        v.pipe(v.array(containerPath('A folder.')), v.minLength(1)),
        'a list of at least one absolute path',
        'Folders of the logs.',
      ),
    ),
    archive: v.optional(containerPath('The folder of the rotated logs.')),
  }),
);

const PROPS = v.looseObject({
  roles: field(
    v.strictObject({ webapp: role, coreapp: role, master: role }),
    'an object with "webapp", "coreapp", "master", or some of them',
    "The client's containers by role.",
  ),
  script: v.optional(containerPath('The script.')),
  nearlyFullPercent: v.optional(wholeNumber(1, 50, 'In percent.')),
  archive: v.optional(LOG_ARCHIVE),
});

/**
 * Runs the WhatsApp client's clean-up script in each of its containers, daily, as its makers ask; measures what came
 * of it, and tells when a container's own rotation of logs does not work.
 */
export class LogCleanup extends Construct implements OnDashboard {
  /** The job underneath: its function, schedule and alarms. */
  readonly job: UpkeepJob;
  /** Rings when a container has little space left for logs. */
  readonly nearlyFullAlarm: Alarm;
  /** Where rotated logs are kept; `undefined` where they are not. */
  readonly archive: LogArchive | undefined;

  private readonly roles: ClientRole[];
  private readonly nearlyFullPercent: number;

  constructor(scope: Construct, id: string, props: LogCleanupProps) {
    super(scope, id);
    passesPropsOn(this);
    checkProps(this, PROPS, props, () => logArchiveFindings(props.archive));
    const { upkeep, roles, script = DEFAULT_SCRIPT, nearlyFullPercent = DEFAULT_NEARLY_FULL_PERCENT } = props;
    const { deployment, warningTopic: topic } = upkeep;
    this.roles = CLIENT_ROLES.filter((role) => roles[role]);
    this.nearlyFullPercent = nearlyFullPercent;
    this.archive = props.archive && new LogArchive(this, 'Archive', upkeep, props.archive);
    const keepIn: KeepIn | undefined = this.archive && {
      bucket: this.archive.bucket.bucketName,
      urlSuffix: Stack.of(this).urlSuffix,
      nearlyFullPercent,
    };
    const containers = new ContainersJob<Omit<LogRole, 'services'> & NamedContainerServices>(
      this,
      'Containers',
      {
        job: 'log-cleanup',
        description: `Log clean-up in the containers of ${deployment}`,
        functionName: 'log-cleanup',
        roles: CLIENT_ROLES.flatMap((name) => {
          const { services, container, logs, archive } = roles[name] ?? {};
          if (!services || !container) return [];
          return [
            {
              ...DEFAULTS[name],
              name,
              services,
              container,
              script,
              archive: archive ?? DEFAULT_ARCHIVE,
              ...(logs && { logs }),
            },
          ];
        }),
        commandOf: (role) => ({ script: cleanupScript(role.script, role, keepIn) }),
        ...(keepIn && { settings: { keepIn }, takesInput: true }),
      },
      { conflictsWith: RESTARTING_JOBS, ...props },
    );
    this.job = containers.job;
    this.archive?.letKeep(this.job.function, deployment);
    this.nearlyFullAlarm = createAlarm(
      this,
      'NearlyFull',
      {
        alarmName: `${deployment}-log-cleanup-nearly-full`,
        meaning: `After its clean-up, the log file system of a container of ${deployment} has less than ${nearlyFullPercent} % free.`,
        whatToDo: [
          `Read the run's report: the log /aws/lambda/${deployment}-log-cleanup, message "Run report", newest first. Its details give the free space of each container.`,
          "Look in that container for what fills the disk; a problem of the report names logs whose rotation is broken. On EC2 the disk may be the host's.",
          'Give the task more ephemeral storage, or replace it. The alarm is quiet again after the next run that finds more free.',
        ],
        topic,
      },
      {
        metric: this.metricLowestFreePercent({ period: Duration.minutes(5) }),
        threshold: nearlyFullPercent,
        comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
        evaluationPeriods: 1,
        // It is measured once a day: what was true then stays true until it is measured again.
        treatMissingData: TreatMissingData.IGNORE,
      },
    );
  }

  /** Containers in which the clean-up ended well. @default the sum over five minutes */
  metricContainersCleaned(options?: MetricOptions): Metric {
    return this.job.metric('ContainersCleaned', options);
  }

  /** Containers in which it did not, of all roles or of one. @default the sum over five minutes */
  metricContainersFailed(options?: MetricOptions & { readonly role?: ClientRole }): Metric {
    return this.metricOf('ContainersFailed', options);
  }

  /** What logs and archives shrank by, in bytes, of all roles or of one. @default the sum over five minutes */
  metricBytesFreed(options?: MetricOptions & { readonly role?: ClientRole }): Metric {
    return this.metricOf('BytesFreed', options);
  }

  /** Free space of the fullest log file system after the clean-up, of all roles or of one. @default the minimum over five minutes */
  metricLowestFreePercent(options?: MetricOptions & { readonly role?: ClientRole }): Metric {
    return this.metricOf('LowestFreePercent', { statistic: 'Minimum', ...options });
  }

  /** What was freed, and the free space of the fullest log file system, by role. */
  dashboardWidgets(): IWidget[] {
    const { deployment } = this.job.upkeep;
    const period = Duration.days(1);
    return [
      graph(
        `Bytes freed in the containers of ${deployment}`,
        this.roles.map((role) => this.metricBytesFreed({ role, period, label: role }).attachTo(this)),
        { stacked: true },
      ),
      graph(
        `Lowest free log space of ${deployment} (%)`,
        this.roles.map((role) => this.metricLowestFreePercent({ role, period, label: role }).attachTo(this)),
        {
          leftYAxis: { min: 0, max: 100, showUnits: false },
          leftAnnotations: [{ value: this.nearlyFullPercent, label: 'nearly full' }],
        },
      ),
    ];
  }

  private metricOf(
    name: string,
    options: (MetricOptions & { readonly role?: ClientRole }) | undefined,
  ): Metric {
    const { role, ...others } = options ?? {};
    return this.job.metric(`${name}${role ? pascalCased(role) : ''}`, others);
  }
}

/** Jobs that restart containers, in which a clean-up would then be cut off. */
const RESTARTING_JOBS: JobReference[] = [{ job: 'credential-rotation', optional: true }];
const CLIENT_ROLES: ClientRole[] = ['webapp', 'coreapp', 'master'];
