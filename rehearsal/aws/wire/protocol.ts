import { cbor } from '@smithy/core/cbor';
import { AwsError } from '../aws-error.ts';
import { eventsOf, writeEvents } from './event-stream.ts';
import { escapeXml, type QueryDialect, readQuery, writeQuery } from './query.ts';
import { readRest, writeRest } from './rest.ts';
import { readCbor, readJson, writeCbor, writeJson } from './rpc.ts';
import { type OperationShape, operationsOf, type Request, type Response } from './shape.ts';

/** How a request is written, and its answer. */
export type Protocol = 'json' | 'rest' | 'query' | 'cbor';

/** What of a service its wire goes by. */
interface Wire {
  signingName: string;
  /** The SDK client's module. */
  client: object;
  /** Of the query protocol's answers, and of a REST service's that answers in XML. */
  namespace?: string;
  addressed?(request: Request): { request: Request; members: Record<string, string> };
}

function dialectOf(signingName: string): QueryDialect {
  return signingName === 'ec2' ? 'ec2' : 'aws';
}

const SHAPES = new WeakMap<object, Map<string, OperationShape>>();

function shapesOf(client: object): Map<string, OperationShape> {
  const shapes = SHAPES.get(client) ?? operationsOf(client);
  SHAPES.set(client, shapes);
  return shapes;
}

export function protocolOf(request: Request, service: string): Protocol {
  // Whatever a client says that the bytes of an object are.
  if (IN_XML.includes(service)) return 'rest';
  if (request.headers['smithy-protocol'] === 'rpc-v2-cbor') return 'cbor';
  if (request.headers['x-amz-target'] !== undefined) return 'json';
  const type = String(request.headers['content-type'] ?? '');
  return type.startsWith('application/x-www-form-urlencoded') ? 'query' : 'rest';
}

/** Finds the operation, and reads its input. */
export function read(
  wire: Omit<Wire, 'namespace'>,
  request: Request,
  protocol: Protocol,
): { operation: OperationShape; input: Record<string, unknown> } {
  const { client, signingName } = wire;
  const shapes = shapesOf(client);
  if (protocol === 'rest') {
    const addressed = wire.addressed?.(request) ?? { request, members: {} };
    const found = readRest(shapes, addressed.request, addressed.members);
    if (found === undefined) {
      throw new AwsError(
        'UnknownOperationException',
        `the rehearsal's stand-in has no ${signingName} operation at ${request.method} ${request.url.pathname}`,
      );
    }
    return found;
  }
  const form = protocol === 'query' ? new URLSearchParams(request.body.toString()) : undefined;
  const name =
    form?.get('Action') ??
    (protocol === 'cbor' ? request.url.pathname.replace(/^.*\//, '') : undefined) ??
    String(request.headers['x-amz-target']).replace(/^.*\./, '');
  const operation = shapes.get(name);
  if (operation === undefined)
    throw new AwsError('UnknownOperationException', `the rehearsal's stand-in has no ${signingName}:${name}`);
  if (form !== undefined) return { operation, input: readQuery(operation, form, dialectOf(signingName)) };
  if (protocol === 'cbor') return { operation, input: readCbor(operation, request.body) };
  return { operation, input: readJson(operation, request.body) };
}

/** Writes the answer. */
export function write(
  { namespace = '', signingName }: Pick<Wire, 'namespace' | 'signingName'>,
  operation: OperationShape,
  output: unknown,
  protocol: Protocol,
  requestId: string,
): Response {
  const ok = (type: string, body: string | Uint8Array): Response => ({
    status: 200,
    headers: { 'content-type': type },
    body,
  });
  switch (protocol) {
    case 'rest':
      return writeRest(
        operation,
        Object.fromEntries(Object.entries(output ?? {})),
        IN_XML.includes(signingName) ? namespace : undefined,
      );
    case 'query':
      return ok('text/xml', writeQuery(operation, output, namespace, requestId, dialectOf(signingName)));
    case 'cbor': {
      const answered = ok('application/cbor', writeCbor(operation, output));
      answered.headers['smithy-protocol'] = 'rpc-v2-cbor';
      return answered;
    }
    case 'json': {
      const events = eventsOf(operation, output);
      return events
        ? {
            status: 200,
            headers: { 'content-type': 'application/vnd.amazon.eventstream' },
            body: writeEvents(operation, events),
          }
        : ok('application/x-amz-json-1.0', writeJson(operation, output));
    }
  }
}

/** Those REST services that answer in XML: by what the stand-in lacks them with, the AWS CLI must be able to read it. */
const IN_XML = ['cloudfront', 'route53', 's3'];

/** Writes an error, with the status and code that the client's schema of it has. */
export function writeError(
  { service, client }: { service: string; client: object | undefined },
  protocol: Protocol,
  error: unknown,
  requestId: string,
): Response {
  const code = error instanceof AwsError ? error.code : 'InternalFailure';
  const message = error instanceof Error ? error.message : String(error);
  const { status, query } = errorTraits(client, code);
  if (protocol === 'rest' && IN_XML.includes(service)) {
    const body = `<Error><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
    return { status, headers: { 'content-type': 'application/xml' }, body };
  }
  if (protocol === 'query' && dialectOf(service) === 'ec2') {
    const xml = `<Response><Errors><Error><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error></Errors><RequestID>${requestId}</RequestID></Response>`;
    return { status, headers: { 'content-type': 'text/xml' }, body: xml };
  }
  if (protocol === 'query') {
    const xml =
      `<ErrorResponse><Error><Type>${status < 500 ? 'Sender' : 'Receiver'}</Type><Code>${query ?? code}</Code>` +
      `<Message>${escapeXml(message)}</Message></Error><RequestId>${requestId}</RequestId></ErrorResponse>`;
    return { status, headers: { 'content-type': 'text/xml' }, body: xml };
  }
  const headers: Record<string, string> = {
    'content-type': protocol === 'rest' ? 'application/json' : 'application/x-amz-json-1.0',
    'x-amzn-errortype': code,
  };
  if (query !== undefined) headers['x-amzn-query-error'] = `${query};${status < 500 ? 'Sender' : 'Receiver'}`;
  const members = error instanceof AwsError ? error.members : {};
  const document = { __type: code, message, Message: message, ...members };
  if (protocol === 'cbor') {
    return {
      status,
      headers: { ...headers, 'content-type': 'application/cbor', 'smithy-protocol': 'rpc-v2-cbor' },
      body: cbor.serialize(document),
    };
  }
  return { status, headers, body: JSON.stringify(document) };
}

/** Status and query code of an error, from the client's schema of it: `[-3, namespace, name, traits, …]`. */
function errorTraits(
  client: object | undefined,
  code: string,
): { status: number; query: string | undefined } {
  const schema: unknown = client && Reflect.get(client, `${code}$`);
  const traits: unknown = Array.isArray(schema) ? schema[3] : undefined;
  const status: unknown =
    typeof traits === 'object' && traits !== null ? Reflect.get(traits, 'httpError') : undefined;
  const query: unknown =
    typeof traits === 'object' && traits !== null ? Reflect.get(traits, 'awsQueryError') : undefined;
  return {
    status: typeof status === 'number' ? status : (STATUSES[code] ?? 400),
    query: Array.isArray(query) ? String(query[0]) : undefined,
  };
}

/** Of errors that every service has, and none has a schema for. */
const STATUSES: Record<string, number> = {
  AccessDenied: 403,
  AccessDeniedException: 403,
  AuthorizationError: 403,
  InvalidAccessKeyId: 403,
  InternalFailure: 500,
  MissingAuthenticationTokenException: 403,
  NotImplemented: 501,
  PreconditionFailed: 412,
  SignatureDoesNotMatch: 403,
  ThrottlingException: 429,
  UnauthorizedOperation: 403,
  UnrecognizedClientException: 403,
};
