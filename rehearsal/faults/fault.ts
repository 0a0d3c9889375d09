import type { Outcome } from '../../functions/shared/run/report.ts';
import type { CredentialName, ServiceName } from '../shop/readers.ts';
import type { PlayedShop } from '../shop/shop.ts';
import type { ClientScript, PlayedDeployment, World } from '../world.ts';

export const MINUTE = 60 * 1000;
export const HOUR = 60 * MINUTE;

/** The evening of a Sunday, on which media-gc is due. */
export const SUNDAY = Date.parse('2026-11-29T21:00:00Z');

/**
 * The evening of a Tuesday that is at most a week ahead, for what the real clock has a say in, as in how long a certificate
 * holds. On a Tuesday no clock is changed.
 */
export function eveningToCome(): number {
  const evening = new Date();
  evening.setUTCHours(21, 0, 0, 0);
  do evening.setUTCDate(evening.getUTCDate() + 1);
  while (evening.getUTCDay() !== 2);
  return evening.getTime();
}

/** Something that goes wrong in a night, and what must then come of it. */
export type AnyFault = Fault | ShopFault;

/** It strikes a deployment of the client; the others have a good night. */
export interface Fault extends FaultParts {
  deployment: 'latam' | 'emea' | 'apac';
  /** Before the night begins. What is to happen in the middle of it is put into the hooks or on the clock. */
  strike(target: PlayedDeployment, world: World, hooks: Hooks): void | Promise<void>;
}

/** It strikes the shop, which is made of the general constructs alone. */
export interface ShopFault extends FaultParts {
  deployment: 'shop';
  /** Whether it is about a command in one place, which needs neither the shop's database nor what reads from it. */
  commandsOnly?: true;
  strike(target: PlayedShop, world: World): void | Promise<void>;
}

interface FaultParts {
  description: string;
  /** Whether it needs the client's containers, which other nights do without. */
  containers?: true;
  /** Whether it is about the rotation of the database's password, which other nights do without. Needs containers. */
  rotation?: true;
  /** Of the deployment that is struck, where it is not that of the sample. @default 'mysql' for apac */
  engine?: 'mariadb';
  /**
   * Whether each task of the client of Meta's template has an address of its own (`awsvpc`), which by the template none has: only
   * so does the database tell whose a login is.
   */
  ownAddresses?: true;
  /** Whether a replica follows the database. */
  replica?: true;
  /** Whether rows, files, logs and passwords must be as after a good night, and the figures of the reports as those. */
  asAfterAGoodNight?: true;
  /** Whether a function may be cut while it tells its report, so that the same one can come twice. */
  cutsReports?: true;
  /** What did not come of the strike itself, after the night. */
  mismatches?: () => string[];
  /** Why it cannot be had on this machine; undefined where it can. @default it can */
  unavailable?: () => string | undefined;
  /** Outcomes of the runs of the deployment that is struck, and the alarms that ring. */
  expected: Expectation;
  /** When the night begins, in epoch milliseconds. @default the evening of a Tuesday, of which no weekly job is due */
  starts?: number;
  /** How long to play, in milliseconds. @default one night */
  lasts?: number;
}

/** Called at what happens in the client that is struck. */
export type Hooks = Pick<ClientScript, 'onRequest' | 'onCollection'>;

/** What must come of a night for one deployment. */
export interface Expectation {
  /** Of its runs, by job, in order. A job that is not named has a success each time that it is due. */
  outcomes: Record<string, Outcome[]>;
  /** The names of all alarms that ring, and send a message: each once, or as often as it stands here. */
  alarms: string[];
  /** Those that ring and send none, for another one tells of the same cause. @default none */
  onlyShown?: string[];
  /** Why more than one message is right, where more is sent: of what two causes, or of what news. */
  severalMessages?: string;
  /** Whether rotated logs are lost, for their disk was nearly full and they could not be kept. */
  losesLogs?: true;
  /** Whether the containers may log in with the old password too when the night is over, as with the new one. */
  bothPasswords?: true;
  /** Of the shop: whose old password logs in when the night is over, as the new one does. @default none */
  oldPasswords?: CredentialName[];
  /** Of the shop: services whose tasks lack a version that is in use. @default none */
  behind?: ServiceName[];
  /** What the runs' reports must say among their problems, sentences with what to do next. @default nothing in particular */
  problems?: RegExp[];
  /** What AWS refuses in this night, by its sentences. @default nothing may be refused */
  refusals?: RegExp;
  /** Those that ring besides where the tables are large, as they are in the nights of `npm start`. @default none */
  alarmsOfLargeTables?: string[];
}

/** Why a large table has a message of its own. */
export const LARGE =
  'That garbage was not collected is one thing to do; that the table is by then too large for the client is news, and another.';

/** Of what the runs get over by themselves. */
export const GOOD: Expectation = { outcomes: {}, alarms: [] };

export function isGcRequest({ path }: { path: string }): boolean {
  return path === '/v1/services/message/gc';
}

/** Acts at the first thing that it applies to. */
export function once<T>(applies: (value: T) => boolean, action: () => unknown): (value: T) => void {
  let done = false;
  return (value) => {
    if (done || !applies(value)) return;
    done = true;
    action();
  };
}
