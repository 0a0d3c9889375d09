import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { MissingPrivilege } from '../contract/errors.ts';
import type { RowEstimate } from '../contract/sizes.ts';
import { accountName } from './accounts.ts';
import { identifier, type Server } from './innodb-server.ts';
import type { MysqlSession } from './session.ts';

/**
 * Which of the databases are shown. One that is not, and on which the user has a right, is not there; of another nobody
 * knows.
 */
export async function visibleDatabases(
  session: MysqlSession,
  databases: readonly string[],
  { grants, patterns: isPattern }: Server,
): Promise<{ visible: string[]; hidden: string[] }> {
  const shown = await session.query(
    `SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN (${databases.map(() => '?').join(', ')})`,
    [...databases],
  );
  // Compared here, for the server's own comparison may take no heed of case.
  const visible = databases.filter((database) => shown.some(({ name }) => name === database));
  const patterns = [...grants.matchAll(/ ON (?:`((?:[^`]|``)+)`|(\*))\.\* TO /g)]
    .filter(([line]) => line !== '')
    .map(([, quoted, all]) => (all ? '%' : (quoted ?? '').replaceAll('``', '`')));
  const hasGlobalRight = /^GRANT (?!USAGE ON|PROXY)[^\n]* ON \*\.\* TO /m.test(
    grants.replaceAll(/GRANT (PROCESS|USAGE)(, (PROCESS|USAGE))* ON \*\.\* TO /g, ''),
  );
  const hidden = databases.filter(
    (database) =>
      !visible.includes(database) &&
      !patterns.some((pattern) =>
        pattern === '%' ? hasGlobalRight : isPattern ? isLike(database, pattern) : pattern === database,
      ),
  );
  return { visible, hidden };
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
): MissingPrivilege {
  return new MissingPrivilege(
    `${host}:${port} shows ${login.username} none of the databases ${databases.join(', ')}: either there are none of these names, or ${login.username} has no right on them. ` +
      `An administrator grants one by which no row can be read: ${grantsOf(login, databases).join('; ')}`,
  );
}

export function hiddenRows(login: Login, hidden: readonly string[]): RowEstimate {
  return {
    kind: 'unknown',
    reason: `the server does not show ${login.username} ${hidden.join(', ')}, where a larger table of the name may be (grant it, by which no row can be read: ${grantsOf(login, hidden).join('; ')})`,
  };
}

/** Unescaped, `_` and `%` would open the databases of other prefixes too. */
export function grantsOf(login: Login, databases: readonly string[]): string[] {
  return databases.map(
    (database) =>
      `GRANT REFERENCES ON ${identifier(database.replaceAll(/[\\_%]/g, '\\$&'))}.* TO ${accountName(login.username)}`,
  );
}
