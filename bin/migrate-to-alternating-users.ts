import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import {
  type DatabaseAddress,
  ENGINES,
  type Engine,
  type Login,
} from '../functions/shared/database/contract/engine.ts';
import {
  ConnectionRefused,
  DatabaseUnreachable,
  LoginRefused,
  MissingPrivilege,
  RotationBusy,
  RotationRefused,
  SecretInvalid,
  StatementRefused,
} from '../functions/shared/database/contract/errors.ts';
import type { Migrated, Migration, OpenedBoth } from '../functions/shared/database/contract/migration.ts';
import { checkBelongs, type DatabaseSecret } from '../functions/shared/database/credential/secret.ts';
import { currentSecret } from '../functions/shared/database/credential/stored-secret.ts';
import { MARIADB } from '../functions/shared/database/mariadb/rotation.ts';
import { mysqlDialect } from '../functions/shared/database/mysql/rotation.ts';
import {
  makeSecondUser,
  unlockBothUsers,
} from '../functions/shared/database/mysql-and-mariadb/second-user.ts';
import { migrateToAlternatingUsers } from '../functions/shared/database/postgres/migration.ts';
import { openBothUsers } from '../functions/shared/database/postgres/undo-migration.ts';
import { credentialRotation } from '../functions/shared/database/registry.ts';
import { alternatingUsers } from '../functions/shared/database/rotation/strategies.ts';

const HELP = `Gives the one user that an application has in its database a second one beside it, with which it alternates. The first
one keeps all that it owns, its password and its sessions. On PostgreSQL the second one acts as the first; on MySQL and MariaDB
it is given the same hosts, rights, roles and terms. It is done only when a session of the second one has been found to be
the same as one of the first. Repeats safely.

  npx wa-upkeep migrate-to-alternating-users --host NAME --secret ARN --administrator ARN [...]

Examples:
  npx wa-upkeep migrate-to-alternating-users --host database.internal --secret arn:… --administrator arn:… --dry-run

  --host NAME           the database's host, as in its certificate
  --secret ARN          the secret that is to be rotated: its user is the one that there is
  --administrator ARN   the secret of who makes the second one. PostgreSQL: a superuser, or who may create roles and
                        administers that user. MySQL, MariaDB: who has CREATE USER, SELECT on mysql, and all rights of that
                        user WITH GRANT OPTION

  --engine NAME         postgres, mysql or mariadb. Default: the secret's field "engine", else postgres
  --user NAME           twice: both users. Default: the secret's user, and the same with _clone after it
  --accept-login-names  goes on although something asks who has logged in, which is another name for the second user
  --undo                opens both users, as AWS's rotation functions need it: the closed one gets a password that nobody
                        knows. What the migration has added stays
  --dry-run             changes nothing, and prints the statements and what the two would have. On PostgreSQL they are done in
                        transactions that are rolled back; on MySQL and MariaDB the grants are read and compared
  --port NUMBER         default: 5432, or 3306
  --certificate-authority FILE
                        certificates in PEM. Default: those of Amazon RDS and Aurora
  --help

On PostgreSQL:
  --rotator ROLE        who will change the passwords and is given the right to, which PostgreSQL needs from 16 on
  --database NAME       to which the administrator connects. Default: postgres

The secrets are read with the AWS credentials of this shell, in the region that the ARN names.

Exit codes: 0 it is so now ("migrated", or "was-migrated" before), or would be ("would-migrate"); 1 it failed, and the
database is as it was, unless the message says otherwise; 2 the command was not understood.`;

/** Where the servers listen by default. */
const PORTS = { postgres: 5432, mysql: 3306, mariadb: 3306 } as const;
const SECRET_ARN = /^arn:[^:]+:secretsmanager:([^:]+):\d{12}:secret:.+$/;

/** The command was not understood; the message names the argument. */
class UsageError extends Error {}

/** Secrets Manager, or a file, did not give what is needed; the message says what next. */
class NotReadable extends Error {}

/** Their messages say what, where and what next, and never hold a password. */
const EXPECTED_ERRORS = [
  ConnectionRefused,
  DatabaseUnreachable,
  LoginRefused,
  MissingPrivilege,
  NotReadable,
  RotationBusy,
  RotationRefused,
  SecretInvalid,
  StatementRefused,
];

try {
  await run();
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`${error.message}\nSee --help.`);
    process.exitCode = 2;
  } else if (EXPECTED_ERRORS.some((kind) => error instanceof kind)) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  } else throw error;
}

async function run(): Promise<void> {
  const options = readArguments();
  if (options === 'help') {
    console.log(HELP);
    return;
  }
  const { secretArn, administratorArn, users, undo } = options;
  const current = await readSecret(secretArn);
  const address = await addressOf(options, current);
  checkBelongs(current, secretArn, address);
  const administrator = await readSecret(administratorArn);
  checkBelongs(administrator, administratorArn, address);
  const request = { current, ...(users && { users }) };
  const where = `on ${address.host}:${address.port}`;
  if (undo) {
    const { outcome, other } = await opened(address, administrator, request);
    console.log(
      `${outcome}: ${current.username} and ${other} may both log in, ${where}. ` +
        `${outcome === 'opened' ? `The password of ${other} is new, and nobody knows it. ` : ''}From now on no retired password is closed.`,
    );
    return;
  }
  const { acceptLoginNames, dryRun } = options;
  const { outcome, owner, statements, notes } = await migrated(address, administrator, options, {
    ...request,
    acceptLoginNames,
    dryRun,
  });
  for (const note of notes) console.log(note);
  if (outcome !== 'was-migrated') console.log(statements.map((statement) => `${statement};`).join('\n'));
  const { one, other, lockName } = alternatingUsers(address.engine, request, current.username);
  // The first one is whom both act as; where they do not, the one without a suffix.
  const isSecond = owner === undefined ? lockName !== one : owner === other;
  const both: [string, string] = users ? [...users] : isSecond ? [other, one] : [one, other];
  const how = owner === undefined ? 'have the same rights' : `act as ${owner}`;
  if (outcome === 'would-migrate') {
    console.log(`${outcome}: ${both.join(' and ')} would ${how}, ${where}. Nothing was changed.`);
    return;
  }
  if (owner !== undefined) {
    try {
      await (await credentialRotation(address, { kind: 'alternating-users', users: both, owner })).test(
        current,
      );
    } catch (error) {
      console.error(`${outcome}, but the secret's login does not act as ${owner}:`);
      throw error;
    }
  }
  const ownerField = owner === undefined || owner === both[0] ? '' : `, owner: '${owner}'`;
  console.log(
    `${outcome}: ${both.join(' and ')} ${how}, ${where}. ${one} logs in with the secret's password, as it did.\n` +
      `Name in the configuration: strategy: { kind: 'alternating-users', users: ['${both.join("', '")}']${ownerField} }`,
  );
}

/** @returns also `owner` where the users act as one. */
async function migrated(
  address: DatabaseAddress,
  administrator: Login,
  { rotator }: Options,
  migration: Migration,
): Promise<Migrated & { owner?: string }> {
  switch (ENGINES[address.engine]) {
    case 'postgres':
      return migrateToAlternatingUsers(address, administrator, {
        ...migration,
        ...(rotator !== undefined && { rotator }),
      });
    case 'mysql':
      return makeSecondUser(address, administrator, mysqlDialect(false), migration);
    case 'mariadb':
      return makeSecondUser(address, administrator, MARIADB, migration);
  }
}

function opened(
  address: DatabaseAddress,
  administrator: Login,
  request: Pick<Migration, 'current' | 'users'>,
): Promise<OpenedBoth> {
  switch (ENGINES[address.engine]) {
    case 'postgres':
      return openBothUsers(address, administrator, request);
    case 'mysql':
      return unlockBothUsers(address, administrator, mysqlDialect(false), request);
    case 'mariadb':
      return unlockBothUsers(address, administrator, MARIADB, request);
  }
}

/** The engine is the secret's own where none is given. */
async function addressOf(options: Options, secret: DatabaseSecret): Promise<DatabaseAddress> {
  const engine = options.engine ?? secret.engine ?? 'postgres';
  const family = ENGINES[engine];
  const { host, database, rotator } = options;
  if (family !== 'postgres' && (database !== undefined || rotator !== undefined)) {
    throw new UsageError(
      `--${rotator === undefined ? 'database' : 'rotator'} is for PostgreSQL, not for ${engine}.`,
    );
  }
  return {
    engine,
    host,
    port: options.port ?? PORTS[family],
    certificateAuthority: await certificates(options.certificateAuthority),
    ...(database !== undefined && { database }),
  };
}

interface Options {
  secretArn: string;
  administratorArn: string;
  rotator?: string;
  users: readonly [string, string] | undefined;
  acceptLoginNames: boolean;
  dryRun: boolean;
  undo: boolean;
  engine?: Engine;
  host: string;
  port?: number;
  database?: string;
  /** `rds` or the path of a file. */
  certificateAuthority: string;
}

function readArguments(): Options | 'help' {
  const values = parsedArguments();
  if (values.help) return 'help';
  const needed = (name: 'host' | 'secret' | 'administrator') => {
    const value = values[name];
    if (value) return value;
    throw new UsageError(`--${name} is missing.`);
  };
  const arn = (name: 'secret' | 'administrator') => {
    const value = needed(name);
    if (SECRET_ARN.test(value)) return value;
    throw new UsageError(`--${name} must be the ARN of a secret of Secrets Manager.`);
  };
  const port = Number(values.port ?? 1);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new UsageError(`--port must be a port, not ${values.port}.`);
  const { engine } = values;
  if (engine !== undefined && !isEngine(engine))
    throw new UsageError(`--engine must be one of ${Object.keys(ENGINES).join(', ')}, not ${engine}.`);
  const [one, other, ...others] = values.user ?? [];
  if (one !== undefined && (!one || !other || others.length > 0 || one === other))
    throw new UsageError('--user must be given twice, with the names of both users, or not at all.');
  return {
    host: needed('host'),
    ...(values.port !== undefined && { port }),
    ...(engine !== undefined && { engine }),
    ...(values.database && { database: values.database }),
    certificateAuthority: values['certificate-authority'] ?? 'rds',
    secretArn: arn('secret'),
    administratorArn: arn('administrator'),
    ...(values.rotator !== undefined && { rotator: values.rotator }),
    acceptLoginNames: values['accept-login-names'] ?? false,
    dryRun: values['dry-run'] ?? false,
    undo: values.undo ?? false,
    users: one && other ? [one, other] : undefined,
  };
}

function isEngine(name: string): name is Engine {
  return Object.hasOwn(ENGINES, name);
}

function parsedArguments() {
  try {
    return parseArgs({
      options: {
        host: { type: 'string' },
        engine: { type: 'string' },
        port: { type: 'string' },
        database: { type: 'string' },
        'certificate-authority': { type: 'string' },
        secret: { type: 'string' },
        administrator: { type: 'string' },
        rotator: { type: 'string' },
        'accept-login-names': { type: 'boolean' },
        'dry-run': { type: 'boolean' },
        undo: { type: 'boolean' },
        user: { type: 'string', multiple: true },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

async function certificates(authority: string): Promise<string> {
  if (authority === 'rds') return authority;
  try {
    return await readFile(authority, 'utf8');
  } catch (error) {
    throw new NotReadable(
      `The file of --certificate-authority cannot be read: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** @throws SecretInvalid, NotReadable */
async function readSecret(arn: string): Promise<DatabaseSecret> {
  const region = SECRET_ARN.exec(arn)?.[1] ?? '';
  const client = new SecretsManagerClient({ region });
  try {
    return (await currentSecret(client, arn)).secret;
  } catch (error) {
    if (error instanceof SecretInvalid) throw error;
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    throw new NotReadable(
      `The secret ${arn} cannot be read: ${reason}. The AWS credentials of this shell need secretsmanager:GetSecretValue on it, and kms:Decrypt where it has a key of its own.`,
    );
  } finally {
    client.destroy();
  }
}
