import pg from 'pg';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { LoginRefused, missingPrivilege, RotationRefused, StatementRefused } from '../contract/errors.ts';
import type { Migrated, Migration } from '../contract/migration.ts';
import { currentRefused } from '../rotation/refusals.ts';
import { alternatingUsers, refuseChangeOfItself } from '../rotation/strategies.ts';
import { compareOrUndo, refuseLosses, rehearse } from './compare-migration.ts';
import { lookAs, type Sight } from './compare-users.ts';
import { DEPENDENT_OBJECTS, INSUFFICIENT_PRIVILEGE } from './errors.ts';
import {
  dropByHand,
  type Plan,
  type PostgresMigration,
  planOf,
  refuseRoleNotTaken,
  without,
} from './migration-plan.ts';
import { stateOf } from './migration-state.ts';
import { loginNamesIn, loginNamesInStatements } from './names-in-expressions.ts';
import { type RoleSetting, readRoleSettings } from './role-settings.ts';
import { type PostgresSession, postgresAccepts, withPostgres, withPostgresLock } from './session.ts';

/**
 * Gives an application's user a second one beside it, who acts as the first: what either makes belongs to the first, and
 * both may do the same. The first one itself is not touched, nor are its sessions, its password and what it owns.
 *
 * Before anything is done, all of it is done in a transaction in each database of the user, compared there, and rolled back. It
 * ends only when a session of the second user has been compared with one of the first too: what differs is undone. It must be
 * run by a superuser, or by a role that may create roles and administers the user. Repeats safely.
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
    for (const role of state.roles.values()) await refuseRoleNotTaken(session, role);
    const plan = planOf(state, migration, { admin, other });
    if (unfinished) plan.statements.unshift(`DROP ROLE ${pg.escapeIdentifier(other)}`);
    const before = await sightsOf(address, current, state.databases);
    const looks = { admin, current, other, before: before.sights };
    const acceptLoginNames = migration.acceptLoginNames === true;
    const [own] = await session.query('SELECT current_user AS actor');
    const actor = String(own?.actor);
    if (plan.isDone) {
      const { lost, notes } = await rehearse(address, plan, { ...looks, acceptLoginNames, actor });
      const told = [...notes, ...lost.map((difference) => `They differ by now: ${difference}.`)];
      return { outcome: 'was-migrated', owner: plan.owner, statements: [], notes: told };
    }
    const notes = [...plan.notes, ...before.unseen];
    const said = await loginNamesInStatements(session, [current.username, other]);
    notes.push(...loginNames(migration, said, before.names));
    // All of it once without an effect: what the server does not take is found before anything is there.
    await transaction(session, plan, admin, 'ROLLBACK');
    const rehearsal = await rehearse(address, plan, { ...looks, acceptLoginNames, actor });
    refuseLosses(current, rehearsal.lost);
    notes.push(...rehearsal.notes);
    const told = { owner: plan.owner, statements: plan.statements, notes };
    if (migration.dryRun) return { outcome: 'would-migrate', ...told };
    await transaction(session, plan, admin, 'COMMIT');
    notes.push(...(await compareOrUndo(address, session, plan, { ...looks, acceptLoginNames })));
    return { outcome: 'migrated', ...told };
  });
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
  if (!(error instanceof StatementRefused)) return error;
  if (error.code === DEPENDENT_OBJECTS)
    return new RotationRefused(
      `An earlier migration was cut off, and ${dropByHand(plan.second)} Nothing was changed. Then run this again.`,
    );
  if (error.code !== INSUFFICIENT_PRIVILEGE) return error;
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

/** What the user has in each database, and what asks for his name there. One that does not let him in, for all that the catalogue says, is named. */
async function sightsOf(
  address: DatabaseAddress,
  login: Login,
  databases: readonly string[],
): Promise<{ sights: Map<string, Sight>; names: string[]; unseen: string[] }> {
  const sights = new Map<string, Sight>();
  const names: string[] = [];
  const unseen: string[] = [];
  for (const database of databases) {
    try {
      await withPostgres({ ...address, database }, login, async (session) => {
        sights.set(database, await lookAs(session, login.username));
        names.push(...(await loginNamesIn(session)).map((name) => `${name} (database ${database})`));
      });
    } catch (error) {
      if (!(error instanceof LoginRefused)) throw error;
      unseen.push(
        `${login.username} is not let into the database ${database}, so nothing was compared there.`,
      );
    }
  }
  return { sights, names, unseen };
}

/** @param said by the application; `undefined` where nobody kept it @param inDatabases what asks in the databases themselves */
function loginNames(
  { acceptLoginNames }: Migration,
  said: readonly string[] | undefined,
  inDatabases: readonly string[],
): string[] {
  const notes =
    said === undefined
      ? [
          "Whether the application itself asks who has logged in (session_user), or says SET ROLE NONE, was not seen: the administrator's database shows it no statements (the extension pg_stat_statements, and pg_read_all_stats).",
        ]
      : [];
  const found = [...(said ?? []), ...inDatabases];
  if (found.length === 0) return notes;
  const what = `These ask who has logged in (session_user), which is another name in every other rotation: ${found.join('; ')}.`;
  if (acceptLoginNames) return [...notes, what];
  throw new RotationRefused(
    `${what} Nothing was changed. Let them ask current_user, which both users have in common; or, where they may see either name, run this again with --accept-login-names.`,
  );
}
