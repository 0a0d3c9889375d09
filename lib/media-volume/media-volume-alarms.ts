import { Duration, type Size } from 'aws-cdk-lib';
import { type Alarm, ComparisonOperator, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import * as v from 'valibot';
import { flag } from '../checks/fields.ts';
import { checkProps, duration, propertyNames, thing } from '../checks/props.ts';
import { createAlarm } from '../upkeep-alarm.ts';
import type { MediaVolumeBase } from './media-volume-base.ts';

/**
 * Burst credits for an hour at 100 MiB a second, in bytes: the burst rate of a file system of up to 1 TiB. One that is
 * full has 2.1 TiB.
 */
const LOW_BURST_CREDITS = 100 * 1024 ** 2 * 3600;
/** Of the throughput or of the operations that the file system has. Beyond, clients wait. */
const NEAR_LIMIT_PERCENT = 80;
/** A passing peak is none of the operator's business. */
const NEAR_LIMIT_PERIODS = 3;

const NAMES = propertyNames<MediaVolumeAlarmsProps>({
  volume: true,
  topic: true,
  bursting: true,
  maximumSize: true,
  maximumBackupAge: true,
});

const PROPS = v.looseObject({
  volume: thing('fileSystem', 'a MediaVolume', 'The volume.'),
  topic: thing('topicArn', 'a topic, such as Topic.fromTopicArn(…)', 'Of the alarms.'),
  bursting: v.optional(flag('Whether its throughput is.')),
  maximumBackupAge: v.optional(v.union([v.literal(false), duration(Duration.hours(1), Duration.days(365))])),
});

/** What `MediaVolumeAlarms` are made of. */
export interface MediaVolumeAlarmsProps {
  /** The volume that they look at. */
  readonly volume: MediaVolumeBase;
  /** Where the alarms go. */
  readonly topic: ITopic;
  /** Whether the file system's throughput is bursting, and its credits can run out. @default false */
  readonly bursting?: boolean;
  /** The size above which the alarm on it rings. @default no such alarm */
  readonly maximumSize?: Size;
  /**
   * The age of the last backup above which the alarm on it rings. AWS Backup takes one a day, and with millions of files
   * needs hours for it. `false` where nothing backs the volume up on purpose, or nothing tells the age: `DatabaseSize`
   * does, with this volume.
   * @default 48 hours
   */
  readonly maximumBackupAge?: Duration | false;
}

/** The alarms on what nobody watches: the volume's throughput, its size, its backups. */
export class MediaVolumeAlarms extends Construct {
  /** On burst credits, with bursting throughput. */
  readonly burstCreditsAlarm: Alarm | undefined;
  /** Rings when the volume is near its throughput. */
  readonly throughputAlarm: Alarm;
  /** Rings when the volume is near its limit of operations. */
  readonly operationsAlarm: Alarm;
  /** Rings when it is larger than `maximumSize`. */
  readonly sizeAlarm: Alarm | undefined;
  /** Rings when the last backup is older than `maximumBackupAge`. */
  readonly backupAlarm: Alarm | undefined;

  constructor(scope: Construct, id: string, props: MediaVolumeAlarmsProps) {
    super(scope, id);
    checkProps(this, PROPS, props, undefined, NAMES);
    const { volume, topic, bursting = false, maximumSize, maximumBackupAge = Duration.hours(48) } = props;
    const name = (what: string) => `${volume.deployment}-media-${what}`;
    const where = `the media volume of ${volume.deployment}`;
    const moreThroughput = 'If it stays so, change the throughput to elastic: that takes effect at once.';
    const findReader =
      'Look at the metrics ClientConnections, DataReadIOBytes and DataWriteIOBytes of the file system for who moves so much: a backup, a copy, or the client itself.';
    const nearLimit = {
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      threshold: NEAR_LIMIT_PERCENT,
      evaluationPeriods: NEAR_LIMIT_PERIODS,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    };
    if (bursting)
      this.burstCreditsAlarm = createAlarm(
        this,
        'BurstCredits',
        {
          alarmName: name('burst-credits'),
          meaning: `The burst credits of ${where} are down to an hour's worth. Without any, it moves 50 KiB a second for each GiB in the standard class.`,
          whatToDo: [findReader, moreThroughput],
          topic,
        },
        {
          metric: volume.metricBurstCreditBalance(),
          comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
          threshold: LOW_BURST_CREDITS,
          evaluationPeriods: NEAR_LIMIT_PERIODS,
          treatMissingData: TreatMissingData.NOT_BREACHING,
        },
      );
    this.throughputAlarm = createAlarm(
      this,
      'Throughput',
      {
        alarmName: name('throughput'),
        meaning: `For a quarter of an hour ${where} has used ${NEAR_LIMIT_PERCENT} % and more of its throughput.`,
        whatToDo: [findReader, moreThroughput],
        topic,
      },
      { metric: volume.metricThroughputUsed(), ...nearLimit },
    );
    this.operationsAlarm = createAlarm(
      this,
      'Operations',
      {
        alarmName: name('operations'),
        meaning: `For a quarter of an hour ${where} has done ${NEAR_LIMIT_PERCENT} % and more of the operations that it can do.`,
        whatToDo: [
          findReader,
          'Run media garbage collection: fewer files are fewer operations.',
          'Neither elastic nor provisioned throughput raises this limit.',
        ],
        topic,
      },
      { metric: volume.metricPercentIoLimit(), ...nearLimit },
    );
    if (maximumSize)
      this.sizeAlarm = createAlarm(
        this,
        'Size',
        {
          alarmName: name('size'),
          meaning: `${where[0]?.toUpperCase()}${where.slice(1)} holds more than ${maximumSize.toGibibytes()} GiB.`,
          whatToDo: [
            'Look at the last reports of media-gc: has it succeeded, and how many items did it delete?',
            'If it deletes nothing, the media may have been used in the last 30 days: the growth is real. Raise the number that this alarm was configured with.',
            'The figure follows what is deleted only after hours.',
          ],
          topic,
        },
        {
          metric: volume.metricStorageBytes(),
          comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
          threshold: maximumSize.toBytes(),
          evaluationPeriods: 1,
          // A gap in the metric says nothing of the size.
          treatMissingData: TreatMissingData.IGNORE,
        },
      );
    if (maximumBackupAge)
      this.backupAlarm = createAlarm(
        this,
        'Backup',
        {
          alarmName: name('backup'),
          meaning: `The last backup of ${where} is older than ${maximumBackupAge.toHours()} hours, or there is none.`,
          whatToDo: [
            'Look in the AWS Backup console under "Jobs" for the backup jobs of the file system, and why they failed.',
            'If there are none, look whether its automatic backups are on (EFS console), or a backup plan names it.',
            'Start one by hand under "Protected resources", "Create on-demand backup".',
            'A volume that was made in the last two days may not have had its first yet.',
          ],
          topic,
        },
        {
          metric: volume.metricLastBackupAgeHours(),
          comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
          threshold: maximumBackupAge.toHours(),
          evaluationPeriods: 1,
          // One point a day; a day without a point says nothing of the backup, and has an alarm of its own.
          treatMissingData: TreatMissingData.IGNORE,
        },
      );
  }
}
