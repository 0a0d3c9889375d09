import { Duration, Stack, Token } from 'aws-cdk-lib';
import {
  type Alarm,
  ComparisonOperator,
  type IWidget,
  type Metric,
  type MetricOptions,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { CfnPermission } from 'aws-cdk-lib/aws-lambda';
import { CfnRotationSchedule } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import {
  type CredentialRotationSettings,
  ROLLS_STOPPED_METRIC,
  rotationFailedAlarmName,
  SERVICE_DIMENSION,
  stoppedAlarmName,
} from '../../functions/credential-rotation/contract.ts';
import type { RotateSecretSettings } from '../../functions/rotate-secret/contract.ts';
import { placeOf } from '../../functions/shared/database/credential/copies.ts';
import { whyAmbiguous } from '../../functions/shared/database/credential/copy-template.ts';
import type { CredentialSettings } from '../../functions/shared/database/credential/settings.ts';
import { bundledFor as bundledForDatabases } from '../bundled-for.ts';
import { pathText } from '../checks/mistakes.ts';
import { checkProps, passesPropsOn, refuse } from '../checks/props.ts';
import { graph, type OnDashboard } from '../dashboards/on-dashboard.ts';
import { entryFile } from '../entry-file.ts';
import { networkFindings, resolvedNetwork } from '../function-network.ts';
import { rdsRootProblems } from '../rds-roots.ts';
import { ecsArn } from '../roll-permissions.ts';
import { commandToStart } from '../start-run.ts';
import { alarmOnAny, createAlarm, LATEST_PERIOD, ONE_CAUSE } from '../upkeep-alarm.ts';
import { functionArn, MAXIMUM_SETTINGS_BYTES, UpkeepFunction } from '../upkeep-function.ts';
import { UpkeepJob } from '../upkeep-job.ts';
import { copySettings, ownFields, type RotatedCredential } from './credential-copies.ts';
import type { CredentialRotationProps } from './credential-rotation-props.ts';
import { letRotateSecret, letRun } from './permissions.ts';
import {
  DEFAULT_RETIREMENT_PATIENCE,
  DEFAULT_ROTATE_AFTER,
  DEFAULT_ROTATION_TIMEOUT,
  DEFAULT_STEADY_TIMEOUT,
  isDatabase,
  ROTATED,
  ROTATION_NAMES,
  ROTATION_PROPS,
  type Rotated,
  rotatedOf,
  rotationFindings,
} from './rotated.ts';

const JOB = 'credential-rotation';
/** A step connects twice at most, waits for the lock, and asks AWS: well under a minute. */
const STEP_TIMEOUT = Duration.seconds(90);
/**
 * "Within a day", measured at a run's end: the next day's run may begin earlier than this day's did, by the flexible
 * window, and the credential was made some time after the beginning.
 */
const UNRETIRED_HOURS = 20;
/**
 * Rotates a database credential and carries it to the last container, without a failed login: the function that Secrets
 * Manager calls, and the job that starts it, delivers, replaces the tasks of ECS services and retires the old password.
 */
export class CredentialRotation extends Construct implements OnDashboard {
  /** The job underneath: its function, schedule and alarms. */
  readonly job: UpkeepJob;
  /** For what compares the copies with it. */
  readonly credential: RotatedCredential;
  /** What Secrets Manager calls. */
  readonly rotateSecret: UpkeepFunction;
  /** Rings when the function that Secrets Manager calls fails. */
  readonly rotationFailedAlarm: Alarm;
  /** Rings when the credential is older than `maximumAge`. */
  readonly ageAlarm: Alarm;
  /** Rings when an old credential is still valid though it should be retired. */
  readonly unretiredAlarm: Alarm;
  /** One for each service, in the order of the services: the roll stopped at it. */
  readonly stoppedAlarms: Alarm[];

  private readonly props: CredentialRotationProps;
  private readonly rotated: Rotated;
  private readonly maximumAge: Duration;

  constructor(scope: Construct, id: string, props: CredentialRotationProps) {
    super(scope, id);
    this.props = props;
    passesPropsOn(this);
    checkProps(this, ROTATION_PROPS, props, undefined, ROTATION_NAMES);
    this.rotated = rotatedOf(props);
    const { secretArn, secretKeyArn, adminSecretArn, database, clusterName, services } = this.rotated;
    checkProps(this, ROTATED, this.rotated, () => rotationFindings(props, this.rotated));
    const { upkeep, strategy, application } = props;
    const rotateAfter = props.rotateAfter ?? DEFAULT_ROTATE_AFTER;
    const maximumAge = props.maximumAge ?? Duration.days(rotateAfter.toDays() + 7);
    this.maximumAge = maximumAge;
    refuse(this, ...ambiguousCopies(props), ...missingRoots(this.rotated, Stack.of(this).region));
    refuse(
      this,
      ...networkFindings(props.network).map(({ field, problem }) => `${pathText(field)} ${problem}`),
    );
    const network = resolvedNetwork(this, props.network);
    const { copies = [], waitsFor = [] } = props;
    this.credential = {
      secretArn,
      ...(secretKeyArn && { secretKeyArn }),
      copies,
      timeLimit: props.timeLimit,
    };
    const { deployment, encryptionKey, logRetention } = upkeep;
    const [elsewhere, fields] = ownFields(secretArn, copies);
    const bundledFor = bundledForDatabases(this, [database]);
    const credential: CredentialSettings = {
      secretArn,
      database,
      strategy,
      ...(adminSecretArn && { adminSecretArn }),
      ...(fields.length > 0 && { fields }),
    };
    this.rotateSecret = new UpkeepFunction(this, 'RotateSecret', {
      functionName: `${deployment}-rotate-secret`,
      description: `The steps of Secrets Manager's rotation of the database credential of ${deployment}`,
      entry: entryFile('rotate-secret'),
      ...bundledFor,
      settings: {
        deployment,
        ...credential,
        ...(props.password && { password: props.password }),
        delivery: {
          job: JOB,
          functionArn: functionArn(this, `${deployment}-${JOB}`),
          startRunArn: upkeep.startRun.function.functionArn,
        },
      } satisfies RotateSecretSettings,
      timeout: STEP_TIMEOUT,
      network,
      ...(encryptionKey && { encryptionKey }),
      ...(logRetention && { logRetention }),
    });
    const settings: CredentialRotationSettings = {
      deployment,
      ...credential,
      rotateAfterDays: rotateAfter.toDays(),
      rotationTimeoutSeconds: (props.rotationTimeout ?? DEFAULT_ROTATION_TIMEOUT).toSeconds(),
      copies: copySettings(elsewhere),
      ...(props.copiesAlarmName && { copiesAlarm: props.copiesAlarmName }),
      clusterArn: ecsArn(this, 'cluster', clusterName || (services[0]?.clusterName ?? '')),
      services: services.map(({ clusterName: own, ...service }) => ({
        ...service,
        ...(own && { clusterArn: ecsArn(this, 'cluster', own) }),
      })),
      steadyTimeoutSeconds: (props.steadyTimeout ?? DEFAULT_STEADY_TIMEOUT).toSeconds(),
      retirementPatienceSeconds: (props.retirementPatience ?? DEFAULT_RETIREMENT_PATIENCE).toSeconds(),
      ...(props.replicas && { replicas: props.replicas }),
      ...(props.whenUnproven && { whenUnproven: props.whenUnproven }),
    };
    const allSettings = { ...application?.settings, ...settings };
    const bytes = Buffer.byteLength(JSON.stringify(allSettings));
    if (bytes > MAXIMUM_SETTINGS_BYTES)
      refuse(
        this,
        `the settings take ${bytes} bytes, of which ${MAXIMUM_SETTINGS_BYTES} fit into the function's environment. Give fewer certificates ("rds" takes nearly nothing), copies or services.`,
      );
    this.job = new UpkeepJob(this, 'Job', {
      upkeep,
      job: JOB,
      description: `Rotation of the database credential of ${deployment}, to the last container`,
      entry: application?.entry ?? entryFile(JOB),
      ...bundledFor,
      settings: allSettings,
      schedule: props.schedule,
      timeLimit: props.timeLimit,
      waitsFor,
      network,
    });
    letRotateSecret(this.rotateSecret, this.job.function.functionArn, this.rotated, props);
    letRun(this.job.function, this.rotateSecret.functionArn, this.rotated, props);
    if (isDatabase(props.database))
      for (const client of [this.rotateSecret, this.job.function])
        client.connections.allowToDefaultPort(props.database, 'Rotation of a database credential');
    this.createRotation();

    const report = `Read the last report: the log /aws/lambda/${deployment}-${JOB}, message "Run report". Each problem there says what, where (the service) and what next.`;
    const { topic } = upkeep;
    this.rotationFailedAlarm = alarmOnAny(this, 'RotationFailed', {
      alarmName: rotationFailedAlarmName(deployment),
      meaning: `A step of the rotation of the database credential of ${deployment} failed. Secrets Manager tries it several times. Containers go on with the password that they have.`,
      whatToDo: [
        `Look in the log /aws/lambda/${deployment}-rotate-secret for the step and the cause.`,
        `Mend the cause. The next run of ${JOB} rotates; to begin at once inside the downtime window: ${commandToStart(deployment, JOB)}`,
      ],
      topic,
      metric: this.rotateSecret.function.metricErrors({ statistic: 'Sum' }),
      // Secrets Manager tries again after ever longer pauses.
      quietAfter: ONE_CAUSE,
    });
    this.ageAlarm = createAlarm(
      this,
      'Age',
      {
        alarmName: `${deployment}-${JOB}-age`,
        meaning: `The database credential of ${deployment} is older than ${maximumAge.toDays()} days. It is rotated after ${rotateAfter.toDays()} days when all is well.`,
        whatToDo: [
          report,
          `If no run began at all, the alarm ${deployment}-${JOB}-missed rings too: go on there.`,
        ],
        topic: upkeep.warningTopic,
      },
      {
        metric: this.metricCredentialAgeDays(),
        threshold: maximumAge.toDays(),
        comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
        evaluationPeriods: 1,
        // There is one point a day; between two the alarm stays as it is.
        treatMissingData: TreatMissingData.IGNORE,
      },
    );
    this.unretiredAlarm = createAlarm(
      this,
      'Unretired',
      {
        alarmName: `${deployment}-${JOB}-unretired`,
        meaning: `The old database password of ${deployment} is still valid a day after the rotation.`,
        whatToDo: [report, 'Mend what stopped the roll or the retirement. The next run goes on from there.'],
        topic: upkeep.warningTopic,
      },
      {
        metric: this.metricOldPasswordHours(),
        threshold: UNRETIRED_HOURS,
        comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluationPeriods: 1,
        treatMissingData: TreatMissingData.IGNORE,
      },
    );
    this.stoppedAlarms = services.map(({ name }, index) =>
      createAlarm(
        this,
        // A token names no construct.
        `Stopped-${Token.isUnresolved(name) ? index : name}`,
        {
          alarmName: stoppedAlarmName(deployment, name),
          meaning: `The roll of ${deployment}'s new database password stopped at the service ${name}: not all of its tasks have it, or its new tasks do not log in with it. The services after it were not touched.`,
          whatToDo: [
            report,
            `Where the tasks of ${name} do not come up, see in ECS why. Where they do not log in, see where its containers read user name and password. Mend that; the next run goes on from there.`,
          ],
          topic,
        },
        {
          metric: this.metricRollsStopped(name),
          threshold: 1,
          comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
          evaluationPeriods: 1,
          // A run that does not come as far as the roll tells nothing: the alarm then stays as it is.
          treatMissingData: TreatMissingData.IGNORE,
        },
      ),
    );
  }

  /** Since the credential was made, in days. @default the largest number in five minutes */
  metricCredentialAgeDays(options?: MetricOptions): Metric {
    return this.latest('CredentialAgeDays', options);
  }

  /** Since the rotation whose old password is still valid, in hours; 0 where none is. @default the largest number in five minutes */
  metricOldPasswordHours(options?: MetricOptions): Metric {
    return this.latest('OldPasswordHours', options);
  }

  /** Tasks that were replaced. @default the sum over five minutes */
  metricTasksReplaced(options?: MetricOptions): Metric {
    return this.job.metric('TasksReplaced', options);
  }

  /** 1 where a roll stopped at the service, 0 once its tasks have the current credential. @default the largest number in five minutes */
  metricRollsStopped(service: string, options?: MetricOptions): Metric {
    const { deployment } = this.props.upkeep;
    return this.latest(ROLLS_STOPPED_METRIC, {
      dimensionsMap: { deployment, job: JOB, [SERVICE_DIMENSION]: service },
      ...options,
    });
  }

  /** The age of the credential, with the age at which the alarm rings, and the tasks that were replaced. */
  dashboardWidgets(): IWidget[] {
    const { deployment } = this.props.upkeep;
    const period = Duration.days(1);
    return [
      graph(
        `Age of the database credential of ${deployment} (days)`,
        [this.metricCredentialAgeDays({ period }).attachTo(this)],
        { leftAnnotations: [{ value: this.maximumAge.toDays(), label: 'the alarm rings' }] },
      ),
      graph(`Tasks of ${deployment} replaced for a new password`, [
        this.metricTasksReplaced({ period }).attachTo(this),
      ]),
    ];
  }

  private latest(name: string, options?: MetricOptions): Metric {
    return this.job.metric(name, { statistic: 'Maximum', period: LATEST_PERIOD, ...options });
  }

  /** Gives the secret its rotation function, and no schedule of its own: the job decides when it is due. */
  private createRotation(): void {
    const { secretArn } = this.rotated;
    const permission = new CfnPermission(this, 'LetSecretsManagerRotate', {
      principal: 'secretsmanager.amazonaws.com',
      action: 'lambda:InvokeFunction',
      functionName: this.rotateSecret.function.functionArn,
      sourceAccount: Stack.of(this).account,
      sourceArn: secretArn,
    });
    const rotation = new CfnRotationSchedule(this, 'Rotation', {
      secretId: secretArn,
      rotationLambdaArn: this.rotateSecret.function.functionArn,
      rotateImmediatelyOnUpdate: false,
    });
    // Secrets Manager looks whether it may call the function, and calls testSecret, when this is made. The job's function takes
    // longer to make than the permission needs to be known everywhere in Lambda.
    rotation.node.addDependency(permission, this.rotateSecret, this.job.alias);
  }
}

function ambiguousCopies({ copies = [], password = {} }: CredentialRotationProps): string[] {
  return copies.flatMap((copy) => {
    const ambiguous = whyAmbiguous(copy, password);
    return ambiguous === undefined ? [] : [`${placeOf(copy)}: ${ambiguous}`];
  });
}

function missingRoots({ database }: Rotated, region: string): string[] {
  if (database.certificateAuthority !== 'rds' || Token.isUnresolved(region)) return [];
  return rdsRootProblems(region).map((problem) => `database.certificateAuthority ${problem}`);
}
