import type { Login } from '../../functions/shared/database/contract/engine.ts';
import type { Certificate } from './certificate.ts';
import type { RowCounts } from './message-store.ts';

/** The databases of one client on a real server, and who may log in there. */
export interface ClientDatabase {
  /** The server's, on loopback. */
  port: number;
  count(): Promise<RowCounts>;
  /** Makes the user of a database-size, who may connect to the client's databases and read no row. */
  createSizeUser(username: string): Promise<Login>;
  /** Makes what a rotation needs, with no more rights than the documentation asks for. */
  createUsers(): Promise<ClientUsers>;
  /**
   * Opens a connection as the client's containers do, and reads. Returns the way to close it.
   * @param address from which it is opened. @default any
   */
  logIn(login: Login, address?: string): Promise<() => Promise<void>>;
  /** Starts a read replica, of a server that was started so that one can follow it. @default none can be had of this engine */
  startReplica?(certificate: Certificate): Promise<ClientReplica>;
  /** Has the server do a statement, as a person does who administers it. */
  administer(statement: string, values?: unknown[]): Promise<void>;
  /** Deletes the databases. */
  drop(): Promise<void>;
}

/** A server that follows that of a client. */
export interface ClientReplica extends Pick<ClientDatabase, 'port' | 'logIn'> {
  stop(): Promise<void>;
}

/** Who logs in to a client's databases. */
export interface ClientUsers {
  /** Whom the containers log in as at first. */
  user: Login;
  /** Who changes their password. Undefined: the user itself. */
  administrator: Login | undefined;
}

/** How the client's containers reach their server. */
export interface ClientAddress {
  /** The name in the server's certificate. */
  host: string;
  /** PEM. */
  certificateAuthority: string;
}

/** A password that no pattern of ours would miss. */
export function anyPassword(): string {
  return `Pw1-${crypto.randomUUID()}`;
}
