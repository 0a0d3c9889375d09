import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { MissingPrivilege } from '../contract/errors.ts';
import type { RowEstimate } from '../contract/sizes.ts';
import { identifier, type Server } from './innodb-server.ts';
import type { MysqlSession } from './session.ts';

/**
 * Which of the databases are shown. One that is not, and on which the user has a right, is not there; of another nobody knows
 * (`hidden`). Of one that is shown because of other rights (`withoutTables`) the server shows only those tables on which the user has one.
 */
export async function visibleDatabases(
  session: MysqlSession,
  databases: readonly string[],
  server: Server,
): Promise<{ visible: string[]; hidden: string[]; withoutTables: string[] }> {
  const shown = await session.query(
    `SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN (${databases.map(() => '?').join(', ')})`,
    [...databases],
  );
  // Compared here, for the server's own comparison may take no heed of case.
  const visible = databases.filter((database) => shown.some(({ name }) => name === database));
  return {
    visible,
    hidden: databases.filter(
      (database) => !visible.includes(database) && !hasRight(database, server, showsDatabase),
    ),
    withoutTables: visible.filter((database) => !hasRight(database, server, showsTables)),
  };
}

/** Rights by which a database's tables are seen, tried on MySQL 9.7 and MariaDB 10.11. */
const TABLE_RIGHTS = new Set(
  'ALL PRIVILEGES,SELECT,INSERT,UPDATE,DELETE,CREATE,DROP,REFERENCES,INDEX,ALTER,CREATE VIEW,SHOW VIEW,TRIGGER'.split(
    ',',
  ),
);

/** Rights by which no table is seen, but the database's name. */
const NAME_RIGHTS = new Set(
  'SHOW DATABASES,EXECUTE,EVENT,LOCK TABLES,CREATE TEMPORARY TABLES,CREATE ROUTINE,ALTER ROUTINE,SHOW CREATE ROUTINE,DELETE HISTORY'.split(
    ',',
  ),
);

const showsTables = (right: string) => TABLE_RIGHTS.has(right);
const showsDatabase = (right: string) => TABLE_RIGHTS.has(right) || NAME_RIGHTS.has(right);

/** Whether a right that counts is had on all databases, or on this one by each line about it: only the most exact of them holds. */
function hasRight(
  database: string,
  { grants, patterns }: Server,
  counts: (right: string) => boolean,
): boolean {
  const lines = [
    ...grants.matchAll(/^(GRANT|REVOKE) (.+?) ON (?:`((?:[^`]|``)+)`|(\*))\.\* (?:TO|FROM) /gm),
  ].map(([, verb, rights = '', quoted, all]) => ({
    isRevoked: verb === 'REVOKE',
    rights: rights.split(/, ?/),
    pattern: all ? undefined : (quoted ?? '').replaceAll('``', '`'),
  }));
  const about = lines.filter(
    ({ pattern }) => pattern !== undefined && (patterns ? isLike(database, pattern) : pattern === database),
  );
  // Taken back of this database alone (partial_revokes).
  const revoked = about.filter(({ isRevoked }) => isRevoked).flatMap(({ rights }) => rights);
  const global = lines
    .filter(({ pattern }) => pattern === undefined)
    .flatMap(({ rights }) => rights)
    .filter((right) => !revoked.includes(right));
  const own = about.filter(({ isRevoked }) => !isRevoked);
  return global.some(counts) || (own.length > 0 && own.every(({ rights }) => rights.some(counts)));
}

/** As the server compares a name with the pattern of a GRANT. */
function isLike(name: string, pattern: string): boolean {
  const expression = pattern.replaceAll(/\\?[\s\S]/g, (part) => {
    if (part === '%') return '.*';
    if (part === '_') return '.';
    return part.slice(-1).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${expression}$`, 's').test(name);
}

export function hiddenDatabases(
  { host, port }: DatabaseAddress,
  login: Login,
  databases: readonly string[],
  server: Server,
): MissingPrivilege {
  return new MissingPrivilege(
    `${host}:${port} shows ${login.username} no table of ${databases.join(', ')}: either there are no such databases, or ${login.username} has no right on them. ` +
      `An administrator grants one by which no row can be read: ${grantsOf(server, databases).join('; ')}`,
  );
}

export function hiddenRows(login: Login, hidden: readonly string[], server: Server): RowEstimate {
  return {
    kind: 'unknown',
    reason: `the server does not show ${login.username} ${hidden.join(', ')}, where a larger table of the name may be (grant it, by which no row can be read: ${grantsOf(server, hidden).join('; ')})`,
  };
}

/** Unescaped, `_` and `%` would open the databases of other prefixes too. */
export function grantsOf({ account }: Server, databases: readonly string[]): string[] {
  return databases.map(
    (database) => `GRANT REFERENCES ON ${identifier(database.replaceAll(/[\\_%]/g, '\\$&'))}.* TO ${account}`,
  );
}
