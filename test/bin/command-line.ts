import { spawn } from 'node:child_process';

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
