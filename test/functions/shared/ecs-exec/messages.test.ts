import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as messages from '../../../../functions/shared/ecs-exec/messages.ts';
import { NO_VECTORS, vectors } from './vectors.ts';

describe("the texts of AWS's own programs", { skip: NO_VECTORS }, () => {
  const clientVersion = '1.2.0.0';
  const built: Record<string, string> = {
    'OpenDataChannelInput: the first websocket message, a text frame': messages.openDataChannel({
      requestId: 'dd01e56b-ff48-483e-a508-b5f073f31b16',
      token: 'AAEAAexample+token/with=chars',
      clientId: '00112233-4455-6677-8899-aabbccddeeff',
      clientVersion: '1.2.677.0',
    }),
    'acknowledge content': messages.acknowledgement({
      messageType: 'output_stream_data',
      messageId: 'dd01e56b-ff48-483e-a508-b5f073f31b16',
      sequenceNumber: 0n,
    }),
    'channel_closed content, no output': messages.channelClosed(closed('')),
    'channel_closed content, with output': messages.channelClosed(
      closed('Session limit reached <2> & "closed"'),
    ),
    size: messages.terminalSize({ columns: 200, rows: 50 }),
    'size 0': messages.terminalSize({ columns: 0, rows: 0 }),
    'handshake response, session type': messages.handshakeResponse({
      clientVersion,
      actions: [{ type: 'SessionType' }],
    }),
    'handshake response, KMS': messages.handshakeResponse({
      clientVersion,
      actions: [
        { type: 'SessionType' },
        {
          type: 'KMSEncryption',
          cipherTextKey: 'AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qh',
          challengeAcknowledged: false,
        },
      ],
    }),
    'handshake response, KMS failed': messages.handshakeResponse({
      clientVersion,
      actions: [{ type: 'failed', name: 'KMSEncryption', error: 'denied' }],
    }),
    'handshake complete, no message': messages.handshakeComplete({
      timeToComplete: 123456789,
      customerMessage: '',
    }),
    'handshake complete, KMS message': messages.handshakeComplete({
      timeToComplete: 1500000000,
      customerMessage: 'This session is encrypted using AWS KMS.',
    }),
    'handshake complete (agent)': messages.handshakeComplete({
      timeToComplete: 1500000000,
      customerMessage: 'This session is encrypted using AWS KMS.',
    }),
    'handshake request, session type only (agent)': messages.handshakeRequest({
      agentVersion: '3.3.987.0',
      actions: [{ type: 'SessionType', sessionType: 'InteractiveCommands' }],
    }),
    'handshake request, KMS with random challenge (agent)': messages.handshakeRequest({
      agentVersion: '3.3.987.0',
      actions: [
        { type: 'SessionType', sessionType: 'InteractiveCommands' },
        {
          type: 'KMSEncryption',
          keyId: 'arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
          challenge: 'AAECAwQFBgcICQoLDA0ODw==',
        },
      ],
    }),
    'agent_session_state Terminating': messages.agentSessionState({
      state: 'Terminating',
      sessionId: 'ecs-execute-command-0a1b2c3d4e5f60718',
    }),
  };

  for (const { name, json } of vectors?.json ?? []) {
    const text = built[name];
    if (text !== undefined) it(`are made byte for byte: ${name}`, () => assert.equal(text, json));
  }

  it('are all made, but for two that only AWS makes', () => {
    const missing = (vectors?.json ?? []).filter(({ name }) => built[name] === undefined);
    assert.deepEqual(missing.map(({ name }) => name).sort(), [
      'KMS action result with challenge acknowledged (what a new agent accepts)',
      // The plugin answers with status 0, which is no status; we say 3, «unsupported».
      'handshake response, unknown action',
    ]);
  });

  it('are read, whatever their order', () => {
    const acknowledgement = (text: string) => messages.acknowledgedSequenceNumber(Buffer.from(text));
    assert.equal(
      acknowledgement('{"AcknowledgedMessageSequenceNumber": 9007199254740993}'),
      9007199254740993n,
    );
    assert.equal(acknowledgement('{}'), undefined);

    const request = messages.readHandshakeRequest(
      Buffer.from(
        '{"RequestedClientActions":[{"ActionParameters":{"Challenge":"AA==","KMSKeyId":"k"},"ActionType":"KMSEncryption"},{"ActionType":"NewThing"}],"AgentVersion":"3"}',
      ),
    );
    assert.deepEqual(request, {
      agentVersion: '3',
      actions: [
        { type: 'KMSEncryption', keyId: 'k', challenge: 'AA==' },
        { type: 'unknown', name: 'NewThing' },
      ],
    });

    for (const nonsense of ['', '[]', 'null', '{"RequestedClientActions":3}', '{"Output":5}', '{']) {
      const payload = Buffer.from(nonsense);
      assert.equal(messages.channelClosedOutput(payload), '');
      assert.deepEqual(messages.readHandshakeRequest(payload).actions, []);
      assert.deepEqual(messages.readHandshakeResponse(payload).actions, []);
      assert.equal(messages.readTerminalSize(payload), undefined);
      assert.equal(messages.readEncryptionChallenge(payload).length, 0);
    }
  });

  it('are read back as they were meant', () => {
    const kms = (vectors?.frames ?? []).find(({ name }) => name === 'handshake response, KMS');
    const [, action] = messages.readHandshakeResponse(
      Buffer.from(kms?.fields.payloadBase64 ?? '', 'base64'),
    ).actions;
    assert.equal(action?.succeeded, true);
    assert.ok(action?.cipherTextKey);

    const unknown = (vectors?.json ?? []).find(({ name }) => name === 'handshake response, unknown action');
    assert.equal(
      messages.readHandshakeResponse(Buffer.from(unknown?.json ?? '')).actions[0]?.succeeded,
      false,
    );
  });
});

function closed(output: string): messages.ChannelClosed {
  return {
    messageId: '00112233-4455-6677-8899-aabbccddeeff',
    createdDate: '2024-11-24T00:00:00.000Z',
    destinationId: 'ffffffff-ffff-4fff-bfff-ffffffffffff',
    sessionId: 'ecs-execute-command-0a1b2c3d4e5f60718',
    output,
  };
}
