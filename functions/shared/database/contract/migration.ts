import type { TestedLogin } from './rotation.ts';

/** What is to become of a database whose application has one user. */
export interface Migration {
  /** The user that there is, with its password. Both stay as they are. */
  current: TestedLogin;
  /** Both users. @default the current one and the same with `_clone` after it */
  users?: readonly [string, string];
  /** Goes on although something asks for the user's name, which the second user's sessions answer otherwise. */
  acceptLoginNames?: boolean;
  /** Changes nothing, and tells what it would do. */
  dryRun?: boolean;
}

/** What was done, or would be. */
export interface Migrated {
  outcome: 'migrated' | 'was-migrated' | 'would-migrate';
  /** In their order, as far as they hold no password. */
  statements: string[];
  /** What an operator is to know, in sentences. */
  notes: string[];
}

/** Whether both users are open to whoever knows a password of theirs. */
export interface OpenedBoth {
  outcome: 'opened' | 'was-open';
  /** The user that was closed. */
  other: string;
}
