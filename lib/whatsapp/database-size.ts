import { Duration, Validations } from 'aws-cdk-lib';
import {
  type Alarm,
  ComparisonOperator,
  type Metric,
  type MetricOptions,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import {
  type DatabaseSet,
  type DatabaseSizeSettings,
  metricName,
  SET_DIMENSION,
  SET_FIGURES,
} from '../../functions/database-size/contract.ts';
import type { DatabaseAddress } from '../../functions/shared/database/rotation.ts';
import { entryFile } from '../entry-file.ts';
import type { MediaVolumeBase } from '../media-volume.ts';
import type { DailySchedule } from '../start-run.ts';
import type { Upkeep } from '../upkeep.ts';
import { createAlarm } from '../upkeep-alarm.ts';
import type { FunctionNetwork } from '../upkeep-function.ts';
import { UpkeepJob } from '../upkeep-job.ts';

/** "Large" by the client's documentation (data management): call message GC around upgrades then. */
const LARGE_ROWS = 2_000_000;

/** From which on one GC request may not be enough, by the same documentation; for `media` too. */
const SEVERAL_CALLS_ROWS = 10_000_000;

/** How long before {@link SEVERAL_CALLS_ROWS} an operator is told: two of the weeks by which the pace is judged. */
const DAYS_AHEAD = 14;

/** Lambda's limit on an environment is 4 KB; what stands in it besides needs less than this. */
const MAXIMUM_SETTINGS_BYTES = 4096 - 128;

/** The client's databases whose names are known; before each it puts its prefix. */
const CLIENT_DATABASES = ['messageStore', 'callbackStore', 'axolotlStore', 'contactStore', 'waweb'];

/** The one that has the table `messages`. */
const MESSAGE_DATABASE = 'messageStore';

const FIGURES = {
  messageRows: 'messageRows',
  mediaRows: 'mediaRows',
  daysUntilTenMillion: 'daysUntilTenMillion',
};

/** The databases of one client, which it named with one prefix. */
export interface ClientDatabases {
  /** `WA_DB_NAME_PREFIX`; empty where there is none. */
  readonly prefix: string;
  /**
   * Names the set's metrics and alarms. Letters, digits, hyphens and underscores; unique among the sets.
   * @default the prefix without underscores and hyphens at its ends, or `default`
   */
  readonly name?: string | undefined;
  readonly database: DatabaseAddress;
  /**
   * The Secrets Manager secret of a database user of its own, in AWS's JSON form, which needs no right to read a row:
   * on MySQL and MariaDB `GRANT REFERENCES` on each database, on PostgreSQL `GRANT CONNECT`.
   */
  readonly secretArn: string;
  /** The KMS key of the secret. @default the account's own key for Secrets Manager, which needs no permission */
  readonly secretKeyArn?: string;
  /**
   * Where the table `media` is looked for, without the prefix: it is in no documentation. None: it is not watched.
   * @default all databases of the client whose names are known
   */
  readonly mediaDatabases?: string[];
  /**
   * `WA_DB_CONNECTION_IDLE_TIMEOUT`: connections that are idle for longer are told. The user then needs a right to
   * see others' connections.
   * @default none is told
   */
  readonly idleTimeout?: Duration;
}

export interface DatabaseSizeProps {
  readonly upkeep: Upkeep;
  readonly sets: ClientDatabases[];
  /** From where the databases can be reached, and AWS's interfaces: see `ENDPOINT_SERVICES`. */
  readonly network: FunctionNetwork;
  readonly schedule: DailySchedule;
  readonly timeLimit: Duration;
  /**
   * Counts the rows one by one in each run, for at most so long a table. The user then needs `SELECT` on a column.
   * At most ten minutes.
   * @default the server's own estimates, for which no row is read
   */
  readonly exactCountTimeLimit?: Duration;
  /** The age of its last backup is told, for the alarm of `MediaVolumeAlarms`. @default none is told */
  readonly mediaVolume?: MediaVolumeBase | undefined;
}

/**
 * Tells how large a WhatsApp client's databases are, daily, and how soon they will be too large; and how old the last
 * backup of its media volume is.
 */
export class DatabaseSize extends Construct {
  readonly job: UpkeepJob;
  /** Of all sets. */
  readonly alarms: Alarm[] = [];

  private readonly upkeep: Upkeep;
  private readonly sets: readonly DatabaseSet[];

  constructor(scope: Construct, id: string, props: DatabaseSizeProps) {
    super(scope, id);
    const { upkeep, network, schedule, timeLimit, exactCountTimeLimit, mediaVolume } = props;
    this.upkeep = upkeep;
    this.sets = props.sets.map(setOf);
    const names = this.sets.map(({ name }) => name);
    if (new Set(names).size < names.length)
      throw new Error(
        `${this.node.path}: two sets of databases have one name (${names.join(', ')}): name them.`,
      );
    if (mediaVolume && mediaVolume.deployment !== upkeep.deployment)
      throw new Error(
        `${this.node.path}: the media volume is of the deployment "${mediaVolume.deployment}", whose alarm would never hear of its backups; it must be of "${upkeep.deployment}".`,
      );
    const settings = {
      deployment: upkeep.deployment,
      sets: [...this.sets],
      ...(exactCountTimeLimit && { exactCount: { timeLimitSeconds: exactCountTimeLimit.toSeconds() } }),
      ...(mediaVolume && { mediaVolume: { fileSystemArn: mediaVolume.fileSystem.fileSystemArn } }),
    } satisfies DatabaseSizeSettings;
    const bytes = Buffer.byteLength(JSON.stringify(settings));
    if (bytes > MAXIMUM_SETTINGS_BYTES)
      throw new Error(
        `${this.node.path}: the settings of ${this.sets.length} sets of databases take ${bytes} bytes, of which ${MAXIMUM_SETTINGS_BYTES} fit into the function's environment. Name fewer sets, shorter certificates ("rds" takes nearly nothing) or, in mediaDatabases, only the database that has the table media.`,
      );
    this.job = new UpkeepJob(this, 'Job', {
      upkeep,
      job: 'database-size',
      description: `Database sizes of ${upkeep.deployment}`,
      entry: entryFile('database-size'),
      settings,
      schedule,
      timeLimit,
      network,
    });
    this.letRead(props.sets);
    if (mediaVolume)
      // `*` for the reason of the acknowledgement.
      this.job.function.allow('ReadLastBackup', ['backup:DescribeProtectedResource'], ['*']);
    for (const set of this.sets) this.createAlarms(set);
  }

  /** Rows of a set's `messages`. Missing for a day on which they were unknown. @default the largest number in an hour */
  metricMessageRows(set: string, options?: MetricOptions): Metric {
    return this.metric(set, FIGURES.messageRows, options);
  }

  /** Rows of a set's `media`. Missing for a day on which they were unknown. @default the largest number in an hour */
  metricMediaRows(set: string, options?: MetricOptions): Metric {
    return this.metric(set, FIGURES.mediaRows, options);
  }

  /** Days until a set's `messages` has ten million rows, at the pace of the last week. @default the largest number in an hour */
  metricDaysUntilTenMillion(set: string, options?: MetricOptions): Metric {
    return this.metric(set, FIGURES.daysUntilTenMillion, options);
  }

  /** Bytes of a set's `messages` and `media`, without their indexes. @default the largest number in an hour */
  metricTableBytes(set: string, options?: MetricOptions): Metric {
    return this.metric(set, SET_FIGURES.tableBytes, options);
  }

  /** Bytes of the indexes of a set's `messages` and `media`. @default the largest number in an hour */
  metricIndexBytes(set: string, options?: MetricOptions): Metric {
    return this.metric(set, SET_FIGURES.indexBytes, options);
  }

  /** Connections that were idle for longer than the client's timeout. @default the largest number in an hour */
  metricIdleConnections(set: string, options?: MetricOptions): Metric {
    return this.metric(set, SET_FIGURES.idleConnections, options);
  }

  private metric(set: string, figure: string, options?: MetricOptions): Metric {
    const { deployment } = this.upkeep;
    return this.job.metric(metricName(figure), {
      dimensionsMap: { deployment, job: this.job.job, [SET_DIMENSION]: set },
      statistic: 'Maximum',
      period: Duration.hours(1),
      ...options,
    });
  }

  private letRead(sets: readonly ClientDatabases[]): void {
    const keys = new Map(
      sets.flatMap(({ secretArn, secretKeyArn }) =>
        secretKeyArn ? [[secretArn, secretKeyArn] as const] : [],
      ),
    );
    for (const [index, secretArn] of [...new Set(sets.map((set) => set.secretArn))].entries()) {
      this.job.function.allow(`ReadDatabaseUser${index}`, ['secretsmanager:GetSecretValue'], [secretArn]);
      const secretKeyArn = keys.get(secretArn);
      if (secretKeyArn)
        this.job.function.allow(`DecryptDatabaseUser${index}`, ['kms:Decrypt'], [secretKeyArn], {
          StringEquals: { 'kms:EncryptionContext:SecretARN': secretArn },
        });
    }
    this.job.function.allow('ReadLastWeek', ['cloudwatch:GetMetricData'], ['*']);
    Validations.of(this.job.function.role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'The Service Authorization Reference has no resource types for cloudwatch:GetMetricData, nor for backup:DescribeProtectedResource: an ARN there would allow nothing.',
    });
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
      meaning: `At the pace of the last 7 days, the table messages of ${where} will have 10 million rows within ${DAYS_AHEAD} days, or has them.`,
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
        { alarmName, topic: this.upkeep.topic, ...text },
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

/** The name that a set has where none is given. */
export function setNameOf({ name, prefix }: Pick<ClientDatabases, 'name' | 'prefix'>): string {
  return name ?? (prefix.replaceAll(/^[-_]+|[-_]+$/g, '') || 'default');
}

function setOf(client: ClientDatabases): DatabaseSet {
  const { prefix, database, secretArn, idleTimeout, mediaDatabases = CLIENT_DATABASES } = client;
  const withPrefix = (names: readonly string[]) => names.map((name) => `${prefix}${name}`);
  const name = setNameOf(client);
  if (!/^[\w-]+$/.test(name))
    throw new Error(
      `The set of databases with the prefix "${prefix}" needs a name of letters, digits, hyphens and underscores.`,
    );
  return {
    name,
    database,
    secretArn,
    databases: withPrefix([...new Set([...CLIENT_DATABASES, ...mediaDatabases])]),
    tables: [
      {
        table: 'messages',
        databases: withPrefix([MESSAGE_DATABASE]),
        figure: FIGURES.messageRows,
        limit: { rows: SEVERAL_CALLS_ROWS, figure: FIGURES.daysUntilTenMillion },
      },
      ...(mediaDatabases.length > 0
        ? [{ table: 'media', databases: withPrefix(mediaDatabases), figure: FIGURES.mediaRows }]
        : []),
    ],
    ...(idleTimeout && { idleTimeoutSeconds: idleTimeout.toSeconds() }),
  };
}
