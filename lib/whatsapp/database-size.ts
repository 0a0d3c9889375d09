import { Duration } from 'aws-cdk-lib';
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
import {
  type DatabaseSet,
  type DatabaseSizeSettings,
  DIFFERING_COPIES_FIGURE,
  LONGEST_COUNT_SECONDS,
  passwordCopiesAlarmName,
  SET_DIMENSION,
  SET_FIGURES,
} from '../../functions/database-size/contract.ts';
import { metricName } from '../../functions/shared/run/report.ts';
import { bundledFor } from '../bundled-for.ts';
import { checkProps, duration, passesPropsOn, refuse } from '../checks/props.ts';
import {
  copySettings,
  letReadCopies,
  type RotatedCredential,
} from '../credential-rotation/credential-copies.ts';
import { graph, type OnDashboard } from '../dashboards/on-dashboard.ts';
import { ofSecret } from '../encryption.ts';
import { entryFile } from '../entry-file.ts';
import { type FunctionNetwork, networkFindings } from '../function-network.ts';
import type { MediaVolumeBase } from '../media-volume/media-volume-base.ts';
import { commandToStart, type DailySchedule } from '../start-run.ts';
import type { Upkeep } from '../upkeep.ts';
import { createAlarm, LATEST_PERIOD } from '../upkeep-alarm.ts';
import { MAXIMUM_SETTINGS_BYTES } from '../upkeep-function.ts';
import { UpkeepJob } from '../upkeep-job.ts';
import {
  CLIENT_DATABASES,
  type ClientDatabases,
  letReadSizes,
  MESSAGE_DATABASE,
  setNameOf,
} from './client-databases.ts';
import { SETS, setNameFindings } from './prop-schemas.ts';

/** The job's name. */
export const DATABASE_SIZE_JOB = 'database-size';

/** "Large" by the client's documentation (data management): call message GC around upgrades then. */
export const LARGE_ROWS = 2_000_000;

/** From which on one GC request may not be enough, by the same documentation; for `media` too. */
const SEVERAL_CALLS_ROWS = 10_000_000;

/** How long before {@link SEVERAL_CALLS_ROWS} an operator is told: time for two weekly releases of the business's own. */
const DAYS_AHEAD = 14;

const FIGURES = {
  messageRows: 'messageRows',
  mediaRows: 'mediaRows',
  daysUntilTenMillion: 'daysUntilTenMillion',
};

/** What a `DatabaseSize` is made of. */
export interface DatabaseSizeProps {
  /** What this deployment's jobs share. */
  readonly upkeep: Upkeep;
  /** Which databases are measured: a set for each client that has databases of its own. */
  readonly sets: ClientDatabases[];
  /** From where the databases can be reached, and AWS's interfaces: see `ENDPOINT_SERVICES`. */
  readonly network: FunctionNetwork;
  /** When it runs. */
  readonly schedule: DailySchedule;
  /** How long a run may take, counted from its scheduled time. */
  readonly timeLimit: Duration;
  /**
   * Counts the rows one by one in each run, for at most so long a table. The user then needs `SELECT` on a column.
   * At most ten minutes.
   * @default the server's own estimates, for which no row is read
   */
  readonly exactCountTimeLimit?: Duration;
  /** The age of its last backup is told, for the alarm of `MediaVolumeAlarms`. @default none is told */
  readonly mediaVolume?: MediaVolumeBase | undefined;
  /**
   * The credential whose copies are compared with it, for an alarm: see `CredentialRotation.credential`.
   * @default none are
   */
  readonly passwordCopies?: RotatedCredential | undefined;
}

const PROPS = v.looseObject({
  sets: SETS,
  exactCountTimeLimit: v.optional(duration(Duration.seconds(1), Duration.seconds(LONGEST_COUNT_SECONDS))),
});

/**
 * Tells how large a WhatsApp client's databases are, daily, and how soon they will be too large; how old the last backup of
 * its media volume is; and whether the copies of its database password hold it.
 */
export class DatabaseSize extends Construct implements OnDashboard {
  /** The job underneath: its function, schedule and alarms. */
  readonly job: UpkeepJob;
  /** Of all sets. */
  readonly alarms: Alarm[] = [];
  /** Where a credential has copies. */
  readonly passwordCopiesAlarm: Alarm | undefined;

  private readonly upkeep: Upkeep;
  private readonly sets: readonly DatabaseSet[];

  constructor(scope: Construct, id: string, props: DatabaseSizeProps) {
    super(scope, id);
    passesPropsOn(this);
    checkProps(this, PROPS, props, () => [...setNameFindings(props.sets), ...networkFindings(props.network)]);
    const { upkeep, network, schedule, timeLimit, exactCountTimeLimit, mediaVolume } = props;
    const credential = props.passwordCopies?.copies.length ? props.passwordCopies : undefined;
    this.upkeep = upkeep;
    this.sets = props.sets.map(databaseSetOf);
    if (mediaVolume && mediaVolume.deployment !== upkeep.deployment)
      refuse(
        this,
        `the media volume is of the deployment "${mediaVolume.deployment}", whose alarm would never hear of its backups; it must be of "${upkeep.deployment}".`,
      );
    const settings = {
      deployment: upkeep.deployment,
      sets: [...this.sets],
      ...(exactCountTimeLimit && { exactCount: { timeLimitSeconds: exactCountTimeLimit.toSeconds() } }),
      ...(mediaVolume && { mediaVolume: { fileSystemArn: mediaVolume.fileSystem.fileSystemArn } }),
      ...(credential && {
        passwordCopies: {
          secretArn: credential.secretArn,
          copies: copySettings(credential.copies),
          deliverySeconds: credential.timeLimit.toSeconds(),
        },
      }),
    } satisfies DatabaseSizeSettings;
    const bytes = Buffer.byteLength(JSON.stringify(settings));
    if (bytes > MAXIMUM_SETTINGS_BYTES)
      refuse(
        this,
        `the settings of ${this.sets.length} sets of databases${credential ? ` and ${credential.copies.length} copies of the password` : ''} take ${bytes} bytes, of which ${MAXIMUM_SETTINGS_BYTES} fit into the function's environment. Name fewer sets, shorter certificates ("rds" takes nearly nothing) or, in mediaDatabases, only the database that has the table media.`,
      );
    this.job = new UpkeepJob(this, 'Job', {
      upkeep,
      job: DATABASE_SIZE_JOB,
      description: `Database sizes of ${upkeep.deployment}`,
      entry: entryFile('database-size'),
      ...bundledFor(
        this,
        props.sets.map(({ database }) => database),
      ),
      settings,
      schedule,
      timeLimit,
      network,
    });
    letReadSizes(this.job.function, props.sets);
    if (mediaVolume) this.letReadLastBackup();
    for (const set of this.sets) this.createAlarms(set);
    if (credential) {
      this.letCompare(credential);
      this.passwordCopiesAlarm = this.createPasswordCopiesAlarm();
    }
  }

  /** Rows of a set's `messages`. Missing for a day on which they were unknown. @default the largest number in five minutes */
  metricMessageRows(set: string, options?: MetricOptions): Metric {
    return this.metric(set, FIGURES.messageRows, options);
  }

  /** Rows of a set's `media`. Missing for a day on which they were unknown. @default the largest number in five minutes */
  metricMediaRows(set: string, options?: MetricOptions): Metric {
    return this.metric(set, FIGURES.mediaRows, options);
  }

  /**
   * Days until a set's `messages` has ten million rows, at the earliest that is likely; at most 14 from nine million on.
   * @default the largest number in five minutes
   */
  metricDaysUntilTenMillion(set: string, options?: MetricOptions): Metric {
    return this.metric(set, FIGURES.daysUntilTenMillion, options);
  }

  /** Bytes of a set's `messages` and `media`, without their indexes. @default the largest number in five minutes */
  metricTableBytes(set: string, options?: MetricOptions): Metric {
    return this.metric(set, SET_FIGURES.tableBytes, options);
  }

  /** Bytes of the indexes of a set's `messages` and `media`. @default the largest number in five minutes */
  metricIndexBytes(set: string, options?: MetricOptions): Metric {
    return this.metric(set, SET_FIGURES.indexBytes, options);
  }

  /** Connections that were idle for longer than the client's timeout. @default the largest number in five minutes */
  metricIdleConnections(set: string, options?: MetricOptions): Metric {
    return this.metric(set, SET_FIGURES.idleConnections, options);
  }

  /**
   * Copies of the database password that do not hold it. Missing for a day on which that is unknown.
   * @default the largest number in five minutes
   */
  metricPasswordCopiesDiffering(options?: MetricOptions): Metric {
    return this.job.metric(metricName(DIFFERING_COPIES_FIGURE), {
      statistic: 'Maximum',
      period: LATEST_PERIOD,
      ...options,
    });
  }

  /** The rows of each set's `messages`, with the two limits, and the bytes of its tables. */
  dashboardWidgets(): IWidget[] {
    const period = Duration.days(1);
    return [
      graph(
        `Rows of messages of ${this.upkeep.deployment}`,
        this.sets.map(({ name }) => this.metricMessageRows(name, { period, label: name }).attachTo(this)),
        {
          leftAnnotations: [
            { value: LARGE_ROWS, label: '2 million: large' },
            { value: SEVERAL_CALLS_ROWS, label: '10 million: one call may not be enough' },
          ],
        },
      ),
      graph(
        `Bytes of messages and media of ${this.upkeep.deployment}`,
        this.sets.flatMap(({ name }) => [
          this.metricTableBytes(name, { period, label: `${name} tables` }).attachTo(this),
          this.metricIndexBytes(name, { period, label: `${name} indexes` }).attachTo(this),
        ]),
        { stacked: true },
      ),
    ];
  }

  private metric(set: string, figure: string, options?: MetricOptions): Metric {
    const { deployment } = this.upkeep;
    return this.job.metric(metricName(figure), {
      dimensionsMap: { deployment, job: this.job.job, [SET_DIMENSION]: set },
      statistic: 'Maximum',
      period: LATEST_PERIOD,
      ...options,
    });
  }

  private letReadLastBackup(): void {
    this.job.function.allow('ReadLastBackup', ['backup:DescribeProtectedResource'], ['*']);
    this.job.function.acceptWildcard(
      '*',
      'The Service Authorization Reference has no resource types for backup:DescribeProtectedResource: an ARN there would allow nothing.',
    );
  }

  private letCompare({ secretArn, secretKeyArn, copies }: RotatedCredential): void {
    const { function: job } = this.job;
    job.allow('ReadCredential', ['secretsmanager:GetSecretValue'], [secretArn]);
    if (secretKeyArn)
      job.allow('DecryptCredential', ['kms:Decrypt'], [secretKeyArn], ofSecret(job, secretArn));
    letReadCopies(job, copies);
  }

  private createPasswordCopiesAlarm(): Alarm {
    const { deployment, topic } = this.upkeep;
    return createAlarm(
      this,
      'PasswordCopies',
      {
        alarmName: passwordCopiesAlarmName(deployment),
        meaning: `A place from which containers of ${deployment} read the database password at their start holds something else, or does not exist: a container that starts now may not be able to log in.`,
        whatToDo: [
          `Read the last report: the log /aws/lambda/${deployment}-database-size, message "Run report". Each problem there names the place, and since when.`,
          `credential-rotation puts it right in its next run. To do that at once, inside the downtime window: ${commandToStart(deployment, 'credential-rotation')}`,
          'See who writes there: an update of the stack that made the place may.',
        ],
        topic,
      },
      {
        metric: this.metricPasswordCopiesDiffering(),
        threshold: 1,
        comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluationPeriods: 1,
        // As for the sizes: one point a day, none while it is unknown.
        treatMissingData: TreatMissingData.IGNORE,
      },
    );
  }

  private createAlarms({ name, tables }: DatabaseSet): void {
    const { deployment } = this.upkeep;
    const where = `the client's databases of ${deployment} (set ${name})`;
    const report = `Read the last report: the log /aws/lambda/${deployment}-database-size, message "Run report"; "details" has the range within which the number lies.`;
    const gc = `Look whether message-gc succeeds (its alarms), and whether its reports show messagesDeleted. Only read and delivered messages are deleted.`;
    this.createAlarm(name, 'Large', {
      metric: this.metricMessageRows(name),
      threshold: LARGE_ROWS,
      meaning: `The table messages of ${where} has more than 2 million rows, which the client's makers call large.`,
      whatToDo: [
        report,
        `For an exact number start it by hand, with the payload {"job":"database-size","deployment":"${deployment}","options":{"exactCount":{"timeLimitSeconds":60}}}.`,
        'Have message-gc run daily, and run it before and during an upgrade of the client.',
        gc,
      ],
    });
    this.createAlarm(name, 'SeveralCalls', {
      metric: this.metricMessageRows(name),
      threshold: SEVERAL_CALLS_ROWS,
      meaning: `The table messages of ${where} has more than 10 million rows: one request for garbage collection may not be enough.`,
      whatToDo: [
        report,
        'Raise maximumCalls and timeLimitMinutes of message-gc, so that it asks again until the callbacks have no errors.',
        gc,
      ],
    });
    this.createAlarm(name, 'Growth', {
      metric: this.metricDaysUntilTenMillion(name),
      threshold: DAYS_AHEAD,
      comparisonOperator: ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD,
      meaning: `At the pace of the last weeks, the table messages of ${where} may have 10 million rows within ${DAYS_AHEAD} days, or is within a tenth of them.`,
      whatToDo: [
        report,
        gc,
        'Mark messages read before garbage collection (markRead), if the business wants that: unread ones stay.',
      ],
    });
    if (tables.some(({ figure }) => figure === FIGURES.mediaRows))
      this.createAlarm(name, 'Media', {
        metric: this.metricMediaRows(name),
        threshold: SEVERAL_CALLS_ROWS,
        meaning: `The table media of ${where} has more than 10 million rows: one request for media garbage collection may not be enough.`,
        whatToDo: [report, 'Have media-gc run, and let it ask several times.'],
      });
  }

  private createAlarm(
    set: string,
    kind: 'Large' | 'SeveralCalls' | 'Growth' | 'Media',
    {
      metric,
      threshold,
      comparisonOperator = ComparisonOperator.GREATER_THAN_THRESHOLD,
      ...text
    }: {
      metric: Metric;
      threshold: number;
      comparisonOperator?: ComparisonOperator;
      meaning: string;
      whatToDo: string[];
    },
  ): void {
    const alarmName = `${this.upkeep.deployment}-database-size-${set}-${kindNames[kind]}`;
    this.alarms.push(
      createAlarm(
        this,
        `${kind}-${set}`,
        { alarmName, topic: this.upkeep.warningTopic, ...text },
        {
          metric,
          threshold,
          comparisonOperator,
          evaluationPeriods: 1,
          // There is one point a day, and none on a day on which the number is unknown: the alarm then stays as it
          // is. That nothing was told rings others: the job's own for a partial, failed or missed run.
          treatMissingData: TreatMissingData.IGNORE,
        },
      ),
    );
  }
}

const kindNames = { Large: 'large', SeveralCalls: 'several-calls', Growth: 'growth', Media: 'media' };

/** A client's databases as functions look at them: `messages`, and `media` if it is watched. */
export function databaseSetOf(client: ClientDatabases): DatabaseSet {
  const { prefix, database, secretArn, idleTimeout, mediaDatabases = CLIENT_DATABASES } = client;
  const withPrefix = (names: readonly string[]) => names.map((name) => `${prefix}${name}`);
  return {
    name: setNameOf(client),
    database,
    secretArn,
    databases: withPrefix([...new Set([...CLIENT_DATABASES, ...mediaDatabases])]),
    tables: [
      {
        table: 'messages',
        databases: withPrefix([MESSAGE_DATABASE]),
        figure: FIGURES.messageRows,
        limit: { rows: SEVERAL_CALLS_ROWS, figure: FIGURES.daysUntilTenMillion, daysAhead: DAYS_AHEAD },
      },
      ...(mediaDatabases.length > 0
        ? [{ table: 'media', databases: withPrefix(mediaDatabases), figure: FIGURES.mediaRows }]
        : []),
    ],
    ...(idleTimeout && { idleTimeoutSeconds: idleTimeout.toSeconds() }),
  };
}
