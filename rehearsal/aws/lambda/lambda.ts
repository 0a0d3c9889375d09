import { randomUUID } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  GetAliasCommandInput,
  GetFunctionCommandInput,
  GetFunctionConfigurationCommandInput,
  InvokeCommandInput,
  ListAliasesCommandInput,
  ListVersionsByFunctionCommandInput,
} from '@aws-sdk/client-lambda';
import * as client from '@aws-sdk/client-lambda';
import { AwsError } from '../aws-error.ts';
import {
  type Ask,
  anywhere,
  type Call,
  type Cloud,
  type Functions,
  type InvocationOutcome,
  type Operations,
  operation,
  required,
  type Service,
} from '../cloud.ts';
import type { Place } from '../place.ts';
import { UnknownTemplate } from '../template/properties.ts';
import type { Resource } from '../template/resource.ts';
import { textOf } from '../wire/values.ts';
import { functionArn } from './arn.ts';
import {
  AsynchronousInvocations,
  DEFAULT_AGE_SECONDS,
  DEFAULT_RETRIES,
  type Runner,
} from './asynchronous.ts';
import { DurableExecutions } from './durable/durable-executions.ts';
import { Environments } from './environments.ts';
import {
  addVersion,
  DAY,
  described,
  describedAlias,
  type LambdaFunction,
  notFound,
  type Target,
} from './function.ts';
import { parsePayload } from './payload.ts';
import { permissionStatement } from './permission.ts';

/** Lambda's default of a durable execution's retention. */
const DEFAULT_RETENTION_DAYS = 14;
/** An execution that may last longer is started asynchronously only (Developer Guide, invoking durable functions). */
const LONGEST_SYNCHRONOUS = 15 * 60_000;

/** AWS Lambda: each function's bundle in processes of its own. */
export class Lambda implements Service, Functions, Runner {
  readonly signingName = 'lambda';
  readonly client = client;
  readonly operations: Operations;
  readonly durable: DurableExecutions;
  /** Invocations that each account may have at once, as GetAccountSettings tells it. A fault can change it. */
  concurrency = 1000;
  readonly #aws: Cloud;
  readonly #functions = new Map<string, LambdaFunction>();
  readonly #environments: Environments;
  readonly #asynchronous: AsynchronousInvocations;

  constructor(aws: Cloud) {
    this.#aws = aws;
    this.#environments = new Environments(aws);
    this.#asynchronous = new AsynchronousInvocations(aws, this);
    this.durable = new DurableExecutions(aws, {
      run: (target, payload, seen, requestId) => this.run(target, payload, seen, requestId),
      count: (target, metric, value) => this.count(target, metric, value),
      deadLetter: (target, payload, error) => this.#asynchronous.deadLetter(target, payload, error),
      target: (arn) => this.#target(arn),
    });
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
      const arn = functionArn(properties.text('FunctionName'), { account, region });
      const destinations = properties.child('DestinationConfig')?.only('OnFailure');
      this.#owner(arn).asynchronous.set(properties.text('Qualifier'), {
        retries: properties.number('MaximumRetryAttempts', DEFAULT_RETRIES),
        maximumAge: properties.number('MaximumEventAgeInSeconds', DEFAULT_AGE_SECONDS) * 1000,
        onFailure: destinations?.child('OnFailure')?.text('Destination'),
      });
    }
    for (const { properties, ...place } of aws.deployed.ofType('AWS::Lambda::Permission')) {
      const target = functionArn(properties.text('FunctionName'), place);
      aws.access.attach(target, { Statement: permissionStatement(target, properties) });
    }
    this.operations = {
      ...this.durable.operations,
      Invoke: operation(onFunction('InvokeFunction'), (input: InvokeCommandInput, call) =>
        this.#invoke(input, call),
      ),
      GetAccountSettings: operation(anywhere('lambda:GetAccountSettings'), () => {
        const ConcurrentExecutions = this.concurrency;
        return {
          AccountLimit: { ConcurrentExecutions, UnreservedConcurrentExecutions: ConcurrentExecutions },
        };
      }),
      ListFunctions: operation(anywhere('lambda:ListFunctions'), (_input: object, { account, region }) => ({
        Functions: [...this.#functions.values()]
          .filter((fn) => fn.account === account && fn.region === region)
          .map((fn) => described(fn, '$LATEST')),
      })),
      GetFunctionConfiguration: operation(
        onFunction('GetFunctionConfiguration'),
        (input: GetFunctionConfigurationCommandInput, call) => this.#describe(input, call),
      ),
      GetFunction: operation(onFunction('GetFunction'), (input: GetFunctionCommandInput, call) => ({
        Configuration: this.#describe(input, call),
      })),
      ListVersionsByFunction: operation(
        onFunction('ListVersionsByFunction'),
        ({ FunctionName: name }: ListVersionsByFunctionCommandInput, call) => {
          const { fn } = this.#target(functionArn(required(name), call));
          return { Versions: ['$LATEST', ...fn.versions].map((version) => described(fn, version)) };
        },
      ),
      ListAliases: operation(
        onFunction('ListAliases'),
        ({ FunctionName: name }: ListAliasesCommandInput, call) => {
          const { fn } = this.#target(functionArn(required(name), call));
          return { Aliases: [...fn.aliases].map(([alias, version]) => describedAlias(fn, alias, version)) };
        },
      ),
      GetAlias: operation(onFunction('GetAlias'), (input: GetAliasCommandInput, call) => {
        const { fn } = this.#target(functionArn(required(input.FunctionName), call));
        const version = fn.aliases.get(input.Name ?? '');
        if (version === undefined) throw notFound(`${fn.arn}:${input.Name}`);
        return describedAlias(fn, input.Name ?? '', version);
      }),
    };
  }

  /** Gives a function other timeouts than its template's: `draw` is asked for each invocation, and gives milliseconds. */
  scaleTimeout(functionName: string, draw: () => number): void {
    this.#environments.timeouts.set(functionName, draw);
  }

  /** Keeps functions' processes without work for so many milliseconds: many nights by few processes. */
  keepWarm(milliseconds: number): void {
    this.#environments.idle = milliseconds;
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
      this.#asynchronous.enqueue(target, payload);
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
    this.count(target, 'Invocations', 1);
    const began = this.#aws.clock.now();
    const outcome = await this.#environments.run(target, payload, seen, requestId);
    this.count(target, 'Duration', this.#aws.clock.now() - began);
    this.count(target, 'Errors', outcome.outcome === 'failed' ? 1 : 0);
    return outcome;
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

  /** Deploys a new version of the functions whose name begins so, with other code, if a folder is given. */
  deployVersion(name: string, folder?: string): void {
    for (const fn of this.#functions.values()) if (fn.name.startsWith(name)) addVersion(fn, folder);
  }

  /** Kills the processes of the functions that have the name, or a logical id that begins so. Returns how many. */
  kill(name: string): number {
    let killed = 0;
    for (const fn of this.#functions.values()) {
      if (fn.name === name || fn.resource.logicalId.startsWith(name)) killed += this.#environments.kill(fn);
    }
    return killed;
  }

  /** Has what a function is at do nothing more, until Lambda's timeout ends it. */
  hang(name: string): void {
    for (const fn of this.#functions.values()) if (fn.name === name) this.#environments.hang(fn);
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

  async close(): Promise<void> {
    this.durable.close();
    await this.#environments.close();
  }

  async #invoke(input: InvokeCommandInput, call: Call) {
    const target = this.#target(functionArn(required(input.FunctionName), call, input.Qualifier));
    const payload = textOf(input.Payload) ?? '{}';
    const type = input.InvocationType ?? 'RequestResponse';
    parsePayload(payload, type);
    const { fn } = target;
    if (type === 'DryRun') return { StatusCode: 204 };
    if (fn.durable !== undefined) {
      if (target.qualifier === undefined) {
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
      if (type !== 'Event' && fn.durable.timeout > LONGEST_SYNCHRONOUS) {
        throw new AwsError(
          'InvalidParameterValueException',
          'You cannot synchronously invoke a durable function with an executionTimeout greater than 15 minutes.',
          { Type: 'User' },
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

  #describe(input: { FunctionName: string | undefined; Qualifier?: string | undefined }, call: Call) {
    const target = this.#target(functionArn(required(input.FunctionName), call, input.Qualifier));
    return described(target.fn, target.version);
  }

  #functionOf(resource: Resource): LambdaFunction {
    const { properties, arn, name, account, region } = resource;
    const runtime = properties.text('Runtime');
    if (!runtime.startsWith('nodejs')) {
      throw new UnknownTemplate(`${properties.where}: the runtime ${runtime} is not understood`);
    }
    const durable = properties
      .child('DurableConfig')
      ?.only('ExecutionTimeout', 'RetentionPeriodInDays', 'KMSKeyArn');
    return {
      resource,
      arn,
      name,
      account,
      region,
      role: this.#aws.access.session(properties.text('Role'), name),
      folder: this.#folderOf(resource),
      timeout: properties.number('Timeout', 3) * 1000,
      logGroup: properties.child('LoggingConfig')?.text('LogGroup', undefined) ?? `/aws/lambda/${name}`,
      durable: durable && {
        timeout: durable.number('ExecutionTimeout') * 1000,
        retention: durable.number('RetentionPeriodInDays', DEFAULT_RETENTION_DAYS) * DAY,
        keyArn: durable.text('KMSKeyArn', undefined),
      },
      folders: new Map(),
      versions: new Set(),
      aliases: new Map(),
      asynchronous: new Map(),
      processes: [],
      credentials: undefined,
    };
  }

  /** Of its bundle in the assembly. */
  #folderOf({ name, properties }: Resource): string {
    const code = properties.child('Code');
    const inline = code?.text('ZipFile', undefined);
    if (inline !== undefined) return this.#unpack(name, inline);
    const key = code?.text('S3Key') ?? '';
    const folder = this.#aws.deployed.assets.get(key);
    if (folder === undefined)
      throw new UnknownTemplate(`${properties.where}.Code: no asset ${key} in the assembly`);
    return folder;
  }

  /** Lambda puts inline code into `index.js`. */
  #unpack(name: string, inline: string): string {
    const folder = mkdtempSync(join(this.#environments.folder, `${name}-`));
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

function answered(outcome: InvocationOutcome) {
  if (outcome.outcome === 'returned') return { StatusCode: 200, Payload: Buffer.from(outcome.payload) };
  return {
    StatusCode: 200,
    FunctionError: 'Unhandled',
    Payload: Buffer.from(JSON.stringify(outcome.error)),
  };
}

function onFunction(action: string) {
  return (
    { FunctionName, Qualifier }: { FunctionName: string | undefined; Qualifier?: string | undefined },
    call: Place,
  ): Ask[] => [
    { action: `lambda:${action}`, resource: functionArn(required(FunctionName), call, Qualifier) },
  ];
}
