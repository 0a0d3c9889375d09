import pg from 'pg';
import type { Login } from '../contract/engine.ts';
import { missingPrivilege, StatementRefused } from '../contract/errors.ts';
import type { SeenSessions } from '../rotation/refusals.ts';
import { INSUFFICIENT_PRIVILEGE } from './errors.ts';
import type { PostgresSession } from './session.ts';

/** `undefined` if there is no such role. */
export async function canLogIn(session: PostgresSession, role: string): Promise<boolean | undefined> {
  // As a text: a value that is taken for a name would be cut at 63 bytes, and another role found.
  const [row] = await session.query('SELECT rolcanlogin AS open FROM pg_roles WHERE rolname::text = $1', [
    role,
  ]);
  return row === undefined ? undefined : row.open === true;
}

export async function countSessions(session: PostgresSession, username: string): Promise<number> {
  const [row] = await session.query(
    'SELECT count(*) AS count FROM pg_stat_activity WHERE usename::text = $1 AND pid <> pg_backend_pid()',
    [username],
  );
  return Number(row?.count);
}

/** Where a user's sessions come from. To who may not see it, the server shows no addresses. */
export async function seeSessions(session: PostgresSession, username: string): Promise<SeenSessions[]> {
  const rows = await session.query(
    `SELECT count(*) AS count, state = 'idle' AS idle, host(client_addr) AS address, application_name AS program
       FROM pg_stat_activity WHERE usename::text = $1 AND pid <> pg_backend_pid() GROUP BY 2, 3, 4 ORDER BY 1 DESC`,
    [username],
  );
  return rows.map(({ count, idle, address, program }) => ({
    count: Number(count),
    idle: idle === true,
    place: `${address ?? 'an address that is not shown (GRANT pg_read_all_stats)'}${program ? ` as ${program}` : ''}`,
  }));
}

export async function alterRole(
  session: PostgresSession,
  admin: Login,
  role: string,
  change: string,
): Promise<void> {
  try {
    await session.query(`ALTER ROLE ${pg.escapeIdentifier(role)} ${change}`);
  } catch (error) {
    if (!(error instanceof StatementRefused) || error.code !== INSUFFICIENT_PRIVILEGE) throw error;
    const rotator = pg.escapeIdentifier(admin.username);
    throw missingPrivilege(
      admin.username,
      `change ${role}`,
      `ALTER ROLE ${rotator} CREATEROLE, and from PostgreSQL 16 on also ` +
        `GRANT ${pg.escapeIdentifier(role)} TO ${rotator} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE; ` +
        'where RDS restricts password commands, also GRANT rds_password.',
    );
  }
}
