import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { RotationRefused } from '../contract/errors.ts';

/** PostgreSQL's own default of `scram_iterations`, and the only number before version 16. */
const DEFAULT_ITERATIONS = 4096;

/**
 * Each login costs its client so many rounds, about half a second of a processor. OWASP's Password Storage Cheat Sheet recommends
 * 600,000; the server would take two thousand million.
 */
const MOST_ITERATIONS = 1_000_000;

/** PostgreSQL's own (`SCRAM_DEFAULT_SALT_LEN`). */
const SALT_BYTES = 16;

/**
 * The SCRAM-SHA-256 verifier of a password, as PostgreSQL stores it (RFC 5803's form): what is sent in place
 * of the password, so that no log of the server can show that.
 *
 * @param salt 16 random bytes unless given.
 * @throws RotationRefused if the iterations are too many, or the password has other characters than printable ASCII: they would have to be normalized first
 * (SASLprep), or the server would refuse the very password.
 */
export function scramVerifier(
  password: string,
  {
    iterations = DEFAULT_ITERATIONS,
    salt = randomBytes(SALT_BYTES),
  }: { iterations?: number; salt?: Buffer } = {},
): string {
  if (iterations > MOST_ITERATIONS) {
    throw new RotationRefused(
      `The server's scram_iterations is ${iterations}, and each login of each client would have to do as many rounds: more than ${MOST_ITERATIONS} are not done here. Nothing was changed. Set it lower (ALTER SYSTEM SET scram_iterations, or the parameter group), or for this administrator alone: ALTER ROLE … SET scram_iterations. Then rotate again.`,
    );
  }
  const other = [...password].find((character) => !/[ -~]/.test(character));
  if (other !== undefined) {
    const point = other.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
    throw new RotationRefused(
      `The new password has the character U+${point}, and is not brought into PostgreSQL's form here, for which others than printable ASCII would have to be normalized (SASLprep). Nothing was changed. Rotate again with an alphabet of printable ASCII.`,
    );
  }
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest('base64');
  const serverKey = hmac(salted, 'Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
