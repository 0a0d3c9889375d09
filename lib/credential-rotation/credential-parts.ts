import { Duration, Stack } from 'aws-cdk-lib';
import { type Alarm, ComparisonOperator, type Metric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnPermission } from 'aws-cdk-lib/aws-lambda';
import { CfnRotationSchedule } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { rotateSecretName, rotationFailedAlarmName } from '../../functions/credential-rotation/contract.ts';
import type { RotateSecretSettings } from '../../functions/rotate-secret/contract.ts';
import type { CredentialSettings } from '../../functions/shared/database/credential/settings.ts';
import { bundledFor } from '../bundled-for.ts';
import { entryFile } from '../entry-file.ts';
import type { FunctionNetwork } from '../function-network.ts';
import { commandToStart } from '../start-run.ts';
import { alarmOnAny, createAlarm, ONE_CAUSE } from '../upkeep-alarm.ts';
import { functionArn, UpkeepFunction } from '../upkeep-function.ts';
import type { UpkeepJob } from '../upkeep-job.ts';
import { ownFields, type RotatedCredential } from './credential-copies.ts';
import type { Credential } from './rotated.ts';

export const JOB = 'credential-rotation';
/** A step connects twice at most, waits for the lock, and asks AWS: well under a minute. */
const STEP_TIMEOUT = Duration.seconds(90);
/**
 * "Within a day", measured at a run's end: the next day's run may begin earlier than this day's did, by the flexible
 * window, and the credential was made some time after the beginning.
 */
const UNRETIRED_HOURS = 20;

/** Makes the function that Secrets Manager calls for one credential, and that may do nothing for another. */
export function createRotateSecret(
  scope: Construct,
  { name, props, rotated }: Credential,
  network: FunctionNetwork,
): UpkeepFunction {
  const { upkeep, password } = props;
  const { deployment, encryptionKey, logRetention } = upkeep;
  return new UpkeepFunction(scope, 'RotateSecret', {
    functionName: `${deployment}-${rotateSecretName(name)}`,
    description: `The steps of Secrets Manager's rotation of ${calledFor(deployment, name)}`,
    entry: entryFile('rotate-secret'),
    ...bundledFor(scope, [rotated.database]),
    settings: {
      deployment,
      ...credentialSettings({ props, rotated }),
      ...(password && { password }),
      delivery: {
        job: JOB,
        functionArn: functionArn(scope, `${deployment}-${JOB}`),
        startRunArn: upkeep.startRun.function.functionArn,
      },
    } satisfies RotateSecretSettings,
    timeout: STEP_TIMEOUT,
    network,
    ...(encryptionKey && { encryptionKey }),
    ...(logRetention && { logRetention }),
  });
}

/** Gives the secret its rotation function, and no schedule of its own: the job decides when it is due. */
export function createRotation(
  scope: Construct,
  { rotateSecret, rotated: { secretArn } }: Made,
  job: UpkeepJob,
): void {
  const permission = new CfnPermission(scope, 'LetSecretsManagerRotate', {
    principal: 'secretsmanager.amazonaws.com',
    action: 'lambda:InvokeFunction',
    functionName: rotateSecret.function.functionArn,
    sourceAccount: Stack.of(scope).account,
    sourceArn: secretArn,
  });
  const rotation = new CfnRotationSchedule(scope, 'Rotation', {
    secretId: secretArn,
    rotationLambdaArn: rotateSecret.function.functionArn,
    rotateImmediatelyOnUpdate: false,
  });
  // Secrets Manager looks whether it may call the function, and calls testSecret, when this is made. The job's function takes
  // longer to make than the permission needs to be known everywhere in Lambda.
  rotation.node.addDependency(permission, rotateSecret, job.alias);
}

/** With the alarms of one credential, which name it where there are several. */
export function credentialParts(
  { scope, name, props, rotated, rotateSecret }: Made,
  {
    report,
    rotateAfter,
    maximumAge,
    age,
    oldPassword,
  }: { report: string; rotateAfter: Duration; maximumAge: Duration; age: Metric; oldPassword: Metric },
): CredentialParts {
  const { upkeep, copies = [], timeLimit } = props;
  const { deployment } = upkeep;
  const { secretArn, secretKeyArn } = rotated;
  const called = calledFor(deployment, name);
  const suffix = name ? `-${name}` : '';
  return {
    credential: { secretArn, ...(secretKeyArn && { secretKeyArn }), copies, timeLimit },
    rotateSecret,
    rotationFailedAlarm: alarmOnAny(scope, 'RotationFailed', {
      alarmName: rotationFailedAlarmName(deployment, name),
      meaning: `A step of the rotation of ${called} failed. Secrets Manager tries it several times. Containers go on with the password that they have.`,
      whatToDo: [
        `Look in the log /aws/lambda/${deployment}-${rotateSecretName(name)} for the step and the cause.`,
        `Mend the cause. The next run of ${JOB} rotates; to begin at once inside the downtime window: ${commandToStart(deployment, JOB)}`,
      ],
      topic: upkeep.topic,
      metric: rotateSecret.function.metricErrors({ statistic: 'Sum' }),
      // Secrets Manager tries again after ever longer pauses.
      quietAfter: ONE_CAUSE,
    }),
    ageAlarm: createAlarm(
      scope,
      'Age',
      {
        alarmName: `${deployment}-${JOB}-age${suffix}`,
        meaning: `${capitalized(called)} is older than ${maximumAge.toDays()} days. It is rotated after ${rotateAfter.toDays()} days when all is well.`,
        whatToDo: [
          report,
          `If no run began at all, the alarm ${deployment}-${JOB}-missed rings too: go on there.`,
        ],
        topic: upkeep.warningTopic,
      },
      {
        metric: age,
        threshold: maximumAge.toDays(),
        comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
        evaluationPeriods: 1,
        // There is one point a day; between two the alarm stays as it is.
        treatMissingData: TreatMissingData.IGNORE,
      },
    ),
    unretiredAlarm: createAlarm(
      scope,
      'Unretired',
      {
        alarmName: `${deployment}-${JOB}-unretired${suffix}`,
        meaning: `${name ? `The old password of ${called}` : `The old database password of ${deployment}`} is still valid a day after the rotation.`,
        whatToDo: [report, 'Mend what stopped the roll or the retirement. The next run goes on from there.'],
        topic: upkeep.warningTopic,
      },
      {
        metric: oldPassword,
        threshold: UNRETIRED_HOURS,
        comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluationPeriods: 1,
        treatMissingData: TreatMissingData.IGNORE,
      },
    ),
  };
}

/** One with the function that Secrets Manager calls for it, and where its constructs stand. */
export interface Made extends Credential {
  readonly scope: Construct;
  readonly rotateSecret: UpkeepFunction;
}

/** What is made for each credential. */
export interface CredentialParts {
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
}

function calledFor(deployment: string, name: string | undefined): string {
  return name ? `the credential ${name} of ${deployment}` : `the database credential of ${deployment}`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function credentialSettings({
  props,
  rotated,
}: Pick<Credential, 'props' | 'rotated'>): CredentialSettings {
  const { secretArn, database, adminSecretArn } = rotated;
  const [, fields] = ownFields(secretArn, props.copies ?? []);
  return {
    secretArn,
    database,
    strategy: props.strategy,
    ...(adminSecretArn && { adminSecretArn }),
    ...(fields.length > 0 && { fields }),
  };
}
