import { spawn } from 'node:child_process';
import { mock } from 'node:test';
import { spawn as spawnInTerminal } from '@lydell/node-pty';

/** How a command ended, and what it wrote. */
export interface Ended {
  status: number | null;
  out: string;
  err: string;
}

/**
 * Runs the command line as a process of its own, through pipes.
 * @param env all that its environment holds
 */
export async function commandLine(
  words: readonly string[],
  env: Record<string, string>,
  {
    input,
    onceItSpeaks,
  }: {
    /** @default its standard input stays open */
    input?: string;
    /** Called with the first that it writes to its standard error. */
    onceItSpeaks?: ((err: string) => void) | undefined;
  } = {},
): Promise<Ended> {
  const child = spawn(process.execPath, ['bin/wa-upkeep.ts', ...words], { env });
  if (input !== undefined) child.stdin.end(input);
  let [out, err] = ['', ''];
  child.stdout.on('data', (text) => {
    out += text;
  });
  child.stderr.on('data', (text) => {
    if (err === '') onceItSpeaks?.(`${text}`);
    err += text;
  });
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, out, err };
}

/** Thrown in place of an end of the process. */
class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/**
 * Runs the command line here, as through pipes, with nothing to be typed: a process of its own takes longer to load than most commands
 * to run. One at a time, and none of those that are programs of their own.
 * @param env of AWS; all else is as it is here
 */
export async function inThisProcess(
  words: readonly string[],
  env: Record<string, string>,
  { onceItSpeaks }: { onceItSpeaks?: ((err: string) => void) | undefined } = {},
): Promise<Ended> {
  const ended: Ended = { status: 0, out: '', err: '' };
  const before = process.env;
  const { exitCode } = process;
  const { isTTY } = process.stdin;
  const others = Object.entries(before).filter(([name]) => !name.startsWith('AWS_'));
  process.env = { ...Object.fromEntries(others), ...env, NO_COLOR: '1' };
  process.stdin.isTTY = false;
  process.exitCode = undefined;
  const written = (stream: NodeJS.WriteStream, take: (text: string) => void) => {
    const write = stream.write.bind(stream);
    return mock.method(stream, 'write', (chunk: string | Uint8Array, ...rest: []) => {
      // What the test runner writes is bytes.
      if (typeof chunk !== 'string') return write(chunk, ...rest);
      take(chunk);
      return true;
    });
  };
  const mocks = [
    written(process.stdout, (text) => {
      ended.out += text;
    }),
    written(process.stderr, (text) => {
      if (ended.err === '') onceItSpeaks?.(text);
      ended.err += text;
    }),
    mock.method(process, 'exit', (code: number) => {
      throw new Exit(code);
    }),
  ];
  try {
    const { program } = await import('../../bin/program.ts');
    await program().parseAsync([...words], { from: 'user' });
    ended.status = Number(process.exitCode ?? 0);
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    ended.status = error.code;
  } finally {
    for (const each of mocks) each.mock.restore();
    process.env = before;
    process.exitCode = exitCode;
    process.stdin.isTTY = isTTY;
  }
  return ended;
}

/**
 * Runs the command line in a terminal of its own.
 * @param typed what is typed, each once something else has been shown
 * @returns what it showed, colours and all, in lines
 */
export async function inTerminal(
  words: readonly string[],
  env: Record<string, string>,
  typed: readonly (readonly [once: string, what: string])[] = [],
  {
    program = 'bin/wa-upkeep.ts',
    cwd = process.cwd(),
  }: {
    /** @default that of this repository */
    program?: string;
    cwd?: string;
  } = {},
): Promise<{ status: number; shown: string }> {
  const terminal = spawnInTerminal(process.execPath, [program, ...words], {
    cwd,
    env: { ...env, TERM: 'xterm-256color' },
    cols: 400,
  });
  let shown = '';
  const waiting = [...typed];
  const status = await new Promise<number>((resolve) => {
    terminal.onData((text) => {
      shown += text;
      const [next] = waiting;
      if (next === undefined || !shown.includes(next[0])) return;
      waiting.shift();
      terminal.write(next[1]);
    });
    terminal.onExit(({ exitCode }) => resolve(exitCode));
  });
  return { status, shown: shown.replaceAll('\r\n', '\n') };
}
