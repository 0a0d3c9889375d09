import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { namingErrors } from '../../run/naming-errors.ts';
import { REQUEST_LIMITS } from '../../run/request-limits.ts';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { DatabaseUnreachable } from '../contract/errors.ts';
import type { ExactCount, LargestTable, TableSearch, TableSize } from '../contract/sizes.ts';
import { checkBelongs } from '../credential/secret.ts';
import { currentSecret } from '../credential/stored-secret.ts';
import { sizeReader } from '../registry.ts';

/** Something asked of a database: the answer, or why there is none, as its error says. */
export type Answer<T> = { kind: 'told'; value: T } | { kind: 'not-told'; error: string };

/** Databases that belong together, on one server, and what is asked of them. */
export interface SetToMeasure {
  database: DatabaseAddress;
  /** The Secrets Manager secret of a user that needs no right to read a row. */
  secretArn: string;
  tables: readonly TableSearch[];
  /** Connections to any of these databases that were idle for longer are counted. @default none is */
  databases?: readonly string[];
  idleTimeoutSeconds?: number;
}

export interface MeasuredSet {
  /** In the order of the set's tables. */
  tables: Answer<TableSize>[];
  /** Undefined: not asked for. */
  idleConnections?: Answer<number>;
}

/** What became of a count; `no-time`: it might have gone on after the time by which the run must end. */
export type CountOutcome = ExactCount | { kind: 'no-time' };

/** For the secret, the connection and an answer that comes late. */
const COUNT_MARGIN_SECONDS = 60;

const secretsManager = namingErrors(new SecretsManagerClient({ requestHandler: REQUEST_LIMITS }));

/**
 * Asks a set's server for the sizes of its tables. What cannot be told does not keep the rest from being told.
 * @throws DatabaseUnreachable, after which asking again may help.
 */
export async function measureSet(set: SetToMeasure): Promise<Answer<MeasuredSet>> {
  const { database, databases = [], tables, idleTimeoutSeconds } = set;
  const login = await answer(loginOf(set));
  if (login.kind === 'not-told') return login;
  const reader = await sizeReader(database);
  const measured: Answer<TableSize>[] = [];
  for (const search of tables) measured.push(await answer(reader.table(login.value, search)));
  return {
    kind: 'told',
    value: {
      tables: measured,
      ...(idleTimeoutSeconds !== undefined && {
        idleConnections: await answer(reader.idleConnections(login.value, databases, idleTimeoutSeconds)),
      }),
    },
  };
}

/** Milliseconds that a count takes at most: it is ended by the server, or else here somewhat later. */
export function longestCount({ timeLimitSeconds }: { timeLimitSeconds: number }): number {
  return (timeLimitSeconds + COUNT_MARGIN_SECONDS) * 1000;
}

/**
 * Counts a table of a set row by row. A count reads the whole table: none is begun that may go on into the day.
 * @param endBy when the run must end, in epoch milliseconds.
 * @throws DatabaseUnreachable, after which asking again may help.
 */
export async function countTable(
  set: Omit<SetToMeasure, 'tables'>,
  table: TableSearch,
  { timeLimitSeconds, endBy }: { timeLimitSeconds: number; endBy: number },
): Promise<Answer<CountOutcome>> {
  if (Date.now() + timeLimitSeconds * 1000 > endBy) return { kind: 'told', value: { kind: 'no-time' } };
  return answer(
    (async () => {
      const reader = await sizeReader(set.database);
      return reader.count(await loginOf(set), table, timeLimitSeconds * 1000);
    })(),
  );
}

/**
 * The largest table of a set's databases.
 * @throws DatabaseUnreachable, after which asking again may help.
 */
export async function largestTable(
  set: Omit<SetToMeasure, 'tables'>,
  databases: readonly string[],
): Promise<Answer<LargestTable>> {
  return answer(
    (async () => {
      const reader = await sizeReader(set.database);
      return reader.largestTable(await loginOf(set), databases);
    })(),
  );
}

async function loginOf({ secretArn, database }: Omit<SetToMeasure, 'tables'>): Promise<Login> {
  const { secret } = await currentSecret(secretsManager, secretArn);
  checkBelongs(secret, secretArn, database);
  return { username: secret.username, password: secret.password };
}

async function answer<T>(asked: Promise<T>): Promise<Answer<T>> {
  try {
    return { kind: 'told', value: await asked };
  } catch (error) {
    if (error instanceof DatabaseUnreachable) throw error;
    return { kind: 'not-told', error: error instanceof Error ? error.message : String(error) };
  }
}
