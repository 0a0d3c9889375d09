import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Caller } from './access/access-control.ts';
import { signatureFault, signatureScope } from './access/signature.ts';
import { AwsError } from './aws-error.ts';
import type { Cloud, InterceptedCall, Interception, Service } from './cloud.ts';
import { UnknownPolicy } from './policy/document.ts';
import type { Access } from './policy/policy.ts';
import { UnknownTemplate } from './template/properties.ts';
import { type Protocol, protocolOf, read, write, writeError } from './wire/protocol.ts';
import type { Request, Response } from './wire/shape.ts';

/** What requests are answered with. */
export interface Desk extends Pick<Cloud, 'endpoint' | 'clock' | 'access'> {
  readonly callInterceptors: ReadonlySet<(call: InterceptedCall) => Interception>;
  /** By signing name. */
  service(signingName: string): Service | undefined;
  /** Whether the caller's network has a way to the service. */
  reaches(caller: Caller, signingName: string): boolean;
  /** The VPC endpoint by which the caller reaches it, if it is one. */
  vpcEndpoint(caller: Caller, signingName: string): Access['endpoint'];
  /** Called with what the stand-in could not judge. */
  stop(error: unknown): void;
}

/** Answers a request as AWS does: finds the operation, reads the input, asks the policies, acts, and writes the answer. */
export async function answer(desk: Desk, message: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(message.url ?? '/', desk.endpoint);
  const requestId = randomUUID();
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of message) chunks.push(chunk);
  } catch {
    return; // the caller went away
  }
  const request: Request = {
    method: message.method ?? 'GET',
    url,
    headers: message.headers,
    body: Buffer.concat(chunks),
  };
  const service = signatureScope(request)?.service ?? '';
  const protocol = protocolOf(request, service);
  let answered: Response | 'drop';
  try {
    answered = await perform(desk, request, protocol, requestId);
  } catch (error) {
    if (error instanceof UnknownPolicy || error instanceof UnknownTemplate) desk.stop(error);
    answered = writeError({ service, client: desk.service(service)?.client }, protocol, error, requestId);
  }
  if (answered === 'drop') {
    response.destroy();
    return;
  }
  const { status, body } = answered;
  const headers = {
    ...answered.headers,
    'x-amzn-requestid': requestId,
    date: new Date(desk.clock.now()).toUTCString(),
  };
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) {
    response.writeHead(status, headers);
    // Time goes on meanwhile. Whoever asked ends it, by going away.
    void pipeline(body, response).catch(() => {});
    return;
  }
  response.writeHead(status, {
    ...headers,
    // Of a body that HEAD does not want it is told all the same.
    'content-length': answered.headers['content-length'] ?? Buffer.byteLength(body),
  });
  response.end(body);
}

async function perform(
  desk: Desk,
  request: Request,
  protocol: Protocol,
  requestId: string,
): Promise<Response | 'drop'> {
  const signed = signatureScope(request);
  if (signed === undefined) {
    throw new AwsError('MissingAuthenticationTokenException', 'Request is missing Authentication Token');
  }
  const { accessKeyId, region, service, presigned } = signed;
  const known = desk.service(service);
  const refusal = (code: string, message: string) => new AwsError(known?.codes?.[code] ?? code, message);
  const caller = desk.access.caller(accessKeyId);
  const token = presigned
    ? request.url.searchParams.get('X-Amz-Security-Token')
    : request.headers['x-amz-security-token'];
  if (caller === undefined || token !== caller.credentials.sessionToken) {
    throw refusal('UnrecognizedClientException', 'The security token included in the request is invalid.');
  }
  const fault = signatureFault(request, caller.credentials.secretAccessKey, clockOf(desk, caller));
  if (fault !== undefined) throw refusal('InvalidSignatureException', fault);
  if (known === undefined) throw new AwsError('InvalidAction', `the rehearsal's stand-in has no ${service}`);
  const { operation, input } = read(known, request, protocol);
  if (!desk.reaches(caller, service)) return 'drop';
  for (const interceptor of desk.callInterceptors) {
    const interception = interceptor({ service, operation: operation.name, input, caller });
    if (interception === 'drop') return 'drop';
    if (interception !== undefined) throw interception;
  }
  const implementation = known.operations[operation.name];
  if (implementation === undefined) {
    throw new AwsError('InvalidAction', `the rehearsal's stand-in has no ${service}:${operation.name}`);
  }
  const call = { account: caller.principal.account, region, requestId, caller };
  const endpoint = desk.vpcEndpoint(caller, service);
  // The input was decoded by the very schema that the operation's input type is made from.
  for (const { action, resource, conditions } of implementation.asks(input as never, call)) {
    const refused = desk.access.check({
      principal: caller.principal,
      action,
      resource,
      ...(endpoint && { endpoint }),
      conditions: {
        'aws:RequestedRegion': region,
        'lambda:SourceFunctionArn': caller.function?.arn,
        ...conditions,
      },
      ...(caller.function !== undefined && { function: caller.function.name }),
    });
    if (refused !== undefined) throw new AwsError(known.accessDenied ?? 'AccessDeniedException', refused);
  }
  const output = (await implementation.does(input as never, call)) ?? {};
  return write(known, operation, output, protocol, requestId);
}

/** The clock that a caller must have. Who calls a rehearsal from outside of its simulated time has none. */
export function clockOf({ clock }: Pick<Cloud, 'clock'>, caller: Caller): number | undefined {
  return clock.simulated && caller.function === undefined ? undefined : clock.now();
}
