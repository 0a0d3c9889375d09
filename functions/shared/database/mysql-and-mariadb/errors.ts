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

/** Codes of a column and of a table that the server does not have. */
export const ABSENCE_ERRORS = new Set(['ER_BAD_FIELD_ERROR', 'ER_NO_SUCH_TABLE']);

/** Codes of a missing privilege: for the server, a database, a table, a column. */
const PRIVILEGE_ERRORS = new Set([
  'ER_SPECIFIC_ACCESS_DENIED_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_COLUMNACCESS_DENIED_ERROR',
]);

export function lacksPrivilege(error: unknown): boolean {
  return error instanceof StatementRefused && PRIVILEGE_ERRORS.has(error.code);
}

/**
 * How a login can end at a server that was reached, by its error's number: MySQL's and MariaDB's lists of errors were gone
 * through for those that the server sends before the first statement. `login`: it does not take this user with this
 * password. `refused`: somebody must change something. `busy`: it may pass.
 */
const LOGIN_ENDS: Record<number, { kind: 'login' | 'refused' | 'busy'; advice: string }> = {
  1045: { kind: 'login', advice: 'The password is another one, or there is no such user from this address.' },
  1698: { kind: 'login', advice: 'The account takes no password, or another plugin than the client has.' },
  1862: { kind: 'login', advice: 'The password has expired: ALTER USER … PASSWORD EXPIRE NEVER.' },
  3118: { kind: 'login', advice: 'The account is locked: ALTER USER … ACCOUNT UNLOCK.' },
  4151: { kind: 'login', advice: 'The account is locked: ALTER USER … ACCOUNT UNLOCK.' },
  1040: { kind: 'busy', advice: 'All connections are taken (max_connections).' },
  1203: { kind: 'busy', advice: 'The user has as many connections as it may have (max_user_connections).' },
  1053: { kind: 'busy', advice: 'The server is shutting down.' },
  3168: { kind: 'busy', advice: 'The server is not available now.' },
  1226: {
    kind: 'refused',
    advice:
      'The user has used up a limit of its own: raise MAX_USER_CONNECTIONS, MAX_CONNECTIONS_PER_HOUR and the like of its account (ALTER USER … WITH …).',
  },
  1044: { kind: 'refused', advice: 'The user has no right on the database that is configured: GRANT it.' },
  1049: { kind: 'refused', advice: 'There is no database of the configured name.' },
  1129: {
    kind: 'refused',
    advice:
      "The function's address is blocked after connections that broke off (max_connect_errors): TRUNCATE TABLE performance_schema.host_cache, or FLUSH HOSTS.",
  },
  1130: {
    kind: 'refused',
    advice: "No account is for the function's address: make one, or widen the host of the account.",
  },
  1152: { kind: 'refused', advice: "The server's init_connect fails for this user: see its error log." },
  1184: { kind: 'refused', advice: "The server's init_connect fails for this user: see its error log." },
  1251: {
    kind: 'refused',
    advice:
      'The account logs in by a plugin that the driver has not: use caching_sha2_password or mysql_native_password.',
  },
  1524: { kind: 'refused', advice: 'The plugin by which the account logs in is not loaded.' },
  3032: { kind: 'refused', advice: 'The server is in offline mode (offline_mode).' },
  3159: {
    kind: 'refused',
    advice: 'The server wants a secure transport and does not take this one for one.',
  },
  3955: {
    kind: 'refused',
    advice:
      'The account is blocked after failed logins (FAILED_LOGIN_ATTEMPTS): look for what still has an old password, then ALTER USER … ACCOUNT UNLOCK.',
  },
};

/** The error of a connection that did not come about, without the server's own text. */
export function connectError(error: unknown, address: DatabaseAddress, { username }: Login): Error {
  const { code, errno, fromServer } = codesOf(error);
  const end = LOGIN_ENDS[errno];
  const server = `${address.host}:${address.port} (${address.engine})`;
  const reason = `${code}, ${errno}`;
  if (end?.kind === 'login') {
    return new LoginRefused(
      `${server} refuses to log in ${username} with the password it was given (${reason}). ${end.advice}`,
    );
  }
  if (end?.kind === 'busy') {
    return new DatabaseUnreachable(
      `${server} was reached and takes no login of ${username} now (${reason}). ${end.advice}`,
    );
  }
  if (end !== undefined || fromServer) {
    return new ConnectionRefused(
      `${server} was reached and refuses the connection of ${username} (${reason}). ${end?.advice ?? "Look the number up in the server's manual."}`,
    );
  }
  return unreachable(address, code, error);
}

function unreachable(address: DatabaseAddress, code: string, error: unknown): DatabaseUnreachable {
  return new DatabaseUnreachable(
    `No trusted connection to ${address.host}:${address.port} (${address.engine}): ${detailOf(code, error)}. ` +
      "Check the host, the port, the security groups between the function and the database, and the server's certificate authority.",
  );
}

/** A server's own text, unlike the network's and TLS's, may quote what it was sent. */
function detailOf(code: string, error: unknown): string {
  return codesOf(error).fromServer || !(error instanceof Error)
    ? code
    : `${code}: ${error.message.replace(/\.$/, '')}`;
}

export function statementError(error: unknown, address: DatabaseAddress, statement: string): Error {
  const { code, errno, fromServer } = codesOf(error);
  if (!fromServer) return connectionLost(address, verbOf(statement), detailOf(code, error));
  if (isReadOnly(error, code)) return readOnly(`${address.host}:${address.port} (${address.engine})`, code);
  return new StatementRefused(
    `${address.host}:${address.port} (${address.engine}) refused ${verbOf(statement)}: ${code} (${errno}). ${adviceFor(code)}`,
    code,
  );
}

/** The first of these codes is that of other options too, which the server's text names. */
function isReadOnly(error: unknown, code: string): boolean {
  if (code === 'ER_OPTION_PREVENTS_STATEMENT')
    return error instanceof Error && /read[-_]only/i.test(error.message);
  return code === 'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION' || code === 'ER_READ_ONLY_MODE';
}

function adviceFor(code: string): string {
  switch (code) {
    case 'ER_NOT_VALID_PASSWORD':
      return "The new password does not satisfy the server's policy: change its length or alphabet in the configuration.";
    case 'ER_CREDENTIALS_CONTRADICT_TO_HISTORY':
      return "The server's password history forbids it: ALTER USER … PASSWORD HISTORY 0 PASSWORD REUSE INTERVAL 0 DAY for this account, then rotate again.";
    case 'ER_MUST_CHANGE_PASSWORD':
      return 'The password has expired: ALTER USER … PASSWORD EXPIRE NEVER.';
    case 'ER_USER_LIMIT_REACHED':
      return 'The user has used up a limit of its own (MAX_QUERIES_PER_HOUR and the like of its account): raise it.';
    case 'ER_CANNOT_USER':
      return 'The server does not change the account so; a plugin that validates passwords is one reason.';
    case 'ER_MISSING_CURRENT_PASSWORD':
    case 'ER_CURRENT_PASSWORD_NOT_REQUIRED':
      return 'The account must give its password to change it: ALTER USER … PASSWORD REQUIRE CURRENT OPTIONAL, or configure an administrator.';
    default:
      return "Look the code up in the server's manual; the statement is not shown because it may hold a password.";
  }
}

function codesOf(error: unknown): { code: string; errno: number; fromServer: boolean } {
  const fields: { code?: unknown; errno?: unknown; sqlState?: unknown } =
    typeof error === 'object' && error !== null ? error : {};
  return {
    // The driver has no names for the errors that only MariaDB has.
    code: typeof fields.code === 'string' ? fields.code : String(fields.errno ?? 'no code'),
    errno: typeof fields.errno === 'number' ? fields.errno : 0,
    fromServer: typeof fields.sqlState === 'string' && fields.sqlState !== '',
  };
}
