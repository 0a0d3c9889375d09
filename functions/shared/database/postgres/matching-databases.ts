import pg from 'pg';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { MissingPrivilege, TableNotFound } from '../contract/errors.ts';
import type { TableSearch } from '../contract/sizes.ts';
import { tableNotFound } from '../sizes/questions.ts';
import type { PostgresSession } from './session.ts';

/** @throws TableNotFound, MissingPrivilege */
export async function databasesToSearch(
  address: DatabaseAddress,
  login: Login,
  search: TableSearch,
  existing: (login: Login, names: readonly string[]) => Promise<{ name: string; mayConnect: boolean }[]>,
): Promise<string[]> {
  const found = await existing(login, search.databases);
  if (found.length === 0) throw tableNotFound(address, search, ': there are no such databases');
  const closed = found.filter(({ mayConnect }) => !mayConnect);
  // A larger table of the name may be in one of these.
  if (closed.length > 0)
    throw mayNotConnect(
      login,
      closed.map(({ name }) => name),
    );
  return found.map(({ name }) => name);
}

export function mayNotConnect({ username }: Login, databases: readonly string[]): MissingPrivilege {
  return new MissingPrivilege(
    `The database user ${username} may not connect to ${databases.join(', ')}. ` +
      `An administrator grants it: ${databases.map((name) => `GRANT CONNECT ON DATABASE ${pg.escapeIdentifier(name)} TO ${pg.escapeIdentifier(username)}`).join('; ')}`,
  );
}

/**
 * The databases of these names, in their order. A name that was not quoted when the database was made is in lower case there,
 * so one that is not found as it is is looked for in lower case; but not where that is somebody else's, who does not own
 * those of the exact names.
 */
export async function matchingDatabases(
  session: PostgresSession,
  { host, port }: DatabaseAddress,
  names: readonly string[],
): Promise<{ name: string; mayConnect: boolean }[]> {
  const rows = await session.query(
    "SELECT datname AS name, datdba AS owner, has_database_privilege(session_user, oid, 'CONNECT') AS may_connect, datallowconn AS allows FROM pg_database WHERE lower(datname) = ANY($1)",
    [names.map((name) => name.toLowerCase())],
  );
  const all = rows.map((row) => ({
    name: String(row.name),
    owner: String(row.owner),
    mayConnect: row.may_connect === true,
    allows: row.allows === true,
  }));
  const shut = all.find(({ name, allows }) => !allows && names.includes(name));
  // Nobody sees what is in it, and that is not nothing.
  if (shut)
    throw new TableNotFound(
      `${host}:${port} lets nobody into the database ${shut.name} (ALLOW_CONNECTIONS is false), so that nobody knows what is in it. Take it out of the configuration, or let it be entered: ALTER DATABASE ${pg.escapeIdentifier(shut.name)} ALLOW_CONNECTIONS true`,
    );
  const owners = new Set(all.filter(({ name }) => names.includes(name)).map(({ owner }) => owner));
  return names.flatMap((wanted) => {
    const exact = all.find(({ name }) => name === wanted);
    if (exact) return [{ name: exact.name, mayConnect: exact.mayConnect }];
    const similar = all.filter(({ name, allows }) => allows && name.toLowerCase() === wanted.toLowerCase());
    const folded = similar.find(({ name }) => name === wanted.toLowerCase());
    const isOurs = folded && similar.length === 1 && (owners.size === 0 || owners.has(folded.owner));
    if (isOurs) return [{ name: folded.name, mayConnect: folded.mayConnect }];
    if (similar.length > 0) {
      throw new TableNotFound(
        `${host}:${port} has no database ${wanted}, and ${similar.map(({ name }) => name).join(' and ')} differ${similar.length > 1 ? '' : 's'} from it in case only, which may be another deployment's. ` +
          'Spell it in the configuration as the server does.',
      );
    }
    return [];
  });
}
