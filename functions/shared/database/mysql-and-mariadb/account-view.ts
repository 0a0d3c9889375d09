import { rowsIfReadable } from './logins.ts';
import type { MysqlSession } from './session.ts';

/** What an account may do and how it is held, as it shows in a session of its own. */
export interface AccountView {
  /** As statements name it. */
  name: string;
  username: string;
  /** Active from the login on, as statements name them. */
  roles: string[];
  /** Granted, active or not. */
  grantedRoles: string[];
  /** With its roles: by object, as statements name it. */
  rights: Rights;
  /** Rights that are taken from it in a part of what it has them on, as statements say that. */
  revokes: string[];
  /** How it logs in. */
  plugin: string | undefined;
  /** `REQUIRE …`: what its connections must have. */
  required: string;
  /** `MAX_…`: how much it may use. */
  limits: string;
}

/** `GRANT OPTION` among them. */
export type Rights = Map<string, Set<string>>;

/** Looks at the account of the session. Needs no privilege. */
export async function viewOwnAccount(session: MysqlSession): Promise<AccountView> {
  const [who] =
    (await rowsIfReadable(session, 'SELECT CURRENT_USER() AS account, CURRENT_ROLE() AS role')) ??
    // MySQL 5.7 has no roles.
    (await session.query('SELECT CURRENT_USER() AS account'));
  const account = String(who?.account);
  const at = account.lastIndexOf('@');
  const username = account.slice(0, at);
  const lines = await grantLines(session);
  const [made] = await session.query('SHOW CREATE USER CURRENT_USER()');
  return {
    name: `${quoted(username)}@${quoted(account.slice(at + 1))}`,
    username,
    roles: rolesIn(who?.role),
    grantedRoles: lines.flatMap((line) => grantedRolesIn(line)),
    rights: rightsIn(lines),
    revokes: lines.flatMap((line) => /^REVOKE .* ON .*(?= FROM )/.exec(line) ?? []),
    ...optionsIn(String(Object.values(made ?? {})[0] ?? '')),
  };
}

/** Backticks are names in each SQL mode. */
export function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

async function grantLines(session: MysqlSession): Promise<string[]> {
  return (await session.query('SHOW GRANTS')).flatMap((row) => Object.values(row).map(String));
}

/** MySQL: "`one`@`%`,`two`@`%`", or NONE. MariaDB: one, not quoted, or null. */
function rolesIn(value: unknown): string[] {
  if (value === null || value === undefined || value === 'NONE') return [];
  const text = String(value);
  return text.startsWith('`') ? splitAtCommas(text) : [quoted(text)];
}

function grantedRolesIn(line: string): string[] {
  const [, roles] = /^GRANT (`.*) TO /.exec(line) ?? [];
  return roles === undefined || / ON /.test(roles) ? [] : splitAtCommas(roles);
}

function rightsIn(lines: readonly string[]): Rights {
  const rights: Rights = new Map();
  for (const line of lines) {
    const [, privileges = '', object = '', rest = ''] =
      /^GRANT (.+?) ON (.+?) TO (?:`(?:[^`]|``)*`|'[^']*')(.*)$/.exec(line) ?? [];
    if (object === '') continue;
    const found = rights.get(object) ?? new Set();
    for (const privilege of splitAtCommas(privileges)) {
      // A privilege on columns is one on each.
      const [, name = '', columns] = /^(.*?) ?\((.*)\)$/.exec(privilege) ?? [undefined, privilege];
      if (name === 'USAGE') continue;
      if (columns === undefined) found.add(name);
      else for (const column of splitAtCommas(columns)) found.add(`${name} (${column})`);
    }
    if (/WITH .*\bGRANT OPTION\b/.test(rest)) found.add('GRANT OPTION');
    if (found.size > 0) rights.set(object, found);
  }
  return rights;
}

/** At those outside parentheses and quotes. */
function splitAtCommas(text: string): string[] {
  return (text.match(/(?:`[^`]*`|\([^)]*\)|[^,(`])+/g) ?? []).map((part) => part.trim()).filter(Boolean);
}

function optionsIn(statement: string): Pick<AccountView, 'plugin' | 'required' | 'limits'> {
  const [, plugin] = /IDENTIFIED (?:WITH|VIA) [`']?(\w+)/.exec(statement) ?? [];
  const [, required = 'NONE'] =
    / REQUIRE (.+?)(?= WITH | PASSWORD | ACCOUNT | DEFAULT ROLE |$)/.exec(statement) ?? [];
  return {
    plugin,
    required,
    // 0 is no limit.
    limits: [...statement.matchAll(/\bMAX_\w+ (?!0+\b(?!\.))[\d.]+/g)].map(([limit]) => limit).join(' '),
  };
}

/** The rights of the session's account without its roles, which are inactive afterwards. */
export async function rightsWithoutRoles(session: MysqlSession): Promise<Rights> {
  await session.query('SET ROLE NONE');
  return rightsIn(await grantLines(session));
}

/**
 * The statements that make an account good for what another one is: empty where it may do all that, and connects under the
 * same terms.
 */
export function statementsToMatch(
  account: AccountView,
  model: AccountView,
  engine: 'mysql' | 'mariadb',
  modelRightsWithoutRoles: Rights = model.rights,
): string[] {
  const statements: string[] = [];
  const lacking = lackingRights(model.rights, account.rights);
  const roles = model.roles.filter((role) => !account.roles.includes(role));
  if (lacking.length > 0 && roles.length > 0) {
    for (const role of roles)
      if (!account.grantedRoles.includes(role)) statements.push(`GRANT ${role} TO ${account.name}`);
    statements.push(
      engine === 'mysql'
        ? `SET DEFAULT ROLE ${[...new Set([...account.roles, ...roles])].join(', ')} TO ${account.name}`
        : `SET DEFAULT ROLE ${roles[0]} FOR ${account.name}`,
    );
  }
  // What comes by a role that both have in common is mended in the role.
  const direct = lackingRights(roles.length > 0 ? modelRightsWithoutRoles : model.rights, account.rights);
  statements.push(
    ...direct.map(({ object, privileges }) => grantOf(privileges, object, account.name)),
    ...account.revokes
      .filter((revoke) => !model.revokes.includes(revoke))
      .map((revoke) => `${revoke.replace(/^REVOKE/, 'GRANT')} TO ${account.name}`),
  );
  if (account.plugin !== model.plugin && model.plugin !== undefined)
    statements.push(
      `ALTER USER ${account.name} IDENTIFIED WITH ${model.plugin} BY 'anything, it is replaced'`,
    );
  const { required, limits } = model;
  if (account.required !== required || account.limits !== limits)
    statements.push(`ALTER USER ${account.name} REQUIRE ${required}${withLimits(limits, account.limits)}`);
  return statements;
}

/** A limit that the model does not have is taken away: 0 is none. */
function withLimits(wanted: string, had: string): string {
  const names = (limits: string): string[] => limits.match(/MAX_\w+/g) ?? [];
  const none = names(had).filter((name) => !names(wanted).includes(name));
  const all = [wanted, ...none.map((name) => `${name} 0`)].filter(Boolean).join(' ');
  return all === '' ? '' : ` WITH ${all}`;
}

function grantOf(privileges: readonly string[], object: string, name: string): string {
  const named = privileges.filter((privilege) => privilege !== 'GRANT OPTION');
  const option = named.length < privileges.length ? ' WITH GRANT OPTION' : '';
  return `GRANT ${named.length > 0 ? named.join(', ') : 'USAGE'} ON ${object} TO ${name}${option}`;
}

function lackingRights(wanted: Rights, had: Rights): { object: string; privileges: string[] }[] {
  return [...wanted]
    .map(([object, privileges]) => ({
      object,
      privileges: [...privileges].filter((privilege) => !isCovered(had, object, privilege)),
    }))
    .filter(({ privileges }) => privileges.length > 0);
}

/** By a privilege on the same object, on its database, or everywhere. */
function isCovered(rights: Rights, object: string, privilege: string): boolean {
  const [database = ''] = /^(?:(?:PROCEDURE|FUNCTION) )?(`(?:[^`]|``)*`)\./.exec(object)?.slice(1) ?? [];
  const [whole = privilege] = privilege.split(' (');
  return [object, `${database}.*`, '*.*'].some((place) => {
    const found = rights.get(place);
    if (found === undefined) return false;
    const hasAll = found.has('ALL PRIVILEGES') && privilege !== 'GRANT OPTION' && privilege !== 'PROXY';
    return hasAll || found.has(privilege) || found.has(whole);
  });
}
