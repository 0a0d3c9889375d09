import { type AccountOptions, optionsIn, termsToMatch } from './account-options.ts';
import {
  grantsOfLacking,
  quoted,
  type Rights,
  revokesIn,
  revokesOfNarrower,
  rightsIn,
  rolesIn,
  splitAtCommas,
} from './grants.ts';
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
  /** `undefined` if the server tells them in a form that is not known. */
  options: AccountOptions | undefined;
}

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
    roles: activeRoles(who?.role),
    grantedRoles: [...rolesIn(lines).keys()],
    rights: rightsIn(lines),
    revokes: revokesIn(lines),
    options: optionsIn(String(Object.values(made ?? {})[0] ?? '')),
  };
}

/**
 * The same of any account, as a session of it would begin, and the rights that it has without its roles. For who may read the
 * tables of accounts.
 */
export async function viewAccount(
  session: MysqlSession,
  username: string,
  host: string,
): Promise<{ account: AccountView; rightsWithoutRoles: Rights }> {
  const name = `${quoted(username)}@${quoted(host)}`;
  const lines = await grantLines(session, name);
  const [made] = await session.query(`SHOW CREATE USER ${name}`);
  const options = optionsIn(String(Object.values(made ?? {})[0] ?? ''));
  const grantedRoles = [...rolesIn(lines).keys()];
  // MariaDB does not have it.
  const [all] = (await rowsIfReadable(session, 'SELECT @@activate_all_roles_on_login AS isOn')) ?? [];
  const roles =
    Number(all?.isOn) === 1 ? grantedRoles : [...(options?.defaultRoles ?? []), ...defaultRoleIn(lines)];
  const ofRoles: string[] = [];
  const seen = new Set<string>();
  // A role has the rights of those that are granted to it.
  for (const next = [...roles]; next.length > 0; ) {
    const role = next.pop() ?? '';
    if (seen.has(role)) continue;
    seen.add(role);
    const ofRole = await grantLines(session, role);
    ofRoles.push(...ofRole);
    next.push(...rolesIn(ofRole).keys());
  }
  const account = {
    ...{ name, username, roles, grantedRoles, options },
    rights: rightsIn([...lines, ...ofRoles]),
    revokes: revokesIn(lines),
  };
  return { account, rightsWithoutRoles: rightsIn(lines) };
}

/** Without an error, which the server would count among the refused ones. */
export async function mayViewAccounts(session: MysqlSession): Promise<boolean> {
  const rights = rightsIn(await grantLines(session));
  return ['*.*', '`mysql`.*'].some((place) => {
    const found = rights.get(place);
    return found?.has('SELECT') || found?.has('ALL PRIVILEGES');
  });
}

/** MariaDB tells it among the grants. */
export function defaultRoleIn(lines: readonly string[]): string[] {
  return lines.flatMap((line) => /^SET DEFAULT ROLE (.*?) FOR /s.exec(line)?.[1] ?? []);
}

/** @param name as statements have it. @default the session's account, with its active roles */
async function grantLines(session: MysqlSession, name?: string): Promise<string[]> {
  const rows = await session.query(name === undefined ? 'SHOW GRANTS' : `SHOW GRANTS FOR ${name}`);
  return rows.flatMap((row) => Object.values(row).map(String));
}

/** MySQL: "`one`@`%`,`two`@`%`", or NONE. MariaDB: one, not quoted, or null. */
function activeRoles(value: unknown): string[] {
  if (value === null || value === undefined || value === 'NONE') return [];
  const text = String(value);
  return text.startsWith('`') ? splitAtCommas(text) : [quoted(text)];
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
  const roles = model.roles.filter((role) => !account.roles.includes(role));
  if (roles.length > 0 && grantsOfLacking(model.rights, account.rights, account.name).length > 0) {
    for (const role of roles)
      if (!account.grantedRoles.includes(role)) statements.push(`GRANT ${role} TO ${account.name}`);
    statements.push(
      engine === 'mysql'
        ? `SET DEFAULT ROLE ${[...new Set([...account.roles, ...roles])].join(', ')} TO ${account.name}`
        : `SET DEFAULT ROLE ${roles[0]} FOR ${account.name}`,
    );
  }
  // What comes by a role that both have in common is mended in the role.
  const direct = roles.length > 0 ? modelRightsWithoutRoles : model.rights;
  statements.push(
    ...grantsOfLacking(direct, account.rights, account.name),
    ...revokesOfNarrower(model.rights, account.rights, account.name),
    ...account.revokes
      .filter((revoke) => !model.revokes.includes(revoke))
      .map((revoke) => `${revoke.replace(/^REVOKE/, 'GRANT')} TO ${account.name}`),
  );
  if (account.options === undefined || model.options === undefined) return statements;
  const { plugin } = model.options;
  if (account.options.plugin !== plugin && plugin !== undefined)
    statements.push(`ALTER USER ${account.name} IDENTIFIED WITH ${plugin} BY 'anything, it is replaced'`);
  const terms = termsToMatch(account.options, model.options);
  if (terms !== '') statements.push(`ALTER USER ${account.name} ${terms}`);
  return statements;
}
