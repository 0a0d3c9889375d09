import { spawn } from 'node:child_process';
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

/**
 * Runs the command line in a terminal of its own.
 * @param typed what is typed, each once something else has been shown
 * @returns what it showed, colours and all, in lines
 */
export async function inTerminal(
  words: readonly string[],
  env: Record<string, string>,
  typed: readonly (readonly [once: string, what: string])[] = [],
): Promise<{ status: number; shown: string }> {
  const terminal = spawnInTerminal(process.execPath, ['bin/wa-upkeep.ts', ...words], {
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
