import { Duration, Stack, Token } from 'aws-cdk-lib';
import {
  type Alarm,
  ComparisonOperator,
  type IWidget,
  type Metric,
  type MetricOptions,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import {
  CREDENTIAL_DIMENSION,
  type CredentialRotationSettings,
  ROLLS_STOPPED_METRIC,
  SERVICE_DIMENSION,
  stoppedAlarmName,
} from '../../functions/credential-rotation/contract.ts';
import { placeOf } from '../../functions/shared/database/credential/copies.ts';
import { whyAmbiguous } from '../../functions/shared/database/credential/copy-template.ts';
import { bundledFor as bundledForDatabases } from '../bundled-for.ts';
import { pathText } from '../checks/mistakes.ts';
import { checkProps, passesPropsOn, refuse } from '../checks/props.ts';
import { graph, type OnDashboard } from '../dashboards/on-dashboard.ts';
import { entryFile } from '../entry-file.ts';
import { networkFindings, resolvedNetwork } from '../function-network.ts';
import { rdsRootProblems } from '../rds-roots.ts';
import { ecsArn } from '../roll-permissions.ts';
import { createAlarm, LATEST_PERIOD } from '../upkeep-alarm.ts';
import { MAXIMUM_SETTINGS_BYTES, type UpkeepFunction } from '../upkeep-function.ts';
import { UpkeepJob } from '../upkeep-job.ts';
import { copySettings, ownFields, type RotatedCredential } from './credential-copies.ts';
import {
  type CredentialParts,
  createRotateSecret,
  createRotation,
  credentialParts,
  credentialSettings,
  JOB,
} from './credential-parts.ts';
import type { CredentialRotationProps } from './credential-rotation-props.ts';
import { letRotateSecret, letRun } from './permissions.ts';
import {
  type Credential,
  credentialsOf,
  DEFAULT_RETIREMENT_PATIENCE,
  DEFAULT_ROTATE_AFTER,
  DEFAULT_ROTATION_TIMEOUT,
  DEFAULT_STEADY_TIMEOUT,
  isDatabase,
} from './rotated.ts';
import { ROTATED, ROTATION_NAMES, ROTATION_PROPS, rotationFindings } from './rotation-checks.ts';

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
  /** The same of each of `others`, by its name. */
  readonly others: Record<string, CredentialParts>;

  private readonly props: CredentialRotationProps;
  private readonly credentials: readonly Credential[];
  private readonly maximumAge: Duration;

  constructor(scope: Construct, id: string, props: CredentialRotationProps) {
    super(scope, id);
    this.props = props;
    passesPropsOn(this);
    checkProps(this, ROTATION_PROPS, props, undefined, ROTATION_NAMES);
    this.credentials = credentialsOf(props);
    const [first, ...further] = this.credentials;
    // There is one at least.
    if (first === undefined) throw new Error('There is no credential.');
    const { clusterName, services } = first.rotated;
    const others = Object.fromEntries(further.map(({ name = '', rotated }) => [name, rotated]));
    checkProps(this, ROTATED, { ...first.rotated, others }, () => rotationFindings(props, this.credentials));
    const { upkeep, application } = props;
    const rotateAfter = props.rotateAfter ?? DEFAULT_ROTATE_AFTER;
    const maximumAge = props.maximumAge ?? Duration.days(rotateAfter.toDays() + 7);
    this.maximumAge = maximumAge;
    for (const each of this.credentials)
      refuse(this, ...ambiguousCopies(each), ...missingRoots(each, Stack.of(this).region));
    refuse(
      this,
      ...networkFindings(props.network).map(({ field, problem }) => `${pathText(field)} ${problem}`),
    );
    const network = resolvedNetwork(this, props.network);
    const { waitsFor = [] } = props;
    const { deployment } = upkeep;
    const made = this.credentials.map((each) => {
      const scope = each === first ? this : new Construct(this, `Other-${each.name}`);
      return { ...each, scope, rotateSecret: createRotateSecret(scope, each, network) };
    });
    const bundledFor = bundledForDatabases(
      this,
      this.credentials.map(({ rotated }) => rotated.database),
    );
    const settings: CredentialRotationSettings = {
      deployment,
      ...ownSettings(first),
      rotateAfterDays: rotateAfter.toDays(),
      rotationTimeoutSeconds: (props.rotationTimeout ?? DEFAULT_ROTATION_TIMEOUT).toSeconds(),
      ...(props.copiesAlarmName && { copiesAlarm: props.copiesAlarmName }),
      clusterArn: ecsArn(this, 'cluster', clusterName || (services[0]?.clusterName ?? '')),
      services: services.map(({ clusterName: own, ...service }) => ({
        ...service,
        ...(own && { clusterArn: ecsArn(this, 'cluster', own) }),
      })),
      steadyTimeoutSeconds: (props.steadyTimeout ?? DEFAULT_STEADY_TIMEOUT).toSeconds(),
      retirementPatienceSeconds: (props.retirementPatience ?? DEFAULT_RETIREMENT_PATIENCE).toSeconds(),
      ...(further.length > 0 && {
        name: first.name ?? '',
        further: further.map((each) => ({ name: each.name ?? '', ...ownSettings(each) })),
      }),
    };
    const allSettings = { ...application?.settings, ...settings };
    const bytes = Buffer.byteLength(JSON.stringify(allSettings));
    if (bytes > MAXIMUM_SETTINGS_BYTES)
      refuse(
        this,
        `the settings take ${bytes} bytes, of which ${MAXIMUM_SETTINGS_BYTES} fit into the function's environment. Give fewer certificates ("rds" takes nearly nothing), copies, credentials or services.`,
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
    for (const { rotateSecret, rotated, props } of made)
      letRotateSecret(rotateSecret, this.job.function.functionArn, rotated, props);
    letRun(
      this.job.function,
      made.map(({ rotateSecret, ...each }) => ({ ...each, rotateSecretArn: rotateSecret.functionArn })),
      props,
    );
    for (const { rotateSecret, props } of made)
      if (isDatabase(props.database))
        for (const client of [rotateSecret, this.job.function])
          client.connections.allowToDefaultPort(props.database, 'Rotation of a database credential');
    for (const each of made) createRotation(each.scope, each, this.job);

    const report = `Read the last report: the log /aws/lambda/${deployment}-${JOB}, message "Run report". Each problem there says what, where (the service) and what next.`;
    const { topic } = upkeep;
    const [own, ...parts] = made.map((each) => {
      const named = each.name ? { credential: each.name } : {};
      return credentialParts(each, {
        ...{ report, rotateAfter, maximumAge },
        age: this.metricCredentialAgeDays(named),
        oldPassword: this.metricOldPasswordHours(named),
      });
    });
    if (own === undefined) throw new Error('There is no credential.');
    this.credential = own.credential;
    this.rotateSecret = own.rotateSecret;
    this.rotationFailedAlarm = own.rotationFailedAlarm;
    this.ageAlarm = own.ageAlarm;
    this.unretiredAlarm = own.unretiredAlarm;
    this.others = Object.fromEntries(
      further.flatMap(({ name = '' }, index) => {
        const part = parts[index];
        return part ? [[name, part]] : [];
      }),
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

  /**
   * Since the credential was made, in days; of several the oldest, or the one that `credential` names.
   * @default the largest number in five minutes
   */
  metricCredentialAgeDays(options?: MetricOptions & { readonly credential?: string }): Metric {
    return this.ofCredential('CredentialAgeDays', options);
  }

  /**
   * Since the rotation whose old password is still valid, in hours; 0 where none is. Of several the longest, or that of the one
   * that `credential` names.
   * @default the largest number in five minutes
   */
  metricOldPasswordHours(options?: MetricOptions & { readonly credential?: string }): Metric {
    return this.ofCredential('OldPasswordHours', options);
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
        this.credentials.map(({ name }) =>
          this.metricCredentialAgeDays({ period, ...(name && { credential: name, label: name }) }).attachTo(
            this,
          ),
        ),
        { leftAnnotations: [{ value: this.maximumAge.toDays(), label: 'the alarm rings' }] },
      ),
      graph(`Tasks of ${deployment} replaced for a new password`, [
        this.metricTasksReplaced({ period }).attachTo(this),
      ]),
    ];
  }

  private ofCredential(
    name: string,
    { credential, ...options }: MetricOptions & { readonly credential?: string } = {},
  ): Metric {
    const { deployment } = this.props.upkeep;
    return this.latest(name, {
      ...(credential && { dimensionsMap: { deployment, job: JOB, [CREDENTIAL_DIMENSION]: credential } }),
      ...options,
    });
  }

  private latest(name: string, options?: MetricOptions): Metric {
    return this.job.metric(name, { statistic: 'Maximum', period: LATEST_PERIOD, ...options });
  }
}

/** What the job is told of one credential. */
function ownSettings(credential: Credential) {
  const { replicas, whenUnproven, copies = [] } = credential.props;
  const [elsewhere] = ownFields(credential.rotated.secretArn, copies);
  return {
    ...credentialSettings(credential),
    copies: copySettings(elsewhere),
    ...(replicas && { replicas }),
    ...(whenUnproven && { whenUnproven }),
  };
}

function ambiguousCopies({ props: { copies = [], password = {} } }: Credential): string[] {
  return copies.flatMap((copy) => {
    const ambiguous = whyAmbiguous(copy, password);
    return ambiguous === undefined ? [] : [`${placeOf(copy)}: ${ambiguous}`];
  });
}

function missingRoots({ path, rotated: { database } }: Credential, region: string): string[] {
  if (database.certificateAuthority !== 'rds' || Token.isUnresolved(region)) return [];
  const field = pathText([...path, 'database', 'certificateAuthority']);
  return rdsRootProblems(region).map((problem) => `${field} ${problem}`);
}
