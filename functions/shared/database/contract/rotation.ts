import type { Login } from './engine.ts';

/** How a password is replaced while containers that read it at their start go on. */
export type Strategy =
  /** MySQL 8.0.14 and later, Aurora MySQL 3, MariaDB 10.4 and later: one user with two valid passwords. */
  | { kind: 'dual-password' }
  /**
   * Two users of the same rights, by turns; containers must take the user name from the secret too.
   * `users`: their names, on MySQL and MariaDB by default that in the secret and the same with `_clone` after it, as AWS's
   * own rotation functions name them. `owner`: on PostgreSQL, the role that both act as, by default the first user.
   */
  | {
      kind: 'alternating-users';
      users?: readonly [string, string];
      owner?: string;
      storeAs?: PasswordForm;
    }
  /** PostgreSQL, a fixed user name: logins with the old password fail from the rotation until the restart. */
  | { kind: 'single-password'; user: string; storeAs?: PasswordForm };

/**
 * In which PostgreSQL may be told to keep new passwords, whatever the one before is kept in: a client that knows only md5
 * cannot log in then. @default that of the current password
 */
export type PasswordForm = (typeof PASSWORD_FORMS)[number];

/** Forms in which PostgreSQL can be told to store a password. */
export const PASSWORD_FORMS = ['scram-sha-256'] as const;

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
  pending: TestedLogin;
  /**
   * Reads the credential in use; `undefined` if the pending one has become that. Called under the database's lock, so
   * that a late call does not bring back what was retired meanwhile.
   */
  current(): Promise<TestedLogin | undefined>;
  /** The credential before the current one, asked for only where it is needed to tell two states apart. */
  previous(): Promise<Login | undefined>;
}

/** What Secrets Manager holds at one moment. */
export interface SecretState {
  current: Login;
  /** That of a rotation that has begun and not ended, once it has a value. */
  pending: Login | undefined;
}

export interface RetireRequest {
  admin: Login;
  /** The secret's user: of alternating users, either. */
  username: string;
  /** Reads Secrets Manager. Called under the database's lock, so that no rotation changes the database meanwhile. */
  read(): Promise<SecretState>;
  /**
   * Seconds for which sessions of the old user, or with the old password where the server tells, are looked for before it
   * is closed, since connections may be short. Well under the 10 for which others wait for the lock. @default 0
   */
  patience?: number;
}

export interface UndoRequest {
  admin: Login;
  current: Login;
  /** The credential of a rotation that has begun and will not be ended. */
  abandoned: Login;
}

/** Which logins are asked for. */
export interface LoginQuestion {
  /** Of the database's users. */
  usernames: readonly string[];
  /** Of an earlier look: what came before it does not count. @default everything that the server still knows */
  since?: LoginMark;
  /** Whether sessions that are older than that, and still there, count too. @default false */
  olderSessions?: boolean;
  /** Of clients: the look ends when a login of each was seen. */
  addresses: readonly string[];
  /** Seconds for which to look on until then, since connections may be short. @default 0 */
  patience?: number;
  /**
   * The old one of a user's two passwords, if it is still valid. A server that seems to note logins with it is tried: what its
   * log leaves out, by whatever filter, only that shows. @default none, and the mark does not say that it notes them
   */
  old?: Login;
}

/** A moment in the life of a server, to be kept between two looks. */
export interface LoginMark {
  /** In the server's own measure: the highest number of a connection, or the time on its clock. */
  at: string;
  /** How many logins of a user it had seen from an address, by `address user`; only where it counts them. */
  logins: Record<string, number>;
  /** How many it had refused an address, whatever user was named; only where it counts them. */
  refusedFrom: Record<string, number>;
  /** How many it had refused anybody; only where it counts them. */
  refused?: number;
  /** When the server was started, and when the mark was made, on its clock: seconds. Only where it counts since its start. */
  life?: { startedAt: number; at: number };
  /** It notes each login with the second one of a user's two passwords: one was seen there. */
  tellsPasswords?: true;
}

/** Somebody who has logged in. */
export interface SeenLogin {
  address: string;
  username: string;
  /** Whether it was with the second one of the user's two passwords, which is the old one. Absent: the server does not tell. */
  isOld?: boolean;
}

/** What a server shows of logins. */
export interface SeenLogins {
  mark: LoginMark;
  /** Who logged in from where. Absent: the administrator may not see it. */
  from?: SeenLogin[];
  /** How many logins were refused an address. Absent: the server does not tell, or not this administrator. */
  refusedFrom?: Record<string, number>;
  /** How many logins were refused anybody. Absent: the server does not count them, or was restarted. */
  refused?: number;
  /** The statement that would let the administrator see more. */
  grant?: string;
}

/** A login into the database that containers name. */
export interface TestedLogin extends Login {
  /** As in a secret. @default that of the address */
  dbname?: string;
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
   * Proves that a credential is of use: logs in with it as containers do, and makes one request.
   * @param model reads the login in use. Called for alternating users: the other one must be able to do the same.
   * @throws LoginRefused, DatabaseUnreachable, RotationRefused
   */
  test(login: TestedLogin, model?: () => Promise<TestedLogin>): Promise<void>;
  /** Whether a credential other than the current one is still valid, left by this rotation or another. */
  retained(admin: Login, current: Login): Promise<boolean>;
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
  /** Who has logged in from where, and who was refused. What the administrator may not see is left out, and said. */
  logins(admin: Login, question: LoginQuestion): Promise<SeenLogins>;
  /**
   * What may have logins refused though old and new credential are both valid, in sentences for people.
   * @throws RotationRefused, MissingPrivilege where a rotation would be refused after it has begun
   */
  preflight(admin: Login, current: Login): Promise<string[]>;
  /** Refused logins since the server's start, of anybody; `undefined` where the server does not count them. */
  refusedLogins(admin: Login): Promise<number | undefined>;
}

/** Those methods in which an engine's strategies differ. */
export type StrategyMethods = Pick<
  CredentialRotation,
  'nextUsername' | 'set' | 'retained' | 'retire' | 'undo'
>;
