import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  DescribeInstanceInformationCommandInput,
  GetCommandInvocationCommandInput,
  ListCommandInvocationsCommandInput,
  ListCommandsCommandInput,
  SendCommandCommandInput,
} from '@aws-sdk/client-ssm';
import { AwsError } from '../aws-error.ts';
import { anywhere, type Call, type Cloud, type Operations, operation, required } from '../cloud.ts';
import type { DockerHost } from '../containers/docker-host.ts';
import type { Place } from '../place.ts';
import { TokenBuckets } from '../token-bucket.ts';
import {
  DEFAULT_TIMEOUT,
  filled,
  parameterValues,
  readDocument,
  type ShellDocument,
  secondsOf,
} from './shell-document.ts';

/** What is wrong with an instance, as long as it stands. */
export type InstanceFault =
  /** The agent does not fetch commands. */
  | 'unreachable'
  /** The agent cannot unpack its own plugins (aws/amazon-ssm-agent#90). */
  | 'disk-full'
  /** It does the work, and Run Command nonetheless says that it was never delivered (aws/amazon-ssm-agent#316). */
  | 'answers-late';

/** An instance that Systems Manager manages. */
export interface ManagedInstance extends Place {
  host: DockerHost;
  fault?: InstanceFault;
  /** How often a script made it restart. */
  reboots: number;
}

interface Invocation {
  instance: ManagedInstance;
  status: string;
  responseCode: number;
  /** In full; what is shown of them is cut. */
  output: string;
  error: string;
  process?: ChildProcess;
}

interface SentCommand extends Place {
  id: string;
  documentName: string;
  comment: string;
  requestedAt: number;
  invocations: Invocation[];
}

/** Milliseconds after sending during which Run Command does not know its own invocation (boto/boto3#2701). */
const UNKNOWN_AT_FIRST = 200;
/** Characters shown of standard output and of standard error, and of both in lists. */
const OUTPUT_SHOWN = 24_000;
const ERROR_SHOWN = 8_000;
const LISTED_SHOWN = 2_500;
const REBOOT = 194;

/** Run Command on {@link DockerHost}s. */
export class RunCommand {
  readonly operations: Operations;
  readonly instances = new Map<string, ManagedInstance>();
  /** Not published; what people report before they are throttled. */
  readonly sending: TokenBuckets;
  readonly #aws: Pick<Cloud, 'clock' | 'deployed'>;
  readonly #commands = new Map<string, SentCommand>();

  constructor(aws: Pick<Cloud, 'clock' | 'deployed'>) {
    this.#aws = aws;
    this.sending = new TokenBuckets(aws.clock, { burst: 20, perSecond: 5 });
    this.operations = {
      SendCommand: operation(
        ({ DocumentName, InstanceIds: ids = [] }: SendCommandCommandInput, { account, region }) => {
          const document = required(DocumentName);
          const owner = document.startsWith('AWS-') ? '' : account;
          return [
            { action: 'ssm:SendCommand', resource: `arn:aws:ssm:${region}:${owner}:document/${document}` },
            ...ids.map((id) => ({
              action: 'ssm:SendCommand',
              resource: `arn:aws:ec2:${region}:${account}:instance/${id}`,
              conditions: Object.fromEntries(
                Object.entries(this.instances.get(id)?.host.tags ?? {}).map(([key, value]) => [
                  `ssm:resourceTag/${key}`,
                  value,
                ]),
              ),
            })),
          ];
        },
        (input, call) => this.#send(input, call),
      ),
      DescribeInstanceInformation: operation(
        anywhere('ssm:DescribeInstanceInformation'),
        ({ Filters = [] }: DescribeInstanceInformationCommandInput, { account, region }) => {
          if (Filters.some(({ Key }) => Key !== 'InstanceIds'))
            throw new AwsError('InvalidFilterKey', 'the stand-in understands InstanceIds only');
          const wanted = Filters.flatMap(({ Values = [] }) => Values);
          return {
            InstanceInformationList: [...this.instances.values()]
              .filter((instance) => instance.account === account && instance.region === region)
              .filter(({ host }) => wanted.length === 0 || wanted.includes(host.instanceId))
              .map(({ host, fault }) => ({
                InstanceId: host.instanceId,
                PingStatus: fault === 'unreachable' ? ('ConnectionLost' as const) : ('Online' as const),
                ResourceType: 'EC2Instance' as const,
              })),
          };
        },
      ),
      GetCommandInvocation: operation(
        anywhere('ssm:GetCommandInvocation'),
        (input: GetCommandInvocationCommandInput, call) => {
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
      ),
      ListCommandInvocations: operation(
        anywhere('ssm:ListCommandInvocations'),
        (input: ListCommandInvocationsCommandInput, call) => ({
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
      ),
      ListCommands: operation(anywhere('ssm:ListCommands'), (input: ListCommandsCommandInput, call) => ({
        Commands: [...this.#commands.values()]
          .filter((command) => this.#isKnown(command, call))
          .filter(({ id }) => input.CommandId === undefined || input.CommandId === id)
          .map((command) => describe(command)),
      })),
    };
  }

  /** Ends what still runs on the instances. */
  close(): void {
    for (const { invocations } of this.#commands.values())
      for (const { process } of invocations) if (process) killGroup(process);
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
    return { Command: describe(command) };
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
}

function describe({ id, documentName, comment, requestedAt, invocations }: SentCommand) {
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
