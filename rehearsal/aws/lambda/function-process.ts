import { type ChildProcess, spawn } from 'node:child_process';
import type { ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { InvocationError, InvocationOutcome } from '../cloud.ts';

export interface FunctionProcessOptions {
  /** Host, port and path of the Runtime API for this process. */
  runtimeApi: string;
  /** Everything that its environment holds; nothing of the parent's is added. */
  environment: Record<string, string>;
  folder: string;
  handler: string;
  onLine(text: string): void;
}

export interface Invocation {
  requestId: string;
  payload: string;
  invokedArn: string;
  /** Epoch milliseconds on the rehearsal's clock. */
  deadline: number;
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

/** A process that runs a function, one invocation at a time: Lambda's execution environment. */
export class FunctionProcess {
  /** No longer usable. */
  ended = false;
  readonly #child: ChildProcess;
  readonly #closed: Promise<void>;
  #waiting: ServerResponse | undefined;
  #running: Running | undefined;
  #initializationError: InvocationError | undefined;

  constructor({ runtimeApi, environment, folder, handler, onLine }: FunctionProcessOptions) {
    const here = import.meta.dirname;
    // Of the package the rehearsal is JavaScript.
    const extension = extname(import.meta.filename);
    this.#child = spawn(
      process.execPath,
      [
        '--enable-source-maps',
        `--max-old-space-size=${Math.floor(Number(environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE) * HEAP_SHARE)}`,
        '--import',
        join(here, `preload${extension}`),
        join(here, `runtime${extension}`),
      ],
      {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...environment,
          AWS_LAMBDA_RUNTIME_API: runtimeApi,
          LAMBDA_TASK_ROOT: folder,
          _HANDLER: handler,
        },
      },
    );
    const { stdout, stderr } = this.#child;
    for (const [name, stream] of Object.entries({ stdout, stderr })) {
      if (stream === null) continue;
      createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
        if (!line.startsWith('\0end ')) onLine(line);
        else if (line === `\0end ${this.#running?.requestId}`) {
          this.#running?.read.add(name);
          this.#finish();
        }
      });
    }
    this.#closed = new Promise((resolve) => {
      this.#child.once('error', () => this.#die('Runtime.StartError', 'the process did not start', resolve));
      this.#child.once('close', (code, signal) =>
        this.#die(
          'Runtime.ExitError',
          `Runtime exited with error: ${signal === null ? `exit status ${code}` : `signal: ${signal}`}`,
          resolve,
        ),
      );
    });
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
      this.#hand();
    });
  }

  /** The process asks for its next invocation. */
  next(response: ServerResponse): void {
    this.#waiting = response;
    this.#hand();
  }

  answered(requestId: string, payload: string): void {
    if (this.#running?.requestId === requestId) this.#answer({ outcome: 'returned', payload });
  }

  threw(requestId: string, error: InvocationError): void {
    if (this.#running?.requestId === requestId) this.#answer({ outcome: 'failed', crash: false, error });
  }

  failedToStart(error: InvocationError): void {
    this.#initializationError = error;
  }

  /** Has it do nothing more, as one whose event loop is blocked: what is to end it must come from outside. */
  hang(): void {
    this.#child.kill('SIGSTOP');
  }

  /** Kills it at once, as a crash would. */
  kill(): void {
    this.ended = true;
    this.#child.kill('SIGKILL');
  }

  /** Kills it and waits until it is gone. */
  async close(): Promise<void> {
    this.kill();
    await this.#closed;
  }

  #hand(): void {
    const running = this.#running;
    const response = this.#waiting;
    if (running === undefined || response === undefined) return;
    this.#waiting = undefined;
    response.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': running.requestId,
      'lambda-runtime-deadline-ms': String(Math.floor(running.deadline)),
      'lambda-runtime-invoked-function-arn': running.invokedArn,
    });
    response.end(running.payload);
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

  #die(errorType: string, errorMessage: string, resolve: () => void): void {
    this.ended = true;
    const running = this.#running;
    this.#running = undefined;
    if (running !== undefined) {
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
    resolve();
  }
}
