import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  GetAliasCommandInput,
  GetFunctionCommandInput,
  GetFunctionConfigurationCommandInput,
  InvokeCommandInput,
  ListAliasesCommandInput,
  ListVersionsByFunctionCommandInput,
} from '@aws-sdk/client-lambda';
import { type Credentials, functionArn, VPC_ACTIONS } from '../access/access.ts';
import type { Principal } from '../access/policy.ts';
import { AwsError } from '../aws-error.ts';
import type { Aws, Call, Operations } from '../server.ts';
import { type Resource, UnknownTemplate } from '../template/template.ts';
import { isRecord, type Request, textOf } from '../wire/wire.ts';
import { DurableExecutions } from './durable.ts';
import { FunctionProcess, type InvocationError, type InvocationOutcome } from './function-process.ts';

export interface LambdaFunction {
  resource: Resource;
  arn: string;
  name: string;
  account: string;
  region: string;
  /** The session under which its code and Lambda itself act. */
  role: Principal & { kind: 'identity' };
  folder: string;
  /** Real milliseconds. */
  timeout: number;
  logGroup: string;
  /** Milliseconds. */
  durable: { timeout: number; retention: number } | undefined;
  versions: Set<string>;
  aliases: Map<string, string>;
  /** By qualifier. */
  asynchronous: Map<string, AsynchronousSettings>;
  processes: Environment[];
  credentials: Credentials | undefined;
}

/** What an ARN or name with qualifier points at. */
export interface Target {
  fn: LambdaFunction;
  version: string;
  /** As it was invoked: with the alias, if it was by one. */
  arn: string;
  qualifier: string | undefined;
}

interface AsynchronousSettings {
  retries: number;
  /** Milliseconds. */
  maximumAge: number;
  onFailure: string | undefined;
}

interface Environment {
  id: string;
  version: string;
  process: FunctionProcess;
  /** Ends it when it has long been idle. */
  cancel: () => void;
}

interface Event {
  target: Target;
  payload: string;
  requestId: string;
  attempt: number;
  accepted: number;
}

/** After so long without work an environment is dropped; Lambda does not say, observers find 5 to 7 minutes. */
const IDLE = 6 * 60_000;
/** Lambda's defaults for asynchronous invocations: two retries, one and then two minutes later, within six hours. */
const DEFAULT_RETRIES = 2;
const DEFAULT_AGE_SECONDS = 21_600;
const RETRY_WAITS = [60_000, 120_000];
/** The error of an invocation that an interceptor lost. */
const LOST = 'Rehearsal.Lost';
/** Lambda's default of a durable execution's retention. */
const DEFAULT_RETENTION_DAYS = 14;
const DAY = 86_400_000;
/** An asynchronous payload and a synchronous one may have so many bytes. */
const LARGEST_EVENT = 1_048_576;
const LARGEST_REQUEST = 6_291_456;

/** AWS Lambda: each function's bundle in processes of its own. */
export class Lambda {
  readonly operations: Operations;
  readonly durable: DurableExecutions;
  readonly #aws: Aws;
  readonly #functions = new Map<string, LambdaFunction>();
  readonly #processes = new Map<string, FunctionProcess>();
  /** Of inline code that was unpacked, and of compiled code. */
  readonly #folder = mkdtempSync(join(tmpdir(), 'wa-upkeep-lambda-'));
  readonly #killChildren = () => {
    for (const process of this.#processes.values()) process.kill();
  };
  #started = 0;

  constructor(aws: Aws) {
    this.#aws = aws;
    this.durable = new DurableExecutions(aws);
    for (const resource of aws.deployed.ofType('AWS::Lambda::Function')) {
      this.#functions.set(resource.arn, this.#functionOf(resource));
    }
    for (const { arn, name } of aws.deployed.ofType('AWS::Lambda::Version')) {
      this.#owner(arn).versions.add(name);
    }
    for (const { arn, name, properties } of aws.deployed.ofType('AWS::Lambda::Alias')) {
      this.#owner(arn).aliases.set(name, properties.text('FunctionVersion'));
    }
    for (const { properties, account, region } of aws.deployed.ofType('AWS::Lambda::EventInvokeConfig')) {
      const arn = functionArn({ FunctionName: properties.text('FunctionName') }, { account, region });
      const destinations = properties.child('DestinationConfig')?.only('OnFailure');
      this.#owner(arn).asynchronous.set(properties.text('Qualifier'), {
        retries: properties.number('MaximumRetryAttempts', DEFAULT_RETRIES),
        maximumAge: properties.number('MaximumEventAgeInSeconds', DEFAULT_AGE_SECONDS) * 1000,
        onFailure: destinations?.child('OnFailure')?.text('Destination'),
      });
    }
    this.operations = {
      ...this.durable.operations,
      Invoke: (input: InvokeCommandInput, call: Call) => this.#invoke(input, call),
      ListFunctions: (_input: object, { account, region }: Call) => ({
        Functions: [...this.#functions.values()]
          .filter((fn) => fn.account === account && fn.region === region)
          .map((fn) => described(fn, '$LATEST')),
      }),
      GetFunctionConfiguration: (input: GetFunctionConfigurationCommandInput, call: Call) =>
        this.#describe(input, call),
      GetFunction: (input: GetFunctionCommandInput, call: Call) => ({
        Configuration: this.#describe(input, call),
      }),
      ListVersionsByFunction: (input: ListVersionsByFunctionCommandInput, call: Call) => {
        const { fn } = this.#target(functionArn({ FunctionName: input.FunctionName }, call));
        return { Versions: ['$LATEST', ...fn.versions].map((version) => described(fn, version)) };
      },
      ListAliases: (input: ListAliasesCommandInput, call: Call) => {
        const { fn } = this.#target(functionArn({ FunctionName: input.FunctionName }, call));
        return { Aliases: [...fn.aliases].map(([name, version]) => describedAlias(fn, name, version)) };
      },
      GetAlias: (input: GetAliasCommandInput, call: Call) => {
        const { fn } = this.#target(functionArn({ FunctionName: input.FunctionName }, call));
        const version = fn.aliases.get(input.Name ?? '');
        if (version === undefined) throw notFound(`${fn.arn}:${input.Name}`);
        return describedAlias(fn, input.Name ?? '', version);
      },
    };
  }

  /** Takes an asynchronous invocation that was allowed already. Undefined, or why it can't be taken. */
  enqueue(arn: string, payload: string, durableName?: string): string | undefined {
    let target: Target;
    try {
      target = this.#target(arn);
    } catch (error) {
      if (error instanceof AwsError) return error.message;
      throw error;
    }
    if (target.fn.durable !== undefined) {
      this.durable.start(target, payload, durableName);
    } else {
      const { clock } = this.#aws;
      this.count(target, 'AsyncEventsReceived', 1);
      const event = { target, payload, requestId: randomUUID(), attempt: 1, accepted: clock.now() };
      clock.at(clock.now(), () => this.#attempt(event));
    }
    return undefined;
  }

  /** Calls a function and waits for its answer: a synchronous invocation that was allowed already. */
  call(arn: string, payload: string): Promise<InvocationOutcome> {
    return this.run(this.#target(arn), payload, { payload, attempt: 1 });
  }

  /** Runs one invocation in a process. */
  async run(
    target: Target,
    payload: string,
    seen: { payload: string; attempt: number },
    requestId: string = randomUUID(),
  ): Promise<InvocationOutcome> {
    const { fn } = target;
    this.count(target, 'Invocations', 1);
    const began = this.#aws.clock.now();
    const outcome = await this.#runUncounted(target, payload, seen, requestId);
    this.count(target, 'Duration', this.#aws.clock.now() - began);
    this.count(target, 'Errors', outcome.outcome === 'failed' ? 1 : 0);
    if (outcome.outcome === 'failed' && outcome.crash) {
      this.#log(fn, 'platform', `${requestId} ${outcome.error.errorType}: ${outcome.error.errorMessage}`);
    }
    return outcome;
  }

  /** Sends an event that failed for good to the function's dead-letter queue, if it has one. */
  deadLetter(target: Target, payload: string, error: InvocationError): void {
    const { fn } = target;
    const arn = fn.resource.properties.child('DeadLetterConfig')?.text('TargetArn');
    if (arn === undefined) return;
    const text = (value: string) => ({ DataType: 'String', StringValue: value });
    const refused = arn.startsWith('arn:aws:sqs:')
      ? this.#aws.sqs.deliver(
          fn.role,
          arn,
          payload,
          {
            RequestID: text(randomUUID()),
            ErrorCode: { DataType: 'Number', StringValue: '200' },
            ErrorMessage: text(error.errorMessage.slice(0, 1024) || error.errorType),
          },
          {},
        )
      : `dead-letter targets like ${arn} are not understood`;
    if (refused === undefined) return;
    this.count(target, 'DeadLetterErrors', 1);
    this.#aws.drop(fn.arn, arn, refused);
  }

  /** A value of one of Lambda's metrics, for the function and, if it was invoked by one, the alias. */
  count({ fn, qualifier, version }: Target, metric: string, value: number): void {
    const { cloudWatch } = this.#aws;
    cloudWatch.put(fn, 'AWS/Lambda', metric, { FunctionName: fn.name }, value);
    if (qualifier === undefined) return;
    const resource = `${fn.name}:${qualifier}`;
    cloudWatch.put(fn, 'AWS/Lambda', metric, { FunctionName: fn.name, Resource: resource }, value);
    cloudWatch.put(
      fn,
      'AWS/Lambda',
      metric,
      { FunctionName: fn.name, Resource: resource, ExecutedVersion: version },
      value,
    );
  }

  /** The version (undefined without a qualifier) and function behind an unqualified ARN and a qualifier. */
  named(arn: string, qualifier: string | undefined): [string | undefined, LambdaFunction] {
    const target = this.#target(qualifier === undefined ? arn : `${arn}:${qualifier}`);
    return [target.qualifier === undefined ? undefined : target.version, target.fn];
  }

  /** Kills the processes of the functions that have the name, or a logical id that begins so. Returns how many. */
  kill(name: string): number {
    let killed = 0;
    for (const fn of this.#functions.values()) {
      if (fn.name !== name && !fn.resource.logicalId.startsWith(name)) continue;
      for (const environment of fn.processes) {
        if (environment.process.ended) continue;
        environment.cancel();
        environment.process.kill();
        if (!environment.process.busy) this.#forget(fn, environment);
        killed++;
      }
    }
    return killed;
  }

  /** How many processes are alive, by function name. */
  get processes(): Record<string, number> {
    return Object.fromEntries(
      [...this.#functions.values()].map(({ name, processes }) => [
        name,
        processes.filter(({ process }) => !process.ended).length,
      ]),
    );
  }

  /** The Runtime API: `/runtime/ENVIRONMENT/2018-06-01/runtime/…`. */
  runtime({ url, body }: Request, response: ServerResponse): void {
    const [, , id = '', , , kind, requestId = '', what] = url.pathname.split('/');
    const process = this.#processes.get(id);
    if (process === undefined) {
      response.writeHead(404).end();
      return;
    }
    if (kind === 'invocation' && requestId === 'next') {
      process.next(response);
      return;
    }
    if (kind === 'invocation' && what === 'response') process.answered(requestId, body.toString());
    else if (kind === 'invocation' && what === 'error') process.threw(requestId, errorOf(body));
    else if (kind === 'init') process.failedToStart(errorOf(body));
    response.writeHead(202).end();
  }

  async close(): Promise<void> {
    this.durable.close();
    process.off('exit', this.#killChildren);
    await Promise.all([...this.#processes.values()].map((process) => process.close()));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #invoke(input: InvokeCommandInput, call: Call) {
    const target = this.#target(functionArn({ ...input }, call));
    const payload = textOf(input.Payload) ?? '{}';
    const type = input.InvocationType ?? 'RequestResponse';
    parseEvent(payload, type);
    const { fn } = target;
    if (type === 'DryRun') return { StatusCode: 204 };
    if (fn.durable !== undefined) {
      if (target.qualifier === undefined || target.qualifier === '$LATEST') {
        throw new AwsError(
          'InvalidParameterValueException',
          'You cannot invoke a durable function using an unqualified ARN.',
          { Type: 'User' },
        );
      }
      const name = input.DurableExecutionName;
      if (name !== undefined && !/^[a-zA-Z0-9-_]{1,64}$/.test(name)) {
        throw new AwsError(
          'InvalidParameterValueException',
          `the durable execution name ${name} is not valid`,
          {
            Type: 'User',
          },
        );
      }
      const execution = this.durable.start(target, payload, name);
      const common = { DurableExecutionArn: execution.arn, ExecutedVersion: target.version };
      if (type === 'Event') return { StatusCode: 202, DurableExecutionArn: execution.arn };
      const outcome = await this.#aws.clock.release(() => this.durable.ended(execution));
      return { ...common, ...answered(outcome) };
    }
    if (type === 'Event') {
      this.enqueue(target.arn, payload);
      return { StatusCode: 202 };
    }
    const outcome = await this.run(target, payload, { payload, attempt: 1 }, call.requestId);
    return { ExecutedVersion: target.version, ...answered(outcome) };
  }

  async #attempt(event: Event): Promise<void> {
    const { target, payload, requestId, attempt, accepted } = event;
    const { clock } = this.#aws;
    const settings = target.fn.asynchronous.get(target.qualifier ?? '$LATEST') ?? {
      retries: DEFAULT_RETRIES,
      maximumAge: DEFAULT_AGE_SECONDS * 1000,
      onFailure: undefined,
    };
    const outcome = await this.run(target, payload, { payload, attempt }, requestId);
    if (outcome.outcome === 'returned' || outcome.error.errorType === LOST) return;
    const wait = RETRY_WAITS[attempt - 1] ?? 0;
    const tooOld = clock.now() + wait - accepted > settings.maximumAge;
    if (attempt <= settings.retries && !tooOld) {
      clock.at(clock.now() + wait, () => this.#attempt({ ...event, attempt: attempt + 1 }));
      return;
    }
    this.count(target, 'AsyncEventsDropped', 1);
    this.deadLetter(target, payload, outcome.error);
    if (settings.onFailure !== undefined) {
      const condition = tooOld ? 'EventAgeExceeded' : 'RetriesExhausted';
      this.#toDestination(settings.onFailure, event, condition, outcome.error);
    }
  }

  #toDestination(destination: string, event: Event, condition: string, error: InvocationError): void {
    const { target, payload, requestId, attempt } = event;
    const record = {
      version: '1.0',
      timestamp: new Date(this.#aws.clock.now()).toISOString(),
      requestContext: {
        requestId,
        functionArn: target.arn,
        condition,
        approximateInvokeCount: attempt,
      },
      requestPayload: JSON.parse(payload),
      responseContext: { statusCode: 200, executedVersion: target.version, functionError: 'Unhandled' },
      responsePayload: error,
    };
    const refused = destination.startsWith('arn:aws:sqs:')
      ? this.#aws.sqs.deliver(target.fn.role, destination, JSON.stringify(record), {}, {})
      : `destinations like ${destination} are not understood`;
    if (refused === undefined) return;
    this.count(target, 'DestinationDeliveryFailures', 1);
    this.#aws.drop(target.fn.arn, destination, refused);
  }

  async #runUncounted(
    target: Target,
    payload: string,
    seen: { payload: string; attempt: number },
    requestId: string,
  ): Promise<InvocationOutcome> {
    const { fn } = target;
    for (const interceptor of this.#aws.invokeInterceptors) {
      const interception = interceptor({ functionName: fn.name, functionArn: target.arn, ...seen });
      if (interception === undefined) continue;
      const error =
        interception === 'drop'
          ? { errorType: LOST, errorMessage: 'the rehearsal lost this invocation' }
          : { errorType: interception.name, errorMessage: interception.message };
      return { outcome: 'failed', crash: true, error };
    }
    const refused = this.#mayStart(fn);
    if (refused !== undefined) {
      const error = { errorType: 'AccessDeniedException', errorMessage: refused };
      return { outcome: 'failed', crash: true, error };
    }
    const environment =
      fn.processes.find(
        ({ process, version }) => !process.ended && !process.busy && version === target.version,
      ) ?? this.#start(fn, target.version);
    environment.cancel();
    const { clock } = this.#aws;
    const outcome = await environment.process.invoke({
      requestId,
      payload,
      invokedArn: target.arn,
      deadline: clock.now() + fn.timeout,
      timeout: fn.timeout,
    });
    if (environment.process.ended) this.#forget(fn, environment);
    else {
      environment.cancel = clock.at(clock.now() + IDLE, () => {
        environment.process.kill();
        this.#forget(fn, environment);
      });
    }
    return outcome;
  }

  /**
   * What Lambda itself needs of the role, some of it when the function is made: to assume it, to send to where failed
   * events go, the network interfaces, the environment's key. Without it there is no function to run.
   */
  #mayStart(fn: LambdaFunction): string | undefined {
    const { properties } = fn.resource;
    if (fn.processes.length > 0) return undefined;
    const role = properties.text('Role');
    const trusted = this.#aws.access.assume(role, fn.name, 'lambda.amazonaws.com', {
      'aws:SourceArn': fn.arn,
      'aws:SourceAccount': fn.account,
    });
    if (trusted === undefined) return `The role ${role} cannot be assumed by Lambda.`;
    const failed = [
      properties.child('DeadLetterConfig')?.text('TargetArn', undefined),
      ...[...fn.asynchronous.values()].map(({ onFailure }) => onFailure),
    ];
    for (const queue of failed) {
      if (queue?.startsWith('arn:aws:sqs:') !== true) continue;
      const refused = this.#aws.access.check({
        principal: fn.role,
        action: 'sqs:SendMessage',
        resource: queue,
        function: fn.name,
      });
      if (refused !== undefined) return refused;
    }
    if (properties.has('VpcConfig')) {
      for (const action of VPC_ACTIONS) {
        const refused = this.#aws.access.check({
          principal: fn.role,
          action,
          resource: '*',
          function: fn.name,
        });
        if (refused !== undefined) return refused;
      }
    }
    return this.#aws.access.checkKey(
      properties.text('KmsKeyArn', undefined),
      fn.role,
      ['kms:Decrypt'],
      {
        'kms:ViaService': `lambda.${fn.region}.amazonaws.com`,
        'kms:EncryptionContext:aws:lambda:FunctionArn': fn.arn,
      },
      fn,
      fn.name,
    );
  }

  #start(fn: LambdaFunction, version: string): Environment {
    const { endpoint, clock, hosts, access } = this.#aws;
    const { properties } = fn.resource;
    if (this.#started === 0) globalThis.process.on('exit', this.#killChildren);
    const id = String(++this.#started);
    const date = new Date(clock.now()).toISOString().slice(0, 10).replaceAll('-', '/');
    const stream = `${date}/[${version}]${id.padStart(32, '0')}`;
    fn.credentials ??= access.issue(fn.role, { name: fn.name, arn: fn.arn });
    const variables = properties.child('Environment')?.child('Variables')?.values ?? {};
    const process = new FunctionProcess({
      runtimeApi: `${endpoint.replace('http://', '')}/runtime/${id}`,
      folder: fn.folder,
      handler: properties.text('Handler'),
      environment: {
        ...Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, String(value)])),
        PATH: globalThis.process.env.PATH ?? '',
        LANG: 'en_US.UTF-8',
        TZ: ':UTC',
        AWS_REGION: fn.region,
        AWS_DEFAULT_REGION: fn.region,
        AWS_EXECUTION_ENV: `AWS_Lambda_${properties.text('Runtime')}`,
        AWS_LAMBDA_FUNCTION_NAME: fn.name,
        AWS_LAMBDA_FUNCTION_VERSION: version,
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: properties.text('MemorySize', '128'),
        AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
        AWS_LAMBDA_LOG_GROUP_NAME: fn.logGroup,
        AWS_LAMBDA_LOG_STREAM_NAME: stream,
        AWS_ACCESS_KEY_ID: fn.credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: fn.credentials.secretAccessKey,
        AWS_SESSION_TOKEN: fn.credentials.sessionToken,
        AWS_ENDPOINT_URL: endpoint,
        NODE_COMPILE_CACHE: join(this.#folder, 'compiled'),
        REHEARSAL_CLOCK: clock.file,
        ...(properties.has('VpcConfig') && { REHEARSAL_HOSTS: JSON.stringify(hosts) }),
      },
      onLine: (text) => this.#log(fn, stream, text),
    });
    const environment = { id, version, process, cancel: () => {} };
    fn.processes.push(environment);
    this.#processes.set(id, process);
    return environment;
  }

  #forget(fn: LambdaFunction, environment: Environment): void {
    fn.processes = fn.processes.filter((other) => other !== environment);
    void environment.process.close().then(() => this.#processes.delete(environment.id));
  }

  #log(fn: LambdaFunction, stream: string, text: string): void {
    const group = { name: fn.logGroup, account: fn.account, region: fn.region };
    this.#aws.logGroups.write(group, stream, text, fn.role, fn.name);
  }

  #describe(input: { FunctionName: string | undefined; Qualifier?: string | undefined }, call: Call) {
    const target = this.#target(functionArn({ ...input }, call));
    return described(target.fn, target.version);
  }

  #functionOf(resource: Resource): LambdaFunction {
    const { properties, arn, name, account, region, code } = resource;
    const runtime = properties.text('Runtime');
    if (!runtime.startsWith('nodejs')) {
      throw new UnknownTemplate(`${properties.where}: the runtime ${runtime} is not understood`);
    }
    const durable = properties.child('DurableConfig')?.only('ExecutionTimeout', 'RetentionPeriodInDays');
    return {
      resource,
      arn,
      name,
      account,
      region,
      role: this.#aws.access.session(properties.text('Role'), name),
      folder: code === undefined ? '' : 'folder' in code ? code.folder : this.#unpack(name, code.inline),
      timeout: properties.number('Timeout', 3) * 1000,
      logGroup: properties.child('LoggingConfig')?.text('LogGroup', undefined) ?? `/aws/lambda/${name}`,
      durable: durable && {
        timeout: durable.number('ExecutionTimeout') * 1000,
        retention: durable.number('RetentionPeriodInDays', DEFAULT_RETENTION_DAYS) * DAY,
      },
      versions: new Set(),
      aliases: new Map(),
      asynchronous: new Map(),
      processes: [],
      credentials: undefined,
    };
  }

  /** Lambda puts inline code into `index.js`. */
  #unpack(name: string, inline: string): string {
    const folder = mkdtempSync(join(this.#folder, `${name}-`));
    writeFileSync(join(folder, 'index.js'), inline);
    return folder;
  }

  #owner(arn: string): LambdaFunction {
    const fn = this.#functions.get(arn.split(':').slice(0, 7).join(':'));
    if (fn === undefined) throw new UnknownTemplate(`${arn} belongs to no function in the templates`);
    return fn;
  }

  #target(arn: string): Target {
    const parts = arn.split(':');
    const fn = this.#functions.get(parts.slice(0, 7).join(':'));
    const qualifier = parts[7];
    if (fn === undefined) throw notFound(arn);
    const version =
      qualifier === undefined || qualifier === '$LATEST'
        ? '$LATEST'
        : (fn.aliases.get(qualifier) ?? (fn.versions.has(qualifier) ? qualifier : undefined));
    if (version === undefined) throw notFound(arn);
    return { fn, version, arn, qualifier };
  }
}

function parseEvent(payload: string, type: string): void {
  if (payload.length > (type === 'Event' ? LARGEST_EVENT : LARGEST_REQUEST)) {
    throw new AwsError('RequestTooLargeException', 'Request must be smaller than the limit.', {
      Type: 'User',
    });
  }
  try {
    JSON.parse(payload);
  } catch {
    throw new AwsError('InvalidRequestContentException', 'Could not parse request body into json.', {
      Type: 'User',
    });
  }
}

function answered(outcome: InvocationOutcome) {
  if (outcome.outcome === 'returned') return { StatusCode: 200, Payload: Buffer.from(outcome.payload) };
  return {
    StatusCode: 200,
    FunctionError: 'Unhandled',
    Payload: Buffer.from(JSON.stringify(outcome.error)),
  };
}

function errorOf(body: Buffer): InvocationError {
  const value: unknown = JSON.parse(body.toString());
  if (!isRecord(value)) return { errorType: 'Error', errorMessage: String(value) };
  return {
    errorType: String(value.errorType),
    errorMessage: String(value.errorMessage),
    ...(Array.isArray(value.stackTrace) && { stackTrace: value.stackTrace.map(String) }),
  };
}

function notFound(arn: string): AwsError {
  return new AwsError('ResourceNotFoundException', `Function not found: ${arn}`, { Type: 'User' });
}

function described(fn: LambdaFunction, version: string) {
  const { properties } = fn.resource;
  const variables = properties.child('Environment')?.child('Variables')?.values ?? {};
  const vpc = properties.child('VpcConfig');
  return {
    FunctionName: fn.name,
    FunctionArn: version === '$LATEST' ? fn.arn : `${fn.arn}:${version}`,
    Runtime: properties.text('Runtime'),
    Role: properties.text('Role'),
    Handler: properties.text('Handler'),
    Description: properties.text('Description', ''),
    Timeout: fn.timeout / 1000,
    MemorySize: properties.number('MemorySize', 128),
    Version: version,
    PackageType: 'Zip',
    Architectures: properties.texts('Architectures'),
    State: 'Active',
    LastUpdateStatus: 'Successful',
    Environment: {
      Variables: Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, String(value)])),
    },
    LoggingConfig: { LogGroup: fn.logGroup },
    ...(vpc !== undefined && {
      VpcConfig: { SubnetIds: vpc.texts('SubnetIds'), SecurityGroupIds: vpc.texts('SecurityGroupIds') },
    }),
    ...(fn.durable !== undefined && {
      DurableConfig: {
        ExecutionTimeout: fn.durable.timeout / 1000,
        RetentionPeriodInDays: fn.durable.retention / DAY,
      },
    }),
  };
}

function describedAlias(fn: LambdaFunction, name: string, version: string) {
  return { AliasArn: `${fn.arn}:${name}`, Name: name, FunctionVersion: version };
}
