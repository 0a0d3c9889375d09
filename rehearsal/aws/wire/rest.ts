import { decode, encode, fromText, JSON_FORMAT, parseJson, refuseUnknown, requireMembers } from './codec.ts';
import { writeXmlDocument } from './query.ts';
import type { OperationShape, Request, Response } from './shape.ts';
import { isRecord } from './values.ts';

/** The operation and its input, of a REST request. Undefined where no operation has this method and path. */
export function readRest(
  operations: Map<string, OperationShape>,
  { method, url, headers, body }: Request,
  /** Members that are not in the path that the schemas have. */
  members: Record<string, string> = {},
): { operation: OperationShape; input: Record<string, unknown> } | undefined {
  let best: { operation: OperationShape; values: string[] } | undefined;
  for (const operation of operations.values()) {
    const { http } = operation;
    if (http === undefined || http.method !== method) continue;
    if (![...http.query].every(([key, value]) => url.searchParams.get(key) === value)) continue;
    // Some models have a slash at the end of a path, and others of the same service none.
    const match = http.pattern.exec(url.pathname) ?? http.pattern.exec(url.pathname.replace(/\/$/, ''));
    if (match === null) continue;
    // Of two that fit, the one with fewer labels has the longer literal path; of two with one path, one asks for more.
    const isCloser =
      match.length - 1 === best?.values.length
        ? http.query.size > (best.operation.http?.query.size ?? 0)
        : match.length - 1 < (best?.values.length ?? Number.POSITIVE_INFINITY);
    if (isCloser) {
      best = { operation, values: match.slice(1).map(decodeURIComponent) };
    }
  }
  if (best === undefined) return undefined;
  const { operation, values } = best;
  const input: Record<string, unknown> = { ...members };
  const inBody = new Set<string>();
  for (const [name, member] of operation.input.structIterator()) {
    const traits = member.getMergedTraits();
    if (traits.httpLabel) {
      if (!(name in members))
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
        input[name] =
          member.isBlobSchema() || traits.streaming
            ? new Uint8Array(body)
            : decode(member, parseJson(body), name);
      }
    } else if (traits.httpPrefixHeaders !== undefined) {
      const prefix = traits.httpPrefixHeaders;
      const found = Object.entries(headers).filter(([header]) => header.startsWith(prefix));
      if (found.length > 0)
        input[name] = Object.fromEntries(
          found.map(([header, value]) => [header.slice(prefix.length), String(value)]),
        );
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

/**
 * A REST answer: headers, status and payload as the operation's schema binds them.
 * @param namespace of an answer in XML. @default in JSON
 */
export function writeRest(
  operation: OperationShape,
  output: Record<string, unknown>,
  namespace?: string,
): Response {
  const response: Response = {
    status: operation.http?.status ?? 200,
    headers: { 'content-type': namespace === undefined ? 'application/json' : 'application/xml' },
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
      if (value !== undefined)
        response.headers[traits.httpHeader.toLowerCase()] =
          value instanceof Date ? value.toUTCString() : String(value);
    } else if (traits.httpPrefixHeaders !== undefined) {
      for (const [key, item] of Object.entries(value ?? {}))
        response.headers[`${traits.httpPrefixHeaders}${key}`] = String(item);
    } else if (traits.httpPayload) {
      if (value instanceof Uint8Array || typeof value === 'string') response.body = value;
      else if (value !== undefined) response.body = JSON.stringify(encode(member, value, name, JSON_FORMAT));
    } else {
      hasDocument = true;
      if (value !== undefined) {
        document[namespace === undefined ? (traits.jsonName ?? name) : name] =
          namespace === undefined ? encode(member, value, `${operation.name}.${name}`, JSON_FORMAT) : value;
      }
    }
  }
  if (hasDocument)
    response.body =
      namespace === undefined
        ? JSON.stringify(document)
        : writeXmlDocument(operation.output, document, namespace);
  return response;
}
