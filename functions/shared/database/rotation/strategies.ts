import { ENGINES, type Engine } from '../contract/engine.ts';
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
  if (strategy.kind === 'alternating-users' && postgres && (!strategy.owner || !strategy.users)) {
    // A name out of the secret would do if its password could be proven without a login, as on the other engines.
    return 'On PostgreSQL alternating-users needs `users`, the names of both, and `owner`, the role that owns what they make.';
  }
  return undefined;
}

/** AWS's own functions name a user's second self so. */
const SECOND_USER_SUFFIX = '_clone';

/** The two users of `alternating-users`, given the name of either. */
export function alternatingUsers(
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
  return { one: username, other: username === a ? b : a, lockName: a };
}
