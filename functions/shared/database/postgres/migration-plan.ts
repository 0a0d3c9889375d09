import pg from 'pg';
import type { Login } from '../contract/engine.ts';
import { RotationRefused } from '../contract/errors.ts';
import type { Migration } from '../contract/migration.ts';
import { mayActAs } from './compare-users.ts';
import type { Role, State } from './migration-state.ts';
import { UNFINISHED } from './migration-state.ts';
import { type RoleSetting, roleSettingStatement } from './role-settings.ts';
import type { PostgresSession } from './session.ts';

/** Of a PostgreSQL database. */
export interface PostgresMigration extends Migration {
  /** The role that will change the passwords: it is given that right, which from PostgreSQL 16 on is one by one. */
  rotator?: string;
}

/** What a migration will do. */
export interface Plan {
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
export function without(state: State, role: string): State {
  const roles = new Map(state.roles);
  roles.delete(role);
  return {
    ...state,
    roles,
    isMember: (member, of) => member !== role && of !== role && state.isMember(member, of),
  };
}

/** Whoever owns something may give a role a right on it, also one that is there for a moment: then it cannot be dropped. */
export function dropByHand(role: string): string {
  const name = pg.escapeIdentifier(role);
  return `${role} cannot be dropped, for somebody has given it something meanwhile. In each database, as an administrator: DROP OWNED BY ${name}. Then: DROP ROLE ${name}.`;
}

/** From PostgreSQL 16 on, CREATEROLE reaches only roles that one administers. */
const ROLE_ADMIN_VERSION = 160_000;

/** @throws RotationRefused */
export function planOf(
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
  if (one && two) {
    const terms = lackingTerms(one, two);
    if (terms !== '') statements.push(`ALTER ROLE ${name}${terms}`);
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

/** What a second user that there is may less than the first one. */
function lackingTerms(one: Role, two: Role): string {
  const isLess =
    two.connectionLimit >= 0 && (one.connectionLimit < 0 || two.connectionLimit < one.connectionLimit);
  const endsBefore = two.validUntil && (!one.validUntil || two.validUntil < one.validUntil);
  return [
    isLess ? ` CONNECTION LIMIT ${one.connectionLimit}` : '',
    endsBefore ? ` VALID UNTIL ${pg.escapeLiteral(one.validUntil ?? 'infinity')}` : '',
    one.replication && !two.replication ? ' REPLICATION' : '',
  ].join('');
}

/** @throws RotationRefused if the server does not let a role begin as the one that it is set to act as, and goes on without a word */
export async function refuseRoleNotTaken(session: PostgresSession, { name, settings }: Role): Promise<void> {
  for (const setting of settings) {
    if (setting.name !== 'role' || setting.value === 'none') continue;
    if (await mayActAs(session, name, setting.value)) continue;
    const scope =
      setting.database === undefined ? '' : ` IN DATABASE ${pg.escapeIdentifier(setting.database)}`;
    throw new RotationRefused(
      `${name} is set to act as ${setting.value}${setting.database === undefined ? '' : ` in ${setting.database}`}, which it may not, so that the server leaves it as ${name}. Nothing was changed. ` +
        `ALTER ROLE ${pg.escapeIdentifier(name)}${scope} RESET role; or, where it is to be so: GRANT ${pg.escapeIdentifier(setting.value)} TO ${pg.escapeIdentifier(name)}. Then run this again.`,
    );
  }
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
