import { createHash, hash as hashOnce, timingSafeEqual } from 'node:crypto';

/** The hash of MySQL's and MariaDB's plugin `mysql_native_password`: unsalted, so it can be made anywhere. */
export function nativePasswordHash(password: string): string {
  const once = createHash('sha1').update(password).digest();
  return `*${createHash('sha1').update(once).digest('hex').toUpperCase()}`;
}

/**
 * Whether a hash that a MySQL server keeps is that of a password.
 * @returns `undefined` if the hash is of a kind that cannot be told from here.
 */
export function isHashOf(password: string, hash: string): boolean | undefined {
  if (/^\*[0-9A-F]{40}$/i.test(hash)) return same(nativePasswordHash(password), hash.toUpperCase());
  // caching_sha2_password: $A$, thousands of rounds in three hexadecimal digits, $, 20 bytes of salt, digest.
  const caching = /^\$A\$([0-9A-F]{3})\$([\s\S]{20})([./0-9A-Za-z]{43})$/i.exec(hash);
  if (caching) {
    const [, thousands = '', salt = '', digest = ''] = caching;
    return same(sha256Crypt(password, salt, Number.parseInt(thousands, 16) * 1000), digest);
  }
  // sha256_password: the Unix form, with its default of 5000 rounds.
  const unix = /^\$5\$(?:rounds=(\d+)\$)?([\s\S]{1,20})\$([./0-9A-Za-z]{43})$/.exec(hash);
  if (unix) {
    const [, rounds = '5000', salt = '', digest = ''] = unix;
    return same(sha256Crypt(password, salt, Number(rounds)), digest);
  }
  return undefined;
}

function same(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}

/**
 * The digest of "Unix crypt using SHA-256" (Ulrich Drepper, version 0.6), of which MySQL's SHA-2 plugins make
 * their hashes, with salts of 20 bytes where the original stops at 16. Without the salt and rounds before it.
 */
export function sha256Crypt(password: string, salt: string, rounds: number): string {
  const key = Buffer.from(password);
  const grain = Buffer.from(salt);
  const alternate = sha256(key, grain, key);
  const parts = [key, grain, repeated(alternate, key.length)];
  for (let bits = key.length; bits > 0; bits >>= 1) parts.push(bits & 1 ? alternate : key);
  let digest = sha256(...parts);
  const p = repeated(sha256(...Array.from({ length: key.length }, () => key)), key.length);
  const s = repeated(sha256(...Array.from({ length: 16 + (digest[0] ?? 0) }, () => grain)), grain.length);
  for (let round = 0; round < rounds; round += 1) {
    const odd = (round & 1) === 1;
    const middle = round % 3 ? (round % 7 ? [s, p] : [s]) : round % 7 ? [p] : [];
    digest = sha256(odd ? p : digest, ...middle, odd ? digest : p);
  }
  return encoded(digest);
}

function sha256(...parts: readonly Buffer[]): Buffer {
  return hashOnce('sha256', Buffer.concat(parts), 'buffer');
}

/** The bytes over and over, to a length. */
function repeated(bytes: Buffer, length: number): Buffer {
  return length === 0 ? Buffer.alloc(0) : Buffer.alloc(length, bytes);
}

const DIGITS = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Crypt's own base 64: groups of three bytes, each from another third of the digest, least digit first. */
function encoded(digest: Buffer): string {
  const byte = (place: number) => digest[place] ?? 0;
  let text = '';
  const put = (value: number, digits: number) => {
    for (let n = 0; n < digits; n += 1) text += DIGITS[(value >> (6 * n)) & 63];
  };
  // The specification lists the places: 0 10 20, 21 1 11, 12 22 2, and so on.
  for (let group = 0; group < 10; group += 1) {
    const first = (21 * group) % 30;
    put((byte(first) << 16) | (byte((first + 10) % 30) << 8) | byte((first + 20) % 30), 4);
  }
  put((byte(31) << 8) | byte(30), 3);
  return text;
}
