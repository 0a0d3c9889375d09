import type { Login } from '../contract/engine.ts';
import { LoginRefused, OldPasswordInUse, RotationBusy, RotationUnfinished } from '../contract/errors.ts';

export function unretired(username: string, what: string): OldPasswordInUse {
  return new OldPasswordInUse(
    `${what}, and containers may still log in with it. Nothing was changed. ` +
      `Let credential-rotation restart the containers and retire it, then rotate ${username} again.`,
  );
}

export function stillConnected(username: string, sessions: number): OldPasswordInUse {
  return new OldPasswordInUse(
    `The database has ${sessions} sessions of ${username}: something uses the old credential, be it a task of the services or not. Nothing was retired. ` +
      'See in the database where they come from (SHOW PROCESSLIST, pg_stat_activity), and restart that with the new one.',
  );
}

export function unfinished(username: string): RotationUnfinished {
  return new RotationUnfinished(
    `A rotation of ${username} has begun and not ended, and needs the old password. Nothing was retired. ` +
      'Let it end, or repeat it, then retire.',
  );
}

export function currentRefused({ username }: Login): LoginRefused {
  return new LoginRefused(
    `The database does not accept the secret's current password for ${username}, so nothing was changed: ` +
      'write the password that the database has into the secret, or set the one of the secret in the database.',
  );
}

/** Read again right before the statement: another function, which does not know the lock, may have rotated since. */
export function rotatedMeanwhile(username: string): RotationBusy {
  return new RotationBusy(
    `The secret of ${username} was rotated while its old user was looked at. Nothing was retired. Try again.`,
  );
}
