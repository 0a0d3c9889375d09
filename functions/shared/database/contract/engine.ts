/** Where a database listens, and how its certificate is checked. */
export interface DatabaseAddress {
  /** What kind of server it is. */
  engine: Engine;
  /** A name that stands in the server's certificate. */
  host: string;
  /** The TCP port on which it listens. */
  port: number;
  /** The database to connect to. @default `postgres` on PostgreSQL, none on the others. */
  database?: string;
  /** The certificate authorities to trust: PEM, or `rds` for those of Amazon RDS and Aurora. */
  certificateAuthority: string;
}

/** The engines of AWS's own JSON form, by the driver that speaks to them. */
export const ENGINES = {
  mysql: 'mysql',
  'aurora-mysql': 'mysql',
  mariadb: 'mariadb',
  postgres: 'postgres',
  'aurora-postgresql': 'postgres',
} as const;

/** As in a secret's `engine`. */
export type Engine = keyof typeof ENGINES;

/** Engines that are rotated in the same way. */
export type EngineFamily = (typeof ENGINES)[Engine];

/** A user name with its password. */
export interface Login {
  /** The database's user. */
  username: string;
  /** Its password, in plain text. */
  password: string;
}
