import { ENGINES, type Engine, type Login } from '../contract/engine.ts';
import { RotationRefused } from '../contract/errors.ts';
import type { Strategy } from '../contract/rotation.ts';

/** Why an engine cannot rotate by a strategy; `undefined` if it can. For the synthesis as well as for the run. */
export function whyImpossible(engine: Engine, strategy: Strategy): string | undefined {
  const postgres = ENGINES[engine] === 'postgres';
  if (strategy.kind === 'dual-password' && postgres) {
    return (
      'PostgreSQL keeps one password for a user, so a container that still has the old one could not log in after a rotation. ' +
      'Use alternating-users, with the user name taken from the secret too; or accept failed logins.'
    );
  }
  if (strategy.kind === 'single-password' && !postgres) {
    return `${engine} can keep two passwords for a user: use dual-password, which has no failed logins.`;
  }
  if (strategy.kind === 'alternating-users' && postgres && !strategy.users) {
    // A name out of the secret would do if its password could be proven without a login, as on the other engines.
    return 'On PostgreSQL alternating-users needs `users`, the names of both.';
  }
  const [one, other] = ('users' in strategy && strategy.users) || [];
  const names = [one, other, 'user' in strategy && strategy.user, 'owner' in strategy && strategy.owner];
  for (const name of names) {
    const reason = typeof name === 'string' ? whyNoName(engine, name) : undefined;
    if (reason !== undefined) return reason;
  }
  if (one !== undefined && one === other) {
    return `Both users are ${one}: two names are needed, for the one is closed while the other is in use.`;
  }
  return undefined;
}

/** What a user's name may be at most. A longer one is refused by the server, or cut without a word (PostgreSQL). */
const LONGEST_NAME = {
  // Bytes: NAMEDATALEN - 1.
  postgres: { most: 63, unit: 'bytes', count: (name: string) => Buffer.byteLength(name) },
  // The column User of mysql.user.
  mysql: { most: 32, unit: 'characters', count: (name: string) => [...name].length },
  // That of mysql.global_priv.
  mariadb: { most: 128, unit: 'characters', count: (name: string) => [...name].length },
} as const;

function whyNoName(engine: Engine, name: string): string | undefined {
  const { most, unit, count } = LONGEST_NAME[ENGINES[engine]];
  if (count(name) > most) {
    return `The user name ${name} has ${count(name)} ${unit}, and ${engine} takes ${most} at most. Choose a shorter one.`;
  }
  // MySQL and MariaDB compare names as if trailing spaces were not there.
  if (name === '' || name !== name.trim()) {
    return `The user name "${name}" is empty or has a space at its beginning or end. Choose another one.`;
  }
  return undefined;
}

/** AWS's own functions name a user's second self so. */
const SECOND_USER_SUFFIX = '_clone';

/**
 * The two users of `alternating-users`, given the name of either.
 * @throws RotationRefused if it is neither, or a name is none of which the engine can have two.
 */
export function alternatingUsers(
  engine: Engine,
  strategy: { users?: readonly [string, string] },
  username: string,
): { one: string; other: string; lockName: string } {
  const first = username.endsWith(SECOND_USER_SUFFIX)
    ? username.slice(0, -SECOND_USER_SUFFIX.length)
    : username;
  const [a, b] = strategy.users ?? [first, `${first}${SECOND_USER_SUFFIX}`];
  if (username !== a && username !== b) {
    throw new RotationRefused(
      `The secret's user is ${username}, but ${a} and ${b} are configured to alternate. Correct the one or the other.`,
    );
  }
  const reason = whyImpossible(engine, { kind: 'alternating-users', users: [a, b] });
  if (reason !== undefined) throw new RotationRefused(reason);
  return { one: username, other: username === a ? b : a, lockName: a };
}

/** @throws RotationRefused if the administrator of a migration is one of the two users. */
export function refuseChangeOfItself({ username }: Pick<Login, 'username'>, users: readonly string[]): void {
  if (users.includes(username))
    throw new RotationRefused(
      `${username} cannot change itself. Let another one do it, and give the application a user of its own if it logs in as the administrator.`,
    );
}
