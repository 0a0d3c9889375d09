import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/** PostgreSQL's own default (`scram_iterations`). */
const ITERATIONS = 4096;

/** PostgreSQL's own (`SCRAM_DEFAULT_SALT_LEN`). */
const SALT_BYTES = 16;

/**
 * The SCRAM-SHA-256 verifier of a password, as PostgreSQL stores it (RFC 5803's form): what is sent in place
 * of the password, so that no log of the server can show that. The password must be ASCII: others would have to be
 * normalized first (SASLprep).
 *
 * @param salt 16 random bytes unless given.
 */
export function scramVerifier(password: string, salt: Buffer = randomBytes(SALT_BYTES)): string {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest('base64');
  const serverKey = hmac(salted, 'Server Key').toString('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
