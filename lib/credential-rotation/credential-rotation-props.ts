import type { Duration } from 'aws-cdk-lib';
import type { IBaseService } from 'aws-cdk-lib/aws-ecs';
import type { IDatabaseCluster, IDatabaseInstance } from 'aws-cdk-lib/aws-rds';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type {
  CredentialReader,
  ReadReplica,
  WhenUnproven,
} from '../../functions/credential-rotation/contract.ts';
import type { DatabaseAddress } from '../../functions/shared/database/contract/engine.ts';
import type { Strategy } from '../../functions/shared/database/contract/rotation.ts';
import type { PasswordRules } from '../../functions/shared/database/credential/password.ts';
import type { ClusterReference } from '../ecs-services.ts';
import type { FunctionNetwork } from '../function-network.ts';
import type { DailySchedule } from '../start-run.ts';
import type { Upkeep } from '../upkeep.ts';
import type { RotatedCopy } from './credential-copies.ts';

/** A service whose containers read the credential at their start. */
export interface RotatedService extends Omit<CredentialReader, 'clusterArn'> {
  /** Name of its ECS cluster. @default `cluster` */
  readonly clusterName?: string | undefined;
}

/** Another credential that the same services read. */
export type OtherCredential = Pick<
  CredentialRotationProps,
  | 'secret'
  | 'database'
  | 'strategy'
  | 'administrator'
  | 'password'
  | 'acceptFailedLogins'
  | 'copies'
  | 'replicas'
  | 'whenUnproven'
>;

/** What a `CredentialRotation` is made of. */
export interface CredentialRotationProps {
  /** What this deployment's jobs share. */
  readonly upkeep: Upkeep;
  /**
   * The secret that is rotated: JSON, as AWS documents it for databases. Of whichever stack; one that is not of this app by
   * its full ARN (`Secret.fromSecretCompleteArn`), with its key if that is not the account's own for Secrets Manager
   * (`Secret.fromSecretAttributes`).
   */
  readonly secret: ISecret;
  /**
   * The server: a database of RDS itself, whose security groups then let the functions in; or where it listens.
   */
  readonly database: DatabaseAddress | IDatabaseInstance | IDatabaseCluster;
  /** How the database has two valid credentials at once, or that it has not. */
  readonly strategy: Strategy;
  /**
   * The secret of a user that may change passwords.
   * @default MySQL's `dual-password` lets the user change its own; every other strategy needs one
   */
  readonly administrator?: ISecret;
  /**
   * Other credentials that the same services read, each by a name of your own, that its alarms and the report call it by: lower case,
   * digits, hyphens, at most 22 characters. Those that are due are rotated one after the other, none begun once an earlier one has failed;
   * then each service is rolled once, and each old password retired on its own proof.
   * @default none
   */
  readonly others?: Record<string, OtherCredential>;
  /** With `others`: the name of this credential. @default 'database' */
  readonly name?: string;
  /** What a new password is made of. @default 32 characters that databases, shells and URLs all take */
  readonly password?: PasswordRules;
  /**
   * Takes it that logins fail from the rotation until a container is replaced, as they do with `single-password`.
   * @default false: such a strategy is refused
   */
  readonly acceptFailedLogins?: boolean;
  /** The ECS cluster of those services that are given by name and name none, or its name. */
  readonly cluster?: ClusterReference;
  /**
   * Whose containers read the credential at their start, in the order in which their tasks are replaced: the services
   * themselves, of whichever stack, or their names, alone or with what else there is to say.
   */
  readonly services: (IBaseService | RotatedService | string)[];
  /** Where else the credential is kept. @default in the secret alone */
  readonly copies?: RotatedCopy[];
  /** From where the database can be reached, and AWS's interfaces ecs, events, lambda, secretsmanager and ssm. */
  readonly network: FunctionNetwork;
  /** When to look, each day: most days nothing is due, and the run only sees to it that all is well. */
  readonly schedule: DailySchedule;
  /** How long a run may take, counted from its scheduled time. */
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
  /**
   * What becomes of the old credential where nobody can know whether the new tasks of each service log in with the new
   * one. `keep`: the run is partial, and both stay valid.
   * @default 'keep' in the first rotation, and wherever logins were refused or tasks not seen that should have been;
   * otherwise 'retire'
   */
  readonly whenUnproven?: WhenUnproven;
  /**
   * The name of an alarm that tells of a copy that holds something else than the credential, as that of `DatabaseSize` does: a run that
   * puts right what this has told of does not tell of it once more.
   * @default no alarm does, and the run's own tells
   */
  readonly copiesAlarmName?: string;
  /** How long the four steps may take, with Secrets Manager's own repetitions. @default 15 minutes */
  readonly rotationTimeout?: Duration;
  /** How long a service may take to be steady after a change. @default 20 minutes */
  readonly steadyTimeout?: Duration;
  /**
   * Read replicas on which containers log in too: with `alternating-users` the old user is closed only when none has sessions
   * of it. The functions must be able to reach them. @default none is looked at
   */
  readonly replicas?: ReadReplica[];
  /**
   * How long sessions of the old user are waited for before its retirement is left to the next run, with an alarm. A pooler
   * keeps idle ones for a time of its own (pgbouncer: `server_idle_timeout`, 10 minutes by default). @default 15 minutes
   */
  readonly retirementPatience?: Duration;
}
