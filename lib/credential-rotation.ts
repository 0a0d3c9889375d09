import { Duration, Stack, Validations } from 'aws-cdk-lib';
import {
  type Alarm,
  ComparisonOperator,
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
  type RolledService,
  SERVICE_DIMENSION,
} from '../functions/credential-rotation/contract.ts';
import { IMPORTS_TO_LEAVE_OUT, type RotateSecretSettings } from '../functions/rotate-secret/contract.ts';
import type { CredentialSettings } from '../functions/shared/database/credential.ts';
import type { PasswordRules } from '../functions/shared/database/password.ts';
import { type DatabaseAddress, type Strategy, whyImpossible } from '../functions/shared/database/rotation.ts';
import { ENGINES } from '../functions/shared/database/secret.ts';
import {
  copySettings,
  letWriteCopies,
  type RotatedCopy,
  type RotatedCredential,
} from './credential-copies.ts';
import { entryFile } from './entry-file.ts';
import type { DailySchedule } from './start-run.ts';
import { commandToStart } from './start-run.ts';
import { maximumServiceNameLength, stoppedAlarmName } from './stopped-alarm-name.ts';
import type { Upkeep } from './upkeep.ts';
import { alarmOnAny, createAlarm } from './upkeep-alarm.ts';
import {
  asTemplateText,
  type FunctionNetwork,
  functionArn,
  MAXIMUM_SETTINGS_BYTES,
  UpkeepFunction,
} from './upkeep-function.ts';
import { UpkeepJob } from './upkeep-job.ts';

const JOB = 'credential-rotation';
/** A step connects twice at most, waits for the lock, and asks AWS: well under a minute. */
const STEP_TIMEOUT = Duration.seconds(90);
/**
 * "Within a day", measured at a run's end: the next day's run may begin earlier than this day's did, by the flexible
 * window, and the credential was made some time after the beginning.
 */
const UNRETIRED_HOURS = 20;
/** A secret's full ARN, which ends with a hyphen and six characters: no other part of policies matches the service's own. */
const FULL_SECRET_ARN = /^arn:[^:]+:secretsmanager:[^:]+:\d{12}:secret:.+-[A-Za-z0-9]{6}$/;

/** A service whose containers read the credential at their start. */
export interface RotatedService extends Omit<RolledService, 'clusterArn'> {
  /** Name of its ECS cluster. @default `clusterName` of all */
  readonly clusterName?: string | undefined;
}

export interface CredentialRotationProps {
  readonly upkeep: Upkeep;
  /** The full ARN of the secret that is rotated: JSON, as AWS documents it for databases. */
  readonly secretArn: string;
  /** The KMS key of the secret. @default the account's own key for Secrets Manager, which needs no permission */
  readonly secretKeyArn?: string;
  readonly database: DatabaseAddress;
  readonly strategy: Strategy;
  /**
   * The full ARN of the secret of a user that may change passwords.
   * @default MySQL's `dual-password` lets the user change its own; every other strategy needs one
   */
  readonly adminSecretArn?: string;
  /** The KMS key of the administrator's secret. @default the account's own key */
  readonly adminSecretKeyArn?: string;
  /** @default 32 characters that databases, shells and URLs all take */
  readonly password?: PasswordRules;
  /**
   * Takes it that logins fail from the rotation until a container is replaced, as they do with `single-password`.
   * @default false: such a strategy is refused
   */
  readonly acceptFailedLogins?: boolean;
  /** Name of the ECS cluster of those services that name none. */
  readonly clusterName: string;
  /** Whose containers read the credential at their start, in the order in which their tasks are replaced. */
  readonly services: RotatedService[];
  /** Where else the credential is kept. @default in the secret alone */
  readonly copies?: RotatedCopy[];
  /** From where the database can be reached, and AWS's interfaces ecs, events, lambda, secretsmanager and ssm. */
  readonly network: FunctionNetwork;
  /** When to look, each day: most days nothing is due, and the run only sees to it that all is well. */
  readonly schedule: DailySchedule;
  readonly timeLimit: Duration;
  /** At which age the credential is rotated. Whole days. @default 30 days */
  readonly rotateAfter?: Duration;
  /** At which age an alarm rings. Whole days, more than `rotateAfter`. @default a week more than `rotateAfter` */
  readonly maximumAge?: Duration;
  /**
   * Jobs of the same deployment whose running runs a rotation waits for, inside the downtime window. They should name
   * `credential-rotation` in their own `conflictsWith`, so that they do not start during a roll.
   * @default none
   */
  readonly waitsFor?: string[];
  /**
   * A durable function of one's own in place of the general one: its handler calls `rotateCredential` with what the
   * application tells of itself.
   * @default the application is known by its ECS services alone
   */
  readonly application?: {
    /** The file that exports `handler`. */
    readonly entry: string;
    /** Added to the function's settings. No secrets: name them by ARN. */
    readonly settings: Readonly<Record<string, unknown>>;
  };
  /** How long the four steps may take, with Secrets Manager's own repetitions. @default 15 minutes */
  readonly rotationTimeout?: Duration;
  /** How long a service may take to be steady after a change. @default 20 minutes */
  readonly steadyTimeout?: Duration;
}

/**
 * Rotates a database credential and carries it to the last container, without a failed login: the function that Secrets
 * Manager calls, and the job that starts it, delivers, replaces the tasks of ECS services and retires the old password.
 */
export class CredentialRotation extends Construct {
  readonly job: UpkeepJob;
  /** For what compares the copies with it. */
  readonly credential: RotatedCredential;
  /** What Secrets Manager calls. */
  readonly rotateSecret: UpkeepFunction;
  readonly rotationFailedAlarm: Alarm;
  readonly ageAlarm: Alarm;
  readonly unretiredAlarm: Alarm;
  /** One for each service, in the order of the services: the roll stopped at it. */
  readonly stoppedAlarms: Alarm[];

  private readonly props: CredentialRotationProps;

  constructor(scope: Construct, id: string, props: CredentialRotationProps) {
    super(scope, id);
    this.props = props;
    const rotateAfter = props.rotateAfter ?? Duration.days(30);
    const maximumAge = props.maximumAge ?? Duration.days(rotateAfter.toDays() + 7);
    this.refuse(rotateAfter, maximumAge);
    const { upkeep, network, database, strategy, secretArn, adminSecretArn, services, application } = props;
    const { copies = [], waitsFor = [] } = props;
    this.credential = {
      secretArn,
      ...(props.secretKeyArn && { secretKeyArn: props.secretKeyArn }),
      copies,
      timeLimit: props.timeLimit,
    };
    const { deployment, encryptionKey, logRetention } = upkeep;
    const leaveOut = IMPORTS_TO_LEAVE_OUT[ENGINES[database.engine]];
    const credential: CredentialSettings = {
      secretArn,
      database,
      strategy,
      ...(adminSecretArn && { adminSecretArn }),
    };
    this.rotateSecret = new UpkeepFunction(this, 'RotateSecret', {
      functionName: `${deployment}-rotate-secret`,
      description: `The steps of Secrets Manager's rotation of the database credential of ${deployment}`,
      entry: entryFile('rotate-secret'),
      importsToLeaveOut: leaveOut,
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
      rotationTimeoutSeconds: (props.rotationTimeout ?? Duration.minutes(15)).toSeconds(),
      copies: copySettings(copies),
      clusterArn: this.arn('ecs', 'cluster', props.clusterName),
      services: services.map(({ clusterName, ...service }) => ({
        ...service,
        ...(clusterName && { clusterArn: this.arn('ecs', 'cluster', clusterName) }),
      })),
      steadyTimeoutSeconds: (props.steadyTimeout ?? Duration.minutes(20)).toSeconds(),
    };
    const allSettings = { ...application?.settings, ...settings };
    const bytes = Buffer.byteLength(JSON.stringify(allSettings));
    if (bytes > MAXIMUM_SETTINGS_BYTES)
      throw new Error(
        `${this.node.path}: the settings take ${bytes} bytes, of which ${MAXIMUM_SETTINGS_BYTES} fit into the function's environment. Give fewer certificates ("rds" takes nearly nothing), copies or services.`,
      );
    this.job = new UpkeepJob(this, 'Job', {
      upkeep,
      job: JOB,
      description: `Rotation of the database credential of ${deployment}, to the last container`,
      entry: application?.entry ?? entryFile(JOB),
      importsToLeaveOut: leaveOut,
      settings: allSettings,
      schedule: props.schedule,
      timeLimit: props.timeLimit,
      waitsFor,
      network,
    });
    this.letRotate();
    this.letRun();
    if (waitsFor.length > 0) this.letFollow(waitsFor);
    this.createRotation();

    const report = `Read the last report: the log /aws/lambda/${deployment}-${JOB}, message "Run report". Each problem there says what, where (the service) and what next.`;
    const { topic } = upkeep;
    this.rotationFailedAlarm = alarmOnAny(this, 'RotationFailed', {
      alarmName: `${deployment}-rotate-secret-failed`,
      meaning: `A step of the rotation of the database credential of ${deployment} failed. Secrets Manager tries it several times. Containers go on with the password that they have.`,
      whatToDo: [
        `Look in the log /aws/lambda/${deployment}-rotate-secret for the step and the cause.`,
        `Mend the cause. The next run of ${JOB} rotates; to begin at once inside the downtime window: ${commandToStart(deployment, JOB)}`,
      ],
      topic,
      metric: this.rotateSecret.function.metricErrors({ statistic: 'Sum' }),
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
        topic,
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
        topic,
      },
      {
        metric: this.metricOldPasswordHours(),
        threshold: UNRETIRED_HOURS,
        comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluationPeriods: 1,
        treatMissingData: TreatMissingData.IGNORE,
      },
    );
    this.stoppedAlarms = services.map(({ name }) =>
      createAlarm(
        this,
        `Stopped-${name}`,
        {
          alarmName: stoppedAlarmName(deployment, name),
          meaning: `The roll of ${deployment}'s new database password stopped at the service ${name}: not all of its tasks have it. The services after it were not touched.`,
          whatToDo: [
            report,
            `See in ECS why the tasks of ${name} do not come up, and mend that. The next run goes on from there.`,
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

  /** Since the credential was made, in days. @default the largest number in an hour */
  metricCredentialAgeDays(options?: MetricOptions): Metric {
    return this.latest('CredentialAgeDays', options);
  }

  /** Since the rotation whose old password is still valid, in hours; 0 where none is. @default the largest number in an hour */
  metricOldPasswordHours(options?: MetricOptions): Metric {
    return this.latest('OldPasswordHours', options);
  }

  /** Tasks that were replaced. @default the sum over five minutes */
  metricTasksReplaced(options?: MetricOptions): Metric {
    return this.job.metric('TasksReplaced', options);
  }

  /** 1 where a roll stopped at the service, 0 once its tasks have the current credential. @default the largest number in an hour */
  metricRollsStopped(service: string, options?: MetricOptions): Metric {
    const { deployment } = this.props.upkeep;
    return this.latest(ROLLS_STOPPED_METRIC, {
      dimensionsMap: { deployment, job: JOB, [SERVICE_DIMENSION]: service },
      ...options,
    });
  }

  private latest(name: string, options?: MetricOptions): Metric {
    return this.job.metric(name, { statistic: 'Maximum', period: Duration.hours(1), ...options });
  }

  private refuse(rotateAfter: Duration, maximumAge: Duration): void {
    const { upkeep, secretArn, adminSecretArn, database, strategy, services } = this.props;
    const { acceptFailedLogins = false } = this.props;
    const refuse = (reason: string) => {
      throw new Error(`${this.node.path}: ${reason}`);
    };
    const impossible = whyImpossible(database.engine, strategy);
    if (impossible !== undefined) refuse(impossible);
    if (strategy.kind === 'single-password' && !acceptFailedLogins)
      refuse(
        `With ${strategy.kind} logins fail from the rotation until each container is replaced. Use alternating-users, or say acceptFailedLogins: true.`,
      );
    if (secretArn.includes(':secret:rds!'))
      refuse(`RDS itself rotates ${secretArn}. Give the application a user and a secret of its own.`);
    for (const arn of [secretArn, ...(adminSecretArn ? [adminSecretArn] : [])])
      if (!FULL_SECRET_ARN.test(arn))
        refuse(`${arn} is not the full ARN of a secret, which ends with a hyphen and six characters.`);
    const ownPassword = strategy.kind === 'dual-password' && ENGINES[database.engine] === 'mysql';
    if (adminSecretArn === undefined && !ownPassword)
      refuse(
        `${strategy.kind} on ${database.engine} needs adminSecretArn, the secret of who changes passwords.`,
      );
    const names = services.map(({ name }) => name);
    if (new Set(names).size < names.length) refuse(`A service is named twice: ${names.join(', ')}.`);
    const longest = maximumServiceNameLength(upkeep.deployment);
    for (const name of names)
      if (name.length > longest)
        refuse(
          `The name of the service ${name} has ${name.length} characters; for the alarm named after it to fit into CloudWatch's limit it may have ${longest}. Shorten it, or the deployment's.`,
        );
    if (maximumAge.toDays() <= rotateAfter.toDays())
      refuse(
        `The alarm rings at an age of ${maximumAge.toDays()} days, though the credential is rotated at ${rotateAfter.toDays()} only.`,
      );
  }

  /** What rotate-secret may do. */
  private letRotate(): void {
    const { secretArn, secretKeyArn, upkeep } = this.props;
    this.rotateSecret.allow(
      'RotateSecret',
      ['DescribeSecret', 'GetSecretValue', 'PutSecretValue', 'UpdateSecretVersionStage'].map(
        (action) => `secretsmanager:${action}`,
      ),
      [secretArn],
    );
    if (secretKeyArn)
      this.rotateSecret.allow('EncryptSecret', ['kms:Decrypt', 'kms:GenerateDataKey'], [secretKeyArn], {
        StringEquals: { 'kms:EncryptionContext:SecretARN': secretArn },
      });
    this.letReadAdministrator(this.rotateSecret);
    this.rotateSecret.allow(
      'FindDelivery',
      ['lambda:ListDurableExecutionsByFunction'],
      [this.job.function.functionArn],
    );
    this.rotateSecret.allow(
      'StartDelivery',
      ['lambda:InvokeFunction'],
      [upkeep.startRun.function.functionArn],
    );
  }

  /** It asks whether the runs that went on when it began have ended. */
  private letFollow(waitsFor: string[]): void {
    const { deployment } = this.props.upkeep;
    const executions = waitsFor.map((job) => `${functionArn(this, `${deployment}-${job}`)}:*`);
    this.job.function.allow('FollowOtherRuns', ['lambda:GetDurableExecution'], executions);
    for (const runs of executions)
      Validations.of(this.job.function.role).acknowledge({
        id: `AwsSolutions-IAM5[Resource::${asTemplateText(this, runs)}]`,
        reason: "A run's ARN has the function's version that it began with, and an id that Lambda draws.",
      });
  }

  /** What the job may do. */
  private letRun(): void {
    const { secretArn, secretKeyArn, clusterName, services, copies = [] } = this.props;
    const { function: job } = this.job;
    job.allow(
      'StartRotation',
      ['DescribeSecret', 'GetSecretValue', 'RotateSecret', 'UpdateSecretVersionStage'].map(
        (action) => `secretsmanager:${action}`,
      ),
      [secretArn],
    );
    // Secrets Manager wants it of whoever starts a rotation.
    job.allow('CallRotateSecret', ['lambda:InvokeFunction'], [this.rotateSecret.functionArn]);
    if (secretKeyArn)
      job.allow('DecryptSecret', ['kms:Decrypt'], [secretKeyArn], {
        StringEquals: { 'kms:EncryptionContext:SecretARN': secretArn },
      });
    this.letReadAdministrator(job);
    letWriteCopies(job, copies);

    const places = services.map((service) => `${service.clusterName ?? clusterName}/${service.name}`);
    const clusters = [...new Set(services.map((service) => service.clusterName ?? clusterName))];
    const inCluster = {
      ArnEquals: { 'ecs:cluster': clusters.map((name) => this.arn('ecs', 'cluster', name)) },
    };
    const tasks = clusters.map((name) => this.arn('ecs', 'task', `${name}/*`));
    job.allow(
      'RollServices',
      ['ecs:DescribeServices', 'ecs:UpdateService', 'ecs:ListServiceDeployments'],
      places.map((name) => this.arn('ecs', 'service', name)),
    );
    const deployments = places.map((name) => this.arn('ecs', 'service-deployment', `${name}/*`));
    job.allow('FollowDeployments', ['ecs:DescribeServiceDeployments'], deployments);
    job.allow('ListTasks', ['ecs:ListTasks'], ['*'], inCluster);
    job.allow('ReplaceTasks', ['ecs:DescribeTasks', 'ecs:StopTask'], tasks, inCluster);
    job.allow('ReadTaskDefinitions', ['ecs:DescribeTaskDefinition'], ['*']);
    this.acknowledge(
      '*',
      'ECS lists tasks and describes task definitions on no resource that a policy could name; for the tasks the condition limits it to the clusters of the services.',
    );
    for (const running of tasks)
      this.acknowledge(running, 'Which tasks run is not known before: they are those of the cluster.');
    for (const deployment of deployments)
      this.acknowledge(deployment, 'A deployment has its id when it begins; these are those of the service.');
  }

  private letReadAdministrator(upkeepFunction: UpkeepFunction): void {
    const { adminSecretArn, adminSecretKeyArn } = this.props;
    if (!adminSecretArn) return;
    upkeepFunction.allow('ReadAdministrator', ['secretsmanager:GetSecretValue'], [adminSecretArn]);
    if (adminSecretKeyArn)
      upkeepFunction.allow('DecryptAdministrator', ['kms:Decrypt'], [adminSecretKeyArn], {
        StringEquals: { 'kms:EncryptionContext:SecretARN': adminSecretArn },
      });
  }

  /** Gives the secret its rotation function, and no schedule of its own: the job decides when it is due. */
  private createRotation(): void {
    const { secretArn } = this.props;
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
    // Secrets Manager calls testSecret when this is made.
    rotation.node.addDependency(permission, this.rotateSecret);
  }

  private arn(service: string, resource: string, name: string): string {
    const { partition, region, account } = Stack.of(this);
    return `arn:${partition}:${service}:${region}:${account}:${resource}/${name}`;
  }

  private acknowledge(resource: string, reason: string): void {
    Validations.of(this.job.function.role).acknowledge({
      id: `AwsSolutions-IAM5[Resource::${asTemplateText(this, resource)}]`,
      reason,
    });
  }
}
