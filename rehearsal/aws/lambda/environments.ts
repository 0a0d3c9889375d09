import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VPC_ACTIONS } from '../access/managed-policies.ts';
import type { Cloud, InvocationError, InvocationOutcome } from '../cloud.ts';
import type { Environment, LambdaFunction, Target } from './function.ts';
import { FunctionProcess } from './function-process.ts';

/** After so long without work an environment is dropped; Lambda does not say, observers find 5 to 7 minutes. */
const IDLE = 6 * 60_000;

/** The error of an invocation that an interceptor lost. */
export const LOST = 'Rehearsal.Lost';

/** The processes that functions run in: each an execution environment. */
export class Environments {
  /** Milliseconds in place of a function's own timeout, by its name, asked for each invocation. */
  readonly timeouts = new Map<string, () => number>();
  /** Milliseconds without work after which an environment is dropped. */
  idle = IDLE;
  readonly #aws: Cloud;
  readonly #processes = new Set<FunctionProcess>();
  /** Of inline code that was unpacked, and of compiled code. */
  readonly folder = mkdtempSync(join(tmpdir(), 'rehearsal-lambda-'));
  readonly #killChildren = () => {
    for (const process of this.#processes) process.kill();
  };
  #started = 0;

  constructor(aws: Cloud) {
    this.#aws = aws;
  }

  /** Runs one invocation in an idle process of the version, or in a new one. */
  async run(
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
      return this.#neverBegan(fn, requestId, error);
    }
    const refused = this.#mayStart(fn);
    if (refused !== undefined) {
      return this.#neverBegan(fn, requestId, { errorType: 'AccessDeniedException', errorMessage: refused });
    }
    const environment =
      fn.processes.find(
        ({ process, version }) => !process.ended && !process.busy && version === target.version,
      ) ?? this.#start(fn, target.version);
    environment.cancel();
    const { clock } = this.#aws;
    const timeout = this.timeouts.get(fn.name)?.() ?? fn.timeout;
    const { stream } = environment;
    const began = clock.now();
    const tell = (text: string) => this.#log(fn, stream, text, true);
    tell(`START RequestId: ${requestId} Version: ${environment.version}`);
    const outcome = await environment.process.invoke({
      requestId,
      payload,
      invokedArn: target.arn,
      deadline: clock.now() + timeout,
      timeout,
    });
    if (outcome.outcome === 'failed' && outcome.crash)
      this.#log(fn, stream, crashLine(outcome.error, clock.now()));
    tell(`END RequestId: ${requestId}`);
    // Without the memory used, which nobody measured.
    const duration = clock.now() - began;
    tell(
      `REPORT RequestId: ${requestId}\tDuration: ${duration.toFixed(2)} ms\tBilled Duration: ${Math.ceil(duration)} ms\tMemory Size: ${fn.resource.properties.text('MemorySize', '128')} MB`,
    );
    if (environment.process.ended) this.#forget(fn, environment);
    else {
      environment.cancel = clock.at(clock.now() + this.idle, () => {
        this.#forget(fn, environment);
      });
    }
    return outcome;
  }

  #neverBegan(fn: LambdaFunction, requestId: string, error: InvocationError): InvocationOutcome {
    this.#log(fn, 'platform', `${requestId} ${error.errorType}: ${error.errorMessage}`);
    return { outcome: 'failed', crash: true, error };
  }

  /** Kills a function's processes. Returns how many. */
  kill(fn: LambdaFunction): number {
    let killed = 0;
    for (const environment of fn.processes) {
      if (environment.process.ended) continue;
      environment.cancel();
      environment.process.kill();
      if (!environment.process.busy) this.#forget(fn, environment);
      killed++;
    }
    return killed;
  }

  /** Has a function's processes that are at work do nothing more. */
  hang(fn: LambdaFunction): void {
    for (const { process } of fn.processes) if (process.busy) process.hang();
  }

  #log(fn: LambdaFunction, stream: string, text: string, isPlatform = false): void {
    const group = { name: fn.logGroup, account: fn.account, region: fn.region };
    this.#aws.logGroups.write(group, stream, text, fn.role, fn.name, isPlatform);
  }

  async close(): Promise<void> {
    process.off('exit', this.#killChildren);
    await Promise.all([...this.#processes].map((process) => process.release()));
    rmSync(this.folder, { recursive: true, force: true });
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
    const date = new Date(clock.now()).toISOString().slice(0, 10).replaceAll('-', '/');
    const stream = `${date}/[${version}]${String(++this.#started).padStart(32, '0')}`;
    fn.credentials ??= access.issue(fn.role, { name: fn.name, arn: fn.arn });
    const variables = properties.child('Environment')?.child('Variables')?.values ?? {};
    const folder = fn.folders.get(version) ?? fn.folder;
    const handler = properties.text('Handler');
    const process = new FunctionProcess({
      folder,
      handler,
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
        REHEARSAL_CLOCK: clock.file,
        AWS_LAMBDA_RUNTIME_API: '127.0.0.1:9001',
        LAMBDA_TASK_ROOT: folder,
        _HANDLER: handler,
        ...(properties.has('VpcConfig') && { REHEARSAL_HOSTS: JSON.stringify(hosts) }),
      },
      compileCache: globalThis.process.env.NODE_COMPILE_CACHE ?? join(this.folder, 'compiled'),
      onLine: (text) => this.#log(fn, stream, text),
    });
    const environment = { version, stream, process, cancel: () => {} };
    fn.processes.push(environment);
    this.#processes.add(process);
    return environment;
  }

  #forget(fn: LambdaFunction, environment: Environment): void {
    fn.processes = fn.processes.filter((other) => other !== environment);
    void environment.process.release().then(() => this.#processes.delete(environment.process));
  }
}

/** As Lambda writes it in its text format. */
function crashLine({ errorType, errorMessage }: InvocationError, time: number): string {
  const [, requestId, message] = /^RequestId: (\S+) Error: (Task timed out .*)$/s.exec(errorMessage) ?? [];
  return message === undefined
    ? `${errorMessage} ${errorType}`
    : `${new Date(time).toISOString()} ${requestId} ${message}`;
}
