import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import * as backupClient from '@aws-sdk/client-backup';
import * as cloudWatchClient from '@aws-sdk/client-cloudwatch';
import * as ecsClient from '@aws-sdk/client-ecs';
import * as eventBridgeClient from '@aws-sdk/client-eventbridge';
import * as lambdaClient from '@aws-sdk/client-lambda';
import * as schedulerClient from '@aws-sdk/client-scheduler';
import * as secretsManagerClient from '@aws-sdk/client-secrets-manager';
import * as snsClient from '@aws-sdk/client-sns';
import * as sqsClient from '@aws-sdk/client-sqs';
import * as ssmClient from '@aws-sdk/client-ssm';
import { cbor } from '@smithy/core/cbor';
import type { RunReport } from '../../functions/shared/run/report.ts';
import {
  AccessControl,
  type ApiCall,
  asksOf,
  type Caller,
  type Credentials,
  type Finder,
} from './access/access.ts';
import { checkPolicy, type PolicyDocument, UnknownPolicy } from './access/policy.ts';
import { signatureFault, signatureScope } from './access/signature.ts';
import { AwsError } from './aws-error.ts';
import { Backup } from './backup/backup.ts';
import type { Clock } from './clock.ts';
import { type AlarmHistory, CloudWatch } from './cloudwatch/cloudwatch.ts';
import { Ecs } from './ecs/ecs.ts';
import { Efs } from './efs/efs.ts';
import { EventBridge } from './event-bridge/event-bridge.ts';
import { Lambda } from './lambda/lambda.ts';
import { type LogLine, Logs } from './logs/logs.ts';
import { Scheduler } from './scheduler/scheduler.ts';
import { SecretsManager } from './secrets-manager/secrets-manager.ts';
import { SessionManager, type SessionManagerOptions } from './session-manager/session-manager.ts';
import { Sns, type SnsMessage } from './sns/sns.ts';
import { Sqs } from './sqs/sqs.ts';
import { Ssm } from './ssm/ssm.ts';
import { type Deployed, readTemplates, type Template, UnknownTemplate } from './template/template.ts';
import {
  escapeXml,
  type OperationShape,
  operationsOf,
  type Request,
  type Response,
  readCbor,
  readJson,
  readQuery,
  readRest,
  writeCbor,
  writeJson,
  writeQuery,
  writeRest,
} from './wire/wire.ts';

export interface AwsOptions {
  /** The cloud assembly that `cdk synth` wrote. */
  cdkOut: string;
  clock: Clock;
  /** Changes the parsed templates, by stack name, before they are deployed. */
  change?: (templates: Record<string, Template>) => void;
  /** Default: a free one. */
  port?: number;
  /** Of the gateway of ECS Exec's sessions. */
  sessions?: SessionManagerOptions;
}

/** A request that an interceptor looks at. */
export interface InterceptedCall {
  service: string;
  operation: string;
  input: Record<string, unknown>;
  caller: Caller;
}

/** A function's invocation that an interceptor looks at. */
export interface InterceptedInvoke {
  functionName: string;
  functionArn: string;
  /** As JSON; of a durable execution, the input of the execution. */
  payload: string;
  /** 1 for the first. */
  attempt: number;
}

/** Undefined: goes on as usual. An Error: fails with it. `drop`: the request or invocation is lost. */
export type Interception = undefined | Error | 'drop';

/** A message that AWS would have dropped without a word. */
export interface Dropped {
  /** Epoch milliseconds on the rehearsal's clock. */
  time: number;
  from: string;
  to: string;
  reason: string;
}

/** The stand-in for AWS: everything of the templates, behind one address on loopback. */
export class Aws {
  readonly endpoint: string;
  readonly clock: Clock;
  readonly deployed: Deployed;
  readonly access: AccessControl;
  readonly logGroups: Logs;
  readonly backup: Backup;
  readonly cloudWatch: CloudWatch;
  readonly efs: Efs;
  readonly sns: Sns;
  readonly sqs: Sqs;
  readonly secrets: SecretsManager;
  readonly events: EventBridge;
  readonly lambda: Lambda;
  readonly scheduler: Scheduler;
  readonly sessions: SessionManager;
  readonly ecs: Ecs;
  readonly ssm: Ssm;
  /** `host:port` → `127.0.0.1:port`, for functions in a VPC that start from now on. */
  readonly hosts: Record<string, string> = {};
  /** What was dropped in silence, and why. */
  readonly dropped: Dropped[] = [];
  /** Run reports, as they came over the default bus. */
  readonly reports: RunReport[] = [];
  readonly callInterceptors = new Set<(call: InterceptedCall) => Interception>();
  readonly invokeInterceptors = new Set<(invoke: InterceptedInvoke) => Interception>();
  /** The services that each function in a VPC called. */
  readonly servicesFromVpc = new Map<string, Set<string>>();
  readonly #server: Server;

  constructor(server: Server, endpoint: string, clock: Clock, deployed: Deployed, sessions: SessionManager) {
    this.#server = server;
    this.endpoint = endpoint;
    this.clock = clock;
    this.deployed = deployed;
    this.access = new AccessControl(deployed, clock);
    this.logGroups = new Logs(this);
    this.backup = new Backup(this);
    this.cloudWatch = new CloudWatch(this);
    this.efs = new Efs(this);
    this.sns = new Sns(this);
    this.sqs = new Sqs(this);
    this.secrets = new SecretsManager(this);
    this.events = new EventBridge(this);
    this.lambda = new Lambda(this);
    this.scheduler = new Scheduler(this);
    this.sessions = sessions;
    this.ecs = new Ecs(this, sessions);
    this.ssm = new Ssm(this, sessions);
    sessions.judgeBy({
      access: this.access,
      now: () => clock.now(),
      clockOf: (caller) => clockOf(this, caller),
    });
  }

  /** Who asked for what, and whether it was allowed. */
  get calls(): ApiCall[] {
    return this.access.calls;
  }

  /** Every refusal so far, as AWS's sentence. */
  get denials(): string[] {
    return this.access.denials;
  }

  /** What the functions logged. */
  get logs(): LogLine[] {
    return this.logGroups.lines;
  }

  /** Every change of an alarm's state. */
  get alarms(): AlarmHistory[] {
    return this.cloudWatch.history;
  }

  /** What topics sent on. */
  get notifications(): SnsMessage[] {
    return this.sns.messages;
  }

  /** Ends the rehearsal with what the stand-in could not judge: the clock throws it. A stand-in that stays up only answers it. */
  stop(error: unknown): void {
    if (!this.clock.simulated) return;
    this.clock.at(this.clock.now(), () => {
      throw error;
    });
  }

  /** Credentials of a principal that is not in the templates; its identity policy is given. */
  credentialsFor(principal: { arn: string; policy: PolicyDocument }): Credentials {
    checkPolicy(principal.policy, principal.arn);
    return this.access.issue({
      kind: 'identity',
      arn: principal.arn,
      identityArn: principal.arn,
      account: principal.arn.split(':')[4] ?? '',
      policies: [principal.policy],
    });
  }

  /** Looks at each request before it is answered. Returns the way to stop looking. */
  onCall(interceptor: (call: InterceptedCall) => Interception): () => void {
    this.callInterceptors.add(interceptor);
    return () => this.callInterceptors.delete(interceptor);
  }

  /** Looks at each invocation of a function. Returns the way to stop looking. */
  onInvoke(interceptor: (invoke: InterceptedInvoke) => Interception): () => void {
    this.invokeInterceptors.add(interceptor);
    return () => this.invokeInterceptors.delete(interceptor);
  }

  /** Kills a function's processes (by its name, or its logical id's beginning), at work or idle, as a crash would. Returns how many. */
  killFunction(name: string): number {
    return this.lambda.kill(name);
  }

  drop(from: string, to: string, reason: string): void {
    this.dropped.push({ time: this.clock.now(), from, to, reason });
  }

  /** Ends all functions' processes and the server. */
  async close(): Promise<void> {
    this.scheduler.close();
    this.backup.close();
    this.efs.close();
    this.cloudWatch.close();
    await this.lambda.close();
    this.ssm.close();
    await this.sessions.close();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Deploys a cloud assembly to a stand-in of its own. */
export async function startAws(options: AwsOptions): Promise<Aws> {
  const { cdkOut, clock, change, port = 0, sessions } = options;
  const server = createServer();
  server.keepAliveTimeout = 60_000;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the stand-in has no address');
  const endpoint = `http://127.0.0.1:${address.port}`;
  const gateway = await SessionManager.start(sessions);
  try {
    const deployed = readTemplates(cdkOut, { endpoint, ...(change !== undefined && { change }) });
    const aws = new Aws(server, endpoint, clock, deployed, gateway);
    server.on('request', (request, response) => {
      void clock.hold(() => answer(aws, request, response));
    });
    return aws;
  } catch (error) {
    await gateway.close();
    server.close();
    throw error;
  }
}

/** What a service's operation knows of the request besides its input. */
export interface Call {
  account: string;
  region: string;
  requestId: string;
  caller: Caller;
}

/** The operations of a service; each takes and gives what the SDK's command does. */
export type Operations = Record<string, (input: never, call: Call) => unknown>;

interface Api {
  operations: (aws: Aws) => Operations;
  shapes: Map<string, OperationShape>;
  client: object;
  /** Of the query protocol's answers. */
  namespace: string;
}

/** By signing name. */
const APIS: Record<string, Api | undefined> = {
  backup: api(backupClient, (aws) => aws.backup.operations),
  sqs: api(sqsClient, (aws) => aws.sqs.operations),
  events: api(eventBridgeClient, (aws) => aws.events.operations),
  secretsmanager: api(secretsManagerClient, (aws) => aws.secrets.operations),
  lambda: api(lambdaClient, (aws) => aws.lambda.operations),
  scheduler: api(schedulerClient, (aws) => aws.scheduler.operations),
  ecs: api(ecsClient, (aws) => aws.ecs.operations),
  ssm: api(ssmClient, (aws) => aws.ssm.operations),
  monitoring: api(
    cloudWatchClient,
    (aws) => aws.cloudWatch.operations,
    'http://monitoring.amazonaws.com/doc/2010-08-01/',
  ),
  sns: api(snsClient, (aws) => aws.sns.operations, 'http://sns.amazonaws.com/doc/2010-03-31/'),
};

function api(client: object, operations: Api['operations'], namespace = ''): Api {
  return { client, operations, shapes: operationsOf(client), namespace };
}

type Protocol = 'json' | 'rest' | 'query' | 'cbor';

async function answer(aws: Aws, message: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(message.url ?? '/', aws.endpoint);
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
  if (url.pathname.startsWith('/runtime/')) return aws.lambda.runtime(request, response);
  const protocol = protocolOf(request);
  const service = signatureScope(request)?.service ?? '';
  let answered: Response | 'drop';
  try {
    answered = await perform(aws, request, protocol, requestId);
  } catch (error) {
    if (error instanceof UnknownPolicy || error instanceof UnknownTemplate) aws.stop(error);
    answered = writeError(service, protocol, error, requestId);
  }
  if (answered === 'drop') {
    response.destroy();
    return;
  }
  response.writeHead(answered.status, {
    ...answered.headers,
    'x-amzn-requestid': requestId,
    date: new Date(aws.clock.now()).toUTCString(),
    'content-length': Buffer.byteLength(answered.body),
  });
  response.end(answered.body);
}

async function perform(
  aws: Aws,
  request: Request,
  protocol: Protocol,
  requestId: string,
): Promise<Response | 'drop'> {
  const signed = signatureScope(request);
  if (signed === undefined) {
    throw new AwsError('MissingAuthenticationTokenException', 'Request is missing Authentication Token');
  }
  const { accessKeyId, region, service } = signed;
  const caller = aws.access.caller(accessKeyId);
  if (caller === undefined || request.headers['x-amz-security-token'] !== caller.credentials.sessionToken) {
    throw new AwsError(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    );
  }
  const fault = signatureFault(request, caller.credentials.secretAccessKey, clockOf(aws, caller));
  if (fault !== undefined) throw new AwsError('InvalidSignatureException', fault);
  const where = { account: caller.principal.account, region };
  if (service === 'sts') return identify(request, caller, requestId);
  const known = APIS[service];
  if (known === undefined) throw new AwsError('InvalidAction', `the rehearsal's stand-in has no ${service}`);
  const { operation, input } = read(known, request, protocol);
  if (!reachable(aws, caller, service)) return 'drop';
  for (const interceptor of aws.callInterceptors) {
    const interception = interceptor({ service, operation: operation.name, input, caller });
    if (interception === 'drop') return 'drop';
    if (interception !== undefined) throw interception;
  }
  for (const ask of asksOf(service, operation.name, input, where, finderOf(aws))) {
    const refused = aws.access.check({
      principal: caller.principal,
      action: ask.action,
      resource: ask.resource,
      conditions: {
        'aws:RequestedRegion': region,
        'lambda:SourceFunctionArn': caller.function?.arn,
        ...ask.conditions,
      },
      ...(caller.function !== undefined && { function: caller.function.name }),
    });
    if (refused !== undefined) throw new AwsError(ACCESS_DENIED[service] ?? 'AccessDeniedException', refused);
  }
  const implementation = known.operations(aws)[operation.name];
  if (implementation === undefined) {
    throw new AwsError('InvalidAction', `the rehearsal's stand-in has no ${service}:${operation.name}`);
  }
  // The input was decoded by the very schema that the operation's input type is made from.
  const output = (await implementation(input as never, { ...where, requestId, caller })) ?? {};
  return write(known, operation, output, protocol, requestId);
}

function finderOf({ secrets, ssm }: Aws): Finder {
  return {
    secretArn: (id, where) => secrets.secretArn(id, where),
    instanceTags: (id) => ssm.instances.get(id)?.host.tags ?? {},
  };
}

/** The clock that a caller must have. Who calls a rehearsal from outside of its simulated time has none. */
function clockOf({ clock }: Pick<Aws, 'clock'>, caller: Caller): number | undefined {
  return clock.simulated && caller.function === undefined ? undefined : clock.now();
}

/** SQS's and SNS's codes go back to the query protocol. */
const ACCESS_DENIED: Record<string, string> = {
  sqs: 'AccessDenied',
  sns: 'AuthorizationError',
  monitoring: 'AccessDenied',
};

/** Whether a function in a VPC has a way to the service: through its stack's interface endpoints, if that makes any. */
function reachable(aws: Aws, caller: Caller, service: string): boolean {
  if (caller.function === undefined) return true;
  const { arn, name } = caller.function;
  const resource = aws.deployed.byArn(arn);
  if (resource === undefined || !resource.properties.has('VpcConfig')) return true;
  const called = aws.servicesFromVpc.get(name) ?? new Set();
  aws.servicesFromVpc.set(name, called.add(service));
  const endpoints = aws.deployed
    .ofType('AWS::EC2::VPCEndpoint')
    .filter((endpoint) => endpoint.stack === resource.stack)
    .map((endpoint) => endpoint.properties.text('ServiceName').replace(/^.*\./, ''));
  if (endpoints.length === 0 || endpoints.includes(service)) return true;
  aws.drop(
    name,
    service,
    `the stack ${resource.stack} has no interface endpoint for ${service}, so the function in the VPC cannot reach it`,
  );
  return false;
}

function protocolOf(request: Request): Protocol {
  if (request.headers['smithy-protocol'] === 'rpc-v2-cbor') return 'cbor';
  if (request.headers['x-amz-target'] !== undefined) return 'json';
  const type = String(request.headers['content-type'] ?? '');
  return type.startsWith('application/x-www-form-urlencoded') ? 'query' : 'rest';
}

function read(
  known: Api,
  request: Request,
  protocol: Protocol,
): { operation: OperationShape; input: Record<string, unknown> } {
  if (protocol === 'rest') {
    const found = readRest(known.shapes, request);
    if (found === undefined) {
      throw new AwsError(
        'UnknownOperationException',
        `no operation is at ${request.method} ${request.url.pathname}`,
      );
    }
    return found;
  }
  const form = protocol === 'query' ? new URLSearchParams(request.body.toString()) : undefined;
  const name =
    form?.get('Action') ??
    (protocol === 'cbor' ? request.url.pathname.replace(/^.*\//, '') : undefined) ??
    String(request.headers['x-amz-target']).replace(/^.*\./, '');
  const operation = known.shapes.get(name);
  if (operation === undefined)
    throw new AwsError('UnknownOperationException', `there is no operation ${name}`);
  if (form !== undefined) return { operation, input: readQuery(operation, form) };
  if (protocol === 'cbor') return { operation, input: readCbor(operation, request.body) };
  return { operation, input: readJson(operation, request.body) };
}

function write(
  known: Api,
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
      return writeRest(operation, Object.fromEntries(Object.entries(output ?? {})));
    case 'query':
      return ok('text/xml', writeQuery(operation, output, known.namespace, requestId));
    case 'cbor': {
      const answered = ok('application/cbor', writeCbor(operation, output));
      answered.headers['smithy-protocol'] = 'rpc-v2-cbor';
      return answered;
    }
    case 'json':
      return ok('application/x-amz-json-1.0', writeJson(operation, output));
  }
}

function writeError(service: string, protocol: Protocol, error: unknown, requestId: string): Response {
  const code = error instanceof AwsError ? error.code : 'InternalFailure';
  const message = error instanceof Error ? error.message : String(error);
  const { status, query } = errorTraits(service, code);
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
function errorTraits(service: string, code: string): { status: number; query: string | undefined } {
  const schema: unknown =
    APIS[service] === undefined ? undefined : Reflect.get(APIS[service].client, `${code}$`);
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
  InternalFailure: 500,
  MissingAuthenticationTokenException: 403,
  ThrottlingException: 429,
  UnrecognizedClientException: 403,
};

function identify(request: Request, caller: Caller, requestId: string): Response {
  const action = new URLSearchParams(request.body.toString()).get('Action');
  if (action !== 'GetCallerIdentity') {
    throw new AwsError('InvalidAction', `the rehearsal's stand-in has no sts:${action}`);
  }
  const { arn, account } = caller.principal;
  return {
    status: 200,
    headers: { 'content-type': 'text/xml' },
    body:
      '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>' +
      `<Arn>${escapeXml(arn)}</Arn><UserId>${caller.credentials.accessKeyId}</UserId><Account>${account}</Account>` +
      `</GetCallerIdentityResult><ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></GetCallerIdentityResponse>`,
  };
}
