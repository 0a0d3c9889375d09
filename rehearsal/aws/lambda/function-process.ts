import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { InvocationError, InvocationOutcome } from '../cloud.ts';
import type { Answer, Assignment, Call } from './runtime.ts';

export interface FunctionProcessOptions extends Omit<Assignment, 'kind'> {
  /** Where Node keeps compiled code for the processes that come after it. */
  compileCache: string;
  onLine(text: string): void;
}

export interface Invocation extends Omit<Call, 'kind'> {
  /** Real milliseconds. */
  timeout: number;
}

interface Running extends Invocation {
  settle(outcome: InvocationOutcome): void;
  answer: InvocationOutcome | undefined;
  /** Of stdout and stderr: those that have been read to this invocation's end. */
  read: Set<string>;
  timer: NodeJS.Timeout;
}

/** Of the function's memory, for what lives long in the heap: as Lambda's own start of Node has had it. */
const HEAP_SHARE = 0.9;

/** Functions that one process runs after each other: the modules of the earlier ones stay in its memory. */
const FUNCTIONS_OF_A_PROCESS = 8;
/** Processes that wait for a function. */
const SPARE = 6;

/** A process of Node, and whom it serves. */
interface NodeProcess {
  child: ChildProcess;
  /** What Node reads only when it starts. */
  kind: string;
  functions: number;
  ended: boolean;
  closed: Promise<void>;
  serves: FunctionProcess | undefined;
}

/** Those whose function was given up while they had nothing to do: a third of what a cold start costs is Node's own. */
const spare: NodeProcess[] = [];
process.on('exit', () => {
  for (const { child } of spare) child.kill('SIGKILL');
});

/** A process that runs a function, one invocation at a time: Lambda's execution environment. */
export class FunctionProcess {
  /** No longer usable. */
  ended = false;
  readonly #node: NodeProcess;
  readonly #onLine: (text: string) => void;
  #running: Running | undefined;
  #initializationError: InvocationError | undefined;
  #hangs = false;

  constructor({ environment, folder, handler, compileCache, onLine }: FunctionProcessOptions) {
    this.#onLine = onLine;
    this.#node = take(environment, compileCache);
    this.#node.serves = this;
    this.#send({ kind: 'assignment', environment, folder, handler });
  }

  get busy(): boolean {
    return this.#running !== undefined;
  }

  invoke(invocation: Invocation): Promise<InvocationOutcome> {
    return new Promise((settle) => {
      const timer = setTimeout(() => {
        this.#answer({
          outcome: 'failed',
          crash: true,
          error: {
            errorType: 'Sandbox.Timedout',
            errorMessage: `RequestId: ${invocation.requestId} Error: Task timed out after ${(invocation.timeout / 1000).toFixed(2)} seconds`,
          },
        });
        this.kill();
      }, invocation.timeout);
      this.#running = { ...invocation, settle, answer: undefined, read: new Set(), timer };
      const { requestId, payload, invokedArn, deadline } = invocation;
      this.#send({ kind: 'call', requestId, payload, invokedArn, deadline: Math.floor(deadline) });
    });
  }

  /** What the process says. */
  said(answer: Answer): void {
    if (answer.kind === 'did-not-start') this.#initializationError = answer.error;
    else if (this.#running?.requestId !== answer.requestId) return;
    else if (answer.kind === 'returned') this.#answer({ outcome: 'returned', payload: answer.payload });
    else this.#answer({ outcome: 'failed', crash: false, error: answer.error });
  }

  /** What it writes. */
  wrote(stream: string, line: string): void {
    if (!line.startsWith('\0end ')) this.#onLine(line);
    else if (line === `\0end ${this.#running?.requestId}`) {
      this.#running?.read.add(stream);
      this.#finish();
    }
  }

  /** Has it do nothing more, as one whose event loop is blocked: what is to end it must come from outside. */
  hang(): void {
    this.#hangs = true;
    this.#node.child.kill('SIGSTOP');
  }

  /** Kills it at once, as a crash would. */
  kill(): void {
    this.ended = true;
    if (this.#node.serves === this) this.#node.child.kill('SIGKILL');
  }

  /** Kills it and waits until it is gone. */
  async close(): Promise<void> {
    this.kill();
    await this.#node.closed;
  }

  /** Gives the function up: where its process has nothing to do it can be another function's. */
  async release(): Promise<void> {
    const node = this.#node;
    if (node.serves !== this) return;
    if (this.ended || this.busy || this.#hangs || node.functions >= FUNCTIONS_OF_A_PROCESS)
      return this.close();
    this.ended = true;
    node.serves = undefined;
    spare.push(node);
    reference(node, 'unref');
    if (spare.length > SPARE) spare.shift()?.child.kill('SIGKILL');
  }

  #send(message: Assignment | Call): void {
    // That it is gone is told by its end.
    this.#node.child.send(message, () => {});
  }

  #answer(outcome: InvocationOutcome): void {
    if (this.#running === undefined) return;
    this.#running.answer ??= outcome;
    this.#finish();
  }

  #finish(): void {
    const running = this.#running;
    if (running?.answer === undefined || running.read.size < 2) return;
    this.#running = undefined;
    clearTimeout(running.timer);
    running.settle(running.answer);
  }

  /** Its process has ended. */
  died(errorType: string, errorMessage: string): void {
    this.ended = true;
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    clearTimeout(running.timer);
    running.settle(
      running.answer ?? {
        outcome: 'failed',
        crash: true,
        error: this.#initializationError ?? {
          errorType,
          errorMessage: `RequestId: ${running.requestId} Error: ${errorMessage}`,
        },
      },
    );
  }
}

/** A spare process, or a new one. */
function take(environment: Record<string, string>, compileCache: string): NodeProcess {
  const memory = Math.floor(Number(environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE) * HEAP_SHARE);
  const first = Object.entries(environment).filter(([name]) => /^(NODE_|TZ$|LANG$)/.test(name));
  const kind = JSON.stringify([memory, first.sort()]);
  const index = spare.findIndex((node) => node.kind === kind && !node.ended);
  const [node = start(environment, memory, kind, compileCache)] = index < 0 ? [] : spare.splice(index, 1);
  reference(node, 'ref');
  node.functions += 1;
  return node;
}

function start(
  environment: Record<string, string>,
  memory: number,
  kind: string,
  compileCache: string,
): NodeProcess {
  // Of the package the rehearsal is JavaScript.
  const runtime = join(import.meta.dirname, `runtime${extname(import.meta.filename)}`);
  const child = spawn(process.execPath, ['--enable-source-maps', `--max-old-space-size=${memory}`, runtime], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...environment, NODE_COMPILE_CACHE: compileCache },
  });
  const closed = new Promise<void>((resolve) => {
    const end = (errorType: string, errorMessage: string) => {
      node.ended = true;
      const index = spare.indexOf(node);
      if (index >= 0) spare.splice(index, 1);
      node.serves?.died(errorType, errorMessage);
      resolve();
    };
    child.once('error', () => end('Runtime.StartError', 'the process did not start'));
    child.once('close', (code, signal) =>
      end(
        'Runtime.ExitError',
        `Runtime exited with error: ${signal === null ? `exit status ${code}` : `signal: ${signal}`}`,
      ),
    );
  });
  const node: NodeProcess = { child, kind, functions: 0, ended: false, closed, serves: undefined };
  child.on('message', (answer: Answer) => node.serves?.said(answer));
  for (const [name, stream] of Object.entries({ stdout: child.stdout, stderr: child.stderr }))
    if (stream !== null)
      createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) =>
        node.serves?.wrote(name, line),
      );
  return node;
}

/** Has the stand-in's own process wait for it, or not. */
function reference({ child }: NodeProcess, how: 'ref' | 'unref'): void {
  child[how]();
  child.channel?.[how]();
  for (const stream of [child.stdout, child.stderr]) if (stream instanceof Socket) stream[how]();
}
