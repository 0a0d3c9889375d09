import pg from 'pg';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { DatabaseUnreachable, LoginRefused, StatementRefused } from '../contract/errors.ts';

// SQLSTATEs, from PostgreSQL's Appendix A.
export const INSUFFICIENT_PRIVILEGE = '42501';

export const LOCK_NOT_AVAILABLE = '55P03';
export const QUERY_CANCELED = '57014';

/** Wrong password; no such role, NOLOGIN, or nothing in pg_hba.conf that lets it in. */
const LOGIN_ERRORS = new Set(['28P01', '28000']);

export function connectError(error: unknown, address: DatabaseAddress, { username }: Login): Error {
  const code = codeOf(error);
  if (code !== undefined && LOGIN_ERRORS.has(code)) {
    return new LoginRefused(
      `${address.host}:${address.port} (${address.engine}) refuses to log in ${username} with the password it was given (${code}).`,
    );
  }
  return unreachable(error, address);
}

export function statementError(error: unknown, address: DatabaseAddress, statement: string): Error {
  const code = codeOf(error);
  if (code === undefined) return unreachable(error, address);
  // Class 57: the server shut down or ended the session.
  if (code.startsWith('57P')) return unreachable(error, address);
  return new StatementRefused(
    `${address.host}:${address.port} (${address.engine}) refused ${verbOf(statement)}: SQLSTATE ${code}. ` +
      (code === '25006'
        ? 'It is read-only: configure the address of the writer.'
        : "Look the code up in PostgreSQL's manual; the statement is not shown because it may hold a password."),
    code,
  );
}

/** What of a statement may be told: it may hold a password. */
export function verbOf(statement: string): string {
  return statement.trim().split(/\s+/).slice(0, 2).join(' ');
}

function unreachable(error: unknown, address: DatabaseAddress): DatabaseUnreachable {
  const detail = codeOf(error) ?? (error instanceof Error ? error.message : 'no reason');
  return new DatabaseUnreachable(
    `No trusted connection to ${address.host}:${address.port} (${address.engine}): ${detail}. ` +
      "Check the host, the port, the security groups between the function and the database, and the server's certificate authority.",
  );
}

/** The SQLSTATE of an error that the server sent. */
function codeOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}
