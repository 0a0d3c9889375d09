import { buffer } from 'node:stream/consumers';
import { Command, InvalidArgumentError, Option } from 'commander';
import {
  type Clients,
  type CommandResult,
  EcsExecError,
  type ExecEvent,
  ecsExecClients,
  execInAll,
  interactiveSession,
  outputText,
  runningContainers,
} from '../functions/shared/ecs-exec/index.ts';
import { helpText, messageOf } from './output.ts';

/** The command was stopped at its deadline: as `timeout` of coreutils has it. */
const TIMED_OUT = 124;
/** How the command ended is not known, or it was not started. */
const UNKNOWN = 125;

interface Options {
  container?: string;
  all?: true;
  json?: true;
  interactive?: true;
  stdin?: true;
  region?: string;
  concurrency: number;
  timeout?: number;
}

/** What is written to, and where the exit code goes. */
export interface Surroundings {
  out: { write(text: string): unknown };
  err: { write(text: string): unknown };
  clients: (region: string | undefined) => Clients;
  exit: (code: number) => void;
  signal?: AbortSignal;
}

/** `wa-upkeep exec`: a command in a container of a service, or in all of them, with its exit code. */
export function execCommand(surroundings: Partial<Surroundings> = {}): Command {
  return new Command('exec')
    .summary('run a command in containers of an ECS service')
    .description(
      'Runs a command in a container of an ECS service, or in all of them, by ECS Exec, and exits as the command did. ' +
        'No shell reads the command: for a pipe say -- sh -c "a | b".',
    )
    .argument('<cluster>', 'name or ARN')
    .argument('<service>', 'name or ARN')
    .argument('<command...>', 'the program and its arguments, after --')
    .option('--container <name>', 'as in the task definition; needed where ECS Exec reaches more than one')
    .option('--all', 'in every task of the service, each line with the task and container before it')
    .option('--json', 'one line of JSON for each container, when it has ended there')
    .addOption(
      new Option(
        '--interactive',
        'a terminal in one container, as `aws ecs execute-command` gives it; no exit code',
      ).conflicts(['all', 'json', 'stdin', 'timeout']),
    )
    .option('--stdin', 'gives the command what is on our standard input, all of it before it starts')
    .option('--concurrency <number>', 'with --all: containers at once', wholeNumber, 10)
    .option('--timeout <seconds>', 'the command is stopped then', wholeNumber)
    .option('--region <name>', 'default: that of the environment')
    .addHelpText(
      'after',
      helpText(`
Examples:
  wa-upkeep exec production web -- nginx -t
  wa-upkeep exec production web --all -- sh -c 'df -P / | tail -n 1'
  wa-upkeep exec production web --interactive -- sh

Exit codes: the command's own; with --all the highest of them; ${TIMED_OUT} it was stopped at its timeout; ${UNKNOWN} it was
not started, or how it ended is not known; 2 the words were not understood. Messages go to standard error.`),
    )
    .action(async (cluster: string, service: string, command: string[], options: Options) => {
      const { exit = setExitCode, err = process.stderr } = surroundings;
      try {
        exit(await run({ cluster, service, command, options }, surroundings));
      } catch (error) {
        err.write(
          `${error instanceof EcsExecError ? `${error.message} (${error.code})` : messageOf(error)}\n`,
        );
        exit(UNKNOWN);
      }
    });
}

type Given = Partial<Surroundings> & { signal: AbortSignal };

/** By which a person or a system ends us: the command is stopped first, and a terminal is given back as it was. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface Request {
  cluster: string;
  service: string;
  command: string[];
  options: Options;
}

async function run(request: Request, given: Partial<Surroundings>): Promise<number> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort(new Error('Interrupted: the command was stopped.'));
  for (const name of SIGNALS) process.once(name, interrupt);
  // Its reader went away.
  process.stdout.on('error', interrupt);
  const surroundings = { ...given, signal: given.signal ?? interrupted.signal };
  try {
    return await (request.options.interactive ? inTerminal : inContainers)(request, surroundings);
  } finally {
    for (const name of SIGNALS) process.off(name, interrupt);
    process.stdout.off('error', interrupt);
  }
}

async function inTerminal(
  { cluster, service, command, options }: Request,
  { clients: clientsOf = clientsIn, signal }: Given,
): Promise<number> {
  if (!process.stdin.isTTY)
    throw new Error(
      'With --interactive a terminal is needed on standard input. What comes through a pipe, --stdin gives to a command: wa-upkeep exec CLUSTER SERVICE --stdin -- sh',
    );
  const clients = clientsOf(options.region);
  const where = {
    cluster,
    service,
    ...(options.container !== undefined && { container: options.container }),
  };
  const [first] = await runningContainers(clients.ecs, where);
  await interactiveSession({
    cluster,
    ...first,
    command: command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' '),
    clients,
    input: process.stdin,
    output: process.stdout,
    signal,
  });
  return 0;
}

async function inContainers(
  { cluster, service, command, options }: Request,
  { out = process.stdout, err = process.stderr, clients: clientsOf = clientsIn, signal }: Given,
): Promise<number> {
  const { container, all, json, stdin, concurrency, timeout } = options;
  const where = { cluster, service, ...(container !== undefined && { container }) };
  const codes: number[] = [];
  const lines = new Map<string, string>();
  for await (const event of execInAll({
    ...where,
    clients: clientsOf(options.region),
    command,
    concurrency,
    signal,
    ...(stdin && { stdin: await buffer(process.stdin) }),
    ...(!all && { limit: 1 }),
    ...(timeout !== undefined && { deadline: new Date(Date.now() + timeout * 1_000) }),
  })) {
    if (event.event === 'output') {
      if (json) continue;
      if (!all) out.write(event.text);
      else for (const line of wholeLines(event, lines)) out.write(line);
      continue;
    }
    codes.push(codeOf(event));
    if (json) out.write(`${JSON.stringify(asJson(event))}\n`);
    else {
      const rest = lines.get(nameOf(event));
      if (rest) out.write(`${nameOf(event)}  ${rest}\n`);
      const words = wordsOf(event);
      if (words !== undefined) err.write(`${nameOf(event)}  ${words}\n`);
    }
  }
  return Math.max(...codes);
}

function clientsIn(region: string | undefined): Clients {
  return ecsExecClients(region === undefined ? {} : { region });
}

/** Lines with where they are from before them; what ends in no line yet is kept. */
function wholeLines(event: ExecEvent & { event: 'output' }, kept: Map<string, string>): string[] {
  const name = nameOf(event);
  const lines = ((kept.get(name) ?? '') + event.text).split('\n');
  kept.set(name, lines.pop() ?? '');
  return lines.map((line) => `${name}  ${line}\n`);
}

function nameOf({ task, container }: ExecEvent): string {
  return `${task.slice(task.lastIndexOf('/') + 1)}/${container}`;
}

function codeOf(event: Exclude<ExecEvent, { event: 'output' }>): number {
  if (event.event === 'failed') return UNKNOWN;
  switch (event.result.outcome) {
    case 'exited':
      return event.result.exitCode;
    case 'timed-out':
      return TIMED_OUT;
    default:
      return UNKNOWN;
  }
}

/** For what is not a plain exit. */
function wordsOf(event: Exclude<ExecEvent, { event: 'output' }>): string | undefined {
  if (event.event === 'failed') return event.error.message;
  const { result } = event;
  switch (result.outcome) {
    case 'exited':
      return result.exitCode === 0 ? undefined : `exit code ${result.exitCode}`;
    case 'timed-out':
      return result.stopped
        ? 'It was stopped at its timeout.'
        : 'Its time is over, and it could not be seen to stop.';
    case 'gone':
      return `The container went away: ${result.reason}`;
    case 'lost':
      return `How it ended is not known: ${result.reason}`;
  }
}

function asJson(event: Exclude<ExecEvent, { event: 'output' }>): object {
  const { task, container } = event;
  if (event.event === 'failed') {
    const { code, message } = event.error;
    return { task, container, outcome: 'not-started', code, reason: message };
  }
  const { output, skippedBySink: _, sinkError: __, ...rest }: CommandResult = event.result;
  return { task, container, ...rest, output: outputText(output) };
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1.');
  return Number(text);
}

function setExitCode(code: number): void {
  process.exitCode = code;
}
