import { existsSync, readFileSync } from 'node:fs';

/** Messages that were made with AWS's own programs: shared/vectors/ssm.json, beside the checkout. */
export interface Vectors {
  frames: { name: string; bytesBase64: string; fields: VectorFields; payloadSha256: string }[];
  serializerRefusals: { name: string; fields: VectorFields; error: string }[];
  parserCases: { name: string; bytesBase64: string; plugin: ParserVerdict; agent: ParserVerdict }[];
  json: { name: string; json: string }[];
  crypto: {
    dataKeyPlaintextBase64: string;
    agentToClient: { plaintextBase64: string; wireBase64: string }[];
    clientToAgent: { PlaintextBase64: string; WireBase64: string }[];
    kmsDecryptContextOldClient: Record<string, string>;
    kmsDecryptContextWhenChallengeAcknowledged: Record<string, string>;
    randomChallengeOfThatAgent: string;
    sessionId: string;
    targetId: string;
  };
  shlex: { command: string; argv?: string[]; error?: string }[];
  agentOutput: {
    name: string;
    ptyReadsBase64: string[];
    sentPayloadsBase64: string[];
    heldBackBase64: string;
  }[];
  pluginSession: PluginEvent[];
}

/** 64-bit numbers are decimal texts. */
export interface VectorFields {
  messageType: string;
  schemaVersion: number;
  createdDate: string;
  sequenceNumber: string;
  flags: string;
  messageId: string;
  payloadType: number;
  payloadBase64: string;
}

interface ParserVerdict {
  stage: 'accepted' | 'deserialize' | 'validate';
  error?: string;
  panic?: string;
  decoded?: VectorFields & { headerLength: number; payloadLengthField: number };
}

/** Something that happened in the recorded session of AWS's session-manager-plugin. */
export interface PluginEvent {
  ms: number;
  connection?: number;
  from?: 'plugin' | 'gateway';
  opened?: string;
  text?: string;
  ping?: string;
  messageType?: string;
  sequenceNumber?: string;
  flags?: string;
  payloadType?: number;
  payload?: string;
  sent?: string;
  stdout?: string;
  http?: string;
  closed?: string;
  exit?: string;
}

const path = new URL('../../../../../shared/vectors/ssm.json', import.meta.url);

/**
 * Undefined where the vectors are not there: tests that need them are then skipped with {@link NO_VECTORS}. A
 * continuous integration without them is broken.
 */
export const vectors: Vectors | undefined = existsSync(path)
  ? JSON.parse(readFileSync(path, 'utf8'))
  : undefined;

export const NO_VECTORS: string | false =
  vectors === undefined &&
  'the vectors (../shared/vectors/ssm.json beside the checkout) are not on this machine';

if (vectors === undefined && process.env.CI) throw new Error(`CI is set, but ${NO_VECTORS}.`);
