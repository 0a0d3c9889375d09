import { type AccountOptions, optionsIn, termsToMatch } from './account-options.ts';
import {
  grantsOfLacking,
  quoted,
  type Rights,
  revokesIn,
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

async function grantLines(session: MysqlSession): Promise<string[]> {
  return (await session.query('SHOW GRANTS')).flatMap((row) => Object.values(row).map(String));
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
