import { constants, createCipheriv, createHash, publicEncrypt, randomBytes } from 'node:crypto';

/**
 * Encrypts a text for the holder of a private key, as text: a random phrase by RSA-OAEP, a point, and by that phrase the text
 * itself, as `openssl enc -aes-256-cbc -md sha256` does. So every OpenSSL since 1.0.2 can undo it.
 *
 * @param publicKey PEM
 */
export function sealFor(publicKey: string, text: string): string {
  const phrase = Buffer.from(randomBytes(32).toString('hex'));
  const salt = randomBytes(8);
  // OpenSSL's own derivation (EVP_BytesToKey) with one round: the phrase is random already.
  const first = createHash('sha256').update(phrase).update(salt).digest();
  const second = createHash('sha256').update(first).update(phrase).update(salt).digest();
  const cipher = createCipheriv('aes-256-cbc', first, second.subarray(0, 16));
  const sealed = Buffer.concat([Buffer.from('Salted__'), salt, cipher.update(text, 'utf8'), cipher.final()]);
  const key = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, phrase);
  return `${key.toString('base64')}.${sealed.toString('base64')}`;
}
