import type { DatabaseAddress } from '../contract/engine.ts';
import { DatabaseUnreachable, StatementRefused } from '../contract/errors.ts';

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

/** Wrong password; no password; account locked on MySQL, on MariaDB; password expired. */
export const LOGIN_ERRORS = new Set([1045, 1698, 3118, 4151, 1862]);

export function unreachable(address: DatabaseAddress, code: string, error: unknown): DatabaseUnreachable {
  // A server's own text, unlike the network's and TLS's, may quote what it was sent.
  const detail = codesOf(error).fromServer || !(error instanceof Error) ? '' : `: ${error.message}`;
  return new DatabaseUnreachable(
    `No trusted connection to ${address.host}:${address.port} (${address.engine}): ${code}${detail}. ` +
      "Check the host, the port, the security groups between the function and the database, and the server's certificate authority.",
  );
}

export function statementError(error: unknown, address: DatabaseAddress, statement: string): Error {
  const { code, errno, fromServer } = codesOf(error);
  if (!fromServer) return unreachable(address, code, error);
  return new StatementRefused(
    `${address.host}:${address.port} (${address.engine}) refused ${verbOf(statement)}: ${code} (${errno}). ${adviceFor(code)}`,
    code,
  );
}

/** What of a statement may be told: it may hold a password. */
export function verbOf(statement: string): string {
  return statement.trim().split(/\s+/).slice(0, 2).join(' ');
}

function adviceFor(code: string): string {
  switch (code) {
    case 'ER_OPTION_PREVENTS_STATEMENT':
    case 'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION':
      return 'It is read-only: configure the address of the writer.';
    case 'ER_NOT_VALID_PASSWORD':
      return "The new password does not satisfy the server's policy: change its length or alphabet in the configuration.";
    case 'ER_CREDENTIALS_CONTRADICT_TO_HISTORY':
      return "The server's password history forbids it: lower password_history for this account.";
    case 'ER_MISSING_CURRENT_PASSWORD':
    case 'ER_CURRENT_PASSWORD_NOT_REQUIRED':
      return 'The account must give its password to change it: ALTER USER … PASSWORD REQUIRE CURRENT OPTIONAL, or configure an administrator.';
    default:
      return "Look the code up in the server's manual; the statement is not shown because it may hold a password.";
  }
}

export function codesOf(error: unknown): { code: string; errno: number; fromServer: boolean } {
  const fields: { code?: unknown; errno?: unknown; sqlState?: unknown } =
    typeof error === 'object' && error !== null ? error : {};
  return {
    // The driver has no names for the errors that only MariaDB has.
    code: typeof fields.code === 'string' ? fields.code : String(fields.errno ?? 'no code'),
    errno: typeof fields.errno === 'number' ? fields.errno : 0,
    fromServer: typeof fields.sqlState === 'string' && fields.sqlState !== '',
  };
}
