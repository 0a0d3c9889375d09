import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { DatabaseAddress } from '../functions/shared/database/contract/engine.ts';
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
import { checkBelongs, type DatabaseSecret } from '../functions/shared/database/credential/secret.ts';
import { currentSecret } from '../functions/shared/database/credential/stored-secret.ts';
import { migrateToAlternatingUsers } from '../functions/shared/database/postgres/migration.ts';
import { openBothUsers } from '../functions/shared/database/postgres/undo-migration.ts';
import { credentialRotation } from '../functions/shared/database/registry.ts';
import { alternatingUsers } from '../functions/shared/database/rotation/strategies.ts';

const HELP = `Gives the one user that an application has on PostgreSQL a second one beside it, with which it alternates: the second
one acts as the first, who keeps all that it owns, its password and its sessions. It is done only when a session of the
second one has been found to be the same as one of the first. Repeats safely.

  npx wa-upkeep migrate-to-alternating-users --host NAME --secret ARN --administrator ARN [...]

  --host NAME           the database's host, as in its certificate
  --secret ARN          the secret that is to be rotated: its user is the one that there is
  --administrator ARN   the secret of a superuser, or of who may create roles and administers that user

  --rotator ROLE        who will change the passwords and is given the right to, which PostgreSQL needs from 16 on
  --user NAME           twice: both users. Default: the secret's user, and the same with _clone after it
  --accept-login-names  goes on although something asks for session_user, which is another name for the second user
  --undo                opens both users, as AWS's rotation functions need it: the closed one gets a password that nobody
                        knows. What the migration has added stays
  --dry-run             does all of it in a transaction that is rolled back, and prints it
  --port NUMBER         default: 5432
  --database NAME       to which the administrator connects. Default: postgres
  --certificate-authority FILE
                        certificates in PEM. Default: those of Amazon RDS and Aurora
  --help

The secrets are read with the AWS credentials of this shell, in the region that the ARN names.

Exit codes: 0 it is so now ("migrated", or "was-migrated" before), or would be ("would-migrate"); 1 it failed, and the
database is as it was, unless the message says otherwise; 2 the command was not understood.`;

/** Where PostgreSQL listens by default. */
const POSTGRES_PORT = '5432';
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
  const { secretArn, administratorArn, users, undo, address: where, ...wanted } = options;
  const address = { ...where, certificateAuthority: await certificates(where.certificateAuthority) };
  const current = await readSecret(secretArn, address);
  const administrator = await readSecret(administratorArn, address);
  const { one, other } = alternatingUsers(address.engine, { ...(users && { users }) }, current.username);
  if (undo) {
    const opened = await openBothUsers(address, administrator, { current, ...(users && { users }) });
    console.log(
      `${opened.outcome}: ${one} and ${opened.other} may both log in, on ${address.host}:${address.port}. ` +
        `${opened.outcome === 'opened' ? `The password of ${opened.other} is new, and nobody knows it. ` : ''}From now on no retired password is closed.`,
    );
    return;
  }
  const migration = { current, ...(users && { users }), ...wanted };
  const { outcome, owner, statements, notes } = await migrateToAlternatingUsers(
    address,
    administrator,
    migration,
  );
  for (const note of notes) console.log(note);
  if (outcome !== 'was-migrated') console.log(statements.map((statement) => `${statement};`).join('\n'));
  const both = users ?? (owner === other ? [other, one] : [one, other]);
  if (outcome === 'would-migrate') {
    console.log(
      `${outcome}: ${both.join(' and ')} would act as ${owner}, on ${address.host}:${address.port}. Nothing was changed.`,
    );
    return;
  }
  try {
    await (
      await credentialRotation(address, { kind: 'alternating-users', users: [both[0], both[1]], owner })
    ).test(current);
  } catch (error) {
    console.error(`${outcome}, but the secret's login does not act as ${owner}:`);
    throw error;
  }
  const ownerField = owner === both[0] ? '' : `, owner: '${owner}'`;
  console.log(
    `${outcome}: ${both.join(' and ')} act as ${owner}, on ${address.host}:${address.port}. ${one} logs in with the secret's password, as it did.\n` +
      `Name in the configuration: strategy: { kind: 'alternating-users', users: ['${both.join("', '")}']${ownerField} }`,
  );
}

interface Options {
  secretArn: string;
  administratorArn: string;
  rotator?: string;
  users: readonly [string, string] | undefined;
  acceptLoginNames: boolean;
  dryRun: boolean;
  undo: boolean;
  /** Its certificate authority is `rds` or the path of a file. */
  address: DatabaseAddress;
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
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new UsageError(`--port must be a port, not ${values.port}.`);
  const [one, other, ...others] = values.user ?? [];
  if (one !== undefined && (!one || !other || others.length > 0 || one === other))
    throw new UsageError('--user must be given twice, with the names of both users, or not at all.');
  return {
    address: {
      engine: 'postgres',
      host: needed('host'),
      port,
      certificateAuthority: values['certificate-authority'] ?? 'rds',
      ...(values.database && { database: values.database }),
    },
    secretArn: arn('secret'),
    administratorArn: arn('administrator'),
    ...(values.rotator !== undefined && { rotator: values.rotator }),
    acceptLoginNames: values['accept-login-names'] ?? false,
    dryRun: values['dry-run'] ?? false,
    undo: values.undo ?? false,
    users: one && other ? [one, other] : undefined,
  };
}

function parsedArguments() {
  try {
    return parseArgs({
      options: {
        host: { type: 'string' },
        port: { type: 'string', default: POSTGRES_PORT },
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

/** @throws SecretInvalid, RotationRefused if it is of another database, NotReadable */
async function readSecret(arn: string, address: DatabaseAddress): Promise<DatabaseSecret> {
  const region = SECRET_ARN.exec(arn)?.[1] ?? '';
  const client = new SecretsManagerClient({ region });
  try {
    const { secret } = await currentSecret(client, arn);
    checkBelongs(secret, arn, address);
    return secret;
  } catch (error) {
    if (error instanceof SecretInvalid || error instanceof RotationRefused) throw error;
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    throw new NotReadable(
      `The secret ${arn} cannot be read: ${reason}. The AWS credentials of this shell need secretsmanager:GetSecretValue on it, and kms:Decrypt where it has a key of its own.`,
    );
  } finally {
    client.destroy();
  }
}
