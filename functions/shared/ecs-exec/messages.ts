/** The texts that messages of the data channel carry, in the field order of AWS's own programs. */

/** The first message on the websocket, a text: who is connecting, and by what token. */
export function openDataChannel(fields: {
  /** A UUID, new for each connection. */
  requestId: string;
  token: string;
  /** A UUID that stays the same over the reconnections of one client. */
  clientId: string;
  clientVersion: string;
}): string {
  return goJson({
    MessageSchemaVersion: '1.0',
    RequestId: fields.requestId,
    TokenValue: fields.token,
    ClientId: fields.clientId,
    ClientVersion: fields.clientVersion,
  });
}

/** The message that is acknowledged. */
export interface Acknowledged {
  messageType: string;
  messageId: string;
  sequenceNumber: bigint;
}

export function acknowledgement({ messageType, messageId, sequenceNumber }: Acknowledged): string {
  // By hand, because a JSON number of JavaScript cannot hold 64 bits.
  return `{"AcknowledgedMessageType":${goJson(messageType)},"AcknowledgedMessageId":${goJson(messageId)},"AcknowledgedMessageSequenceNumber":${sequenceNumber},"IsSequentialMessage":true}`;
}

/** The sequence number that an acknowledgement names; nothing else of it counts. Undefined if it names none. */
export function acknowledgedSequenceNumber(payload: Uint8Array): bigint | undefined {
  const found = /"AcknowledgedMessageSequenceNumber"\s*:\s*(\d+)/.exec(Buffer.from(payload).toString('utf8'));
  return found?.[1] === undefined ? undefined : BigInt(found[1]);
}

/** A terminal's size in characters. */
export interface TerminalSize {
  columns: number;
  rows: number;
}

export function terminalSize({ columns, rows }: TerminalSize): string {
  return goJson({ cols: columns, rows });
}

export function readTerminalSize(payload: Uint8Array): TerminalSize | undefined {
  const { cols, rows } = readObject(payload);
  return isCount(cols) && isCount(rows) ? { columns: cols, rows } : undefined;
}

/** The service's last word in a session. */
export interface ChannelClosed {
  messageId: string;
  /** ISO 8601. */
  createdDate: string;
  destinationId: string;
  sessionId: string;
  /** Why it failed, or an empty text. */
  output: string;
}

export function channelClosed(fields: ChannelClosed): string {
  return goJson({
    MessageId: fields.messageId,
    CreatedDate: fields.createdDate,
    DestinationId: fields.destinationId,
    SessionId: fields.sessionId,
    MessageType: 'channel_closed',
    SchemaVersion: 1,
    Output: fields.output,
  });
}

/** What `channel_closed` says of a failure: empty for an orderly end. */
export function channelClosedOutput(payload: Uint8Array): string {
  const { Output: output } = readObject(payload);
  return typeof output === 'string' ? output : '';
}

/** What the agent tells the service of a session. */
export function agentSessionState(fields: { state: 'Connected' | 'Terminating'; sessionId: string }): string {
  return goJson({ SchemaVersion: 1, SessionState: fields.state, SessionId: fields.sessionId });
}

/** Something the agent asks of the client before a session starts. */
export type HandshakeAction =
  | { type: 'SessionType'; sessionType: string }
  | {
      type: 'KMSEncryption';
      keyId: string;
      /** Base64; newer agents only. */
      challenge?: string;
    }
  /** One that this version does not know. */
  | { type: 'unknown'; name: string };

export interface HandshakeRequest {
  agentVersion: string;
  actions: HandshakeAction[];
}

export function handshakeRequest({ agentVersion, actions }: HandshakeRequest): string {
  return goJson({ AgentVersion: agentVersion, RequestedClientActions: actions.map(requestedAction) });
}

function requestedAction(action: HandshakeAction): object {
  switch (action.type) {
    case 'SessionType':
      return {
        ActionType: 'SessionType',
        ActionParameters: { SessionType: action.sessionType, Properties: null },
      };
    case 'KMSEncryption':
      return {
        ActionType: 'KMSEncryption',
        ActionParameters: {
          KMSKeyId: action.keyId,
          ...(action.challenge === undefined ? {} : { Challenge: action.challenge }),
        },
      };
    case 'unknown':
      return { ActionType: action.name, ActionParameters: null };
  }
}

export function readHandshakeRequest(payload: Uint8Array): HandshakeRequest {
  const request = readObject(payload);
  const requested = Array.isArray(request.RequestedClientActions) ? request.RequestedClientActions : [];
  return {
    agentVersion: String(request.AgentVersion ?? ''),
    actions: requested.map((entry: unknown): HandshakeAction => {
      const { ActionType: name, ActionParameters: given } = asObject(entry);
      const parameters = asObject(given);
      if (name === 'SessionType') {
        return { type: 'SessionType', sessionType: String(parameters.SessionType ?? '') };
      }
      if (name === 'KMSEncryption') {
        const { KMSKeyId: keyId, Challenge: challenge } = parameters;
        return {
          type: 'KMSEncryption',
          keyId: String(keyId ?? ''),
          ...(typeof challenge === 'string' && challenge !== '' ? { challenge } : {}),
        };
      }
      return { type: 'unknown', name: String(name ?? '') };
    }),
  };
}

/** What the client did about one action. */
export type ProcessedAction =
  | { type: 'SessionType' }
  | {
      type: 'KMSEncryption';
      /** The data key as KMS encrypted it, base64. */
      cipherTextKey: string;
      /** The agent's random challenge went into the encryption context. */
      challengeAcknowledged: boolean;
    }
  | { type: 'failed'; name: string; error: string }
  | { type: 'unsupported'; name: string };

/** `ActionStatus` of a handshake response: agent/session/contracts/model.go. */
const ActionStatus = { success: 1, failed: 2, unsupported: 3 } as const;

export function handshakeResponse(fields: { clientVersion: string; actions: ProcessedAction[] }): string {
  const processed = fields.actions.map(processedAction);
  const errors = processed.flatMap(({ reason }) => (reason === undefined ? [] : [reason]));
  return goJson({
    ClientVersion: fields.clientVersion,
    ProcessedClientActions: processed.map(({ action }) => action),
    Errors: errors.length === 0 ? null : errors,
  });
}

function processedAction(action: ProcessedAction): { action: object; reason?: string } {
  const succeeded = { ActionStatus: ActionStatus.success };
  switch (action.type) {
    case 'SessionType':
      return { action: { ActionType: action.type, ...succeeded, ActionResult: null, Error: '' } };
    case 'KMSEncryption': {
      const result = {
        KMSCipherTextKey: action.cipherTextKey,
        KMSCipherTextHash: null,
        ...(action.challengeAcknowledged ? { ChallengeAcknowledgement: true } : {}),
      };
      return { action: { ActionType: action.type, ...succeeded, ActionResult: result, Error: '' } };
    }
    case 'failed': {
      const error = `Failed to process action ${action.name}: ${action.error}`;
      const status = { ActionStatus: ActionStatus.failed };
      return {
        action: { ActionType: action.name, ...status, ActionResult: null, Error: error },
        reason: action.error,
      };
    }
    case 'unsupported': {
      const error = `Unsupported action ${action.name}`;
      const status = { ActionStatus: ActionStatus.unsupported };
      return {
        action: { ActionType: action.name, ...status, ActionResult: null, Error: error },
        reason: error,
      };
    }
  }
}

/** A handshake response as the agent looks at it. */
export interface HandshakeResponse {
  clientVersion: string;
  actions: {
    name: string;
    succeeded: boolean;
    error: string;
    cipherTextKey?: string;
    challengeAcknowledged: boolean;
  }[];
}

export function readHandshakeResponse(payload: Uint8Array): HandshakeResponse {
  const response = readObject(payload);
  const processed = Array.isArray(response.ProcessedClientActions) ? response.ProcessedClientActions : [];
  return {
    clientVersion: String(response.ClientVersion ?? ''),
    actions: processed.map((entry: unknown) => {
      const action = asObject(entry);
      const result = asObject(action.ActionResult);
      return {
        name: String(action.ActionType ?? ''),
        succeeded: action.ActionStatus === ActionStatus.success,
        error: String(action.Error ?? ''),
        ...(typeof result.KMSCipherTextKey === 'string' ? { cipherTextKey: result.KMSCipherTextKey } : {}),
        challengeAcknowledged: result.ChallengeAcknowledgement === true,
      };
    }),
  };
}

export function handshakeComplete(fields: {
  /** Nanoseconds. */
  timeToComplete: number;
  customerMessage: string;
}): string {
  return goJson({ HandshakeTimeToComplete: fields.timeToComplete, CustomerMessage: fields.customerMessage });
}

/** Both the agent's challenge and the client's answer: encrypted bytes. */
export function encryptionChallenge(challenge: Uint8Array): string {
  return goJson({ Challenge: Buffer.from(challenge).toString('base64') });
}

export function readEncryptionChallenge(payload: Uint8Array): Buffer {
  const { Challenge: challenge } = readObject(payload);
  return Buffer.from(typeof challenge === 'string' ? challenge : '', 'base64');
}

/** Needs no escaping: what acknowledgements, one for each message, are made of. */
const PLAIN = /^[\w-]*$/;

/** JSON as Go's encoding/json writes it, which escapes five characters that JSON.stringify leaves alone. */
function goJson(value: unknown): string {
  if (typeof value === 'string' && PLAIN.test(value)) return `"${value}"`;
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function readObject(payload: Uint8Array): Record<string, unknown> {
  try {
    return asObject(JSON.parse(Buffer.from(payload).toString('utf8')));
  } catch {
    return {};
  }
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}
