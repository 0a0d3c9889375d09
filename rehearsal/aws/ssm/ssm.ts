import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  DeleteParametersCommandInput,
  GetCommandInvocationCommandInput,
  GetParameterCommandInput,
  GetParametersByPathCommandInput,
  ListCommandInvocationsCommandInput,
  ListCommandsCommandInput,
  PutParameterCommandInput,
  ResumeSessionCommandInput,
  SendCommandCommandInput,
  TerminateSessionCommandInput,
} from '@aws-sdk/client-ssm';
import type { Where } from '../access/access.ts';
import { AwsError } from '../aws-error.ts';
import type { DockerHost } from '../containers/docker-host.ts';
import type { Aws, Call, Operations } from '../server.ts';
import type { SessionManager } from '../session-manager/session-manager.ts';
import type { Deployed } from '../template/template.ts';
import { TokenBuckets } from '../token-bucket.ts';

/** What is wrong with an instance, as long as it stands. */
export type InstanceFault =
  /** The agent does not fetch commands. */
  | 'unreachable'
  /** The agent cannot unpack its own plugins (aws/amazon-ssm-agent#90). */
  | 'disk-full'
  /** It does the work, and Run Command nonetheless says that it was never delivered (aws/amazon-ssm-agent#316). */
  | 'answers-late';

/** An instance that Systems Manager manages. */
export interface ManagedInstance extends Where {
  host: DockerHost;
  fault?: InstanceFault;
  /** How often a script made it restart. */
  reboots: number;
}

/** A value of Parameter Store. */
export interface Parameter {
  type: 'String' | 'StringList' | 'SecureString';
  value: string;
  /** Of a SecureString. */
  keyId: string | undefined;
  version: number;
  /** Epoch milliseconds on the rehearsal's clock. */
  modified: number;
}

/** Systems Manager's limits on the value of a parameter, by tier. */
const STANDARD_BYTES = 4096;
const ADVANCED_BYTES = 8192;
/** Of parameters in one request, and in one page. */
const NAMES_AT_ONCE = 10;

/** The key of a SecureString for which none is named. */
const DEFAULT_PARAMETER_KEY = 'alias/aws/ssm';

interface Invocation {
  instance: ManagedInstance;
  status: string;
  responseCode: number;
  /** In full; what is shown of them is cut. */
  output: string;
  error: string;
  process?: ChildProcess;
}

interface SentCommand extends Where {
  id: string;
  documentName: string;
  comment: string;
  requestedAt: number;
  invocations: Invocation[];
}

/** A document of the kind that runs a shell script. */
interface ShellDocument {
  parameters: Record<string, { allowedPattern?: string; default?: string }>;
  script: string;
  timeoutSeconds: string;
}

/** Milliseconds after sending during which Run Command does not know its own invocation (boto/boto3#2701). */
const UNKNOWN_AT_FIRST = 200;
/** Characters shown of standard output and of standard error, and of both in lists. */
const OUTPUT_SHOWN = 24_000;
const ERROR_SHOWN = 8_000;
const LISTED_SHOWN = 2_500;
/** Seconds, where a document's value is none or out of range. */
const DEFAULT_TIMEOUT = 3_600;
const REBOOT = 194;

/** AWS Systems Manager: Run Command on {@link DockerHost}s, Parameter Store, and the sessions of the gateway. */
export class Ssm {
  readonly operations: Operations;
  readonly instances = new Map<string, ManagedInstance>();
  /** Not published; what people report before they are throttled. */
  readonly sending: TokenBuckets;
  readonly #aws: Pick<Aws, 'clock' | 'deployed' | 'access'>;
  readonly #parameters = new Map<string, Parameter>();
  readonly #commands = new Map<string, SentCommand>();

  constructor(aws: Pick<Aws, 'clock' | 'deployed' | 'access'>, sessions: SessionManager) {
    this.#aws = aws;
    this.sending = new TokenBuckets(aws.clock, { burst: 20, perSecond: 5 });
    this.operations = {
      SendCommand: (input: SendCommandCommandInput, call: Call) => this.#send(input, call),
      GetCommandInvocation: (input: GetCommandInvocationCommandInput, call: Call) => {
        const command = this.#commands.get(input.CommandId ?? '');
        const invocation = command?.invocations.find(
          ({ instance }) => instance.host.instanceId === input.InstanceId,
        );
        if (!command || !invocation || !this.#isKnown(command, call)) {
          throw new AwsError(
            'InvocationDoesNotExist',
            'The command ID and instance ID you specified did not match any invocations.',
          );
        }
        return {
          CommandId: command.id,
          InstanceId: input.InstanceId,
          Comment: command.comment,
          DocumentName: command.documentName,
          PluginName: 'runShellScript',
          ResponseCode: invocation.responseCode,
          Status: statusOf(invocation.status),
          StatusDetails: invocation.status,
          StandardOutputContent: isOver(invocation) ? invocation.output.slice(0, OUTPUT_SHOWN) : '',
          StandardErrorContent: isOver(invocation) ? invocation.error.slice(0, ERROR_SHOWN) : '',
        };
      },
      ListCommandInvocations: (input: ListCommandInvocationsCommandInput, call: Call) => ({
        CommandInvocations: [...this.#commands.values()]
          .filter((command) => this.#isKnown(command, call))
          .filter(({ id }) => input.CommandId === undefined || input.CommandId === id)
          .flatMap((command) => command.invocations.map((invocation) => ({ command, invocation })))
          .filter(
            ({ invocation }) =>
              input.InstanceId === undefined || input.InstanceId === invocation.instance.host.instanceId,
          )
          .map(({ command, invocation }) => ({
            CommandId: command.id,
            InstanceId: invocation.instance.host.instanceId,
            Comment: command.comment,
            DocumentName: command.documentName,
            RequestedDateTime: new Date(command.requestedAt),
            Status: statusOf(invocation.status),
            StatusDetails: invocation.status,
            ...(input.Details && {
              CommandPlugins: [
                {
                  Name: 'runShellScript',
                  ResponseCode: invocation.responseCode,
                  Output: isOver(invocation) ? invocation.output.slice(0, LISTED_SHOWN) : '',
                },
              ],
            }),
          })),
      }),
      ListCommands: (input: ListCommandsCommandInput, call: Call) => ({
        Commands: [...this.#commands.values()]
          .filter((command) => this.#isKnown(command, call))
          .filter(({ id }) => input.CommandId === undefined || input.CommandId === id)
          .map((command) => this.#describe(command)),
      }),
      GetParameter: (input: GetParameterCommandInput, call: Call) => this.#getParameter(input, call),
      PutParameter: (input: PutParameterCommandInput, call: Call) => this.#putParameter(input, call),
      GetParametersByPath: (input: GetParametersByPathCommandInput, call: Call) =>
        this.#getParametersByPath(input, call),
      DeleteParameters: ({ Names: names = [] }: DeleteParametersCommandInput, call: Call) => {
        if (names.length > NAMES_AT_ONCE)
          throw new AwsError('ValidationException', `At most ${NAMES_AT_ONCE} parameters at once.`);
        const deleted = names.filter((name) => this.#parameters.delete(parameterArn(name, call)));
        return {
          DeletedParameters: deleted,
          InvalidParameters: names.filter((name) => !deleted.includes(name)),
        };
      },
      TerminateSession: ({ SessionId: id = '' }: TerminateSessionCommandInput) => {
        if (!sessions.terminateSession(id))
          throw new AwsError('DoesNotExistException', 'Session does not exist.');
        return { SessionId: id };
      },
      ResumeSession: ({ SessionId: id = '' }: ResumeSessionCommandInput) => {
        const access = sessions.resumeSession(id);
        if (access === undefined)
          throw new AwsError('DoesNotExistException', 'Session is already terminated');
        return { SessionId: id, TokenValue: access.tokenValue, StreamUrl: access.streamUrl };
      },
    };
  }

  /** Puts an instance under Systems Manager. */
  manage(host: DockerHost, where: Where): ManagedInstance {
    const instance: ManagedInstance = { ...where, host, reboots: 0 };
    this.instances.set(host.instanceId, instance);
    return instance;
  }

  /** Writes a parameter, as somebody else does. */
  write(name: string, value: string, { keyId, ...where }: Where & { keyId?: string }): void {
    this.#write(parameterArn(name, where), {
      type: keyId === undefined ? 'String' : 'SecureString',
      value,
      keyId,
    });
  }

  /** A parameter, as the instance role of a container reads it. */
  parameter(name: string, where: Where): Parameter | undefined {
    return this.#parameters.get(parameterArn(name, where));
  }

  /** Ends what still runs on the instances. */
  close(): void {
    for (const { invocations } of this.#commands.values())
      for (const { process } of invocations) if (process) killGroup(process);
  }

  #getParameter(
    { Name: name = '', WithDecryption: decrypted = false }: GetParameterCommandInput,
    call: Call,
  ) {
    const arn = parameterArn(name, call);
    const parameter = this.#parameters.get(arn);
    if (parameter === undefined) throw new AwsError('ParameterNotFound', `There is no parameter ${name}.`);
    return { Parameter: this.#shown(name, arn, parameter, decrypted, call) };
  }

  /** One level of a path, in pages of ten. */
  #getParametersByPath(input: GetParametersByPathCommandInput, call: Call) {
    const { Path: path = '', WithDecryption: decrypted = false } = input;
    if (input.Recursive || input.ParameterFilters?.length)
      throw new AwsError('ValidationException', "the rehearsal's stand-in knows one level, unfiltered");
    const prefix = `${parameterArn(path.replace(/\/$/, ''), call)}/`;
    const found = [...this.#parameters]
      .filter(([arn]) => arn.startsWith(prefix) && !arn.slice(prefix.length).includes('/'))
      .sort(([left], [right]) => (left < right ? -1 : 1));
    const from = Number(input.NextToken ?? 0);
    const next = from + Math.min(input.MaxResults ?? NAMES_AT_ONCE, NAMES_AT_ONCE);
    return {
      Parameters: found
        .slice(from, next)
        .map(([arn, parameter]) => this.#shown(`/${nameOfParameter(arn)}`, arn, parameter, decrypted, call)),
      ...(next < found.length && { NextToken: String(next) }),
    };
  }

  #shown(name: string, arn: string, parameter: Parameter, decrypted: boolean, call: Call) {
    const { type, value, keyId, version, modified } = parameter;
    const secure = type === 'SecureString';
    if (secure && decrypted) this.#checkKey(keyId, 'kms:Decrypt', arn, call);
    return {
      ARN: arn,
      Name: name.startsWith('arn:') ? nameOfParameter(name) : name,
      Type: type,
      // What is not decrypted is of no use to anybody.
      Value: secure && !decrypted ? Buffer.from(arn).toString('base64') : value,
      Version: version,
      LastModifiedDate: new Date(modified),
      DataType: 'text',
    };
  }

  #putParameter(input: PutParameterCommandInput, call: Call) {
    const { Name: name = '', Value: value = '', Overwrite: overwrite = false } = input;
    const arn = parameterArn(name, call);
    const before = this.#parameters.get(arn);
    if (before !== undefined && !overwrite) {
      throw new AwsError('ParameterAlreadyExists', 'The parameter already exists.');
    }
    const type = input.Type ?? before?.type;
    if (type === undefined) throw new AwsError('ValidationException', 'A parameter type is required.');
    const bytes = Buffer.byteLength(value);
    const limit =
      input.Tier === 'Intelligent-Tiering' || input.Tier === 'Advanced' ? ADVANCED_BYTES : STANDARD_BYTES;
    if (bytes > limit)
      throw new AwsError('ValidationException', `The value has ${bytes} bytes, more than ${limit}.`);
    const keyId = type === 'SecureString' ? (input.KeyId ?? DEFAULT_PARAMETER_KEY) : undefined;
    if (keyId !== undefined) this.#checkKey(keyId, 'kms:Encrypt', arn, call);
    return { Version: this.#write(arn, { type, value, keyId }).version, Tier: 'Standard' };
  }

  #write(arn: string, parameter: Pick<Parameter, 'type' | 'value' | 'keyId'>): Parameter {
    const written = {
      ...parameter,
      version: (this.#parameters.get(arn)?.version ?? 0) + 1,
      modified: this.#aws.clock.now(),
    };
    this.#parameters.set(arn, written);
    return written;
  }

  #checkKey(keyId: string | undefined, action: string, arn: string, call: Call): void {
    const refused = this.#aws.access.checkKey(
      keyId,
      call.caller.principal,
      [action],
      {
        'kms:ViaService': `ssm.${call.region}.amazonaws.com`,
        'kms:EncryptionContext:PARAMETER_ARN': arn,
      },
      call,
      call.caller.function?.name,
    );
    if (refused !== undefined) throw new AwsError('AccessDeniedException', refused);
  }

  #send(input: SendCommandCommandInput, call: Call) {
    this.sending.take(call);
    const { DocumentName: documentName = '', InstanceIds: ids = [], Parameters: given = {} } = input;
    if (ids.length > 50) throw new AwsError('ValidationException', 'At most 50 instance ids can be given.');
    const document = readDocument(documentName, this.#aws.deployed, call);
    const values = parameterValues(document, given);
    const instances = ids.map((id) => {
      const instance = this.instances.get(id);
      if (instance?.account !== call.account || instance.region !== call.region) {
        throw new AwsError(
          'InvalidInstanceId',
          `Instances [[${id}]] not in a valid state for account ${call.account}`,
        );
      }
      return instance;
    });
    const command: SentCommand = {
      id: randomUUID(),
      account: call.account,
      region: call.region,
      documentName,
      comment: input.Comment ?? '',
      requestedAt: this.#aws.clock.now(),
      invocations: instances.map((instance) => ({
        instance,
        status: 'Pending',
        responseCode: -1,
        output: '',
        error: '',
      })),
    };
    this.#commands.set(command.id, command);
    const delivery = input.TimeoutSeconds ?? DEFAULT_TIMEOUT;
    for (const invocation of command.invocations)
      this.#deliver(command, invocation, document, values, delivery);
    return { Command: this.#describe(command) };
  }

  #deliver(
    command: SentCommand,
    invocation: Invocation,
    document: ShellDocument,
    values: Record<string, string>,
    deliverySeconds: number,
  ): void {
    const { clock } = this.#aws;
    const timeout = secondsOf(filled(document.timeoutSeconds, values));
    switch (invocation.instance.fault) {
      case 'unreachable':
        clock.at(clock.now() + (deliverySeconds + timeout) * 1000, () => {
          invocation.status = 'Undeliverable';
        });
        return;
      case 'disk-full':
        Object.assign(invocation, {
          status: 'Failed',
          responseCode: -1,
          error: 'Plugin with name aws:runShellScript not found. Step name: runShellScript',
        });
        return;
      default:
        // The clock stands while the instance works, as it does for a function.
        void clock.hold(() => this.#run(command, invocation, filled(document.script, values), timeout));
    }
  }

  async #run(command: SentCommand, invocation: Invocation, script: string, timeout: number): Promise<void> {
    const { instance } = invocation;
    const { folder, programs } = instance.host;
    invocation.status = 'In Progress';
    const scripts = join(folder, 'ssm', command.id);
    mkdirSync(scripts, { recursive: true });
    const file = join(scripts, '_script.sh');
    // The host's own memory file system is this machine's: the script gets a folder of the instance in its place.
    writeFileSync(file, script.replaceAll(/(?<![\w./-])\/run\//g, `${folder}/run/`), { mode: 0o700 });
    for (;;) {
      const ran = await runScript(file, programs, timeout, invocation);
      if (ran !== REBOOT) {
        invocation.responseCode = ran === 'timed-out' ? 137 : ran;
        invocation.status = ran === 0 ? 'Success' : ran === 'timed-out' ? 'Execution Timed Out' : 'Failed';
        break;
      }
      instance.reboots += 1;
      if (instance.reboots > 1) {
        invocation.status = 'Failed';
        break;
      }
    }
    if (instance.fault === 'answers-late') invocation.status = 'Delivery Timed Out';
  }

  #isKnown({ account, region, requestedAt }: SentCommand, call: Call): boolean {
    return (
      account === call.account &&
      region === call.region &&
      this.#aws.clock.now() - requestedAt >= UNKNOWN_AT_FIRST
    );
  }

  #describe({ id, documentName, comment, requestedAt, invocations }: SentCommand) {
    const open = invocations.filter((invocation) => !isOver(invocation));
    const failed = invocations.find(({ status }) => status !== 'Success' && status !== 'Undeliverable');
    // What could not be delivered leaves the whole command a success.
    const status = open.length > 0 ? 'In Progress' : (failed?.status ?? 'Success');
    return {
      CommandId: id,
      DocumentName: documentName,
      Comment: comment,
      RequestedDateTime: new Date(requestedAt),
      InstanceIds: invocations.map(({ instance }) => instance.host.instanceId),
      Status: statusOf(status),
      StatusDetails: status,
      TargetCount: invocations.length,
      CompletedCount: invocations.length - open.length,
    };
  }
}

/** The ARN of a parameter that is named or given by ARN. */
export function parameterArn(name: string, { account, region }: Where): string {
  return name.startsWith('arn:')
    ? name
    : `arn:aws:ssm:${region}:${account}:parameter/${name.replace(/^\//, '')}`;
}

function nameOfParameter(arn: string): string {
  return arn.replace(/^.*:parameter\//, '');
}

/** Runs a script as the agent does: `sh -c FILE`, in a process group of its own, which a timeout kills. */
function runScript(
  file: string,
  programs: string,
  timeoutSeconds: number,
  invocation: Invocation,
): Promise<number | 'timed-out'> {
  const child = spawn('sh', ['-c', file], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: `${programs}:${process.env.PATH}` },
  });
  invocation.process = child;
  child.stdout.setEncoding('utf8').on('data', (text) => {
    invocation.output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    invocation.error += text;
  });
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      killGroup(child);
      resolve('timed-out');
    }, timeoutSeconds * 1000);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(code ?? 137);
    });
  });
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

function readDocument(name: string, deployed: Deployed, where: Where): ShellDocument {
  if (name === 'AWS-RunShellScript') {
    return {
      parameters: { commands: {}, executionTimeout: { default: String(DEFAULT_TIMEOUT) } },
      script: '{{ commands }}',
      timeoutSeconds: '{{ executionTimeout }}',
    };
  }
  const document = deployed
    .ofType('AWS::SSM::Document')
    .find((each) => each.name === name && each.account === where.account && each.region === where.region);
  if (document === undefined)
    throw new AwsError('InvalidDocument', `Document with name ${name} does not exist.`);
  return shellDocument(document.properties.values.Content, document.properties.where);
}

function shellDocument(content: unknown, where: string): ShellDocument {
  const { schemaVersion, parameters = {}, mainSteps = [] } = record(content);
  const [step, more] = Array.isArray(mainSteps) ? mainSteps : [];
  const { action, inputs } = record(step);
  const { runCommand, timeoutSeconds = String(DEFAULT_TIMEOUT) } = record(inputs);
  if (schemaVersion !== '2.2' || action !== 'aws:runShellScript' || more || !Array.isArray(runCommand)) {
    throw new Error(`${where}: only documents of schema 2.2 with one aws:runShellScript are understood`);
  }
  return {
    parameters: record(parameters) as ShellDocument['parameters'],
    script: runCommand.join('\n'),
    timeoutSeconds: String(timeoutSeconds),
  };
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function parameterValues(
  { parameters }: ShellDocument,
  given: Record<string, string[]>,
): Record<string, string> {
  for (const name of Object.keys(given))
    if (!(name in parameters)) throw new AwsError('InvalidParameters', `There is no parameter ${name}.`);
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { allowedPattern, default: otherwise }]) => {
      const value = given[name]?.join('\n') ?? otherwise;
      if (value === undefined) throw new AwsError('InvalidParameters', `The parameter ${name} is missing.`);
      if (allowedPattern !== undefined && !new RegExp(allowedPattern).test(value)) {
        throw new AwsError('InvalidParameters', `The parameter ${name} does not match ${allowedPattern}.`);
      }
      return [name, value];
    }),
  );
}

function filled(text: string, values: Record<string, string>): string {
  return text.replaceAll(/\{\{\s*([A-Za-z]+)\s*\}\}/g, (whole, name: string) => values[name] ?? whole);
}

/** A number from 5 to 172,800, as text; else the agent takes an hour. */
function secondsOf(text: string): number {
  const seconds = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return seconds >= 5 && seconds <= 172_800 ? seconds : DEFAULT_TIMEOUT;
}

function isOver({ status }: Invocation): boolean {
  return !['Pending', 'In Progress', 'Delayed'].includes(status);
}

/** The coarser status beside StatusDetails, whose words have no spaces. */
function statusOf(details: string): string {
  switch (details) {
    case 'In Progress':
      return 'InProgress';
    case 'Delivery Timed Out':
    case 'Execution Timed Out':
      return 'TimedOut';
    case 'Undeliverable':
    case 'Terminated':
      return 'Failed';
    default:
      return details;
  }
}
