import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { sessionCipher } from '../../../../functions/shared/ecs-exec/encryption.ts';
import { HandshakeError } from '../../../../functions/shared/ecs-exec/errors.ts';
import { NO_VECTORS, vectors } from './vectors.ts';

describe('the encryption of a session', () => {
  it("reads what AWS's own ciphers wrote, in both directions", { skip: NO_VECTORS }, () => {
    if (vectors === undefined) return;
    const { dataKeyPlaintextBase64, agentToClient, clientToAgent } = vectors.crypto;
    const dataKey = Buffer.from(dataKeyPlaintextBase64, 'base64');
    for (const { plaintextBase64, wireBase64 } of agentToClient) {
      const plaintext = sessionCipher(dataKey, 'client').decrypt(Buffer.from(wireBase64, 'base64'));
      assert.equal(plaintext.toString('base64'), plaintextBase64);
    }
    for (const { PlaintextBase64, WireBase64 } of clientToAgent) {
      const plaintext = sessionCipher(dataKey, 'agent').decrypt(Buffer.from(WireBase64, 'base64'));
      assert.equal(plaintext.toString('base64'), PlaintextBase64);
    }
  });

  it('writes 28 bytes more than it was given, which the other end reads', () => {
    const dataKey = randomBytes(64);
    const wire = sessionCipher(dataKey, 'client').encrypt(Buffer.from('ls\r'));
    assert.equal(wire.length, 3 + 28);
    assert.equal(sessionCipher(dataKey, 'agent').decrypt(wire).toString(), 'ls\r');
  });

  it('refuses what was changed, cut, or encrypted by the wrong end', () => {
    const dataKey = randomBytes(64);
    const client = sessionCipher(dataKey, 'client');
    const wire = sessionCipher(dataKey, 'agent').encrypt(Buffer.from('output'));
    const changed = Buffer.from(wire);
    changed[13] = (changed[13] ?? 0) ^ 1;
    for (const bad of [
      changed,
      wire.subarray(0, 20),
      wire.subarray(0, -1),
      client.encrypt(Buffer.from('x')),
    ]) {
      assert.throws(() => client.decrypt(bad), HandshakeError);
    }
    assert.throws(() => sessionCipher(randomBytes(32), 'client'), /data key of 32 bytes/);
  });
});
