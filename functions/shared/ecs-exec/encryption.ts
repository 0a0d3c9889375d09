import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { HandshakeError } from './errors.ts';

/** One end of a session that is encrypted: each direction has its own half of the data key. */
export interface SessionCipher {
  encrypt(plaintext: Uint8Array): Buffer;
  /** @throws HandshakeError if it was encrypted by another key or changed on the way. */
  decrypt(wire: Uint8Array): Buffer;
}

/** Bytes of the data key that KMS is asked for. */
export const DATA_KEY_LENGTH = 64;

/**
 * AES-256-GCM as Session Manager uses it: nonce, ciphertext, tag; no additional data.
 *
 * @param dataKey 64 bytes: the first half encrypts what the agent sends, the second what the client sends.
 * @param end whose cipher it is
 */
export function sessionCipher(dataKey: Uint8Array, end: 'client' | 'agent'): SessionCipher {
  if (dataKey.length !== DATA_KEY_LENGTH) {
    throw new HandshakeError(`KMS gave a data key of ${dataKey.length} bytes instead of ${DATA_KEY_LENGTH}.`);
  }
  const agentSends = dataKey.subarray(0, DATA_KEY_LENGTH / 2);
  const clientSends = dataKey.subarray(DATA_KEY_LENGTH / 2);
  const [own, other] = end === 'client' ? [clientSends, agentSends] : [agentSends, clientSends];
  return {
    encrypt(plaintext) {
      const nonce = randomBytes(NONCE_LENGTH);
      const cipher = createCipheriv(ALGORITHM, own, nonce);
      return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    },
    decrypt(wire) {
      if (wire.length < NONCE_LENGTH + TAG_LENGTH) {
        throw new HandshakeError(`An encrypted payload of ${wire.length} bytes is too short.`);
      }
      const decipher = createDecipheriv(ALGORITHM, other, wire.subarray(0, NONCE_LENGTH), {
        authTagLength: TAG_LENGTH,
      });
      decipher.setAuthTag(wire.subarray(wire.length - TAG_LENGTH));
      try {
        return Buffer.concat([
          decipher.update(wire.subarray(NONCE_LENGTH, wire.length - TAG_LENGTH)),
          decipher.final(),
        ]);
      } catch (cause) {
        throw new HandshakeError('A payload was not encrypted by the key of this session.', { cause });
      }
    },
  };
}

const ALGORITHM = 'aes-256-gcm';
const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;
