import type { Login } from '../contract/engine.ts';
import { isHashOf } from './password-hash.ts';
import type { MysqlSession } from './session.ts';

/** What differs between MySQL and MariaDB. */
export interface MysqlDialect {
  /** The global status that counts refused logins. */
  refusedLoginsStatus: string;
  /** What the server counts of logins by user and address. */
  loginCounts(session: MysqlSession, rotator: string, usernames: readonly string[]): Promise<LoginCounts>;
  /**
   * Which connections were let in with the second one of two passwords; `undefined` where the server does not tell, or not
   * this administrator. @default no such server
   */
  secondPasswordLogins?(
    session: MysqlSession,
    usernames: readonly string[],
  ): Promise<SecondPasswordLogins | undefined>;
  /** All accounts of the users. */
  accounts(session: MysqlSession, admin: Login, usernames: readonly string[]): Promise<Account[]>;
  /** Makes a second password valid beside the current one, which becomes valid again where it was not. */
  addPassword(session: MysqlSession, change: Change & { current: string; next: string }): Promise<void>;
  /** Makes every password but the current one invalid. */
  keepPassword(session: MysqlSession, change: Change & { current: string }): Promise<void>;
  /** Gives locked accounts a password and opens them. */
  openWith(session: MysqlSession, change: Change & { next: string }): Promise<void>;
  lock(session: MysqlSession, change: Change): Promise<void>;
  /** What `CREATE USER` is told so that an account logs in by this plugin with this password, and how that is shown. */
  identifiedBy(plugin: string | undefined, password: string): { clause: string; shown: string };
  /** The statement that gives an account its default roles, of which MariaDB has one. */
  setDefaultRoles(account: string, roles: readonly string[]): string;
  /**
   * The last thing that is done after a second password was added: sees to it that clients go on logging in with the
   * current one. @default nothing, where adding one touches nothing else
   */
  keepLoggingIn?(session: MysqlSession, current: Login, accounts: readonly Account[]): Promise<void>;
  /**
   * What may go wrong with a rotation of these accounts, in sentences for people.
   * @throws RotationRefused where the server would refuse it @default nothing
   */
  preflight?(session: MysqlSession, accounts: readonly Account[]): Promise<string[]>;
}

/** What a server tells of logins with the second one of an account's two passwords. */
export interface SecondPasswordLogins {
  /** The numbers of those connections, also of such that have ended. */
  numbers: Set<number>;
  /** Of connections up to this number it does not know any more. */
  forgottenTo: number;
}

/** A user on a host. */
export interface Account {
  username: string;
  host: string;
  locked: boolean;
  /** The server's hashes of the passwords that log in, in its own order: on MySQL the primary one first. */
  hashes: string[];
}

/** Whose accounts are changed, and by whom. */
export interface Change {
  admin: Login;
  username: string;
  accounts: readonly Account[];
}

/** Whether an account logs in with a password. */
export function hasPassword({ hashes }: Account, { password }: Login): boolean {
  return hashes.some((hash) => isHashOf(password, hash) === true);
}

/** What a server counts of logins by address; each part is absent where it does not, or not for this administrator. */
export interface LoginCounts {
  /** By `address user`. */
  logins?: Record<string, number>;
  /** By address. */
  refusedFrom?: Record<string, number>;
  /** Statements that would let the administrator see what is absent. */
  grants: string[];
}
