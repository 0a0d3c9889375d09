import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { missingPrivilege, RotationRefused, StatementRefused } from '../contract/errors.ts';
import type { Migrated, Migration, OpenedBoth } from '../contract/migration.ts';
import { randomPassword } from '../credential/password.ts';
import { currentRefused } from '../rotation/refusals.ts';
import { alternatingUsers, refuseChangeOfItself } from '../rotation/strategies.ts';
import { type AccountOptions, optionsIn, passwordTermsToMatch, termsToMatch } from './account-options.ts';
import { defaultRoleIn } from './account-view.ts';
import { ownAccount } from './accounts.ts';
import { isBeyond } from './alternating-users.ts';
import { type Account, hasPassword, type MysqlDialect } from './dialect.ts';
import { lacksPrivilege } from './errors.ts';
import {
  grantsOfLacking,
  isKnownGrant,
  mayPassOn,
  quoted,
  revokesIn,
  revokesOfNarrower,
  rightsIn,
  rolesIn,
} from './grants.ts';
import { loginNamesIn } from './login-names.ts';
import { proveUse } from './prove-use.ts';
import { type MysqlSession, withMysqlLock } from './session.ts';

/**
 * Gives an application's user a second one beside it, with the same hosts, rights, roles and terms, locked until a rotation
 * opens it. Of the first one nothing is changed. Where there is a second one, it is given what it lacks.
 *
 * It ends only when both were looked at again and a session of the second one has used a right of the first: what was made
 * is taken away otherwise. Repeats safely.
 *
 * @throws RotationRefused, RotationBusy, MissingPrivilege, StatementRefused, LoginRefused, DatabaseUnreachable
 */
export async function makeSecondUser(
  address: DatabaseAddress,
  admin: Login,
  dialect: MysqlDialect,
  migration: Migration,
): Promise<Migrated> {
  const { current } = migration;
  const { other, lockName } = alternatingUsers(address.engine, migration, current.username);
  refuseChangeOfItself(admin, [current.username, other]);
  return withMysqlLock(address, admin, lockName, async (session) => {
    const work: Work = { session, admin, dialect, one: current.username, other };
    const { used, others, beyond } = await accountsOf(work, current);
    refuseMoreHosts(work, used, others);
    const compared: string[] = [];
    const statements = await statementsFor(work, used, others, compared);
    const notes = [...(await notesOf(work, migration, [...others, ...beyond])), ...compared];
    for (const { host, locked } of beyond) {
      notes.push(
        `${other} has an account on ${host} too, from where ${current.username} lets nobody in. No rotation opens it${locked ? '' : ', and the next run of credential-rotation closes it'}.`,
      );
    }
    if (statements.length === 0) return { outcome: 'was-migrated', statements: [], notes };
    const told = { statements: statements.map(({ shown }) => shown), notes };
    if (migration.dryRun) {
      await refuseWhatAdminMayNot(work, statements);
      return { outcome: 'would-migrate', ...told };
    }
    const made: string[] = [];
    try {
      for (const statement of statements) {
        await run(work, statement);
        if (statement.makes !== undefined) made.push(statement.makes);
      }
      const now = await accountsOf(work, current);
      const missing = await statementsFor(work, now.used, now.others);
      if (missing.length > 0) {
        throw new RotationRefused(
          `${other} does not have what ${current.username} has, after all of it was given: ${missing.map(({ shown }) => shown).join('; ')}.`,
        );
      }
      if (now.others.every(({ locked }) => locked)) await tryOut(address, work, current, now.others);
    } catch (error) {
      if (made.length > 0) await session.query(`DROP USER ${made.join(', ')}`);
      throw error;
    }
    return { outcome: 'migrated', ...told };
  });
}

/**
 * Opens the user whose turn it is not, as functions need it that set a password and unlock nobody: with a new password that
 * nobody knows. All else stays as it is.
 *
 * @throws RotationRefused, RotationBusy, MissingPrivilege, StatementRefused, LoginRefused, DatabaseUnreachable
 */
export async function unlockBothUsers(
  address: DatabaseAddress,
  admin: Login,
  dialect: MysqlDialect,
  { current, users }: Pick<Migration, 'current' | 'users'>,
): Promise<OpenedBoth> {
  const { other, lockName } = alternatingUsers(address.engine, { ...(users && { users }) }, current.username);
  return withMysqlLock(address, admin, lockName, async (session) => {
    const work = { session, admin, dialect, one: current.username, other };
    const { others } = await accountsOf(work, current);
    if (others.length === 0) {
      throw new RotationRefused(
        `There is no user ${other} beside ${current.username}: nothing is to be undone.`,
      );
    }
    const locked = others.filter((account) => account.locked);
    if (locked.length === 0) return { outcome: 'was-open', other };
    await dialect.openWith(session, { admin, username: other, accounts: locked, next: randomPassword() });
    return { outcome: 'opened', other };
  });
}

interface Work {
  session: MysqlSession;
  admin: Login;
  dialect: MysqlDialect;
  /** The user in use. */
  one: string;
  other: string;
}

interface Statement {
  text: string;
  /** Without a password. */
  shown: string;
  /** The account that there is after it. */
  makes?: string;
}

async function accountsOf(
  { session, admin, dialect, one, other }: Work,
  current: Login,
): Promise<{ used: Account[]; others: Account[]; beyond: Account[] }> {
  const accounts = await dialect.accounts(session, admin, [one, other]);
  const all = accounts.filter(({ username }) => username === other);
  const used = accounts.filter(
    (account) => account.username === one && !(account.locked && isBeyond(account, all)),
  );
  const unproven = used.filter((account) => account.locked || !hasPassword(account, current));
  if (used.length === 0 || unproven.length > 0) throw currentRefused(current, unproven);
  return {
    used,
    others: all.filter((account) => !isBeyond(account, used)),
    beyond: all.filter((account) => isBeyond(account, used)),
  };
}

/**
 * Whom the first one lets in, the server would take for the second one's account of the nearest host; and from that host the
 * first one could not log in when its turn comes again.
 */
function refuseMoreHosts({ one, other }: Work, used: readonly Account[], others: readonly Account[]): void {
  const more = others.filter(({ host }) => !used.some((account) => account.host === host));
  if (more.length === 0) return;
  throw new RotationRefused(
    `${other} has an account on ${more.map(({ host }) => host).join(' and ')}, and ${one} has none there, but one that may let in the same clients. Nothing was changed. ` +
      `Where nobody needs it: DROP USER ${more.map(({ host }) => accountOn(other, host)).join(', ')}. Else let the secret's user be ${other} first (one more rotation by whatever has made both), so that ${one} gets what it lacks. Then run this again.`,
  );
}

/**
 * What makes the second user equal, on each host of the first.
 * @param compared is told what was compared, and what the second one has beside it
 */
async function statementsFor(
  work: Work,
  used: readonly Account[],
  others: readonly Account[],
  compared: string[] = [],
): Promise<Statement[]> {
  const statements: Statement[] = [];
  for (const { host } of used) {
    const model = await lookAt(work, work.one, host);
    const account = others.find((each) => each.host === host);
    const has = account === undefined ? undefined : await lookAt(work, work.other, host);
    statements.push(
      ...accountStatements(work, host, model, account, has),
      ...grantStatements(work, host, model, has),
    );
    const rights = rightsIn(model.lines);
    const count = [...rights.values()].reduce((sum, { size }) => sum + size, 0);
    compared.push(
      `Compared on ${host}: ${count} rights on ${rights.size} things, ${revokesIn(model.lines).length} partial revokes, ${rolesIn(model.lines).size} roles, ${model.defaultRoles.length} of them by default, and the terms of the account${has === undefined ? `; ${work.other} is not there yet` : ''}.`,
    );
    const more =
      has === undefined ? [] : grantsOfLacking(rightsIn(has.lines), rights, accountOn(work.other, host));
    if (more.length > 0) {
      compared.push(
        `${work.other} has more on ${host} than ${work.one}, and keeps it: ${more.map((grant) => grant.replace(/^GRANT (.*) TO .*$/s, '$1')).join('; ')}.`,
      );
    }
  }
  return statements;
}

interface Seen {
  options: AccountOptions;
  /** Of SHOW GRANTS. */
  lines: string[];
  defaultRoles: string[];
}

/** An account without the roles of a session. */
async function lookAt({ session, admin }: Work, username: string, host: string): Promise<Seen> {
  try {
    const lines = (await session.query('SHOW GRANTS FOR ?@?', [username, host])).flatMap((row) =>
      Object.values(row).map(String),
    );
    const [made] = await session.query('SHOW CREATE USER ?@?', [username, host]);
    const options = optionsIn(String(Object.values(made ?? {})[0]));
    if (options === undefined) {
      throw new RotationRefused(
        `The server tells how ${username}@${host} is made in a form that is not known here. Nothing was changed. Make the second user by hand (docs/credential-rotation.md).`,
      );
    }
    const strange = lines.find((line) => !isKnownGrant(line));
    if (strange !== undefined) {
      throw new RotationRefused(
        `The server tells what ${username}@${host} may do in a form that is not known here: ${strange.split(' TO ')[0]}. Nothing was changed. Make the second user by hand (docs/credential-rotation.md).`,
      );
    }
    return { options, lines, defaultRoles: [...options.defaultRoles, ...defaultRoleIn(lines)] };
  } catch (error) {
    if (!lacksPrivilege(error)) throw error;
    throw missingPrivilege(
      admin.username,
      `see what ${username} may do`,
      `GRANT SELECT ON mysql.* TO ${await ownAccount(session)}. Nothing was changed.`,
    );
  }
}

function accountStatements(
  { dialect, other }: Work,
  host: string,
  { options }: Seen,
  account: Account | undefined,
  has: Seen | undefined,
): Statement[] {
  const name = accountOn(other, host);
  if (account === undefined || has === undefined) {
    const { clause, shown } = dialect.identifiedBy(options.plugin, randomPassword());
    const limits = options.limits && ` WITH ${options.limits}`;
    const terms = [
      `REQUIRE ${options.required}${limits}`,
      options.passwordTerms,
      'ACCOUNT LOCK',
      options.attribute,
    ]
      .filter(Boolean)
      .join(' ');
    const text = (identified: string) => `CREATE USER ${name} ${identified} ${terms}`;
    return [{ text: text(clause), shown: text(shown), makes: name }];
  }
  const statements = [termsToMatch(has.options, options), passwordTermsToMatch(has.options, options)]
    .filter(Boolean)
    .map((terms) => `ALTER USER ${name} ${terms}`);
  return statements.map((text) => ({ text, shown: text }));
}

function grantStatements(
  { dialect, other }: Work,
  host: string,
  model: Seen,
  has: Seen | undefined,
): Statement[] {
  const name = accountOn(other, host);
  const lines = has?.lines ?? [];
  const narrower = revokesOfNarrower(rightsIn(model.lines), rightsIn(lines), name);
  if (narrower.length > 0) {
    throw new RotationRefused(
      `${name} has fewer rights on a database than the first user has there by a pattern, and the server goes by the nearest name alone. Nothing is taken from it here: ${narrower.join('; ')}. Then run this again.`,
    );
  }
  const grants = grantsOfLacking(rightsIn(model.lines), rightsIn(lines), name);
  const statements = [...grants];
  const taken = revokesIn(lines);
  const takenOfModel = revokesIn(model.lines);
  // What reaches everywhere is taken back where it is of the first one.
  if (grants.some((grant) => grant.includes(' ON *.* TO '))) {
    for (const revoke of takenOfModel) if (!taken.includes(revoke)) statements.push(`${revoke} FROM ${name}`);
  }
  for (const revoke of taken)
    if (!takenOfModel.includes(revoke)) statements.push(`${revoke.replace(/^REVOKE/, 'GRANT')} TO ${name}`);
  const had = rolesIn(lines);
  for (const [role, isPassedOn] of rolesIn(model.lines)) {
    const lacks = !had.has(role) || (isPassedOn && !had.get(role));
    if (lacks) statements.push(`GRANT ${role} TO ${name}${isPassedOn ? ' WITH ADMIN OPTION' : ''}`);
  }
  const defaults = has?.defaultRoles ?? [];
  if (model.defaultRoles.some((role) => !defaults.includes(role)))
    statements.push(dialect.setDefaultRoles(name, [...new Set([...model.defaultRoles, ...defaults])]));
  return statements.map((text) => ({ text, shown: text }));
}

async function notesOf(
  { session, one, other }: Work,
  { acceptLoginNames }: Migration,
  others: readonly Account[],
) {
  const notes: string[] = [];
  const { found, unseen } = await loginNamesIn(session);
  if (found.length > 0) {
    const what = `These ask who has logged in, which is another name in every other rotation: ${found.join('; ')}.`;
    if (!acceptLoginNames) {
      throw new RotationRefused(
        `${what} Nothing was changed. Let them do without; or, where they may see either name, run this again with --accept-login-names. With dual-password the name stays the same.`,
      );
    }
    notes.push(what);
  }
  if (unseen.length > 0) {
    notes.push(
      `This administrator is not shown the text of ${unseen.join('; ')}: see there whether it asks who has logged in (USER(), CURRENT_USER()).`,
    );
  }
  if (others.some(({ locked }) => !locked)) {
    notes.push(`${other} may log in beside ${one}. The next run of credential-rotation closes it.`);
  }
  return notes;
}

/**
 * Nothing is done in a dry run, and the server is not asked either: so by the administrator's own grants.
 * @throws RotationRefused with the statements that it may not make
 */
async function refuseWhatAdminMayNot(
  { session, admin }: Work,
  statements: readonly Statement[],
): Promise<void> {
  const lines = (await session.query('SHOW GRANTS')).flatMap((row) => Object.values(row).map(String));
  // What is taken back in places cannot be reckoned with here.
  if (revokesIn(lines).length > 0) return;
  const own = rightsIn(lines);
  const roles = rolesIn(lines);
  const givesAllRoles = own.get('*.*')?.has('ROLE_ADMIN') === true || own.get('*.*')?.has('SUPER') === true;
  const denied = statements.filter(({ text }) => {
    if (/^(CREATE|ALTER) USER /.test(text)) return !mayPassOn(own, '*.*', 'CREATE USER', false);
    const [role] = rolesIn([text]).keys();
    if (role !== undefined) return !givesAllRoles && roles.get(role) !== true;
    return [...rightsIn([text])].some(([object, privileges]) =>
      [...privileges].some((privilege) => !mayPassOn(own, object, privilege)),
    );
  });
  if (denied.length > 0) throw mayNotSay(admin, denied, 'by its own grants');
}

function mayNotSay({ username }: Login, statements: readonly Statement[], why: string): RotationRefused {
  return new RotationRefused(
    `${username} may not say, or the server does not take (${why}): ${statements.map(({ shown }) => shown).join('; ')}. An account that was made is taken away again; one that there was keeps what it was given. ` +
      'The administrator needs CREATE USER, and each right of the user WITH GRANT OPTION, each role WITH ADMIN OPTION.',
  );
}

async function run({ session, admin }: Work, { text, shown }: Statement): Promise<void> {
  try {
    await session.query(text);
  } catch (error) {
    if (!(error instanceof StatementRefused)) throw error;
    throw mayNotSay(admin, [{ text, shown }], error.code);
  }
}

/** Opens it for as long as it takes to use a right of the first one. */
async function tryOut(
  address: DatabaseAddress,
  { session, admin, dialect, other }: Work,
  current: Login,
  accounts: readonly Account[],
): Promise<void> {
  const change = { admin, username: other, accounts };
  const second = { ...current, username: other, password: randomPassword() };
  await dialect.openWith(session, { ...change, next: second.password });
  try {
    await proveUse(address, second, current);
  } finally {
    await dialect.lock(session, change);
  }
}

function accountOn(username: string, host: string): string {
  return `${quoted(username)}@${quoted(host)}`;
}
