import pg from 'pg';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { LoginRefused, missingPrivilege, RotationRefused, StatementRefused } from '../contract/errors.ts';
import type { Migrated, Migration } from '../contract/migration.ts';
import { randomPassword } from '../credential/password.ts';
import { currentRefused } from '../rotation/refusals.ts';
import { alternatingUsers, refuseChangeOfItself } from '../rotation/strategies.ts';
import { compareRows } from './compare-rows.ts';
import { type Difference, differences, lookAs, type Sight } from './compare-users.ts';
import { INSUFFICIENT_PRIVILEGE } from './errors.ts';
import { type Role, type State, stateOf, UNFINISHED } from './migration-state.ts';
import { loginNamesIn } from './names-in-expressions.ts';
import { type RoleSetting, readRoleSettings, roleSettingStatement } from './role-settings.ts';
import { scramVerifier } from './scram.ts';
import { type PostgresSession, postgresAccepts, withPostgresLock } from './session.ts';

/** Of a PostgreSQL database. */
export interface PostgresMigration extends Migration {
  /** The role that will change the passwords: it is given that right, which from PostgreSQL 16 on is one by one. */
  rotator?: string;
}

/**
 * Gives an application's user a second one beside it, who acts as the first: what either makes belongs to the first, and
 * both may do the same. The first one itself is not touched, nor are its sessions, its password and what it owns.
 *
 * It ends only when a session of the second user has been compared with one of the first: what differs is undone. It must
 * be run by a superuser, or by a role that may create roles and administers the user. Repeats safely.
 *
 * @returns also `owner`: as whom both act, the first user.
 * @throws RotationRefused, RotationBusy, MissingPrivilege, StatementRefused, LoginRefused, DatabaseUnreachable
 */
export async function migrateToAlternatingUsers(
  address: DatabaseAddress,
  admin: Login,
  migration: PostgresMigration,
): Promise<Migrated & { owner: string }> {
  const { current } = migration;
  const { other, lockName } = alternatingUsers(address.engine, migration, current.username);
  refuseChangeOfItself(admin, [current.username, other]);
  return withPostgresLock(address, admin, lockName, async (session) => {
    const found = await stateOf(session, [current.username, other]);
    const unfinished = found.roles.get(other)?.unfinished === true;
    const state = unfinished ? without(found, other) : found;
    if (!(await postgresAccepts(address, current))) throw currentRefused(current);
    const plan = planOf(state, migration, { admin, other });
    if (unfinished) plan.statements.unshift(`DROP ROLE ${pg.escapeIdentifier(other)}`);
    if (plan.isDone) return { outcome: 'was-migrated', owner: plan.owner, statements: [], notes: [] };
    const before = await sightsOf(address, current, state.databases);
    const notes = [...plan.notes, ...before.unseen];
    notes.push(...(await loginNames(address, migration, before.databases)));
    // All of it once without an effect: what the server does not take is found before anything is there.
    await transaction(session, plan, admin, 'ROLLBACK');
    const told = { owner: plan.owner, statements: plan.statements, notes };
    if (migration.dryRun) return { outcome: 'would-migrate', ...told };
    await transaction(session, plan, admin, 'COMMIT');
    notes.push(
      ...(await compareOrUndo(address, session, plan, {
        ...{ admin, current, other, before: before.sights },
        acceptLoginNames: migration.acceptLoginNames === true,
      })),
    );
    return { outcome: 'migrated', ...told };
  });
}

interface Plan {
  isDone: boolean;
  first: string;
  second: string;
  /** As whom both act: the first one, unless that acts as somebody else itself. */
  owner: string;
  /** The second user is made, and closed at the end. */
  makes: boolean;
  statements: string[];
  notes: string[];
  /** What the second user's settings are to be. */
  settings: RoleSetting[];
}

/** As if it were not there: it is dropped first. */
function without(state: State, role: string): State {
  const roles = new Map(state.roles);
  roles.delete(role);
  return {
    ...state,
    roles,
    isMember: (member, of) => member !== role && of !== role && state.isMember(member, of),
  };
}

/** From PostgreSQL 16 on, CREATEROLE reaches only roles that one administers. */
const ROLE_ADMIN_VERSION = 160_000;

function planOf(
  state: State,
  { current, rotator }: PostgresMigration,
  { admin, other }: { admin: Login; other: string },
): Plan {
  const { roles, isMember, version } = state;
  // AWS's functions make the second one a member of the first as well, and its turn may have come.
  const isSecond = roles.has(other) && isMember(current.username, other);
  const [first, second] = isSecond ? [other, current.username] : [current.username, other];
  const one = roles.get(first);
  const two = roles.get(second);
  const common = commonOwner(one, two, isMember);
  if (common !== undefined) {
    return {
      isDone: true,
      first,
      second,
      owner: common,
      makes: false,
      statements: [],
      notes: [],
      settings: [],
    };
  }
  const settings = [...(one?.settings ?? [])];
  if (!settings.some(({ name, database }) => name === 'role' && database === undefined)) {
    settings.push({ database: undefined, name: 'role', value: first });
  }
  refuseWhatCannotBe(state, first, second, other);
  const name = pg.escapeIdentifier(second);
  const statements: string[] = [];
  if (two === undefined) {
    const expiry = one?.validUntil ? ` VALID UNTIL ${pg.escapeLiteral(one.validUntil)}` : '';
    statements.push(
      `CREATE ROLE ${name} CONNECTION LIMIT ${one?.connectionLimit ?? -1}${expiry}${one?.replication ? ' REPLICATION' : ''}`,
      `GRANT ${pg.escapeIdentifier(first)} TO ${name}`,
      `COMMENT ON ROLE ${name} IS ${pg.escapeLiteral(UNFINISHED)}`,
    );
  }
  const known = two?.settings ?? [];
  const missing = settings.filter(
    (wanted) => !known.some((own) => own.name === wanted.name && own.database === wanted.database),
  );
  statements.push(...missing.map((setting) => roleSettingStatement(second, setting)));
  // Who makes a role administers it, and the server refuses to give oneself that right again.
  if (rotator !== undefined && rotator !== admin.username && version >= ROLE_ADMIN_VERSION) {
    for (const user of [first, second]) {
      statements.push(
        `GRANT ${pg.escapeIdentifier(user)} TO ${pg.escapeIdentifier(rotator)} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`,
      );
    }
  }
  const notes: string[] = [];
  if (one?.validUntil) {
    notes.push(
      `The passwords of ${first} expire on ${one.validUntil} (VALID UNTIL), which ${second} has been given too and no rotation moves: ALTER ROLE … VALID UNTIL 'infinity' for both, unless that is wanted.`,
    );
  }
  if (two?.open && second !== current.username) {
    notes.push(`${second} may log in. The next run of credential-rotation closes it.`);
  }
  return {
    isDone: false,
    first,
    second,
    owner: one ? actsAs(one) : first,
    makes: two === undefined,
    statements,
    notes,
    settings: [...known, ...missing],
  };
}

/** The role that two users act as already: the first one, or one of their own. */
function commonOwner(
  one: Role | undefined,
  two: Role | undefined,
  isMember: State['isMember'],
): string | undefined {
  if (one === undefined || two === undefined) return undefined;
  const owner = actsAs(two);
  if (owner === two.name || actsAs(one) !== owner || !isMember(two.name, owner)) return undefined;
  return owner === one.name || isMember(one.name, owner) ? owner : undefined;
}

function actsAs({ settings, name }: Role): string {
  const { value = 'none' } =
    settings.find(({ name, database }) => name === 'role' && database === undefined) ?? {};
  return value === 'none' ? name : value;
}

/** @throws RotationRefused */
function refuseWhatCannotBe(state: State, first: string, second: string, other: string): void {
  const { roles, isMember, ownsIn, admin, version } = state;
  const one = roles.get(first);
  if (one?.superuser) {
    throw new RotationRefused(
      `${first} is a superuser, and so would be whoever acts as it. Give the application a user of its own that is none.`,
    );
  }
  const mayGiveReplication = admin.superuser || (version >= ROLE_ADMIN_VERSION && admin.replication);
  if (one?.replication && !roles.has(second) && !mayGiveReplication) {
    throw new RotationRefused(
      `${first} has REPLICATION, which this administrator may not give to ${second}. Let a superuser run the migration (on RDS: take it from ${first} before, and GRANT rds_replication).`,
    );
  }
  if (!roles.has(second)) return;
  if (!isMember(second, first)) {
    throw new RotationRefused(
      `There is a role ${other} already that is not of this application: it is no member of ${first}. Nothing was changed. Choose another name for the second user (--user).`,
    );
  }
  const databases = ownsIn(second);
  if (databases.length > 0) {
    throw new RotationRefused(
      `${second} owns something in ${databases.join(', ')}, which ${first} would not own. Nothing was changed. In each of them, as an administrator: ` +
        `REASSIGN OWNED BY ${pg.escapeIdentifier(second)} TO ${pg.escapeIdentifier(first)}. Then run this again.`,
    );
  }
}

async function transaction(
  session: PostgresSession,
  plan: Plan,
  admin: Login,
  end: 'COMMIT' | 'ROLLBACK',
): Promise<void> {
  await session.query('BEGIN');
  for (const statement of plan.statements) {
    try {
      await session.query(statement);
    } catch (error) {
      await session.query('ROLLBACK');
      throw refusedStatement(error, statement, plan, admin);
    }
  }
  const kept = await readRoleSettings(session, plan.second);
  await session.query(end);
  const asText = (settings: readonly RoleSetting[]) =>
    settings.map(({ database = '', name, value }) => `${database}\n${name}=${value}`).sort();
  if (end === 'ROLLBACK' && asText(kept).join('\n\n') !== asText(plan.settings).join('\n\n')) {
    const changed = plan.settings.filter((wanted) => !asText(kept).includes(asText([wanted])[0] ?? ''));
    throw new RotationRefused(
      `The server keeps another value than ${plan.first} has of ${changed.map(({ name }) => name).join(', ')} for ${plan.second}. Nothing was changed. ` +
        `Give ${plan.first} the setting anew (ALTER ROLE … SET …), or take it away (ALTER ROLE … RESET …).`,
    );
  }
}

function refusedStatement(error: unknown, statement: string, plan: Plan, admin: Login): unknown {
  if (!(error instanceof StatementRefused) || error.code !== INSUFFICIENT_PRIVILEGE) return error;
  const [, setting] = /^ALTER ROLE .* SET "(.+?)" TO /s.exec(statement) ?? [];
  if (setting !== undefined && setting !== 'role') {
    return new RotationRefused(
      `${plan.first} has the setting ${setting}, which ${admin.username} may not give to ${plan.second}. Nothing was changed. ` +
        `Let a superuser run the migration, or have one say (from PostgreSQL 15 on): GRANT SET ON PARAMETER ${pg.escapeIdentifier(setting)} TO ${pg.escapeIdentifier(admin.username)}`,
    );
  }
  return missingPrivilege(
    admin.username,
    `make a second user beside ${plan.first}`,
    `ALTER ROLE ${pg.escapeIdentifier(admin.username)} CREATEROLE, and from PostgreSQL 16 on also ` +
      `GRANT ${pg.escapeIdentifier(plan.first)} TO ${pg.escapeIdentifier(admin.username)} WITH ADMIN TRUE. Nothing was changed.`,
  );
}

/** What the user has in each database. One that does not let him in, for all that the catalogue says, is named. */
async function sightsOf(
  address: DatabaseAddress,
  login: Login,
  databases: readonly string[],
): Promise<{ databases: string[]; sights: Map<string, Sight>; unseen: string[] }> {
  const sights = new Map<string, Sight>();
  const unseen: string[] = [];
  for (const database of databases) {
    try {
      sights.set(database, await lookAs({ ...address, database }, login));
    } catch (error) {
      if (!(error instanceof LoginRefused)) throw error;
      unseen.push(
        `${login.username} is not let into the database ${database}, so nothing was compared there.`,
      );
    }
  }
  return { databases: [...sights.keys()], sights, unseen };
}

async function loginNames(
  address: DatabaseAddress,
  { current, acceptLoginNames }: Migration,
  databases: readonly string[],
): Promise<string[]> {
  const found: string[] = [];
  for (const database of databases) {
    const names = await loginNamesIn({ ...address, database }, current);
    found.push(...names.map((name) => `${name} (database ${database})`));
  }
  if (found.length === 0) return [];
  const what = `These ask who has logged in (session_user), which is another name in every other rotation: ${found.join('; ')}.`;
  if (acceptLoginNames) return [what];
  throw new RotationRefused(
    `${what} Nothing was changed. Let them ask current_user, which both users have in common; or, where they may see either name, run this again with --accept-login-names.`,
  );
}

/** Opens the second user for as long as it takes to look through its eyes. */
async function compareOrUndo(
  address: DatabaseAddress,
  session: PostgresSession,
  plan: Plan,
  {
    admin,
    current,
    other,
    before,
    acceptLoginNames,
  }: {
    admin: Login;
    current: Login;
    other: string;
    before: ReadonlyMap<string, Sight>;
    acceptLoginNames: boolean;
  },
): Promise<string[]> {
  const lost: string[] = [];
  const notes: string[] = [];
  try {
    const logins = [current];
    if (plan.makes) {
      const second = { username: other, password: randomPassword() };
      const verifier = pg.escapeLiteral(scramVerifier(second.password));
      await session.query(`ALTER ROLE ${pg.escapeIdentifier(other)} LOGIN PASSWORD ${verifier}`);
      logins.push(second);
    }
    for (const login of logins) {
      for (const [database, sight] of before) {
        const after = await lookAs({ ...address, database }, login);
        for (const difference of differences(sight, after)) {
          if (isLoss(difference, plan)) lost.push(told(login, database, difference));
          // Whoever was the second user has all of the first one now.
          else if (plan.makes) notes.push(`More than before: ${told(login, database, difference)}.`);
        }
        if (login === current) continue;
        const rows = await compareRows(
          { ...address, database },
          { one: current, other: login, administrator: admin.username },
        );
        // Who accepts another name is told what it shows.
        (acceptLoginNames ? notes : lost).push(...rows.different.map((text) => `In ${database} ${text}.`));
        notes.push(
          ...rows.uncounted.map((table) => `In ${database} the rows were not compared of ${table}.`),
        );
      }
    }
  } catch (error) {
    if (!plan.makes) throw error;
    await undo(session, plan);
    if (!(error instanceof LoginRefused)) throw error;
    throw new RotationRefused(
      `${error.message} It was made a moment ago, so that pg_hba.conf must be what keeps it out: let ${other} in there as ${current.username}. The second user was taken away again.`,
    );
  }
  if (lost.length > 0) {
    if (plan.makes) await undo(session, plan);
    throw new RotationRefused(
      `A session of the two users is not what one of ${current.username} was: ${lost.join('; ')}. ` +
        (plan.makes
          ? 'The second user was taken away again.'
          : `See to it before ${plan.second} is rotated.`),
    );
  }
  if (plan.makes) {
    await session.query(`ALTER ROLE ${pg.escapeIdentifier(plan.second)} NOLOGIN PASSWORD NULL`);
    await session.query(`COMMENT ON ROLE ${pg.escapeIdentifier(plan.second)} IS NULL`);
  }
  return notes;
}

async function undo(session: PostgresSession, plan: Plan): Promise<void> {
  await session.query(`DROP ROLE ${pg.escapeIdentifier(plan.second)}`);
}

/** More than before is none, nor is that whoever was the second user acts as the first now. */
function isLoss({ what, before = '', after }: Difference, plan: Plan): boolean {
  if (what === 'acts as') return after !== plan.owner && after !== before;
  if (after === undefined || !/^(table|column|sequence|function|schema|database|role) /.test(what))
    return true;
  const had = before.split(' ');
  const has = after.split(' ');
  return had.some((value, place) => value === 't' && has[place] !== 't');
}

function told({ username }: Login, database: string, { what, before, after }: Difference): string {
  return `${username} in ${database}: ${what} was ${before ?? 'none'} and is ${after ?? 'none'}`;
}
