import type { SeenLogin, SeenLogins } from '../shared/database/contract/rotation.ts';

/** Whether the new tasks of a service log in with the new credential. */
export interface Proof {
  answer: 'proven' | 'disproven' | 'unknown';
  /** New tasks that run. */
  tasks: number;
  /** Those of them that the server has seen log in as the new credential's user. */
  seen: number;
  /** What was seen and what not, in a sentence for people. */
  evidence: string;
  /** What to do about it, where it is not proven. */
  next: string;
  /** Nothing speaks for a mistake, but that it is not known. */
  isHarmless: boolean;
  /** Logins that were refused since the delivery, of anybody or of these tasks. */
  refused: number;
  /** A later look may find another answer. */
  mayChange: boolean;
  /** The database has answered. */
  isRead: boolean;
  /** Tasks were not seen that should have been, by a server that does not tell who is refused. */
  isMissing: boolean;
  /** An earlier run has made these tasks, and none was seen, by such a server, though it shows those of other services. */
  isSilent: boolean;
}

/** What is known of a service's tasks and of the logins that the database has seen. */
export interface Seen {
  /** New tasks that run; `addresses`: that no other task has. */
  tasks: { id: string; addresses: string[] }[];
  /** What the database shows since the delivery; or why it could not be asked. */
  logins:
    | { kind: 'done'; value: SeenLogins }
    | { kind: 'failed'; message: string }
    /** Before the roll: what it shows now may be from long ago. */
    | { kind: 'not-comparable'; message: string };
  /** The new credential's user. */
  username: string;
  /** Old and new tasks log in as the same user, with two passwords: where the server does not tell which, ECS does. */
  sameUser: boolean;
  /** The task definition takes the credential from the secret, or from a copy that is written in the delivery. */
  isGiven: boolean;
  /** Of the tasks that were replaced, or are to be: how many there were, and how many the database had seen log in. */
  before: { tasks: number; seen: number };
  /** Addresses that such tasks had: what comes from there may be of a task that has ended. @default none */
  addressesBefore?: readonly string[];
  /** Where the new tasks have no addresses of their own. @default they have */
  hosts?: Hosts;
  /** Tasks that are to be replaced, of any service, were seen by their addresses: nothing hides those. @default false */
  showsAddresses?: boolean;
  /** Tasks that the service is to run, and that do not run now. @default 0 */
  missing?: number;
}

/** Hosts whose addresses the new tasks share. ECS does not tell those: only how many there are is known. */
export interface Hosts {
  /** How many run new tasks, of whichever service. */
  count: number;
  /** One of them runs several. */
  areShared: boolean;
  /** Addresses that other new tasks have for themselves. */
  others: readonly string[];
  /** Nobody but tasks logs in as the user, as we do where there is no administrator. */
  canBeTold: boolean;
}

/** More of a kind nobody reads, and a run's history holds each look. */
const MOST_NAMED = 20;

/**
 * Judges the evidence. Only what was seen disproves: a task that was not may not have tried yet, or be slow. Nothing is proven
 * while tasks are missing: those that cannot log in may end themselves, and run at no look.
 */
export function judgeLogins(known: Seen): Proof {
  const proof = judgeRunning(known);
  const { missing = 0, tasks } = known;
  if (missing <= 0 || proof.answer === 'disproven') return proof;
  return {
    ...proof,
    answer: 'unknown',
    isHarmless: false,
    mayChange: true,
    isMissing: true,
    evidence: `${missing} of its tasks do not run, of which nobody knows whether they end because they cannot log in.${tasks.length > 0 ? ` ${proof.evidence}` : ''}`,
    next: `See in ECS, and in the log of its containers, why its tasks end. If they cannot log in, ${WRONG_SOURCE}`,
  };
}

function judgeRunning(known: Seen): Proof {
  const {
    tasks,
    logins,
    username,
    sameUser,
    isGiven,
    before,
    addressesBefore = [],
    showsAddresses = false,
  } = known;
  const count = tasks.length;
  const base = {
    tasks: count,
    seen: 0,
    isHarmless: false,
    refused: 0,
    mayChange: false,
    isRead: true,
    isMissing: false,
    isSilent: false,
    next: '',
  };
  if (count === 0)
    return {
      ...base,
      answer: 'proven',
      isHarmless: true,
      evidence: 'No new task runs, so that none can be wrong.',
    };
  if (logins.kind === 'failed')
    return {
      ...base,
      answer: 'unknown',
      mayChange: true,
      isRead: false,
      evidence: `The database could not be asked who logs in: ${logins.message}`,
      next: 'Mend this; the next run looks again.',
    };
  if (logins.kind === 'not-comparable')
    return {
      ...base,
      answer: 'unknown',
      isRead: false,
      evidence: `The database could not be asked before the roll who logs in, so that nobody knows which logins are new: ${logins.message}`,
      next: 'Mend this; the next run looks again.',
    };
  const { from, refusedFrom, refused = 0, grant } = logins.value;
  const ids = (some: Seen['tasks']) =>
    some
      .slice(0, MOST_NAMED)
      .map(({ id, addresses }) => `${id} (${addresses.join(', ')})`)
      .join(', ') + (some.length > MOST_NAMED ? ` and ${some.length - MOST_NAMED} more` : '');
  const timesRefused = ({ addresses }: Seen['tasks'][number]) =>
    addresses
      .filter((address) => !addressesBefore.includes(address))
      .reduce((sum, address) => sum + (refusedFrom?.[address] ?? 0), 0);
  const refusedTasks = tasks.filter((task) => timesRefused(task) > 0);
  if (refusedTasks.length > 0) {
    const times = refusedTasks.reduce((sum, task) => sum + timesRefused(task), 0);
    return {
      ...base,
      answer: 'disproven',
      refused: times,
      evidence: `The database refused ${times} logins of its new tasks ${ids(refusedTasks)}.`,
      next: capitalized(WRONG_SOURCE),
    };
  }
  if (from === undefined)
    return {
      ...base,
      answer: 'unknown',
      refused,
      isHarmless: refused === 0,
      evidence: `The administrator may not see who logs in from where.${refusedText(refused)}`,
      next: `An administrator lets it see that${grant === undefined ? '' : `: ${grant}`}.`,
    };
  const isNew = (login: SeenLogin) => login.username === username && login.isOld !== true;
  const isSurelyNew = (login: SeenLogin) => isNew(login) && (!sameUser || login.isOld === false);
  /** A task before it at the same address can have logged in with the old credential only. */
  const logged = from.filter((login) => isSurelyNew(login) || !addressesBefore.includes(login.address));
  const seenAs = (applies: (login: SeenLogin) => boolean) =>
    tasks.filter(({ addresses }) =>
      logged.some((login) => addresses.includes(login.address) && applies(login)),
    );
  const others = seenAs((login) => !isNew(login));
  if (others.length > 0)
    return {
      ...base,
      answer: 'disproven',
      refused,
      evidence: `Its new tasks ${ids(others)} log in ${sameUser ? 'with the old password' : `as the old user, not as ${username}`}.`,
      next: capitalized(WRONG_SOURCE),
    };
  if (tasks.some(({ addresses }) => addresses.length === 0)) {
    const { hosts } = known;
    const from = new Set(
      logged
        .filter((login) => isSurelyNew(login) && !hosts?.others.includes(login.address))
        .map(({ address }) => address),
    );
    const canBeTold = hosts?.canBeTold && !hosts.areShared && refused === 0;
    // A stranger among them would make one more than there are hosts.
    if (canBeTold && from.size === hosts.count)
      return {
        ...base,
        seen: count,
        answer: 'proven',
        isHarmless: true,
        evidence: `Each of the ${hosts.count} hosts with new tasks has one, and the database has seen logins with the new credential from as many addresses.`,
      };
    return {
      ...base,
      answer: 'unknown',
      refused,
      mayChange: canBeTold === true && from.size < hosts.count,
      isHarmless: refused === 0,
      evidence: `Its tasks share the addresses of their hosts, so that the database does not tell whose sessions it has${canBeTold ? ` (${hosts.count} hosts with one new task each, logins with the new credential from ${from.size} addresses)` : ''}.${refusedText(refused)}`,
      next: 'Give the tasks the network mode awsvpc; or an administrator, two users by turns and a host for each task, so that addresses can be counted. Or say whenUnproven: "retire" once you have seen in their log that they log in.',
    };
  }
  const seen = seenAs(isNew).length;
  const found = { ...base, seen, refused };
  // Tasks that never log in are among the new ones as they were among the old.
  const silent = before.tasks - before.seen;
  // One of those that were not seen may be the one that is refused.
  const isSomebodyRefused = refused > 0 && refusedFrom === undefined && seen < count;
  const isProven =
    seen === count ||
    (seen > 0 && (before.tasks === 0 || before.seen > 0) && seen >= count - silent && !isSomebodyRefused);
  if (seen > 0 && (isProven || (before.tasks === 0 && refused === 0))) {
    const isTold = seenAs(isSurelyNew).length === seen;
    const evidence = `The database has seen ${seen} of its ${count} new tasks log in as ${username}, each from its own address${sameUser && isTold ? ' and with the new password' : ''}.`;
    if (isTold || isGiven) return { ...found, answer: 'proven', isHarmless: true, evidence };
    return {
      ...found,
      answer: 'unknown',
      isHarmless: refused === 0,
      evidence: `${evidence} Both passwords are of this user, and its task definition does not say which one a container is given.${refusedText(refused)}`,
      next: 'Let the task definition name the secret, or the copy, in "secrets", or the server tell which password is used (MySQL: log_error_verbosity = 3 and GRANT SELECT ON performance_schema.error_log). Or say whenUnproven: "retire" once you have seen that the containers read the place that the configuration names.',
    };
  }
  const absent = `The database has seen ${seen} of its ${count} new tasks log in as ${username}`;
  const wanted = Math.max(0, count - silent);
  if (before.seen > 0 && seen < wanted && refused > 0)
    return {
      ...found,
      answer: 'disproven',
      mayChange: true,
      evidence: `${absent}; before the roll ${before.seen} of ${before.tasks} did.${refusedText(refused)}`,
      next: capitalized(WRONG_SOURCE),
    };
  const countsRefused = logins.value.refused !== undefined || refusedFrom !== undefined;
  const wasSeen = before.seen > 0 || before.tasks === 0;
  return {
    ...found,
    answer: 'unknown',
    mayChange: wasSeen && (seen < wanted || isSomebodyRefused),
    isMissing: before.seen > 0 && seen < wanted && !countsRefused,
    isSilent: before.tasks === 0 && seen === 0 && showsAddresses && !countsRefused,
    isHarmless: refused === 0 && (!wasSeen || seen >= wanted),
    evidence: `${absent}${before.tasks > 0 ? `; before the roll ${before.seen} of ${before.tasks} did` : ''}.${refusedText(refused)}`,
    next: wasSeen
      ? `See in the log of the containers whether they log in. If they do not, ${WRONG_SOURCE}`
      : 'Something between them and the database, such as a pooler, may have hidden their addresses. See in the log of the containers whether they log in, then say whenUnproven: "retire".',
  };
}

const WRONG_SOURCE =
  'see where its containers read user name and password, and whether that is what the configuration names, to the last character. Mend that and stop those tasks, so that others take their place. The next run goes on from there.';

function refusedText(refused: number): string {
  return refused > 0 ? ` The database refused ${refused} logins meanwhile, it does not tell whose.` : '';
}

function capitalized(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
