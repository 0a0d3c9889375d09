import pg from 'pg';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { ConnectionRefused, LoginRefused, RotationRefused, StatementRefused } from '../contract/errors.ts';
import { randomPassword } from '../credential/password.ts';
import { atOneMoment, compareRows, countAs } from './compare-rows.ts';
import { type Difference, differences, lookAhead, lookAs, type Sight, settingsOf } from './compare-users.ts';
import { DEPENDENT_OBJECTS } from './errors.ts';
import { dropByHand, type Plan } from './migration-plan.ts';
import { scramVerifier } from './scram.ts';
import { type PostgresSession, withPostgres } from './session.ts';

/** What two users are compared by. */
export interface Looks {
  admin: Login;
  current: Login;
  other: string;
  /** What a session of the current user had in each database. */
  before: ReadonlyMap<string, Sight>;
  acceptLoginNames: boolean;
}

/**
 * Does all of it in each of the user's databases, compares there what the two would have, as far as that shows without a login,
 * and rolls it back.
 * @param actor as whom the administrator acts where it makes the migration
 * @returns what was compared, and what would differ to a user's loss
 */
export async function rehearse(
  address: DatabaseAddress,
  plan: Plan,
  { admin, current, other, before, acceptLoginNames, actor }: Looks & { actor: string },
): Promise<{ lost: string[]; notes: string[] }> {
  const lost: string[] = [];
  const notes: string[] = [];
  for (const [database, sight] of before) {
    const place = { ...address, database };
    const look = () =>
      atOneMoment(place, current, admin.username, ({ snapshot, compare }) =>
        withPostgres(place, admin, async (session) => {
          await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
          await session.query(snapshot);
          // A database may have everybody act as somebody else.
          await session.query(`SET LOCAL ROLE ${pg.escapeIdentifier(actor)}`);
          for (const statement of plan.statements) await session.query(statement);
          const ahead = (username: string) =>
            lookAhead(session, username, { login: current.username, sight });
          const second = await ahead(other);
          const found = [
            ...differences(sight, await ahead(current.username)).map((difference) => ({
              username: current.username,
              difference,
            })),
            ...differences(sight, second).map((difference) => ({ username: other, difference })),
          ];
          const looks = {
            username: other,
            role: second.get('acts as') ?? other,
            settings: settingsOf(second),
          };
          const rows = await compare(other, (table) => countAs(session, { ...looks, table }));
          await session.query('ROLLBACK');
          return { found, rows };
        }),
      );
    try {
      const { found, rows } = await look();
      const losses = found.filter(({ difference }) => isLoss(difference, plan));
      lost.push(...losses.map(({ username, difference }) => told(username, database, difference)));
      (acceptLoginNames ? notes : lost).push(...rows.different.map((text) => `in ${database} ${text}`));
      notes.push(
        `Compared in ${database}, in a transaction that was rolled back: ${inWords(sight)}, the rows of ${rows.counted} tables under row level security.`,
        ...rows.uncounted.map((table) => `In ${database} the rows were not compared of ${table}.`),
      );
    } catch (error) {
      if (!(error instanceof LoginRefused || error instanceof ConnectionRefused)) throw error;
      notes.push(`${admin.username} is not let into ${database}, so nothing was compared there beforehand.`);
    }
  }
  return { lost, notes };
}

/** @throws RotationRefused with what would be lost */
export function refuseLosses({ username }: Login, lost: readonly string[]): void {
  if (lost.length === 0) return;
  throw new RotationRefused(
    `A session of the two users would not be what one of ${username} is: ${lost.join('; ')}. Nothing was changed. ` +
      `See to it, as by giving both the same settings (ALTER ROLE … SET …), then run this again.`,
  );
}

/** How much there is of each kind. */
function inWords(sight: Sight): string {
  const counts = new Map<string, number>();
  for (const what of sight.keys()) {
    const [, kind = 'attribute'] =
      /^(setting|found|table|column|sequence|function|schema|database|role) /.exec(what) ?? [];
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const { found = 0, setting = 0, role = 0, attribute = 0, ...privileges } = Object.fromEntries(counts);
  const rights = Object.values(privileges).reduce((sum, count) => sum + count, 0);
  return `${attribute} attributes, ${setting} settings, ${found} names without their schema, the rights on ${rights} things, ${role} roles`;
}

/** Opens the second user for as long as it takes to look through its eyes. */
export async function compareOrUndo(
  address: DatabaseAddress,
  session: PostgresSession,
  plan: Plan,
  { admin, current, other, before, acceptLoginNames }: Looks,
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
        const after = await withPostgres({ ...address, database }, login, (own) =>
          lookAs(own, login.username),
        );
        for (const difference of differences(sight, after)) {
          const text = told(login.username, database, difference);
          if (isLoss(difference, plan)) lost.push(text);
          // Whoever was the second user has all of the first one now.
          else if (plan.makes) notes.push(`More than before: ${text}.`);
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
    const undone = await undo(session, plan);
    if (!(error instanceof LoginRefused)) throw error;
    throw new RotationRefused(
      `${error.message} It was made a moment ago, so that pg_hba.conf must be what keeps it out: let ${other} in there as ${current.username}. ${undone}`,
    );
  }
  if (lost.length > 0) {
    const undone = plan.makes ? await undo(session, plan) : `See to it before ${plan.second} is rotated.`;
    throw new RotationRefused(
      `A session of the two users is not what one of ${current.username} was: ${lost.join('; ')}. ${undone}`,
    );
  }
  if (plan.makes) {
    await session.query(`ALTER ROLE ${pg.escapeIdentifier(plan.second)} NOLOGIN PASSWORD NULL`);
    await session.query(`COMMENT ON ROLE ${pg.escapeIdentifier(plan.second)} IS NULL`);
  }
  return notes;
}

/** @returns what was done */
async function undo(session: PostgresSession, { second }: Plan): Promise<string> {
  const name = pg.escapeIdentifier(second);
  try {
    await session.query(`DROP ROLE ${name}`);
    return 'The second user was taken away again.';
  } catch (error) {
    if (!(error instanceof StatementRefused) || error.code !== DEPENDENT_OBJECTS) throw error;
    await session.query(`ALTER ROLE ${name} NOLOGIN PASSWORD NULL`);
    return `It was closed; ${dropByHand(second)}`;
  }
}

/** More than before is none, nor is that whoever was the second user acts as the first now. */
function isLoss({ what, before = '', after }: Difference, plan: Plan): boolean {
  switch (what) {
    case 'acts as':
      return !(after === plan.owner && before === plan.second);
    // -1 is no limit.
    case 'connection limit':
      return Number(after) >= 0 && !(Number(before) >= 0 && Number(after) > Number(before));
    case 'expiry':
      return after !== 'none' && !(before !== 'none' && String(after) > before);
    case 'replication':
      return before === 'true';
    case `role ${plan.first}`:
    case `role ${plan.second}`:
      return false;
  }
  if (
    after === undefined ||
    !/^(attributes|table|column|sequence|function|schema|database|role)( |$)/.test(what)
  )
    return true;
  const had = before.split(' ');
  const has = after.split(' ');
  return had.some((value, place) => value === 't' && has[place] !== 't');
}

function told(username: string, database: string, { what, before, after }: Difference): string {
  return `${username} in ${database}: ${what} was ${before ?? 'none'} and is ${after ?? 'none'}`;
}
