import type { NormalizedSchema } from '@smithy/core/schema';
import { AwsError } from '../aws-error.ts';
import { isRecord } from './values.ts';

export interface Format {
  timestamp(date: Date): unknown;
  blob(bytes: Uint8Array): unknown;
}

export const JSON_FORMAT: Format = {
  timestamp: (date) => date.getTime() / 1000,
  blob: (bytes) => Buffer.from(bytes).toString('base64'),
};

export function encode(schema: NormalizedSchema, value: unknown, path: string, format: Format): unknown {
  if (schema.isDocumentSchema()) return value;
  if (schema.isListSchema()) {
    if (!Array.isArray(value)) throw wrong(path, 'a list', value);
    const items = schema.getValueSchema();
    return value.map((item, index) => encode(items, item, `${path}[${index}]`, format));
  }
  if (schema.isMapSchema()) {
    if (!isRecord(value)) throw wrong(path, 'a map', value);
    const items = schema.getValueSchema();
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, encode(items, item, `${path}.${key}`, format)]),
    );
  }
  if (schema.isStructSchema()) {
    if (!isRecord(value)) throw wrong(path, 'a structure', value);
    const { names, byKey } = membersOf(schema);
    refuseUnknown(value, names, path);
    requireMembers(schema, value, path);
    const result: Record<string, unknown> = {};
    for (const [key, { name, member }] of byKey)
      if (value[name] !== undefined) result[key] = encode(member, value[name], `${path}.${name}`, format);
    return result;
  }
  if (schema.isTimestampSchema()) {
    if (!(value instanceof Date)) throw wrong(path, 'a Date', value);
    return format.timestamp(value);
  }
  if (schema.isBlobSchema()) {
    if (!(value instanceof Uint8Array)) throw wrong(path, 'bytes', value);
    return format.blob(value);
  }
  return scalar(schema, value, path);
}

export function decode(schema: NormalizedSchema, value: unknown, path: string): unknown {
  if (schema.isDocumentSchema()) return value;
  if (schema.isListSchema()) {
    if (!Array.isArray(value)) throw serialization(path);
    const items = schema.getValueSchema();
    return value.map((item, index) => decode(items, item, `${path}[${index}]`));
  }
  if (schema.isMapSchema()) {
    if (!isRecord(value)) throw serialization(path);
    const items = schema.getValueSchema();
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, decode(items, item, `${path}.${key}`)]),
    );
  }
  if (schema.isStructSchema()) return decodeStructure(schema, value, path);
  if (schema.isTimestampSchema()) {
    if (typeof value === 'number') return new Date(value * 1000);
    if (typeof value === 'string') return new Date(value);
    // CBOR's tag 1: epoch seconds.
    if (isRecord(value) && typeof value.value === 'number') return new Date(value.value * 1000);
    throw serialization(path);
  }
  if (schema.isBlobSchema()) {
    if (value instanceof Uint8Array) return value;
    if (typeof value !== 'string') throw serialization(path);
    return new Uint8Array(Buffer.from(value, 'base64'));
  }
  return scalar(schema, value, path);
}

export function decodeStructure(
  schema: NormalizedSchema,
  value: unknown,
  path: string,
): Record<string, unknown> {
  if (!isRecord(value)) throw serialization(path);
  if (schema.isUnitSchema()) return {};
  const { keys, byKey } = membersOf(schema);
  refuseUnknown(value, keys, path);
  const result: Record<string, unknown> = {};
  for (const [key, { name, member }] of byKey) {
    const item = value[key];
    if (item !== undefined && item !== null) result[name] = decode(member, item, `${path}.${name}`);
  }
  requireMembers(schema, result, path);
  return result;
}

interface Members {
  names: ReadonlySet<string>;
  /** As they stand in JSON. */
  keys: ReadonlySet<string>;
  byKey: ReadonlyMap<string, { name: string; member: NormalizedSchema }>;
}

/** By a structure's own schema: the SDK would make each member's anew. */
const MEMBERS = new WeakMap<object, Members>();

function membersOf(schema: NormalizedSchema): Members {
  const raw: unknown = schema.getSchema();
  if (typeof raw !== 'object' || raw === null) throw new TypeError(`${schema.getName()} is no structure`);
  const known = MEMBERS.get(raw);
  if (known) return known;
  const members = [...schema.structIterator()];
  const byKey = new Map(
    members.map(([name, member]) => [member.getMergedTraits().jsonName ?? name, { name, member }]),
  );
  const made = { names: new Set(members.map(([name]) => name)), keys: new Set(byKey.keys()), byKey };
  MEMBERS.set(raw, made);
  return made;
}

function scalar(schema: NormalizedSchema, value: unknown, path: string): unknown {
  if (schema.isStringSchema() && typeof value !== 'string') throw wrong(path, 'a string', value);
  if (schema.isBooleanSchema() && typeof value !== 'boolean') throw wrong(path, 'a boolean', value);
  if (schema.isNumericSchema() && typeof value !== 'number') throw wrong(path, 'a number', value);
  return value;
}

export function fromText(schema: NormalizedSchema, text: string, path: string): unknown {
  if (schema.isNumericSchema()) return Number(text);
  if (schema.isBooleanSchema()) return text === 'true';
  if (schema.isTimestampSchema()) return new Date(/^[\d.]+$/.test(text) ? Number(text) * 1000 : text);
  if (schema.isBlobSchema()) return new Uint8Array(Buffer.from(text, 'base64'));
  if (schema.isListSchema() || schema.isMapSchema() || schema.isStructSchema()) throw serialization(path);
  return text;
}

/** A structure's schema ends with how many of its first members are required. */
export function requireMembers(schema: NormalizedSchema, value: Record<string, unknown>, path: string): void {
  if (schema.isUnitSchema()) return;
  const raw: unknown = schema.getSchema();
  const required = Array.isArray(raw) && typeof raw[6] === 'number' ? raw[6] : 0;
  const names: string[] = Array.isArray(raw) ? raw[4] : [];
  for (const name of names.slice(0, required)) {
    if (value[name] === undefined) {
      throw new AwsError('ValidationException', `${path} lacks the required member ${name}`);
    }
  }
}

export function refuseUnknown(value: unknown, known: ReadonlySet<string>, path: string): void {
  if (!isRecord(value)) throw serialization(path);
  for (const key of Object.keys(value)) {
    if (value[key] !== undefined && !known.has(key) && key !== '__type') {
      throw new AwsError('SerializationException', `${path} has no member ${key} in the SDK's schema`);
    }
  }
}

export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    throw serialization('the body');
  }
}

export function serialization(path: string): AwsError {
  return new AwsError('SerializationException', `${path} is not what the SDK's schema says`);
}

function wrong(path: string, wanted: string, value: unknown): AwsError {
  return new AwsError('SerializationException', `${path} should be ${wanted}, not ${typeof value}`);
}
