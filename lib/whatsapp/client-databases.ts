import type { Duration } from 'aws-cdk-lib';
import type { DatabaseAddress } from '../../functions/shared/database/contract/engine.ts';
import { letReadSecrets } from '../read-secrets.ts';
import type { UpkeepFunction } from '../upkeep-function.ts';

/** The client's databases whose names are known; before each it puts its prefix. */
export const CLIENT_DATABASES = ['messageStore', 'callbackStore', 'axolotlStore', 'contactStore', 'waweb'];

/** The one that has the table `messages`. */
export const MESSAGE_DATABASE = 'messageStore';

/** The databases of one client, which it named with one prefix. */
export interface ClientDatabases {
  /** `WA_DB_NAME_PREFIX`; empty where there is none. */
  readonly prefix: string;
  /**
   * Names the set's metrics and alarms. Letters, digits, hyphens and underscores; unique among the sets.
   * @default the prefix without underscores and hyphens at its ends, or `default`
   */
  readonly name?: string | undefined;
  /** The server on which they are. */
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

/** The name that a set has where none is given. */
export function setNameOf({ name, prefix }: Pick<ClientDatabases, 'name' | 'prefix'>): string {
  return name ?? (prefix.replaceAll(/^[-_]+|[-_]+$/g, '') || 'default');
}

/** Lets a function log in as the sets' users, and read what the metrics of earlier runs told. */
export function letReadSizes(upkeepFunction: UpkeepFunction, sets: readonly ClientDatabases[]): void {
  letReadSecrets(upkeepFunction, 'DatabaseUser', sets);
  letReadPastMetrics(upkeepFunction);
}

/** Lets a function ask CloudWatch what metrics told before. */
export function letReadPastMetrics(upkeepFunction: UpkeepFunction): void {
  upkeepFunction.allow('ReadPastMetrics', ['cloudwatch:GetMetricData'], ['*']);
  upkeepFunction.acceptWildcard(
    '*',
    'The Service Authorization Reference has no resource types for cloudwatch:GetMetricData: an ARN there would allow nothing.',
  );
}
