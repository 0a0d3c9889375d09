import pg from 'pg';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import {
  ConnectionRefused,
  connectionLost,
  DatabaseUnreachable,
  LoginRefused,
  readOnly,
  StatementRefused,
  verbOf,
} from '../contract/errors.ts';

// SQLSTATEs, from PostgreSQL's Appendix A.
export const INSUFFICIENT_PRIVILEGE = '42501';
export const LOCK_NOT_AVAILABLE = '55P03';
export const QUERY_CANCELED = '57014';
export const DEPENDENT_OBJECTS = '2BP01';
export const FEATURE_NOT_SUPPORTED = '0A000';
const READ_ONLY = '25006';

/**
 * How a login can end at a server that was reached, by its SQLSTATE: PostgreSQL's Appendix A was gone through for those that
 * it, or a pooler before it, sends before the first statement. `login`: it does not take this user with this password.
 * `refused`: somebody must change something. `busy`: it may pass.
 */
const LOGIN_ENDS: Record<string, { kind: 'login' | 'refused' | 'busy'; advice: string }> = {
  '28P01': {
    kind: 'login',
    advice: 'The password is another one or has expired (VALID UNTIL), or there is no such role.',
  },
  '28000': {
    kind: 'login',
    advice: 'The role has NOLOGIN, or no line of pg_hba.conf lets it in from this address.',
  },
  '42501': {
    kind: 'refused',
    advice: 'The user may not connect to the database: GRANT CONNECT ON DATABASE … TO it.',
  },
  '3D000': { kind: 'refused', advice: 'There is no database of the configured name.' },
  '55000': { kind: 'refused', advice: 'The database takes no connections (datallowconn).' },
  '57P04': { kind: 'refused', advice: 'The database was dropped.' },
  '08P01': {
    kind: 'refused',
    advice:
      'What answers is no PostgreSQL server of ours, or a pooler that takes none of this: configure the address of the server itself.',
  },
  '0A000': { kind: 'refused', advice: 'The server does not have what the driver asks for.' },
  '42704': {
    kind: 'refused',
    advice: 'A setting of the user or the database names a role that there is not.',
  },
  P0001: { kind: 'refused', advice: "An event trigger of logins refuses it: see the server's log." },
  '53300': {
    kind: 'busy',
    advice:
      'All connections are taken (max_connections, or the CONNECTION LIMIT of the role or the database).',
  },
  '53000': { kind: 'busy', advice: 'The server is short of something: see its log.' },
  '53100': { kind: 'busy', advice: 'The disk of the server is full.' },
  '53200': { kind: 'busy', advice: 'The server is out of memory.' },
  '57P01': { kind: 'busy', advice: 'The server is shutting down.' },
  '57P02': { kind: 'busy', advice: 'The server has crashed and starts again.' },
  '57P03': { kind: 'busy', advice: 'The server is starting, or recovering.' },
};

/** The error of a connection that did not come about, without the server's own text. */
export function connectError(error: unknown, address: DatabaseAddress, { username }: Login): Error {
  const code = codeOf(error);
  if (code === undefined) return unreachable(error, address);
  const { kind = 'refused', advice = "Look the code up in PostgreSQL's manual." } = LOGIN_ENDS[code] ?? {};
  const server = `${address.host}:${address.port} (${address.engine})`;
  switch (kind) {
    case 'login':
      return new LoginRefused(
        `${server} refuses to log in ${username} with the password it was given (SQLSTATE ${code}). ${advice}`,
      );
    case 'busy':
      return new DatabaseUnreachable(
        `${server} was reached and takes no login of ${username} now (SQLSTATE ${code}). ${advice}`,
      );
    case 'refused':
      return new ConnectionRefused(
        `${server} was reached and refuses the connection of ${username}${address.database === undefined ? '' : ` to ${address.database}`} (SQLSTATE ${code}). ${advice}`,
      );
  }
}

export function statementError(error: unknown, address: DatabaseAddress, statement: string): Error {
  const code = codeOf(error);
  // Class 57: the server shut down or ended the session; class 25: for the time that a transaction takes.
  if (code === undefined || code.startsWith('57P') || code === '25P03' || code === '25P04')
    return connectionLost(address, verbOf(statement), code ?? reasonOf(error));
  if (code === READ_ONLY)
    return readOnly(`${address.host}:${address.port} (${address.engine})`, `SQLSTATE ${code}`);
  const verb = verbOf(statement);
  return new StatementRefused(
    `${address.host}:${address.port} (${address.engine}) refused ${verb}: SQLSTATE ${code}. ` +
      (STATEMENT_ADVICE[code] ??
        "Look the code up in PostgreSQL's manual; the statement is not shown because it may hold a password."),
    code,
  );
}

const STATEMENT_ADVICE: Record<string, string> = {
  // As PostgreSQL answers to two changes of a role at once.
  XX000: 'Something else changed the same role at that moment: try again.',
  '22023':
    'The server does not take the new password or a setting: see its log, and the password rules that it has.',
  '08P01':
    'What answers is a pooler in statement mode, or no PostgreSQL server of ours: configure the address of the server itself.',
  '40001':
    "On a standby, what it replays of its primary's came in the way (max_standby_streaming_delay): try again, or ask the primary.",
  '57014': 'It took longer than the time that the server gives it (statement_timeout).',
};

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'no reason';
}

function unreachable(error: unknown, address: DatabaseAddress): DatabaseUnreachable {
  const detail = codeOf(error) ?? reasonOf(error);
  return new DatabaseUnreachable(
    `No trusted connection to ${address.host}:${address.port} (${address.engine}): ${detail}. ` +
      "Check the host, the port, the security groups between the function and the database, and the server's certificate authority.",
  );
}

/** The SQLSTATE of an error that the server sent. */
function codeOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}
