import type { DatabaseAddress } from './engine.ts';

/** A secret's value is not what AWS documents for a database's credential. Never holds the value itself. */
export class SecretInvalid extends Error {
  override name = 'SecretInvalid';
}

/** Nothing was changed and repeating will not help: somebody must change the configuration or the database. */
export class RotationRefused extends Error {
  override name = 'RotationRefused';
}

/** Going on would drop a password that something may still log in with. It must be retired first. */
export class OldPasswordInUse extends Error {
  override name = 'OldPasswordInUse';
}

/** Retiring would drop a password that a rotation still needs. It must end, or be repeated, first. */
export class RotationUnfinished extends Error {
  override name = 'RotationUnfinished';
}

/** Another rotation or retirement of the same credential holds the lock in the database. */
export class RotationBusy extends Error {
  override name = 'RotationBusy';
}

/** The database user that rotates lacks a privilege; the message has the statement that grants it. */
export class MissingPrivilege extends Error {
  override name = 'MissingPrivilege';
}

/** @param purpose what it may not do @param grant the statement that allows it */
export function missingPrivilege(admin: string, purpose: string, grant: string): MissingPrivilege {
  return new MissingPrivilege(
    `The database user ${admin} may not ${purpose}. An administrator grants it: ${grant}`,
  );
}

/** The database does not accept a user name with its password. */
export class LoginRefused extends Error {
  override name = 'LoginRefused';
}

/** The server was reached and lets nobody in as asked, whatever the password: somebody must change something there. */
export class ConnectionRefused extends Error {
  override name = 'ConnectionRefused';
}

/** No connection that may be trusted came about, it was lost, or the server takes none now. Repeating may help. */
export class DatabaseUnreachable extends Error {
  override name = 'DatabaseUnreachable';
}

/** One that was there, and ended at a statement. @param what the statement, as {@link verbOf} has it @param reason a code, or the network's own text */
export function connectionLost(
  { host, port, engine }: DatabaseAddress,
  what: string,
  reason: string,
): DatabaseUnreachable {
  return new DatabaseUnreachable(
    `The connection to ${host}:${port} (${engine}) ended at ${what}: ${reason}. ` +
      "See the server's log whether somebody ended the session, or the server shut down, failed over or crashed; else something between cut it.",
  );
}

/**
 * The server takes no changes: it is a replica, or was made one a moment ago. It may pass, where the address moves on to the
 * new primary.
 */
export class DatabaseReadOnly extends Error {
  override name = 'DatabaseReadOnly';
}

/** @param server where it listens @param reason its code */
export function readOnly(server: string, reason: string): DatabaseReadOnly {
  return new DatabaseReadOnly(
    `${server} is read-only (${reason}): a replica, or a primary that was demoted. Configure the address of the writer, as the cluster's endpoint is; after a failover that address leads to the new one within a minute or two.`,
  );
}

/**
 * The database refused a statement. Its own text is left out, and the driver's error is not kept as the cause:
 * both may quote the statement, and with it a password.
 */
export class StatementRefused extends Error {
  override name = 'StatementRefused';
  /** The server's code: `ER_…` and number, or an SQLSTATE. */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/** The server does not note what was asked for; the message says why. */
export class NotKnown extends Error {
  override name = 'NotKnown';
}

/** None of the databases in which a table was looked for has it. */
export class TableNotFound extends Error {
  override name = 'TableNotFound';
}

/** What a statement is, as an error may show it: its first one or two words, which hold no value. */
export function verbOf(statement: string): string {
  return /^\s*([A-Za-z]+(?: [A-Za-z]+)?)(?![\w'"])/.exec(statement)?.[1] ?? 'a statement';
}

/** Whether the server lets a session make a statement. @throws whatever else went wrong */
export async function mayMake(
  session: { query(statement: string): Promise<unknown> },
  statement: string,
): Promise<boolean> {
  try {
    await session.query(statement);
    return true;
  } catch (error) {
    if (error instanceof StatementRefused) return false;
    throw error;
  }
}
