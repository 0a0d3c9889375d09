import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { LoginRefused, OldPasswordInUse, RotationBusy, RotationUnfinished } from '../contract/errors.ts';

export function unretired(username: string, what: string): OldPasswordInUse {
  return new OldPasswordInUse(
    `${what}, and containers may still log in with it. Nothing was changed. ` +
      `Let credential-rotation restart the containers and retire it, then rotate ${username} again.`,
  );
}

/** @param from where they come from and what they do, as far as the administrator may see it */
export function stillConnected(
  username: string,
  sessions: number,
  from: readonly SeenSessions[],
): OldPasswordInUse {
  const isIdle = from.length > 0 && from.every(({ idle }) => idle);
  const told = from
    .map(({ count, idle, place }) => `${count} ${idle ? 'idle ' : ''}from ${place}`)
    .join(', ');
  return new OldPasswordInUse(
    `The database has ${sessions} sessions of ${username}${told ? ` (${told})` : ''}: something uses the old credential, be it a task of the services or not. Nothing was retired. ` +
      (isIdle
        ? 'All are idle: a pooler may keep them, which closes them after a time of its own (pgbouncer: server_idle_timeout, 600 seconds by default). Wait for that, or let it reconnect.'
        : 'See in the database where they come from (SHOW PROCESSLIST, pg_stat_activity), and restart that with the new one.'),
  );
}

/** @param from addresses of those who have logged in with it */
export function oldPasswordUsed(username: string, from: readonly string[]): OldPasswordInUse {
  return new OldPasswordInUse(
    `Somebody still logs in as ${username} with the old password (from ${from.join(', ')}), be it a task of the services or not. Nothing was retired. ` +
      "See what that is (SHOW PROCESSLIST, and performance_schema.error_log for the connections' numbers), and restart it with the new one.",
  );
}

/** Sessions that are alike. */
export interface SeenSessions {
  count: number;
  idle: boolean;
  /** An address, with the name of the program if it tells one. */
  place: string;
}

export function unfinished(username: string): RotationUnfinished {
  return new RotationUnfinished(
    `A rotation of ${username} has begun and not ended, and needs the old password. Nothing was retired. ` +
      'Let it end, or repeat it, then retire.',
  );
}

/** @param accounts of the user, those that do not accept it, where a user has several */
export function currentRefused(
  { username }: Login,
  accounts: readonly { host: string }[] = [],
): LoginRefused {
  const on = accounts.length > 0 ? ` on ${accounts.map(({ host }) => host).join(' and ')}` : '';
  return new LoginRefused(
    `The database does not accept the secret's current password for ${username}${on}, so nothing was changed: ` +
      'write the password that the database has into the secret, or set the one of the secret in the database.',
  );
}

/**
 * The lock of a credential was not to be had. Any user of the database may hold a lock of that name.
 * @param holders sessions, as far as the administrator may see them @param end the statement that ends one
 */
export function lockHeld(
  credential: string,
  { host }: DatabaseAddress,
  holders: readonly string[],
  end: string,
): RotationBusy {
  return new RotationBusy(
    `Another rotation or retirement of ${credential} on ${host} is going on${holders.length > 0 ? `, or something else holds its lock: ${holders.join('; ')}` : ''}. Try again when it has ended.` +
      (holders.length > 0 ? ` Where that is none of ours, an administrator ends it: ${end}` : ''),
  );
}

/** Read again right before the statement: another function, which does not know the lock, may have rotated since. */
export function rotatedMeanwhile(username: string): RotationBusy {
  return new RotationBusy(
    `The secret of ${username} was rotated while its old user was looked at. Nothing was retired. Try again.`,
  );
}
