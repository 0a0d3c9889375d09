import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { sessionCipher } from '../../../../functions/shared/ecs-exec/encryption.ts';
import { HandshakeError } from '../../../../functions/shared/ecs-exec/errors.ts';
import { executeCommand } from '../../../../functions/shared/ecs-exec/execute-command.ts';
import { Cloud } from './cloud.ts';
import { base } from './impatient-client.ts';
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

describe('a session that is encrypted by KMS', () => {
  for (const encrypted of ['without-challenge', 'with-challenge'] as const) {
    it(`runs a command, ${encrypted}`, async () => {
      await using cloud = await Cloud.start({ encrypted });
      const result = await executeCommand({ ...base(cloud), command: { script: 'echo secret; exit 1' } });
      assert.ok(result.outcome === 'exited' && result.exitCode === 1);
      assert.equal(result.output.head, 'secret\n');
      const [key] = cloud.calls.filter(({ operation }) => operation === 'GenerateDataKey');
      assert.equal(key?.input.NumberOfBytes, 64);
      const context = Object(key?.input.EncryptionContext);
      assert.equal(
        context['aws:ssm:TargetId'],
        `ecs:upkeep_${cloud.target.task}_${cloud.container.runtimeId}`,
      );
      assert.equal('aws:ssm:RandomChallenge' in context, encrypted === 'with-challenge');
    });
  }

  it('fails with its own error if KMS gives no key, and starts nothing', async () => {
    await using cloud = await Cloud.start({ encrypted: 'with-challenge' });
    cloud.onCall = ({ operation }) =>
      operation === 'GenerateDataKey' ? { error: 'AccessDeniedException', message: 'no' } : undefined;
    const failing = executeCommand({ ...base(cloud), command: ['touch', '/tmp/started'] });
    await assert.rejects(
      failing,
      (error) => error instanceof HandshakeError && /kms:GenerateDataKey/.test(error.message),
    );
    assert.ok(!existsSync(cloud.container.path('/tmp/started')));
  });
});
