import { randomInt } from 'node:crypto';

/** What a new password is made of. */
export interface PasswordRules {
  /**
   * How many characters.
   * @default 32, as AWS's own rotation functions; RDS takes 8 to 41 for MySQL and MariaDB, to 128 for PostgreSQL.
   */
  length?: number;
  /**
   * The characters to draw from: printable ASCII.
   * @default letters, digits and `-_.`
   */
  alphabet?: string;
  /** Characters of the alphabet that must not appear. @default none */
  exclude?: string;
}

/**
 * What MySQL, PostgreSQL, shells, env files, connection URLs and the client itself (no `?{}&~!()^=`) all take.
 * Letters and digits alone fail MySQL's validate_password at MEDIUM and MariaDB's simple_password_check.
 */
export const DEFAULT_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.';

/** Below it one character of each class leaves little to chance; 8 is also the least that RDS takes. */
const SHORTEST = 8;

/** What RDS for PostgreSQL takes at most. */
const LONGEST = 128;

const CLASSES = [/[A-Z]/, /[a-z]/, /[0-9]/, /[^A-Za-z0-9]/];

/**
 * A random password: a letter first, if the alphabet has one, and each class of character that the alphabet has
 * (upper case, lower case, digit, other) at least once.
 *
 * @throws RangeError if no password can follow the rules.
 */
export function randomPassword(rules: PasswordRules = {}): string {
  const { length = 32, exclude = '' } = rules;
  const alphabet = [...new Set(rules.alphabet ?? DEFAULT_ALPHABET)].filter((c) => !exclude.includes(c));
  if (!Number.isInteger(length) || length < SHORTEST || length > LONGEST) {
    throw new RangeError(`A password's length must be ${SHORTEST} to ${LONGEST}, not ${length}.`);
  }
  // PostgreSQL normalizes other characters before it hashes; ours are taken as they are everywhere.
  if (alphabet.some((character) => !/[!-~]/.test(character))) {
    throw new RangeError("A password's alphabet must be printable ASCII without the space.");
  }
  if (alphabet.length < 2) throw new RangeError("A password's alphabet must have two characters at least.");
  const letters = alphabet.filter((character) => /[A-Za-z]/.test(character));
  const classes = CLASSES.filter((kind) => alphabet.some((character) => kind.test(character)));
  // Drawn until one fits, so that every password that fits is as likely as any other.
  for (;;) {
    const password = Array.from({ length }, (_, place) =>
      draw(place === 0 && letters.length > 0 ? letters : alphabet),
    ).join('');
    if (classes.every((kind) => kind.test(password))) return password;
  }
}

function draw(characters: readonly string[]): string {
  return characters[randomInt(characters.length)] ?? '';
}
