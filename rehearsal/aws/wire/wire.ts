import { cbor, dateToTag } from '@smithy/core/cbor';
import { NormalizedSchema } from '@smithy/core/schema';
import { AwsError } from '../aws-error.ts';

/** An operation as the AWS SDK client's own schemas describe it. */
export interface OperationShape {
  name: string;
  /** Of REST protocols. */
  http:
    | { method: string; pattern: RegExp; labels: string[]; query: URLSearchParams; status: number }
    | undefined;
  input: NormalizedSchema;
  output: NormalizedSchema;
}

/** A request's parts that carry input. */
export interface Request {
  method: string;
  url: URL;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

export interface Response {
  status: number;
  headers: Record<string, string>;
  body: string | Uint8Array;
}

/** The operations that an SDK client's module exports schemas for. */
export function operationsOf(client: object): Map<string, OperationShape> {
  const operations = new Map<string, OperationShape>();
  for (const [key, schema] of Object.entries(client)) {
    // A schema of an operation: [9, namespace, name, traits, input, output].
    if (!key.endsWith('$') || !Array.isArray(schema) || schema[0] !== 9) continue;
    const [, , name, traits, input, output] = schema;
    const http = typeof traits === 'object' ? traits.http : undefined;
    operations.set(name, {
      name,
      http: http === undefined ? undefined : route(http),
      input: NormalizedSchema.of(input),
      output: NormalizedSchema.of(output),
    });
  }
  return operations;
}

function route([method, uri, status]: [string, string, number]): OperationShape['http'] {
  const [path = '', query = ''] = uri.split('?');
  const labels: string[] = [];
  const pattern = path
    .split('/')
    .map((part) => {
      const label = /^\{(\w+)(\+?)\}$/.exec(part);
      if (label === null) return part.replaceAll('.', '\\.');
      labels.push(label[1] ?? '');
      return label[2] === '+' ? '(.+)' : '([^/]+)';
    })
    .join('/');
  return { method, pattern: new RegExp(`^${pattern}$`), labels, query: new URLSearchParams(query), status };
}

/** The operation and its input, of a REST request. Undefined where no operation has this method and path. */
export function readRest(
  operations: Map<string, OperationShape>,
  { method, url, headers, body }: Request,
): { operation: OperationShape; input: Record<string, unknown> } | undefined {
  let best: { operation: OperationShape; values: string[] } | undefined;
  for (const operation of operations.values()) {
    const { http } = operation;
    if (http === undefined || http.method !== method) continue;
    if (![...http.query].every(([key, value]) => url.searchParams.get(key) === value)) continue;
    const match = http.pattern.exec(url.pathname);
    if (match === null) continue;
    // Of two that fit, the one with fewer labels has the longer literal path.
    if (best === undefined || match.length - 1 < best.values.length) {
      best = { operation, values: match.slice(1).map(decodeURIComponent) };
    }
  }
  if (best === undefined) return undefined;
  const { operation, values } = best;
  const input: Record<string, unknown> = {};
  const inBody = new Set<string>();
  for (const [name, member] of operation.input.structIterator()) {
    const traits = member.getMergedTraits();
    if (traits.httpLabel) {
      input[name] = fromText(member, values[operation.http?.labels.indexOf(name) ?? -1] ?? '', name);
    } else if (traits.httpQuery !== undefined) {
      const given = url.searchParams.getAll(traits.httpQuery);
      if (given.length > 0) {
        input[name] = member.isListSchema()
          ? given.map((text) => fromText(member.getValueSchema(), text, name))
          : fromText(member, given[0] ?? '', name);
      }
    } else if (traits.httpHeader !== undefined) {
      const given = headers[traits.httpHeader.toLowerCase()];
      if (typeof given === 'string') input[name] = fromText(member, given, name);
    } else if (traits.httpPayload) {
      if (body.length > 0) {
        input[name] = member.isBlobSchema() ? new Uint8Array(body) : decode(member, parseJson(body), name);
      }
    } else {
      inBody.add(traits.jsonName ?? name);
    }
  }
  if (inBody.size > 0 && body.length > 0) {
    const document = parseJson(body);
    for (const [name, member] of operation.input.structIterator()) {
      const key = member.getMergedTraits().jsonName ?? name;
      const value = inBody.has(key) && isRecord(document) ? document[key] : undefined;
      if (value !== undefined && value !== null) input[name] = decode(member, value, name);
    }
    refuseUnknown(document, inBody, operation.name);
  }
  requireMembers(operation.input, input, operation.name);
  return { operation, input };
}

/** A REST answer: headers, status and payload as the operation's schema binds them. */
export function writeRest(operation: OperationShape, output: Record<string, unknown>): Response {
  const response: Response = {
    status: operation.http?.status ?? 200,
    headers: { 'content-type': 'application/json' },
    body: '',
  };
  const document: Record<string, unknown> = {};
  let hasDocument = false;
  requireMembers(operation.output, output, operation.name);
  for (const [name, member] of operation.output.structIterator()) {
    const traits = member.getMergedTraits();
    const value = output[name];
    if (traits.httpResponseCode) {
      if (typeof value === 'number') response.status = value;
    } else if (traits.httpHeader !== undefined) {
      if (value !== undefined) response.headers[traits.httpHeader] = String(value);
    } else if (traits.httpPayload) {
      if (value instanceof Uint8Array || typeof value === 'string') response.body = value;
      else if (value !== undefined) response.body = JSON.stringify(encode(member, value, name, JSON_FORMAT));
    } else {
      hasDocument = true;
      if (value !== undefined) {
        document[traits.jsonName ?? name] = encode(member, value, `${operation.name}.${name}`, JSON_FORMAT);
      }
    }
  }
  if (hasDocument) response.body = JSON.stringify(document);
  return response;
}

/** The input of a JSON 1.0 or 1.1 request. */
export function readJson(operation: OperationShape, body: Buffer): Record<string, unknown> {
  return decodeStructure(operation.input, body.length === 0 ? {} : parseJson(body), operation.name);
}

export function writeJson(operation: OperationShape, output: unknown): string {
  return operation.output.isUnitSchema()
    ? '{}'
    : JSON.stringify(encode(operation.output, output, operation.name, JSON_FORMAT));
}

/** The input of an RPC v2 CBOR request, which the AWS CLI speaks with CloudWatch. */
export function readCbor(operation: OperationShape, body: Buffer): Record<string, unknown> {
  return decodeStructure(operation.input, body.length === 0 ? {} : cbor.deserialize(body), operation.name);
}

export function writeCbor(operation: OperationShape, output: unknown): Uint8Array {
  if (operation.output.isUnitSchema()) return cbor.serialize({});
  return cbor.serialize(
    encode(operation.output, output, operation.name, { timestamp: dateToTag, blob: (bytes) => bytes }),
  );
}

/** The input of a query request: `A.member.1=…`, `M.entry.1.key=…`. */
export function readQuery(operation: OperationShape, form: URLSearchParams): Record<string, unknown> {
  const tree: Tree = {};
  for (const [key, value] of form) {
    if (key === 'Action' || key === 'Version') continue;
    const parts = key.split('.');
    const last = parts.pop() ?? '';
    let node = tree;
    for (const part of parts) {
      const next = node[part];
      const child = typeof next === 'object' ? next : {};
      node[part] = child;
      node = child;
    }
    node[last] = value;
  }
  return decodeStructure(operation.input, fromTree(operation.input, tree), operation.name);
}

export function writeQuery(
  operation: OperationShape,
  output: unknown,
  namespace: string,
  requestId: string,
): string {
  const result = operation.output.isUnitSchema() ? '' : toXml(operation.output, output);
  return (
    `<${operation.name}Response xmlns="${namespace}"><${operation.name}Result>${result}</${operation.name}Result>` +
    `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${operation.name}Response>`
  );
}

interface Tree {
  [key: string]: string | Tree;
}

function fromTree(schema: NormalizedSchema, value: string | Tree): unknown {
  if (typeof value === 'string') return schema.isStringSchema() ? value : fromText(schema, value, '');
  const numbered = (node: string | Tree | undefined) =>
    typeof node === 'object'
      ? Object.entries(node)
          .sort(([left], [right]) => Number(left) - Number(right))
          .map(([, item]) => item)
      : [];
  if (schema.isListSchema()) {
    return numbered(value.member ?? value).map((item) => fromTree(schema.getValueSchema(), item));
  }
  if (schema.isMapSchema()) {
    return Object.fromEntries(
      numbered(value.entry).map((item) => {
        if (typeof item !== 'object') throw serialization('map entry');
        return [item.key ?? item.Name, fromTree(schema.getValueSchema(), item.value ?? item.Value ?? '')];
      }),
    );
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      schema.getMemberSchemas()[key] === undefined ? item : fromTree(schema.getMemberSchema(key), item),
    ]),
  );
}

function toXml(schema: NormalizedSchema, value: unknown): string {
  if (schema.isListSchema() && Array.isArray(value)) {
    return value.map((item) => `<member>${toXml(schema.getValueSchema(), item)}</member>`).join('');
  }
  if (schema.isMapSchema() && isRecord(value)) {
    return Object.entries(value)
      .map(
        ([key, item]) =>
          `<entry><key>${escapeXml(key)}</key><value>${toXml(schema.getValueSchema(), item)}</value></entry>`,
      )
      .join('');
  }
  if (schema.isStructSchema() && isRecord(value)) {
    refuseUnknown(value, new Set(Object.keys(schema.getMemberSchemas())), schema.getName() ?? '');
    return [...schema.structIterator()]
      .filter(([name]) => value[name] !== undefined)
      .map(([name, member]) => `<${name}>${toXml(member, value[name])}</${name}>`)
      .join('');
  }
  if (value instanceof Date) return value.toISOString();
  return escapeXml(String(value));
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

interface Format {
  timestamp(date: Date): unknown;
  blob(bytes: Uint8Array): unknown;
}

const JSON_FORMAT: Format = {
  timestamp: (date) => date.getTime() / 1000,
  blob: (bytes) => Buffer.from(bytes).toString('base64'),
};

function encode(schema: NormalizedSchema, value: unknown, path: string, format: Format): unknown {
  if (schema.isDocumentSchema()) return value;
  if (schema.isListSchema()) {
    if (!Array.isArray(value)) throw wrong(path, 'a list', value);
    return value.map((item, index) => encode(schema.getValueSchema(), item, `${path}[${index}]`, format));
  }
  if (schema.isMapSchema()) {
    if (!isRecord(value)) throw wrong(path, 'a map', value);
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        encode(schema.getValueSchema(), item, `${path}.${key}`, format),
      ]),
    );
  }
  if (schema.isStructSchema()) {
    if (!isRecord(value)) throw wrong(path, 'a structure', value);
    refuseUnknown(value, new Set(Object.keys(schema.getMemberSchemas())), path);
    requireMembers(schema, value, path);
    const result: Record<string, unknown> = {};
    for (const [name, member] of schema.structIterator()) {
      if (value[name] !== undefined) {
        result[member.getMergedTraits().jsonName ?? name] = encode(
          member,
          value[name],
          `${path}.${name}`,
          format,
        );
      }
    }
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

function decode(schema: NormalizedSchema, value: unknown, path: string): unknown {
  if (schema.isDocumentSchema()) return value;
  if (schema.isListSchema()) {
    if (!Array.isArray(value)) throw serialization(path);
    return value.map((item, index) => decode(schema.getValueSchema(), item, `${path}[${index}]`));
  }
  if (schema.isMapSchema()) {
    if (!isRecord(value)) throw serialization(path);
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        decode(schema.getValueSchema(), item, `${path}.${key}`),
      ]),
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

function decodeStructure(schema: NormalizedSchema, value: unknown, path: string): Record<string, unknown> {
  if (!isRecord(value)) throw serialization(path);
  if (schema.isUnitSchema()) return {};
  const byKey = new Map(
    [...schema.structIterator()].map(([name, member]) => [
      member.getMergedTraits().jsonName ?? name,
      { name, member },
    ]),
  );
  refuseUnknown(value, new Set(byKey.keys()), path);
  const result: Record<string, unknown> = {};
  for (const [key, { name, member }] of byKey) {
    const item = value[key];
    if (item !== undefined && item !== null) result[name] = decode(member, item, `${path}.${name}`);
  }
  requireMembers(schema, result, path);
  return result;
}

function scalar(schema: NormalizedSchema, value: unknown, path: string): unknown {
  if (schema.isStringSchema() && typeof value !== 'string') throw wrong(path, 'a string', value);
  if (schema.isBooleanSchema() && typeof value !== 'boolean') throw wrong(path, 'a boolean', value);
  if (schema.isNumericSchema() && typeof value !== 'number') throw wrong(path, 'a number', value);
  return value;
}

function fromText(schema: NormalizedSchema, text: string, path: string): unknown {
  if (schema.isNumericSchema()) return Number(text);
  if (schema.isBooleanSchema()) return text === 'true';
  if (schema.isTimestampSchema()) return new Date(/^[\d.]+$/.test(text) ? Number(text) * 1000 : text);
  if (schema.isBlobSchema()) return new Uint8Array(Buffer.from(text, 'base64'));
  if (schema.isListSchema() || schema.isMapSchema() || schema.isStructSchema()) throw serialization(path);
  return text;
}

/** A structure's schema ends with how many of its first members are required. */
function requireMembers(schema: NormalizedSchema, value: Record<string, unknown>, path: string): void {
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

function refuseUnknown(value: unknown, known: Set<string>, path: string): void {
  if (!isRecord(value)) throw serialization(path);
  for (const key of Object.keys(value)) {
    if (value[key] !== undefined && !known.has(key) && key !== '__type') {
      throw new AwsError('SerializationException', `${path} has no member ${key} in the SDK's schema`);
    }
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    throw serialization('the body');
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}

/** A blob as the text in it; the SDK's types allow a text in its place. */
export function textOf(blob: unknown): string | undefined {
  if (blob === undefined || typeof blob === 'string') return blob;
  if (blob instanceof Uint8Array) return Buffer.from(blob).toString();
  throw serialization('a blob');
}

function serialization(path: string): AwsError {
  return new AwsError('SerializationException', `${path} is not what the SDK's schema says`);
}

function wrong(path: string, wanted: string, value: unknown): AwsError {
  return new AwsError('SerializationException', `${path} should be ${wanted}, not ${typeof value}`);
}
